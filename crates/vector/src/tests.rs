//! Data for tests, and a store where things happen at a bad moment.

pub mod kinds;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::distance::sparse::Sparse;
use crate::mem::{MemLock, MemPage, MemPages, MemRecord};
use crate::memory::Memory;
use crate::page::{Part, Tid};
use crate::report::Tids;
use crate::space::{Form, Value};
use crate::store::{Interlock, Mode, PageStore, Values};
use crate::{Error, Metric, Result, Space, distance};

/// Numbers from a seed: levels of base 2 are random bits enough, but a plain generator is clearer.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// In -1..1.
    pub fn float(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn vector(&mut self, dimensions: usize) -> Vec<f32> {
        (0..dimensions).map(|_| self.float()).collect()
    }
}

/// Vectors around a few hundred centres, as embeddings lie.
pub fn clustered(count: usize, dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    clustered_within(0.6, count, dimensions, seed)
}

/// No farther than `spread` from their centre in any dimension.
pub fn clustered_within(spread: f32, count: usize, dimensions: usize, seed: u64) -> Vec<Vec<f32>> {
    let mut random = Random::new(dimensions as u64); // the same centres whatever the seed
    let centres: Vec<Vec<f32>> = (0..200).map(|_| random.vector(dimensions)).collect();
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| {
            let centre = &centres[random.next() as usize % centres.len()];
            centre.iter().map(|x| x + spread * random.float()).collect()
        })
        .collect()
}

/// Dense vectors in codes as most data have them: of bytes, if they are quantised.
pub fn dense(metric: crate::Metric, dimensions: usize) -> Space {
    let space = Space::new(crate::space::Element::Dense, metric, dimensions);
    if space.is_quantised() { space.with_form(Form::Quantised) } else { space }
}

/// The code of a vector; a sparse one has what is above zero, bits are the signs.
pub fn code(space: &Space, vector: &[f32]) -> Vec<u32> {
    encoded(&crate::Coder::plain(*space), vector)
}

/// As [`code`], of an index that has learnt something.
pub fn encoded(coder: &crate::Coder, vector: &[f32]) -> Vec<u32> {
    let code = match coder.space.form {
        Form::Floats | Form::Quantised | Form::Fine => coder.encode(Value::Dense(vector)),
        Form::Sparse => {
            let (places, values): (Vec<i32>, Vec<f32>) =
                (0..).zip(vector).filter(|(_, x)| **x > 0.0).map(|(i, x)| (i, *x)).unzip();
            coder.encode(Value::Sparse(Sparse::new(&places, &values)))
        }
        Form::Bits => {
            let bit = |i: usize, x: &f32| u8::from(*x > 0.0) << (i % 8);
            let byte = |chunk: &[f32]| chunk.iter().enumerate().map(|(i, x)| bit(i, x)).sum();
            coder.encode(Value::Bits(&vector.chunks(8).map(byte).collect::<Vec<u8>>()))
        }
    };
    code.unwrap().unwrap()
}

/// What the operator says of two dense vectors.
pub fn operator(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    match metric {
        Metric::L2 => f64::from(distance::l2_squared(a, b)).sqrt(),
        Metric::InnerProduct => -f64::from(distance::inner_product(a, b)),
        Metric::L1 => f64::from(distance::l1(a, b)),
        _ => distance::cosine(a, b).distance(),
    }
}

/// A table of dense vectors, of which a scan sees all, and the query of the scan.
pub struct Table<'a> {
    pub rows: &'a BTreeMap<Tid, Vec<f32>>,
    pub metric: Metric,
    pub query: &'a [f32],
    /// The rows that were asked for.
    pub asked: Vec<Tid>,
}

impl<'a> Table<'a> {
    pub fn new(rows: &'a BTreeMap<Tid, Vec<f32>>, metric: Metric, query: &'a [f32]) -> Self {
        Self { rows, metric, query, asked: Vec::new() }
    }
}

impl Values for Table<'_> {
    fn distance(&mut self, tid: Tid) -> Result<Option<f64>> {
        self.asked.push(tid);
        Ok(self.rows.get(&tid).map(|vector| operator(self.metric, vector, self.query)))
    }
}

/// No table: rows come in the order of their bounds.
pub struct NoTable;

impl Values for NoTable {
    fn distance(&mut self, _: Tid) -> Result<Option<f64>> {
        Ok(Some(f64::NEG_INFINITY))
    }
}

/// Rows by their numbers, from 1.
pub fn numbered(vectors: &[Vec<f32>]) -> BTreeMap<Tid, Vec<f32>> {
    (1..).zip(vectors.iter().cloned()).collect()
}

/// Rows as a verification takes them.
pub fn tids(rows: impl IntoIterator<Item = Tid>) -> Tids {
    let mut tids = Tids::default();
    rows.into_iter().for_each(|tid| tids.push(tid).unwrap());
    tids
}

/// Of which a build may use so much before it spills.
pub fn memory(limit: usize) -> Memory {
    static FILES: AtomicU32 = AtomicU32::new(0);
    let file = FILES.fetch_add(1, Ordering::Relaxed);
    Memory::new(limit, std::env::temp_dir().join(format!("lagoon-build-{}-{file}", std::process::id())))
}

/// A store that runs an event just before each record begins: between what an operation has read and what it writes.
pub struct Eventful<'a, E> {
    pages: &'a MemPages,
    event: RefCell<E>,
}

impl<'a, E: FnMut(&MemPages)> Eventful<'a, E> {
    pub fn new(pages: &'a MemPages, event: E) -> Self {
        Self { pages, event: RefCell::new(event) }
    }
}

impl<E: FnMut(&MemPages)> PageStore for Eventful<'_, E> {
    type Page<'a>
        = MemPage
    where
        Self: 'a;
    type Record<'a>
        = MemRecord<'a>
    where
        Self: 'a;
    type Lock<'a>
        = MemLock<'a>
    where
        Self: 'a;

    fn blocks(&self) -> Result<u32> {
        self.pages.blocks()
    }

    fn read(&self, block: u32) -> Result<MemPage> {
        self.pages.read(block)
    }

    fn read_unlocked(&self, parts: &[Part], f: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        self.pages.read_unlocked(parts, f)
    }

    fn record(&self) -> Result<MemRecord<'_>> {
        self.event.borrow_mut()(self.pages);
        self.pages.record()
    }

    fn extend_to(&self, blocks: u32) -> Result<()> {
        self.pages.extend_to(blocks)
    }

    fn append(&self, page: &[u8]) -> Result<()> {
        self.pages.append(page)
    }

    fn lock(&self, which: Interlock, mode: Mode) -> Result<MemLock<'_>> {
        self.pages.lock(which, mode)
    }

    fn under_memory_pressure(&self) -> bool {
        self.pages.under_memory_pressure()
    }

    fn is_cached(&self, block: u32) -> bool {
        self.pages.is_cached(block)
    }

    fn poll(&self) -> Result<()> {
        self.pages.poll()
    }
}

/// A store that counts how many pages are read or written between two checks for a cancel, and that is cancelled at one of the
/// checks.
pub struct Watched<'a> {
    pages: &'a MemPages,
    checks: Cell<u64>,
    /// The check at which it is cancelled.
    end: u64,
    since: Cell<usize>,
    most: Cell<usize>,
}

impl<'a> Watched<'a> {
    pub fn new(pages: &'a MemPages, end: u64) -> Self {
        Self { pages, checks: Cell::new(0), end, since: Cell::new(0), most: Cell::new(0) }
    }

    /// Number of checks.
    pub fn checks(&self) -> u64 {
        self.checks.get()
    }

    /// Maximum number of pages between two checks.
    pub fn most(&self) -> usize {
        self.most.get()
    }

    fn count(&self, pages: usize) {
        self.since.set(self.since.get() + pages);
        self.most.set(self.most.get().max(self.since.get()));
    }
}

impl PageStore for Watched<'_> {
    type Page<'a>
        = MemPage
    where
        Self: 'a;
    type Record<'a>
        = MemRecord<'a>
    where
        Self: 'a;
    type Lock<'a>
        = MemLock<'a>
    where
        Self: 'a;

    fn blocks(&self) -> Result<u32> {
        self.pages.blocks()
    }

    fn read(&self, block: u32) -> Result<MemPage> {
        self.count(1);
        self.pages.read(block)
    }

    fn read_unlocked(&self, parts: &[Part], f: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        self.count(parts.len());
        self.pages.read_unlocked(parts, f)
    }

    fn record(&self) -> Result<MemRecord<'_>> {
        self.count(1);
        self.pages.record()
    }

    fn extend_to(&self, blocks: u32) -> Result<()> {
        self.pages.extend_to(blocks)
    }

    fn append(&self, page: &[u8]) -> Result<()> {
        self.count(1);
        self.pages.append(page)
    }

    fn lock(&self, which: Interlock, mode: Mode) -> Result<MemLock<'_>> {
        self.pages.lock(which, mode)
    }

    fn under_memory_pressure(&self) -> bool {
        self.pages.under_memory_pressure()
    }

    fn is_cached(&self, block: u32) -> bool {
        self.pages.is_cached(block)
    }

    fn poll(&self) -> Result<()> {
        self.checks.set(self.checks.get() + 1);
        self.since.set(0);
        if self.checks.get() == self.end { Err(Error::Cancelled) } else { Ok(()) }
    }
}
