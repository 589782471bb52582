//! Safe reading of PostgreSQL's nodes and lists: downcasts check the tag, and lists are iterated.
//!
//! Only the entry points are unsafe, where a tree comes from PostgreSQL ([`Node::new`], [`List::new`]); nodes below are reached
//! from there. Nothing is borrowed for longer than a read, because PostgreSQL's functions write into nodes (`set_opfuncid`, the
//! selectivities of a RestrictInfo).

use std::ffi::{CStr, c_int, c_void};
use std::marker::PhantomData;
use std::ops::Deref;
use std::ptr::{NonNull, null_mut};

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Datum, NodeTag, Oid, PgNode};

use super::compat;

/// A node of a tree that lives for `'a`. `T` is its struct, or `pg_sys::Node` if only the tag tells.
pub struct Node<'a, T = pg_sys::Node> {
    pointer: NonNull<T>,
    tree: PhantomData<&'a T>,
}

impl<T> Clone for Node<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Node<'_, T> {}

impl<'a, T: PgNode> Node<'a, T> {
    /// The node at a pointer; None for NULL.
    ///
    /// # Safety
    /// The pointer is NULL, or that of a `T` (of any node, where `T` is `pg_sys::Node`, or any expression: `pg_sys::Expr`) which
    /// PostgreSQL has made, with all that hangs below it, and which lives for `'a`.
    #[inline]
    pub unsafe fn new(pointer: *mut T) -> Option<Self> {
        NonNull::new(pointer).map(|pointer| Self { pointer, tree: PhantomData })
    }

    /// The pointer, for calls of PostgreSQL.
    #[inline]
    pub fn as_ptr(self) -> *mut T {
        self.pointer.as_ptr()
    }

    /// Its tag.
    #[inline]
    pub fn tag(self) -> NodeTag {
        // SAFETY: every struct of a node begins with its tag.
        unsafe { (*self.pointer.as_ptr().cast::<pg_sys::Node>()).type_ }
    }

    /// The node as a `K`, if it is one (`IsA` and `castNode` in nodes.h).
    #[inline]
    pub fn cast<K: Kind>(self) -> Option<Node<'a, K>> {
        (self.tag() == K::TAG).then_some(Node { pointer: self.pointer.cast(), tree: PhantomData })
    }
}

impl<T> Deref for Node<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: a live node, of which this is a short look.
        unsafe { self.pointer.as_ref() }
    }
}

/// The struct of a node that has a tag of its own.
///
/// # Safety
/// What has the tag has this layout.
pub unsafe trait Kind: PgNode {
    /// The tag.
    const TAG: NodeTag;
}

/// The kinds of nodes that wings use: struct, tag, and fields, each of which is a `node` or a `list` of nodes.
macro_rules! kinds {
    ($($kind:ident, $tag:ident { $($child:ident: $shape:ident),* })*) => {$(
        // SAFETY: nodes.h and nodetags.h have the tag of each struct.
        unsafe impl Kind for pg_sys::$kind {
            const TAG: NodeTag = NodeTag::$tag;
        }

        #[allow(dead_code, reason = "the table is of nodes, not of what is asked for today")]
        #[allow(non_snake_case, reason = "the names are PostgreSQL's")]
        impl<'a> Node<'a, pg_sys::$kind> {
            $(kinds!(@$shape $child);)*
        }
    )*};
    (@node $child:ident) => {
        #[doc = concat!("`", stringify!($child), "`; none where it is NULL.")]
        pub fn $child(self) -> Option<Node<'a>> {
            // SAFETY: part of a live tree.
            unsafe { Node::new((*self.as_ptr()).$child.cast()) }
        }
    };
    (@list $child:ident) => {
        #[doc = concat!("`", stringify!($child), "`")]
        pub fn $child(self) -> List<'a> {
            // SAFETY: part of a live tree.
            unsafe { List::new((*self.as_ptr()).$child) }
        }
    };
}

kinds! {
    // Expressions.
    Aggref, T_Aggref { args: list, aggorder: list, aggdistinct: list, aggfilter: node }
    ArrayExpr, T_ArrayExpr { elements: list }
    BoolExpr, T_BoolExpr { args: list }
    BooleanTest, T_BooleanTest { arg: node }
    CaseExpr, T_CaseExpr { arg: node, args: list, defresult: node }
    CaseTestExpr, T_CaseTestExpr {}
    CaseWhen, T_CaseWhen { expr: node, result: node }
    CoalesceExpr, T_CoalesceExpr { args: list }
    CoerceViaIO, T_CoerceViaIO { arg: node }
    CollateExpr, T_CollateExpr { arg: node }
    Const, T_Const {}
    FuncExpr, T_FuncExpr { args: list }
    GroupingFunc, T_GroupingFunc {}
    MinMaxExpr, T_MinMaxExpr { args: list }
    NullTest, T_NullTest { arg: node }
    OpExpr, T_OpExpr { args: list }
    Param, T_Param {}
    RelabelType, T_RelabelType { arg: node }
    ScalarArrayOpExpr, T_ScalarArrayOpExpr { args: list }
    SubLink, T_SubLink { testexpr: node, subselect: node }
    TargetEntry, T_TargetEntry { expr: node }
    Var, T_Var {}
    WindowFunc, T_WindowFunc { args: list, aggfilter: node }
    // Queries, and their parts.
    CommonTableExpr, T_CommonTableExpr { ctequery: node }
    FromExpr, T_FromExpr { fromlist: list, quals: node }
    JoinExpr, T_JoinExpr { larg: node, rarg: node, quals: node }
    Query, T_Query { limitOffset: node, limitCount: node, havingQual: node, setOperations: node, cteList: list, rowMarks: list }
    RangeTblEntry, T_RangeTblEntry { values_lists: list, securityQuals: list }
    RangeTblRef, T_RangeTblRef {}
    SetOperationStmt, T_SetOperationStmt { larg: node, rarg: node }
    SortGroupClause, T_SortGroupClause {}
    WindowClause, T_WindowClause { startOffset: node, endOffset: node }
    // The planner's.
    IndexOptInfo, T_IndexOptInfo {}
    PlannedStmt, T_PlannedStmt {}
    RestrictInfo, T_RestrictInfo { clause: node }
    // Nodes of plans.
    Append, T_Append {}
    ForeignScan, T_ForeignScan {}
    MergeAppend, T_MergeAppend {}
    SubqueryScan, T_SubqueryScan {}
    // Utility statements, and their parts.
    AlterDatabaseStmt, T_AlterDatabaseStmt { options: list }
    CreatedbStmt, T_CreatedbStmt { options: list }
    DefElem, T_DefElem { arg: node }
    DiscardStmt, T_DiscardStmt {}
    DropdbStmt, T_DropdbStmt {}
    RenameStmt, T_RenameStmt {}
    String, T_String {}
    // The context of a call.
    EventTriggerData, T_EventTriggerData {}
    TriggerData, T_TriggerData {}
}

impl Node<'_> {
    /// The type of an expression.
    pub fn type_of(self) -> Oid {
        // SAFETY: an expression, or an ERROR.
        unsafe { pg_sys::exprType(self.as_ptr()) }
    }

    /// Whether two trees are the same (`equal` in equalfuncs.c).
    pub fn equals(self, other: Node<'_>) -> bool {
        // SAFETY: two live trees.
        unsafe { pg_sys::equal(self.as_ptr().cast(), other.as_ptr().cast()) }
    }

    /// The modifier of an expression's type, -1 if it has none.
    pub fn typmod(self) -> i32 {
        // SAFETY: an expression.
        unsafe { pg_sys::exprTypmod(self.as_ptr()) }
    }

    /// The collation of what an expression gives.
    pub fn collation(self) -> Oid {
        // SAFETY: an expression, or an ERROR.
        unsafe { pg_sys::exprCollation(self.as_ptr()) }
    }

    /// Shows `f` the node, and what hangs below each node for which it says so; true if it was stopped. Lists are nodes, and
    /// so are the entries of a query's range table, which come before what they stand for.
    pub fn walk(self, mut f: &mut dyn FnMut(Node<'_>) -> Step) -> bool {
        // SAFETY: a live tree; the function outlives the call.
        unsafe { visit(self.as_ptr(), (&raw mut f).cast()) }
    }

    /// A copy of the node, in the current memory context, with what `f` makes of the nodes right below it.
    pub fn map_children(self, mut f: &mut dyn FnMut(Node<'_>) -> *mut pg_sys::Node) -> *mut pg_sys::Node {
        // SAFETY: as above.
        unsafe { compat::expression_tree_mutator(self.as_ptr(), map, (&raw mut f).cast()) }
    }
}

/// Where [`Node::walk`] goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// With what hangs below the node.
    Into,
    /// With what stands beside it.
    Over,
    /// Nowhere.
    Stop,
}

#[pg_guard]
unsafe extern "C-unwind" fn visit(node: *mut pg_sys::Node, f: *mut c_void) -> bool {
    const FLAGS: c_int = pg_sys::QTW_EXAMINE_RTES_BEFORE as c_int;
    // SAFETY: a node of a live tree, or NULL; the function is the one of walk().
    unsafe {
        let Some(this) = Node::new(node) else { return false };
        let step = (*f.cast::<&mut dyn FnMut(Node<'_>) -> Step>())(this);
        match (step, this.tag()) {
            (Step::Stop, _) => true,
            (Step::Over, _) | (Step::Into, NodeTag::T_RangeTblEntry) => false, // the walker of queries looks into entries
            (Step::Into, NodeTag::T_Query) => pg_sys::query_tree_walker(node.cast(), Some(visit), f, FLAGS),
            (Step::Into, _) => pg_sys::expression_tree_walker(node, Some(visit), f),
        }
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn map(node: *mut pg_sys::Node, f: *mut c_void) -> *mut pg_sys::Node {
    // SAFETY: as in visit(); the function is the one of map_children().
    unsafe {
        match Node::new(node) {
            None => null_mut(),
            Some(list) if list.tag() == NodeTag::T_List => compat::expression_tree_mutator(node, map, f),
            Some(node) => (*f.cast::<&mut dyn FnMut(Node<'_>) -> *mut pg_sys::Node>())(node),
        }
    }
}

impl Node<'_, pg_sys::Const> {
    /// The value; none is NULL.
    pub fn value(self) -> Option<Datum> {
        (!self.constisnull).then_some(self.constvalue)
    }
}

impl<'a> Node<'a, pg_sys::DefElem> {
    /// The name of the option.
    pub fn name(self) -> &'a CStr {
        // SAFETY: a string that lives as long as the node, which has one always.
        unsafe { CStr::from_ptr(self.defname) }
    }

    /// Its value as text (`defGetString`); an ERROR where it has none.
    pub fn text(self) -> &'a CStr {
        // SAFETY: a string of the node or one in the current memory context, which outlives neither statement nor node.
        unsafe { CStr::from_ptr(pg_sys::defGetString(self.as_ptr())) }
    }
}

impl<'a> Node<'a, pg_sys::String> {
    /// The text.
    pub fn text(self) -> &'a CStr {
        // SAFETY: a string that lives as long as the node.
        unsafe { CStr::from_ptr(self.sval) }
    }
}

/// A list of nodes that lives for `'a`; NIL is an empty one. `T` is the struct of all of them.
pub struct List<'a, T = pg_sys::Node> {
    list: *mut pg_sys::List,
    tree: PhantomData<&'a T>,
}

impl<T> Clone for List<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for List<'_, T> {}

impl<'a, T: PgNode> List<'a, T> {
    /// The list behind a pointer.
    ///
    /// # Safety
    /// The pointer is NIL, or that of a list of `T`, for each of which the same holds as for [`Node::new`].
    pub unsafe fn new(list: *mut pg_sys::List) -> Self {
        Self { list, tree: PhantomData }
    }

    /// How many there are.
    pub fn len(self) -> usize {
        // SAFETY: NIL or a live list.
        unsafe { self.list.as_ref() }.and_then(|list| usize::try_from(list.length).ok()).unwrap_or(0)
    }

    /// The element at this place, counted from 0; none beyond the end, and where it is NULL.
    pub fn get(self, at: usize) -> Option<Node<'a, T>> {
        // SAFETY: a live list has so many elements, each NULL or a node.
        unsafe { if at < self.len() { Node::new((*(*self.list).elements.add(at)).ptr_value.cast()) } else { None } }
    }

    /// The elements in order, NULLs left out.
    pub fn iter(self) -> impl Iterator<Item = Node<'a, T>> {
        (0..self.len()).filter_map(move |at| self.get(at))
    }
}

/// A new list, in the current memory context.
pub fn list<T: PgNode>(elements: impl IntoIterator<Item = *mut T>) -> *mut pg_sys::List {
    // SAFETY: NIL, or the list that the last call gave; an ERROR where there is no memory.
    elements.into_iter().fold(null_mut(), |list, element| unsafe { pg_sys::lappend(list, element.cast()) })
}

/// A new String node, in the current memory context.
pub fn string(text: &str) -> *mut pg_sys::String {
    // SAFETY: the text is copied.
    unsafe { pg_sys::makeString(pg_sys::pnstrdup(text.as_ptr().cast(), text.len())) }
}

/// A new list of String nodes: what copyObject, and the functions that read and write plans, know how to treat.
pub fn strings(texts: &[&str]) -> *mut pg_sys::List {
    list(texts.iter().map(|text| string(text)))
}

/// The text at a place of such a list; none beyond its end.
///
/// # Safety
/// NIL, what [`strings`] made, or a copy of it.
pub unsafe fn text(list: *mut pg_sys::List, at: usize) -> Option<std::string::String> {
    // SAFETY: the caller's.
    let texts = unsafe { List::<pg_sys::String>::new(list) };
    Some(texts.get(at)?.text().to_string_lossy().into_owned())
}
