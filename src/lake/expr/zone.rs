//! Comparisons of a `timestamptz` with a constant date or timestamp. Which point in time that is, the session's time zone says,
//! so PostgreSQL makes a `timestamptz` of it when execution begins.

use lagoon_lake::expr::Function;
use pgrx::pg_sys::{self, Oid};

use super::operator::operator_between;
use crate::pg::node::Node;

/// Days since 2000 of the years 1 to 9999, for which casts have no errors: comparisons never have one.
const DAYS: std::ops::Range<i64> = -730_119..2_921_940;
const MICROS_PER_DAY: i64 = 86_400_000_000;

/// The same comparison between two `timestamptz`, if this is one.
pub(in crate::lake) fn zoned<'t>(call: Node<'t, pg_sys::OpExpr>) -> Option<Node<'t, pg_sys::OpExpr>> {
    let (left, right) = (call.args().get(0)?, call.args().get(1)?);
    let (function, [left_type, right_type]) = operator_between(call.opno)?;
    let Function::Compare(_) = function else { return None };
    let (left, right) = match (left_type, right_type) {
        (pg_sys::TIMESTAMPTZOID, other) => (left, cast(right, other)?),
        (other, pg_sys::TIMESTAMPTZOID) => (cast(left, other)?, right),
        _ => return None,
    };
    // SAFETY: nodes that PostgreSQL makes in the current memory context, in which all of the statement is planned.
    unsafe {
        let name = pg_sys::makeString(pg_sys::get_opname(call.opno));
        let schema = pg_sys::makeString(pg_sys::pstrdup(c"pg_catalog".as_ptr()));
        let names = pg_sys::lappend(pg_sys::lappend(std::ptr::null_mut(), schema.cast()), name.cast());
        let operator = pg_sys::OpernameGetOprid(names, pg_sys::TIMESTAMPTZOID, pg_sys::TIMESTAMPTZOID);
        if operator == pg_sys::InvalidOid {
            return None;
        }
        let made = pg_sys::make_opclause(
            operator,
            pg_sys::BOOLOID,
            false,
            left.as_ptr().cast(),
            right.as_ptr().cast(),
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
        );
        Node::new(made).and_then(Node::cast)
    }
}

/// A constant of this type as a `timestamptz`, to be computed at execution.
fn cast(node: Node<'_>, ty: Oid) -> Option<Node<'_>> {
    let constant = node.cast::<pg_sys::Const>()?;
    let datum = constant.value()?.value();
    let (function, days) = match ty {
        pg_sys::DATEOID => (pg_sys::F_TIMESTAMPTZ_DATE, i64::from(datum as i32)),
        pg_sys::TIMESTAMPOID => (pg_sys::F_TIMESTAMPTZ_TIMESTAMP, (datum as i64).div_euclid(MICROS_PER_DAY)),
        _ => return None,
    };
    if constant.consttype != ty || !DAYS.contains(&days) {
        return None;
    }
    // SAFETY: as above.
    unsafe {
        let arguments = pg_sys::lappend(std::ptr::null_mut(), node.as_ptr().cast());
        let call = pg_sys::makeFuncExpr(
            Oid::from(function),
            pg_sys::TIMESTAMPTZOID,
            arguments,
            pg_sys::InvalidOid,
            pg_sys::InvalidOid,
            pg_sys::CoercionForm::COERCE_EXPLICIT_CAST,
        );
        Node::new(call.cast())
    }
}
