//! Scans of an index: the rows of the lists nearest to a query, nearest first.
//!
//! A scan reads its lists and keeps the nearest rows that fit into its memory. When it has returned these and there were more, it
//! reads the lists again and keeps the nearest after the last one returned. The order (distance, code, row identifier) is the
//! same in every pass, so no row is lost and none is returned twice, whatever is inserted or vacuumed meanwhile.
//!
//! If codes are not exact, rows are in the order of lower bounds. The scan then reads values from the table, and returns a
//! row once no remaining [bound](crate::Coder::bounds) lies below its distance. Rows with the same code have the same
//! value, of which only the first is read.

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
    /// Number of lists that have been read.
    read: usize,
    /// The first of the lists that are read together in this pass.
    round: usize,
    rows: Nearest,
    /// Rows whose distances are known, grouped by value.
    measured: Queue<Vec<Tid>>,
    /// The rows of one value that are being returned, and their distance.
    due: std::vec::IntoIter<Tid>,
    distance: f64,
    passes: u32,
}

impl Scan {
    /// A scan for the [code](Coder::encode) of a query, or for [`Coder::origin`] if there is no value to compare with. `coder` is
    /// that of the index.
    pub fn new(coder: Coder, query: Vec<u32>, limits: Limits) -> Self {
        // Twice the size, because some rows are held twice while they are sorted.
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

    /// The next row. `values` is not used if codes are exact.
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

    /// Reads the distance of a row and of those with the same code, from the first of them that the snapshot sees.
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
    /// A lower bound of the distance; the distance if codes are exact.
    bound: f64,
    /// The fingerprint of the code.
    code: u64,
    tid: Tid,
}

/// By bound, then by code, so that rows with the same code are neighbours.
fn order(a: &Row, b: &Row) -> std::cmp::Ordering {
    a.bound.total_cmp(&b.bound).then(a.code.cmp(&b.code)).then(a.tid.cmp(&b.tid))
}

/// The nearest of the rows that were offered, as many as fit, sorted only as far as they have been needed.
struct Nearest {
    capacity: usize,
    /// Rows after this one are left to another pass: the farthest of those kept when there were too many.
    limit: Option<Row>,
    /// The last row that was returned: rows up to it are not kept again.
    last: Option<Row>,
    kept: Vec<Row>,
    /// The nearest of them, farthest first.
    ready: Vec<Row>,
    /// Number of rows to sort next.
    step: usize,
}

impl Nearest {
    fn new(capacity: usize) -> Self {
        Self { capacity, limit: None, last: None, kept: Vec::new(), ready: Vec::new(), step: FIRST }
    }

    /// Begins a pass over other lists.
    fn begin(&mut self) {
        self.again();
        self.last = None;
    }

    /// Begins another pass over the same lists, for the rows after the last one returned.
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

    /// Reserves memory for `count` rows that will be offered. It grows twofold, up to what will be kept.
    fn make_room(&mut self, count: usize) -> Result<()> {
        let len = self.kept.len();
        let wanted = self.capacity.min(len + count);
        if wanted > self.kept.capacity() {
            reserved(self.kept.try_reserve_exact(wanted.max(2 * len).min(self.capacity) - len))?;
        }
        Ok(())
    }

    /// A lower bound of the distances of the remaining rows; None if there are none.
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

    /// Removes and returns the next row if it has the same code as `other`.
    fn pop_equal(&mut self, other: &Row) -> Result<Option<Row>> {
        self.prepare()?;
        let is_equal = |row: &Row| row.code == other.code && row.bound == other.bound;
        if self.ready.last().is_some_and(is_equal) { self.pop() } else { Ok(None) }
    }

    /// Sorts some more rows into `ready` if it is empty.
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
