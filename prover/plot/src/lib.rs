//! Labels on disk: data directories, layout, metadata, locks.
