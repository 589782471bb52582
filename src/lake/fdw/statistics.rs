//! Statistics of columns that ANALYZE has not seen: rows like those of pg_statistic, made of what footers say.
//!
//! The planner asks for them through a hook, while it plans a query. A row has the share of NULLs, the number of different
//! values, their width, and a histogram from the least to the greatest value, as if all between were as frequent. Plans alone depend on it.

use std::sync::atomic::Ordering;

use lagoon_lake::expr::rules::Precondition;
use lagoon_lake::source::estimate::{self, Estimate, Facts};
use lagoon_lake::types::ColumnType;
use pgrx::{PgMemoryContexts, pg_sys};

use super::planned::Planned;
use super::relation::Relation;
use crate::lake::attribute::Attribute;
use crate::lake::expr::collation;
use crate::lake::source::access;
use crate::lake::types::{self, Output};
use crate::pg::hook::Asked;
use crate::pg::job;

/// Of so large a share of the rows on, the number of different values is taken to grow with the table (analyze.c).
const GROWS: f64 = 0.1;

/// Answers for a column of Parquet files of which pg_statistic has nothing. `is_ours` knows our callbacks.
pub(super) fn answer(asked: Asked, is_ours: fn(&pg_sys::FdwRoutine) -> bool) -> bool {
    // SAFETY: the planner's arguments, which live while the hook is called.
    unsafe {
        let Some(rel) = relation_of(asked.root, asked.entry, is_ours) else { return false };
        let planned = &*(*rel).fdw_private.cast::<Planned>();
        let table = (*asked.entry).relid;
        if (*asked.entry).inh || is_analyzed(table, asked.number) {
            return false;
        }
        let found = planned.statistics.borrow().get(&asked.number).copied();
        let row = found.unwrap_or_else(|| {
            // It is used until the planning ends, and this may be a context of one join order alone.
            let row =
                PgMemoryContexts::For((*asked.root).planner_cxt).switch_to(|_| row_of(table, planned, asked.number));
            planned.statistics.borrow_mut().insert(asked.number, row);
            row
        });
        let Some(row) = row else { return false };
        asked.answer(row, access::may_read(asked.root, rel, asked.number));
        true
    }
}

/// Bytes of the values of a column of variable length on average, if pg_statistic has nothing of it.
pub(super) fn width(table: pg_sys::Oid, planned: &Planned, attribute: &Attribute) -> Option<i32> {
    let bytes = match attribute.column.ty {
        ColumnType::Text | ColumnType::Bytea if !is_analyzed(table, attribute.number) => {
            estimate_of(planned, attribute)?.width?
        }
        ColumnType::Array(_) if !is_analyzed(table, attribute.number) => {
            estimate::bytes_per_row(&planned.relation.files, &attribute.column.name)
        }
        _ => return None,
    };
    /// Bytes of a value's own length.
    const HEADER: f64 = 1.0;
    Some((bytes + HEADER).round().clamp(1.0, f64::from(i32::MAX)) as i32)
}

fn estimate_of(planned: &Planned, attribute: &Attribute) -> Option<Estimate> {
    let facts = planned.facts.get_or_init(|| facts(&planned.relation)).as_ref()?;
    Some(facts.column(&attribute.column))
}

/// What footers say, read on an engine thread if it is not remembered. What is wrong with a file is for the execution to say.
fn facts(relation: &Relation) -> Option<Facts> {
    if let Some(facts) = estimate::remembered(&relation.files) {
        return Some(facts);
    }
    let files = relation.files.clone();
    let read = move |cancel: &job::CancelFlag| {
        let cancel = cancel.as_atomic();
        estimate::read(&files, &mut || !cancel.load(Ordering::Relaxed))
    };
    job::run("lagoon estimates", || {}, read).ok()
}

/// The relation that an entry of a query stands for, if it is one of ours and its files are known.
///
/// # Safety
/// A query that is being planned, and an entry of it.
unsafe fn relation_of(
    root: *mut pg_sys::PlannerInfo,
    entry: *mut pg_sys::RangeTblEntry,
    is_ours: fn(&pg_sys::FdwRoutine) -> bool,
) -> Option<*mut pg_sys::RelOptInfo> {
    // SAFETY: the caller's: both arrays are as long as is said, and have no relation at 0.
    unsafe {
        if (*root).simple_rte_array.is_null() || (*root).simple_rel_array.is_null() {
            return None;
        }
        let count = usize::try_from((*root).simple_rel_array_size).unwrap_or(0);
        let at = (1..count).find(|at| *(*root).simple_rte_array.add(*at) == entry)?;
        let rel = (*(*root).simple_rel_array.add(at)).as_mut()?;
        let is_ours = rel.fdwroutine.as_ref().is_some_and(is_ours);
        (is_ours && !rel.fdw_private.is_null()).then_some(&raw mut *rel)
    }
}

/// Whether pg_statistic has a row of a column, not counting what inherits from its table.
fn is_analyzed(table: pg_sys::Oid, number: i16) -> bool {
    let cache = pg_sys::SysCacheIdentifier::STATRELATTINH as i32;
    // SAFETY: a catalog lookup.
    unsafe {
        let row = pg_sys::SearchSysCache3(cache, table.into(), number.into(), false.into());
        if row.is_null() {
            return false;
        }
        pg_sys::ReleaseSysCache(row);
    }
    true
}

/// A row like that of pg_statistic, in the current memory context; None if nothing is known.
fn row_of(table: pg_sys::Oid, planned: &Planned, number: i16) -> Option<pg_sys::HeapTuple> {
    let attribute = planned.relation.attributes.iter().find(|attribute| attribute.number == number)?;
    let guess = estimate_of(planned, attribute).filter(|guess| *guess != Estimate::default())?;
    let rows = planned.relation.rows().max(1) as f64;
    let nulls = guess.null_fraction.unwrap_or(0.0);
    let distinct = match guess.distinct {
        Some(count) if count > GROWS * rows => -(count / rows),
        Some(count) => count.round(),
        None => 0.0,
    };
    let mut row = Row::new(table, number);
    row.set(pg_sys::Anum_pg_statistic_stanullfrac, float4(nulls));
    row.set(pg_sys::Anum_pg_statistic_stadistinct, float4(distinct));
    let width = width(table, planned, attribute).unwrap_or_else(|| {
        // SAFETY: a catalog lookup.
        unsafe { pg_sys::get_typavgwidth(attribute.type_oid, attribute.typmod) }
    });
    row.set(pg_sys::Anum_pg_statistic_stawidth, width.into());
    if let Some(values) = Values::of(table, attribute, &guess) {
        values.put(&mut row, nulls);
    }
    Some(row.form())
}

fn float4(value: f64) -> pg_sys::Datum {
    pgrx::IntoDatum::into_datum(value as f32).unwrap_or(pg_sys::Datum::null())
}

/// The bounds of a column as datums, and the operators of its order.
struct Values {
    type_oid: pg_sys::Oid,
    collation: pg_sys::Oid,
    less: pg_sys::Oid,
    equal: pg_sys::Oid,
    bounds: Vec<pg_sys::Datum>,
    /// What the datums point into.
    _storage: (Vec<u64>, lagoon_lake::arrow::array::ArrayRef),
    is_one: bool,
}

impl Values {
    /// None if the bounds are not in the order of the type, or not values of it.
    fn of(table: pg_sys::Oid, attribute: &Attribute, guess: &Estimate) -> Option<Self> {
        let array = guess.bounds.clone().filter(|_| !attribute.from_text)?;
        let (mut declared, mut typmod, mut collation) = (pg_sys::InvalidOid, 0, pg_sys::InvalidOid);
        // SAFETY: a catalog lookup of a column that there is.
        unsafe {
            let number = attribute.number;
            pg_sys::get_atttypetypmodcoll(table, number, &mut declared, &mut typmod, &mut collation);
        }
        if attribute.column.ty == ColumnType::Text && collation::check("<", Precondition::ByteOrder, collation).is_err()
        {
            return None;
        }
        let flags = pg_sys::TYPECACHE_LT_OPR | pg_sys::TYPECACHE_EQ_OPR;
        // SAFETY: a lookup of a type that there is; the entry lives as long as the process.
        let (less, equal) = unsafe {
            let entry = pg_sys::lookup_type_cache(attribute.type_oid, flags as i32);
            ((*entry).lt_opr, (*entry).eq_opr)
        };
        let (mut bounds, mut storage) = (Vec::new(), Vec::new());
        let mut out = Output {
            values: &mut bounds,
            nulls: &[],
            storage: &mut storage,
            name: &attribute.column.name,
            digits: None,
            to_server: false, // texts are as in the files, or were refused above
        };
        types::decode(attribute.type_oid, &attribute.column.ty, &array, &mut out).ok()?;
        let is_one = bounds.len() == 1;
        let usable = less != pg_sys::InvalidOid && equal != pg_sys::InvalidOid && !bounds.is_empty();
        let (type_oid, _storage) = (attribute.type_oid, (storage, array));
        (usable && (guess.exact || !is_one)).then_some(Self {
            type_oid,
            collation,
            less,
            equal,
            bounds,
            _storage,
            is_one,
        })
    }

    /// The most common value where there is but one; else a histogram.
    fn put(mut self, row: &mut Row, nulls: f64) {
        if !self.is_one && self.type_oid == pg_sys::BOOLOID {
            return; // two values make no histogram
        }
        let (kind, operator) = match self.is_one {
            true => (pg_sys::STATISTIC_KIND_MCV, self.equal),
            false => (pg_sys::STATISTIC_KIND_HISTOGRAM, self.less),
        };
        row.set(pg_sys::Anum_pg_statistic_stakind1, i16::try_from(kind).unwrap_or(0).into());
        row.set(pg_sys::Anum_pg_statistic_staop1, operator.into());
        row.set(pg_sys::Anum_pg_statistic_stacoll1, self.collation.into());
        row.set(pg_sys::Anum_pg_statistic_stavalues1, array(&mut self.bounds, self.type_oid));
        if self.is_one {
            let frequency = &mut [float4(1.0 - nulls)];
            row.set(pg_sys::Anum_pg_statistic_stanumbers1, array(frequency, pg_sys::FLOAT4OID));
        }
    }
}

/// An array of values of a type, in the current memory context.
fn array(values: &mut [pg_sys::Datum], ty: pg_sys::Oid) -> pg_sys::Datum {
    let (mut length, mut by_value, mut align) = (0, false, 0);
    // SAFETY: a catalog lookup, and a copy of values of that type.
    unsafe {
        pg_sys::get_typlenbyvalalign(ty, &mut length, &mut by_value, &mut align);
        let count = i32::try_from(values.len()).unwrap_or(0);
        pg_sys::construct_array(values.as_mut_ptr(), count, ty, length.into(), by_value, align).into()
    }
}

/// A row of pg_statistic that is being made.
struct Row {
    values: [pg_sys::Datum; COLUMNS],
    nulls: [bool; COLUMNS],
}

const COLUMNS: usize = pg_sys::Natts_pg_statistic as usize;

impl Row {
    /// With all slots empty.
    fn new(table: pg_sys::Oid, number: i16) -> Self {
        let mut row = Self { values: [pg_sys::Datum::null(); COLUMNS], nulls: [false; COLUMNS] };
        for slot in 0..pg_sys::STATISTIC_NUM_SLOTS {
            row.clear(pg_sys::Anum_pg_statistic_stanumbers1 + slot);
            row.clear(pg_sys::Anum_pg_statistic_stavalues1 + slot);
        }
        row.set(pg_sys::Anum_pg_statistic_starelid, table.into());
        row.set(pg_sys::Anum_pg_statistic_staattnum, number.into());
        row
    }

    fn clear(&mut self, column: u32) {
        if let Some(is_null) = self.nulls.get_mut(column as usize - 1) {
            *is_null = true;
        }
    }

    fn set(&mut self, column: u32, value: pg_sys::Datum) {
        let at = column as usize - 1;
        if let (Some(slot), Some(is_null)) = (self.values.get_mut(at), self.nulls.get_mut(at)) {
            (*slot, *is_null) = (value, false);
        }
    }

    /// In the current memory context.
    fn form(mut self) -> pg_sys::HeapTuple {
        let lock = pg_sys::AccessShareLock as i32;
        // SAFETY: a catalog whose columns these are.
        unsafe {
            let catalog = pg_sys::relation_open(pg_sys::StatisticRelationId, lock);
            let row = pg_sys::heap_form_tuple((*catalog).rd_att, self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
            pg_sys::relation_close(catalog, lock);
            row
        }
    }
}
