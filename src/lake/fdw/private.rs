//! What the planner hands the executor: the private list of a plan node.
//!
//! PostgreSQL copies and caches plans, and writes them as text, so all of it is text: JSON in String nodes.

use lagoon_lake::expr::Expr;
use lagoon_lake::{Error, Result};
use pgrx::pg_sys;
use serde_json::{Value, json};

use crate::lake::attribute::Attribute;
use crate::lake::expr::Reason;
use crate::pg::node;

/// The executor's part of the plan. It travels as one text for the filter, which may be long, and one for the rest.
#[derive(Clone, Debug, Default)]
pub(super) struct ScanPlan {
    /// Columns that are read, those that are delivered first.
    pub attributes: Vec<Attribute>,
    /// How many of `attributes` are delivered.
    pub delivered: usize,
    /// Over `attributes`, with parameters.
    pub filter: Option<Expr>,
    /// Why each condition of the plan's qual was kept, in its order.
    pub reasons: Vec<Reason>,
    pub limit: Option<Limit>,
    /// Why the whole statement was not given to the engine, if that was tried; for EXPLAIN.
    pub not_whole: Option<Reason>,
    /// Where the first execution finds what planning has resolved (see [`super::handover`]).
    pub resolved: Option<u64>,
    /// How many files there are.
    pub file_count: usize,
    /// The first of them, [`crate::lake::explain::MOST_FILES`] at most: only EXPLAIN needs them, because execution resolves the files itself.
    pub shown_files: Vec<String>,
}

/// A LIMIT that the scan itself carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    pub count: Option<u64>,
    pub offset: u64,
}

impl ScanPlan {
    /// For the plan node, in the current memory context.
    pub(super) fn to_private(&self) -> Result<*mut pg_sys::List> {
        let rest = json!({
            "attributes": self.attributes.iter().map(Attribute::to_json).collect::<Vec<_>>(),
            "delivered": self.delivered,
            "reasons": self.reasons,
            "limit": self.limit.map(Limit::to_json),
            "resolved": self.resolved,
            "file_count": self.file_count,
            "shown_files": self.shown_files,
        });
        let unwritable = |error: serde_json::Error| Error::Internal { message: error.to_string() };
        let filter = serde_json::to_string(&self.filter).map_err(unwritable)?;
        Ok(node::strings(&[&rest.to_string(), &filter]))
    }

    /// The inverse.
    ///
    /// # Safety
    /// `list` must be what [`ScanPlan::to_private`] made, or a copy of it.
    pub(super) unsafe fn from_private(list: *mut pg_sys::List) -> Result<Self> {
        // SAFETY: the caller's.
        let (text, filter, not_whole) = unsafe { (node::text(list, 0), node::text(list, 1), node::text(list, 2)) };
        let parse = || {
            let plan: Value = serde_json::from_str(&text?).ok()?;
            let strings = |key: &str| serde_json::from_value::<Vec<String>>(plan.get(key)?.clone()).ok();
            let attributes = plan.get("attributes")?.as_array()?.iter().map(Attribute::from_json);
            Some(Self {
                attributes: attributes.collect::<Option<Vec<_>>>()?,
                delivered: usize::try_from(plan.get("delivered")?.as_u64()?).ok()?,
                filter: serde_json::from_str(&filter?).ok()?,
                reasons: strings("reasons")?,
                limit: Limit::from_json(plan.get("limit")?.clone())?,
                not_whole,
                resolved: serde_json::from_value(plan.get("resolved")?.clone()).ok()?,
                file_count: usize::try_from(plan.get("file_count")?.as_u64()?).ok()?,
                shown_files: strings("shown_files")?,
            })
        };
        parse().ok_or_else(|| Error::Internal { message: "unreadable plan".to_owned() })
    }
}

/// Adds to the private list of a plan node why the statement was not given to the engine as a whole.
pub(in crate::lake) fn add_reason(list: *mut pg_sys::List, reason: &str) -> *mut pg_sys::List {
    // SAFETY: a list of String nodes, of which this becomes the third.
    unsafe { pg_sys::lappend(list, node::string(reason).cast()) }
}

impl Limit {
    /// For a path, in the current memory context.
    pub(super) fn to_private(self) -> *mut pg_sys::List {
        node::strings(&[&self.to_json().to_string()])
    }

    /// Of a path; `None` if it has none.
    ///
    /// # Safety
    /// `list` must be NIL or what [`Limit::to_private`] made.
    pub(super) unsafe fn from_private(list: *mut pg_sys::List) -> Option<Self> {
        // SAFETY: the caller's.
        let text = unsafe { node::text(list, 0) }?;
        Self::from_json(serde_json::from_str(&text).ok()?)?
    }

    fn to_json(self) -> Value {
        json!([self.count, self.offset])
    }

    fn from_json(value: Value) -> Option<Option<Self>> {
        let limit: Option<(Option<u64>, u64)> = serde_json::from_value(value).ok()?;
        Some(limit.map(|(count, offset)| Self { count, offset }))
    }
}
