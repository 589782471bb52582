//! `ambuild`: centres of a sample of the table, then every row into the list of its nearest centre. The main thread scans the
//! table and feeds, engine threads measure, and the lists are written out and logged once.

use std::ffi::c_char;
use std::sync::Arc;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, ForkNumber, IndexBuildResult, IndexInfo, Relation};

use lagoon_vector::ivf::build::{Builder, Job, write_empty};
use lagoon_vector::ivf::kmeans::{required_memory, samples};
use lagoon_vector::page::Tid;
use lagoon_vector::{Coder, Error, Method};

use super::options;
use super::sample::{give, most_rows};
use crate::pg::error::OrRaise;
use crate::pg::log;
use crate::vector::index::build::{again, log_all, memory, poll, progress, result};
use crate::vector::index::rows::{self, Rows};
use crate::vector::index::workers::{self, Workers};
use crate::vector::index::{Column, PgPages, Purpose, sample, seed};

/// PROGRESS_CREATEIDX_SUBPHASE of pg_stat_progress_create_index; 1 is PostgreSQL's own "initializing".
const PHASE_TRAIN: i64 = 2;
const PHASE_ASSIGN: i64 = 3;
const PHASE_LOAD: i64 = 4;

/// Builds an index over a table.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuild(
    heap: Relation,
    index: Relation,
    info: *mut IndexInfo,
) -> *mut IndexBuildResult {
    // SAFETY: PostgreSQL passes an open table, an open empty index and its description.
    unsafe { build(heap, index, info) }.or_raise()
}

/// Writes the empty index from which an unlogged one starts again after a crash.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildempty(index: Relation) {
    // SAFETY: PostgreSQL passes an open index whose init fork is empty.
    let outcome = unsafe {
        let pages = PgPages::init_fork(index);
        options::meta(index)
            .and_then(|meta| write_empty(&Coder::plain(meta.space), meta.lists, &pages, seed()))
            .and_then(|()| pages.log_all())
    };
    outcome.or_raise();
}

/// The names of the phases in pg_stat_progress_create_index.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildphasename(phase: i64) -> *mut c_char {
    let name = match phase {
        1 => c"initializing",
        PHASE_TRAIN => c"performing k-means",
        PHASE_ASSIGN => c"assigning tuples",
        PHASE_LOAD => c"loading tuples",
        _ => return std::ptr::null_mut(),
    };
    name.as_ptr().cast_mut() // PostgreSQL only reads it
}

unsafe fn build(heap: Relation, index: Relation, info: *mut IndexInfo) -> Result<*mut IndexBuildResult, Error> {
    // SAFETY: the caller's.
    unsafe {
        let lists = options::meta(index)?.lists;
        let blocks = pg_sys::RelationGetNumberOfBlocksInFork(heap, ForkNumber::MAIN_FORKNUM);
        let wanted = samples(lists).min(most_rows(blocks));
        let required = |coder: &Coder| required_memory(&coder.space, lists, wanted);
        let mut coder = sample::coder(heap, index, info, Method::Ivfflat)?;
        check_memory(required(&coder))?;
        let (load, heap_rows) = loop {
            let (load, heap_rows) = assigned(heap, index, info, &coder, lists, wanted)?;
            // A larger table has rows that lie nearer to each other than those of the sample do.
            match coder.finer() {
                Some(finer) if check_memory(required(&finer)).is_ok() && !load.builder.fits(&poll)? => {
                    coder = again(&coder, finer);
                }
                _ => break (load, heap_rows),
            }
        };

        progress(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, PHASE_LOAD);
        progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, load.builder.fed().into());
        let pages = PgPages::new(index, Purpose::Build);
        load.builder.flush(&pages, |rows| progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, rows.into()))?;
        log_all(index, &pages)?;
        Ok(result(heap_rows, load.builder.fed().into()))
    }
}

/// A build whose rows all have their list, and the number of rows of the table.
unsafe fn assigned(
    heap: Relation,
    index: Relation,
    info: *mut IndexInfo,
    coder: &Coder,
    lists: u32,
    wanted: usize,
) -> Result<(Load, f64), Error> {
    // SAFETY: the caller's.
    unsafe {
        let column = Column::new(index, Method::Ivfflat, coder.clone())?;
        let mut load = Load::new(coder.clone(), lists, wanted.max(1))?;

        progress(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, PHASE_TRAIN);
        give(heap, index, info, &column, wanted, &mut load.builder)?;
        load.train(lists)?;

        progress(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, PHASE_ASSIGN);
        let heap_rows = rows::each(heap, index, info, Rows::All, &column, &mut |code, tid| load.row(code, tid));
        load.assign()?;
        Ok((load, heap_rows))
    }
}

/// The clustering holds all of its sample.
fn check_memory(required: usize) -> Result<(), Error> {
    // SAFETY: a setting of this process.
    let kilobytes = unsafe { pg_sys::maintenance_work_mem } as usize;
    if required <= kilobytes * 1024 {
        return Ok(());
    }
    Err(Error::MemoryRequired { megabytes: (required >> 20) + 1, setting: kilobytes >> 10 })
}

/// A build under way.
struct Load {
    builder: Builder,
    job: Arc<Job>,
    workers: Workers,
}

impl workers::Job for Job {
    fn work(&self, ring: &dyn Fn()) -> Result<(), Error> {
        self.train()?;
        ring();
        self.work()
    }

    fn cancel(&self) {
        self.cancel();
    }

    fn is_done(&self) -> bool {
        self.is_done()
    }
}

impl Load {
    fn new(coder: Coder, lists: u32, wanted: usize) -> Result<Self, Error> {
        let threads = workers::count();
        let builder = Builder::new(coder, lists, memory(threads), wanted, seed())?;
        let job = builder.job();
        let workers = Workers::start(job.clone(), threads);
        Ok(Self { builder, job, workers })
    }

    /// Finds the centres.
    fn train(&mut self, lists: u32) -> Result<(), Error> {
        if self.builder.sampled() < lists as usize {
            log::notice(
                "ivfflat index created with little data",
                "This will cause low recall.",
                "Drop the index until the table has more data.",
            );
        }
        self.builder.train(&poll)?;
        self.help()?;
        self.workers.wait_until(|| self.job.is_trained())
    }

    fn row(&mut self, code: &[u32], tid: Tid) -> Result<(), Error> {
        self.builder.push(code, tid)?;
        self.help()
    }

    /// Waits until every row has its list.
    fn assign(&mut self) -> Result<(), Error> {
        self.builder.close();
        self.help()?;
        self.workers.wait()
    }

    /// Without threads the main one does the work.
    fn help(&mut self) -> Result<(), Error> {
        while self.workers.is_empty() && self.builder.work_here(&poll)? {}
        Ok(())
    }
}
