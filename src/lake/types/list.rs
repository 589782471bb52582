//! One-dimensional arrays of the other types.

use lagoon_lake::arrow::array::{Array, ArrayRef, AsArray};
use lagoon_lake::expr::Value;
use lagoon_lake::types::ColumnType;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::Type;
use super::output::{Output, no_memory};
use crate::pg::interrupt;

/// Elements of an array that are converted between two looks for a cancel.
const ELEMENTS_AT_ONCE: usize = 10_000;

/// The elements of an array with elements that have values.
///
/// # Safety
/// `datum` must be of type `oid`.
pub(super) unsafe fn value(oid: pg_sys::Oid, datum: pg_sys::Datum) -> Result<Value> {
    // SAFETY: the caller's; deconstruct_array allocates both results.
    unsafe {
        let element = pg_sys::get_element_type(oid);
        let Some(ty) = Type::of_oid(element) else {
            return Err(Error::Internal { message: format!("a value of type {}", oid.to_u32()) });
        };
        let (mut length, mut by_value, mut align) = (0i16, false, 0);
        pg_sys::get_typlenbyvalalign(element, &mut length, &mut by_value, &mut align);
        let array = pg_sys::pg_detoast_datum(datum.cast_mut_ptr()).cast::<pg_sys::ArrayType>();
        let (mut datums, mut nulls, mut count) = (std::ptr::null_mut(), std::ptr::null_mut(), 0);
        pg_sys::deconstruct_array(
            array,
            element,
            i32::from(length),
            by_value,
            align,
            &mut datums,
            &mut nulls,
            &mut count,
        );
        let count = usize::try_from(count).unwrap_or(0);
        let mut values = Vec::new();
        let out = |_| Error::Memory { message: format!("a list of {count} elements") };
        values.try_reserve_exact(count).map_err(out)?;
        for i in 0..count {
            if i % ELEMENTS_AT_ONCE == 0 {
                interrupt::check();
            }
            values.push(if *nulls.add(i) { Value::Null } else { (ty.value)(*datums.add(i))? });
        }
        Ok(Value::List(values))
    }
}

/// Arrays of type `oid`, made by construct_md_array in the current memory context.
pub(super) fn decode(oid: pg_sys::Oid, item: &ColumnType, array: &ArrayRef, out: &mut Output<'_>) -> Result<()> {
    let lists = array.as_list::<i32>();
    let element = element_type(oid);
    let ty = Type::of_column(item)?;
    let (mut values, mut nulls) = (Vec::new(), Vec::new());
    for i in 0..lists.len() {
        if lists.is_null(i) {
            out.values.push(pg_sys::Datum::null());
            continue;
        }
        let items = lists.value(i);
        nulls.clear();
        nulls.try_reserve(items.len()).map_err(|_| no_memory(out.name))?;
        nulls.extend((0..items.len()).map(|i| items.is_null(i)));
        values.clear();
        values.try_reserve(items.len()).map_err(|_| no_memory(out.name))?;
        let mut elements = Output {
            values: &mut values,
            nulls: &nulls,
            storage: out.storage,
            name: out.name,
            digits: None,
            to_server: out.to_server,
        };
        (ty.decode)(item, &items, &mut elements)?;
        let mut count = i32::try_from(items.len()).map_err(|_| Error::TooLarge { column: out.name.to_owned() })?;
        let mut lower = 1;
        // SAFETY: values and nulls have `count` entries; the array copies what they point to.
        let made = unsafe {
            if count == 0 {
                pg_sys::construct_empty_array(element.oid)
            } else {
                pg_sys::construct_md_array(
                    values.as_mut_ptr(),
                    nulls.as_mut_ptr(),
                    1,
                    &mut count,
                    &mut lower,
                    element.oid,
                    i32::from(element.length),
                    element.by_value,
                    element.align,
                )
            }
        };
        out.values.push(pg_sys::Datum::from(made));
    }
    Ok(())
}

struct ElementType {
    oid: pg_sys::Oid,
    length: i16,
    by_value: bool,
    align: std::ffi::c_char,
}

fn element_type(array: pg_sys::Oid) -> ElementType {
    // SAFETY: catalog lookups with places for the results.
    unsafe {
        let oid = pg_sys::get_element_type(array);
        let (mut length, mut by_value, mut align) = (0, false, 0);
        pg_sys::get_typlenbyvalalign(oid, &mut length, &mut by_value, &mut align);
        ElementType { oid, length, by_value, align }
    }
}
