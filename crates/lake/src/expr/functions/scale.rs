//! How many digits PostgreSQL prints behind the point of what is computed.

use datafusion::logical_expr::{Expr, lit, when};

use super::typed::{Scale, Typed};

/// The scale of a numeric as an integer; `None` if nobody knows.
pub(super) fn printed(value: &Typed) -> Option<Expr> {
    match &value.scale {
        Scale::Fixed => value.numeric().map(|numeric| lit(i32::from(numeric.scale))),
        Scale::Each(scale) => Some((**scale).clone()),
        Scale::Unknown => None,
    }
}

/// The larger scale of two numerics, of a type whose scale is the larger one, too.
pub(super) fn larger(left: &Typed, right: &Typed) -> Scale {
    if left.scale == Scale::Fixed && right.scale == Scale::Fixed {
        return Scale::Fixed;
    }
    let greatest = |a: Expr, b: Expr| when(a.clone().gt_eq(b.clone()), a).otherwise(b).ok();
    let both = printed(left).zip(printed(right)).and_then(|(a, b)| greatest(a, b));
    both.map_or(Scale::Unknown, |scale| Scale::Each(Box::new(scale)))
}

/// The sum of both scales, as the type has it.
pub(super) fn summed(left: &Typed, right: &Typed) -> Scale {
    match (&left.scale, &right.scale) {
        (Scale::Fixed, Scale::Fixed) => Scale::Fixed,
        _ => printed(left).zip(printed(right)).map_or(Scale::Unknown, |(a, b)| Scale::Each(Box::new(a + b))),
    }
}
