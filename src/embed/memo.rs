//! A cache of the last few results of single texts in this backend.
//!
//! `ORDER BY v <=> lagoon.embed('m', 'words')` without an index evaluates the function for every row with the same arguments,
//! because a STABLE function is not folded into a constant. A statement checks once whether the model's files are unchanged.

use std::cell::RefCell;
use std::collections::VecDeque;

use lagoon_embed::Watch;
use pgrx::pg_sys;

/// Maximum number of results that are kept.
const ENTRIES: usize = 16;
/// Longest text that is kept, in bytes.
const LONGEST: usize = 8192;

struct Entry {
    model: String,
    fingerprint: String,
    text: String,
    vector: Vec<f32>,
    watch: Watch,
    /// The start of the last statement that found the files unchanged.
    statement: pg_sys::TimestampTz,
}

thread_local! {
    static RECENT: RefCell<VecDeque<Entry>> = const { RefCell::new(VecDeque::new()) };
}

/// The result for this text and this version of a model, if it is in the cache and the model's files are unchanged.
pub fn find(model: &str, fingerprint: &str, text: &str) -> Option<Vec<f32>> {
    RECENT.with_borrow_mut(|recent| {
        let same = |e: &Entry| e.text == text && e.model == model && e.fingerprint == fingerprint;
        let index = recent.iter().position(same)?;
        let entry = &mut recent[index];
        if entry.statement != statement() {
            if !entry.watch.holds() {
                recent.remove(index);
                return None;
            }
            entry.statement = statement();
        }
        Some(entry.vector.clone())
    })
}

/// Adds a result to the cache, and removes the oldest.
pub fn keep(model: &str, fingerprint: &str, text: &str, vector: &[f32], watch: Watch) {
    if text.len() > LONGEST {
        return;
    }
    let entry = Entry {
        model: model.to_owned(),
        fingerprint: fingerprint.to_owned(),
        text: text.to_owned(),
        vector: vector.to_vec(),
        watch,
        statement: statement(),
    };
    RECENT.with_borrow_mut(|recent| {
        recent.truncate(ENTRIES - 1);
        recent.push_front(entry);
    });
}

fn statement() -> pg_sys::TimestampTz {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}
