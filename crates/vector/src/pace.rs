//! Looking at whether to go on, after so much work and no more.

use std::cell::Cell;

use crate::Result;

/// Bytes of codes that are measured between two looks, about: some tenths of a millisecond.
const INTERVAL: usize = 1 << 20;

/// What measuring a code takes besides its bytes.
const EACH: usize = 64;

/// Work that may be done before the next look.
#[derive(Debug)]
pub(crate) struct Budget(Cell<usize>);

impl Default for Budget {
    fn default() -> Self {
        Self(Cell::new(INTERVAL))
    }
}

impl Budget {
    /// Spends what measuring a code of so many bytes takes. Whether it is time to look.
    #[inline]
    pub fn spend(&self, bytes: usize) -> bool {
        let left = self.0.get().checked_sub(bytes + EACH);
        self.0.set(left.unwrap_or(INTERVAL));
        left.is_none()
    }
}

/// A budget and whom to ask.
pub(crate) struct Pace<'a> {
    look: &'a dyn Fn() -> Result<()>,
    budget: Budget,
}

impl<'a> Pace<'a> {
    /// `look` says whether to go on, by an error if not.
    pub fn new(look: &'a dyn Fn() -> Result<()>) -> Self {
        Self { look, budget: Budget::default() }
    }

    /// Measures a code of so many bytes, which goes before or after this.
    #[inline]
    pub fn spend(&self, bytes: usize) -> Result<()> {
        if self.budget.spend(bytes) { (self.look)() } else { Ok(()) }
    }

    /// Asks now.
    pub fn look(&self) -> Result<()> {
        (self.look)()
    }
}
