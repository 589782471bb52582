//! The tree of a query: relations over relations, as the glue makes it of PostgreSQL's and as a plan holds it.
//!
//! Columns are known by their position in the relation below; of a join, those of the left side come first. What is typed is
//! typed by [`Kind`](crate::types::Kind) only: precision and scale of numerics are derived when the tree is planned, from the
//! files as they are then.
//! The tree is PostgreSQL's after parsing and rewriting, so names, views and rights are dealt with, and what a construct means
//! is what it means there.

use serde::{Deserialize, Serialize};

use crate::expr::{Expr, Type};

/// A relation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rel {
    /// Columns of a table, in this order. Both are indexes: into the tables that are given with the tree, into their columns.
    Table {
        table: usize,
        columns: Vec<usize>,
    },
    /// Rows that PostgreSQL sends: an index into the shipments that are given with the tree, and the types of the columns.
    Shipped {
        shipment: usize,
        columns: Vec<Type>,
    },
    /// Rows of expressions that look at no column but outer ones. One row without columns is a SELECT without FROM.
    Values {
        columns: Vec<Type>,
        rows: Vec<Vec<Expr>>,
    },
    /// The rows for which the condition is true.
    Filter {
        input: Box<Rel>,
        condition: Expr,
    },
    /// Other columns.
    Project {
        input: Box<Rel>,
        columns: Vec<Expr>,
    },
    /// `condition` is over the columns of both sides; none is a cross join of the inner kind. With `lateral` the right side
    /// may look at columns of the left one, as outer columns of one level.
    Join {
        kind: JoinKind,
        left: Box<Rel>,
        right: Box<Rel>,
        condition: Option<Expr>,
        lateral: bool,
    },
    /// Groups first, then aggregates. Without groups there is one row, without rows, too.
    Aggregate {
        input: Box<Rel>,
        groups: Vec<Expr>,
        sets: Option<Vec<Vec<usize>>>,
        aggregates: Vec<Aggregate>,
    },
    /// The input's columns, then one for each call.
    Window {
        input: Box<Rel>,
        calls: Vec<WindowCall>,
    },
    /// One of the rows that are equal in these columns; all columns, if there are none. DISTINCT ON is over a sorted input and
    /// keeps the first.
    Distinct {
        input: Box<Rel>,
        on: Option<Vec<usize>>,
    },
    Sort {
        input: Box<Rel>,
        keys: Vec<SortKey>,
    },
    /// Bigints; NULL is none.
    Limit {
        input: Box<Rel>,
        offset: Option<Expr>,
        count: Option<Expr>,
    },
    /// The first rows in an order, as [`Rel::Limit`] counts them, and those that are equal to the last of them. They come in that
    /// order.
    Ties {
        input: Box<Rel>,
        keys: Vec<SortKey>,
        offset: Option<Expr>,
        count: Option<Expr>,
    },
    /// Column by column; both sides have columns of the same types.
    SetOperation {
        kind: SetKind,
        all: bool,
        left: Box<Rel>,
        right: Box<Rel>,
    },
    /// Common table expressions, each of which may refer to those before it. One that is referred to more than once may still be
    /// computed more than once: none has side effects.
    With {
        tables: Vec<Rel>,
        body: Box<Rel>,
    },
    /// One of the common table expressions of the nearest `With` but `level`.
    Common {
        level: usize,
        table: usize,
        columns: Vec<Type>,
    },
}

/// How a join treats rows without a partner. The last four are what becomes of subqueries; nothing but a plan makes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum JoinKind {
    Inner,
    Left,
    Right,
    Full,
    /// Rows of the left side that have a partner.
    Semi,
    /// Rows of the left side that have none.
    Anti,
    /// Rows of the left side that surely have none, as NOT IN says it. The condition is one equality.
    SurelyAnti,
    /// All rows of the left side, and whether they have a partner.
    Mark,
}

/// UNION, INTERSECT, EXCEPT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetKind {
    Union,
    Intersect,
    Except,
}

/// A call of an aggregate function. `count(*)` has no arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Aggregate {
    /// Its name in pg_proc.
    pub function: String,
    pub arguments: Vec<Expr>,
    pub distinct: bool,
    pub filter: Option<Expr>,
    pub order: Vec<SortKey>,
}

/// A call of a window function, or of an aggregate function over a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WindowCall {
    /// Its name in pg_proc.
    pub function: String,
    pub arguments: Vec<Expr>,
    pub filter: Option<Expr>,
    pub partition: Vec<Expr>,
    pub order: Vec<SortKey>,
    pub frame: Frame,
}

/// The rows of the partition that a call sees.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    pub unit: FrameUnit,
    pub start: Bound,
    pub end: Bound,
}

/// What the ends of a frame count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrameUnit {
    Rows,
    Range,
    Groups,
}

/// An end of a frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Bound {
    UnboundedPreceding,
    /// So many rows, or groups, before the current one.
    Preceding(Expr),
    CurrentRow,
    Following(Expr),
    UnboundedFollowing,
}

/// A key to sort by. NULLs stand where it says; NaN is the largest of floats, text is ordered by its bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SortKey {
    pub expr: Expr,
    pub descending: bool,
    pub nulls_first: bool,
}
