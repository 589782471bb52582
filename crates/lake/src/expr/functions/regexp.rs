//! `~`, `!~` and `regexp_replace` with constant patterns of the simple kind.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewBuilder};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{ColumnarValue, Expr};
use regex::Regex;

use super::kernel::{Kernel, Operands, apply, unexpected};
use super::pattern::{Part, replacement, shape};
use super::typed::{Typed, unsupported};
use crate::error::Result;
use crate::expr::Function;
use crate::types::ColumnType;

/// A pattern, and what is done with it.
#[derive(Clone, Debug)]
struct Regexp {
    regex: Regex,
    action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Action {
    Matches,
    NotMatches,
    /// The first match becomes this.
    Replace(Vec<Part>),
}

impl PartialEq for Regexp {
    fn eq(&self, other: &Self) -> bool {
        self.regex.as_str() == other.regex.as_str() && self.action == other.action
    }
}

impl Eq for Regexp {}

impl Hash for Regexp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.regex.as_str().hash(state);
        self.action.hash(state);
    }
}

/// A call of a text, a pattern and, to replace, a text for it.
pub(super) fn call(function: Function, arguments: Vec<Typed>) -> Result<Typed> {
    let refused = || unsupported("a regular expression that may mean something else to the engine");
    let [text, pattern, others @ ..] = &arguments[..] else { return Err(refused()) };
    let shape = constant(pattern).and_then(shape).ok_or_else(refused)?;
    let (action, ty) = match (function, others) {
        (Function::Matches, []) => (Action::Matches, ColumnType::Bool),
        (Function::NotMatches, []) => (Action::NotMatches, ColumnType::Bool),
        (Function::RegexpReplace, [with]) if shape.is_definite => {
            let parts = constant(with).and_then(|with| replacement(with, shape.groups)).ok_or_else(refused)?;
            (Action::Replace(parts), ColumnType::Text)
        }
        _ => return Err(refused()),
    };
    let regex = Regex::new(&shape.pattern).map_err(|_| refused())?;
    Ok(Typed::new(apply(Regexp { regex, action }, vec![text.expr.clone()], ty.arrow()), ty))
}

fn constant(value: &Typed) -> Option<&str> {
    match &value.expr {
        Expr::Literal(ScalarValue::Utf8View(text), _) => text.as_deref(),
        _ => None,
    }
}

impl Kernel for Regexp {
    fn name(&self) -> &'static str {
        match self.action {
            Action::Matches => "~",
            Action::NotMatches => "!~",
            Action::Replace(_) => "regexp_replace",
        }
    }

    fn evaluate(&self, arguments: &[ColumnarValue], _: &DataType) -> EngineResult<ColumnarValue> {
        let operands = Operands::of(arguments)?;
        let texts = operands.all.first().and_then(|operand| operand.array.as_string_view_opt());
        let texts = texts.ok_or_else(|| unexpected(&self.name(), arguments))?;
        let array: ArrayRef = match &self.action {
            Action::Replace(parts) => {
                let mut builder = StringViewBuilder::with_capacity(texts.len());
                let mut groups = self.regex.capture_locations();
                let mut replaced = String::new();
                for text in texts {
                    let Some(text) = text else {
                        builder.append_null();
                        continue;
                    };
                    let Some(found) = self.regex.captures_read(&mut groups, text) else {
                        builder.append_value(text);
                        continue;
                    };
                    replaced.clear();
                    replaced.push_str(&text[..found.start()]);
                    for part in parts {
                        match part {
                            Part::Text(plain) => replaced.push_str(plain),
                            Part::Group(group) => {
                                replaced.push_str(groups.get(*group).map_or("", |(start, end)| &text[start..end]));
                            }
                        }
                    }
                    replaced.push_str(&text[found.end()..]);
                    builder.append_value(&replaced);
                }
                Arc::new(builder.finish())
            }
            action => {
                let wanted = *action == Action::Matches;
                let is_match = |row| texts.is_valid(row) && self.regex.is_match(texts.value(row)) == wanted;
                let bits = BooleanBuffer::collect_bool(texts.len(), is_match);
                Arc::new(BooleanArray::new(bits, texts.nulls().cloned()))
            }
        };
        operands.answer(array)
    }
}
