//! Where the socket lies, and that nobody else can get there.

use crate::error::LinkError;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "postmesh";
const SOCKET: &str = "node.sock";

/// The socket that node and provers of this user find each other by:
/// `$XDG_RUNTIME_DIR/postmesh/node.sock`, or `/tmp/postmesh-UID/node.sock` without a runtime
/// directory.
#[must_use]
pub fn default_socket() -> PathBuf {
    runtime_directory().join(SOCKET)
}

/// Where the sockets of this user's programs lie: `$XDG_RUNTIME_DIR/postmesh`, or
/// `/tmp/postmesh-UID` without a runtime directory. It need not be there yet.
#[must_use]
pub fn runtime_directory() -> PathBuf {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
    match runtime {
        Some(path) => PathBuf::from(path).join(DIRECTORY),
        None => std::env::temp_dir().join(format!("{DIRECTORY}-{}", own_uid())),
    }
}

/// The directory that the processes of this user meet in, which nobody else can enter; it is made
/// if it is not there, and empty after the machine was started anew.
///
/// # Errors
/// [`LinkError::OpenDirectory`] where others can enter it, or the system's.
pub fn meeting_place() -> Result<PathBuf, LinkError> {
    private_directory(&default_socket())
}

/// This process's user.
pub(crate) fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Makes the directory of a socket if it is not there (0700), and checks that it is this user's
/// and closed to others: whoever can enter it can speak as a node or a prover.
pub(crate) fn private_directory(socket: &Path) -> Result<PathBuf, LinkError> {
    let directory = match socket.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(LinkError::io("create", &directory))?;
    let metadata =
        fs::symlink_metadata(&directory).map_err(LinkError::io("look at", &directory))?;
    let private = metadata.is_dir() && metadata.uid() == own_uid() && metadata.mode() & 0o077 == 0;
    if private { Ok(directory) } else { Err(LinkError::OpenDirectory { path: directory }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let socket = root.path().join("new/node.sock");
        let directory = private_directory(&socket).unwrap();
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(private_directory(&socket), Err(LinkError::OpenDirectory { .. })));
    }
}
