//! From a tree to DataFusion's logical plan.
//!
//! Every column has a name of its own in the whole plan, so that nothing that looks for a name finds another.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{
    Cast, EmptyRelation, Expr as Logical, Join, JoinConstraint, Limit, LogicalPlan, LogicalPlanBuilder, Operator,
    Projection, Sort, lit,
};

use super::ir::{Aggregate, JoinKind, Rel, SortKey, WindowCall};
use super::planner::{Planner, Relation, sort_keys};
use super::provider::{LakeTable, Shipped};
use super::scalar::{self, Field, balanced, paired, printed, scalar, unified};
use super::scan::Readings;
use super::shared::{Shared, SharedTable};
use super::table::{Shipment, Table};
use super::{aggregate, common, conditions, guard, session, set, unnest, unsupported, window};
use crate::error::{Error, Result};
use crate::expr::functions::{Scale, Typed, Width};
use crate::expr::{Comparison, Expr, Function, Value};
use crate::types::{ColumnType, Kind};

/// Relations of a plan: common table expressions are planned as often as they are named.
const MOST_RELATIONS: usize = 512;
/// What LIMIT takes while its parameter has no value.
const ANY_LIMIT: i64 = 1000;

/// A planned query: the columns of the tree in order, under names of their own, then the digits of those that need them.
pub(super) struct Planned {
    pub plan: LogicalPlan,
    pub columns: Vec<Field>,
}

impl Planned {
    /// The plan with columns of these types, which hold the values of its own.
    pub(super) fn delivering(self, types: &[ColumnType]) -> Result<LogicalPlan> {
        if self.columns.iter().map(|field| &field.ty).eq(types) {
            return Ok(self.plan);
        }
        let exprs = self.columns.iter().zip(types).map(|(field, ty)| {
            let column = Logical::Column(field.column.clone());
            if field.ty == *ty {
                return column;
            }
            Logical::Cast(Cast::new(Box::new(column), ty.arrow())).alias(&field.column.name)
        });
        let plan = Projection::try_new(exprs.collect(), Arc::new(self.plan)).map(LogicalPlan::Projection);
        plan.map_err(Error::internal)
    }
}

/// What a plan is made of, but the tree.
#[derive(Clone, Copy)]
pub(super) struct Sources<'a> {
    pub tables: &'a [Table],
    pub shipments: &'a [Shipment],
    pub readings: &'a Readings,
}

/// Plans a tree.
pub(super) fn plan(width: Width, rel: &Rel, sources: Sources<'_>) -> Result<Planned> {
    let rel = unnest::unnest(rel)?;
    let mut relations = Relations {
        planner: Planner::new(width),
        sources,
        relations: 0,
        common: Vec::new(),
        outermost: outermost(&rel),
    };
    let relation = relations.relation(&rel)?;
    relations.named(relation)
}

struct Relations<'a> {
    planner: Planner,
    sources: Sources<'a>,
    relations: usize,
    /// Of each `With` around, outermost first, its tables.
    common: Vec<Vec<Rc<Common>>>,
    /// The LIMIT of the whole query, by its address: that of what is below its target list.
    outermost: *const Rel,
}

/// What gives the rows of a query, without columns that are computed at the end.
fn outermost(rel: &Rel) -> *const Rel {
    match rel {
        Rel::Project { input, .. } => outermost(input),
        Rel::With { body, .. } => outermost(body),
        rel => std::ptr::from_ref(rel),
    }
}

/// A table of a `With`.
struct Common {
    rel: Rel,
    /// Whether it is computed once, and then what was planned for that and its fields.
    is_shared: bool,
    planned: OnceCell<(Arc<Shared>, Vec<Field>)>,
}

impl Relations<'_> {
    fn relation(&mut self, rel: &Rel) -> Result<Relation> {
        self.relations += 1;
        if self.relations > MOST_RELATIONS {
            return Err(unsupported(format!("more than {MOST_RELATIONS} relations")));
        }
        match rel {
            Rel::Table { table, columns } => self.table(*table, columns),
            Rel::Shipped { shipment, .. } => self.shipped(*shipment),
            Rel::Values { columns, rows } => self.values(columns.len(), rows),
            Rel::Filter { input, condition } => self.filtered(input, condition),
            Rel::Project { input, columns } => {
                let input = self.relation(input)?;
                self.projected(input, columns)
            }
            Rel::Join { kind, left, right, condition, .. } => {
                let (left, right) = (self.relation(left)?, self.relation(right)?);
                self.join(*kind, left, right, condition.as_ref())
            }
            Rel::Aggregate { input, groups, sets, aggregates } => {
                self.aggregate(input, groups, sets.as_deref(), aggregates)
            }
            Rel::Window { input, calls } => {
                let input = self.relation(input)?;
                window::plan(&mut self.planner, input, calls)
            }
            Rel::Distinct { input, on: None } => {
                let input = self.relation(input)?;
                self.planner.distinct(input)
            }
            Rel::Distinct { input, on: Some(on) } => self.distinct_on(input, on),
            Rel::Sort { input, keys } => {
                let input = self.relation(input)?;
                let expr = sort_keys(self.planner.width, keys, &input.fields)?;
                let plan = LogicalPlan::Sort(Sort { expr, input: Arc::new(input.plan), fetch: None });
                Ok(Relation { plan, fields: input.fields })
            }
            Rel::Limit { input, offset, count } => {
                let (skip, fetch) = (bound(offset.as_ref(), "OFFSET")?, bound(count.as_ref(), "LIMIT")?);
                // DataFusion 55 leaves out the sort below, because nothing above asks for the order.
                if skip.is_some() && fetch.is_none() && !std::ptr::eq(rel, self.outermost) {
                    return Err(unsupported("OFFSET without LIMIT in a subquery"));
                }
                let input = self.relation(input)?;
                let rows = |rows: Option<i64>| rows.map(|rows| Box::new(lit(rows)));
                let limit = Limit { skip: rows(skip), fetch: rows(fetch), input: Arc::new(input.plan) };
                Ok(Relation { plan: LogicalPlan::Limit(limit), fields: input.fields })
            }
            Rel::Ties { input, keys, offset, count } => {
                let is_outermost = std::ptr::eq(rel, self.outermost);
                self.ties(input, keys, offset.as_ref(), count.as_ref(), is_outermost)
            }
            Rel::SetOperation { kind, all, left, right } => {
                let (left, right) = (self.relation(left)?, self.relation(right)?);
                set::plan(&mut self.planner, *kind, *all, left, right)
            }
            Rel::With { tables, body } => {
                let uses = common::uses(tables, body);
                let entry = |(rel, uses): (&Rel, usize)| {
                    let is_shared = common::is_shared(rel, uses);
                    Rc::new(Common { rel: rel.clone(), is_shared, planned: OnceCell::new() })
                };
                self.common.push(tables.iter().zip(uses).map(entry).collect());
                let body = self.relation(body);
                self.common.pop();
                body
            }
            Rel::Common { level, table, .. } => self.common(*level, *table),
        }
    }

    /// The rows that fulfil a condition, and those of filters below that they meet: DataFusion brings them to one place, so that
    /// they have to be in order where they may fail.
    fn filtered(&mut self, input: &Rel, condition: &Expr) -> Result<Relation> {
        let mut parts = Vec::new();
        unnest::split(condition, &mut parts);
        let (mut below, mut over) = (input, Vec::new());
        loop {
            match below {
                Rel::Filter { input, condition } => {
                    unnest::split(condition, &mut parts);
                    below = input;
                }
                Rel::Project { input, columns } if guard::meets(&parts, columns) => {
                    let column = |at: usize| columns.get(at).cloned();
                    parts = parts.iter().map(|part| unnest::substituted(part, &column)).collect();
                    over.push(columns);
                    below = input;
                }
                _ => break,
            }
        }
        let mut relation = self.relation(below)?;
        if let Some(condition) = self.conditions(&parts, &relation.fields)? {
            relation = self.planner.filter(relation, condition)?;
        }
        for columns in over.into_iter().rev() {
            relation = self.projected(relation, columns)?;
        }
        Ok(relation)
    }

    fn projected(&mut self, input: Relation, columns: &[Expr]) -> Result<Relation> {
        let columns = columns.iter().map(|column| scalar(self.planner.width, column, &input.fields));
        let columns = columns.collect::<Result<_>>()?;
        self.planner.project(input, columns, false)
    }

    /// All of these conditions as one.
    fn conditions(&self, parts: &[Expr], columns: &[Field]) -> Result<Option<Logical>> {
        Ok(balanced(conditions::conditions(self.planner.width, parts, columns)?, Operator::And))
    }

    /// Sets of groups are aggregates of their own where that cannot be otherwise.
    fn aggregate(
        &mut self,
        input: &Rel,
        groups: &[Expr],
        sets: Option<&[Vec<usize>]>,
        aggregates: &[Aggregate],
    ) -> Result<Relation> {
        let Some(sets) = sets else {
            let input = self.relation(input)?;
            return aggregate::plain(&mut self.planner, input, groups, aggregates);
        };
        let mut relations = Vec::new();
        let some: Vec<_> = sets.iter().filter(|set| !set.is_empty()).collect();
        if !some.is_empty() {
            let input = self.relation(input)?;
            relations.push(aggregate::in_sets(&mut self.planner, input, groups, &some, aggregates)?);
        }
        // The set of no group has a row even if there are no rows.
        for _ in sets.iter().filter(|set| set.is_empty()) {
            let input = self.relation(input)?;
            relations.push(aggregate::of_all(&mut self.planner, input, groups, aggregates)?);
        }
        let mut relations = relations.into_iter();
        let first = relations.next().ok_or_else(|| Error::internal("no grouping set"))?;
        relations.try_fold(first, |so_far, next| self.planner.union(so_far, next))
    }

    fn table(&mut self, table: usize, columns: &[usize]) -> Result<Relation> {
        let found = self.sources.tables.get(table).ok_or_else(|| Error::internal(format!("no table {table}")))?;
        let provider = LakeTable::new(found, self.planner.number(), self.sources.readings.clone());
        let fields = columns.iter().map(|column| {
            let ty = found.columns.get(*column).map(|column| column.ty.clone());
            let (ty, name) = ty.zip(provider.name(*column)).ok_or_else(|| Error::internal("no such column"))?;
            Ok((name, ty))
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        self.scan(Arc::new(provider), fields)
    }

    fn shipped(&mut self, shipment: usize) -> Result<Relation> {
        let found =
            self.sources.shipments.get(shipment).ok_or_else(|| Error::internal(format!("no shipment {shipment}")))?;
        let types = Shipment::physical(&found.columns);
        let names: Vec<_> = types.iter().map(|_| self.planner.name()).collect();
        let provider = Shipped::new(found, &names)?;
        let Relation { plan, mut fields } = self.scan(Arc::new(provider), names.into_iter().zip(types).collect())?;
        let digits = fields.split_off(found.columns.len().min(fields.len()));
        for (field, column) in fields.iter_mut().zip(&found.columns) {
            if let Some(at) = column.digits {
                let at = at.checked_sub(found.columns.len()).and_then(|at| digits.get(at));
                let at = at.ok_or_else(|| Error::internal("digits that are not sent"))?;
                field.scale = Scale::Each(Box::new(Logical::Column(at.column.clone())));
            }
        }
        Ok(Relation { plan, fields })
    }

    fn scan(&mut self, provider: Arc<dyn TableProvider>, fields: Vec<(String, ColumnType)>) -> Result<Relation> {
        let schema = provider.schema();
        let mut projection: Vec<usize> = Vec::new();
        for (name, _) in &fields {
            let at = schema.index_of(name).map_err(Error::internal)?;
            if !projection.contains(&at) {
                projection.push(at);
            }
        }
        let table = TableReference::bare(format!("t{}", self.planner.number()));
        let scan = LogicalPlanBuilder::scan(table.clone(), provider_as_source(provider), Some(projection));
        let plan = scan.and_then(LogicalPlanBuilder::build).map_err(Error::internal)?;
        let fields = fields.into_iter().map(|(name, ty)| Field {
            column: Column::new(Some(table.clone()), name),
            ty,
            scale: Scale::Fixed,
        });
        Ok(Relation { plan, fields: fields.collect() })
    }

    fn values(&mut self, width: usize, rows: &[Vec<Expr>]) -> Result<Relation> {
        let one =
            LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: true, schema: Arc::new(DFSchema::empty()) });
        if width == 0 {
            return match rows.len() {
                1 => Ok(Relation { plan: one, fields: Vec::new() }),
                rows => Err(unsupported(format!("{rows} rows without columns"))),
            };
        }
        let mut columns = vec![Vec::with_capacity(rows.len()); width];
        for row in rows {
            if row.len() != width {
                return Err(Error::internal("a row of VALUES with another width"));
            }
            for (value, column) in row.iter().zip(&mut columns) {
                column.push(scalar(self.planner.width, value, &[])?);
            }
        }
        let columns = columns.into_iter().map(unified).collect::<Result<Vec<_>>>()?;
        if rows.len() == 1 {
            let row = columns.into_iter().flatten().collect();
            return self.planner.project(Relation { plan: one, fields: Vec::new() }, row, true);
        }
        // What is shown of numerics goes along as columns of its own.
        let mut fields = Vec::new();
        let mut stored: Vec<(String, ColumnType, Vec<Logical>)> = Vec::new();
        for column in columns {
            let ty = column.first().map(|value| value.ty.clone());
            let ty = ty.ok_or_else(|| unsupported("VALUES of no row"))?;
            let name = self.planner.name();
            let scale = if column.iter().all(|value| value.scale == Scale::Fixed) {
                Scale::Fixed
            } else {
                match column.iter().map(printed).collect::<Option<Vec<_>>>() {
                    Some(scales) => {
                        let name = self.planner.name();
                        stored.push((name.clone(), ColumnType::Int4, scales));
                        Scale::Each(Box::new(Logical::Column(Column::from_name(name))))
                    }
                    None => Scale::Unknown,
                }
            };
            stored.push((name.clone(), ty.clone(), column.into_iter().map(|value| value.expr).collect()));
            fields.push(Field { column: Column::from_name(name), ty, scale });
        }
        let arrow = stored.iter().map(|(name, ty, _)| arrow::datatypes::Field::new(name, ty.arrow(), true));
        let schema = arrow::datatypes::Schema::new(arrow.collect::<Vec<_>>());
        let schema = Arc::new(DFSchema::try_from(schema).map_err(Error::internal)?);
        let row = |at: usize| stored.iter().filter_map(|(_, _, column)| column.get(at).cloned()).collect();
        let rows = (0..rows.len()).map(row).collect();
        let plan = LogicalPlanBuilder::values_with_schema(rows, &schema).and_then(LogicalPlanBuilder::build);
        let plan = plan.map_err(Error::internal)?;
        // It has given them names of its own.
        let columns = plan.schema().columns().into_iter().zip(&stored);
        let exprs = columns.map(|(column, (name, ..))| Logical::Column(column).alias(name)).collect();
        let plan = Projection::try_new(exprs, Arc::new(plan)).map(LogicalPlan::Projection).map_err(Error::internal)?;
        Ok(Relation { plan, fields })
    }

    /// The columns of a query, then the digits that are shown of those whose values have not all the same.
    fn named(&mut self, relation: Relation) -> Result<Planned> {
        let mut columns: Vec<Typed> = relation.fields.iter().map(Typed::from).collect();
        let count = columns.len();
        let scales: Vec<_> = columns.iter().filter(|column| matches!(column.scale, Scale::Each(_))).collect();
        let scales: Vec<_> = scales.into_iter().filter_map(printed).collect();
        columns.extend(scales.into_iter().map(|scale| Typed::new(scale, ColumnType::Int4)));
        // Scales are columns of their own from here on, in the order of those that they are of.
        let scales: Vec<_> = columns
            .iter_mut()
            .take(count)
            .map(|column| {
                let own = column.scale.clone();
                column.scale = Scale::Fixed;
                own
            })
            .collect();
        let relation = self.planner.project(relation, columns, true)?;
        let mut fields = relation.fields;
        for (field, scale) in fields.iter_mut().zip(scales) {
            field.scale = scale;
        }
        Ok(Planned { plan: relation.plan, columns: fields })
    }

    fn join(&mut self, kind: JoinKind, left: Relation, right: Relation, on: Option<&Expr>) -> Result<Relation> {
        let mut parts = Vec::new();
        on.iter().for_each(|on| unnest::split(on, &mut parts));
        let width = left.fields.len();
        let both: Vec<_> = left.fields.iter().chain(&right.fields).cloned().collect();
        let (mut keys, mut rest) = (Vec::new(), Vec::new());
        for part in &parts {
            match key(self.planner.width, part, width, &left.fields, &right.fields)? {
                Some(pair) => keys.push(pair),
                None => rest.push(part.clone()),
            }
        }
        let rest = self.conditions(&rest, &both)?;
        let (join_type, fields) = match kind {
            JoinKind::Inner => (JoinType::Inner, both),
            JoinKind::Left => (JoinType::Left, both),
            JoinKind::Right => (JoinType::Right, both),
            JoinKind::Full => (JoinType::Full, both),
            JoinKind::Semi => (JoinType::LeftSemi, left.fields),
            JoinKind::Anti | JoinKind::SurelyAnti => (JoinType::LeftAnti, left.fields),
            JoinKind::Mark => (JoinType::LeftMark, left.fields),
        };
        let surely = kind == JoinKind::SurelyAnti;
        if surely && (keys.len() != 1 || rest.is_some()) {
            return Err(unsupported("NOT IN of more than one column"));
        }
        let plan = Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            keys,
            rest,
            join_type,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            surely,
        );
        let plan = plan.map(LogicalPlan::Join).map_err(Error::internal)?;
        if kind == JoinKind::Mark {
            return self.planner.with_last(plan, fields, ColumnType::Bool);
        }
        Ok(Relation { plan, fields })
    }

    /// The first of the rows that are equal in some columns, by the order of the input, which stays.
    fn distinct_on(&mut self, input: &Rel, on: &[usize]) -> Result<Relation> {
        let Rel::Sort { input, keys } = input else {
            return Err(unsupported("DISTINCT ON without ORDER BY"));
        };
        let input = self.relation(input)?;
        let fields = input.fields.clone();
        let on = on.iter().map(|at| fields.get(*at).ok_or_else(|| Error::internal("DISTINCT ON no column")));
        let partition = on.map(|field| scalar::key(field?.into())).collect::<Result<Vec<_>>>()?;
        let order = sort_keys(self.planner.width, keys, &fields)?;
        let mut numbered = window::numbered(&mut self.planner, input, partition, order.clone())?;
        let number = numbered.fields.pop().ok_or_else(|| Error::internal("rows without numbers"))?;
        let first = scalar::binary(Logical::Column(number.column), Operator::Eq, lit(1u64));
        let kept = self.planner.filter(numbered, first)?;
        let plan = LogicalPlan::Sort(Sort { expr: order, input: Arc::new(kept.plan), fetch: None });
        Ok(Relation { plan, fields: kept.fields })
    }

    /// The first rows and their peers: what is to be asked is how many rows stand before a row's first peer.
    fn ties(
        &mut self,
        input: &Rel,
        keys: &[SortKey],
        offset: Option<&Expr>,
        count: Option<&Expr>,
        is_outermost: bool,
    ) -> Result<Relation> {
        let sorted = |input: Rel| Rel::Sort { input: Box::new(input), keys: keys.to_vec() };
        let (skip, fetch) = (bound(offset, "OFFSET")?, bound(count, "LIMIT")?);
        let (Some(fetch @ 1..), skip) = (fetch, skip.unwrap_or(0)) else {
            let limit =
                Rel::Limit { input: Box::new(sorted(input.clone())), offset: offset.cloned(), count: count.cloned() };
            if is_outermost {
                self.outermost = &limit;
            }
            return self.relation(&limit);
        };
        let width = input.width();
        let numbered = Rel::Window {
            input: Box::new(input.clone()),
            calls: ["rank", "row_number"].map(|function| WindowCall::ranking(function, keys)).to_vec(),
        };
        let compared = |comparison: Comparison, at: usize, rows: i64| {
            let rows = Expr::Constant(Value::Int(rows), Kind::Int8.into());
            Expr::binary(comparison, Expr::Column(at, Kind::Int8.into()), rows)
        };
        let condition = Expr::And(vec![
            compared(Comparison::LtEq, width, skip.saturating_add(fetch)),
            compared(Comparison::Gt, width + 1, skip),
        ]);
        let kept = Rel::Filter { input: Box::new(numbered), condition };
        let mut relation = self.relation(&sorted(kept))?;
        relation.fields.truncate(width);
        Ok(relation)
    }

    /// One of the tables of a `With`, which sees those before it.
    fn common(&mut self, level: usize, table: usize) -> Result<Relation> {
        let missing = || Error::internal(format!("no common table {table} at level {level}"));
        let at = self.common.len().checked_sub(level + 1).ok_or_else(missing)?;
        let tables = self.common.get(at).ok_or_else(missing)?;
        let common = tables.get(table).cloned().ok_or_else(missing)?;
        if let Some((shared, fields)) = common.planned.get() {
            return self.reader(shared.clone(), fields);
        }
        let before: Vec<_> = tables.iter().take(table).cloned().collect();
        let inner = self.common.split_off(at);
        self.common.push(before);
        let planned = self.relation(&common.rel);
        self.common.truncate(at);
        self.common.extend(inner);
        let planned = planned?;
        if !common.is_shared || planned.fields.is_empty() {
            return Ok(planned);
        }
        let columns = planned.fields.iter().map(Typed::from).collect();
        let Relation { plan, fields } = self.planner.project(planned, columns, true)?;
        let number = self.planner.number();
        let (shared, fields) =
            common.planned.get_or_init(|| (Arc::new(Shared::new(number, plan, session::planned)), fields));
        self.reader(shared.clone(), fields)
    }

    /// One who names what is computed once. Its columns have names of their own.
    fn reader(&mut self, shared: Arc<Shared>, fields: &[Field]) -> Result<Relation> {
        let own = shared.plan().schema().columns();
        let names: Vec<_> = own.iter().map(|_| self.planner.name()).collect();
        let provider = Arc::new(SharedTable::new(shared, &names));
        let table = TableReference::bare(format!("t{}", self.planner.number()));
        let scan = LogicalPlanBuilder::scan(table.clone(), provider_as_source(provider), None);
        let plan = scan.and_then(LogicalPlanBuilder::build).map_err(Error::internal)?;
        let columns = names.into_iter().map(|name| Column::new(Some(table.clone()), name));
        let to: HashMap<Column, Column> = own.into_iter().zip(columns).collect();
        let renamed = |column: &Column| to.get(column).cloned().ok_or_else(|| Error::internal("a column is missing"));
        let field = |field: &Field| {
            let scale = match &field.scale {
                Scale::Each(scale) => match scale.as_ref() {
                    Logical::Column(column) => Scale::Each(Box::new(Logical::Column(renamed(column)?))),
                    _ => field.scale.clone(),
                },
                other => other.clone(),
            };
            Ok(Field { column: renamed(&field.column)?, ty: field.ty.clone(), scale })
        };
        let fields = fields.iter().map(field).collect::<Result<_>>()?;
        Ok(Relation { plan, fields })
    }
}

/// The two sides of an equality, each over one side of a join.
fn key(
    numerics: Width,
    part: &Expr,
    width: usize,
    left: &[Field],
    right: &[Field],
) -> Result<Option<(Logical, Logical)>> {
    let Expr::Call(Function::Compare(Comparison::Eq), arguments) = part else { return Ok(None) };
    let [a, b] = &arguments[..] else { return Ok(None) };
    let sides = |expr: &Expr| {
        let (mut on_left, mut on_right) = (false, false);
        expr.visit_columns(&mut |at| if at < width { on_left = true } else { on_right = true });
        (on_left, on_right)
    };
    let (a, b) = match (sides(a), sides(b)) {
        ((true, false), (false, true)) => (a, b),
        ((false, true), (true, false)) => (b, a),
        _ => return Ok(None),
    };
    let b = b.map_columns(&|at| at - width);
    paired(scalar(numerics, a, left)?, scalar(numerics, &b, right)?).map(Some)
}

/// The rows that LIMIT or OFFSET names; none of NULL.
fn bound(expr: Option<&Expr>, what: &'static str) -> Result<Option<i64>> {
    let Some(expr) = expr else { return Ok(None) };
    match expr {
        Expr::Constant(Value::Null, _) => Ok(None),
        Expr::Constant(Value::Int(rows), _) if *rows >= 0 => Ok(Some(*rows)),
        Expr::Constant(Value::Int(_), _) => Err(Error::NegativeLimit { what }),
        Expr::Parameter(..) => Ok(Some(ANY_LIMIT)),
        _ => Err(unsupported(format!("{what} that is no constant"))),
    }
}
