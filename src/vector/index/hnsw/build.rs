//! `ambuild`: a sample of the table says what codes its values need; then the main thread scans the table and feeds, engine
//! threads link, and the graph is written out and logged once. Where the finished graph shows that its codes are too coarse
//! after all, it is built again with finer ones.

use std::ffi::c_char;
use std::sync::Arc;

use pgrx::pg_guard;
use pgrx::pg_sys::{self, IndexBuildResult, IndexInfo, Relation};

use lagoon_vector::hnsw::build::{Builder, Job, write_empty};
use lagoon_vector::page::Tid;
use lagoon_vector::{Coder, Error, Method};

use super::options::{self, Options};
use crate::pg::error::OrRaise;
use crate::pg::log;
use crate::vector::index::build::{again, log_all, memory, poll, progress, result};
use crate::vector::index::rows::{self, Rows};
use crate::vector::index::workers::{self, Workers};
use crate::vector::index::{Column, PgPages, Purpose, sample, seed};

/// PROGRESS_CREATEIDX_SUBPHASE of pg_stat_progress_create_index; 1 is PostgreSQL's own "initializing".
const PHASE_SAMPLE: i64 = 2;
const PHASE_LOAD: i64 = 3;

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
        options::meta(index).and_then(|meta| write_empty(&meta, &pages)).and_then(|()| pages.log_all())
    };
    outcome.or_raise();
}

/// The names of the phases in pg_stat_progress_create_index.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildphasename(phase: i64) -> *mut c_char {
    let name = match phase {
        1 => c"initializing",
        PHASE_SAMPLE => c"sampling table",
        PHASE_LOAD => c"loading tuples",
        _ => return std::ptr::null_mut(),
    };
    name.as_ptr().cast_mut() // PostgreSQL only reads it
}

unsafe fn build(heap: Relation, index: Relation, info: *mut IndexInfo) -> Result<*mut IndexBuildResult, Error> {
    // SAFETY: the caller's.
    unsafe {
        let options = options::of(index)?;
        progress(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, PHASE_SAMPLE);
        let mut coder = sample::coder(heap, index, info, Method::Hnsw)?;
        progress(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, PHASE_LOAD);
        loop {
            let mut load = Load::new(&coder, options);
            let column = Column::new(index, Method::Hnsw, coder.clone())?;
            let heap_rows = rows::each(heap, index, info, Rows::All, &column, &mut |code, tid| load.row(code, tid));
            load.link()?;
            if !load.builder.fits(&poll)?
                && let Some(finer) = coder.finer()
            {
                coder = again(&coder, finer);
                continue;
            }
            let pages = PgPages::new(index, Purpose::Build);
            load.builder.flush(&pages)?;
            log_all(index, &pages)?;
            return Ok(result(heap_rows, load.builder.fed()));
        }
    }
}

/// A build under way.
struct Load {
    builder: Builder,
    job: Arc<Job>,
    workers: Workers,
    is_full: bool,
}

impl workers::Job for Job {
    fn work(&self, _ring: &dyn Fn()) -> Result<(), Error> {
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
    fn new(coder: &Coder, options: Options) -> Self {
        let threads = workers::count();
        let builder = Builder::new(coder, options.m, options.ef_construction, memory(threads), seed());
        let job = builder.job();
        let workers = Workers::start(job.clone(), threads);
        Self { builder, job, workers, is_full: false }
    }

    fn row(&mut self, code: &[u32], tid: Tid) -> Result<(), Error> {
        self.builder.push(code, tid)?;
        self.help()?;
        self.report();
        Ok(())
    }

    /// How many are linked, which is what takes the time.
    fn report(&self) {
        progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, self.job.done().into());
    }

    /// Says once when memory is full, and without threads does the work.
    fn help(&mut self) -> Result<(), Error> {
        if let Some(rows) = self.builder.fitting().filter(|_| !self.is_full) {
            self.is_full = true;
            log::notice(
                format!("hnsw graph no longer fits into maintenance_work_mem after {rows} tuples"),
                "The rest of it is kept in a temporary file.",
                "Increase maintenance_work_mem to speed up builds.",
            );
        }
        while self.workers.is_empty() && self.builder.work_here(&poll)? {}
        Ok(())
    }

    /// Waits for the workers.
    fn link(&mut self) -> Result<(), Error> {
        self.builder.close()?;
        progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, self.builder.fed() as i64);
        self.help()?;
        self.workers.wait_until(|| {
            self.report();
            self.job.is_done()
        })
    }
}
