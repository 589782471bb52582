//! Aggregates whose state is one value a group, or none as long as there was no row.

use std::collections::HashSet;
use std::fmt::{self, Debug};
use std::hash::Hash;
use std::marker::PhantomData;
use std::mem::{size_of, size_of_val};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, BooleanBufferBuilder, PrimitiveArray, new_empty_array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::ScalarValue;
use datafusion::common::utils::SingleRowListArrayBuilder;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::super::kernel::{Answer, fault};
use crate::fault::Fault;

/// What takes a value out of a state again.
pub(super) type Undo<I, S> = fn(&mut <S as ArrowPrimitiveType>::Native, <I as ArrowPrimitiveType>::Native);

/// How a value changes the state, and what of it may go wrong.
pub(super) trait Step<I: ArrowPrimitiveType, S: ArrowPrimitiveType>:
    Copy + Debug + Send + Sync + 'static
{
    /// What the first value is added to.
    fn start(self) -> S::Native;

    /// Whether the state cannot hold what it should.
    fn add(self, state: &mut S::Native, value: I::Native) -> bool;

    /// The same with the state of other rows.
    fn merge(self, state: &mut S::Native, other: S::Native) -> bool;

    /// The opposite of `add`, if there is one that is exact.
    const UNDO: Option<Undo<I, S>>;

    fn finish(self, state: S::Native) -> Answer<S::Native> {
        Ok(state)
    }

    /// What is wrong with a state that cannot hold what it should.
    fn fault(self) -> Fault;
}

/// What makes the accumulators of an aggregate.
pub(super) trait Folds {
    fn single(&self) -> Box<dyn Accumulator>;
    fn grouped(&self) -> Box<dyn GroupsAccumulator>;
}

/// An aggregate as DataFusion takes it.
pub(super) trait Maker: Clone + Debug + Eq + Hash + Send + Sync + 'static {
    /// For arguments of one type.
    fn folds(&self, argument: &DataType, result: &DataType) -> EngineResult<Box<dyn Folds>>;
}

/// The name must not be one by which DataFusion's optimizer knows its own aggregates.
pub(super) fn function(name: &'static str, result: DataType, maker: impl Maker) -> Arc<AggregateUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(AggregateUDF::new_from_impl(Udaf { name, result, maker, signature }))
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Udaf<M> {
    name: &'static str,
    result: DataType,
    maker: M,
    signature: Signature,
}

impl<M: Maker> Udaf<M> {
    fn folds(&self, args: &AccumulatorArgs<'_>) -> EngineResult<Box<dyn Folds>> {
        let [argument] = args.expr_fields else {
            return Err(DataFusionError::Internal(format!("{} of {} arguments", self.name, args.expr_fields.len())));
        };
        self.maker.folds(argument.data_type(), &self.result)
    }
}

impl<M: Maker> AggregateUDFImpl for Udaf<M> {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> EngineResult<DataType> {
        Ok(self.result.clone())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> EngineResult<Box<dyn Accumulator>> {
        let single = self.folds(&args)?.single();
        match args.expr_fields {
            [argument] if args.is_distinct => {
                let argument = argument.data_type().clone();
                Ok(Box::new(Distinct { argument, values: HashSet::new(), single }))
            }
            _ => Ok(single),
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> EngineResult<Vec<FieldRef>> {
        let name = format!("{}[state]", args.name);
        let ty = match args.input_fields {
            [argument] if args.is_distinct => DataType::new_list(argument.data_type().clone(), true),
            _ => self.result.clone(),
        };
        Ok(vec![Arc::new(Field::new(name, ty, true))])
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> EngineResult<Box<dyn GroupsAccumulator>> {
        Ok(self.folds(&args)?.grouped())
    }
}

/// An aggregate of values of `I` with states of `S`, which is the result, too.
pub(super) struct Fold<I, S, P> {
    step: P,
    result: DataType,
    types: PhantomData<fn(I) -> S>,
}

impl<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P: Step<I, S>> Fold<I, S, P> {
    pub(super) fn boxed(step: P, result: &DataType) -> Box<dyn Folds> {
        Box::new(Self { step, result: result.clone(), types: PhantomData })
    }
}

impl<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P: Step<I, S>> Folds for Fold<I, S, P> {
    fn single(&self) -> Box<dyn Accumulator> {
        let (state, result) = (self.step.start(), self.result.clone());
        Box::new(Single::<I, S, P> { step: self.step, state, rows: 0, result, types: PhantomData })
    }

    fn grouped(&self) -> Box<dyn GroupsAccumulator> {
        Box::new(Grouped::<I, S, P> {
            step: self.step,
            states: Vec::new(),
            seen: None,
            result: self.result.clone(),
            types: PhantomData,
        })
    }
}

impl<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P: Debug> Debug for Single<I, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single").field("step", &self.step).field("rows", &self.rows).finish_non_exhaustive()
    }
}

fn primitive<T: ArrowPrimitiveType>(arrays: &[ArrayRef]) -> EngineResult<&PrimitiveArray<T>> {
    let array = arrays.first().and_then(|array| array.as_primitive_opt::<T>());
    array.ok_or_else(|| DataFusionError::Internal(format!("an aggregate without an argument of {}", T::DATA_TYPE)))
}

/// The state of all rows.
struct Single<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P> {
    step: P,
    state: S::Native,
    /// Those that were not NULL.
    rows: u64,
    result: DataType,
    types: PhantomData<fn(I) -> S>,
}

impl<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P: Step<I, S>> Single<I, S, P> {
    fn scalar(&self, state: S::Native) -> EngineResult<ScalarValue> {
        let array = PrimitiveArray::<S>::from_iter([(self.rows > 0).then_some(state)]);
        ScalarValue::try_from_array(&array.with_data_type(self.result.clone()), 0)
    }

    /// All values of an array that are not NULL.
    fn each<T: ArrowPrimitiveType>(
        &mut self,
        array: &PrimitiveArray<T>,
        add: impl Fn(&mut S::Native, T::Native) -> bool,
    ) -> EngineResult<()> {
        let mut state = self.state;
        let mut lost = false;
        match array.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => array.values().iter().for_each(|value| lost |= add(&mut state, *value)),
            Some(nulls) => nulls.valid_indices().for_each(|row| lost |= add(&mut state, array.value(row))),
        }
        self.state = state;
        self.rows += (array.len() - array.null_count()) as u64;
        if lost { Err(fault(self.step.fault())) } else { Ok(()) }
    }
}

impl<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P: Step<I, S>> Accumulator for Single<I, S, P> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        let step = self.step;
        self.each(primitive::<I>(values)?, |state, value| step.add(state, value))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        let step = self.step;
        self.each(primitive::<S>(states)?, |state, other| step.merge(state, other))
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        let Some(undo) = P::UNDO else {
            return Err(DataFusionError::Internal("an aggregate that cannot forget rows".to_owned()));
        };
        let array = primitive::<I>(values)?;
        for value in array.iter().flatten() {
            undo(&mut self.state, value);
        }
        self.rows -= (array.len() - array.null_count()) as u64;
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        P::UNDO.is_some()
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        let state = self.step.finish(self.state).map_err(fault)?;
        self.scalar(state)
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        Ok(vec![self.scalar(self.state)?])
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// The states of all groups.
struct Grouped<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P> {
    step: P,
    states: Vec<S::Native>,
    /// The groups that have seen a value; all, as long as every row had one.
    seen: Option<BooleanBufferBuilder>,
    result: DataType,
    types: PhantomData<fn(I) -> S>,
}

impl<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P: Step<I, S>> Grouped<I, S, P> {
    fn each<T: ArrowPrimitiveType>(
        &mut self,
        array: &PrimitiveArray<T>,
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
        add: impl Fn(&mut S::Native, T::Native) -> bool,
    ) -> EngineResult<()> {
        let before = self.states.len();
        self.states.resize(count, self.step.start());
        let states = &mut self.states[..];
        let mut lost = false;
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        if self.seen.is_none() && nulls.is_none() && filter.is_none() {
            for (group, value) in groups.iter().zip(array.values()) {
                lost |= add(&mut states[*group], *value);
            }
        } else {
            let seen = self.seen.get_or_insert_with(|| all(before));
            seen.resize(count);
            for row in rows(array.len(), nulls, filter).set_indices() {
                let group = groups[row];
                lost |= add(&mut states[group], array.value(row));
                seen.set_bit(group, true);
            }
        }
        if lost { Err(fault(self.step.fault())) } else { Ok(()) }
    }

    fn taken(&mut self, emit: EmitTo) -> (Vec<S::Native>, Option<NullBuffer>) {
        let states = emit.take_needed(&mut self.states);
        let nulls = self.seen.as_mut().map(|seen| {
            let bits = seen.finish();
            seen.append_buffer(&bits.slice(states.len(), bits.len() - states.len()));
            NullBuffer::new(bits.slice(0, states.len()))
        });
        (states, nulls)
    }

    fn array(&self, states: Vec<S::Native>, nulls: Option<NullBuffer>) -> ArrayRef {
        Arc::new(PrimitiveArray::<S>::new(states.into(), nulls).with_data_type(self.result.clone()))
    }
}

impl<I: ArrowPrimitiveType, S: ArrowPrimitiveType, P: Step<I, S>> GroupsAccumulator for Grouped<I, S, P> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> EngineResult<()> {
        let step = self.step;
        self.each(primitive::<I>(values)?, groups, filter, count, |state, value| step.add(state, value))
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], count: usize) -> EngineResult<()> {
        let step = self.step;
        self.each(primitive::<S>(values)?, groups, None, count, |state, other| step.merge(state, other))
    }

    fn evaluate(&mut self, emit: EmitTo) -> EngineResult<ArrayRef> {
        let (mut states, nulls) = self.taken(emit);
        for (group, state) in states.iter_mut().enumerate() {
            if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(group)) {
                *state = self.step.finish(*state).map_err(fault)?;
            }
        }
        Ok(self.array(states, nulls))
    }

    fn state(&mut self, emit: EmitTo) -> EngineResult<Vec<ArrayRef>> {
        let (states, nulls) = self.taken(emit);
        Ok(vec![self.array(states, nulls)])
    }

    /// Every row its own group.
    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> EngineResult<Vec<ArrayRef>> {
        let rows = primitive::<I>(values)?.len();
        let groups: Vec<usize> = (0..rows).collect();
        let mut grouped =
            Self { step: self.step, states: Vec::new(), seen: None, result: self.result.clone(), types: PhantomData };
        grouped.update_batch(values, &groups, filter, rows)?;
        grouped.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        let seen = self.seen.as_ref().map_or(0, |seen| seen.capacity() / 8);
        self.states.capacity() * size_of::<S::Native>() + seen
    }
}

fn all(count: usize) -> BooleanBufferBuilder {
    let mut bits = BooleanBufferBuilder::new(count);
    bits.append_n(count, true);
    bits
}

/// The rows that are not NULL and pass the filter.
pub(super) fn rows(count: usize, nulls: Option<&NullBuffer>, filter: Option<&BooleanArray>) -> BooleanBuffer {
    let passing = filter.map(|filter| match filter.nulls() {
        Some(nulls) => filter.values() & nulls.inner(),
        None => filter.values().clone(),
    });
    match (nulls, passing) {
        (Some(nulls), Some(passing)) => nulls.inner() & &passing,
        (Some(nulls), None) => nulls.inner().clone(),
        (None, Some(passing)) => passing,
        (None, None) => BooleanBuffer::new_set(count),
    }
}

/// Each value once.
#[derive(Debug)]
struct Distinct {
    argument: DataType,
    values: HashSet<ScalarValue>,
    single: Box<dyn Accumulator>,
}

impl Distinct {
    fn insert(&mut self, array: &ArrayRef) -> EngineResult<()> {
        for row in 0..array.len() {
            if array.is_valid(row) {
                self.values.insert(ScalarValue::try_from_array(array, row)?);
            }
        }
        Ok(())
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> EngineResult<()> {
        values.iter().try_for_each(|array| self.insert(array))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> EngineResult<()> {
        for state in states {
            for list in state.as_list::<i32>().iter().flatten() {
                self.insert(&list)?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> EngineResult<ScalarValue> {
        if !self.values.is_empty() {
            self.single.update_batch(&[ScalarValue::iter_to_array(self.values.drain())?])?;
        }
        self.single.evaluate()
    }

    fn state(&mut self) -> EngineResult<Vec<ScalarValue>> {
        let values = if self.values.is_empty() {
            new_empty_array(&self.argument)
        } else {
            ScalarValue::iter_to_array(self.values.drain())?
        };
        let list = SingleRowListArrayBuilder::new(values).with_nullable(true).build_list_array();
        Ok(vec![ScalarValue::List(Arc::new(list))])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<ScalarValue>()
    }
}
