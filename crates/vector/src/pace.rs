//! Checking for a cancel after a bounded amount of work.

use std::cell::Cell;

use crate::Result;

/// Approximate bytes of codes whose distances are computed between two checks: some tenths of a millisecond.
const INTERVAL: usize = 1 << 20;

/// Cost of a distance besides the bytes of its code, in bytes.
const EACH: usize = 64;

/// Work that may be done before the next check.
#[derive(Debug)]
pub(crate) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(INTERVAL))
    }
}

impl Budget {
    /// Counts a distance of a code of so many bytes. Returns whether a check is due.
    #[inline]
    pub fn spend(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes + EACH);
        self.0.set(left.unwrap_or(INTERVAL));
        left.is_none()
    }
}

/// A budget, and the check that is made whenever it is used up.
pub(crate) struct Pace<'a> {
    check: &'a dyn Fn() -> Result<()>,
    budget: Budget,
}

impl<'a> Pace<'a> {
    /// `check` returns an error after a cancel.
    pub fn new(check: &'a dyn Fn() -> Result<()>) -> Self {
        Self { check, budget: Budget::default() }
    }

    /// Counts a distance of a code of so many bytes, which the caller computes before or after this.
    #[inline]
    pub fn spend(&self, bytes: usize) -> Result<()> {
        if self.budget.spend(bytes) { (self.check)() } else { Ok(()) }
    }

    /// Checks now.
    pub fn check(&self) -> Result<()> {
        (self.check)()
    }
}
