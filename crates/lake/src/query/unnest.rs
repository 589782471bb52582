//! Subqueries become joins: what comes out has none, and no column of a query around it.
//!
//! What a subquery takes of the query around it is pulled out of its filters, up to where both meet in a join. Under an
//! aggregate that works for equalities: their inner sides become groups, and the groups that are not there are those of no
//! rows, of which `count` is 0 and everything else is NULL. What cannot be pulled is refused, with a reason.
//!
//! * EXISTS is a semijoin, NOT EXISTS an antijoin, either a mark where it is not a condition of its own.
//! * IN is a semijoin where false and unknown are the same; elsewhere the rows are asked again for what is unknown.
//! * A scalar is an outer join with its only row, or with a group that counts its rows, so that a second one is an error for
//!   the rows that ask.

use super::ir::{Aggregate, JoinKind, Rel, SortKey};
use super::unsupported;
use crate::error::{Error, Result};
use crate::expr::{Comparison, Expr, Function, Type, Value};
use crate::types::Kind;

/// Aggregates that are not NULL of no rows.
const COUNTS: [&str; 2] = ["count", "regr_count"];
/// What this makes of a subquery that may have several rows: any of their values.
pub(super) const ANY: &str = "lagoon_any";

/// The tree without subqueries.
pub(super) fn unnest(rel: &Rel) -> Result<Rel> {
    Ok(match rel {
        Rel::Table { .. } | Rel::Shipped { .. } | Rel::Common { .. } => rel.clone(),
        Rel::Values { rows, .. } => {
            if rows.iter().flatten().any(has_query) {
                return Err(unsupported("a subquery in VALUES"));
            }
            rel.clone()
        }
        Rel::Filter { input, condition } => filtered(unnest(input)?, condition)?,
        Rel::Project { input, columns } => {
            let mut host = Host::new(unnest(input)?);
            let columns = columns.iter().map(|column| host.lift(column, false)).collect::<Result<_>>()?;
            Rel::Project { input: Box::new(host.rel), columns }
        }
        Rel::Aggregate { input, groups, sets, aggregates } => {
            let mut host = Host::new(unnest(input)?);
            let groups = groups.iter().map(|group| host.lift(group, false)).collect::<Result<_>>()?;
            let aggregates = aggregates.iter().map(|call| host.lift_aggregate(call)).collect::<Result<_>>()?;
            Rel::Aggregate { input: Box::new(host.rel), groups, sets: sets.clone(), aggregates }
        }
        Rel::Window { input, calls } => {
            let exprs = calls.iter().flat_map(|call| call.arguments.iter().chain(&call.partition).chain(&call.filter));
            refuse_query(
                exprs.chain(calls.iter().flat_map(|call| call.order.iter().map(|key| &key.expr))),
                "a window",
            )?;
            Rel::Window { input: Box::new(unnest(input)?), calls: calls.clone() }
        }
        Rel::Distinct { input, on } => Rel::Distinct { input: Box::new(unnest(input)?), on: on.clone() },
        Rel::Sort { input, keys } => {
            refuse_query(keys.iter().map(|key| &key.expr), "ORDER BY")?;
            Rel::Sort { input: Box::new(unnest(input)?), keys: keys.clone() }
        }
        Rel::Limit { input, offset, count } => {
            refuse_query(offset.iter().chain(count), "LIMIT")?;
            Rel::Limit { input: Box::new(unnest(input)?), offset: offset.clone(), count: count.clone() }
        }
        Rel::Ties { input, keys, offset, count } => {
            refuse_query(keys.iter().map(|key| &key.expr), "ORDER BY")?;
            refuse_query(offset.iter().chain(count), "LIMIT")?;
            let input = Box::new(unnest(input)?);
            Rel::Ties { input, keys: keys.clone(), offset: offset.clone(), count: count.clone() }
        }
        Rel::SetOperation { kind, all, left, right } => {
            Rel::SetOperation { kind: *kind, all: *all, left: Box::new(unnest(left)?), right: Box::new(unnest(right)?) }
        }
        Rel::With { tables, body } => {
            Rel::With { tables: tables.iter().map(unnest).collect::<Result<_>>()?, body: Box::new(unnest(body)?) }
        }
        Rel::Join { kind, left, right, condition, lateral } => {
            let (left, right) = (unnest(left)?, unnest(right)?);
            if *lateral && (has_outer(&right, 1) || has_outer(&right, 2)) {
                return self::lateral(*kind, left, right, condition.as_ref());
            }
            match condition {
                Some(condition) if has_query(condition) => {
                    if *kind != JoinKind::Inner {
                        return Err(unsupported("a subquery in the condition of an outer join"));
                    }
                    filtered(join(JoinKind::Inner, left, right, None), condition)?
                }
                condition => join(*kind, left, right, condition.clone()),
            }
        }
    })
}

fn refuse_query<'a>(mut exprs: impl Iterator<Item = &'a Expr>, place: &str) -> Result<()> {
    if exprs.any(has_query) { Err(unsupported(format!("a subquery in {place}"))) } else { Ok(()) }
}

/// Conditions that stand alone become joins of their own; what has no subquery is asked first.
fn filtered(input: Rel, condition: &Expr) -> Result<Rel> {
    let mut parts = Vec::new();
    split(condition, &mut parts);
    let (with, without): (Vec<_>, Vec<_>) = parts.into_iter().partition(has_query);
    let input = filter(input, without);
    if with.is_empty() {
        return Ok(input);
    }
    let width = input.width();
    let mut host = Host::new(input);
    let mut rest = Vec::new();
    for part in &with {
        let alone = match part {
            Expr::Exists(query) => host.join_exists(query, JoinKind::Semi)?,
            Expr::InQuery(item, query) => host.join_in(item, query, JoinKind::Semi)?,
            Expr::Not(inner) => match &**inner {
                Expr::Exists(query) => host.join_exists(query, JoinKind::Anti)?,
                Expr::InQuery(item, query) => host.join_in(item, query, JoinKind::Anti)?,
                _ => false,
            },
            _ => false,
        };
        if !alone {
            rest.push(host.lift(part, true)?);
        }
    }
    let wide = host.rel.width() > width;
    let rel = filter(host.rel, rest);
    Ok(if wide { Rel::Project { input: Box::new(rel), columns: (0..width).map(column).collect() } } else { rel })
}

/// A relation that expressions stand over, which grows columns for their subqueries.
struct Host {
    rel: Rel,
}

impl Host {
    fn new(rel: Rel) -> Self {
        Self { rel }
    }

    /// The expression with columns in place of its subqueries. With `loose` it does not matter whether it is false or unknown.
    fn lift(&mut self, expr: &Expr, loose: bool) -> Result<Expr> {
        if !has_query(expr) {
            return Ok(expr.clone());
        }
        match expr {
            Expr::And(parts) => parts.iter().map(|part| self.lift(part, loose)).collect::<Result<_>>().map(Expr::And),
            Expr::Or(parts) => parts.iter().map(|part| self.lift(part, loose)).collect::<Result<_>>().map(Expr::Or),
            Expr::Exists(query) => self.exists(query),
            Expr::InQuery(item, query) => self.within(item, query, loose),
            Expr::Scalar(query, ty) => self.scalar(query, *ty),
            other => other.map_children(&mut |child| self.lift(child, false)),
        }
    }

    fn lift_aggregate(&mut self, call: &Aggregate) -> Result<Aggregate> {
        let mut each = |exprs: &[Expr]| exprs.iter().map(|expr| self.lift(expr, false)).collect::<Result<Vec<_>>>();
        let arguments = each(&call.arguments)?;
        let order = each(&call.order.iter().map(|key| key.expr.clone()).collect::<Vec<_>>())?;
        let order = order.into_iter().zip(&call.order).map(|(expr, key)| SortKey { expr, ..*key }).collect();
        let filter = call.filter.as_ref().map(|filter| self.lift(filter, true)).transpose()?;
        Ok(Aggregate { function: call.function.clone(), arguments, distinct: call.distinct, filter, order })
    }

    /// Joins another relation to the right; where its columns begin.
    fn join(&mut self, kind: JoinKind, right: Rel, condition: Option<Expr>) -> usize {
        let width = self.rel.width();
        let left = std::mem::replace(&mut self.rel, nothing());
        self.rel = self::join(kind, left, right, condition);
        width
    }

    /// A column that says whether the rows on the right have a partner.
    fn mark(&mut self, right: Rel, condition: Option<Expr>) -> Expr {
        Expr::Column(self.join(JoinKind::Mark, right, condition), Kind::Bool.into())
    }

    /// EXISTS as a condition of its own: true if it is done with.
    fn join_exists(&mut self, query: &Rel, kind: JoinKind) -> Result<bool> {
        let pulled = Pulled::of(rows_only(query)?)?;
        if pulled.predicates.is_empty() || pulled.whole {
            return Ok(false);
        }
        let condition = pulled.condition(self.rel.width());
        self.join(kind, pulled.rel, condition);
        Ok(true)
    }

    fn exists(&mut self, query: &Rel) -> Result<Expr> {
        let pulled = Pulled::of(rows_only(query)?)?;
        if pulled.whole {
            return Ok(truth(true));
        }
        if pulled.predicates.is_empty() {
            // One row is enough, and asked for once.
            let one = Expr::Constant(Value::Int(1), Kind::Int8.into());
            let first = Rel::Limit { input: Box::new(pulled.rel), offset: None, count: Some(one) };
            let counted = aggregated(first, Vec::new(), vec![count(None)]);
            let at = self.join(JoinKind::Inner, counted, None);
            let none = Expr::Constant(Value::Int(0), Kind::Int8.into());
            return Ok(Expr::binary(Comparison::Gt, Expr::Column(at, Kind::Int8.into()), none));
        }
        let condition = pulled.condition(self.rel.width());
        Ok(self.mark(pulled.rel, condition))
    }

    /// IN, or NOT IN, as a condition of its own: true if it is done with.
    fn join_in(&mut self, item: &Expr, query: &Rel, kind: JoinKind) -> Result<bool> {
        let pulled = Pulled::of(unnest(query)?)?;
        if pulled.whole {
            return Ok(false);
        }
        let item = self.lift(item, false)?;
        let width = self.rel.width();
        let value = pulled.output(width)?;
        let equal = Expr::binary(Comparison::Eq, item.clone(), value.clone());
        let correlated = pulled.is_correlated();
        let (kind, last) = match kind {
            JoinKind::Anti if correlated => {
                let unknown = |expr| Expr::IsNull(Box::new(expr));
                (JoinKind::Anti, Expr::Or(vec![equal, unknown(item), unknown(value)]))
            }
            JoinKind::Anti => (JoinKind::SurelyAnti, equal),
            kind => (kind, equal),
        };
        let mut condition = pulled.conditions(width);
        condition.push(last);
        self.join(kind, pulled.rel, all(condition));
        Ok(true)
    }

    fn within(&mut self, item: &Expr, query: &Rel, loose: bool) -> Result<Expr> {
        let item = self.lift(item, false)?;
        let unnested = unnest(query)?;
        let pulled = Pulled::of(unnested.clone())?;
        if pulled.whole {
            // Exactly one row.
            let ty = item.ty().ok_or_else(|| Error::internal("IN of no type"))?;
            let value = self.scalar(query, ty)?;
            return Ok(Expr::binary(Comparison::Eq, item, value));
        }
        let unknown = |expr: &Expr| Expr::IsNull(Box::new(expr.clone()));
        let conditions = |pulled: &Pulled, width: usize, last: Expr| {
            let mut condition = pulled.conditions(width);
            condition.push(last);
            all(condition)
        };
        let width = self.rel.width();
        let equal = Expr::binary(Comparison::Eq, item.clone(), pulled.output(width)?);
        let found = self.mark(pulled.rel.clone(), conditions(&pulled, width, equal));
        if loose {
            return Ok(found);
        }
        let perhaps = if !pulled.is_correlated() {
            let output = pulled.outputs.first().cloned().ok_or_else(|| Error::internal("IN of no column"))?;
            let counted = aggregated(pulled.rel, Vec::new(), vec![count(None), count(Some(output))]);
            let at = self.join(JoinKind::Inner, counted, None);
            let number = |at| Expr::Column(at, Type::One(Kind::Int8));
            let none = Expr::Constant(Value::Int(0), Kind::Int8.into());
            let some = Expr::binary(Comparison::Gt, number(at), none);
            let nulls = Expr::binary(Comparison::Lt, number(at + 1), number(at));
            Expr::And(vec![some, Expr::Or(vec![unknown(&item), nulls])])
        } else {
            let width = self.rel.width();
            let either = Expr::Or(vec![unknown(&item), unknown(&pulled.output(width)?)]);
            let condition = conditions(&pulled, width, either);
            self.mark(pulled.rel, condition)
        };
        let null = Expr::Constant(Value::Null, Kind::Bool.into());
        let branches = vec![(found, truth(true)), (perhaps, null)];
        Ok(Expr::Case(branches, Some(Box::new(truth(false))), Kind::Bool.into()))
    }

    fn scalar(&mut self, query: &Rel, ty: Type) -> Result<Expr> {
        let query = unnest(query)?;
        let one = is_one_row(&query);
        let pulled = Pulled::of(query)?;
        let width = self.rel.width();
        if one && pulled.predicates.is_empty() {
            let value = pulled.output(width)?;
            self.join(JoinKind::Inner, pulled.rel, None);
            return Ok(typed(value, ty));
        }
        if pulled.whole {
            let (value, condition) = (pulled.output(width)?, pulled.condition(width));
            self.join(JoinKind::Left, pulled.rel, condition);
            return Ok(typed(value, ty));
        }
        // Any number of rows: those of each group are counted.
        let output = pulled.outputs.first().cloned().ok_or_else(|| Error::internal("a scalar of no column"))?;
        if outer_level(&output) > 0 {
            return Err(unsupported("a subquery that computes with columns of the query around it"));
        }
        let (outer, inner): (Vec<_>, Vec<_>) = pulled.equalities()?.into_iter().unzip();
        let groups = inner.len();
        let any = Aggregate { arguments: vec![output], ..count(None).named(ANY) };
        let right = aggregated(pulled.rel, inner, vec![any, count(None)]);
        let keys = outer.into_iter().enumerate();
        let keys = keys.map(|(i, outer)| Expr::binary(Comparison::Eq, landed(&outer, width), column(width + i)));
        let condition = all(keys.collect());
        self.join(if groups == 0 { JoinKind::Inner } else { JoinKind::Left }, right, condition);
        let value = typed(column(width + groups), ty);
        Ok(Expr::Single(Box::new(value), Box::new(Expr::Column(width + groups + 1, Kind::Int8.into()))))
    }
}

/// A join whose right side looks at the left one.
fn lateral(kind: JoinKind, left: Rel, right: Rel, condition: Option<&Expr>) -> Result<Rel> {
    if condition.is_some_and(has_query) {
        return Err(unsupported("a subquery in the condition of a lateral join"));
    }
    let width = left.width();
    let pulled = Pulled::of(right)?;
    let outputs: Vec<_> = pulled.outputs.iter().map(|output| landed(output, width)).collect();
    let given = condition.map(|condition| {
        substituted(condition, &|at| match at.checked_sub(width) {
            None => None,
            Some(at) => outputs.get(at).cloned(),
        })
    });
    let is_plain = |output: &Expr| matches!(output, Expr::Column(..));
    let mut on = pulled.conditions(width);
    let mut after = None;
    let kind = match kind {
        // A row is there whatever was found.
        JoinKind::Inner if pulled.whole => {
            after = given;
            JoinKind::Left
        }
        JoinKind::Left if pulled.whole && given.is_none() => JoinKind::Left,
        JoinKind::Inner => {
            on.extend(given);
            JoinKind::Inner
        }
        JoinKind::Left if !pulled.whole && pulled.outputs.iter().all(is_plain) => {
            on.extend(given);
            JoinKind::Left
        }
        _ => return Err(unsupported("a lateral join of this kind")),
    };
    let condition = all(on).or_else(|| (kind == JoinKind::Left).then(|| truth(true)));
    let joined = filter(join(kind, left, pulled.rel, condition), after.into_iter().collect());
    Ok(Rel::Project { input: Box::new(joined), columns: (0..width).map(column).chain(outputs).collect() })
}

/// A subquery from which the columns of the query around it are pulled out.
struct Pulled {
    /// Without them.
    rel: Rel,
    /// What the subquery's columns are, over those of `rel` and outer ones.
    outputs: Vec<Expr>,
    /// What its rows have to fulfil, over the same.
    predicates: Vec<Expr>,
    /// There is exactly one row for each of the query around it: where `rel` has none, that of NULLs.
    whole: bool,
}

impl Pulled {
    /// Of a relation without subqueries.
    fn of(rel: Rel) -> Result<Self> {
        if has_outer(&rel, 2) {
            return Err(unsupported("a subquery that looks at a query two levels up"));
        }
        if !has_outer(&rel, 1) {
            let outputs = (0..rel.width()).map(column).collect();
            return Ok(Self { rel, outputs, predicates: Vec::new(), whole: false });
        }
        match rel {
            Rel::Filter { input, condition } => {
                let mut pulled = Self::of(*input)?;
                if pulled.whole {
                    return Err(unsupported("HAVING in a subquery that looks at the query around it"));
                }
                let mut parts = Vec::new();
                split(&condition, &mut parts);
                let parts = parts.iter().map(|part| pulled.over(part));
                let (outer, own): (Vec<_>, Vec<_>) = parts.partition(|part| outer_level(part) > 0);
                pulled.predicates.extend(outer);
                pulled.rel = filter(pulled.rel, own);
                Ok(pulled)
            }
            Rel::Project { input, columns } => {
                let mut pulled = Self::of(*input)?;
                let columns: Vec<_> = columns.iter().map(|column| pulled.over(column)).collect();
                if pulled.whole {
                    pulled.outputs = columns;
                    return Ok(pulled);
                }
                pulled.project(columns);
                Ok(pulled)
            }
            Rel::Aggregate { input, groups, sets: None, aggregates } => {
                Self::of(*input)?.aggregate(&groups, &aggregates)
            }
            Rel::Distinct { input, on: None } => {
                let mut pulled = Self::of(*input)?;
                if pulled.whole {
                    return Ok(pulled);
                }
                pulled.equalities()?;
                if pulled.outputs.iter().any(|output| outer_level(output) > 0) {
                    return Err(unsupported("DISTINCT of columns of the query around a subquery"));
                }
                pulled.materialize();
                pulled.rel = Rel::Distinct { input: Box::new(pulled.rel), on: None };
                Ok(pulled)
            }
            // Nobody asks in which order they come.
            Rel::Sort { input, .. } => Self::of(*input),
            Rel::With { tables, body } => {
                if tables.iter().any(|table| has_outer(table, 1)) {
                    return Err(unsupported("a common table expression that looks at the query around it"));
                }
                let pulled = Self::of(*body)?;
                Ok(Self { rel: Rel::With { tables, body: Box::new(pulled.rel) }, ..pulled })
            }
            Rel::Join { kind, left, right, condition, .. } => Self::joined(kind, *left, *right, condition.as_ref()),
            Rel::Limit { .. } | Rel::Ties { .. } => {
                Err(unsupported("LIMIT in a subquery that looks at the query around it"))
            }
            Rel::Window { .. } => Err(unsupported("a window in a subquery that looks at the query around it")),
            Rel::SetOperation { .. } => {
                Err(unsupported("a set operation in a subquery that looks at the query around it"))
            }
            _ => Err(unsupported("a subquery that looks at the query around it")),
        }
    }

    fn joined(kind: JoinKind, left: Rel, right: Rel, condition: Option<&Expr>) -> Result<Self> {
        let left = Self::of(left)?;
        let right = Self::of(right)?;
        if left.whole || right.whole {
            return Err(unsupported("a join with an aggregate that looks at the query around it"));
        }
        let width = left.rel.width();
        let moved = |expr: &Expr| expr.map_columns(&|at| at + width);
        let mut outputs = left.outputs;
        let own = outputs.len();
        if matches!(kind, JoinKind::Inner | JoinKind::Left) {
            outputs.extend(right.outputs.iter().map(&moved));
        }
        let all_outputs: Vec<_> = outputs.iter().take(own).cloned().chain(right.outputs.iter().map(&moved)).collect();
        let condition = condition.map(|condition| substituted(condition, &|at| all_outputs.get(at).cloned()));
        let mut parts = Vec::new();
        condition.iter().for_each(|condition| split(condition, &mut parts));
        let mut predicates = left.predicates;
        if kind == JoinKind::Inner {
            predicates.extend(right.predicates.iter().map(&moved));
            let (outer, inner): (Vec<_>, Vec<_>) = parts.into_iter().partition(|part| outer_level(part) > 0);
            predicates.extend(outer);
            parts = inner;
        } else if kind == JoinKind::Right
            || kind == JoinKind::Full
            || !right.predicates.is_empty()
            || right.outputs.iter().chain(&parts).any(|expr| outer_level(expr) > 0)
        {
            return Err(unsupported("an outer join that looks at the query around it"));
        }
        if kind == JoinKind::Mark {
            outputs.push(Expr::Column(width, Kind::Bool.into()));
        }
        Ok(Self { rel: join(kind, left.rel, right.rel, all(parts)), outputs, predicates, whole: false })
    }

    fn aggregate(self, groups: &[Expr], aggregates: &[Aggregate]) -> Result<Self> {
        if self.whole {
            return Err(unsupported("an aggregate of an aggregate that looks at the query around it"));
        }
        let (outer, inner): (Vec<_>, Vec<_>) = self.equalities()?.into_iter().unzip();
        let mut all_groups: Vec<_> = groups.iter().map(|group| self.over(group)).collect();
        let own = all_groups.len();
        all_groups.extend(inner);
        let aggregates: Vec<_> = aggregates.iter().map(|call| call.map(&|expr| self.over(expr))).collect();
        let order = aggregates.iter().flat_map(|call| call.order.iter().map(|key| &key.expr));
        let exprs = aggregates.iter().flat_map(|call| call.arguments.iter().chain(&call.filter)).chain(order);
        if exprs.chain(&all_groups).any(|expr| outer_level(expr) > 0) {
            return Err(unsupported("an aggregate of columns of the query around a subquery"));
        }
        let mut outputs: Vec<_> = (0..own).map(column).collect();
        let whole = own == 0;
        for (i, call) in aggregates.iter().enumerate() {
            let value = column(all_groups.len() + i);
            let counts = whole && COUNTS.contains(&call.function.as_str());
            let none = || Expr::Constant(Value::Int(0), Kind::Int8.into());
            outputs.push(if counts { Expr::Coalesce(vec![value, none()], Kind::Int8.into()) } else { value });
        }
        let keys = outer.into_iter().enumerate();
        let predicates = keys.map(|(i, outer)| Expr::binary(Comparison::Eq, outer, column(own + i))).collect();
        Ok(Self { rel: aggregated(self.rel, all_groups, aggregates), outputs, predicates, whole })
    }

    /// Whether it looks at the query around it.
    fn is_correlated(&self) -> bool {
        !self.predicates.is_empty() || self.outputs.iter().any(|output| outer_level(output) > 0)
    }

    /// An expression over the subquery's columns, over those of `rel`.
    fn over(&self, expr: &Expr) -> Expr {
        substituted(expr, &|at| self.outputs.get(at).cloned())
    }

    /// Other outputs, over the columns of `rel`: those that can be computed there are.
    fn project(&mut self, outputs: Vec<Expr>) {
        let first = outputs.iter().filter(|output| outer_level(output) == 0).count();
        let moved = |expr: &Expr| expr.map_columns(&|at| at + first);
        let mut columns = Vec::new();
        let placed = outputs.into_iter().map(|output| {
            if outer_level(&output) > 0 {
                return moved(&output);
            }
            let ty = output.ty().unwrap_or(Kind::Bool.into());
            columns.push(output);
            Expr::Column(columns.len() - 1, ty)
        });
        self.outputs = placed.collect();
        self.predicates = self.predicates.iter().map(moved).collect();
        columns.extend((0..self.rel.width()).map(column));
        self.rel = project(std::mem::replace(&mut self.rel, nothing()), columns);
    }

    /// Only what is put out and asked for, as columns.
    fn materialize(&mut self) {
        let mut columns = std::mem::take(&mut self.outputs);
        let own = columns.len();
        let mut wanted: Vec<usize> = Vec::new();
        for predicate in &self.predicates {
            predicate.visit_columns(&mut |at| {
                if !wanted.contains(&at) {
                    wanted.push(at);
                }
            });
        }
        let moved = |at: usize| own + wanted.iter().position(|wanted| *wanted == at).unwrap_or(0);
        self.predicates = self.predicates.iter().map(|predicate| predicate.map_columns(&moved)).collect();
        columns.extend(wanted.iter().map(|at| column(*at)));
        self.outputs = (0..own).map(column).collect();
        self.rel = project(std::mem::replace(&mut self.rel, nothing()), columns);
    }

    /// The predicates as pairs of an outer and an inner side that must be equal.
    fn equalities(&self) -> Result<Vec<(Expr, Expr)>> {
        let pair = |predicate: &Expr| {
            if let Expr::Call(Function::Compare(Comparison::Eq), arguments) = predicate
                && let [left, right] = &arguments[..]
            {
                let is_outer = |expr: &Expr| {
                    let mut columns = false;
                    expr.visit_columns(&mut |_| columns = true);
                    outer_level(expr) > 0 && !columns
                };
                match (is_outer(left), is_outer(right)) {
                    (true, _) if outer_level(right) == 0 => return Ok((left.clone(), right.clone())),
                    (_, true) if outer_level(left) == 0 => return Ok((right.clone(), left.clone())),
                    _ => {}
                }
            }
            Err(unsupported("a subquery that looks at the query around it otherwise than by an equality"))
        };
        self.predicates.iter().map(pair).collect()
    }

    /// The predicates, where `rel` stands to the right of `width` columns of the query around it.
    fn conditions(&self, width: usize) -> Vec<Expr> {
        self.predicates.iter().map(|predicate| landed(predicate, width)).collect()
    }

    fn condition(&self, width: usize) -> Option<Expr> {
        all(self.conditions(width))
    }

    /// The first column, in the same place.
    fn output(&self, width: usize) -> Result<Expr> {
        let first = self.outputs.first().ok_or_else(|| Error::internal("a subquery of no column"))?;
        Ok(landed(first, width))
    }
}

/// An expression of a subquery in the query around it, to the right of whose columns it stands.
fn landed(expr: &Expr, width: usize) -> Expr {
    match expr {
        Expr::Column(at, ty) => Expr::Column(at + width, *ty),
        Expr::Outer(1, at, ty) => Expr::Column(*at, *ty),
        Expr::Outer(level, at, ty) => Expr::Outer(level - 1, *at, *ty),
        other => mapped(other, &mut |child| landed(child, width)),
    }
}

/// Other expressions in place of columns.
pub(super) fn substituted(expr: &Expr, by: &dyn Fn(usize) -> Option<Expr>) -> Expr {
    match expr {
        Expr::Column(at, ty) => by(*at).map_or_else(|| expr.clone(), |expr| typed(expr, *ty)),
        other => mapped(other, &mut |child| substituted(child, by)),
    }
}

fn mapped(expr: &Expr, f: &mut dyn FnMut(&Expr) -> Expr) -> Expr {
    match expr.map_children(&mut |child| Ok::<_, std::convert::Infallible>(f(child))) {
        Ok(mapped) => mapped,
        Err(never) => match never {},
    }
}

/// A column that was made without its type.
fn typed(expr: Expr, ty: Type) -> Expr {
    match expr {
        Expr::Column(at, _) => Expr::Column(at, ty),
        other => other,
    }
}

/// A column whose type nobody asks for.
fn column(at: usize) -> Expr {
    Expr::Column(at, Kind::Bool.into())
}

fn truth(value: bool) -> Expr {
    Expr::Constant(Value::Bool(value), Kind::Bool.into())
}

fn count(argument: Option<Expr>) -> Aggregate {
    let arguments = argument.into_iter().collect();
    Aggregate { function: "count".to_owned(), arguments, distinct: false, filter: None, order: Vec::new() }
}

impl Aggregate {
    fn named(self, name: &str) -> Self {
        Self { function: name.to_owned(), ..self }
    }

    fn map(&self, f: &dyn Fn(&Expr) -> Expr) -> Self {
        Self {
            function: self.function.clone(),
            arguments: self.arguments.iter().map(f).collect(),
            distinct: self.distinct,
            filter: self.filter.as_ref().map(f),
            order: self.order.iter().map(|key| SortKey { expr: f(&key.expr), ..*key }).collect(),
        }
    }
}

fn aggregated(input: Rel, groups: Vec<Expr>, aggregates: Vec<Aggregate>) -> Rel {
    Rel::Aggregate { input: Box::new(input), groups, sets: None, aggregates }
}

fn join(kind: JoinKind, left: Rel, right: Rel, condition: Option<Expr>) -> Rel {
    Rel::Join { kind, left: Box::new(left), right: Box::new(right), condition, lateral: false }
}

fn project(input: Rel, columns: Vec<Expr>) -> Rel {
    Rel::Project { input: Box::new(input), columns }
}

/// Stands where a relation was taken away from.
fn nothing() -> Rel {
    Rel::Values { columns: Vec::new(), rows: Vec::new() }
}

fn filter(input: Rel, parts: Vec<Expr>) -> Rel {
    match all(parts) {
        Some(condition) => Rel::Filter { input: Box::new(input), condition },
        None => input,
    }
}

/// The branches of AND.
pub(super) fn split(condition: &Expr, into: &mut Vec<Expr>) {
    match condition {
        Expr::And(parts) => parts.iter().for_each(|part| split(part, into)),
        other => into.push(other.clone()),
    }
}

fn all(mut parts: Vec<Expr>) -> Option<Expr> {
    if parts.len() > 1 { Some(Expr::And(parts)) } else { parts.pop() }
}

fn has_query(expr: &Expr) -> bool {
    if matches!(expr, Expr::Scalar(..) | Expr::Exists(_) | Expr::InQuery(..)) {
        return true;
    }
    let mut found = false;
    expr.for_each_child(&mut |child| found |= has_query(child));
    found
}

/// The farthest query around that an expression without subqueries looks at; 0 if none.
fn outer_level(expr: &Expr) -> usize {
    let mut level = if let Expr::Outer(level, ..) = expr { *level } else { 0 };
    expr.for_each_child(&mut |child| level = level.max(outer_level(child)));
    level
}

/// Whether a tree without subqueries looks at a query so far out, or further from level 2 on.
fn has_outer(rel: &Rel, level: usize) -> bool {
    let mut found = false;
    rel.for_each_expr(&mut |expr| {
        let own = outer_level(expr);
        found |= own == level || (level > 1 && own > level);
    });
    found
}

/// The query without what does not change whether it has rows.
fn rows_only(query: &Rel) -> Result<Rel> {
    let positive = |count: &Expr| matches!(count, Expr::Constant(Value::Int(count), _) if *count > 0);
    let mut query = query;
    loop {
        query = match query {
            Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Distinct { input, .. } => input,
            Rel::Limit { input, offset: None, count: Some(count) } if positive(count) => input,
            other => return unnest(other),
        }
    }
}

/// Whether it has exactly one row, whatever the tables hold.
fn is_one_row(rel: &Rel) -> bool {
    match rel {
        Rel::Aggregate { groups, sets: None, .. } => groups.is_empty(),
        Rel::Project { input, .. } | Rel::Sort { input, .. } | Rel::Window { input, .. } => is_one_row(input),
        Rel::Distinct { input, .. } => is_one_row(input),
        Rel::With { body, .. } => is_one_row(body),
        Rel::Values { rows, .. } => rows.len() == 1,
        Rel::Join { kind: JoinKind::Inner, left, right, condition: None, .. } => is_one_row(left) && is_one_row(right),
        Rel::Join { kind: JoinKind::Mark, left, .. } => is_one_row(left),
        _ => false,
    }
}
