//! `avg` and `sum`. The state of `avg` is a `double precision[]`: the number of rows, then the sum of each element; `{0}` before
//! the first row. (`sum` adds with `vector_add`.)

use pgrx::pg_sys::Datum;

use super::check_modifier;
use super::error::Error;
use crate::pg::array::{ArrayRef, alloc};
use crate::pg::function::{InAggregate, sql_functions};
use crate::pg::vector::{VectorRef, check_dimensions, check_elements};

sql_functions! {
    /// Adds a row to the state: in place when PostgreSQL runs the aggregate.
    fn vector_accum(state: ArrayRef<'_>, row: VectorRef<'_>, aggregate: InAggregate) -> Result<Datum, Error> {
        let mut state = state;
        let (count, sums) = parts(&state, "vector_accum")?;
        if sums.is_empty() {
            let (datum, new) = alloc::<f64>(row.len() + 1);
            new[0] = count + 1.0;
            new[1..].iter_mut().zip(row.iter()).for_each(|(sum, x)| *sum = f64::from(*x));
            return Ok(datum);
        }
        check_modifier(sums.len() as i32, row.len())?;
        change(&mut state, &aggregate, |state| {
            state[0] += 1.0;
            state[1..].iter_mut().zip(row.iter()).for_each(|(sum, x)| *sum += f64::from(*x));
        })
    }

    /// Adds two states, of parallel workers for example.
    fn vector_combine(a: ArrayRef<'_>, b: ArrayRef<'_>, aggregate: InAggregate) -> Result<Datum, Error> {
        let mut a = a;
        let (a_count, a_sums) = parts(&a, "vector_combine")?;
        let (b_count, b_sums) = parts(&b, "vector_combine")?;
        for sums in [a_sums, b_sums].iter().filter(|sums| !sums.is_empty()) {
            check_dimensions(sums.len())?;
        }
        if a_sums.is_empty() && !b_sums.is_empty() {
            let (datum, new) = alloc::<f64>(b_sums.len() + 1);
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
    fn vector_avg(state: ArrayRef<'_>) -> Result<Option<Datum>, Error> {
        let (count, sums) = parts(&state, "vector_avg")?;
        if count == 0.0 {
            return Ok(None);
        }
        check_dimensions(sums.len())?;
        let (datum, elements) = crate::pg::vector::alloc(sums.len());
        elements.iter_mut().zip(sums).for_each(|(element, sum)| *element = (sum / count) as f32);
        check_elements(elements)?;
        Ok(Some(datum))
    }
}

/// The number of rows and the sums. Users can call these functions with any array.
fn parts<'a>(state: &'a ArrayRef<'_>, caller: &'static str) -> Result<(f64, &'a [f64]), Error> {
    match state.elements::<f64>() {
        Some([count, sums @ ..]) => Ok((*count, sums)),
        _ => Err(Error::State(caller)),
    }
}

/// Changes the state in place if PostgreSQL allows it and holds it, else a copy. A sum that becomes infinite is an error.
fn change(state: &mut ArrayRef<'_>, aggregate: &InAggregate, change: impl FnOnce(&mut [f64])) -> Result<Datum, Error> {
    let in_place = aggregate.0 && !state.is_copy();
    let old = state.elements_mut::<f64>().ok_or(Error::State("vector_accum"))?;
    if in_place {
        change(old);
        refuse_infinite(old)?;
        return Ok(state.as_datum());
    }
    let (datum, new) = alloc::<f64>(old.len());
    new.copy_from_slice(old);
    change(new);
    refuse_infinite(new)?;
    Ok(datum)
}

fn refuse_infinite(sums: &[f64]) -> Result<(), Error> {
    if sums.iter().any(|sum| sum.is_infinite()) { Err(Error::Overflow) } else { Ok(()) }
}
