//! Every difference between the supported versions of PostgreSQL, 15 to 18. A test checks that no other file depends on the
//! version.
//!
//! Each item behaves the same under all versions, or documents what older ones lack. docs/internals/postgres-versions.md
//! lists what newer versions offer and which of it is used.

use std::ffi::{CStr, c_int, c_void};

use pgrx::pg_sys::{self, Oid, PgStat_TableCounts, Relation};

// --- Relations and their files ---------------------------------------------------------------------------------------

/// Where the files of a relation are. 16 renamed it.
#[cfg(feature = "pg15")]
pub type FileLocator = pg_sys::RelFileNode;
/// Where the files of a relation are.
#[cfg(not(feature = "pg15"))]
pub type FileLocator = pg_sys::RelFileLocator;

/// Where the files of a relation are.
///
/// # Safety
/// The relation is open.
pub unsafe fn file_locator(relation: Relation) -> FileLocator {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(feature = "pg15")]
        return (*relation).rd_node;
        #[cfg(not(feature = "pg15"))]
        return (*relation).rd_locator;
    }
}

/// The number of a relation's files.
pub fn file_number(locator: FileLocator) -> u32 {
    #[cfg(feature = "pg15")]
    return locator.relNode.to_u32();
    #[cfg(not(feature = "pg15"))]
    return locator.relNumber.to_u32();
}

/// The subtransaction of the current transaction that gave a relation new files; 0 if none has.
///
/// # Safety
/// The relation is open.
pub unsafe fn new_files_subtransaction(relation: Relation) -> u32 {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(feature = "pg15")]
        return (*relation).rd_firstRelfilenodeSubid;
        #[cfg(not(feature = "pg15"))]
        return (*relation).rd_firstRelfilelocatorSubid;
    }
}

/// The columns of a descriptor, dropped ones included. 18 stores them after an array of compact attributes.
///
/// # Safety
/// The descriptor is valid while the result is used.
pub unsafe fn attributes<'a>(descriptor: pg_sys::TupleDesc) -> &'a [pg_sys::FormData_pg_attribute] {
    // SAFETY: the caller's; `TupleDescAttr` of tupdesc.h.
    unsafe {
        let count = (*descriptor).natts as usize;
        #[cfg(not(feature = "pg18"))]
        let first = (*descriptor).attrs.as_ptr();
        #[cfg(feature = "pg18")]
        let first = (*descriptor).compact_attrs.as_ptr().add(count).cast::<pg_sys::FormData_pg_attribute>();
        std::slice::from_raw_parts(first, count)
    }
}

// --- Ownership -------------------------------------------------------------------------------------------------------

/// Whether a role owns a table.
pub fn owns_table(table: Oid, role: Oid) -> bool {
    // SAFETY: a lookup in the system catalogs; an ERROR where there is no such table any more.
    unsafe {
        #[cfg(feature = "pg15")]
        return pg_sys::pg_class_ownercheck(table, role);
        #[cfg(not(feature = "pg15"))]
        return pg_sys::object_ownercheck(pg_sys::RelationRelationId, table, role);
    }
}

/// Whether a role owns a database.
pub fn owns_database(database: Oid, role: Oid) -> bool {
    // SAFETY: as above.
    unsafe {
        #[cfg(feature = "pg15")]
        return pg_sys::pg_database_ownercheck(database, role);
        #[cfg(not(feature = "pg15"))]
        return pg_sys::object_ownercheck(pg_sys::DatabaseRelationId, database, role);
    }
}

/// A search_path of pg_catalog and temporary objects, until it is dropped or an ERROR ends the transaction. 17 and later set it
/// for everything that runs as the owner of a table; 15 and 16 do not.
pub struct SafeSearchPath(Option<c_int>);

impl SafeSearchPath {
    /// Sets the search_path.
    pub fn begin() -> Self {
        #[cfg(any(feature = "pg15", feature = "pg16"))]
        return Self(None);
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        // SAFETY: inside a transaction; the level is closed by drop, or by its end.
        unsafe {
            let level = pg_sys::NewGUCNestLevel();
            pg_sys::RestrictSearchPath();
            Self(Some(level))
        }
    }
}

impl Drop for SafeSearchPath {
    fn drop(&mut self) {
        if let Self(Some(level)) = self
            && !std::thread::panicking()
        {
            // SAFETY: the level that begin() has opened.
            unsafe { pg_sys::AtEOXact_GUC(false, *level) }
        }
    }
}

// --- Collations ------------------------------------------------------------------------------------------------------

/// The collation POSIX, which has no name in the headers of 18.
pub const POSIX_COLLATION: Oid = Oid::from_u32(951);

/// The collation provider whose locales all compare bytes: PostgreSQL's builtin one, from 17 on.
pub const BUILTIN_PROVIDER: u8 = b'b';

// --- Statistics ------------------------------------------------------------------------------------------------------

/// The counters of a relation's statistics.
pub fn counts(kept: &mut pg_sys::PgStat_TableStatus) -> &mut PgStat_TableCounts {
    #[cfg(feature = "pg15")]
    return &mut kept.t_counts;
    #[cfg(not(feature = "pg15"))]
    return &mut kept.counts;
}

/// Counts a scan of an index.
pub fn count_scan(counts: &mut PgStat_TableCounts) {
    #[cfg(feature = "pg15")]
    {
        counts.t_numscans += 1;
    }
    #[cfg(not(feature = "pg15"))]
    {
        counts.numscans += 1;
    }
}

/// Counts a buffer hit of a relation.
pub fn count_hit(counts: &mut PgStat_TableCounts) {
    #[cfg(feature = "pg15")]
    {
        counts.t_blocks_fetched += 1;
        counts.t_blocks_hit += 1;
    }
    #[cfg(not(feature = "pg15"))]
    {
        counts.blocks_fetched += 1;
        counts.blocks_hit += 1;
    }
}

/// Counts a buffer hit in pg_stat_io, which exists from 16 on.
///
/// # Safety
/// Inside a jump mark.
#[inline]
pub unsafe fn count_io_hit() {
    #[cfg(any(feature = "pg16", feature = "pg17"))]
    {
        use pg_sys::{IOContext, IOObject, IOOp};
        unsafe extern "C-unwind" {
            fn pgstat_count_io_op(object: IOObject::Type, context: IOContext::Type, op: IOOp::Type);
        }
        // SAFETY: adds to a counter of this process.
        unsafe { pgstat_count_io_op(IOObject::IOOBJECT_RELATION, IOContext::IOCONTEXT_NORMAL, IOOp::IOOP_HIT) }
    }
    #[cfg(feature = "pg18")]
    {
        use pg_sys::{IOContext, IOObject, IOOp};
        unsafe extern "C-unwind" {
            fn pgstat_count_io_op(
                object: IOObject::Type,
                context: IOContext::Type,
                op: IOOp::Type,
                count: u32,
                bytes: u64,
            );
        }
        // SAFETY: adds to a counter of this process.
        unsafe { pgstat_count_io_op(IOObject::IOOBJECT_RELATION, IOContext::IOCONTEXT_NORMAL, IOOp::IOOP_HIT, 1, 0) }
    }
}

// --- Access methods --------------------------------------------------------------------------------------------------

/// Counts an index search for EXPLAIN ANALYZE, from 18 on.
///
/// # Safety
/// A scan that is under way.
#[cfg_attr(not(feature = "pg18"), allow(unused_variables))]
pub unsafe fn count_search(scan: pg_sys::IndexScanDesc) {
    #[cfg(feature = "pg18")]
    // SAFETY: the caller's; NULL if the scan is not instrumented.
    unsafe {
        if let Some(instrument) = (*scan).instrument.as_mut() {
            instrument.nsearches += 1;
        }
    }
}

/// Makes a path the last choice, even if the user has disabled all others. 18 compares the number of disabled nodes before
/// costs; older versions compare costs only.
///
/// # Safety
/// The path must be the one that amcostestimate is called for.
#[cfg_attr(not(feature = "pg18"), allow(unused_variables))]
pub unsafe fn disable(path: *mut pg_sys::IndexPath) {
    #[cfg(feature = "pg18")]
    // SAFETY: the caller's; cost_index() has set the field before, and adds nothing after.
    unsafe {
        (*path).path.disabled_nodes += 1000; // more than a plan has nodes of its kind
    }
}

/// An integer option of an index, and where it is stored.
#[allow(clippy::needless_update)] // 18 has another field, which is not needed
pub fn integer_option(name: &'static CStr, offset: usize) -> pg_sys::relopt_parse_elt {
    pg_sys::relopt_parse_elt {
        optname: name.as_ptr(),
        opttype: pg_sys::relopt_type::RELOPT_TYPE_INT,
        offset: offset as c_int,
        ..Default::default()
    }
}

/// Sleeps when the cost limit of a VACUUM is reached, and handles interrupts.
///
/// # Safety
/// Main thread, with no buffer locked.
pub unsafe fn vacuum_delay_point() {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::vacuum_delay_point();
        #[cfg(feature = "pg18")]
        pg_sys::vacuum_delay_point(false); // not of ANALYZE
    }
}

// --- Pages -----------------------------------------------------------------------------------------------------------

/// A read stream, which reads ahead pages in a known order, from 17 on. Older versions have none.
#[cfg(any(feature = "pg15", feature = "pg16"))]
pub enum ReadStream {}

#[cfg(any(feature = "pg15", feature = "pg16"))]
impl ReadStream {
    /// None.
    ///
    /// # Safety
    /// None.
    pub unsafe fn begin(_: Relation, _: pg_sys::ForkNumber::Type, _: Box<dyn Iterator<Item = u32>>) -> Option<Self> {
        None
    }

    /// None.
    pub fn take(&mut self, _block: u32) -> Option<pg_sys::Buffer> {
        match *self {}
    }
}

#[cfg(not(any(feature = "pg15", feature = "pg16")))]
pub use stream::ReadStream;

#[cfg(not(any(feature = "pg15", feature = "pg16")))]
mod stream {
    use std::collections::VecDeque;
    use std::ffi::c_void;

    use pgrx::pg_sys::{self, BlockNumber, Buffer, ForkNumber, Relation};

    /// A read stream, which reads ahead pages in a known order. After an ERROR, its pins and memory are released with the
    /// transaction.
    pub struct ReadStream {
        stream: *mut pg_sys::ReadStream,
        order: *mut Order,
    }

    /// The callback neither waits nor reads, so that 18 may begin several reads at once.
    const BATCHING: u32 = if cfg!(feature = "pg18") { 8 } else { 0 };

    struct Order {
        blocks: std::iter::Peekable<Box<dyn Iterator<Item = u32>>>,
        /// The blocks that PostgreSQL has requested and that have not been taken yet.
        asked: VecDeque<u32>,
    }

    impl ReadStream {
        /// Of a relation.
        ///
        /// # Safety
        /// It is open and stays so while the result lives, and so does the memory context.
        pub unsafe fn begin(
            relation: Relation,
            fork: ForkNumber::Type,
            blocks: Box<dyn Iterator<Item = u32>>,
        ) -> Option<Self> {
            let flags = pg_sys::READ_STREAM_MAINTENANCE | pg_sys::READ_STREAM_FULL | BATCHING;
            let order = Box::into_raw(Box::new(Order { blocks: blocks.peekable(), asked: VecDeque::new() }));
            // SAFETY: the caller's; the order lives until drop.
            let stream = unsafe {
                let strategy = std::ptr::null_mut();
                pg_sys::read_stream_begin_relation(flags as i32, strategy, relation, fork, Some(next), order.cast(), 0)
            };
            Some(Self { stream, order })
        }

        /// The buffer of a block, pinned, if it is the next in order.
        pub fn take(&mut self, block: u32) -> Option<Buffer> {
            {
                // SAFETY: there is no other reference to it now.
                let order = unsafe { &mut *self.order };
                let first = order.asked.front().copied().or_else(|| order.blocks.peek().copied());
                if first != Some(block) {
                    return None;
                }
            }
            // SAFETY: it has a block to return, and there is no reference to the order meanwhile.
            unsafe {
                let buffer = pg_sys::read_stream_next_buffer(self.stream, std::ptr::null_mut());
                (*self.order).asked.pop_front();
                (buffer != pg_sys::InvalidBuffer as Buffer).then_some(buffer)
            }
        }
    }

    impl Drop for ReadStream {
        fn drop(&mut self) {
            // SAFETY: begun above. After an ERROR nobody uses the stream any more.
            unsafe {
                if !std::thread::panicking() {
                    pg_sys::read_stream_end(self.stream);
                }
                drop(Box::from_raw(self.order));
            }
        }
    }

    /// Called by PostgreSQL for the next block.
    unsafe extern "C-unwind" fn next(
        _stream: *mut pg_sys::ReadStream,
        order: *mut c_void,
        _data: *mut c_void,
    ) -> BlockNumber {
        // SAFETY: what begin() handed over; it lives as long as the stream, and take() holds no reference meanwhile.
        let order = unsafe { &mut *order.cast::<Order>() };
        match order.blocks.next() {
            Some(block) => {
                order.asked.push_back(block);
                block
            }
            None => pg_sys::InvalidBlockNumber,
        }
    }
}

// --- Queries ---------------------------------------------------------------------------------------------------------

/// `expression_tree_mutator`, whose arguments 15 does not declare.
///
/// # Safety
/// A live tree; the function is one that PostgreSQL may call with its nodes and `context`.
pub unsafe fn expression_tree_mutator(
    node: *mut pg_sys::Node,
    mutator: unsafe extern "C-unwind" fn(*mut pg_sys::Node, *mut c_void) -> *mut pg_sys::Node,
    context: *mut c_void,
) -> *mut pg_sys::Node {
    // SAFETY: the caller's; the function is called with these arguments, whatever is declared.
    unsafe {
        #[cfg(feature = "pg15")]
        {
            type Undeclared = unsafe extern "C-unwind" fn() -> *mut pg_sys::Node;
            let mutator = std::mem::transmute::<*const (), Undeclared>(mutator as *const ());
            pg_sys::expression_tree_mutator(node, Some(mutator), context)
        }
        #[cfg(not(feature = "pg15"))]
        pg_sys::expression_tree_mutator_impl(node, Some(mutator), context)
    }
}

/// An expression of a query without columns of joins, which it has by other names: of their sides. From 18 on without
/// columns of the entry for GROUP BY, too.
///
/// # Safety
/// A query before planning, and a tree of it, which may be changed.
pub unsafe fn flatten_aliases(query: *mut pg_sys::Query, node: *mut pg_sys::Node) -> *mut pg_sys::Node {
    // SAFETY: the caller's; a planner's state is not needed where no placeholder is to be made.
    unsafe {
        #[cfg(feature = "pg15")]
        return pg_sys::flatten_join_alias_vars(query, node);
        #[cfg(any(feature = "pg16", feature = "pg17"))]
        return pg_sys::flatten_join_alias_vars(std::ptr::null_mut(), query, node);
        #[cfg(feature = "pg18")]
        {
            let root = std::ptr::null_mut();
            let node = if (*query).hasGroupRTE { pg_sys::flatten_group_exprs(root, query, node) } else { node };
            pg_sys::flatten_join_alias_vars(root, query, node)
        }
    }
}

/// The role by whose rights a query reads a table: that of its view, or an invalid one for the current role. 16 moved it.
///
/// # Safety
/// A query and an entry of its range table.
#[cfg_attr(feature = "pg15", allow(unused_variables))]
pub unsafe fn check_as_user(query: *mut pg_sys::Query, entry: *mut pg_sys::RangeTblEntry) -> Oid {
    // SAFETY: the caller's; an ERROR if the two do not belong together.
    unsafe {
        #[cfg(feature = "pg15")]
        return (*entry).checkAsUser;
        #[cfg(not(feature = "pg15"))]
        {
            if (*entry).perminfoindex == 0 {
                return Oid::INVALID;
            }
            (*pg_sys::getRTEPermissionInfo((*query).rteperminfos, entry)).checkAsUser
        }
    }
}

/// Gives a query the rights that are checked for an entry of another one's range table, of which it has a copy as its only
/// one. 16 moved them out of the entry.
///
/// # Safety
/// A query, an entry of its range table, a query without rights, and the copy.
#[cfg_attr(feature = "pg15", allow(unused_variables))]
pub unsafe fn copy_rights(
    from: *mut pg_sys::Query,
    entry: *mut pg_sys::RangeTblEntry,
    to: *mut pg_sys::Query,
    copy: *mut pg_sys::RangeTblEntry,
) {
    #[cfg(not(feature = "pg15"))]
    // SAFETY: the caller's; an ERROR if the first two do not belong together.
    unsafe {
        if (*entry).perminfoindex != 0 {
            let rights = pg_sys::getRTEPermissionInfo((*from).rteperminfos, entry);
            (*to).rteperminfos = pg_sys::lappend(std::ptr::null_mut(), pg_sys::copyObjectImpl(rights.cast()));
            (*copy).perminfoindex = 1;
        }
    }
}

/// Adds a copy of a table's entry in the range table of one planned statement to that of another, so that it is locked with it.
/// `has_rights`: the rights that are checked for it go along; else none are.
///
/// # Safety
/// Planned statements, which may be changed, and an entry of the first.
pub unsafe fn add_entry(
    to: *mut pg_sys::PlannedStmt,
    from: *mut pg_sys::PlannedStmt,
    entry: *mut pg_sys::RangeTblEntry,
    has_rights: bool,
) {
    let _ = from; // 15 has rights in the entry
    // SAFETY: the caller's.
    unsafe {
        // A view has rights and, from 16 on, no entry of its own beside that of its query.
        #[cfg(feature = "pg15")]
        let is_view = false;
        #[cfg(not(feature = "pg15"))]
        let is_view = has_rights && (*entry).perminfoindex != 0;
        if (*entry).rtekind != pg_sys::RTEKind::RTE_RELATION && !is_view {
            return;
        }
        let copy: *mut pg_sys::RangeTblEntry = pg_sys::copyObjectImpl(entry.cast()).cast();
        #[cfg(feature = "pg15")]
        if !has_rights {
            (*copy).requiredPerms = 0;
        }
        #[cfg(not(feature = "pg15"))]
        {
            (*copy).perminfoindex = 0;
            if has_rights && (*entry).perminfoindex != 0 {
                let rights = pg_sys::getRTEPermissionInfo((*from).permInfos, entry);
                (*to).permInfos = pg_sys::lappend((*to).permInfos, pg_sys::copyObjectImpl(rights.cast()));
                (*copy).perminfoindex = (*(*to).permInfos).length as pg_sys::Index;
            }
        }
        (*to).rtable = pg_sys::lappend((*to).rtable, copy.cast());
    }
}

/// Whether a plan is begun by EXPLAIN (GENERIC_PLAN), which there is from 16 on: then parameters have no values.
pub fn lacks_parameters(_executor_flags: c_int) -> bool {
    #[cfg(feature = "pg15")]
    return false;
    #[cfg(not(feature = "pg15"))]
    return _executor_flags as u32 & pg_sys::EXEC_FLAG_EXPLAIN_GENERIC != 0;
}

// --- Foreign tables --------------------------------------------------------------------------------------------------

/// Costs of a path.
#[derive(Clone, Copy)]
pub struct Costs {
    /// Number of rows.
    pub rows: f64,
    /// The cost before the first row.
    pub startup: f64,
    /// The cost of all rows.
    pub total: f64,
}

/// A constructor of a path of a foreign table. 17 added the restrictions of a join, 18 the number of nodes that are switched
/// off: we have neither.
#[cfg(any(feature = "pg15", feature = "pg16"))]
macro_rules! foreign_path {
    ($constructor:ident, [$($before:expr),*], [$($costs:expr),*], $private:expr) => {
        pg_sys::$constructor($($before,)* $($costs,)* $private)
    };
}
#[cfg(feature = "pg17")]
macro_rules! foreign_path {
    ($constructor:ident, [$($before:expr),*], [$($costs:expr),*], $private:expr) => {
        pg_sys::$constructor($($before,)* $($costs,)* std::ptr::null_mut(), $private)
    };
}
#[cfg(feature = "pg18")]
macro_rules! foreign_path {
    ($constructor:ident, [$($before:expr),*], [$($costs:expr),*], $private:expr) => {
        pg_sys::$constructor($($before,)* 0, $($costs,)* std::ptr::null_mut(), $private)
    };
}

/// `create_foreignscan_path` of a scan of all columns, without order and without private data.
///
/// # Safety
/// The planner's own, as in GetForeignPaths.
pub unsafe fn foreign_scan_path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    Costs { rows, startup, total }: Costs,
) -> *mut pg_sys::ForeignPath {
    let null = std::ptr::null_mut::<pg_sys::List>();
    // SAFETY: the caller's.
    unsafe {
        let lateral = (*rel).lateral_relids;
        foreign_path!(
            create_foreignscan_path,
            [root, rel, null.cast(), rows],
            [startup, total, null, lateral, null.cast()],
            null
        )
    }
}

/// `create_foreign_upper_path` without order.
///
/// # Safety
/// The planner's own, as in GetForeignUpperPaths.
pub unsafe fn foreign_upper_path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    target: *mut pg_sys::PathTarget,
    Costs { rows, startup, total }: Costs,
    private: *mut pg_sys::List,
) -> *mut pg_sys::ForeignPath {
    let null = std::ptr::null_mut::<pg_sys::List>();
    // SAFETY: the caller's.
    unsafe {
        foreign_path!(
            create_foreign_upper_path,
            [root, rel, target, rows],
            [startup, total, null, null.cast()],
            private
        )
    }
}

/// Whether EXPLAIN shows a plan with several tables, in which columns are qualified. The range table of 18 may have an entry for
/// GROUP BY, which does not count.
///
/// # Safety
/// The state of an EXPLAIN that is under way.
pub unsafe fn explains_several_tables(es: *mut pg_sys::ExplainState) -> bool {
    // SAFETY: the caller's; a list or NULL.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        return (*es).rtable.as_ref().is_some_and(|list| list.length > 1);
        #[cfg(feature = "pg18")]
        return (*es).rtable_size > 1;
    }
}

// --- Processes -------------------------------------------------------------------------------------------------------

/// USER_TIMEOUT in utils/timeout.h: the first identifier of a timer that extensions may register.
pub const USER_TIMEOUT: c_int = if cfg!(any(feature = "pg15", feature = "pg16")) { 12 } else { 13 };

/// Whether a pending interrupt ends the session with FATAL: a termination, and from 17 on `transaction_timeout`.
pub fn ends_session() -> bool {
    // SAFETY: flags of this process, set by signal handlers.
    unsafe {
        let dies = std::ptr::read_volatile(&raw const pg_sys::ProcDiePending) != 0;
        #[cfg(not(any(feature = "pg15", feature = "pg16")))]
        let dies = dies || std::ptr::read_volatile(&raw const pg_sys::TransactionTimeoutPending) != 0;
        dies
    }
}

/// Sets a signal handler.
///
/// # Safety
/// A handler that may run at any place of this process.
pub unsafe fn set_signal_handler(signal: u32, handler: unsafe extern "C-unwind" fn(c_int)) {
    // SAFETY: the caller's.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::pqsignal(signal as c_int, Some(handler));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(signal as c_int, Some(handler));
    }
}

/// Ends this process. Rust destructors do not run; PostgreSQL's exit callbacks do.
pub fn exit(code: c_int) -> ! {
    // SAFETY: the regular end of a process.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::proc_exit(code);
        #[cfg(feature = "pg18")]
        {
            // It does not return, but these bindings do not declare that.
            pg_sys::proc_exit(code);
            std::process::abort()
        }
    }
}

/// The wait event in pg_stat_activity while the main thread waits for an engine thread: one with its own name from 17 on.
pub fn wait_event() -> u32 {
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    return pg_sys::PG_WAIT_EXTENSION;
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    {
        use std::sync::atomic::{AtomicU32, Ordering};
        static EVENT: AtomicU32 = AtomicU32::new(0);
        let mut event = EVENT.load(Ordering::Relaxed);
        if event == 0 {
            // SAFETY: a NUL-terminated name, the same in all processes; main thread, attached to shared memory.
            event = unsafe { pg_sys::WaitEventExtensionNew(c"Lagoon".as_ptr()) };
            EVENT.store(event, Ordering::Relaxed);
        }
        event
    }
}
