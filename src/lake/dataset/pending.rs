//! Files that go when the transaction ends: what an aborted one has written, what a committed one has dropped.
//!
//! As PostgreSQL does for its own relations (storage.c), with the same rule for subtransactions. A file that was dropped is
//! deleted only if no row of the catalogue refers to it at the end; the locks of [`super::home`] keep it so. A prepared
//! transaction forgets what it was to delete: `lagoon.remove_orphaned_files` finds it later.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use lagoon_lake::Result;

use super::catalog;
use crate::pg::error::OrRaise;
use crate::pg::hook::Transaction;
use crate::pg::{log, transaction};

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum When {
    Abort,
    Commit,
}

struct Pending {
    /// What the catalogue calls it, and where it is.
    stored: String,
    path: PathBuf,
    when: When,
    /// The subtransaction's depth; 1 for the transaction.
    level: i32,
}

thread_local! {
    static PENDING: RefCell<Vec<Pending>> = const { RefCell::new(Vec::new()) };
}

/// Has a file deleted when the (sub)transaction ends so.
pub fn delete(when: When, stored: &str, path: PathBuf) {
    let pending = Pending { stored: stored.to_owned(), path, when, level: transaction::level() };
    PENDING.with_borrow_mut(|list| list.push(pending));
}

/// Deletes a file of a dataset now, and its folders if they are empty. A file that is not there is fine.
pub fn remove(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            log::warning(format!("could not remove file \"{}\": {error}", path.display()));
        }
        _ => remove_empty_folders(path),
    }
}

/// Removes the folders of fingerprint and dataset that a file was in, where nothing else is in them.
pub fn remove_empty_folders(path: &Path) {
    for folder in path.ancestors().skip(1).take(2) {
        if std::fs::remove_dir(folder).is_err() {
            return; // not empty, as a rule
        }
    }
}

/// Called when a transaction or subtransaction ends.
pub fn transaction_ends(how: Transaction) {
    match how {
        Transaction::WillCommit => keep_what_is_used().or_raise(),
        Transaction::Committed => end(When::Commit),
        Transaction::Aborted => end(When::Abort),
        Transaction::Prepared => PENDING.set(Vec::new()),
        Transaction::SubtransactionCommitted(level) => hand_up(level),
        Transaction::SubtransactionAborted(level) => abort_from(level),
    }
}

/// Drops from the list what a row of the catalogue refers to after all: dropped and ingested again, or registered under
/// another name as well.
fn keep_what_is_used() -> Result<()> {
    let candidates: Vec<(String, String)> = PENDING.with_borrow(|list| {
        let dropped = list.iter().filter(|pending| pending.when == When::Commit);
        dropped.map(|pending| (pending.stored.clone(), pending.path.to_string_lossy().into_owned())).collect()
    });
    if !candidates.is_empty() {
        let used = catalog::used(candidates.into_iter().flat_map(|(stored, path)| [stored, path]).collect())?;
        let is_used = |pending: &Pending| {
            used.contains(&pending.stored) || used.contains(pending.path.to_string_lossy().as_ref())
        };
        PENDING.with_borrow_mut(|list| list.retain(|pending| pending.when == When::Abort || !is_used(pending)));
    }
    Ok(())
}

fn end(how: When) {
    let list = PENDING.take();
    list.iter().filter(|pending| pending.when == how).for_each(|pending| remove(&pending.path));
}

fn hand_up(level: i32) {
    PENDING.with_borrow_mut(|list| {
        list.iter_mut().filter(|pending| pending.level >= level).for_each(|pending| pending.level = level - 1);
    });
}

fn abort_from(level: i32) {
    let (gone, kept): (Vec<_>, Vec<_>) = PENDING.take().into_iter().partition(|pending| pending.level >= level);
    PENDING.set(kept);
    gone.iter().filter(|pending| pending.when == When::Abort).for_each(|pending| remove(&pending.path));
}
