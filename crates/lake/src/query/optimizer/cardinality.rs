//! How many rows a logical plan gives, and how many values its columns have: estimates, from which nothing is answered.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{JoinType, Result as EngineResult, ScalarValue};
use datafusion::datasource::source_as_provider;
use datafusion::logical_expr::{
    Aggregate, BinaryExpr, Expr, FetchType, Join, LogicalPlan, Operator, SkipType, TableScan,
};

use super::super::own;
use super::super::provider::{LakeTable, Shipped};
use super::super::restore::restore;
use super::super::shared::SharedTable;
use super::super::statistics::{ANY, COMPARED, EQUAL, Known, left, pattern, share};

/// Of what nothing is known, so many rows.
const ROWS: f64 = 1000.0;
/// Names that one column may have, one after the other.
const MOST_NAMES: usize = 64;
/// An antijoin is not taken to leave less.
const LEAST_KEPT: f64 = 0.01;

/// What is known of the columns of a plan, by their names: no two have the same.
#[derive(Default)]
pub(super) struct Cardinality {
    origins: HashMap<String, Origin>,
}

enum Origin {
    Table(Known, usize),
    /// Another column with the same values.
    Same(String),
}

impl Cardinality {
    /// Of all columns in a plan.
    pub(super) fn of(plan: &LogicalPlan) -> EngineResult<Self> {
        let mut found = Self::default();
        plan.apply(|node| {
            found.look(node);
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(found)
    }

    fn look(&mut self, node: &LogicalPlan) {
        match node {
            LogicalPlan::TableScan(scan) => {
                if let Some(shared) = shared(scan) {
                    return self.look_at_shared(scan, &shared);
                }
                let Some(known) = known(scan) else { return };
                for (at, field) in scan.source.schema().fields().iter().enumerate() {
                    self.origins.insert(field.name().clone(), Origin::Table(known.clone(), at));
                }
            }
            LogicalPlan::Projection(projection) => {
                for expr in &projection.expr {
                    if let Expr::Alias(alias) = expr
                        && let Some(name) = plain(&alias.expr).filter(|name| **name != alias.name)
                    {
                        self.origins.insert(alias.name.clone(), Origin::Same(name.to_owned()));
                    }
                }
            }
            _ => {}
        }
    }

    /// Its columns are those of the plan that is shared, under other names.
    fn look_at_shared(&mut self, scan: &TableScan, shared: &SharedTable) {
        let looked = shared.shared().plan().apply(|node| {
            self.look(node);
            Ok(TreeNodeRecursion::Continue)
        });
        if looked.is_err() {
            return;
        }
        let own = shared.shared().plan().schema().columns();
        for (field, column) in scan.source.schema().fields().iter().zip(own) {
            self.origins.insert(field.name().clone(), Origin::Same(column.name));
        }
    }

    fn origin(&self, name: &str) -> Option<(&Known, usize)> {
        let mut name = name;
        for _ in 0..MOST_NAMES {
            match self.origins.get(name)? {
                Origin::Table(known, at) => return Some((known, *at)),
                Origin::Same(other) => name = other,
            }
        }
        None
    }

    /// How many values an expression has in so many rows. Of what nothing is known, all are taken to be different.
    pub(super) fn distinct(&self, expr: &Expr, rows: f64) -> f64 {
        let found = plain(expr).and_then(|name| {
            let (known, at) = self.origin(name)?;
            Some(left(known.distinct(at)?, known.rows(), rows))
        });
        found.unwrap_or(rows).clamp(1.0, rows.max(1.0))
    }

    /// The rows that a plan gives.
    pub(super) fn rows(&self, plan: &LogicalPlan) -> f64 {
        let rows = match plan {
            LogicalPlan::TableScan(scan) => self.scanned(scan),
            LogicalPlan::Filter(filter) => self.rows(&filter.input) * self.selectivity(&filter.predicate),
            LogicalPlan::Join(join) => self.joined(join),
            LogicalPlan::Aggregate(aggregate) => self.grouped(aggregate),
            LogicalPlan::Limit(limit) => {
                let fetch = match limit.get_fetch_type() {
                    Ok(FetchType::Literal(Some(rows))) => rows as f64,
                    _ => f64::INFINITY,
                };
                let skip = match limit.get_skip_type() {
                    Ok(SkipType::Literal(rows)) => rows as f64,
                    _ => 0.0,
                };
                (self.rows(&limit.input) - skip).min(fetch)
            }
            LogicalPlan::Sort(sort) => self.rows(&sort.input).min(sort.fetch.map_or(f64::INFINITY, |rows| rows as f64)),
            LogicalPlan::Union(union) => union.inputs.iter().map(|input| self.rows(input)).sum(),
            LogicalPlan::EmptyRelation(relation) => f64::from(u8::from(relation.produce_one_row)),
            LogicalPlan::Values(values) => values.values.len() as f64,
            other => match &other.inputs()[..] {
                [] => ROWS,
                inputs => inputs.iter().map(|input| self.rows(input)).fold(0.0, f64::max),
            },
        };
        rows.max(1.0)
    }

    /// The rows that it would give without conditions on them.
    pub(super) fn all_rows(&self, plan: &LogicalPlan) -> f64 {
        match plan {
            LogicalPlan::TableScan(scan) => known(scan).map_or_else(|| self.scanned(scan), |known| known.rows()),
            LogicalPlan::Filter(filter) => self.all_rows(&filter.input),
            LogicalPlan::Projection(projection) => self.all_rows(&projection.input),
            other => self.rows(other),
        }
    }

    fn scanned(&self, scan: &TableScan) -> f64 {
        let fetch = scan.fetch.map_or(f64::INFINITY, |rows| rows as f64);
        let of_shared = || Some(self.rows(shared(scan)?.shared().plan()));
        let rows = match known(scan) {
            Some(known) => known.rows(),
            None => sent(scan).or_else(of_shared).unwrap_or(ROWS),
        };
        let condition = scan.filters.iter().cloned().reduce(Expr::and);
        (rows * condition.map_or(1.0, |condition| self.selectivity(&condition))).min(fetch)
    }

    fn grouped(&self, aggregate: &Aggregate) -> f64 {
        let input = self.rows(&aggregate.input);
        let groups = aggregate.group_expr.iter().map(|group| match group {
            Expr::GroupingSet(_) => input,
            group => self.distinct(group, input),
        });
        groups.product::<f64>().min(input)
    }

    fn joined(&self, join: &Join) -> f64 {
        let (one, other) = (self.rows(&join.left), self.rows(&join.right));
        let matched = || {
            let keys = join.on.iter().map(|(l, r)| self.distinct(l, one).max(self.distinct(r, other)));
            let condition = join.filter.as_ref().map_or(1.0, |filter| self.selectivity(filter));
            one * other * condition / keys.product::<f64>()
        };
        match join.join_type {
            JoinType::Inner => matched(),
            JoinType::Left => matched().max(one),
            JoinType::Right => matched().max(other),
            JoinType::Full => matched().max(one).max(other),
            JoinType::LeftSemi | JoinType::LeftAnti => {
                one * self.kept(&join.on, join.filter.as_ref(), join.join_type == JoinType::LeftAnti, one, other)
            }
            JoinType::RightSemi | JoinType::RightAnti => {
                let on: Vec<_> = join.on.iter().map(|(left, right)| (right.clone(), left.clone())).collect();
                other * self.kept(&on, join.filter.as_ref(), join.join_type == JoinType::RightAnti, other, one)
            }
            JoinType::LeftMark => one,
            JoinType::RightMark => other,
        }
    }

    /// The share of the first side that a semijoin or antijoin keeps, with so many rows on both sides.
    pub(super) fn kept(&self, on: &[(Expr, Expr)], filter: Option<&Expr>, anti: bool, one: f64, other: f64) -> f64 {
        let mut found: f64 = 1.0;
        let mut partners = other;
        for (l, r) in on {
            let (asked, there) = (self.distinct(l, one), self.distinct(r, other));
            found = found.min(there / asked);
            partners = partners.min(other / there);
        }
        if let Some(filter) = filter {
            // One partner of several is enough.
            found *= 1.0 - (1.0 - self.selectivity(filter)).powf(partners.max(1.0));
        }
        let found = share(found);
        if anti { (1.0 - found).max(LEAST_KEPT) } else { found }
    }

    /// The share of rows for which a condition is true.
    pub(super) fn selectivity(&self, condition: &Expr) -> f64 {
        share(self.of_one_table(condition).unwrap_or_else(|| self.by_form(condition)))
    }

    /// Of a condition on one table, which its scan could test.
    fn of_one_table(&self, condition: &Expr) -> Option<f64> {
        let mut columns = condition.column_refs().into_iter().map(|column| self.origin(&column.name));
        let (known, _) = columns.next()??;
        let same = |origin: Option<(&Known, usize)>| origin.is_some_and(|(other, _)| Arc::ptr_eq(known, other));
        if !columns.all(same) {
            return None;
        }
        let restored = restore(condition, &|name| {
            let (_, at) = self.origin(name)?;
            Some((at, known.ty(at)?))
        });
        Some(known.selectivity(&restored?))
    }

    /// Of any other, by what it is.
    fn by_form(&self, condition: &Expr) -> f64 {
        match condition {
            Expr::Literal(ScalarValue::Boolean(Some(true)), _) => 1.0,
            Expr::Literal(..) => 0.0,
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
                Operator::And => self.selectivity(left) * self.selectivity(right),
                Operator::Or => 1.0 - (1.0 - self.selectivity(left)) * (1.0 - self.selectivity(right)),
                Operator::Eq => self.equal(left, right),
                Operator::NotEq => 1.0 - self.equal(left, right),
                Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => COMPARED,
                _ => ANY,
            },
            Expr::Not(inner) => 1.0 - self.selectivity(inner),
            Expr::IsNull(_) => EQUAL,
            Expr::IsNotNull(_) => 1.0 - EQUAL,
            Expr::InList(list) => {
                let found = share(EQUAL * list.list.len() as f64);
                if list.negated { 1.0 - found } else { found }
            }
            Expr::Like(like) => {
                let found = match like.pattern.as_ref() {
                    Expr::Literal(value, _) => value.try_as_str().flatten().map_or(EQUAL, pattern),
                    _ => EQUAL,
                };
                if like.negated { 1.0 - found } else { found }
            }
            _ => ANY,
        }
    }

    fn equal(&self, left: &Expr, right: &Expr) -> f64 {
        let distinct = |expr: &Expr| {
            let (known, at) = self.origin(plain(expr)?)?;
            known.distinct(at)
        };
        match (distinct(left), distinct(right)) {
            (Some(one), Some(other)) => 1.0 / one.max(other).max(1.0),
            (Some(one), None) | (None, Some(one)) => 1.0 / one.max(1.0),
            (None, None) => EQUAL,
        }
    }
}

/// The column whose values these are, whatever was done to it to compare it.
fn plain(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Column(column) => Some(&column.name),
        Expr::Cast(cast) => plain(&cast.expr),
        Expr::Alias(alias) => plain(&alias.expr),
        Expr::ScalarFunction(call) if own::is_canonical(&call.func) => call.args.first().and_then(plain),
        _ => None,
    }
}

fn known(scan: &TableScan) -> Option<Known> {
    provider::<LakeTable, _>(scan, LakeTable::statistics)
}

fn sent(scan: &TableScan) -> Option<f64> {
    provider::<Shipped, _>(scan, |shipped| shipped.rows() as f64)
}

fn shared(scan: &TableScan) -> Option<SharedTable> {
    provider::<SharedTable, _>(scan, SharedTable::clone)
}

fn provider<P: Any, T>(scan: &TableScan, f: impl Fn(&P) -> T) -> Option<T> {
    let provider = source_as_provider(&scan.source).ok()?;
    let provider: &dyn Any = provider.as_ref();
    provider.downcast_ref::<P>().map(f)
}
