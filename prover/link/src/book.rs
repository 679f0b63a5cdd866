//! The nodes on other hosts that a prover was paired with: a file of the prover.

use crate::error::LinkError;
use crate::files;
use crate::key::LinkId;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Where nodes are, and by which keys they are known.
#[derive(Clone, Debug)]
pub struct NodeBook {
    path: PathBuf,
}

impl NodeBook {
    /// The book in `path`, which need not be there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf() }
    }

    /// The key of the node at `address`, if this prover was paired with it.
    ///
    /// # Errors
    /// [`LinkError::Io`], [`LinkError::Damaged`].
    pub fn node(&self, address: &str) -> Result<Option<LinkId>, LinkError> {
        Ok(self.read()?.remove(address))
    }

    /// Writes down that the node at `address` has this key, in place of another that it had.
    ///
    /// # Errors
    /// Those of [`NodeBook::node`]; nothing is then changed.
    pub fn keep(&self, address: &str, node: LinkId) -> Result<(), LinkError> {
        let _lock = files::lock(&self.path)?;
        let mut nodes = self.read()?;
        nodes.insert(address.to_owned(), node);
        let bytes = serde_json::to_vec_pretty(&nodes).map_err(|why| self.damaged(&why))?;
        files::replace(&self.path, &bytes)
    }

    fn read(&self) -> Result<BTreeMap<String, LinkId>, LinkError> {
        match files::read(&self.path)? {
            None => Ok(BTreeMap::new()),
            Some(bytes) => serde_json::from_slice(&bytes).map_err(|why| self.damaged(&why)),
        }
    }

    fn damaged(&self, why: &serde_json::Error) -> LinkError {
        LinkError::Damaged { path: self.path.clone(), why: why.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_again_and_a_damaged_book_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let book = NodeBook::at(&root.path().join("nodes.json"));
        assert_eq!(book.node("a:1").unwrap(), None);
        book.keep("a:1", LinkId([1; 32])).unwrap();
        book.keep("b:1", LinkId([2; 32])).unwrap();
        book.keep("a:1", LinkId([3; 32])).unwrap();
        assert_eq!(book.node("a:1").unwrap(), Some(LinkId([3; 32])));
        assert_eq!(book.node("b:1").unwrap(), Some(LinkId([2; 32])));
        std::fs::write(&book.path, "{").unwrap();
        assert!(matches!(book.keep("c:1", LinkId([4; 32])), Err(LinkError::Damaged { .. })));
        assert_eq!(std::fs::read(&book.path).unwrap(), b"{");
    }
}
