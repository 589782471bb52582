//! Scans of an index: the rows of the lists nearest to a query, nearest first.
//!
//! A scan reads its lists and keeps the nearest rows that fit into its memory. When these are used up and there were more, it
//! reads the lists again and keeps the nearest beyond the last one that it has used: rows stay on their pages in the same
//! order of distance and number, so that none is lost and none comes twice, whatever else happens to the index.
//!
//! If codes are not exact, that order is one of lower bounds. The scan then asks the table for the distances of the values, and a
//! row is returned once no [bound](crate::Coder::bounds) that is left lies below its distance. Rows of one code have one value, and
//! of those only the first is read.

use crate::ivf::format::NONE;
use crate::ivf::lists::Lists;
use crate::memory::{push, reserved};
use crate::page::Tid;
use crate::queue::Queue;
use crate::store::{PageStore, Values};
use crate::{Coder, Result};

pub use crate::page::Hit;

/// Number of rows that are sorted first; later runs are longer.
const FIRST: usize = 32;
/// Minimum number of rows that a scan keeps, whatever its memory, and maximum: sorting more takes too long at a time.
const LEAST: usize = 64;
const MOST: usize = 1 << 20;
/// Number of rows that are sorted at a time.
const STEP: usize = 1 << 16;

/// Limits of a scan.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Number of lists that are read at a time. Empty ones do not count.
    pub probes: usize,
    /// Number of lists that an iterative scan reads in all, at least `probes`.
    pub max_probes: usize,
    /// Whether the scan goes on with further lists when their rows are used up (pgvector's `relaxed_order`).
    pub iterative: bool,
    /// Approximate bytes for rows: beyond it lists are read several times.
    pub max_memory: usize,
}

/// A scan under way. No lock is held between calls, so it may pause for any time.
pub struct Scan {
    coder: Coder,
    /// The code of the query.
    query: Vec<u32>,
    limits: Limits,
    /// Where its lists begin, nearest first, once the scan has begun.
    lists: Option<Vec<u32>>,
    /// How many of them are done or being returned.
    read: usize,
    /// Of these, where the round began.
    round: usize,
    rows: Nearest,
    /// Rows that were taken, by their values, with their distances.
    measured: Queue<Vec<Tid>>,
    /// The rows of one value that are being returned, and their distance.
    due: std::vec::IntoIter<Tid>,
    distance: f64,
    passes: u32,
}

impl Scan {
    /// For the [code](Coder::encode) of a query; [`Coder::origin`] where there is nothing to compare with. `coder` is that of the
    /// index.
    pub fn new(coder: Coder, query: Vec<u32>, limits: Limits) -> Self {
        // Twice: while they are put in order some are in two places.
        let rows = Nearest::new((limits.max_memory / (2 * size_of::<Row>())).clamp(LEAST, MOST));
        Self {
            coder,
            query,
            limits,
            lists: None,
            read: 0,
            round: 0,
            rows,
            measured: Queue::new(),
            due: Vec::new().into_iter(),
            distance: f64::NEG_INFINITY,
            passes: 0,
        }
    }

    /// The next row. `values` are not asked for where codes are exact.
    pub fn next<S: PageStore>(&mut self, store: &S, values: &mut impl Values) -> Result<Option<Hit>> {
        loop {
            if let Some(tid) = self.due.next() {
                return Ok(Some(Hit { distance: self.distance, tid }));
            }
            if let Some((distance, tids)) = self.measured.pop_within(self.rows.bound()?) {
                (self.distance, self.due) = (distance, tids.into_iter());
                continue;
            }
            match self.rows.pop()? {
                Some(Row { bound, tid, .. }) if self.coder.space.is_exact() => {
                    return Ok(Some(Hit { distance: bound, tid }));
                }
                Some(row) => self.measure(store, values, row)?,
                None => {
                    if !self.more(store)? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Asks for the distance of a row and of those that have the same code: the first that is seen tells that of those after it.
    fn measure<S: PageStore>(&mut self, store: &S, values: &mut impl Values, first: Row) -> Result<()> {
        let (mut tids, mut distance, mut next) = (Vec::new(), None, Some(first));
        while let Some(row) = next {
            store.poll()?;
            if distance.is_none() {
                distance = values.distance(row.tid)?;
            }
            if distance.is_some() {
                push(&mut tids, row.tid)?;
            }
            next = self.rows.pop_equal(&first)?;
        }
        distance.map_or(Ok(()), |distance| self.measured.push(distance, tids))
    }

    /// Number of passes over lists, some of which were read again.
    pub fn passes(&self) -> u32 {
        self.passes
    }

    fn more<S: PageStore>(&mut self, store: &S) -> Result<bool> {
        let index = Lists::open(store)?;
        let Limits { probes, max_probes, iterative, .. } = self.limits;
        let lists = match &mut self.lists {
            Some(lists) => lists,
            None => {
                let count = if iterative { max_probes.max(probes) } else { probes };
                self.lists.insert(index.rank(&self.query, count.max(1))?)
            }
        };
        if self.rows.is_cut() {
            self.rows.again();
        } else if self.read < lists.len() {
            self.round = self.read;
            self.read = lists.len().min(self.read + probes.max(1));
            self.rows.begin();
        } else {
            return Ok(false);
        }
        self.passes += 1;
        let (bounds, space) = (self.coder.bounds(&self.query), self.coder.space);
        for first in &lists[self.round..self.read] {
            let mut block = *first;
            let mut chain = index.chain()?;
            while block != NONE {
                store.poll()?;
                chain(block)?;
                self.rows.make_room(index.geometry.entries)?;
                block = index.each(block, |code, tid| {
                    self.rows.offer(Row { bound: bounds.ends(code).0, code: space.fingerprint(code), tid });
                })?;
            }
        }
        Ok(true)
    }
}

/// A row of a list.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// What its distance is at least; the distance where codes are exact.
    bound: f64,
    /// Of its code.
    code: u64,
    tid: Tid,
}

/// Rows of one code lie together.
fn order(a: &Row, b: &Row) -> std::cmp::Ordering {
    a.bound.total_cmp(&b.bound).then(a.code.cmp(&b.code)).then(a.tid.cmp(&b.tid))
}

/// The nearest of the rows that were offered, as many as fit, sorted as far as they were asked for.
struct Nearest {
    capacity: usize,
    /// Rows beyond this one come in another pass: the farthest of those kept when there were too many.
    limit: Option<Row>,
    /// The last that was taken: nothing up to it is kept any more.
    last: Option<Row>,
    kept: Vec<Row>,
    /// The nearest of them, farthest first.
    ready: Vec<Row>,
    /// How many to make ready next.
    step: usize,
}

impl Nearest {
    fn new(capacity: usize) -> Self {
        Self { capacity, limit: None, last: None, kept: Vec::new(), ready: Vec::new(), step: FIRST }
    }

    /// For other lists.
    fn begin(&mut self) {
        self.again();
        self.last = None;
    }

    /// For the same lists, beyond the last that was taken.
    fn again(&mut self) {
        self.limit = None;
        self.step = FIRST;
    }

    /// Whether rows were left out.
    fn is_cut(&self) -> bool {
        self.limit.is_some()
    }

    #[inline]
    fn offer(&mut self, row: Row) {
        if self.limit.is_some_and(|limit| order(&row, &limit).is_gt())
            || self.last.is_some_and(|last| order(&row, &last).is_le())
        {
            return;
        }
        if self.kept.len() == self.capacity {
            let half = self.capacity / 2;
            self.kept.select_nth_unstable_by(half, order);
            self.kept.truncate(half + 1);
            self.limit = self.kept.last().copied();
            if self.limit.is_some_and(|limit| order(&row, &limit).is_gt()) {
                return;
            }
        }
        self.kept.push(row);
    }

    /// For so many that are going to be offered: twice as much each time, but no more than will be kept.
    fn make_room(&mut self, count: usize) -> Result<()> {
        let len = self.kept.len();
        let wanted = self.capacity.min(len + count);
        if wanted > self.kept.capacity() {
            reserved(self.kept.try_reserve_exact(wanted.max(2 * len).min(self.capacity) - len))?;
        }
        Ok(())
    }

    /// What the distances of rows that were not taken yet are at least; None: there are none.
    fn bound(&mut self) -> Result<Option<f64>> {
        self.prepare()?;
        let next = self.ready.last().or(self.last.as_ref().filter(|_| self.is_cut()));
        Ok(next.map(|row| row.bound))
    }

    fn pop(&mut self) -> Result<Option<Row>> {
        self.prepare()?;
        let row = self.ready.pop();
        self.last = row.or(self.last);
        Ok(row)
    }

    /// Takes the next one if it has the code of another, which was taken.
    fn pop_equal(&mut self, other: &Row) -> Result<Option<Row>> {
        self.prepare()?;
        let is_equal = |row: &Row| row.code == other.code && row.bound == other.bound;
        if self.ready.last().is_some_and(is_equal) { self.pop() } else { Ok(None) }
    }

    /// Makes some rows ready, if none is.
    fn prepare(&mut self) -> Result<()> {
        if self.ready.is_empty() && !self.kept.is_empty() {
            let count = self.kept.len();
            let rest = count.saturating_sub(self.step);
            self.step = STEP.min(self.step * 4);
            reserved(self.ready.try_reserve(count - rest))?;
            if rest > 0 {
                self.kept.select_nth_unstable_by(rest, |a, b| order(b, a));
            }
            self.ready.extend(self.kept.drain(rest..));
            self.ready.sort_unstable_by(|a, b| order(b, a));
        }
        Ok(())
    }
}
