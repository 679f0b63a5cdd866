//! Where control sockets lie, so that provers on one host need no configuration, and who looks
//! for them finds them.

use crate::outcome::{Failure, Result};
use link::{LinkError, LocalListener};
use std::path::{Path, PathBuf};

/// Provers of one user on one host that find a socket by themselves.
const PROVERS_MAX: usize = 64;

/// Listens on `path`, or on the first of the well-known ones that no live prover has.
pub(super) async fn bind(path: Option<&Path>) -> Result<LocalListener> {
    if let Some(path) = path {
        return LocalListener::bind(path).await.map_err(|error| match error {
            LinkError::Taken { path } => Failure::usage(format!(
                "another program listens on {}: choose another --control",
                path.display()
            )),
            other => other.into(),
        });
    }
    bind_in(&link::runtime_directory()).await
}

async fn bind_in(directory: &Path) -> Result<LocalListener> {
    for path in well_known(directory) {
        match LocalListener::bind(&path).await {
            Err(LinkError::Taken { .. }) => {}
            other => return Ok(other?),
        }
    }
    Err(Failure::usage(format!(
        "{PROVERS_MAX} provers have their control sockets in {} already: give this one --control",
        directory.display()
    )))
}

/// The sockets that provers may have by themselves and that are there, dead ones too.
pub(super) fn found() -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = well_known(&link::runtime_directory()).collect();
    paths.retain(|path| path.exists());
    paths
}

/// `prover.sock`, `prover-2.sock` and so on.
fn well_known(directory: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=PROVERS_MAX).map(move |number| match number {
        1 => directory.join("prover.sock"),
        _ => directory.join(format!("prover-{number}.sock")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_prover_gets_the_first_socket_that_is_free() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("run");
        let mut provers = Vec::new();
        for expected in ["prover.sock", "prover-2.sock", "prover-3.sock"] {
            let listener = bind_in(&directory).await.unwrap();
            assert_eq!(listener.path(), directory.join(expected));
            provers.push(listener);
        }
        drop(provers.remove(1));
        let next = bind_in(&directory).await.unwrap();
        assert_eq!(next.path(), directory.join("prover-2.sock"));
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone_and_named() {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("run");
        drop(bind_in(&directory).await.unwrap());
        std::fs::write(directory.join("prover.sock"), "a letter").unwrap();
        let Err(Failure::CouldNot(error)) = bind_in(&directory).await else { panic!() };
        assert!(error.to_string().contains("is not a socket"), "{error}");
    }
}
