//! Values in place of parameters, and one list in place of many equalities.

use std::collections::HashMap;

use super::function::{Comparison, Function};
use super::ir::{Expr, Type};
use crate::error::{Error, Result};
use crate::types::{Kind, Value};

const EQUAL: Function = Function::Compare(Comparison::Eq);
const UNEQUAL: Function = Function::Compare(Comparison::NotEq);

impl Expr {
    /// The same expression with values in place of parameters. Each parameter stands in one place.
    pub fn bind(&self, params: Vec<Value>) -> Result<Expr> {
        let mut params = params.into_iter().map(Some).collect::<Vec<_>>();
        self.bind_from(&mut params)
    }

    fn bind_from(&self, params: &mut [Option<Value>]) -> Result<Expr> {
        if let Self::Parameter(i, ty) = self {
            let value = params.get_mut(*i).and_then(Option::take);
            return Ok(Self::Constant(value.ok_or_else(|| Error::internal(format!("no parameter {i}")))?, *ty));
        }
        Ok(match self.map_children(&mut |child| child.bind_from(params))? {
            Self::And(parts) => Self::And(merged(parts, false)),
            Self::Or(parts) => Self::Or(merged(parts, true)),
            other => other,
        })
    }
}

/// One list in place of all equalities of one column that OR joins (or inequalities that AND joins): a set is asked once,
/// however many elements it has.
fn merged(parts: Vec<Expr>, equalities: bool) -> Vec<Expr> {
    let mut others = Vec::new();
    let mut lists: HashMap<(usize, Kind, Kind), Vec<Expr>> = HashMap::new();
    for part in parts {
        match equated(&part, equalities) {
            Some(key) => lists.entry(key).or_default().push(part),
            None => others.push(part),
        }
    }
    let mut lists: Vec<_> = lists.into_iter().collect();
    lists.sort_by_key(|(key, _)| *key);
    for ((column, ty, element), mut parts) in lists {
        if parts.len() < 2 {
            others.append(&mut parts);
            continue;
        }
        let values = Value::List(parts.into_iter().flat_map(values).collect());
        let list = Expr::Constant(values, Type::Array { array: element });
        let within = Expr::In(Box::new(Expr::Column(column, ty.into())), Box::new(list));
        others.push(if equalities { within } else { within.negated() });
    }
    others
}

/// The column of `column = value` and `column IN (...)`, or of their opposites, its type and that of the values.
fn equated(part: &Expr, equalities: bool) -> Option<(usize, Kind, Kind)> {
    match part {
        Expr::Call(function, arguments) => match &arguments[..] {
            [Expr::Column(column, Type::One(ty)), Expr::Constant(_, Type::One(element))] => {
                let wanted = if equalities { EQUAL } else { UNEQUAL };
                (*function == wanted).then_some((*column, *ty, *element))
            }
            _ => None,
        },
        Expr::In(item, list) if equalities => match (&**item, &**list) {
            (Expr::Column(column, Type::One(ty)), Expr::Constant(Value::List(_), Type::Array { array })) => {
                Some((*column, *ty, *array))
            }
            _ => None,
        },
        Expr::Not(inner) if !equalities => match &**inner {
            within @ Expr::In(..) => equated(within, true),
            _ => None,
        },
        _ => None,
    }
}

/// The values that what [`equated`] knows compares with.
fn values(part: Expr) -> Vec<Value> {
    match part {
        Expr::Call(_, mut arguments) => match arguments.pop() {
            Some(Expr::Constant(value, _)) => vec![value],
            _ => Vec::new(),
        },
        Expr::In(_, list) => match *list {
            Expr::Constant(Value::List(values), _) => values,
            _ => Vec::new(),
        },
        Expr::Not(inner) => values(*inner),
        _ => Vec::new(),
    }
}
