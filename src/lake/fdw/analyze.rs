//! ANALYZE: a random sample of the rows, in the order of the files, and how many rows there are.
//!
//! What PostgreSQL makes of a sample (most common values, histograms, correlation) is its own affair; it wants the rows in
//! physical order. The number of rows is that of the footers, which is exact.

use std::ffi::{CStr, c_int};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use lagoon_lake::Result;
use lagoon_lake::exec::{SAMPLE_BYTES, Sample, SampleSize, Scan, ScanSpec};
use pgrx::{PgLogLevel, pg_sys};

use super::relation::Relation;
use crate::lake::decode::Decoder;
use crate::lake::engine;
use crate::lake::rows::Rows;
use crate::pg::{job, log, wait};

/// What [`acquire`] has found.
pub(super) struct Sampled {
    /// Rows that were put where they are wanted.
    pub rows: c_int,
    /// Rows of the table.
    pub table_rows: f64,
}

/// AnalyzeForeignTable: pages of the table, which become `relpages`: those of its files. PostgreSQL shares out the sample of a
/// partitioned table among its partitions by their pages, so a partition has as many as its rows would fill in a heap.
///
/// # Safety
/// The relation is open.
pub(super) unsafe fn pages(table: pg_sys::Relation) -> Result<pg_sys::BlockNumber> {
    // SAFETY: the caller's.
    let (oid, is_partition) = unsafe { ((*table).rd_id, (*(*table).rd_rel).relispartition) };
    let relation = Relation::load(oid)?;
    Ok(if is_partition { heap_pages(oid, relation.rows()) } else { relation.pages() })
}

/// Pages that so many rows of a table fill in a heap (estimate_rel_size of plancat.c).
fn heap_pages(table: pg_sys::Oid, rows: u64) -> pg_sys::BlockNumber {
    /// Bytes of a page without its header, and of a row beside its values: header, and pointer on the page.
    const PAGE: f64 = (pg_sys::BLCKSZ - 24) as f64;
    const ROW: f64 = 24.0 + 4.0;
    // SAFETY: a lookup in the catalogs; no widths are asked for.
    let width = unsafe { pg_sys::get_relation_data_width(table, std::ptr::null_mut()) };
    let pages = rows as f64 * (f64::from(width) + ROW) / PAGE;
    pages.ceil().clamp(1.0, f64::from(u32::MAX - 1)) as pg_sys::BlockNumber
}

/// AcquireSampleRowsFunc: puts at most `wanted` rows where `rows` points to, in the current memory context.
///
/// # Safety
/// The relation is open, and there is room for the rows.
pub(super) unsafe fn acquire(
    table: pg_sys::Relation,
    level: c_int,
    rows: *mut pg_sys::HeapTuple,
    wanted: c_int,
) -> Result<Sampled> {
    // SAFETY: the caller's.
    let relation = Relation::load(unsafe { (*table).rd_id })?;
    let (sample, spec) = draw(&relation, usize::try_from(wanted).unwrap_or(0))?;
    engine::start()?;
    // SAFETY: the caller's.
    let mut kept = unsafe { Kept::new(rows) };
    // SAFETY: as above.
    unsafe { read(table, &relation, &spec, &sample, &mut kept)? };
    // SAFETY: as above.
    unsafe { report(table, level, &relation, &sample, kept.count) };
    Ok(Sampled { rows: c_int::try_from(kept.count).unwrap_or(c_int::MAX), table_rows: relation.rows() as f64 })
}

/// Draws the rows, on an engine thread, which may have to read footers.
fn draw(relation: &Relation, rows: usize) -> Result<(Arc<Sample>, ScanSpec)> {
    let columns: Vec<_> = relation.attributes.iter().map(|attribute| attribute.column.clone()).collect();
    // SAFETY: the generator of this process, on its main thread; PostgreSQL draws the seeds of its own samples from it.
    let seed = unsafe { pg_sys::pg_prng_uint64(&raw mut pg_sys::pg_global_prng_state) };
    let spec = ScanSpec {
        files: relation.files.clone(),
        projection: (0..columns.len()).collect(),
        columns,
        filter: None,
        limit: None,
        parallelism: 1,
    };
    let (files, columns) = (spec.files.clone(), spec.columns.clone());
    let sample = job::run(
        "lagoon sample",
        || {},
        move |cancel| {
            let cancel = cancel.as_atomic();
            let size = SampleSize { rows, bytes: SAMPLE_BYTES };
            Sample::draw(&files, &columns, size, seed, &mut || !cancel.load(Ordering::Relaxed))
        },
    )?;
    Ok((Arc::new(sample), spec))
}

/// Reads the rows that were drawn.
///
/// # Safety
/// The relation is open.
unsafe fn read(
    table: pg_sys::Relation,
    relation: &Relation,
    spec: &ScanSpec,
    sample: &Arc<Sample>,
    kept: &mut Kept,
) -> Result<()> {
    let decoders = relation.attributes.iter().map(|attribute| Decoder::new(attribute.clone())).collect();
    let mut rows = Rows::new(decoders, 0);
    let mut progress = Progress::begin(sample);
    // SAFETY: the caller's; the slot has a column for every one of the table, and is never filled, so it stays empty.
    unsafe {
        let slot = pg_sys::MakeSingleTupleTableSlot((*table).rd_att, &raw const pg_sys::TTSOpsVirtual);
        let start =
            |notify: wait::Notify| Scan::sampled(spec, sample.clone(), Arc::new(move || notify.wake())).map(Some);
        while rows.next(slot, &start)? {
            if kept.wants_next() {
                kept.push(pg_sys::heap_form_tuple((*table).rd_att, (*slot).tts_values, (*slot).tts_isnull));
            }
            progress.row();
        }
        pg_sys::ExecDropSingleTupleTableSlot(slot);
    }
    Ok(())
}

/// The rows that are kept. They are bounded in bytes, too: when they are too large together, every other one goes, and from
/// then on only so many of those that come are kept, which leaves a random sample in the order of the table.
struct Kept {
    rows: *mut pg_sys::HeapTuple,
    count: usize,
    bytes: usize,
    most_bytes: usize,
    /// Of so many rows that come, the first is kept.
    stride: usize,
    seen: usize,
}

impl Kept {
    /// # Safety
    /// There is room for all rows that are pushed.
    unsafe fn new(rows: *mut pg_sys::HeapTuple) -> Self {
        // SAFETY: reads a setting of this process, in kB.
        let kilobytes = usize::try_from(unsafe { pg_sys::maintenance_work_mem }).unwrap_or(0);
        Self { rows, count: 0, bytes: 0, most_bytes: kilobytes.saturating_mul(1024), stride: 1, seen: 0 }
    }

    fn wants_next(&mut self) -> bool {
        self.seen += 1;
        (self.seen - 1).is_multiple_of(self.stride)
    }

    /// # Safety
    /// A tuple in the current memory context, and room for it.
    unsafe fn push(&mut self, tuple: pg_sys::HeapTuple) {
        // SAFETY: the caller's.
        unsafe {
            *self.rows.add(self.count) = tuple;
            self.bytes += (*tuple).t_len as usize;
        }
        self.count += 1;
        while self.bytes > self.most_bytes && self.count > 1 {
            // SAFETY: all rows up to the count are tuples that were pushed.
            unsafe { self.thin() }
        }
    }

    unsafe fn thin(&mut self) {
        let before = std::mem::take(&mut self.count);
        self.bytes = 0;
        for at in 0..before {
            // SAFETY: the caller's; the place of a row that is kept is not behind its old one.
            unsafe {
                let tuple = *self.rows.add(at);
                if at.is_multiple_of(2) {
                    *self.rows.add(self.count) = tuple;
                    self.bytes += (*tuple).t_len as usize;
                    self.count += 1;
                } else {
                    pg_sys::heap_freetuple(tuple);
                }
            }
        }
        self.stride = self.stride.saturating_mul(2);
    }
}

/// pg_stat_progress_analyze, whose blocks are row groups here.
struct Progress<'a> {
    sample: &'a Sample,
    rows: usize,
    done: usize,
}

impl<'a> Progress<'a> {
    fn begin(sample: &'a Sample) -> Self {
        show(pg_sys::PROGRESS_ANALYZE_BLOCKS_TOTAL, sample.row_groups());
        show(pg_sys::PROGRESS_ANALYZE_BLOCKS_DONE, 0);
        Self { sample, rows: 0, done: 0 }
    }

    fn row(&mut self) {
        self.rows += 1;
        let done = self.sample.row_groups_before(self.rows);
        if done > self.done {
            self.done = done;
            show(pg_sys::PROGRESS_ANALYZE_BLOCKS_DONE, done);
        }
    }
}

fn show(parameter: u32, value: usize) {
    let value = i64::try_from(value).unwrap_or(i64::MAX);
    // SAFETY: writes this process's entry in shared memory.
    unsafe { pg_sys::pgstat_progress_update_param(parameter as c_int, value) }
}

/// What ANALYZE (VERBOSE) says.
///
/// # Safety
/// The relation is open.
unsafe fn report(table: pg_sys::Relation, level: c_int, relation: &Relation, sample: &Sample, kept: usize) {
    // SAFETY: the caller's; a name ends with a zero byte.
    let name = unsafe { CStr::from_ptr((*(*table).rd_rel).relname.data.as_ptr()) }.to_string_lossy();
    let row_groups: usize = relation.files.iter().map(|file| file.footer.row_groups).sum();
    let (read, files, rows) = (sample.row_groups(), relation.files.len(), relation.rows());
    let level = if level >= PgLogLevel::INFO as c_int { PgLogLevel::INFO } else { PgLogLevel::DEBUG2 };
    log::at(
        level,
        format!(
            "\"{name}\": scanned {read} of {row_groups} row groups, containing {rows} rows; {kept} rows in sample; \
             files: {files}"
        ),
    );
}
