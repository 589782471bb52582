//! Building an index: sample, train, assign, write.
//!
//! 1. The caller samples rows: [`Builder::draw`] decides which go to [`Builder::sample`].
//! 2. [`Builder::train`] ends the sampling, and threads find the centres.
//! 3. Every row is pushed, and threads find its list.
//! 4. [`Builder::flush`] writes the lists, one after the other.
//!
//! This crate starts no thread. The glue (with signals blocked) and tests do, and have each thread run [`Job::work`]. Without
//! threads the caller calls [`Builder::work_here`].

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::ivf::flush;
use crate::ivf::format::{MAX_ROWS, Meta};
use crate::ivf::kmeans::{self, Assigning, Codes, Step, Training, in_order};
use crate::ivf::rows::{Pending, Rows};
use crate::memory::{filled, reserved, room};
use crate::pace::Pace;
use crate::page::Tid;
use crate::random::Random;
use crate::store::PageStore;
use crate::{Coder, Error, Method, Result};

pub use crate::ivf::kmeans::{required_memory, samples};
pub use crate::memory::Memory;

/// Minimum number of rows for which codes are checked.
const FEW: usize = 1000;
/// Number of rows whose codes are checked, of which one in so many may be a misfit.
const ASKED: usize = 300;
const MISFITS: usize = 100;
/// Maximum number of rows of its list with which each is compared, and how many of them count as near.
const MOST: usize = 10_000;
const NEAR: usize = 64;
/// Approximate number of distances that a worker computes at a time: a millisecond or two.
const BATCH: usize = 1 << 16;

struct Queue {
    /// Set until there are centres.
    training: Option<Arc<Training>>,
    step: Step,
    /// Units of the step.
    units: Range<u32>,
    units_done: u32,
    /// Numbers of rows that were published, taken by threads, and assigned.
    published: u32,
    taken: u32,
    done: u32,
    closed: bool,
}

enum Work {
    Train(Arc<Training>, Step, u32),
    Assign(Range<u32>),
}

/// Until when a thread works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// Until nothing is to be done right now.
    Idle,
    /// Until the centres are known.
    Trained,
    /// Until no row is left and none will come.
    Closed,
}

/// The part of a build that its threads share.
pub struct Job {
    assigning: Assigning,
    rows: Rows,
    centres: OnceLock<Codes>,
    queue: Mutex<Queue>,
    changed: Condvar,
    cancelled: AtomicBool,
}

impl Job {
    /// Trains until the centres are known. Each worker thread runs this, then [`Self::work`].
    pub fn train(&self) -> Result<()> {
        self.run_all(Until::Trained)
    }

    /// Trains and then finds the lists of rows, until the feeder has finished and nothing is left. Each worker thread runs this.
    pub fn work(&self) -> Result<()> {
        self.run_all(Until::Closed)
    }

    fn run_all(&self, until: Until) -> Result<()> {
        let check = || self.check();
        let pace = Pace::new(&check);
        while let Some(work) = self.next_work(until) {
            self.run(work, &pace)?;
        }
        self.check()
    }

    fn check(&self) -> Result<()> {
        if self.cancelled.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Makes every worker return within milliseconds.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Whether the centres are known.
    pub fn is_trained(&self) -> bool {
        self.centres.get().is_some()
    }

    /// Whether all rows have their list and no more will be pushed.
    pub fn is_done(&self) -> bool {
        let queue = self.lock();
        queue.closed && queue.done == queue.published && self.is_trained()
    }

    /// Rows that have their list.
    pub fn done(&self) -> u32 {
        self.lock().done
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_work(&self, until: Until) -> Option<Work> {
        let mut guard = self.lock();
        loop {
            if self.cancelled.load(Ordering::Relaxed) {
                return None;
            }
            let queue = &mut *guard;
            if let Some(training) = &queue.training {
                let unit = queue.units.start;
                if unit < queue.units.end && (queue.step.is_parallel() || unit == queue.units_done) {
                    queue.units.start += 1;
                    return Some(Work::Train(training.clone(), queue.step, unit));
                }
            } else if let Some(centres) = self.centres.get() {
                if until == Until::Trained {
                    return None;
                }
                if queue.taken < queue.published {
                    let chunk = self.rows.chunk_rows() as u32;
                    let batch = (BATCH / centres.len()).clamp(1, 1024) as u32;
                    let from = queue.taken;
                    let end = (u64::from(from / chunk) + 1) * u64::from(chunk); // of the chunk
                    let to = u64::from(queue.published).min(end).min(u64::from(from) + u64::from(batch)) as u32;
                    queue.taken = to;
                    return Some(Work::Assign(from..to));
                }
                if queue.closed {
                    return None;
                }
            }
            if until == Until::Idle {
                return None;
            }
            guard = self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn run(&self, work: Work, pace: &Pace<'_>) -> Result<()> {
        match work {
            Work::Train(training, step, unit) => {
                training.run(step, unit, pace)?;
                let mut queue = self.lock();
                queue.units_done += 1;
                if queue.units_done == queue.units.end {
                    self.next_step(&mut queue, &training);
                }
            }
            Work::Assign(rows) => {
                let Some(centres) = self.centres.get() else { return Ok(()) };
                let count = rows.len() as u32;
                self.rows.assign(rows, |code| {
                    self.check()?;
                    centres.nearest(|a, b| self.assigning.distance(a, b), code, pace).map(|(list, _)| list)
                })?;
                self.lock().done += count;
            }
        }
        Ok(())
    }

    fn next_step(&self, queue: &mut Queue, training: &Training) {
        queue.units_done = 0;
        match training.after(queue.step) {
            Some((step, units)) => (queue.step, queue.units) = (step, 0..units),
            None => {
                let _ = self.centres.set(training.take_centres());
                queue.training = None;
            }
        }
        self.changed.notify_all();
    }
}

/// The feeder's side of a build.
pub struct Builder {
    coder: Coder,
    meta: Meta,
    job: Arc<Job>,
    random: Random,
    /// Codes.
    samples: Vec<u32>,
    /// Number of rows from which the sample was drawn.
    seen: u64,
    /// Number of rows to sample.
    wanted: usize,
    pending: Pending,
    memory: Memory,
    fed: u32,
}

impl Builder {
    /// Begins a build of codes that `coder` makes, in 1..=[`MAX_LISTS`](crate::ivf::format::MAX_LISTS) lists. `samples` is
    /// how many rows to sample: [`samples`], or fewer if the table has fewer. Their memory ([`required_memory`]) is not
    /// counted in `memory`, for it is freed before rows come.
    pub fn new(coder: Coder, lists: u32, memory: Memory, samples: usize, seed: u64) -> Result<Self> {
        let meta = Meta::new(&coder, lists);
        if !meta.is_possible() {
            return Err(Error::UnsupportedType(Method::Ivfflat));
        }
        let queue = Queue {
            training: None,
            step: Step::Seed,
            units: 0..0,
            units_done: 0,
            published: 0,
            taken: 0,
            done: 0,
            closed: false,
        };
        let job = Job {
            assigning: Assigning::new(&coder),
            rows: Rows::new(meta.geometry().words()),
            centres: OnceLock::new(),
            queue: Mutex::new(queue),
            changed: Condvar::new(),
            cancelled: AtomicBool::new(false),
        };
        Ok(Self {
            coder,
            meta,
            job: Arc::new(job),
            random: Random(seed),
            samples: Vec::new(),
            seen: 0,
            wanted: samples.max(1),
            pending: Pending::default(),
            memory,
            fed: 0,
        })
    }

    /// The job that worker threads run.
    pub fn job(&self) -> Arc<Job> {
        self.job.clone()
    }

    /// Decides whether the next row becomes part of the sample (each with the same probability), and returns its place for
    /// [`Self::sample`].
    pub fn draw(&mut self) -> Option<usize> {
        self.seen += 1;
        let words = self.meta.geometry().words();
        let len = self.samples.len() / words;
        let place = if len < self.wanted { len } else { self.random.below(self.seen) as usize };
        (place < self.wanted).then_some(place)
    }

    /// Stores the [code](crate::Coder::encode) of a row that was [drawn](Self::draw).
    pub fn sample(&mut self, place: usize, code: &[u32]) -> Result<()> {
        let words = self.words(code)?;
        match self.samples.get_mut(place * words..(place + 1) * words) {
            Some(old) => old.copy_from_slice(code),
            None => {
                if self.samples.capacity() - self.samples.len() < words {
                    // Twice as much each time, but no more than there will be.
                    let len = self.samples.len();
                    let more = len.max(1024 * words).min((self.wanted * words).saturating_sub(len)).max(words);
                    reserved(self.samples.try_reserve_exact(more))?;
                }
                self.samples.extend_from_slice(code);
            }
        }
        Ok(())
    }

    /// Words of a code, which all codes have.
    fn words(&self, code: &[u32]) -> Result<usize> {
        match self.meta.geometry().words() {
            words if words == code.len() => Ok(words),
            _ => Err(Error::Store("a code of another length")),
        }
    }

    /// Number of rows in the sample.
    pub fn sampled(&self) -> usize {
        self.samples.len() / self.meta.geometry().words()
    }

    /// Ends sampling: workers train now, until [`Job::is_trained`]. The caller calls this once, whether there are samples or not.
    /// `poll` is called now and then, and ends this by an error.
    pub fn train(&mut self, poll: &dyn Fn() -> Result<()>) -> Result<()> {
        self.memory.count(self.meta.lists as usize * self.meta.geometry().code_bytes); // the centres, which stay in memory
        let (samples, seed) = (std::mem::take(&mut self.samples), self.random.next());
        let training = Training::new(self.coder.clone(), self.meta.lists, samples, seed, &Pace::new(poll))?;
        let mut queue = self.job.lock();
        let (step, units) = training.first();
        (queue.step, queue.units) = (step, 0..units);
        queue.training = Some(Arc::new(training));
        self.job.changed.notify_all();
        Ok(())
    }

    /// Adds a row with its [code](crate::Coder::encode).
    pub fn push(&mut self, code: &[u32], tid: Tid) -> Result<()> {
        if self.fed == MAX_ROWS {
            return Err(Error::TooManyElements { max: MAX_ROWS });
        }
        self.words(code)?;
        self.pending.push(&self.job.rows, code, tid, &mut self.memory)?;
        self.memory.count(size_of::<u32>()); // the order of rows for the disk
        self.fed += 1;
        if self.pending.len == self.job.rows.chunk_rows() {
            self.publish();
        }
        Ok(())
    }

    /// Number of rows so far.
    pub fn fed(&self) -> u32 {
        self.fed
    }

    /// Bytes of memory in use, without the temporary file and without the memory of the training.
    pub fn memory(&self) -> usize {
        self.memory.used()
    }

    /// Whether memory is full, so that further rows go to the temporary file.
    pub fn is_spilled(&self) -> bool {
        self.memory.is_spilled()
    }

    /// Does some work on this thread, for builds without workers. Returns whether there was any. `poll` is called now and
    /// then, and ends the build by an error.
    pub fn work_here(&mut self, poll: &dyn Fn() -> Result<()>) -> Result<bool> {
        match self.job.next_work(Until::Idle) {
            Some(work) => self.job.run(work, &Pace::new(poll)).map(|()| true),
            None => Ok(false),
        }
    }

    fn publish(&mut self) {
        let mut queue = self.job.lock();
        self.pending.publish(&self.job.rows);
        queue.published = self.fed;
        self.job.changed.notify_all();
    }

    /// Ends the input: workers return when all rows have their list.
    pub fn close(&mut self) {
        self.publish();
        self.job.lock().closed = true;
        self.job.changed.notify_all();
    }

    /// Whether the codes of a finished build are fine enough for rows that lie as near to each other as these do: some are
    /// checked, each against the rows of its list. If not, the caller builds again with the next
    /// [finer](crate::Coder::finer) codes.
    pub fn fits(&self, poll: &dyn Fn() -> Result<()>) -> Result<bool> {
        let (lists, count) = (self.meta.lists as usize, self.fed as usize);
        if self.meta.space.is_exact() || count < FEW {
            return Ok(true);
        }
        let pace = Pace::new(poll);
        let (order, starts) = in_order(lists, count, self.job.rows.lists(self.fed), poll)?;
        let mut misfits = 0;
        for asked in 0..ASKED {
            let at = asked * count / ASKED;
            let list = starts.partition_point(|start| *start as usize <= at) - 1;
            let members = &order[starts[list] as usize..starts[list + 1] as usize];
            misfits += usize::from(!self.fits_among(order[at], members, &pace)?);
        }
        Ok(misfits * MISFITS <= ASKED)
    }

    /// Whether the code of a row can order the nearest of others.
    fn fits_among(&self, row: u32, members: &[u32], pace: &Pace<'_>) -> Result<bool> {
        let (rows, space) = (&self.job.rows, &self.meta.space);
        let Some(code) = rows.row(row, |code, _| code.to_vec()) else { return Ok(true) };
        let (measure, step) = (space.measure(), members.len().div_ceil(MOST));
        let mut near = room(members.len().div_ceil(step))?;
        for member in members.iter().step_by(step) {
            pace.spend(4 * code.len())?;
            let distance = rows.row(*member, |other, _| (other != code).then(|| measure.distance(&code, other)));
            near.extend(distance.flatten());
        }
        if near.len() > NEAR {
            near.select_nth_unstable_by(NEAR, f32::total_cmp);
            near.truncate(NEAR);
        }
        near.sort_unstable_by(f32::total_cmp);
        Ok(space.fits(&code, &near))
    }

    /// Writes a finished build into an empty store. Nothing else may use the store meanwhile. `progress` is called with the
    /// number of rows that are written.
    pub fn flush<S: PageStore>(&self, store: &S, progress: impl FnMut(u32)) -> Result<()> {
        match self.job.centres.get() {
            Some(centres) if self.job.is_done() => {
                flush::write(&self.meta, &self.coder, centres, &self.job.rows, self.fed, store, progress)
            }
            _ => Err(Error::Cancelled),
        }
    }
}

/// Writes an index of random centres and no rows into an empty store.
pub fn write_empty<S: PageStore>(coder: &Coder, lists: u32, store: &S, seed: u64) -> Result<()> {
    let meta = Meta::new(coder, lists);
    if !meta.is_possible() {
        return Err(Error::UnsupportedType(Method::Ivfflat));
    }
    let mut random = Random(seed);
    let words = meta.geometry().words();
    let mut codes = filled(0, meta.lists as usize * words, || store.poll())?;
    for code in codes.chunks_exact_mut(words) {
        store.poll()?;
        code.copy_from_slice(&kmeans::random_centre(coder, &mut random)?);
    }
    flush::write(&meta, coder, &Codes { words, codes }, &Rows::new(words), 0, store, |_| ())
}
