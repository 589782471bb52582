//! Where the files of this database's datasets are, what the catalogue calls them, and the lock that goes with them.
//!
//! A file that ingest writes is `<dataset directory>/<home>/<dataset>/<fingerprint>/<content hash>.parquet`. The home names
//! cluster and database, so that a dataset directory in shared storage may serve several of them: nobody deletes in
//! another's home. The catalogue knows a file by its path below the dataset directory, so that the directory can move.
//!
//! Whoever gives a dataset's folder a file, refers to one, or deletes one, holds the lock of that dataset until its
//! transaction ends. So nothing is deleted that an unfinished transaction relies on, a prepared one included.

use std::path::{Path, PathBuf};

use lagoon_lake::{Error, Result, dataset};
use pgrx::pg_sys;

use crate::lake::source::access;
use crate::pg::{process, spi};

/// The dataset directory and this database's part of it.
pub struct Home {
    directory: PathBuf,
    name: String,
}

impl Home {
    pub fn new() -> Result<Self> {
        let directory = access::dataset_directory();
        if !directory.is_absolute() {
            return Err(Error::RelativePath { path: directory.to_string_lossy().into_owned() });
        }
        Ok(Self { directory, name: format!("{}{}", Self::prefix(), process::database().to_u32()) })
    }

    /// How the homes of this cluster's databases begin; the oid of the database follows.
    pub fn prefix() -> String {
        // SAFETY: read from shared memory, where it is since the start of the server.
        format!("{}-", unsafe { pg_sys::GetSystemIdentifier() })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The folder of this database.
    pub fn folder(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// What the catalogue calls a file of a dataset that ingest writes.
    pub fn name_of(&self, dataset: &str, fingerprint: &str, file: &str) -> String {
        format!("{}/{dataset}/{fingerprint}/{file}", self.name)
    }

    /// What the catalogue calls a path: relative if it lies below the dataset directory.
    pub fn stored(&self, path: &Path) -> String {
        let real = std::fs::canonicalize(&self.directory).ok();
        let below =
            [Some(&self.directory), real.as_ref()].into_iter().flatten().find_map(|d| path.strip_prefix(d).ok());
        below.unwrap_or(path).to_string_lossy().into_owned()
    }

    /// Where the file is that the catalogue calls so.
    pub fn located(&self, stored: &str) -> PathBuf {
        self.directory.join(stored)
    }

    /// The dataset in whose folder of this home a file is; `None` for files of others, which are not ours to delete.
    pub fn dataset_of<'a>(&self, stored: &'a str) -> Option<&'a str> {
        let mut parts = stored.strip_prefix(&self.name)?.strip_prefix('/')?.split('/');
        let (name, depth) = (parts.next()?, parts.count());
        (depth == 2 && dataset::check_name(name).is_ok()).then_some(name)
    }

    /// Locks a dataset and those in whose folders the files are, until the transaction ends.
    pub fn lock<'a>(&self, dataset: &'a str, files: impl IntoIterator<Item = &'a String>) -> Result<()> {
        let mut names: Vec<&str> =
            files.into_iter().filter_map(|file| self.dataset_of(file)).chain([dataset]).collect();
        // Always in the same order, so that two of us do not wait for each other.
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (table, key) = lock_key(name)?;
            // SAFETY: main thread, in a transaction, which releases it.
            unsafe { pg_sys::LockDatabaseObject(table, key, 0, pg_sys::ExclusiveLock as i32) }
        }
        Ok(())
    }

    /// Locks a dataset, or says that another transaction has.
    pub fn try_lock(&self, dataset: &str) -> Result<bool> {
        let (table, key) = lock_key(dataset)?;
        // SAFETY: as above.
        Ok(unsafe { pg_sys::ConditionalLockDatabaseObject(table, key, 0, pg_sys::ExclusiveLock as i32) })
    }
}

/// In `pg_locks`: an object of the class `lagoon.datasets`.
fn lock_key(dataset: &str) -> Result<(pg_sys::Oid, pg_sys::Oid)> {
    let gone = || Error::Internal { message: "table lagoon.datasets is gone".to_owned() };
    let (table, _) = spi::relation(c"datasets").ok_or_else(gone)?;
    let [a, b, c, d, ..] = *dataset::id(dataset).as_bytes();
    Ok((table, pg_sys::Oid::from(u32::from_be_bytes([a, b, c, d]))))
}
