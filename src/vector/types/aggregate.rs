//! `avg` and `sum`. The state of `avg` is a `double precision[]`: the number of rows, then the sum of each element; `{0}` before
//! the first row. (`sum` adds with `vector_add` and `halfvec_add`.)

use lagoon_vector::distance::half::f16;
use pgrx::pg_sys::Datum;

use super::error::Error;
use super::{check_modifier, to_element};
use crate::pg::datum::array::{self, ArrayRef};
use crate::pg::datum::vector::{DenseRef, Scalar, VectorError, alloc, check_dimensions, check_elements};
use crate::pg::function::{InAggregate, sql_symbols};

/// Adds a row to the state: in place when PostgreSQL runs the aggregate.
fn accum<E: Scalar>(mut state: ArrayRef<'_>, row: DenseRef<'_, E>, aggregate: InAggregate) -> Result<Datum, Error> {
    let (count, sums) = parts(&state, E::TYPE, "accum")?;
    if sums.is_empty() {
        let (datum, new) = array::alloc::<f64>(row.len() + 1);
        new[0] = count + 1.0;
        new[1..].iter_mut().zip(row.iter()).for_each(|(sum, x)| *sum = f64::from(x.to_f32()));
        return Ok(datum);
    }
    check_modifier(sums.len() as i32, row.len())?;
    change(&mut state, &aggregate, |state| {
        state[0] += 1.0;
        state[1..].iter_mut().zip(row.iter()).for_each(|(sum, x)| *sum += f64::from(x.to_f32()));
    })
}

/// Adds two states, of parallel workers for example. It serves both types, because a state does not have its type.
fn combine(mut a: ArrayRef<'_>, b: ArrayRef<'_>, aggregate: InAggregate) -> Result<Datum, Error> {
    let (a_count, a_sums) = parts(&a, f32::TYPE, "combine")?;
    let (b_count, b_sums) = parts(&b, f32::TYPE, "combine")?;
    if !aggregate.0 && a_sums.is_empty() && b_sums.is_empty() {
        // pgvector's error for a call by a user. In an aggregate, two workers without rows are valid.
        return Err(VectorError::Empty(f32::TYPE).into());
    }
    for sums in [a_sums, b_sums].iter().filter(|sums| !sums.is_empty()) {
        check_dimensions::<f32>(sums.len())?;
    }
    if a_sums.is_empty() && !b_sums.is_empty() {
        let (datum, new) = array::alloc::<f64>(b_sums.len() + 1);
        new[0] = a_count + b_count;
        new[1..].copy_from_slice(b_sums);
        return Ok(datum);
    }
    if !b_sums.is_empty() {
        check_modifier(a_sums.len() as i32, b_sums.len())?;
    }
    change(&mut a, &aggregate, |state| {
        state[0] += b_count;
        state[1..].iter_mut().zip(b_sums).for_each(|(sum, x)| *sum += x);
    })
}

/// The state divided by the number of rows. NULL without rows.
fn avg<E: Scalar>(state: ArrayRef<'_>) -> Result<Option<Datum>, Error> {
    let (count, sums) = parts(&state, E::TYPE, "avg")?;
    if count == 0.0 {
        return Ok(None);
    }
    check_dimensions::<E>(sums.len())?;
    let (datum, elements) = alloc::<E>(sums.len());
    for (element, sum) in elements.iter_mut().zip(sums) {
        *element = to_element((sum / count) as f32)?;
    }
    check_elements(elements)?;
    Ok(Some(datum))
}

/// The number of rows and the sums. Users can call these functions with any array.
fn parts<'a>(
    state: &'a ArrayRef<'_>,
    type_name: &'static str,
    caller: &'static str,
) -> Result<(f64, &'a [f64]), Error> {
    match state.elements::<f64>() {
        Some([count, sums @ ..]) => Ok((*count, sums)),
        _ => Err(Error::State(type_name, caller)),
    }
}

/// Changes the state in place if PostgreSQL allows it and holds it, else a copy. A sum that becomes infinite is an error.
fn change(state: &mut ArrayRef<'_>, aggregate: &InAggregate, change: impl FnOnce(&mut [f64])) -> Result<Datum, Error> {
    let in_place = aggregate.0 && !state.is_copy();
    let old = state.elements_mut::<f64>().ok_or(Error::State(f32::TYPE, "accum"))?;
    if in_place {
        change(old);
        refuse_infinite(old)?;
        return Ok(state.as_datum());
    }
    let (datum, new) = array::alloc::<f64>(old.len());
    new.copy_from_slice(old);
    change(new);
    refuse_infinite(new)?;
    Ok(datum)
}

fn refuse_infinite(sums: &[f64]) -> Result<(), Error> {
    if sums.iter().any(|sum| sum.is_infinite()) { Err(Error::Overflow) } else { Ok(()) }
}

sql_symbols! {
    vector_accum = accum::<f32>,
    halfvec_accum = accum::<f16>,
    vector_combine = combine,
    vector_avg = avg::<f32>,
    halfvec_avg = avg::<f16>,
}
