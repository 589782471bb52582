//! Averages, variances and standard deviations of double precisions: `float8_accum` and `float8_combine` of float.c, which are
//! the algorithm of Youngs and Cramer. As in PostgreSQL the last digits depend on the order of the rows.

use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::super::kernel::{Answer, fault};
use super::fold::rows;
use crate::fault::Fault;

/// What is made of number, sum and squared deviations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Moment {
    Average,
    VarPop,
    VarSamp,
    StddevPop,
    StddevSamp,
}

/// The aggregate of double precisions by its name in pg_proc.
pub(super) fn moment(name: &str) -> Option<Arc<AggregateUDF>> {
    let (name, moment) = match name {
        "avg" => ("pg_avg", Moment::Average),
        "var_pop" => ("pg_var_pop", Moment::VarPop),
        "var_samp" | "variance" => ("pg_var_samp", Moment::VarSamp),
        "stddev_pop" => ("pg_stddev_pop", Moment::StddevPop),
        "stddev_samp" | "stddev" => ("pg_stddev_samp", Moment::StddevSamp),
        _ => return None,
    };
    let signature = Signature::any(1, Volatility::Immutable);
    Some(Arc::new(AggregateUDF::new_from_impl(Moments { name, moment, signature })))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Moments {
    name: &'static str,
    moment: Moment,
    signature: Signature,
}

impl AggregateUDFImpl for Moments {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(DataType::Float64)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> EngineResult<Box<dyn Accumulator>> {
        if args.is_distinct {
            return Err(DataFusionError::Internal(format!("{} of distinct values", self.name)));
        }
        Ok(Box::new(State { moment: self.moment, sums: Sums::default() }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _: AccumulatorArgs<'_>) -> EngineResult<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups { moment: self.moment, sums: Vec::new() }))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> EngineResult<Vec<FieldRef>> {
        let field = |what| Arc::new(Field::new(format!("{}[{what}]", args.name), DataType::Float64, true));
        Ok(["number", "sum", "squares"].into_iter().map(field).collect())
    }
}

/// Number, sum, and sum of the squared deviations from the mean.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    number: f64,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn add(self, value: f64) -> Answer<Self> {
        let (number, sum) = (self.number + 1.0, self.sum + value);
        let mut squares = self.squares;
        if self.number > 0.0 {
            let deviation = value * number - sum;
            squares += deviation * deviation / (number * self.number);
            // Of infinite values there is no deviation.
            if sum.is_infinite() || squares.is_infinite() {
                if !self.sum.is_infinite() && !value.is_infinite() {
                    return Err(Fault::Overflow);
                }
                squares = f64::NAN;
            }
        } else if !value.is_finite() {
            squares = f64::NAN;
        }
        Ok(Self { number, sum, squares })
    }

    fn combine(self, other: Self) -> Answer<Self> {
        if self.number == 0.0 {
            return Ok(other);
        }
        if other.number == 0.0 {
            return Ok(self);
        }
        let (number, sum) = (self.number + other.number, self.sum + other.sum);
        let difference = self.sum / self.number - other.sum / other.number;
        let squares = self.squares + other.squares + self.number * other.number * difference * difference / number;
        let overflowed = |value: f64, a: f64, b: f64| value.is_infinite() && !a.is_infinite() && !b.is_infinite();
        if overflowed(sum, self.sum, other.sum) || overflowed(squares, self.squares, other.squares) {
            return Err(Fault::Overflow);
        }
        Ok(Self { number, sum, squares })
    }
}

impl Moment {
    /// `None` where there are too few values.
    fn of(self, sums: Sums) -> Option<f64> {
        let Sums { number, sum, squares } = sums;
        let value = match self {
            Self::Average => (number > 0.0).then(|| sum / number),
            Self::VarPop => (number > 0.0).then(|| squares / number),
            Self::StddevPop => (number > 0.0).then(|| (squares / number).sqrt()),
            Self::VarSamp => (number > 1.0).then(|| squares / (number - 1.0)),
            Self::StddevSamp => (number > 1.0).then(|| (squares / (number - 1.0)).sqrt()),
        };
        value.map(|value| if value.is_nan() { f64::NAN } else { value })
    }
}

fn doubles(arrays: &[ArrayRef]) -> EngineResult<&Float64Array> {
    let values = arrays.first().and_then(|array| array.as_primitive_opt::<Float64Type>());
    values.ok_or_else(|| DataFusionError::Internal("moments of something else than double precisions".to_owned()))
}

/// The states of an array of rows.
struct States<'a>([&'a Float64Array; 3]);

impl<'a> States<'a> {
    fn of(arrays: &'a [ArrayRef]) -> EngineResult<Self> {
        let wrong = || DataFusionError::Internal(format!("{} states of moments", arrays.len()));
        let [number, sum, squares] = arrays else { return Err(wrong()) };
        let column = |array: &'a ArrayRef| array.as_primitive_opt::<Float64Type>().ok_or_else(wrong);
        Ok(Self([column(number)?, column(sum)?, column(squares)?]))
    }

    fn rows(&self) -> impl Iterator<Item = Sums> {
        let [numbers, sums, squares] = self.0;
        let pairs = numbers.values().iter().zip(sums.values()).zip(squares.values());
        pairs.map(|((number, sum), squares)| Sums { number: *number, sum: *sum, squares: *squares })
    }
}

/// Of all rows.
#[derive(Debug)]
struct State {
    moment: Moment,
    sums: Sums,
}

impl Accumulator for State {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        self.sums = doubles(values)?.iter().flatten().try_fold(self.sums, Sums::add).map_err(fault)?;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        self.sums = States::of(states)?.rows().try_fold(self.sums, Sums::combine).map_err(fault)?;
        Ok(())
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        Ok(ScalarValue::Float64(self.moment.of(self.sums)))
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        let Sums { number, sum, squares } = self.sums;
        Ok([number, sum, squares].into_iter().map(|value| ScalarValue::Float64(Some(value))).collect())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// Of the rows of each group.
#[derive(Debug)]
struct Groups {
    moment: Moment,
    sums: Vec<Sums>,
}

impl Groups {
    /// Brings a row into the state of its group.
    fn put(&mut self, group: usize, change: impl FnOnce(Sums) -> Answer<Sums>) -> EngineResult<()> {
        let missing = || DataFusionError::Internal(format!("moments of group {group} of {}", self.sums.len()));
        let before = self.sums.get(group).copied().ok_or_else(missing)?;
        let after = change(before).map_err(fault)?;
        if let Some(sums) = self.sums.get_mut(group) {
            *sums = after;
        }
        Ok(())
    }

    fn arrays(sums: &[Sums]) -> Vec<ArrayRef> {
        let column = |of: fn(&Sums) -> f64| Arc::new(sums.iter().map(of).collect::<Float64Array>()) as ArrayRef;
        vec![column(|sums| sums.number), column(|sums| sums.sum), column(|sums| sums.squares)]
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> EngineResult<()> {
        let values = doubles(values)?;
        self.sums.resize(count, Sums::default());
        let nulls = values.nulls().filter(|nulls| nulls.null_count() > 0);
        if nulls.is_none() && filter.is_none() {
            return values
                .values()
                .iter()
                .zip(groups)
                .try_for_each(|(value, group)| self.put(*group, |sums| sums.add(*value)));
        }
        let passing = rows(values.len(), nulls, filter);
        let pairs = values.values().iter().zip(groups).zip(passing.iter()).filter(|(_, passes)| *passes);
        for ((value, group), _) in pairs {
            self.put(*group, |sums| sums.add(*value))?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], count: usize) -> EngineResult<()> {
        self.sums.resize(count, Sums::default());
        States::of(states)?
            .rows()
            .zip(groups)
            .try_for_each(|(other, group)| self.put(*group, |sums| sums.combine(other)))
    }

    fn evaluate(&mut self, emit: EmitTo) -> EngineResult<ArrayRef> {
        let sums = emit.take_needed(&mut self.sums);
        Ok(Arc::new(sums.into_iter().map(|sums| self.moment.of(sums)).collect::<Float64Array>()))
    }

    fn state(&mut self, emit: EmitTo) -> EngineResult<Vec<ArrayRef>> {
        Ok(Self::arrays(&emit.take_needed(&mut self.sums)))
    }

    /// Every row its own group.
    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> EngineResult<Vec<ArrayRef>> {
        let rows = doubles(values)?.len();
        let mut groups = Self { moment: self.moment, sums: Vec::new() };
        groups.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        groups.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<Sums>()
    }
}
