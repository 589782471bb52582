//! The result of a verification.

use crate::memory::{filled, push};
use crate::page::Tid;
use crate::{Result, Space};

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Its name, which is the same in every version.
    pub name: &'static str,
    /// Whether there was no fault.
    pub passed: bool,
    /// What was checked, or the first fault and the number of faults.
    pub detail: String,
}

/// Values inserted since an index was built for which its codes are too coarse to order their neighbours.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Misfits {
    /// Number of them.
    pub count: u32,
    /// Number of values in the index.
    pub of: u64,
}

impl Misfits {
    /// Whether recall suffers: there are more than ten of them, and more than one value in a hundred is one.
    pub fn are_many(&self) -> bool {
        self.count > 10 && 100 * u64::from(self.count) > self.of
    }
}

/// The checks of an index and what it holds, as far as it could be read.
#[derive(Debug, Default)]
pub struct Report {
    /// The checks, in the order in which they were made.
    pub checks: Vec<Check>,
    /// Every row in the index; sorted once the verification has ended.
    pub rows: Tids,
    /// How well codes fit what was inserted.
    pub misfits: Misfits,
}

impl Report {
    /// Whether all checks passed.
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

    /// Adds the check of codes, which always passes: an index whose codes do not fit is sound, but its recall is poor. Readers of
    /// [`Self::misfits`] can warn.
    pub(crate) fn add_codes(&mut self, space: &Space, is_centred: bool, misfits: Misfits) {
        let around = if is_centred { " around a centre" } else { "" };
        let advice = if misfits.are_many() { ": REINDEX" } else { "" };
        let Misfits { count, of } = misfits;
        let seen = format!("{}{around}, too coarse for {count} of {of} values{advice}", space.form.name());
        self.add("codes", seen, &Faults::default());
        self.misfits = misfits;
    }

    /// Sorts the rows and checks that none comes twice.
    pub(crate) fn check_rows(&mut self, poll: &dyn Fn() -> Result<()>) -> Result<()> {
        self.rows.sort(poll)?;
        let (mut faults, mut count) = (Faults::default(), 0u64);
        for stretch in self.rows.0.chunk_by(|a, b| a == b) {
            if count.is_multiple_of(RUN as u64) {
                poll()?;
            }
            count += 1;
            if let [tid, _, ..] = stretch {
                faults.push(|| format!("row {} is in the index {} times", show(*tid), stretch.len()));
            }
        }
        self.add("rows", format!("{count} rows"), &faults);
        Ok(())
    }

    /// Compares the rows with those that a scan of the table has seen and that must be indexed.
    pub fn compare_heap(&mut self, mut heap: Tids, poll: &dyn Fn() -> Result<()>) -> Result<()> {
        heap.sort(poll)?;
        let mut faults = Faults::default();
        let mut index = &self.rows.0[..];
        for (i, tid) in heap.0.iter().enumerate() {
            if i.is_multiple_of(RUN) {
                poll()?;
            }
            while index.first().is_some_and(|other| other < tid) {
                index = &index[1..];
            }
            match index.iter().take_while(|other| *other == tid).count() {
                1 => {}
                0 => faults.push(|| format!("row {} of the table is not in the index", show(*tid))),
                n => faults.push(|| format!("row {} is in the index {n} times", show(*tid))),
            }
        }
        self.add("heap", format!("{} rows of the table, each once in the index", heap.len()), &faults);
        Ok(())
    }
}

/// Rows that are sorted or compared between two checks for a cancel.
const RUN: usize = 1 << 16;

/// Rows in a number that grows with the table.
#[derive(Debug, Default)]
pub struct Tids(Vec<Tid>);

impl Tids {
    /// Adds a row.
    pub fn push(&mut self, tid: Tid) -> Result<()> {
        push(&mut self.0, tid)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = Tid> + '_ {
        self.0.iter().copied()
    }

    /// Sorts the rows: runs first, which are then merged.
    fn sort(&mut self, poll: &dyn Fn() -> Result<()>) -> Result<()> {
        for run in self.0.chunks_mut(RUN) {
            poll()?;
            run.sort_unstable();
        }
        let (mut width, len) = (RUN, self.0.len());
        if width >= len {
            return Ok(());
        }
        let mut merged = filled(0, len, poll)?;
        while width < len {
            for (from, to) in self.0.chunks(2 * width).zip(merged.chunks_mut(2 * width)) {
                let (a, b) = from.split_at(width.min(from.len()));
                merge(a, b, to, poll)?;
            }
            std::mem::swap(&mut self.0, &mut merged);
            width *= 2;
        }
        Ok(())
    }
}

fn merge<'a>(mut a: &'a [Tid], mut b: &'a [Tid], to: &mut [Tid], poll: &dyn Fn() -> Result<()>) -> Result<()> {
    for (i, place) in to.iter_mut().enumerate() {
        if i.is_multiple_of(RUN) {
            poll()?;
        }
        let next = if b.first().is_none_or(|y| a.first().is_some_and(|x| x <= y)) { &mut a } else { &mut b };
        if let Some((first, rest)) = next.split_first() {
            (*place, *next) = (*first, rest);
        }
    }
    Ok(())
}

/// Faults: a text for the first one, and their number.
#[derive(Debug, Default)]
pub struct Faults {
    first: String,
    count: u64,
}

impl Faults {
    /// Adds a fault.
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tests::Random;

    fn sorted(tids: Vec<Tid>) -> Vec<Tid> {
        let mut tids = Tids(tids);
        tids.sort(&|| Ok(())).unwrap();
        tids.0
    }

    #[test]
    fn rows_are_put_in_order_however_many_they_are() {
        let mut random = Random::new(3);
        for len in [0, 1, RUN - 1, RUN, RUN + 1, 2 * RUN + 7, 5 * RUN, 7 * RUN + 3] {
            let tids: Vec<Tid> = (0..len).map(|_| random.next() >> 40).collect();
            let mut expected = tids.clone();
            expected.sort_unstable();
            assert_eq!(sorted(tids), expected, "{len}");
        }
    }

    #[test]
    fn misfits_are_many_when_they_are_more_than_ten_and_more_than_one_in_a_hundred() {
        let are_many = |count, of| Misfits { count, of }.are_many();
        assert!(are_many(11, 1099) && !are_many(11, 1100) && !are_many(10, 20) && are_many(u32::MAX, 0));
    }

    #[test]
    fn what_is_missing_and_what_comes_twice_is_reported() {
        let details = |rows: &[Tid], heap: &[Tid]| {
            let mut report = Report { rows: Tids(rows.to_vec()), ..Report::default() };
            report.check_rows(&|| Ok(())).unwrap();
            report.compare_heap(Tids(heap.to_vec()), &|| Ok(())).unwrap();
            report.checks.iter().map(|check| check.detail.clone()).collect::<Vec<_>>()
        };
        assert_eq!(details(&[2, 1], &[1, 2]), ["2 rows", "2 rows of the table, each once in the index"]);
        assert_eq!(details(&[3, 1], &[2, 1]), ["2 rows", "row (0,2) of the table is not in the index"]);
        assert_eq!(details(&[1, 2, 1], &[1]), ["row (0,1) is in the index 2 times"; 2]);
    }
}
