//! UNION, INTERSECT and EXCEPT. In them NULL equals NULL.

use std::sync::Arc;

use datafusion::common::{JoinType, NullEquality};
use datafusion::logical_expr::{Expr as Logical, Join, JoinConstraint, LogicalPlan};

use super::ir::SetKind;
use super::planner::{Planner, Relation};
use super::scalar::key;
use super::{unsupported, window};
use crate::error::{Error, Result};

/// Plans a set operation.
pub(super) fn plan(
    planner: &mut Planner,
    kind: SetKind,
    all: bool,
    left: Relation,
    right: Relation,
) -> Result<Relation> {
    if left.fields.is_empty() {
        return Err(unsupported("a set operation without columns"));
    }
    match (kind, all) {
        (SetKind::Union, true) => planner.union(left, right),
        (SetKind::Union, false) => {
            let both = planner.union(left, right)?;
            planner.distinct(both)
        }
        (SetKind::Intersect, all) => matched(planner, JoinType::LeftSemi, all, left, right),
        (SetKind::Except, all) => matched(planner, JoinType::LeftAnti, all, left, right),
    }
}

/// Rows of the left side that have, or have not, a partner on the right. With `all` the first of equal rows is the partner of
/// the first, the second of the second.
fn matched(planner: &mut Planner, join_type: JoinType, all: bool, left: Relation, right: Relation) -> Result<Relation> {
    let (mut left, mut right) = planner.aligned(left, right)?;
    let visible = left.fields.clone();
    if all {
        left = counted(planner, left)?;
        right = counted(planner, right)?;
    }
    let columns = |side: &Relation| side.fields.iter().map(|field| Logical::Column(field.column.clone())).collect();
    let (keys, others): (Vec<_>, Vec<_>) = (columns(&left), columns(&right));
    let plan = Join::try_new(
        Arc::new(left.plan),
        Arc::new(right.plan),
        keys.into_iter().zip(others).collect(),
        None,
        join_type,
        JoinConstraint::On,
        NullEquality::NullEqualsNull,
        false,
    );
    let plan = plan.map(LogicalPlan::Join).map_err(Error::internal)?;
    let joined = Relation { plan, fields: visible };
    if all { Ok(joined) } else { planner.distinct(joined) }
}

/// With the number of a row among those that are equal to it.
fn counted(planner: &mut Planner, side: Relation) -> Result<Relation> {
    let partition = side.fields.iter().map(|field| key(field.into())).collect::<Result<_>>()?;
    window::numbered(planner, side, partition, Vec::new())
}
