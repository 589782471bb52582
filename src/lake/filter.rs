//! From PostgreSQL's conditions to the engine's filters, or to the reason why a condition stays here.
//!
//! Only node types named here are understood, and only operators of pg_catalog that [`lagoon_lake::pushable`] lists are
//! taken. Anything that has no column and is not volatile is a parameter: PostgreSQL evaluates it when the scan begins.
//! Arrays are parameters even if they are constants, so a plan holds their elements once.
//!
//! What is nested too deeply, or too long to be copied with every plan, stays in PostgreSQL, which has limits of its own.

use std::collections::HashMap;
use std::ffi::CStr;

use lagoon_lake::expr::{Filter, MAX_DEPTH, Operand, Truth, Value};
use lagoon_lake::pushable::{Condition, Kind, Op, rule};
use pgrx::{PgList, pg_sys};

use super::attribute::Attribute;
use super::value;
use crate::pg::compat;

/// Why a condition is not pushed.
pub(super) type Reason = String;

/// Bytes that the conditions of one scan may take in its plan, about.
const MAX_PLAN_BYTES: usize = 64 << 20;
/// Bytes of a comparison in the plan, about, and of a byte of its constant at most.
const COMPARISON_BYTES: usize = 80;
const BYTES_PER_BYTE: usize = 6;

/// Translates the conditions of one relation; parameters collect in `params`.
pub(super) struct Translator<'a> {
    relid: pg_sys::Index,
    by_number: HashMap<i16, (usize, &'a Attribute)>,
    utf8: bool,
    /// Operators that were looked up, with the collation that they are to work under: conditions have thousands of terms.
    operators: HashMap<(pg_sys::Oid, pg_sys::Oid), Result<Listed, Reason>>,
    /// Bytes of the plan that are left.
    room: usize,
    /// Expressions whose values are parameters, in order.
    pub params: Vec<*mut pg_sys::Expr>,
}

impl<'a> Translator<'a> {
    pub(super) fn new(relid: pg_sys::Index, attributes: &'a [Attribute]) -> Self {
        let by_number =
            attributes.iter().enumerate().map(|(i, attribute)| (attribute.number, (i, attribute))).collect();
        // SAFETY: reads a variable of this process.
        let utf8 = unsafe { pg_sys::GetDatabaseEncoding() } == pg_sys::pg_enc::PG_UTF8 as i32;
        Self { relid, by_number, utf8, operators: HashMap::new(), room: MAX_PLAN_BYTES, params: Vec::new() }
    }

    /// The filter of one condition.
    ///
    /// # Safety
    /// `node` must be a valid expression of type boolean over the relation.
    pub(super) unsafe fn condition(&mut self, node: *mut pg_sys::Node) -> Result<Filter, Reason> {
        let (params, room) = (self.params.len(), self.room);
        // SAFETY: the caller's.
        let filter = unsafe { self.boolean(node, 0) };
        if filter.is_err() {
            self.params.truncate(params);
            self.room = room;
        }
        filter
    }

    /// `depth` counts what stands above the node.
    unsafe fn boolean(&mut self, node: *mut pg_sys::Node, depth: usize) -> Result<Filter, Reason> {
        if depth > MAX_DEPTH {
            return Err(format!("nested more than {MAX_DEPTH} levels deep"));
        }
        // SAFETY: the tag of a node says its type, so each cast is to what the node is.
        unsafe {
            if node.is_null() {
                return Err("empty expression".to_owned());
            }
            match (*node).type_ {
                pg_sys::NodeTag::T_BoolExpr => {
                    let expr = &*node.cast::<pg_sys::BoolExpr>();
                    let parts = PgList::<pg_sys::Node>::from_pg(expr.args);
                    let mut filters =
                        parts.iter_ptr().map(|part| self.boolean(part, depth + 1)).collect::<Result<Vec<_>, _>>()?;
                    Ok(match expr.boolop {
                        pg_sys::BoolExprType::AND_EXPR => Filter::And(filters),
                        pg_sys::BoolExprType::OR_EXPR => Filter::Or(filters),
                        _ => Filter::Not(Box::new(filters.pop().ok_or("NOT of nothing")?)),
                    })
                }
                pg_sys::NodeTag::T_OpExpr => self.comparison(&*node.cast::<pg_sys::OpExpr>()),
                pg_sys::NodeTag::T_ScalarArrayOpExpr => self.membership(&*node.cast::<pg_sys::ScalarArrayOpExpr>()),
                pg_sys::NodeTag::T_NullTest => {
                    let test = &*node.cast::<pg_sys::NullTest>();
                    let (index, _) = self.column(test.arg.cast())?.ok_or("IS NULL of an expression")?;
                    let is_null = Filter::IsNull(index);
                    let negated = test.nulltesttype == pg_sys::NullTestType::IS_NOT_NULL;
                    Ok(if negated { Filter::Not(Box::new(is_null)) } else { is_null })
                }
                pg_sys::NodeTag::T_BooleanTest => {
                    use pg_sys::BoolTestType::*;
                    let test = &*node.cast::<pg_sys::BooleanTest>();
                    let inner = Box::new(self.boolean(test.arg.cast(), depth + 2)?);
                    let (truth, negated) = match test.booltesttype {
                        IS_TRUE => (Truth::True, false),
                        IS_NOT_TRUE => (Truth::True, true),
                        IS_FALSE => (Truth::False, false),
                        IS_NOT_FALSE => (Truth::False, true),
                        IS_UNKNOWN => (Truth::Unknown, false),
                        _ => (Truth::Unknown, true),
                    };
                    let is = Filter::Is(inner, truth);
                    Ok(if negated { Filter::Not(Box::new(is)) } else { is })
                }
                pg_sys::NodeTag::T_Var => match self.column(node)? {
                    Some((index, Kind::Bool)) => Ok(Filter::Column(index)),
                    _ => Err("not a boolean column".to_owned()),
                },
                _ => Err(describe(node)),
            }
        }
    }

    unsafe fn comparison(&mut self, expr: &pg_sys::OpExpr) -> Result<Filter, Reason> {
        // SAFETY: the arguments of an OpExpr are expressions.
        unsafe {
            let args = PgList::<pg_sys::Node>::from_pg(expr.args);
            let (Some(left), Some(right), 2) = (args.get_ptr(0), args.get_ptr(1), args.len()) else {
                return Err("not a binary operator".to_owned());
            };
            let listed = self.operator(expr.opno, expr.inputcollid)?;
            let (column, other, op) = match (self.column(left)?, self.column(right)?) {
                (Some(column), _) => (column, right, listed.op),
                (None, Some(column)) => {
                    let op =
                        listed.op.commuted().ok_or_else(|| format!("the pattern of {} is a column", listed.name()))?;
                    (column, left, op)
                }
                (None, None) => return Err(format!("neither side of {} is a column", listed.name())),
            };
            self.take(COMPARISON_BYTES)?;
            if let Some((index, kind)) = self.column(other)? {
                if matches!(op, Op::Like | Op::NotLike) {
                    return Err("the pattern is a column".to_owned());
                }
                debug_assert!(rule(op, column.1, kind).is_some());
                return Ok(Filter::Compare { op, column: column.0, operand: Operand::Column(index) });
            }
            let operand = self.operand(other)?;
            if listed.condition == Condition::PlainPattern {
                match &operand {
                    Operand::Value(Value::Text(pattern)) if !pattern.contains('\\') => {}
                    Operand::Value(Value::Null) => {}
                    Operand::Value(_) => return Err("a pattern with a backslash".to_owned()),
                    _ => return Err("the pattern is not a constant".to_owned()),
                }
            }
            Ok(Filter::Compare { op, column: column.0, operand })
        }
    }

    unsafe fn membership(&mut self, expr: &pg_sys::ScalarArrayOpExpr) -> Result<Filter, Reason> {
        // SAFETY: the arguments are an expression and an array.
        unsafe {
            let args = PgList::<pg_sys::Node>::from_pg(expr.args);
            let (Some(left), Some(right)) = (args.get_ptr(0), args.get_ptr(1)) else {
                return Err("IN without arguments".to_owned());
            };
            let listed = self.operator(expr.opno, expr.inputcollid)?;
            let negated = match (listed.op, expr.useOr) {
                (Op::Eq, true) => false,
                (Op::NotEq, false) => true,
                _ => return Err(format!("{} with ANY or ALL", listed.name())),
            };
            let (column, _) = self.column(left)?.ok_or("the left side of IN is not a column")?;
            self.take(COMPARISON_BYTES)?;
            let list = self.operand(right)?;
            let within = Filter::In { column, list };
            Ok(if negated { Filter::Not(Box::new(within)) } else { within })
        }
    }

    fn operator(&mut self, operator: pg_sys::Oid, collation: pg_sys::Oid) -> Result<Listed, Reason> {
        if let Some(known) = self.operators.get(&(operator, collation)) {
            return known.clone();
        }
        let found = Listed::find(operator).and_then(|listed| self.check(&listed, collation).map(|()| listed));
        self.operators.insert((operator, collation), found.clone());
        found
    }

    fn take(&mut self, bytes: usize) -> Result<(), Reason> {
        self.room = self.room.checked_sub(bytes).ok_or("conditions too long for a plan")?;
        Ok(())
    }

    fn check(&self, listed: &Listed, collation: pg_sys::Oid) -> Result<(), Reason> {
        if listed.condition == Condition::Always {
            return Ok(());
        }
        if !self.utf8 {
            return Err("the database is not UTF-8".to_owned());
        }
        if collation == pg_sys::InvalidOid {
            return Err("no collation".to_owned());
        }
        // SAFETY: a catalog lookup.
        if collation != pg_sys::DEFAULT_COLLATION_OID && !unsafe { pg_sys::get_collation_isdeterministic(collation) } {
            return Err("a nondeterministic collation".to_owned());
        }
        if listed.condition == Condition::ByteOrder && !orders_bytes(collation) {
            return Err(format!("{} under a collation that is not C, POSIX or C.UTF-8", listed.name()));
        }
        Ok(())
    }

    /// The column behind a node, if it is one: index and kind. An error if it is one that filters cannot use.
    unsafe fn column(&self, node: *mut pg_sys::Node) -> Result<Option<(usize, Kind)>, Reason> {
        // SAFETY: the tag says the type.
        unsafe {
            let node = strip(node);
            if node.is_null() || (*node).type_ != pg_sys::NodeTag::T_Var {
                return Ok(None);
            }
            let var = &*node.cast::<pg_sys::Var>();
            if var.varno as pg_sys::Index != self.relid || var.varlevelsup != 0 {
                return Ok(None);
            }
            let Some((index, attribute)) = self.by_number.get(&var.varattno) else {
                return Err("a system column or whole row".to_owned());
            };
            let name = &attribute.column.name;
            if attribute.from_text {
                return Err(format!("column \"{name}\" is converted from text by its type's input function"));
            }
            let kind = Kind::of(&attribute.column.ty).ok_or_else(|| format!("column \"{name}\" is an array"))?;
            Ok(Some((*index, kind)))
        }
    }

    /// A constant, or a parameter for what is known only at execution.
    unsafe fn operand(&mut self, node: *mut pg_sys::Node) -> Result<Operand, Reason> {
        // SAFETY: the tag says the type; the walkers take any expression.
        unsafe {
            let inner = strip(node);
            let oid = pg_sys::exprType(inner);
            if (*inner).type_ == pg_sys::NodeTag::T_Const {
                let constant = &*inner.cast::<pg_sys::Const>();
                if constant.constisnull {
                    return Ok(Operand::Value(Value::Null));
                }
                if value::kind(oid).is_some() {
                    let value = value::value(oid, constant.constvalue, false).map_err(|error| error.to_string())?;
                    self.take(match &value {
                        Value::Text(text) | Value::Numeric(text) => text.len() * BYTES_PER_BYTE,
                        Value::Bytea(bytes) => bytes.len() * BYTES_PER_BYTE,
                        _ => 0,
                    })?;
                    return Ok(Operand::Value(value));
                }
            }
            let element = pg_sys::get_element_type(oid);
            if value::kind(oid).or_else(|| value::kind(element)).is_none() {
                return Err("a value of a type without counterpart".to_owned());
            }
            if pg_sys::contain_var_clause(inner) {
                return Err("an expression over columns".to_owned());
            }
            if pg_sys::contain_volatile_functions(inner) {
                return Err("a volatile expression".to_owned());
            }
            if pg_sys::contain_subplans(inner) {
                return Err("a subquery".to_owned());
            }
            self.params.push(inner.cast());
            Ok(Operand::Param(self.params.len() - 1))
        }
    }
}

/// An operator that the table lists.
#[derive(Clone)]
struct Listed {
    op: Op,
    condition: Condition,
}

impl Listed {
    fn find(operator: pg_sys::Oid) -> Result<Self, Reason> {
        // SAFETY: a catalog lookup; the tuple is read before it is released.
        unsafe {
            let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::OPEROID as i32, operator.into());
            if tuple.is_null() {
                return Err("an operator that is gone".to_owned());
            }
            let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
            let name = CStr::from_ptr(form.oprname.data.as_ptr()).to_string_lossy().into_owned();
            let (namespace, left, right) = (form.oprnamespace, form.oprleft, form.oprright);
            pg_sys::ReleaseSysCache(tuple);
            let unlisted = || {
                let shown = |oid| CStr::from_ptr(pg_sys::format_type_be(oid)).to_string_lossy().into_owned();
                format!("operator {name}({}, {}) is not pushed", shown(left), shown(right))
            };
            if namespace != pg_sys::Oid::from(pg_sys::PG_CATALOG_NAMESPACE) {
                return Err(unlisted());
            }
            // Operators on varchar are those on text behind a relabelling, so the kind of VARCHAROID never comes here.
            let kinds = value::kind(left).zip(value::kind(right));
            let op = Op::from_name(&name);
            let found = op
                .zip(kinds)
                .and_then(|(op, (left, right))| rule(op, left, right).map(|condition| Self { op, condition }));
            found.ok_or_else(unlisted)
        }
    }

    fn name(&self) -> &'static str {
        self.op.name()
    }
}

/// Without relabelling between binary-compatible types (varchar as text).
unsafe fn strip(mut node: *mut pg_sys::Node) -> *mut pg_sys::Node {
    // SAFETY: the tag says the type.
    unsafe {
        while !node.is_null() && (*node).type_ == pg_sys::NodeTag::T_RelabelType {
            let inner: *mut pg_sys::Node = (*node.cast::<pg_sys::RelabelType>()).arg.cast();
            let textual = |oid| oid == pg_sys::TEXTOID || oid == pg_sys::VARCHAROID;
            if !textual(pg_sys::exprType(inner)) || !textual(pg_sys::exprType(node)) {
                break;
            }
            node = inner;
        }
        node
    }
}

unsafe fn describe(node: *mut pg_sys::Node) -> Reason {
    // SAFETY: the caller's: a node.
    let what = match unsafe { (*node).type_ } {
        pg_sys::NodeTag::T_FuncExpr => "a function call",
        pg_sys::NodeTag::T_SubPlan | pg_sys::NodeTag::T_AlternativeSubPlan => "a subquery",
        pg_sys::NodeTag::T_CaseExpr => "CASE",
        pg_sys::NodeTag::T_DistinctExpr => "IS DISTINCT FROM",
        pg_sys::NodeTag::T_RowCompareExpr => "a comparison of rows",
        pg_sys::NodeTag::T_Const | pg_sys::NodeTag::T_Param => "a constant condition",
        _ => "a kind of expression that is not pushed",
    };
    what.to_owned()
}

/// Whether a collation orders text by its bytes.
fn orders_bytes(collation: pg_sys::Oid) -> bool {
    if collation == pg_sys::C_COLLATION_OID || collation == compat::POSIX_COLLATION {
        return true;
    }
    use pg_sys::SysCacheIdentifier::{COLLOID, DATABASEOID};
    // SAFETY: reads a variable of this process.
    let database = unsafe { pg_sys::MyDatabaseId };
    let locale = if collation == pg_sys::DEFAULT_COLLATION_OID {
        locale_of(
            DATABASEOID as i32,
            database,
            pg_sys::Anum_pg_database_datlocprovider,
            pg_sys::Anum_pg_database_datcollate,
        )
    } else {
        locale_of(
            COLLOID as i32,
            collation,
            pg_sys::Anum_pg_collation_collprovider,
            pg_sys::Anum_pg_collation_collcollate,
        )
    };
    let locale = locale.map(|name| name.to_ascii_lowercase().replace('-', ""));
    matches!(locale.as_deref(), Some("c" | "posix" | "c.utf8"))
}

/// The locale of a collation or database whose provider is the C library or PostgreSQL itself.
fn locale_of(cache: i32, oid: pg_sys::Oid, provider: u32, locale: u32) -> Option<String> {
    // SAFETY: a catalog lookup; what is read is copied before the tuple is released.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(cache, oid.into());
        if tuple.is_null() {
            return None;
        }
        let mut is_null = false;
        let provider = pg_sys::SysCacheGetAttr(cache, tuple, provider as i16, &mut is_null).value() as u8;
        let mut name = None;
        if provider == compat::BUILTIN_PROVIDER {
            name = Some("C".to_owned()); // as all of its locales order
        } else if provider == b'c' {
            let datum = pg_sys::SysCacheGetAttr(cache, tuple, locale as i16, &mut is_null);
            if !is_null {
                name = pgrx::FromDatum::from_datum(datum, is_null);
            }
        }
        pg_sys::ReleaseSysCache(tuple);
        name
    }
}
