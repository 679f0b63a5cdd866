//! MEMORY of the node: typed records in RocksDB, the only crate that imports it.
//!
//! Keys and values are typed, batches are the only way to write more than one thing, and the
//! format has a version. The identity key is *not* here: a lost database costs a node its memory,
//! never its space.

use chain::{Malformed, ProofRecord, ProofRequest, decode, encode};
use post::{NodeId, to_hex};
use rocksdb::{
    ColumnFamily, ColumnFamilyDescriptor, DB, IteratorMode, Options, WriteBatch, WriteOptions,
};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// The version of the format: 2, proofs by number and what is wanted by identity. Format 1 had the
/// proofs only; it becomes 2 when a node opens it.
const FORMAT: u64 = 2;
const FORMAT_WITHOUT_WANTED: u64 = 1;
const FORMAT_KEY: &[u8] = b"format";
/// Facts about the database itself.
const META: &str = "meta";
/// Proof records, by number (u64 BE), oldest first.
const PROOFS: &str = "proofs";
/// What is wanted, by identity (its 32 bytes): one request of each at most.
const WANTED: &str = "wanted";
/// Most bytes of a record: a proof of 1,024 indices takes a sixth of it.
const RECORD_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of RocksDB's own logs.
const LOG_BYTES_MAX: usize = 1 << 20;

/// Why the memory could not be read or written.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no database.
    #[error("there is no database in {}: no node has run there yet", path.display())]
    None {
        /// Where it would be.
        path: PathBuf,
    },
    /// RocksDB refused: the disk, a lock, or damage. Its own words say which.
    #[error("the database in {}: {why}", path.display())]
    Database {
        /// Where it is.
        path: PathBuf,
        /// RocksDB's words.
        why: rocksdb::Error,
    },
    /// Made by a newer version.
    #[error(
        "the database in {} has format {found}, this version knows {FORMAT}: update postmesh",
        path.display()
    )]
    Format {
        /// Where it is.
        path: PathBuf,
        /// The format found.
        found: u64,
    },
    /// A record does not decode.
    #[error(
        "record {key} of {table} in {} is damaged: restore the database or remove it (the \
         identity key lies elsewhere and is safe)",
        path.display()
    )]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// Which table.
        table: &'static str,
        /// Which record: its number, or the hexadecimal id of the identity.
        key: String,
        /// Why.
        source: Malformed,
    },
}

/// A node's memory.
#[derive(Debug)]
pub struct Store {
    db: DB,
    path: PathBuf,
}

impl Store {
    /// Opens the database in a directory, and makes it if there is none.
    ///
    /// # Errors
    /// [`StoreError`]; a second process that has it open is among the reasons.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut options = options();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        let tables =
            [META, PROOFS, WANTED].map(|name| ColumnFamilyDescriptor::new(name, self::options()));
        let db = DB::open_cf_descriptors(&options, path, tables);
        let store = Self::of(db, path)?;
        store.settle_format()?;
        Ok(store)
    }

    /// Opens the database to look at it, also while a node runs.
    ///
    /// # Errors
    /// [`StoreError::None`] among others.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        // Asked to read what is not there, RocksDB would make the directory.
        if !path.join("CURRENT").exists() {
            return Err(StoreError::None { path: path.to_path_buf() });
        }
        // One whose maker was killed while it was making it is none.
        let tables = DB::list_cf(&options(), path);
        let tables =
            tables.map_err(|why| StoreError::Database { path: path.to_path_buf(), why })?;
        if [META, PROOFS].iter().any(|needed| tables.iter().all(|table| table != needed)) {
            return Err(StoreError::None { path: path.to_path_buf() });
        }
        let db = DB::open_cf_for_read_only(&options(), path, [META, PROOFS], false);
        let store = Self::of(db, path)?;
        match store.format()? {
            Some(FORMAT | FORMAT_WITHOUT_WANTED) => Ok(store),
            None => Err(StoreError::None { path: path.to_path_buf() }),
            found => Err(store.unknown_format(found)),
        }
    }

    fn of(db: Result<DB, rocksdb::Error>, path: &Path) -> Result<Self, StoreError> {
        let path = path.to_path_buf();
        match db {
            Ok(db) => Ok(Self { db, path }),
            Err(why) => Err(StoreError::Database { path, why }),
        }
    }

    /// Remembers, durably, what is wanted of an identity; it replaces what was wanted of it before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn want(&self, request: &ProofRequest) -> Result<(), StoreError> {
        let key = request.node_id.0;
        let bytes = encode(request).map_err(|source| self.damaged(WANTED, &key, source))?;
        self.put(WANTED, &key, &bytes)
    }

    /// What is wanted, in the order of the identities.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn wanted(&self) -> Result<Vec<ProofRequest>, StoreError> {
        let entries = self.db.iterator_cf(self.table(WANTED), IteratorMode::Start);
        let requests = entries.map(|entry| {
            let (key, bytes) = entry.map_err(|why| self.failed(why))?;
            let request = decode::<ProofRequest>(&bytes);
            let request = request.map_err(|source| self.damaged(WANTED, &key, source))?;
            if *key == request.node_id.0 {
                Ok(request)
            } else {
                Err(self.damaged(WANTED, &key, Malformed))
            }
        });
        requests.collect()
    }

    /// Forgets, durably, what is wanted of an identity.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn want_no_longer(&self, node_id: NodeId) -> Result<(), StoreError> {
        let deleted = self.db.delete_cf_opt(self.table(WANTED), node_id.0, &durably());
        deleted.map_err(|why| self.failed(why))
    }

    /// Remembers a proof, durably, and returns its number. What it answers is wanted no longer,
    /// from the same moment on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn add_proof(&self, record: &ProofRecord) -> Result<u64, StoreError> {
        let last = self.db.iterator_cf(self.table(PROOFS), IteratorMode::End).next();
        let last = last.transpose().map_err(|why| self.failed(why))?;
        let number = last.map_or(0, |(key, _)| number_of(&key).saturating_add(1));
        let key = number.to_be_bytes();
        let bytes = encode(record).map_err(|source| self.damaged(PROOFS, &key, source))?;
        let mut batch = WriteBatch::default();
        batch.put_cf(self.table(PROOFS), key, &bytes);
        let statement = &record.statement;
        let answers = |request: &ProofRequest| {
            (request.node_id, request.challenge) == (statement.node_id, statement.challenge)
        };
        if self.wanted()?.iter().any(answers) {
            batch.delete_cf(self.table(WANTED), statement.node_id.0);
        }
        self.db.write_opt(batch, &durably()).map_err(|why| self.failed(why))?;
        Ok(number)
    }

    /// The latest proofs, newest first, at most `count` of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn latest_proofs(&self, count: usize) -> Result<Vec<(u64, ProofRecord)>, StoreError> {
        let newest_first = self.db.iterator_cf(self.table(PROOFS), IteratorMode::End);
        let records = newest_first.take(count).map(|entry| {
            let (key, bytes) = entry.map_err(|why| self.failed(why))?;
            if bytes.len() > RECORD_BYTES_MAX {
                return Err(self.damaged(PROOFS, &key, Malformed));
            }
            let record = decode(&bytes).map_err(|source| self.damaged(PROOFS, &key, source))?;
            Ok((number_of(&key), record))
        });
        records.collect()
    }

    /// A new database, and one that lacks nothing but tables, which were made when it was opened,
    /// get our format; one that has another is left alone.
    fn settle_format(&self) -> Result<(), StoreError> {
        match self.format()? {
            None | Some(FORMAT_WITHOUT_WANTED) => self.put(META, FORMAT_KEY, &FORMAT.to_be_bytes()),
            Some(FORMAT) => Ok(()),
            found => Err(self.unknown_format(found)),
        }
    }

    fn format(&self) -> Result<Option<u64>, StoreError> {
        let found = self.db.get_cf(self.table(META), FORMAT_KEY);
        Ok(found.map_err(|why| self.failed(why))?.map(|format| number_of(&format)))
    }

    fn unknown_format(&self, found: Option<u64>) -> StoreError {
        StoreError::Format { path: self.path.clone(), found: found.unwrap_or_default() }
    }

    fn put(&self, table: &'static str, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        let put = self.db.put_cf_opt(self.table(table), key, value, &durably());
        put.map_err(|why| self.failed(why))
    }

    #[expect(clippy::expect_used, reason = "every table is opened, or opening fails")]
    fn table(&self, name: &'static str) -> &ColumnFamily {
        self.db.cf_handle(name).expect("a table that was opened with the database")
    }

    fn failed(&self, why: rocksdb::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), why }
    }

    fn damaged(&self, table: &'static str, key: &[u8], source: Malformed) -> StoreError {
        let key = match <[u8; 8]>::try_from(key) {
            Ok(number) => u64::from_be_bytes(number).to_string(),
            Err(_) => to_hex(key),
        };
        StoreError::Damaged { path: self.path.clone(), table, key, source }
    }
}

/// Writing that has reached the disk when it returns.
fn durably() -> WriteOptions {
    let mut durably = WriteOptions::default();
    durably.set_sync(true);
    durably
}

fn options() -> Options {
    let mut options = Options::default();
    options.set_compression_type(rocksdb::DBCompressionType::Lz4);
    options.set_max_log_file_size(LOG_BYTES_MAX);
    options.set_keep_log_file_num(2);
    options
}

/// A key of eight bytes as the number it is; what is no such key sorts first.
fn number_of(key: &[u8]) -> u64 {
    key.try_into().map_or(0, u64::from_be_bytes)
}

#[cfg(test)]
mod tests;
