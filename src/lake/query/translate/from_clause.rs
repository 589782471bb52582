//! Tables, joins and subqueries of a FROM clause.

use std::ffi::CStr;
use std::rc::Rc;

use lagoon_lake::expr::Type;
use lagoon_lake::query::{JoinKind, Rel};
use pgrx::pg_sys::{self, NodeTag, RTEKind};

use super::current::Current;
use super::elsewhere::{conjunction, is_shipped};
use super::scope::{Around, Level, Row};
use super::{Result, Table, Translator, all, cast, type_of};
use crate::lake::fdw::handler;
use crate::lake::fdw::relation::Relation;
use crate::lake::source::access;
use crate::lake::types;
use crate::pg::node::{List, Node};
use crate::pg::{compat, query};

impl Translator {
    /// FROM and WHERE.
    pub(super) fn source<'t>(&mut self, current: &Current<'t>, around: Around<'_, 't>) -> Result<(Rel, Row<'t>)> {
        // SAFETY: part of the query.
        let from = unsafe { Node::<pg_sys::FromExpr>::new(current.query().jointree) }.ok_or("nothing")?;
        let mut so_far: Option<(Rel, Row<'t>)> = None;
        for item in from.fromlist().iter() {
            so_far = Some(match so_far {
                None => self.item(current, item, around)?,
                Some(left) => self.join(current, JoinKind::Inner, left, item, None, around)?,
            });
        }
        let (rel, row) = so_far.unwrap_or_else(|| (one_row(), Row::default()));
        let Some(condition) = current.restrictions().rest(from.quals()) else { return Ok((rel, row)) };
        let condition = self.condition(condition, &around.scope(&row))?;
        Ok((Rel::Filter { input: Box::new(rel), condition }, row))
    }

    fn item<'t>(&mut self, current: &Current<'t>, item: Node<'t>, around: Around<'_, 't>) -> Result<(Rel, Row<'t>)> {
        if item.tag() == NodeTag::T_RangeTblRef {
            return self.entry(current, cast::<pg_sys::RangeTblRef>(item)?.rtindex, around);
        }
        let join: Node<'_, pg_sys::JoinExpr> = cast(item)?;
        let kind = match join.jointype {
            pg_sys::JoinType::JOIN_INNER => JoinKind::Inner,
            pg_sys::JoinType::JOIN_LEFT => JoinKind::Left,
            pg_sys::JoinType::JOIN_RIGHT => JoinKind::Right,
            pg_sys::JoinType::JOIN_FULL => JoinKind::Full,
            _ => return Err("a kind of join".to_owned()),
        };
        let left = self.item(current, join.larg().ok_or("nothing")?, around)?;
        self.join(current, kind, left, join.rarg().ok_or("nothing")?, join.quals(), around)
    }

    fn join<'t>(
        &mut self,
        current: &Current<'t>,
        kind: JoinKind,
        (left, left_row): (Rel, Row<'t>),
        right: Node<'t>,
        condition: Option<Node<'t>>,
        around: Around<'_, 't>,
    ) -> Result<(Rel, Row<'t>)> {
        let lateral = looks_at(current, right, &left_row)?;
        let level = Level { depth: around.depth, row: &left_row, outer: around.levels };
        let around_right = if lateral { Around { levels: Some(&level), ..around } } else { around };
        let (right, right_row) = self.item(current, right, around_right)?;
        let row = left_row.beside(right_row);
        let condition = current.restrictions().rest(condition);
        let condition = condition.map(|condition| self.condition(condition, &around.scope(&row))).transpose()?;
        Ok((Rel::Join { kind, left: Box::new(left), right: Box::new(right), condition, lateral }, row))
    }

    /// What an entry of the range table stands for.
    pub(super) fn entry<'t>(
        &mut self,
        current: &Current<'t>,
        index: i32,
        around: Around<'_, 't>,
    ) -> Result<(Rel, Row<'t>)> {
        let entry = current.entry(index)?;
        // The operands of UNION and relatives are queries whose columns no one names.
        if is_shipped(entry) && current.query().setOperations.is_null() {
            match self.shipped_entry(current, index, around.depth) {
                // What cannot be sent whole may go in parts.
                Err(_) if entry.rtekind == RTEKind::RTE_SUBQUERY => {}
                outcome => return outcome,
            }
        }
        if entry.security_barrier || entry.securityQuals().len() > 0 {
            return Err("a security barrier or row security".to_owned());
        }
        match entry.rtekind {
            RTEKind::RTE_RELATION => self.table(current, index, entry),
            RTEKind::RTE_SUBQUERY => {
                // SAFETY: part of the entry.
                let query = unsafe { Node::<pg_sys::Query>::new(entry.subquery) }.ok_or("nothing")?;
                let (rel, types) = self.query(query, around.below())?;
                let row = Row::of_entry(index, &types);
                let Some(condition) = conjunction(current.restrictions().on(index).iter().copied()) else {
                    return Ok((rel, row));
                };
                let condition = self.condition(condition, &around.scope(&row))?;
                Ok((Rel::Filter { input: Box::new(rel), condition }, row))
            }
            RTEKind::RTE_VALUES => self.values(index, entry, around),
            RTEKind::RTE_CTE => {
                // SAFETY: a string of the entry.
                let name = unsafe { CStr::from_ptr(entry.ctename) }.to_string_lossy();
                let common = around.common(&name, entry.ctelevelsup as usize);
                let (level, table, columns) = common.ok_or("a common table expression that is not at hand")?;
                let row = Row::of_entry(index, &columns);
                Ok((Rel::Common { level, table, columns }, row))
            }
            RTEKind::RTE_RESULT => Ok((one_row(), Row::default())),
            RTEKind::RTE_FUNCTION => Err("a function in FROM".to_owned()),
            RTEKind::RTE_TABLEFUNC => Err("a table function".to_owned()),
            RTEKind::RTE_NAMEDTUPLESTORE => Err("a transition table".to_owned()),
            _ => Err("a part of the FROM clause".to_owned()),
        }
    }

    fn table<'t>(
        &mut self,
        current: &Current<'t>,
        index: i32,
        entry: Node<'t, pg_sys::RangeTblEntry>,
    ) -> Result<(Rel, Row<'t>)> {
        let oid = entry.relid;
        // SAFETY: catalog lookups of a table that the statement has locked.
        unsafe {
            if entry.relkind as u8 != pg_sys::RELKIND_FOREIGN_TABLE || !handler::is_ours(oid) {
                return Err("a table that is not in Parquet files".to_owned());
            }
            if entry.inh && query::has_subclass(oid) {
                return Err("a table that others inherit from".to_owned());
            }
            if !entry.tablesample.is_null() {
                return Err("TABLESAMPLE".to_owned());
            }
            access::check_reader(oid, compat::check_as_user(current.query().as_ptr(), entry.as_ptr()));
        }
        let relation = self.open(oid)?;
        let mut row = Row::default();
        let mut attributes = Vec::new();
        for (number, _) in current.used(index) {
            let attribute = relation.attributes.iter().find(|attribute| attribute.number == number);
            let attribute = attribute.ok_or("a system column or whole row")?;
            if attribute.from_text {
                let name = &attribute.column.name;
                return Err(format!("column \"{name}\" is converted from text by its type's input function"));
            }
            let ty = types::expression(attribute.type_oid).ok_or("a column of a type without counterpart")?;
            row.push_var(index, number, ty);
            attributes.push(attribute.clone());
        }
        let rel = Rel::Table { table: self.tables.len(), columns: (0..attributes.len()).collect() };
        self.tables.push(Table { oid, relation, attributes });
        Ok((rel, row))
    }

    fn open(&mut self, oid: pg_sys::Oid) -> Result<Rc<Relation>> {
        if let Some(relation) = self.opened.get(&oid) {
            return Ok(relation.clone());
        }
        let relation = Relation::load(oid).map(Rc::new).map_err(|error| error.to_string())?;
        self.opened.insert(oid, relation.clone());
        Ok(relation)
    }

    fn values<'t>(
        &mut self,
        index: i32,
        entry: Node<'t, pg_sys::RangeTblEntry>,
        around: Around<'_, 't>,
    ) -> Result<(Rel, Row<'t>)> {
        let nothing = Row::default();
        let scope = around.scope(&nothing);
        let mut columns: Option<Vec<Type>> = None;
        let mut rows = Vec::new();
        for values in entry.values_lists().iter() {
            // SAFETY: a list of lists of expressions.
            let values: List<'t> = unsafe { List::new(values.as_ptr().cast()) };
            let types = values.iter().map(type_of).collect::<Result<Vec<_>>>()?;
            if *columns.get_or_insert(types.clone()) != types {
                return Err("VALUES of several types".to_owned());
            }
            let row = values.iter().map(|value| {
                let value = self.fold(value)?;
                self.expr(value, &scope, 0)
            });
            rows.push(row.collect::<Result<Vec<_>>>()?);
        }
        let columns = columns.unwrap_or_default();
        let row = Row::of_entry(index, &columns);
        Ok((Rel::Values { columns, rows }, row))
    }
}

/// A row without columns: what SELECT without FROM is over.
pub(super) fn one_row() -> Rel {
    Rel::Values { columns: Vec::new(), rows: vec![Vec::new()] }
}

/// Whether a part of the FROM clause looks at columns of what stands to the left of it.
fn looks_at(current: &Current<'_>, item: Node<'_>, left: &Row<'_>) -> Result<bool> {
    if let Some(join) = item.cast::<pg_sys::JoinExpr>() {
        let (larg, rarg) = (join.larg().ok_or("nothing")?, join.rarg().ok_or("nothing")?);
        return Ok(looks_at(current, larg, left)? || looks_at(current, rarg, left)?);
    }
    let entry = current.entry(cast::<pg_sys::RangeTblRef>(item)?.rtindex)?;
    if !entry.lateral {
        return Ok(false);
    }
    let (node, level): (*mut pg_sys::Node, _) = match entry.rtekind {
        RTEKind::RTE_SUBQUERY => (entry.subquery.cast(), 1),
        _ => (entry.values_lists.cast(), 0),
    };
    // SAFETY: a tree of the query, or NULL.
    let vars = unsafe { List::<pg_sys::Var>::new(pg_sys::pull_vars_of_level(node, level)) };
    Ok(vars.iter().any(|var| left.has_entry(var.varno)))
}

/// The query's common table expressions that something refers to.
pub(super) fn common_tables<'t>(
    query: Node<'t, pg_sys::Query>,
) -> impl Iterator<Item = Node<'t, pg_sys::CommonTableExpr>> {
    all::<pg_sys::CommonTableExpr>(query.cteList()).filter(|table| table.cterefcount > 0)
}
