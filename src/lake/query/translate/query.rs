//! A query: its clauses, from the inside out.

use std::ffi::CStr;

use lagoon_lake::expr::{Expr, Type};
use lagoon_lake::query::Rel;
use pgrx::pg_sys::{self, CmdType, RTEKind};

use super::current::Current;
use super::from_clause::common_tables;
use super::scope::{Around, Row, With};
use super::{MAX_QUERIES, Result, Translator, cast, targets, type_of};
use crate::pg::compat;
use crate::pg::node::{List, Node};

impl Translator {
    /// A query within another one: its relation, and the types of its columns.
    pub(super) fn query<'t>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        around: Around<'_, 't>,
    ) -> Result<(Rel, Vec<Type>)> {
        if let Some(shipped) = self.shipped_query(query, around) {
            return Ok(shipped);
        }
        self.prepare(query, around)?;
        self.with(query, around, |this, around| {
            let targets: Vec<_> = targets(query).collect();
            let all: Vec<_> = targets.iter().filter_map(|target| target.expr()).collect();
            let (rel, row) = this.body(query, around, &all)?;
            let shown = targets.iter().filter(|target| !target.resjunk).filter_map(|target| target.expr());
            let shown: Vec<_> = shown.collect();
            let types = shown.iter().map(|expr| type_of(*expr)).collect::<Result<Vec<_>>>()?;
            let scope = around.scope(&row);
            let columns = shown.iter().map(|expr| this.expr(*expr, &scope, 0)).collect::<Result<Vec<_>>>()?;
            Ok((this.finish(query, rel, columns, &scope)?, types))
        })
    }

    /// Refuses what no query of the engine has, and brings the expressions into the form that is translated.
    pub(super) fn prepare(&mut self, query: Node<'_, pg_sys::Query>, around: Around<'_, '_>) -> Result<()> {
        if around.depth > MAX_QUERIES {
            return Err(format!("queries nested more than {MAX_QUERIES} levels deep"));
        }
        refuse(query)?;
        let pointer = query.as_ptr();
        let flat = move |node: *mut pg_sys::Node| {
            // SAFETY: a tree of this query, which is ours to change.
            unsafe { if node.is_null() { node } else { compat::flatten_aliases(pointer, node) } }
        };
        // SAFETY: as above; what is folded has the kind of what it was.
        unsafe {
            (*pointer).targetList = flat((*pointer).targetList.cast()).cast();
            (*pointer).havingQual = flat((*pointer).havingQual);
            (*pointer).jointree = flat((*pointer).jointree.cast()).cast();
            for entry in List::<pg_sys::RangeTblEntry>::new((*pointer).rtable).iter() {
                let entry = entry.as_ptr();
                match (*entry).rtekind {
                    RTEKind::RTE_SUBQUERY if (*entry).lateral => {
                        (*entry).subquery = flat((*entry).subquery.cast()).cast();
                    }
                    RTEKind::RTE_VALUES if (*entry).lateral => {
                        (*entry).values_lists = flat((*entry).values_lists.cast()).cast();
                    }
                    _ => {}
                }
            }
            // Nothing refers to them any more, and they would count as uses of columns.
            for entry in List::<pg_sys::RangeTblEntry>::new((*pointer).rtable).iter() {
                (*entry.as_ptr()).joinaliasvars = std::ptr::null_mut();
            }
            for target in List::<pg_sys::TargetEntry>::new((*pointer).targetList).iter() {
                if let Some(expr) = target.expr() {
                    (*target.as_ptr()).expr = self.fold(expr)?.as_ptr().cast();
                }
            }
        }
        Ok(())
    }

    /// Translates common table expressions, and what may refer to them.
    pub(super) fn with<'t, T>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        around: Around<'_, 't>,
        body: impl FnOnce(&mut Self, Around<'_, 't>) -> Result<(Rel, T)>,
    ) -> Result<(Rel, T)> {
        if query.cteList().len() == 0 {
            return body(self, around);
        }
        let (mut tables, mut known) = (Vec::new(), Vec::new());
        for table in common_tables(query) {
            if table.cterecursive {
                return Err("a recursive query".to_owned());
            }
            // SAFETY: a string of the node.
            let name = unsafe { CStr::from_ptr(table.ctename) }.to_string_lossy().into_owned();
            let with = With { depth: around.depth, tables: &known, outer: around.withs };
            let inner: Node<'_, pg_sys::Query> = cast(table.ctequery().ok_or("nothing")?)?;
            let (rel, types) = self.query(inner, Around { withs: Some(&with), ..around }.below())?;
            tables.push(rel);
            known.push((name, types));
        }
        let with = With { depth: around.depth, tables: &known, outer: around.withs };
        let (rel, result) = body(self, Around { withs: Some(&with), ..around })?;
        Ok((Rel::With { tables, body: Box::new(rel) }, result))
    }

    /// What the target list is over: FROM, WHERE, GROUP BY, HAVING, windows; or the rows of a set operation. `shown` are the
    /// expressions that are going to be asked for.
    pub(super) fn body<'t>(
        &mut self,
        query: Node<'t, pg_sys::Query>,
        around: Around<'_, 't>,
        shown: &[Node<'t>],
    ) -> Result<(Rel, Row<'t>)> {
        let current = Current::new(query);
        if let Some(operation) = query.setOperations() {
            return self.set_operations(&current, operation, around);
        }
        let (mut rel, mut row) = self.source(&current, around)?;
        let having = query.havingQual().map(|condition| self.fold(condition)).transpose()?;
        if query.hasAggs || !query.groupClause.is_null() || !query.groupingSets.is_null() || having.is_some() {
            let mut over = shown.to_vec();
            over.extend(having);
            (rel, row) = self.aggregate(query, rel, &row, &over, around)?;
        }
        if let Some(having) = having {
            let condition = self.condition(having, &around.scope(&row))?;
            rel = Rel::Filter { input: Box::new(rel), condition };
        }
        if query.hasWindowFuncs {
            (rel, row) = self.windows(query, rel, row, shown, around)?;
        }
        Ok((rel, row))
    }

    /// An expression of the target list that a clause refers to.
    pub(super) fn target<'t>(&mut self, query: Node<'t, pg_sys::Query>, reference: u32) -> Result<Node<'t>> {
        let target = targets(query).find(|target| target.ressortgroupref == reference);
        target.and_then(|target| target.expr()).ok_or_else(|| "an expression that is gone".to_owned())
    }

    /// LIMIT and OFFSET: constants, or known at execution.
    pub(super) fn bound(&mut self, node: Option<Node<'_>>) -> Result<Option<Expr>> {
        let Some(node) = node else { return Ok(None) };
        let node = self.fold(node)?;
        if !super::is_known(node) {
            return Err("LIMIT or OFFSET with a subquery".to_owned());
        }
        if node.cast::<pg_sys::Const>().is_some_and(|constant| constant.constisnull) {
            return Ok(None);
        }
        self.parameter(node).map(Some)
    }
}

fn refuse(query: Node<'_, pg_sys::Query>) -> Result<()> {
    let reason = if query.commandType != CmdType::CMD_SELECT {
        "not a SELECT"
    } else if query.rowMarks().len() > 0 {
        "FOR UPDATE or a relative"
    } else if query.hasModifyingCTE {
        "a common table expression that changes something"
    } else if query.hasRecursive {
        "a recursive query"
    } else if query.hasTargetSRFs {
        "a function that returns rows"
    } else {
        return Ok(());
    };
    Err(reason.to_owned())
}
