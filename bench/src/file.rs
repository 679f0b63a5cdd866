//! Files that a user asked for: made, and never written over.

use crate::outcome::{Failure, Result, because};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

/// Refuses a file that is there: to be asked before anything is measured for it.
pub(crate) fn check_absent(path: &Path) -> Result {
    if path.symlink_metadata().is_ok() { Err(is_there(path)) } else { Ok(()) }
}

fn is_there(path: &Path) -> Failure {
    let path = path.display();
    Failure::CouldNot(anyhow::anyhow!(
        "{path} is there already and is left as it is: name another file"
    ))
}

/// Writes a new file. One that is there stays as it is.
pub(crate) fn create(path: &Path, text: &str) -> Result {
    let mut file = match File::create_new(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(is_there(path)),
        made => made.map_err(because(format!("{} cannot be made", path.display())))?,
    };
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    written.map_err(because(format!("{} cannot be written", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        check_absent(&path).unwrap();
        create(&path, "one").unwrap();
        assert!(check_absent(&path).is_err());
        assert!(matches!(create(&path, "two"), Err(Failure::CouldNot(_))));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        assert!(create(&folder.path().join("no/such"), "").is_err());
    }
}
