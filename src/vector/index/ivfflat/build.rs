//! Builds: a sample of the table is clustered, then every row is assigned to its nearest centre. The main thread scans the
//! table and pushes codes, engine threads assign them, and the lists are written and logged once.

use std::ffi::CStr;
use std::sync::Arc;

use pgrx::pg_sys;

use lagoon_vector::ivf::build::{Builder, Job};
use lagoon_vector::ivf::kmeans::{required_memory, samples};
use lagoon_vector::page::Tid;
use lagoon_vector::{Coder, Error, Method};

use super::options;
use super::sample::{most_rows, sample_rows};
use crate::pg::log;
use crate::vector::index::am::Built;
use crate::vector::index::build::{memory, poll, progress, progress_phase, rebuild_with};
use crate::vector::index::column::Column;
use crate::vector::index::pages::PgPages;
use crate::vector::index::random::seed;
use crate::vector::index::rows::{IndexedTable, Rows};
use crate::vector::index::sample;
use crate::vector::index::workers::{self, Workers};

const TRAIN: i64 = 2;
const ASSIGN: i64 = 3;
const LOAD: i64 = 4;

/// The phases of a build.
pub const PHASES: [(i64, &CStr); 3] =
    [(TRAIN, c"performing k-means"), (ASSIGN, c"assigning tuples"), (LOAD, c"loading tuples")];

/// Fills the pages of an index over a table.
///
/// # Safety
/// `table` is being indexed, and `pages` are those of its index.
pub unsafe fn build(table: &IndexedTable, pages: &PgPages) -> Result<Built, Error> {
    // SAFETY: the caller's.
    unsafe {
        let lists = options::meta(table.index)?.lists;
        let wanted = samples(lists).min(most_rows(table.blocks()));
        let required = |coder: &Coder| required_memory(&coder.space, lists, wanted);
        let mut coder = sample::coder(table, Method::Ivfflat)?;
        check_memory(required(&coder))?;
        let (build, heap_rows) = loop {
            let (build, heap_rows) = assigned(table, &coder, lists, wanted)?;
            // Rows of a large table lie nearer to each other than those of a sample, so finer codes may be needed after all.
            match coder.finer() {
                Some(finer) if check_memory(required(&finer)).is_ok() && !build.builder.fits(&poll)? => {
                    coder = rebuild_with(&coder, finer);
                }
                _ => break (build, heap_rows),
            }
        };

        progress_phase(LOAD);
        progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, build.builder.fed().into());
        build.builder.flush(pages, |rows| progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, rows.into()))?;
        Ok(Built { heap_rows, index_rows: build.builder.fed().into() })
    }
}

/// A build whose rows all have their list, and the number of rows of the table.
unsafe fn assigned(table: &IndexedTable, coder: &Coder, lists: u32, wanted: usize) -> Result<(Build, f64), Error> {
    // SAFETY: the caller's.
    unsafe {
        let column = Column::new(table.index, Method::Ivfflat, coder.clone())?;
        let mut build = Build::new(coder.clone(), lists, wanted.max(1))?;

        progress_phase(TRAIN);
        sample_rows(table, &column, wanted, &mut build.builder);
        build.train(lists)?;

        progress_phase(ASSIGN);
        let heap_rows = table.each(Rows::All, &column, &mut |code, tid| build.row(code, tid));
        build.assign()?;
        Ok((build, heap_rows))
    }
}

/// Checks the memory of the clustering, which has the whole sample in memory.
fn check_memory(required: usize) -> Result<(), Error> {
    // SAFETY: a setting of this process.
    let kilobytes = unsafe { pg_sys::maintenance_work_mem } as usize;
    if required <= kilobytes * 1024 {
        return Ok(());
    }
    Err(Error::MemoryRequired { megabytes: (required >> 20) + 1, setting: kilobytes >> 10 })
}

/// A build under way.
struct Build {
    builder: Builder,
    job: Arc<Job>,
    workers: Workers,
}

impl workers::Job for Job {
    fn work(&self, wake: &dyn Fn()) -> Result<(), Error> {
        self.train()?;
        wake();
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
        self.work_without_threads()?;
        self.workers.wait_until(|| self.job.is_trained())
    }

    fn row(&mut self, code: &[u32], tid: Tid) -> Result<(), Error> {
        self.builder.push(code, tid)?;
        self.work_without_threads()
    }

    /// Waits until every row has its list.
    fn assign(&mut self) -> Result<(), Error> {
        self.builder.close();
        self.work_without_threads()?;
        self.workers.wait()
    }

    /// Works on the main thread, if there are no others.
    fn work_without_threads(&mut self) -> Result<(), Error> {
        while self.workers.is_empty() && self.builder.work_here(&poll)? {}
        Ok(())
    }
}
