//! Builds: the codes are chosen by a sample of the table; then the main thread scans the table and pushes codes, engine
//! threads link them, and the graph is written and logged once. If the codes of the finished graph are too coarse, it is
//! built again with finer ones.

use std::ffi::CStr;
use std::sync::Arc;

use pgrx::pg_sys;

use lagoon_vector::hnsw::build::{Builder, Job};
use lagoon_vector::page::Tid;
use lagoon_vector::{Coder, Error, Method};

use super::options::{self, Options};
use crate::pg::log;
use crate::vector::index::am::Built;
use crate::vector::index::build::{memory, poll, progress, progress_phase, rebuild_with};
use crate::vector::index::column::Column;
use crate::vector::index::pages::PgPages;
use crate::vector::index::random::seed;
use crate::vector::index::rows::{IndexedTable, Rows};
use crate::vector::index::sample;
use crate::vector::index::workers::{self, Workers};

const SAMPLE: i64 = 2;
const LOAD: i64 = 3;

/// The phases of a build.
pub const PHASES: [(i64, &CStr); 2] = [(SAMPLE, c"sampling table"), (LOAD, c"loading tuples")];

/// Fills the pages of an index over a table.
///
/// # Safety
/// `table` is being indexed, and `pages` are those of its index.
pub unsafe fn build(table: &IndexedTable, pages: &PgPages) -> Result<Built, Error> {
    // SAFETY: the caller's.
    unsafe {
        let options = options::of(table.index)?;
        progress_phase(SAMPLE);
        let mut coder = sample::coder(table, Method::Hnsw)?;
        progress_phase(LOAD);
        loop {
            let mut build = Build::new(&coder, options);
            let column = Column::new(table.index, Method::Hnsw, coder.clone())?;
            let heap_rows = table.each(Rows::All, &column, &mut |code, tid| build.row(code, tid));
            build.link()?;
            if !build.builder.fits(&poll)?
                && let Some(finer) = coder.finer()
            {
                coder = rebuild_with(&coder, finer);
                continue;
            }
            build.builder.flush(pages)?;
            return Ok(Built { heap_rows, index_rows: build.builder.fed() });
        }
    }
}

/// A build under way.
struct Build {
    builder: Builder,
    job: Arc<Job>,
    workers: Workers,
    is_full: bool,
}

impl workers::Job for Job {
    fn work(&self, _wake: &dyn Fn()) -> Result<(), Error> {
        self.work()
    }

    fn cancel(&self) {
        self.cancel();
    }

    fn is_done(&self) -> bool {
        self.is_done()
    }
}

impl Build {
    fn new(coder: &Coder, options: Options) -> Self {
        let threads = workers::count();
        let builder = Builder::new(coder, options.m, options.ef_construction, memory(threads), seed());
        let job = builder.job();
        let workers = Workers::start(job.clone(), threads);
        Self { builder, job, workers, is_full: false }
    }

    fn row(&mut self, code: &[u32], tid: Tid) -> Result<(), Error> {
        self.builder.push(code, tid)?;
        self.report_full();
        self.work_without_threads()?;
        self.report();
        Ok(())
    }

    /// Reports the number of linked elements, since linking takes the time.
    fn report(&self) {
        progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, self.job.done().into());
    }

    /// Reports once that memory is full.
    fn report_full(&mut self) {
        if let Some(rows) = self.builder.fitting().filter(|_| !self.is_full) {
            self.is_full = true;
            log::notice(
                format!("hnsw graph no longer fits into maintenance_work_mem after {rows} tuples"),
                "The rest of it is kept in a temporary file.",
                "Increase maintenance_work_mem to speed up builds.",
            );
        }
    }

    /// Links elements on the main thread, if there are no others.
    fn work_without_threads(&mut self) -> Result<(), Error> {
        while self.workers.is_empty() && self.builder.work_here(&poll)? {}
        Ok(())
    }

    /// Waits for the workers.
    fn link(&mut self) -> Result<(), Error> {
        self.builder.close()?;
        progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, self.builder.fed() as i64);
        self.report_full();
        self.work_without_threads()?;
        self.workers.wait_until(|| {
            self.report();
            self.job.is_done()
        })
    }
}
