//! Averages, variances and standard deviations of double precisions: `float8_accum` and `float8_combine` of float.c, which are
//! the algorithm of Youngs and Cramer. As in PostgreSQL the last digits depend on the order of the rows.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};

use super::super::kernel::{Answer, fault};
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

#[derive(Debug)]
struct State {
    moment: Moment,
    sums: Sums,
}

impl Accumulator for State {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        let values = values.first().and_then(|array| array.as_primitive_opt::<Float64Type>());
        let Some(values) = values else {
            return Err(DataFusionError::Internal("moments of something else than double precisions".to_owned()));
        };
        self.sums = values.iter().flatten().try_fold(self.sums, Sums::add).map_err(fault)?;
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        let [number, sum, squares] = states else {
            return Err(DataFusionError::Internal(format!("{} states of moments", states.len())));
        };
        for row in 0..number.len() {
            let value = |array: &ArrayRef| array.as_primitive::<Float64Type>().value(row);
            let other = Sums { number: value(number), sum: value(sum), squares: value(squares) };
            self.sums = self.sums.combine(other).map_err(fault)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        let Sums { number, sum, squares } = self.sums;
        let value = match self.moment {
            Moment::Average => (number > 0.0).then(|| sum / number),
            Moment::VarPop => (number > 0.0).then(|| squares / number),
            Moment::StddevPop => (number > 0.0).then(|| (squares / number).sqrt()),
            Moment::VarSamp => (number > 1.0).then(|| squares / (number - 1.0)),
            Moment::StddevSamp => (number > 1.0).then(|| (squares / (number - 1.0)).sqrt()),
        };
        Ok(ScalarValue::Float64(value.map(|value| if value.is_nan() { f64::NAN } else { value })))
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        let Sums { number, sum, squares } = self.sums;
        Ok([number, sum, squares].into_iter().map(|value| ScalarValue::Float64(Some(value))).collect())
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
