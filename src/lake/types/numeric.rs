//! `numeric`: a Decimal128 or Decimal256 without a detour over text.
//!
//! The format is the short one of numeric.c (NUMERIC_SHORT): a 16-bit header (0x8000, sign 0x2000, scale in bits 7-12, sign
//! of the weight 0x40, weight in bits 0-5), then base-10000 digits, without zero digits at either end. Every decimal of at
//! most 38 digits fits. What has more than 63 digits behind the point is in the long one (NUMERIC_POS, NUMERIC_NEG): sign
//! 0x4000 and scale, then 16 bits of weight. They are PostgreSQL's on-disk formats since 9.1.

use std::ffi::CStr;

use lagoon_lake::arrow::array::{Array, ArrayRef, AsArray};
use lagoon_lake::arrow::datatypes::{Decimal128Type, Decimal256Type, i256};
use lagoon_lake::expr::Value;
use lagoon_lake::types::{ColumnType, Kind, MAX_DIGITS, MAX_PRECISION};
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;

use super::Type;
use super::output::{Offsets, Output};

const SHORT: u16 = 0x8000;
const NEGATIVE: u16 = 0x2000;
const SCALE_SHIFT: u16 = 7;
const WEIGHT_SIGN: u16 = 0x40;
const WEIGHT_MASK: u16 = 0x3f;
const BASE: u32 = 10_000;

/// Base-10000 digits of 38 decimal ones, if the point falls badly: 10 before it and 10 behind.
const MOST_DIGITS: usize = 20;

/// What is below has 38 digits at most.
const NARROW: u128 = 10u128.pow(MAX_PRECISION as u32);

/// Decimal digits of a Decimal256.
const WIDE: usize = MAX_DIGITS as usize;

/// The same of those, with a digit more on either side of the point than falls badly.
const MOST_WIDE_DIGITS: usize = WIDE.div_ceil(4) + 1;

/// The largest scale of the short format.
const MOST_SHORT: u8 = 63;

const LONG_NEGATIVE: u16 = 0x4000;

/// Bytes of the largest result without the length word.
const LARGEST: usize = 4 + 2 * MOST_WIDE_DIGITS;

pub(super) const NUMERIC: Type = Type { oid: pg_sys::NUMERICOID, kind: Kind::Numeric, column, value, decode };

/// As numeric_typmod_precision and numeric_typmod_scale in numeric.c.
fn column(typmod: i32) -> Option<ColumnType> {
    let packed = typmod.checked_sub(pg_sys::VARHDRSZ as i32).filter(|packed| *packed >= 0)?;
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    let precision = (packed >> 16) & 0xffff;
    let (precision, scale) = (u8::try_from(precision).ok()?, u8::try_from(scale).ok()?);
    (precision <= MAX_PRECISION && scale <= precision).then(|| ColumnType::numeric(precision, scale))
}

/// # Safety
/// `datum` is a numeric.
unsafe fn value(datum: pg_sys::Datum) -> Result<Value> {
    // SAFETY: the caller's; what the output function returns is a string of our own.
    unsafe {
        let text = pg_sys::OidOutputFunctionCall(pg_sys::Oid::from(pg_sys::F_NUMERIC_OUT), datum);
        let value = Value::Numeric(CStr::from_ptr(text).to_string_lossy().into_owned());
        pg_sys::pfree(text.cast());
        Ok(value)
    }
}

fn decode(ty: &ColumnType, array: &ArrayRef, out: &mut Output<'_>) -> Result<()> {
    let scale = if let ColumnType::Numeric(numeric) = ty { numeric.scale } else { 0 };
    let mut encoded = [0u8; LARGEST];
    let digits = out.digits;
    let shown = |row: usize| match digits {
        None => Ok(scale),
        Some(digits) => {
            let shown = digits.get(row).and_then(|digits| u8::try_from(*digits).ok()).filter(|shown| *shown <= scale);
            shown.ok_or_else(|| Error::Internal { message: format!("a numeric of scale {scale} with other digits") })
        }
    };
    let mut offsets = Offsets::new(out.storage);
    if let Some(array) = array.as_primitive_opt::<Decimal256Type>() {
        for i in 0..array.len() {
            if array.is_null(i) {
                offsets.push(out.values, &[], out.name)?;
                continue;
            }
            let value = array.value(i);
            let narrow = value.to_i128().filter(|value| scale <= MAX_PRECISION && value.unsigned_abs() < NARROW);
            let length = match narrow {
                Some(value) => encode(value, scale, shown(i)?, &mut encoded),
                None => encode_wide(value, scale, shown(i)?, &mut encoded),
            };
            offsets.push(out.values, &encoded[..length], out.name)?;
        }
    } else {
        let array = array.as_primitive::<Decimal128Type>();
        for i in 0..array.len() {
            if array.is_null(i) {
                offsets.push(out.values, &[], out.name)?;
                continue;
            }
            let length = encode(array.value(i), scale, shown(i)?, &mut encoded);
            offsets.push(out.values, &encoded[..length], out.name)?;
        }
    }
    offsets.finish(out.values);
    Ok(())
}

/// Writes header and digits of `unscaled / 10^scale` to `out` and returns their length in bytes. So many digits as `shown` says
/// are printed behind the point; it has no others.
fn encode(unscaled: i128, scale: u8, shown: u8, out: &mut [u8; LARGEST]) -> usize {
    let magnitude = unscaled.unsigned_abs();
    let unit = 10u128.pow(u32::from(scale));
    let (mut whole, mut fraction) = match (u64::try_from(magnitude), u64::try_from(unit)) {
        (Ok(magnitude), Ok(unit)) => (u128::from(magnitude / unit), u128::from(magnitude % unit)),
        _ => (magnitude / unit, magnitude % unit),
    };
    // From the last digit to the first.
    let mut reversed = [0u16; MOST_DIGITS];
    let mut count = 0;
    let mut push = |digit: u32| {
        if let Some(slot) = reversed.get_mut(count) {
            *slot = digit as u16;
            count += 1;
        }
    };
    let rest = u32::from(scale) % 4;
    if rest != 0 {
        let part = 10u32.pow(rest);
        push(pop(&mut fraction, part) * 10u32.pow(4 - rest));
    }
    for _ in 0..scale / 4 {
        push(pop(&mut fraction, BASE));
    }
    let mut weight = -1i32;
    while whole > 0 {
        push(pop(&mut whole, BASE));
        weight += 1;
    }
    let digits = &reversed[..count];
    let last = digits.iter().position(|digit| *digit != 0).unwrap_or(count);
    let digits = &digits[last..];
    let leading = digits.iter().rev().take_while(|digit| **digit == 0).count();
    let digits = &digits[..digits.len() - leading];
    weight -= leading as i32;
    let mut header = SHORT | (u16::from(shown) << SCALE_SHIFT);
    if digits.is_empty() {
        weight = 0;
    } else if unscaled < 0 {
        header |= NEGATIVE;
    }
    if weight < 0 {
        header |= WEIGHT_SIGN;
    }
    header |= weight as u16 & WEIGHT_MASK;
    out[..2].copy_from_slice(&header.to_ne_bytes());
    for (digit, slot) in digits.iter().rev().zip(out[2..].chunks_exact_mut(2)) {
        slot.copy_from_slice(&digit.to_ne_bytes());
    }
    2 + 2 * digits.len()
}

/// The same of at most 76 digits and as many behind the point.
fn encode_wide(unscaled: i256, scale: u8, shown: u8, out: &mut [u8; LARGEST]) -> usize {
    let digits = decimal_digits(unscaled);
    // The value of a base-10000 digit of this weight: decimal exponents count from the point, digits from the first.
    let digit = |weight: i32| {
        let exponents = (4 * weight..4 * weight + 4).rev();
        let at = exponents.map(|exponent| usize::try_from(WIDE as i32 - 1 - i32::from(scale) - exponent).ok());
        at.fold(0u16, |sum, at| sum * 10 + u16::from(at.and_then(|at| digits.get(at)).copied().unwrap_or(0)))
    };
    let most = (WIDE as i32 - i32::from(scale) + 3).div_euclid(4);
    let least = -(i32::from(scale) + 3).div_euclid(4);
    let first = (least..most).rev().find(|weight| digit(*weight) != 0);
    let last = (least..most).find(|weight| digit(*weight) != 0);
    let negative = unscaled.is_negative();
    let weight = first.unwrap_or(0);
    let mut length = if shown <= MOST_SHORT {
        let mut header = SHORT | (u16::from(shown) << SCALE_SHIFT) | (weight as u16 & WEIGHT_MASK);
        header |= if negative { NEGATIVE } else { 0 };
        header |= if weight < 0 { WEIGHT_SIGN } else { 0 };
        out[..2].copy_from_slice(&header.to_ne_bytes());
        2
    } else {
        let header = u16::from(shown) | if negative { LONG_NEGATIVE } else { 0 };
        out[..2].copy_from_slice(&header.to_ne_bytes());
        out[2..4].copy_from_slice(&(weight as i16).to_ne_bytes());
        4
    };
    if let (Some(first), Some(last)) = (first, last) {
        for weight in (last..=first).rev() {
            out[length..length + 2].copy_from_slice(&digit(weight).to_ne_bytes());
            length += 2;
        }
    }
    length
}

/// The decimal digits of a magnitude, the first one first.
fn decimal_digits(value: i256) -> [u8; WIDE] {
    const HALF: usize = WIDE / 2;
    let unit = i256::from_i128(10i128.pow(HALF as u32));
    let magnitude = value.wrapping_abs();
    let mut digits = [0u8; WIDE];
    let halves = [magnitude.checked_div(unit), magnitude.checked_rem(unit)];
    for (half, place) in halves.into_iter().zip(digits.chunks_exact_mut(HALF)) {
        let mut rest = half.map_or(0, |half| half.as_i128()).unsigned_abs();
        for digit in place.iter_mut().rev() {
            *digit = pop(&mut rest, 10) as u8;
        }
    }
    digits
}

fn pop(number: &mut u128, base: u32) -> u32 {
    match u64::try_from(*number) {
        Ok(small) => {
            *number = u128::from(small / u64::from(base));
            (small % u64::from(base)) as u32
        }
        Err(_) => {
            let digit = (*number % u128::from(base)) as u32;
            *number /= u128::from(base);
            digit
        }
    }
}
