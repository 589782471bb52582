//! What all parts of a plan need: names, projections, filters, unions.

use std::sync::Arc;

use datafusion::common::Column;
use datafusion::logical_expr::{Distinct, Expr as Logical, Filter, LogicalPlan, Projection, SortExpr, Union};

use super::ir::SortKey;
use super::scalar::{self, Field, keyed, printed, scalar};
use super::unsupported;
use crate::error::{Error, Result};
use crate::expr::functions::{Scale, Typed, Width, common};
use crate::types::ColumnType;

/// A planned relation. Its columns may be fewer than those of the plan, and in another order.
pub(super) struct Relation {
    pub plan: LogicalPlan,
    pub fields: Vec<Field>,
}

/// Makes relations of others.
pub(super) struct Planner {
    pub width: Width,
    names: usize,
}

impl Planner {
    pub(super) fn new(width: Width) -> Self {
        Self { width, names: 0 }
    }

    /// A name that no other column has.
    pub(super) fn name(&mut self) -> String {
        format!("c{}", self.number())
    }

    /// A number that nothing else has.
    pub(super) fn number(&mut self) -> usize {
        self.names += 1;
        self.names
    }

    pub(super) fn filter(&mut self, input: Relation, condition: Logical) -> Result<Relation> {
        let plan =
            Filter::try_new(condition, Arc::new(input.plan)).map(LogicalPlan::Filter).map_err(Error::internal)?;
        Ok(Relation { plan, fields: input.fields })
    }

    /// Columns that are as they were need no work, unless they are to have names of their own. What is shown of numerics goes
    /// along.
    pub(super) fn project(&mut self, input: Relation, columns: Vec<Typed>, named: bool) -> Result<Relation> {
        let mut made = Made { exprs: Vec::new(), new: named };
        let mut fields = Vec::with_capacity(columns.len());
        for typed in columns {
            let scale = match typed.scale {
                Scale::Each(scale) => Scale::Each(Box::new(match *scale {
                    literal @ Logical::Literal(..) => literal,
                    scale => Logical::Column(made.column(self, scale, false)),
                })),
                other => other,
            };
            let column = made.column(self, typed.expr, named);
            fields.push(Field { column, ty: typed.ty, scale });
        }
        if !made.new {
            return Ok(Relation { plan: input.plan, fields });
        }
        let plan = Projection::try_new(made.exprs, Arc::new(input.plan)).map(LogicalPlan::Projection);
        Ok(Relation { plan: plan.map_err(Error::internal)?, fields })
    }

    /// A plan whose last column is none of these fields: it becomes one, with a name of its own.
    pub(super) fn with_last(&mut self, plan: LogicalPlan, mut fields: Vec<Field>, ty: ColumnType) -> Result<Relation> {
        let mut columns = plan.schema().columns();
        let last = columns.pop().ok_or_else(|| Error::internal("a plan without columns"))?;
        let name = self.name();
        let exprs = columns.into_iter().map(Logical::Column).chain([Logical::Column(last).alias(&name)]).collect();
        let plan = Projection::try_new(exprs, Arc::new(plan)).map(LogicalPlan::Projection).map_err(Error::internal)?;
        fields.push(Field { column: Column::from_name(name), ty, scale: Scale::Fixed });
        Ok(Relation { plan, fields })
    }

    pub(super) fn distinct(&mut self, input: Relation) -> Result<Relation> {
        if input.fields.is_empty() {
            return Err(unsupported("DISTINCT of no column"));
        }
        let keys = input.fields.iter().map(|field| keyed(field.into())).collect::<Result<_>>()?;
        let input = self.project(input, keys, true)?;
        Ok(Relation { plan: LogicalPlan::Distinct(Distinct::All(Arc::new(input.plan))), fields: input.fields })
    }

    /// The union of relations whose columns are of one kind each.
    pub(super) fn union(&mut self, left: Relation, right: Relation) -> Result<Relation> {
        let pairs = pairs(&left, &right)?;
        let (mut on_left, mut on_right, mut types) = (Vec::new(), Vec::new(), Vec::new());
        let mut scales = Vec::new();
        for (a, b) in pairs {
            let scale = match (&a.scale, &b.scale) {
                (Scale::Fixed, Scale::Fixed) => None,
                _ => Some(printed(&a).zip(printed(&b))),
            };
            types.push(a.ty.clone());
            scales.push(scale);
            on_left.push(Typed::new(a.expr, a.ty));
            on_right.push(Typed::new(b.expr, b.ty));
        }
        let count = types.len();
        for (a, b) in scales.iter().flatten().flatten() {
            on_left.push(Typed::new(a.clone(), ColumnType::Int4));
            on_right.push(Typed::new(b.clone(), ColumnType::Int4));
        }
        let (left, right) = (self.project(left, on_left, true)?, self.project(right, on_right, true)?);
        let plan = Union::try_new(vec![Arc::new(left.plan), Arc::new(right.plan)]).map(LogicalPlan::Union);
        let plan = plan.map_err(Error::internal)?;
        let columns = plan.schema().columns();
        let (values, digits) = columns.split_at(count.min(columns.len()));
        let mut digits = digits.iter();
        let columns = values.iter().zip(types).zip(&scales).map(|((column, ty), scale)| {
            let scale = match scale {
                None => Scale::Fixed,
                Some(None) => Scale::Unknown,
                Some(Some(_)) => digits
                    .next()
                    .map_or(Scale::Unknown, |column| Scale::Each(Box::new(Logical::Column(column.clone())))),
            };
            Typed { expr: Logical::Column(column.clone()), ty, scale }
        });
        let columns = columns.collect();
        // The union takes the names of its left side, which may have others.
        self.project(Relation { plan, fields: Vec::new() }, columns, true)
    }

    /// Both sides with keys of the same types and in the same order.
    pub(super) fn aligned(&mut self, left: Relation, right: Relation) -> Result<(Relation, Relation)> {
        let pairs = pairs(&left, &right)?;
        let (mut on_left, mut on_right) = (Vec::new(), Vec::new());
        for (a, b) in pairs {
            let scale = if a.scale == Scale::Fixed && b.scale == Scale::Fixed { Scale::Fixed } else { Scale::Unknown };
            on_left.push(Typed { scale: scale.clone(), ..keyed(a)? });
            on_right.push(Typed { scale, ..keyed(b)? });
        }
        Ok((self.project(left, on_left, true)?, self.project(right, on_right, true)?))
    }
}

/// The columns of two sides, each pair as one type.
fn pairs(left: &Relation, right: &Relation) -> Result<Vec<(Typed, Typed)>> {
    if left.fields.len() != right.fields.len() {
        return Err(Error::internal("a set operation of sides with another number of columns"));
    }
    let pair = |(a, b): (&Field, &Field)| {
        let mut both = common(vec![a.into(), b.into()])?.into_iter();
        both.next().zip(both.next()).ok_or_else(|| Error::internal("two columns of a set operation"))
    };
    left.fields.iter().zip(&right.fields).map(pair).collect()
}

/// Expressions of a projection, each once.
struct Made {
    exprs: Vec<Logical>,
    /// Whether there is one that its input does not have.
    new: bool,
}

impl Made {
    /// The column that an expression becomes.
    fn column(&mut self, planner: &mut Planner, expr: Logical, named: bool) -> Column {
        match (expr, named) {
            (Logical::Column(column), false) => {
                let expr = Logical::Column(column.clone());
                if !self.exprs.contains(&expr) {
                    self.exprs.push(expr);
                }
                column
            }
            (expr, _) => {
                self.new = true;
                let name = planner.name();
                self.exprs.push(expr.alias(&name));
                Column::from_name(name)
            }
        }
    }
}

/// Keys to sort by.
pub(super) fn sort_keys(width: Width, keys: &[SortKey], columns: &[Field]) -> Result<Vec<SortExpr>> {
    let key = |key: &SortKey| {
        let typed = scalar(width, &key.expr, columns)?;
        Ok(SortExpr::new(scalar::key(typed)?, !key.descending, key.nulls_first))
    };
    keys.iter().map(key).collect()
}
