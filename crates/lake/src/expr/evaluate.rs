//! The test of rows that a condition is translated to, and its answers.

use std::cell::RefCell;
use std::collections::HashMap;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Datum, RecordBatch, Scalar};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::comparison::{like, nlike};
use arrow::compute::kernels::filter::{FilterBuilder, FilterPredicate, filter};
use arrow::compute::kernels::{boolean, cast, cmp};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{DataFusionError, HashSet, Result as EngineResult};

use super::function::Comparison;
use super::functions::like::is_like;
use super::ir::Truth;
use crate::types::canonical;

/// One node of a translated condition. Columns are positions in the batch.
pub(super) enum Test {
    Known(Option<bool>),
    And(Vec<Test>),
    Or(Vec<Test>),
    Not(Box<Test>),
    Is(Box<Test>, Truth),
    IsNull(usize),
    Column(usize),
    /// Whole numbers of 64 bits, and with `true` all but those.
    Whole(usize, i64, i64, bool),
    /// The same of 128 bits.
    Wide(usize, i128, i128, bool),
    Float(usize, Comparison, f64),
    /// Booleans, text, bytea, uuid.
    Plain(usize, Comparison, Scalar<ArrayRef>),
    /// And with `true` what is not like the pattern.
    Like(usize, bool, Scalar<ArrayRef>),
    /// The same of a pattern with escapes, which none ends.
    Escaped(usize, bool, Box<[u8]>),
    /// In the set; whether the list had a NULL.
    Within(usize, Set, bool),
    Columns(Comparison, usize, usize, Pair),
}

/// The elements of a list that are not NULL.
pub(super) enum Set {
    Bool([bool; 2]),
    Whole(HashSet<i64>),
    Wide(HashSet<i128>),
    /// Bits, with one NaN and one zero.
    Float(HashSet<u64>),
    Bytes(HashSet<Box<[u8]>>),
}

/// How two columns are compared.
pub(super) enum Pair {
    /// As they are; both have the same type.
    Plain,
    Whole,
    Float,
    /// As points in time, whether or not the date is that of a timestamp.
    DateTimestamp,
    TimestampDate,
    /// Numerics, with what each has to be multiplied by to have the scale of the other.
    Wide(i128, i128),
}

/// Rows of a batch: all, or those of other rows that are still open. Of these, columns are made when they are asked for.
pub(super) struct Rows<'a> {
    from: Source<'a>,
    count: usize,
    made: RefCell<HashMap<usize, ArrayRef>>,
}

enum Source<'a> {
    Batch(&'a RecordBatch),
    Open(&'a Rows<'a>, FilterPredicate),
}

impl<'a> Rows<'a> {
    pub(super) fn of(batch: &'a RecordBatch) -> Self {
        Self { from: Source::Batch(batch), count: batch.num_rows(), made: RefCell::default() }
    }

    fn open(&'a self, open: &BooleanArray) -> Self {
        let predicate = FilterBuilder::new(open).optimize().build();
        Self { count: predicate.count(), from: Source::Open(self, predicate), made: RefCell::default() }
    }

    fn column(&self, at: usize) -> EngineResult<ArrayRef> {
        let (rows, predicate) = match &self.from {
            Source::Batch(batch) => {
                let column = batch.columns().get(at).cloned();
                return column.ok_or_else(|| DataFusionError::Internal(format!("no column {at} in the batch")));
            }
            Source::Open(rows, predicate) => (rows, predicate),
        };
        if let Some(made) = self.made.borrow().get(&at) {
            return Ok(made.clone());
        }
        let column = predicate.filter(rows.column(at)?.as_ref())?;
        self.made.borrow_mut().insert(at, column.clone());
        Ok(column)
    }
}

const MICROS_PER_DAY: i128 = 86_400_000_000;

/// Rows are set aside once no more than one in so many is open.
const WORTH_SETTING_ASIDE: usize = 4;

/// All tests joined by AND, or by OR. What the first tests have decided, false or true, the others are not asked.
fn joined(tests: &[Test], rows: &Rows<'_>, or: bool) -> EngineResult<BooleanArray> {
    let join = if or { boolean::or_kleene } else { boolean::and_kleene };
    let mut so_far = uniform(rows.count, !or);
    for (i, test) in tests.iter().enumerate() {
        if i > 0 {
            let open = open(&so_far, or);
            let left = open.count_set_bits();
            if left == 0 {
                break;
            }
            if left <= rows.count / WORTH_SETTING_ASIDE {
                let open = BooleanArray::new(open, None);
                // As many levels as a fourth fits into a batch: seven.
                let answers = joined(&tests[i..], &rows.open(&open), or)?;
                let answers = join(filter(&so_far, &open)?.as_boolean(), &answers)?;
                return Ok(scattered(&answers, open.values(), or));
            }
        }
        so_far = join(&so_far, &test.evaluate(rows)?)?;
    }
    Ok(so_far)
}

/// The rows that another test may change: those that are not yet true for OR, or not yet false for AND.
fn open(so_far: &BooleanArray, or: bool) -> BooleanBuffer {
    let undecided = if or { !so_far.values() } else { so_far.values().clone() };
    match so_far.nulls() {
        Some(nulls) => &undecided | &!nulls.inner(),
        None => undecided,
    }
}

/// `answers` where a row is open, `decided` elsewhere.
fn scattered(answers: &BooleanArray, open: &BooleanBuffer, decided: bool) -> BooleanArray {
    let spread = |of: &BooleanBuffer, elsewhere: bool| {
        let mut next = 0;
        BooleanBuffer::collect_bool(open.len(), |row| {
            if !open.value(row) {
                return elsewhere;
            }
            next += 1;
            of.value(next - 1)
        })
    };
    let nulls = answers.nulls().map(|nulls| NullBuffer::new(spread(nulls.inner(), true)));
    BooleanArray::new(spread(answers.values(), decided), nulls)
}

impl Test {
    pub(super) fn evaluate(&self, rows: &Rows<'_>) -> EngineResult<BooleanArray> {
        let column = |at: usize| rows.column(at);
        Ok(match self {
            Self::Known(Some(known)) => uniform(rows.count, *known),
            Self::Known(None) => BooleanArray::new_null(rows.count),
            Self::And(tests) => joined(tests, rows, false)?,
            Self::Or(tests) => joined(tests, rows, true)?,
            Self::Not(test) => boolean::not(&test.evaluate(rows)?)?,
            Self::Is(test, truth) => {
                let array = test.evaluate(rows)?;
                match truth {
                    Truth::Unknown => boolean::is_null(&array)?,
                    Truth::True => settled(array.values().clone(), &array),
                    Truth::False => settled(!array.values(), &array),
                }
            }
            Self::IsNull(at) => boolean::is_null(&column(*at)?)?,
            Self::Column(at) => {
                let array = column(*at)?;
                array.as_boolean_opt().cloned().ok_or_else(|| unexpected(&array))?
            }
            Self::Whole(at, low, high, negated) => {
                whole(&column(*at)?, |number| ((*low <= number) & (number <= *high)) != *negated)?
            }
            Self::Wide(at, low, high, negated) => BooleanArray::from_unary(wide(&column(*at)?)?, |number| {
                ((*low <= number) & (number <= *high)) != *negated
            }),
            Self::Float(at, comparison, value) => floats(&column(*at)?, *comparison, *value)?,
            Self::Plain(at, comparison, value) => plain(*comparison, &column(*at)?, value)?,
            Self::Like(at, false, pattern) => like(&column(*at)?, pattern)?,
            Self::Like(at, true, pattern) => nlike(&column(*at)?, pattern)?,
            Self::Escaped(at, negated, pattern) => {
                let array = column(*at)?;
                let texts = array.as_string_view_opt().ok_or_else(|| unexpected(&array))?;
                // No pattern that is an error comes here.
                let is_like = |text: &str| is_like(text.as_bytes(), pattern).unwrap_or(false);
                BooleanArray::from_unary(texts, |text| is_like(text) != *negated)
            }
            Self::Within(at, set, has_null) => {
                let found = set.contains(&column(*at)?)?;
                if *has_null {
                    // Not among the elements that are known, so it may be the one that is not.
                    let nulls = NullBuffer::new(found.values().clone());
                    let nulls = NullBuffer::union(Some(&nulls), found.nulls());
                    BooleanArray::new(found.values().clone(), nulls)
                } else {
                    found
                }
            }
            Self::Columns(comparison, left, right, pair) => {
                columns(*comparison, &column(*left)?, &column(*right)?, pair)?
            }
        })
    }
}

impl Set {
    fn contains(&self, array: &ArrayRef) -> EngineResult<BooleanArray> {
        Ok(match self {
            Self::Whole(set) => whole(array, |number| set.contains(&number))?,
            Self::Wide(set) => BooleanArray::from_unary(wide(array)?, |number| set.contains(&number)),
            Self::Float(set) => each_float(array, |number| set.contains(&canonical(number)))?,
            Self::Bool(set) => match array.as_boolean_opt() {
                Some(array) => BooleanArray::from_unary(array, |value| set[usize::from(value)]),
                None => return Err(unexpected(array)),
            },
            Self::Bytes(set) => match array.data_type() {
                DataType::Utf8View => {
                    BooleanArray::from_unary(array.as_string_view(), |text| set.contains(text.as_bytes()))
                }
                DataType::BinaryView => BooleanArray::from_unary(array.as_binary_view(), |bytes| set.contains(bytes)),
                DataType::FixedSizeBinary(_) => {
                    BooleanArray::from_unary(array.as_fixed_size_binary(), |bytes| set.contains(bytes))
                }
                _ => return Err(unexpected(array)),
            },
        })
    }
}

fn uniform(rows: usize, value: bool) -> BooleanArray {
    let values = if value { BooleanBuffer::new_set(rows) } else { BooleanBuffer::new_unset(rows) };
    BooleanArray::new(values, None)
}

/// `values` where the array is known, false elsewhere.
fn settled(values: BooleanBuffer, known: &BooleanArray) -> BooleanArray {
    let values = match known.nulls() {
        Some(nulls) => &values & nulls.inner(),
        None => values,
    };
    BooleanArray::new(values, None)
}

fn unexpected(array: &ArrayRef) -> DataFusionError {
    DataFusionError::Internal(format!("a column of type {} in a filter", array.data_type()))
}

/// A test of whole numbers, whatever their width.
fn whole(array: &ArrayRef, test: impl Fn(i64) -> bool) -> EngineResult<BooleanArray> {
    Ok(match array.data_type() {
        DataType::Int16 => BooleanArray::from_unary(array.as_primitive::<Int16Type>(), |x| test(x.into())),
        DataType::Int32 => BooleanArray::from_unary(array.as_primitive::<Int32Type>(), |x| test(x.into())),
        DataType::Int64 => BooleanArray::from_unary(array.as_primitive::<Int64Type>(), test),
        DataType::Date32 => BooleanArray::from_unary(array.as_primitive::<Date32Type>(), |x| test(x.into())),
        DataType::Time64(TimeUnit::Microsecond) => {
            BooleanArray::from_unary(array.as_primitive::<Time64MicrosecondType>(), test)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            BooleanArray::from_unary(array.as_primitive::<TimestampMicrosecondType>(), test)
        }
        _ => return Err(unexpected(array)),
    })
}

fn wide(array: &ArrayRef) -> EngineResult<&arrow::array::Decimal128Array> {
    array.as_primitive_opt::<Decimal128Type>().ok_or_else(|| unexpected(array))
}

/// `array op value` by PostgreSQL's order: NaN equals NaN and is greater than all numbers, zero has no sign.
fn floats(array: &ArrayRef, comparison: Comparison, value: f64) -> EngineResult<BooleanArray> {
    use Comparison::*;
    match (comparison, value.is_nan()) {
        (Eq, false) => each_float(array, |x| x == value),
        (NotEq, false) => each_float(array, |x| x != value),
        (Lt, false) => each_float(array, |x| x < value),
        (LtEq, false) => each_float(array, |x| x <= value),
        (Gt, false) => each_float(array, |x| (x > value) | x.is_nan()),
        (GtEq, false) => each_float(array, |x| (x >= value) | x.is_nan()),
        (Eq | GtEq, true) => each_float(array, f64::is_nan),
        (NotEq | Lt, true) => each_float(array, |x| !x.is_nan()),
        (LtEq, true) => each_float(array, |_| true),
        (Gt, true) => each_float(array, |_| false),
    }
}

fn each_float(array: &ArrayRef, test: impl Fn(f64) -> bool) -> EngineResult<BooleanArray> {
    Ok(match array.data_type() {
        DataType::Float32 => BooleanArray::from_unary(array.as_primitive::<Float32Type>(), |x| test(x.into())),
        DataType::Float64 => BooleanArray::from_unary(array.as_primitive::<Float64Type>(), test),
        _ => return Err(unexpected(array)),
    })
}

/// By value or by bytes, as Arrow has it.
fn plain(comparison: Comparison, left: &dyn Datum, right: &dyn Datum) -> EngineResult<BooleanArray> {
    Ok(match comparison {
        Comparison::Eq => cmp::eq(left, right)?,
        Comparison::NotEq => cmp::neq(left, right)?,
        Comparison::Lt => cmp::lt(left, right)?,
        Comparison::LtEq => cmp::lt_eq(left, right)?,
        Comparison::Gt => cmp::gt(left, right)?,
        Comparison::GtEq => cmp::gt_eq(left, right)?,
    })
}

/// `date op timestamp`.
fn days_and_times(comparison: Comparison, days: &ArrayRef, times: &ArrayRef) -> EngineResult<BooleanArray> {
    let days = days.as_primitive_opt::<Date32Type>().ok_or_else(|| unexpected(days))?;
    let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(|| unexpected(times))?;
    let micros = |day: i32| i128::from(day) * MICROS_PER_DAY;
    Ok(BooleanArray::from_binary(days, times, |day, time| comparison.holds(micros(day).cmp(&i128::from(time)))))
}

fn columns(comparison: Comparison, left: &ArrayRef, right: &ArrayRef, pair: &Pair) -> EngineResult<BooleanArray> {
    Ok(match pair {
        Pair::Plain => plain(comparison, left, right)?,
        Pair::Whole => plain(comparison, &cast::cast(left, &DataType::Int64)?, &cast::cast(right, &DataType::Int64)?)?,
        Pair::Float => {
            let (left, right) = (cast::cast(left, &DataType::Float64)?, cast::cast(right, &DataType::Float64)?);
            let (left, right) = (left.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>());
            BooleanArray::from_binary(left, right, |a, b| {
                comparison.holds(a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())))
            })
        }
        Pair::DateTimestamp => days_and_times(comparison, left, right)?,
        Pair::TimestampDate => days_and_times(comparison.commuted(), right, left)?,
        // A product beyond 128 bits is beyond everything that the other column holds, on its side of zero.
        Pair::Wide(to_left, to_right) => BooleanArray::from_binary(wide(left)?, wide(right)?, |a, b| {
            comparison.holds(match (a.checked_mul(*to_left), b.checked_mul(*to_right)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (None, _) => a.cmp(&0),
                (_, None) => 0.cmp(&b),
            })
        }),
    })
}
