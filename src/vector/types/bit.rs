//! Distances of bit strings, and the bits of a vector.

use lagoon_vector::distance::bit::{JaccardParts, kernels};
use lagoon_vector::distance::half::f16;
use pgrx::pg_sys::Datum;

use super::error::Error;
use crate::pg::datum::vector::{BitRef, DenseRef, Scalar, alloc_bits};
use crate::pg::function::{sql_functions, sql_symbols};
use crate::pg::interrupt;

sql_functions! {
    /// Operator `<~>`: the number of bits that differ.
    fn hamming_distance(a: BitRef<'_>, b: BitRef<'_>) -> Result<f64, Error> {
        same_length(&a, &b)?;
        Ok(stretches(&a, &b).map(|(a, b)| (kernels().hamming)(a, b)).sum::<u64>() as f64)
    }

    /// Operator `<%>`: one minus the share of the bits set in either that are set in both; 1 when none is.
    fn jaccard_distance(a: BitRef<'_>, b: BitRef<'_>) -> Result<f64, Error> {
        same_length(&a, &b)?;
        let mut parts = JaccardParts::default();
        stretches(&a, &b).for_each(|(a, b)| parts += (kernels().jaccard)(a, b));
        Ok(parts.distance())
    }
}

/// Bytes between two checks for interrupts: a bit string may have hundreds of millions.
const STRETCH: usize = 1 << 22;

fn stretches<'a>(a: &'a [u8], b: &'a [u8]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
    a.chunks(STRETCH).zip(b.chunks(STRETCH)).inspect(|_| interrupt::check())
}

/// One bit an element: whether it is above zero.
fn binary_quantize<E: Scalar>(vector: DenseRef<'_, E>) -> Result<Datum, Error> {
    let (datum, bytes) = alloc_bits(vector.len());
    for (byte, elements) in bytes.iter_mut().zip(vector.chunks(8)) {
        let above = |bit: usize, element: &E| u8::from(element.to_f32() > 0.0) << (7 - bit);
        *byte = elements.iter().enumerate().fold(0, |byte, (bit, element)| byte | above(bit, element));
    }
    Ok(datum)
}

#[inline]
fn same_length(a: &BitRef<'_>, b: &BitRef<'_>) -> Result<(), Error> {
    if a.bits() == b.bits() { Ok(()) } else { Err(Error::DifferentBits(a.bits(), b.bits())) }
}

sql_symbols! {
    binary_quantize = binary_quantize::<f32>,
    halfvec_binary_quantize = binary_quantize::<f16>,
}
