//! What a verification says.

use std::collections::{HashMap, HashSet};

use crate::page::Tid;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, the same in every version.
    pub name: &'static str,
    /// Whether nothing is wrong.
    pub passed: bool,
    /// How much was looked at, or the first thing that is wrong and how many there are.
    pub detail: String,
}

/// What an index holds, when it could be read.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order in which they were made.
    pub checks: Vec<Check>,
    /// Every row in the index.
    pub rows: HashMap<Tid, u32>,
}

impl Report {
    /// Whether all is well.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }

    /// Adds a check: passed when `faults` is empty.
    pub fn add(&mut self, name: &'static str, seen: String, faults: &Faults) {
        let passed = faults.count == 0;
        let detail = match (passed, faults.count) {
            (true, _) => seen,
            (false, 1) => faults.first.clone(),
            (false, n) => format!("{} (and {} more)", faults.first, n - 1),
        };
        self.checks.push(Check { name, passed, detail });
    }

    /// Compares with the rows that a scan of the table has seen and that must be indexed.
    pub fn compare_heap(&mut self, heap: &HashSet<Tid>) {
        let mut faults = Faults::default();
        for tid in heap {
            match self.rows.get(tid) {
                Some(1) => {}
                Some(n) => faults.push(|| format!("row {} is in the index {n} times", show(*tid))),
                None => faults.push(|| format!("row {} of the table is not in the index", show(*tid))),
            }
        }
        self.add("heap", format!("{} rows of the table, each once in the index", heap.len()), &faults);
    }
}

/// What is wrong: the first and how many.
#[derive(Debug, Default)]
pub struct Faults {
    first: String,
    count: u64,
}

impl Faults {
    /// One more.
    pub fn push(&mut self, what: impl FnOnce() -> String) {
        if self.count == 0 {
            self.first = what();
        }
        self.count += 1;
    }
}

pub(crate) fn show(tid: Tid) -> String {
    format!("({},{})", tid >> 16, tid & 0xFFFF)
}
