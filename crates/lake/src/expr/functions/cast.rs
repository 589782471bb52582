//! Casts.

use super::convert::{integer_digits, widened};
use super::typed::{Typed, of_kind, unsupported};
use super::{datetime, float, input, integer, round, text};
use crate::error::Result;
use crate::expr::Type;
use crate::types::{ColumnType, Kind, Numeric};

/// As PostgreSQL casts between the two types. `numeric` is the modifier of a cast to `numeric(p,s)`.
pub(crate) fn cast(value: Typed, to: Type, numeric: Option<Numeric>) -> Result<Typed> {
    let refused = |value: &Typed| Err(unsupported(format!("a cast of {} to {to:?}", value.ty)));
    let (Type::One(kind), Some(own)) = (to, value.kind()) else { return refused(&value) };
    if let (Kind::Numeric, Some(wanted)) = (kind, numeric) {
        let value = cast(value, to, None)?;
        return match value.numeric() {
            Some(own) => round::field(value, own, wanted),
            None => refused(&value),
        };
    }
    if own == kind {
        return Ok(value);
    }
    Ok(match (own, kind) {
        (Kind::Int2 | Kind::Int4, Kind::Int8) | (Kind::Int2, Kind::Int4) => widened(value, of_kind(kind)),
        (Kind::Int2 | Kind::Int4 | Kind::Int8, Kind::Numeric) => {
            let digits = integer_digits(&value.ty).unwrap_or(19);
            widened(value, ColumnType::numeric(digits, 0))
        }
        (Kind::Int2 | Kind::Int4 | Kind::Int8, Kind::Float4 | Kind::Float8) | (Kind::Float4, Kind::Float8) => {
            widened(value, of_kind(kind))
        }
        (Kind::Int2 | Kind::Int4 | Kind::Int8, Kind::Int2 | Kind::Int4) => integer::narrowed(value, kind),
        (Kind::Float4 | Kind::Float8, Kind::Int2 | Kind::Int4 | Kind::Int8) | (Kind::Float8, Kind::Float4) => {
            float::converted(value, kind)
        }
        (Kind::Numeric, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Float4 | Kind::Float8) => match value.numeric() {
            Some(own) => round::converted(value, own, kind),
            None => return refused(&value),
        },
        (Kind::Bool | Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Numeric, Kind::Text) => {
            return text::output(value).ok_or_else(|| unsupported("a numeric of several scales as text"));
        }
        (Kind::Text, _) => return input::input(value, kind).ok_or_else(|| unsupported(format!("a text as {kind:?}"))),
        (Kind::Date | Kind::Timestamp, Kind::Date | Kind::Timestamp) => {
            return datetime::cast(value, of_kind(kind)).ok_or_else(|| unsupported("a cast of dates"));
        }
        _ => return refused(&value),
    })
}
