//! From a tree to DataFusion's logical plan.
//!
//! Every column has a name of its own in the whole plan, so that nothing that looks for a name finds another.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, JoinType, NullEquality, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{
    Distinct, EmptyRelation, Expr as Logical, Filter, Join, JoinConstraint, Limit, LogicalPlan, LogicalPlanBuilder,
    Operator, Projection, Sort, SortExpr, Union, lit,
};

use super::ir::{JoinKind, Rel, SortKey};
use super::provider::{LakeTable, Shipped};
use super::run::{Shipment, Table};
use super::scalar::{Field, Typed, balanced, common, condition, paired, scalar, unified};
use super::{aggregate, set, unnest, unsupported, window};
use crate::error::{Error, Result};
use crate::exec::Reading;
use crate::expr::{Comparison, Expr, Function, Value};
use crate::types::ColumnType;

/// Relations of a plan: common table expressions are planned as often as they are named.
const MOST_RELATIONS: usize = 512;
/// What LIMIT takes while its parameter has no value.
const ANY_LIMIT: i64 = 1000;

/// A planned query.
pub(super) struct Planned {
    pub plan: LogicalPlan,
    pub columns: Vec<Field>,
}

/// What the tables of a plan read, for statistics.
pub(super) type Readings = Arc<std::sync::Mutex<Vec<Arc<Reading>>>>;

/// Plans a tree. Its columns come out in order, under names of their own.
pub(super) fn plan(rel: &Rel, tables: &[Table], shipments: &[Shipment], readings: &Readings) -> Result<Planned> {
    let mut planner = Planner { tables, shipments, readings, relations: 0, names: 0, common: Vec::new() };
    let relation = planner.relation(&unnest::unnest(rel)?)?;
    let columns = relation.fields.iter().map(Typed::from).collect();
    let relation = planner.project(relation, columns, true)?;
    Ok(Planned { plan: relation.plan, columns: relation.fields })
}

/// A planned relation. Its columns may be fewer than those of the plan, and in another order.
pub(super) struct Relation {
    pub plan: LogicalPlan,
    pub fields: Vec<Field>,
}

pub(super) struct Planner<'a> {
    tables: &'a [Table],
    shipments: &'a [Shipment],
    readings: &'a Readings,
    relations: usize,
    names: usize,
    /// Of each `With` around, outermost first, its tables.
    common: Vec<Vec<Rel>>,
}

impl Planner<'_> {
    pub(super) fn relation(&mut self, rel: &Rel) -> Result<Relation> {
        self.relations += 1;
        if self.relations > MOST_RELATIONS {
            return Err(unsupported(format!("more than {MOST_RELATIONS} relations")));
        }
        match rel {
            Rel::Table { table, columns } => self.table(*table, columns),
            Rel::Shipped { shipment, .. } => self.shipped(*shipment),
            Rel::Values { columns, rows } => self.values(columns.len(), rows),
            Rel::Filter { input, condition } => {
                let input = self.relation(input)?;
                let condition = self::condition(condition, &input.fields)?;
                self.filter(input, condition)
            }
            Rel::Project { input, columns } => {
                let input = self.relation(input)?;
                let columns = columns.iter().map(|column| scalar(column, &input.fields)).collect::<Result<_>>()?;
                self.project(input, columns, false)
            }
            Rel::Join { kind, left, right, condition, .. } => {
                let (left, right) = (self.relation(left)?, self.relation(right)?);
                self.join(*kind, left, right, condition.as_ref())
            }
            Rel::Aggregate { input, groups, sets, aggregates } => {
                aggregate::plan(self, input, groups, sets.as_deref(), aggregates)
            }
            Rel::Window { input, calls } => {
                let input = self.relation(input)?;
                window::plan(self, input, calls)
            }
            Rel::Distinct { input, on: None } => {
                let input = self.relation(input)?;
                self.distinct(input)
            }
            Rel::Distinct { input, on: Some(on) } => self.distinct_on(input, on),
            Rel::Sort { input, keys } => {
                let input = self.relation(input)?;
                let expr = sort_keys(keys, &input.fields)?;
                let plan = LogicalPlan::Sort(Sort { expr, input: Arc::new(input.plan), fetch: None });
                Ok(Relation { plan, fields: input.fields })
            }
            Rel::Limit { input, offset, count } => {
                let input = self.relation(input)?;
                let skip = bound(offset.as_ref(), "OFFSET")?;
                let fetch = bound(count.as_ref(), "LIMIT")?;
                let limit = Limit { skip: skip.map(Box::new), fetch: fetch.map(Box::new), input: Arc::new(input.plan) };
                Ok(Relation { plan: LogicalPlan::Limit(limit), fields: input.fields })
            }
            Rel::SetOperation { kind, all, left, right } => {
                let (left, right) = (self.relation(left)?, self.relation(right)?);
                set::plan(self, *kind, *all, left, right)
            }
            Rel::With { tables, body } => {
                self.common.push(tables.clone());
                let body = self.relation(body);
                self.common.pop();
                body
            }
            Rel::Common { level, table, .. } => self.common(*level, *table),
        }
    }

    /// A name that no other column has.
    pub(super) fn name(&mut self) -> String {
        self.names += 1;
        format!("c{}", self.names)
    }

    fn table(&mut self, table: usize, columns: &[usize]) -> Result<Relation> {
        let found = self.tables.get(table).ok_or_else(|| Error::internal(format!("no table {table}")))?;
        self.names += 1;
        let provider = LakeTable::new(found, self.names, self.readings.clone());
        let fields = columns.iter().map(|column| {
            let ty = found.columns.get(*column).map(|column| column.ty.clone());
            let (ty, name) = ty.zip(provider.name(*column)).ok_or_else(|| Error::internal("no such column"))?;
            Ok((name, ty))
        });
        let fields = fields.collect::<Result<Vec<_>>>()?;
        self.scan(Arc::new(provider), fields)
    }

    fn shipped(&mut self, shipment: usize) -> Result<Relation> {
        let found = self.shipments.get(shipment).ok_or_else(|| Error::internal(format!("no shipment {shipment}")))?;
        let names: Vec<_> = found.columns.iter().map(|_| self.name()).collect();
        let provider = Shipped::new(found, &names)?;
        let fields = names.into_iter().zip(found.columns.iter().cloned()).collect();
        self.scan(Arc::new(provider), fields)
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
        self.names += 1;
        let table = TableReference::bare(format!("t{}", self.names));
        let scan = LogicalPlanBuilder::scan(table.clone(), provider_as_source(provider), Some(projection));
        let plan = scan.and_then(LogicalPlanBuilder::build).map_err(Error::internal)?;
        let fields = fields.into_iter().map(|(name, ty)| Field {
            column: Column::new(Some(table.clone()), name),
            ty,
            fixed: true,
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
                column.push(scalar(value, &[])?);
            }
        }
        let columns = columns.into_iter().map(unified).collect::<Result<Vec<_>>>()?;
        let first = |column: &Vec<Typed>| column.first().map(|value| value.ty.clone());
        let Some(types) = columns.iter().map(first).collect::<Option<Vec<_>>>() else {
            return Err(unsupported("VALUES of no row"));
        };
        let fixed: Vec<_> = columns.iter().map(|column| column.iter().all(|value| value.fixed)).collect();
        if rows.len() == 1 {
            let row = columns.into_iter().flatten().collect();
            return self.project(Relation { plan: one, fields: Vec::new() }, row, true);
        }
        let names: Vec<_> = types.iter().map(|_| self.name()).collect();
        let arrow = names.iter().zip(&types).map(|(name, ty)| arrow::datatypes::Field::new(name, ty.arrow(), true));
        let schema = arrow::datatypes::Schema::new(arrow.collect::<Vec<_>>());
        let schema = Arc::new(DFSchema::try_from(schema).map_err(Error::internal)?);
        let row =
            |at: usize| columns.iter().filter_map(|column| column.get(at)).map(|value| value.expr.clone()).collect();
        let rows = (0..rows.len()).map(row).collect();
        let plan = LogicalPlanBuilder::values_with_schema(rows, &schema).and_then(LogicalPlanBuilder::build);
        let plan = plan.map_err(Error::internal)?;
        let fields = plan.schema().columns().into_iter().zip(types).zip(fixed);
        let fields = fields.map(|((column, ty), fixed)| Field { column, ty, fixed }).collect();
        Ok(Relation { plan, fields })
    }

    pub(super) fn filter(&mut self, input: Relation, condition: Logical) -> Result<Relation> {
        let plan =
            Filter::try_new(condition, Arc::new(input.plan)).map(LogicalPlan::Filter).map_err(Error::internal)?;
        Ok(Relation { plan, fields: input.fields })
    }

    /// Columns that are as they were need no work, unless they are to have names of their own.
    pub(super) fn project(&mut self, input: Relation, columns: Vec<Typed>, named: bool) -> Result<Relation> {
        let is_plain = |typed: &Typed| matches!(typed.expr, Logical::Column(_));
        let mut exprs: Vec<Logical> = Vec::new();
        let mut fields = Vec::with_capacity(columns.len());
        let mut made = named;
        for typed in columns {
            match (&typed.expr, named) {
                (Logical::Column(column), false) => {
                    if !exprs.contains(&typed.expr) {
                        exprs.push(typed.expr.clone());
                    }
                    fields.push(Field { column: column.clone(), ty: typed.ty, fixed: typed.fixed });
                }
                _ => {
                    made |= !is_plain(&typed);
                    let name = self.name();
                    exprs.push(typed.expr.alias(&name));
                    fields.push(Field { column: Column::from_name(name), ty: typed.ty, fixed: typed.fixed });
                }
            }
        }
        if !made {
            return Ok(Relation { plan: input.plan, fields });
        }
        let plan = Projection::try_new(exprs, Arc::new(input.plan)).map(LogicalPlan::Projection);
        Ok(Relation { plan: plan.map_err(Error::internal)?, fields })
    }

    fn join(&mut self, kind: JoinKind, left: Relation, right: Relation, on: Option<&Expr>) -> Result<Relation> {
        let mut parts = Vec::new();
        on.iter().for_each(|on| unnest::split(on, &mut parts));
        let width = left.fields.len();
        let both: Vec<_> = left.fields.iter().chain(&right.fields).cloned().collect();
        let (mut keys, mut rest) = (Vec::new(), Vec::new());
        for part in &parts {
            match key(part, width, &left.fields, &right.fields)? {
                Some(pair) => keys.push(pair),
                None => rest.push(condition(part, &both)?),
            }
        }
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
        if surely && (keys.len() != 1 || !rest.is_empty()) {
            return Err(unsupported("NOT IN of more than one column"));
        }
        let plan = Join::try_new(
            Arc::new(left.plan),
            Arc::new(right.plan),
            keys,
            balanced(rest, Operator::And),
            join_type,
            JoinConstraint::On,
            NullEquality::NullEqualsNothing,
            surely,
        );
        let plan = plan.map(LogicalPlan::Join).map_err(Error::internal)?;
        if kind == JoinKind::Mark {
            return self.marked(plan, fields);
        }
        Ok(Relation { plan, fields })
    }

    /// The mark of a join gets a name of its own.
    fn marked(&mut self, plan: LogicalPlan, fields: Vec<Field>) -> Result<Relation> {
        let mark = plan.schema().columns().pop().ok_or_else(|| Error::internal("a join without a mark"))?;
        let mark = Typed { expr: Logical::Column(mark), ty: ColumnType::Bool, fixed: true };
        let name = self.name();
        let mut exprs: Vec<Logical> = Vec::new();
        for field in &fields {
            let column = Logical::Column(field.column.clone());
            if !exprs.contains(&column) {
                exprs.push(column);
            }
        }
        exprs.push(mark.expr.alias(&name));
        let plan = Projection::try_new(exprs, Arc::new(plan)).map(LogicalPlan::Projection).map_err(Error::internal)?;
        let mark = Field { column: Column::from_name(name), ty: ColumnType::Bool, fixed: true };
        Ok(Relation { plan, fields: fields.into_iter().chain([mark]).collect() })
    }

    /// The columns as what equal values share, under names of their own.
    pub(super) fn keyed(&mut self, input: Relation) -> Result<Relation> {
        let keys = input.fields.iter().map(|field| {
            let typed = Typed::from(field);
            if matches!(typed.ty, ColumnType::Array(_)) {
                return Err(unsupported("distinct arrays"));
            }
            Ok(Typed { ty: typed.ty.clone(), fixed: typed.fixed, expr: typed.key() })
        });
        let keys = keys.collect::<Result<Vec<_>>>()?;
        self.project(input, keys, true)
    }

    pub(super) fn distinct(&mut self, input: Relation) -> Result<Relation> {
        if input.fields.is_empty() {
            return Err(unsupported("DISTINCT of no column"));
        }
        let input = self.keyed(input)?;
        Ok(Relation { plan: LogicalPlan::Distinct(Distinct::All(Arc::new(input.plan))), fields: input.fields })
    }

    /// The first of the rows that are equal in some columns, by the order of the input, which stays.
    fn distinct_on(&mut self, input: &Rel, on: &[usize]) -> Result<Relation> {
        let Rel::Sort { input, keys } = input else {
            return Err(unsupported("DISTINCT ON without ORDER BY"));
        };
        let input = self.relation(input)?;
        let fields = input.fields.clone();
        let on = on.iter().map(|at| fields.get(*at).map(|field| Typed::from(field).key()));
        let partition = on.collect::<Option<Vec<_>>>().ok_or_else(|| Error::internal("DISTINCT ON no column"))?;
        let order = sort_keys(keys, &fields)?;
        let (numbered, number) = window::numbered(self, input, partition, order.clone())?;
        let first = super::scalar::binary(Logical::Column(number.column), Operator::Eq, lit(1u64));
        let kept = self.filter(Relation { plan: numbered, fields }, first)?;
        let plan = LogicalPlan::Sort(Sort { expr: order, input: Arc::new(kept.plan), fetch: None });
        Ok(Relation { plan, fields: kept.fields })
    }

    /// One of the tables of a `With`, which sees those before it.
    fn common(&mut self, level: usize, table: usize) -> Result<Relation> {
        let missing = || Error::internal(format!("no common table {table} at level {level}"));
        let at = self.common.len().checked_sub(level + 1).ok_or_else(missing)?;
        let rel = self.common.get(at).and_then(|tables| tables.get(table)).cloned().ok_or_else(missing)?;
        let before: Vec<Rel> =
            self.common.get(at).map(|tables| tables.iter().take(table).cloned().collect()).unwrap_or_default();
        let inner = self.common.split_off(at);
        self.common.push(before);
        let planned = self.relation(&rel);
        self.common.truncate(at);
        self.common.extend(inner);
        planned
    }

    /// The union of relations whose columns are of one kind each.
    pub(super) fn union(&mut self, left: Relation, right: Relation) -> Result<Relation> {
        let (left, right) = self.aligned(left, right, false)?;
        let fixed: Vec<_> = left.fields.iter().zip(&right.fields).map(|(a, b)| a.fixed && b.fixed).collect();
        let types: Vec<_> = left.fields.into_iter().map(|field| field.ty).collect();
        let plan = Union::try_new(vec![Arc::new(left.plan), Arc::new(right.plan)]).map(LogicalPlan::Union);
        let plan = plan.map_err(Error::internal)?;
        let columns = plan.schema().columns().into_iter().zip(types).zip(fixed);
        let columns = columns.map(|((column, ty), fixed)| Typed { expr: Logical::Column(column), ty, fixed });
        let columns = columns.collect();
        // The union takes the names of its left side, which may have others.
        self.project(Relation { plan, fields: Vec::new() }, columns, true)
    }

    /// Both sides with columns of the same types and in the same order, as keys or as they are.
    pub(super) fn aligned(&mut self, left: Relation, right: Relation, keys: bool) -> Result<(Relation, Relation)> {
        if left.fields.len() != right.fields.len() {
            return Err(Error::internal("a set operation of sides with another number of columns"));
        }
        let types = left.fields.iter().zip(&right.fields).map(|(a, b)| common([a.ty.clone(), b.ty.clone()]));
        let types = types.collect::<Result<Vec<_>>>()?;
        let mut side = |side: Relation| {
            let columns = side.fields.iter().zip(&types).map(|(field, ty)| {
                let typed = Typed::from(field).widened(ty);
                if !keys {
                    return Ok(typed);
                }
                if matches!(ty, ColumnType::Array(_)) {
                    return Err(unsupported("a set operation of arrays"));
                }
                Ok(Typed { ty: ty.clone(), fixed: typed.fixed, expr: typed.key() })
            });
            let columns = columns.collect::<Result<Vec<_>>>()?;
            self.project(side, columns, true)
        };
        Ok((side(left)?, side(right)?))
    }
}

/// The two sides of an equality, each over one side of a join.
fn key(part: &Expr, width: usize, left: &[Field], right: &[Field]) -> Result<Option<(Logical, Logical)>> {
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
    let (a, b) = paired(scalar(a, left)?, scalar(&b, right)?)?;
    Ok(Some((a.key(), b.key())))
}

/// Keys to sort by.
pub(super) fn sort_keys(keys: &[SortKey], columns: &[Field]) -> Result<Vec<SortExpr>> {
    let key = |key: &SortKey| {
        let typed = scalar(&key.expr, columns)?;
        if matches!(typed.ty, ColumnType::Array(_)) {
            return Err(unsupported("an order of arrays"));
        }
        Ok(SortExpr::new(typed.key(), !key.descending, key.nulls_first))
    };
    keys.iter().map(key).collect()
}

/// The rows that LIMIT or OFFSET names; none of NULL.
fn bound(expr: Option<&Expr>, what: &'static str) -> Result<Option<Logical>> {
    let Some(expr) = expr else { return Ok(None) };
    match expr {
        Expr::Constant(Value::Null, _) => Ok(None),
        Expr::Constant(Value::Int(rows), _) if *rows >= 0 => Ok(Some(lit(ScalarValue::Int64(Some(*rows))))),
        Expr::Constant(Value::Int(_), _) => Err(Error::NegativeLimit { what }),
        Expr::Parameter(..) => Ok(Some(lit(ScalarValue::Int64(Some(ANY_LIMIT))))),
        _ => Err(unsupported(format!("{what} that is no constant"))),
    }
}
