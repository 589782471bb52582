//! `ambuild`: the main thread scans the table and feeds, engine threads link, and the graph is written out and logged once.

use std::ffi::{c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use pgrx::pg_sys::{self, Datum, IndexBuildResult, IndexInfo, ItemPointer, Relation};
use pgrx::{PgLogLevel, pg_guard};

use lagoon_vector::Error;
use lagoon_vector::hnsw::build::{Builder, Job, Memory, write_empty};
use lagoon_vector::hnsw::format::Meta;
use lagoon_vector::page::Tid;

use super::column::{self, Column};
use super::insert::seed;
use super::pages::{PgPages, Purpose};
use crate::pg::error::OrRaise;
use crate::pg::{job, log, thread, wait};

/// PROGRESS_CREATEIDX_SUBPHASE of pg_stat_progress_create_index; 1 is PostgreSQL's own "initializing".
const PHASE_LOAD: i64 = 2;

/// How long an abandoned worker may take to stop: it looks for that after every element.
const JOIN_LIMIT: Duration = Duration::from_secs(1);

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
        column::meta(index).and_then(|meta| write_empty(&meta, &pages)).and_then(|()| pages.log_all())
    };
    outcome.or_raise();
}

/// The names of the phases in pg_stat_progress_create_index.
#[pg_guard]
pub unsafe extern "C-unwind" fn ambuildphasename(phase: i64) -> *mut c_char {
    let name = match phase {
        1 => c"initializing",
        PHASE_LOAD => c"loading tuples",
        _ => return std::ptr::null_mut(),
    };
    name.as_ptr().cast_mut() // PostgreSQL only reads it
}

unsafe fn build(heap: Relation, index: Relation, info: *mut IndexInfo) -> Result<*mut IndexBuildResult, Error> {
    // SAFETY: the caller's. The state outlives the scan, which calls back only while it runs.
    unsafe {
        let meta = column::meta(index)?;
        let column = Column::new(index, meta.space)?;
        let mut load = Load::new(meta, column)?;
        progress(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, PHASE_LOAD);
        let state: *mut Load = &mut load;
        let heap_rows = pg_sys::table_index_build_scan(
            heap,
            index,
            info,
            true,
            true,
            Some(row_callback),
            state.cast::<c_void>(),
            std::ptr::null_mut(),
        );
        let pages = PgPages::new(index, Purpose::Build);
        load.finish(&pages)?;
        if needs_wal(index) {
            pages.log_all()?;
        }
        let result: *mut IndexBuildResult = pg_sys::palloc0(size_of::<IndexBuildResult>()).cast();
        (*result).heap_tuples = heap_rows;
        (*result).index_tuples = load.rows as f64;
        Ok(result)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn row_callback(
    _index: Relation,
    tid: ItemPointer,
    values: *mut Datum,
    isnull: *mut bool,
    _alive: bool,
    state: *mut c_void,
) {
    // SAFETY: called by the scan above, with its state and one column.
    unsafe {
        let load = &mut *state.cast::<Load>();
        let tid = column::tid(tid);
        if let Some(code) = load.column.code(*values, *isnull).or_raise() {
            load.row(&code, tid).or_raise();
        }
    }
}

/// A build under way.
struct Load {
    column: Column,
    builder: Builder,
    workers: Workers,
    rows: u64,
}

impl Load {
    fn new(meta: Meta, column: Column) -> Result<Self, Error> {
        // SAFETY: settings of this process; both have minima above zero.
        let (limit, helpers) =
            unsafe { (pg_sys::maintenance_work_mem as usize * 1024, pg_sys::max_parallel_maintenance_workers) };
        let builder = Builder::new(meta, Memory::new(limit, temporary_file()), seed());
        let workers = Workers::start(builder.job(), helpers.max(0) as usize)?;
        Ok(Self { column, builder, workers, rows: 0 })
    }

    fn row(&mut self, code: &[u32], tid: Tid) -> Result<(), Error> {
        let was_spilled = self.builder.is_spilled();
        self.builder.push(code, tid)?;
        self.workers.help(&mut self.builder)?;
        if self.builder.is_spilled() && !was_spilled {
            spill_notice(self.rows);
        }
        self.rows += 1;
        progress(pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, self.rows as i64);
        Ok(())
    }

    /// Waits for the workers and writes the graph.
    fn finish(&mut self, pages: &PgPages) -> Result<(), Error> {
        self.builder.close()?;
        self.workers.help(&mut self.builder)?;
        self.workers.wait()?;
        self.builder.flush(pages)
    }
}

/// Where temporary files of this database server are, under a name that PostgreSQL removes when it starts.
fn temporary_file() -> PathBuf {
    PathBuf::from(format!("base/pgsql_tmp/pgsql_tmp{}.lagoon", std::process::id())) // relative to the data directory
}

/// The threads of a build; cancelled and joined on drop, whatever happened.
struct Workers {
    job: Arc<Job>,
    handles: Vec<JoinHandle<()>>,
    bell: wait::Bell,
    failure: Arc<Mutex<Option<Error>>>,
}

impl Workers {
    /// As many threads as PostgreSQL would use processes, within what the machine has; none when it may use none.
    fn start(job: Arc<Job>, helpers: usize) -> Result<Self, Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let count = if helpers == 0 { 0 } else { (helpers + 1).min(cores) };
        let mut workers = Self { job, handles: Vec::with_capacity(count), bell: wait::bell(), failure: Arc::default() };
        for _ in 0..count {
            let (job, bell, failure) = (workers.job.clone(), workers.bell.clone(), workers.failure.clone());
            let handle = thread::spawn("lagoon hnsw", move || {
                let outcome = catch_unwind(AssertUnwindSafe(|| job.work()))
                    .unwrap_or_else(|panic| Err(Error::WorkerFailed(job::panic_message(&*panic))));
                if let Err(error) = outcome {
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    job.cancel();
                }
                bell.ring();
            });
            match handle {
                Ok(handle) => workers.handles.push(handle),
                // Fewer threads are slower, not wrong.
                Err(error) if workers.handles.is_empty() => {
                    log::warning(format!("could not start a thread for the build: {error}"));
                    break;
                }
                Err(_) => break,
            }
        }
        log::at(PgLogLevel::DEBUG1, format!("using {} parallel workers", workers.handles.len()));
        Ok(workers)
    }

    /// Without threads the main one does the work.
    fn help(&mut self, builder: &mut Builder) -> Result<(), Error> {
        if self.handles.is_empty() { builder.work_here() } else { Ok(()) }
    }

    /// Until all that was fed is linked; answers a cancel at once.
    fn wait(&mut self) -> Result<(), Error> {
        let (job, failure) = (&self.job, &self.failure);
        let take = || failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        wait::until(&self.bell, || match take() {
            Some(error) => Some(Err(error)),
            None => job.is_done().then_some(Ok(())),
        })
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.job.cancel();
        let end = Instant::now() + JOIN_LIMIT;
        for handle in self.handles.drain(..) {
            job::join_within(handle, end.saturating_duration_since(Instant::now()));
        }
    }
}

fn spill_notice(rows: u64) {
    log::notice(
        format!("hnsw graph no longer fits into maintenance_work_mem after {rows} tuples"),
        "The rest of it is kept in a temporary file.",
        "Increase maintenance_work_mem to speed up builds.",
    );
}

fn progress(parameter: u32, value: i64) {
    // SAFETY: a parameter of the command that is under way; nothing happens when there is none.
    unsafe { pg_sys::pgstat_progress_update_param(parameter as i32, value) }
}

/// `RelationNeedsWAL` of rel.h.
unsafe fn needs_wal(index: Relation) -> bool {
    // SAFETY: the caller's: an open index. wal_level is a setting of the server.
    unsafe {
        let is_permanent = (*(*index).rd_rel).relpersistence == pg_sys::RELPERSISTENCE_PERMANENT as c_char;
        let is_archived = pg_sys::wal_level >= pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32;
        #[cfg(any(feature = "pg14", feature = "pg15"))]
        let file_subid = (*index).rd_firstRelfilenodeSubid;
        #[cfg(not(any(feature = "pg14", feature = "pg15")))]
        let file_subid = (*index).rd_firstRelfilelocatorSubid;
        let is_old = (*index).rd_createSubid == 0 && file_subid == 0; // InvalidSubTransactionId
        is_permanent && (is_archived || is_old)
    }
}
