//! Between `vector` and arrays, and to a number of dimensions. The third argument of a cast, whether it is explicit, changes
//! nothing: a vector is never cut or padded.

use pgrx::pg_sys::{self, Datum};

use super::check_modifier;
use super::error::Error;
use crate::pg::array::{ArrayRef, numerics};
use crate::pg::function::sql_functions;
use crate::pg::vector::{VectorRef, alloc, check_dimensions, check_elements};

sql_functions! {
    /// `vector` to `vector(n)`.
    fn vector(value: VectorRef<'_>, modifier: i32, _explicit: bool) -> Result<Datum, Error> {
        check_modifier(modifier, value.len())?;
        Ok(value.into_datum())
    }

    /// Of `integer[]`, `real[]`, `double precision[]` or `numeric[]`.
    fn array_to_vector(array: ArrayRef<'_>, modifier: i32, _explicit: bool) -> Result<Datum, Error> {
        if array.dimensions() > 1 {
            return Err(Error::NotOneDimensional);
        }
        if array.has_nulls() {
            return Err(Error::Null);
        }
        if let Some(values) = array.elements::<f32>() {
            convert(values, modifier, |x| x)
        } else if let Some(values) = array.elements::<f64>() {
            convert(values, modifier, |x| x as f32)
        } else if let Some(values) = array.elements::<i32>() {
            convert(values, modifier, |x| x as f32)
        } else if array.element_type() == pg_sys::NUMERICOID {
            convert(&numerics(&array), modifier, |x| x)
        } else {
            Err(Error::ArrayType)
        }
    }

    fn vector_to_float4(vector: VectorRef<'_>, _modifier: i32, _explicit: bool) -> Result<Vec<f32>, Error> {
        Ok(vector.to_vec())
    }
}

fn convert<T: Copy>(values: &[T], modifier: i32, element: impl Fn(T) -> f32) -> Result<Datum, Error> {
    check_dimensions(values.len())?;
    check_modifier(modifier, values.len())?;
    let (datum, elements) = alloc(values.len());
    elements.iter_mut().zip(values).for_each(|(slot, value)| *slot = element(*value));
    check_elements(elements)?;
    Ok(datum)
}
