//! The nodes on other hosts that a prover was paired with: a file of the prover.

use crate::error::LinkError;
use crate::files::Kept;
use crate::key::LinkId;
use std::collections::BTreeMap;
use std::path::Path;

/// Where nodes are, and by which keys they are known.
#[derive(Clone, Debug)]
pub struct NodeBook(Kept<BTreeMap<String, LinkId>>);

impl NodeBook {
    /// The book in `path`, which need not be there.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(Kept::at(path))
    }

    /// The key of the node at `address`, if this prover was paired with it.
    ///
    /// # Errors
    /// [`LinkError::Io`], [`LinkError::Damaged`].
    pub fn node(&self, address: &str) -> Result<Option<LinkId>, LinkError> {
        Ok(self.0.read()?.remove(address))
    }

    /// Writes down that the node at `address` has this key, in place of another that it had.
    ///
    /// # Errors
    /// Those of [`NodeBook::node`]; nothing is then changed.
    pub fn keep(&self, address: &str, node: LinkId) -> Result<(), LinkError> {
        self.0.change(|nodes| nodes.insert(address.to_owned(), node)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_again_and_a_damaged_book_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("nodes.json");
        let book = NodeBook::at(&path);
        assert_eq!(book.node("a:1").unwrap(), None);
        book.keep("a:1", LinkId([1; 32])).unwrap();
        book.keep("b:1", LinkId([2; 32])).unwrap();
        book.keep("a:1", LinkId([3; 32])).unwrap();
        assert_eq!(book.node("a:1").unwrap(), Some(LinkId([3; 32])));
        assert_eq!(book.node("b:1").unwrap(), Some(LinkId([2; 32])));
        std::fs::write(&path, "{").unwrap();
        assert!(matches!(book.keep("c:1", LinkId([4; 32])), Err(LinkError::Damaged { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"{");
    }
}
