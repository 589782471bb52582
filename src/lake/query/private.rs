//! What the planner hands the executor: the private list of the plan node, as text.

use lagoon_lake::expr::Type;
use lagoon_lake::query::{Rel, Table};
use lagoon_lake::types::ColumnType;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;
use serde_json::{Value, json};

use crate::lake::attribute::Attribute;
use crate::lake::expr::Reason;
use crate::lake::fdw::relation::Relation;
use crate::lake::types;
use crate::pg::node::{self, List, Node};

/// Brackets within brackets that a text of JSON may have: its reader stops at 128.
const MAX_NESTING: usize = 120;
/// Bytes that a tree may take in a plan.
const MAX_BYTES: usize = 64 << 20;

/// The executor's part of the plan. It travels as one text for the tree, which may be long, and one for the rest.
#[derive(Clone, Debug)]
pub(super) struct QueryPlan {
    pub rel: Rel,
    pub tables: Vec<PlannedTable>,
    /// Where the first execution finds the engine's plan.
    pub prepared: Option<u64>,
    pub shipments: Vec<PlannedShipment>,
    /// PostgreSQL's own plan, which takes over where a shipment cannot be sent; NULL if there is none.
    pub instead: *mut pg_sys::PlannedStmt,
    pub outputs: Vec<Output>,
    /// How many files all tables have.
    pub file_count: usize,
    /// The first of them, for EXPLAIN.
    pub shown_files: Vec<String>,
}

/// A table of the tree.
#[derive(Clone, Debug)]
pub(super) struct PlannedTable {
    pub oid: pg_sys::Oid,
    /// The columns that the tree knows.
    pub attributes: Vec<Attribute>,
    /// Where the first execution finds what planning has resolved.
    pub resolved: Option<u64>,
}

/// Rows of the tree that PostgreSQL sends.
#[derive(Clone, Debug)]
pub(super) struct PlannedShipment {
    /// What they are read from.
    pub name: String,
    /// What reads them: a part of the plan.
    pub statement: *mut pg_sys::PlannedStmt,
    pub types: Vec<pg_sys::Oid>,
    pub columns: Vec<lagoon_lake::query::Output>,
}

/// A column that the engine delivers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    pub type_oid: pg_sys::Oid,
    pub typmod: i32,
    pub name: String,
    pub ty: ColumnType,
    /// The column of the batches with the digits that are shown of a numeric, row by row.
    pub digits: Option<usize>,
}

impl QueryPlan {
    /// For the plan node, in the current memory context; or why a plan cannot hold it.
    pub(super) fn to_private(&self) -> std::result::Result<*mut pg_sys::List, Reason> {
        let tables = self.tables.iter().map(|table| {
            let attributes: Vec<_> = table.attributes.iter().map(Attribute::to_json).collect();
            json!({ "oid": table.oid.to_u32(), "attributes": attributes, "resolved": table.resolved })
        });
        let outputs = self.outputs.iter().map(|output| {
            let ty = serde_json::to_value(&output.ty).unwrap_or_default();
            json!({
                "type": output.type_oid.to_u32(),
                "typmod": output.typmod,
                "name": output.name,
                "column": ty,
                "digits": output.digits,
            })
        });
        let shipments = self.shipments.iter().map(|shipment| {
            let types: Vec<_> = shipment.types.iter().map(|oid| oid.to_u32()).collect();
            json!({ "name": shipment.name, "types": types, "columns": shipment.columns })
        });
        let rest = json!({
            "shipments": shipments.collect::<Vec<_>>(),
            "tables": tables.collect::<Vec<_>>(),
            "prepared": self.prepared,
            "outputs": outputs.collect::<Vec<_>>(),
            "file_count": self.file_count,
            "shown_files": self.shown_files,
        });
        let rel = serde_json::to_string(&self.rel).map_err(|error| error.to_string())?;
        if nesting(&rel) > MAX_NESTING {
            return Err("nested too deeply for a plan".to_owned());
        }
        if rel.len() > MAX_BYTES {
            return Err("too long for a plan".to_owned());
        }
        let mut list = node::strings(&[&rest.to_string(), &rel]);
        if !self.instead.is_null() {
            let statements = [self.instead].into_iter().chain(self.shipments.iter().map(|shipment| shipment.statement));
            let statements = node::list(statements);
            // SAFETY: a list that was just made, and one of plans.
            list = unsafe { pg_sys::lappend(list, statements.cast()) };
        }
        Ok(list)
    }

    /// The inverse.
    ///
    /// # Safety
    /// `list` must be what [`QueryPlan::to_private`] made, or a copy of it.
    pub(super) unsafe fn from_private(list: *mut pg_sys::List) -> Result<Self> {
        // SAFETY: the caller's.
        let (rest, rel) = unsafe { (node::text(list, 0), node::text(list, 1)) };
        // SAFETY: the caller's: what stands behind the texts is a list of plans.
        let statements = unsafe { List::<pg_sys::PlannedStmt>::new(third(list)) };
        let mut statements = statements.iter().map(Node::as_ptr);
        let instead = statements.next().unwrap_or(std::ptr::null_mut());
        let parse = || {
            let plan: Value = serde_json::from_str(&rest?).ok()?;
            Some(Self {
                rel: serde_json::from_str(&rel?).ok()?,
                tables: plan.get("tables")?.as_array()?.iter().map(table).collect::<Option<_>>()?,
                prepared: serde_json::from_value(plan.get("prepared")?.clone()).ok()?,
                shipments: (plan.get("shipments")?.as_array()?.iter())
                    .map(|value| shipment(value, statements.next()?))
                    .collect::<Option<_>>()?,
                instead,
                outputs: plan.get("outputs")?.as_array()?.iter().map(output).collect::<Option<_>>()?,
                file_count: usize::try_from(plan.get("file_count")?.as_u64()?).ok()?,
                shown_files: serde_json::from_value(plan.get("shown_files")?.clone()).ok()?,
            })
        };
        parse().ok_or_else(|| Error::Internal { message: "unreadable plan".to_owned() })
    }
}

impl PlannedTable {
    /// As the engine wants it.
    pub(super) fn table(&self, relation: &Relation) -> Table {
        let columns = self.attributes.iter().map(|attribute| attribute.column.clone()).collect();
        Table { files: relation.files.clone(), columns }
    }
}

fn table(value: &Value) -> Option<PlannedTable> {
    Some(PlannedTable {
        oid: oid(value.get("oid")?)?,
        attributes: value.get("attributes")?.as_array()?.iter().map(Attribute::from_json).collect::<Option<_>>()?,
        resolved: serde_json::from_value(value.get("resolved")?.clone()).ok()?,
    })
}

fn shipment(value: &Value, statement: *mut pg_sys::PlannedStmt) -> Option<PlannedShipment> {
    Some(PlannedShipment {
        name: value.get("name")?.as_str()?.to_owned(),
        statement,
        types: value.get("types")?.as_array()?.iter().map(oid).collect::<Option<_>>()?,
        columns: serde_json::from_value(value.get("columns")?.clone()).ok()?,
    })
}

/// The list behind the texts of a private list; NIL if there is none.
///
/// # Safety
/// As for [`QueryPlan::from_private`].
unsafe fn third(list: *mut pg_sys::List) -> *mut pg_sys::List {
    // SAFETY: the caller's: elements are nodes.
    unsafe { List::<pg_sys::Node>::new(list) }.get(2).map_or(std::ptr::null_mut(), |node| node.as_ptr().cast())
}

fn output(value: &Value) -> Option<Output> {
    Some(Output {
        type_oid: oid(value.get("type")?)?,
        typmod: i32::try_from(value.get("typmod")?.as_i64()?).ok()?,
        name: value.get("name")?.as_str()?.to_owned(),
        ty: serde_json::from_value(value.get("column")?.clone()).ok()?,
        digits: serde_json::from_value(value.get("digits")?.clone()).ok()?,
    })
}

fn oid(value: &Value) -> Option<pg_sys::Oid> {
    Some(pg_sys::Oid::from(u32::try_from(value.as_u64()?).ok()?))
}

/// Whether a column of the engine can become values of a type.
pub(super) fn delivers(ty: &ColumnType, oid: pg_sys::Oid) -> bool {
    match (types::expression(oid), ty) {
        (Some(Type::One(kind)), ty) => ty.kind() == Some(kind),
        (Some(Type::Array { array }), ColumnType::Array(list)) => list.0.kind() == Some(array),
        _ => false,
    }
}

/// The deepest nesting of brackets in a text of JSON.
fn nesting(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
