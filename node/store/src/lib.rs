//! The memory of a node: typed records in RocksDB.
