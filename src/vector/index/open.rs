//! Opening an index that a user names, for the functions on indexes.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Oid, Relation};

use lagoon_vector::report::Tids;
use lagoon_vector::{Coder, Error, Method};

use super::column::{Column, space};
use super::pages::{PgPages, Purpose};
use super::rows::{IndexedTable, Rows};
use crate::pg::compat::{self, SafeSearchPath};

const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
const RLS_ENABLED: i32 = pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32;

/// A readable index of one of our access methods and its table, locked against being dropped or altered until this is dropped.
pub struct OpenIndex {
    /// Its access method.
    pub method: Method,
    /// The index.
    pub index: Relation,
    /// Its table.
    pub heap: Relation,
    /// The caller and its security context, while the current user is the owner of the table.
    caller: Option<(Oid, i32)>,
    /// Set while the current user is the owner of the table.
    search_path: Option<SafeSearchPath>,
}

/// How an index is going to be used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    /// Its pages are read, and writers wait.
    Pages,
    /// Rows are read by SQL.
    Queries,
}

impl OpenIndex {
    /// Opens an index for the owner of its table: the pages have all rows, and reading them blocks writers.
    ///
    /// Until it is dropped, expression and predicate of the index run as the owner of the table in a security-restricted
    /// operation, as in CREATE INDEX and amcheck: the caller need not trust them.
    pub fn by_owner(oid: Oid) -> Result<Self, Error> {
        let mut opened = Self::new(oid, Access::Pages)?;
        opened.become_owner();
        Ok(opened)
    }

    /// Opens an index to read rows as any SELECT does: with the caller's privileges and row security. For an index with an
    /// expression or a predicate, queries run as the owner of the table, as above, to whom row security does not apply: it
    /// is refused to callers to whom it applies.
    pub fn for_queries(oid: Oid) -> Result<Self, Error> {
        let mut opened = Self::new(oid, Access::Queries)?;
        if opened.is_computed() {
            let table = opened.table();
            // SAFETY: the table is open.
            if unsafe { pg_sys::check_enable_rls(table, Oid::INVALID, true) } == RLS_ENABLED {
                return Err(Error::RowSecurity(name_of(table)));
            }
            opened.become_owner();
        }
        Ok(opened)
    }

    fn new(oid: Oid, access: Access) -> Result<Self, Error> {
        // SAFETY: the table is locked before its index, as everywhere; both are open until the end, or the ERROR. Those without
        // any right do not come as far as a lock.
        unsafe {
            let table = pg_sys::IndexGetRelation(oid, true);
            if table == Oid::INVALID {
                return Err(Error::NotOurs(name_of(oid)));
            }
            match access {
                Access::Pages => check_owner(table)?,
                Access::Queries => check_reader(table)?,
            }
            let heap = pg_sys::try_relation_open(table, LOCK);
            if heap.is_null() {
                return Err(Error::NotOurs(name_of(oid))); // dropped concurrently
            }
            let index = pg_sys::try_relation_open(oid, LOCK);
            let method = if index.is_null() { None } else { method_of(index) };
            let Some(method) = method else {
                if !index.is_null() {
                    pg_sys::relation_close(index, LOCK);
                }
                pg_sys::relation_close(heap, LOCK);
                return Err(Error::NotOurs(name_of(oid)));
            };
            let opened = Self { method, index, heap, caller: None, search_path: None };
            if access == Access::Queries {
                opened.check_columns()?;
            }
            opened.check_readable()?;
            Ok(opened)
        }
    }

    /// Its pages.
    pub fn pages(&self) -> PgPages {
        // SAFETY: an index of this access method, open and locked while self lives.
        unsafe { PgPages::new(self.index, Purpose::Use) }
    }

    /// The rows that a scan of the table sees and that must be in the index: the predicate holds, the vector is indexable.
    /// As amcheck does it, through the code that builds indexes, but with an MVCC snapshot.
    pub fn rows(&self) -> Result<Tids, Error> {
        let mut tids = Tids::default();
        // SAFETY: both are open and belong together.
        unsafe {
            let column = Column::new(self.index, self.method, Coder::plain(space(self.index, self.method)?))?;
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetTransactionSnapshot());
            let info = pg_sys::BuildIndexInfo(self.index);
            (*info).ii_Concurrent = true; // so that the snapshot is an MVCC one
            (*info).ii_Unique = false;
            let scan = pg_sys::table_beginscan_strat(self.heap, snapshot, 0, std::ptr::null_mut(), true, true);
            IndexedTable::new(self.heap, self.index, info)
                .each(Rows::Seen(scan), &column, &mut |_, tid| tids.push(tid));
            pg_sys::UnregisterSnapshot(snapshot);
        }
        Ok(tids)
    }

    /// The OID of the index.
    pub fn oid(&self) -> Oid {
        // SAFETY: open.
        unsafe { (*self.index).rd_id }
    }

    /// The name of the index.
    pub fn name(&self) -> String {
        name_of(self.oid())
    }

    /// The OID of the table.
    pub fn table(&self) -> Oid {
        // SAFETY: open.
        unsafe { (*self.heap).rd_id }
    }

    fn become_owner(&mut self) {
        let (mut user, mut context) = (Oid::INVALID, 0);
        // SAFETY: the table is open. An ERROR puts back what the (sub)transaction began with.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            let restricted = context | pg_sys::SECURITY_RESTRICTED_OPERATION as i32;
            pg_sys::SetUserIdAndSecContext((*(*self.heap).rd_rel).relowner, restricted);
        }
        self.caller = Some((user, context));
        self.search_path = Some(SafeSearchPath::begin());
    }

    /// Whether it has an expression or a predicate.
    fn is_computed(&self) -> bool {
        // SAFETY: open; a list or NULL.
        self.key() == 0 || unsafe { !pg_sys::RelationGetIndexPredicate(self.index).is_null() }
    }

    /// The number of the indexed column; 0 for an expression.
    fn key(&self) -> i16 {
        // SAFETY: open. The access method is single-column, so there is a first one.
        unsafe { *(*(*self.index).rd_index).indkey.values.as_ptr() }
    }

    /// Checks SELECT on the table, or on the column if nothing else is read.
    fn check_columns(&self) -> Result<(), Error> {
        let (table, read) = (self.table(), pg_sys::ACL_SELECT as pg_sys::AclMode);
        // SAFETY: both are open.
        let may_read = unsafe {
            let user = pg_sys::GetUserId();
            pg_sys::pg_class_aclcheck(table, user, read) == pg_sys::AclResult::ACLCHECK_OK
                || !self.is_computed()
                    && pg_sys::pg_attribute_aclcheck(table, self.key(), user, read) == pg_sys::AclResult::ACLCHECK_OK
        };
        if may_read { Ok(()) } else { Err(Error::PermissionDenied(name_of(table))) }
    }

    fn check_readable(&self) -> Result<(), Error> {
        let index = self.index;
        // SAFETY: open.
        unsafe {
            let is_temporary = (*(*index).rd_rel).relpersistence == pg_sys::RELPERSISTENCE_TEMP as c_char;
            let info = (*index).rd_index;
            if is_temporary && !(*index).rd_islocaltemp || !(*info).indisvalid || !(*info).indisready {
                return Err(self.unreadable());
            }
        }
        Ok(())
    }

    /// Fails if it is not an index of this access method.
    pub fn only(self, method: Method) -> Result<Self, Error> {
        if self.method == method { Ok(self) } else { Err(Error::NotOfMethod(name_of(self.oid()), method)) }
    }

    /// The error for an index that exists but cannot be read.
    pub fn unreadable(&self) -> Error {
        Error::Unreadable(name_of(self.oid()))
    }
}

impl Drop for OpenIndex {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.search_path = None;
            // SAFETY: opened by us; after an ERROR the end of the transaction does it.
            unsafe {
                if let Some((user, context)) = self.caller {
                    pg_sys::SetUserIdAndSecContext(user, context);
                }
                pg_sys::relation_close(self.index, LOCK);
                pg_sys::relation_close(self.heap, LOCK);
            }
        }
    }
}

/// Fails unless the role owns the table.
fn check_owner(table: Oid) -> Result<(), Error> {
    // SAFETY: reads a variable of this process.
    let is_owner = compat::owns_table(table, unsafe { pg_sys::GetUserId() });
    if is_owner { Ok(()) } else { Err(Error::NotOwner(name_of(table))) }
}

/// Fails unless the role may read a column of the table.
fn check_reader(table: Oid) -> Result<(), Error> {
    let read = pg_sys::ACL_SELECT as pg_sys::AclMode;
    // SAFETY: lookups in the system catalogs.
    let may_read = unsafe {
        let user = pg_sys::GetUserId();
        pg_sys::pg_class_aclcheck(table, user, read) == pg_sys::AclResult::ACLCHECK_OK
            || pg_sys::pg_attribute_aclcheck_all(table, user, read, pg_sys::AclMaskHow::ACLMASK_ANY)
                == pg_sys::AclResult::ACLCHECK_OK
    };
    if may_read { Ok(()) } else { Err(Error::PermissionDenied(name_of(table))) }
}

/// The access method of an index by its handler, under any name. None for a partitioned index, which has no pages.
unsafe fn method_of(index: Relation) -> Option<Method> {
    // SAFETY: the caller's; get_func_name() gives a palloced string or NULL.
    unsafe {
        if (*(*index).rd_rel).relkind != pg_sys::RELKIND_INDEX as c_char {
            return None;
        }
        let handler = pg_sys::get_func_name((*index).rd_amhandler);
        if handler.is_null() {
            return None;
        }
        let handler = CStr::from_ptr(handler).to_str().ok()?;
        Method::ALL.into_iter().find(|method| handler.strip_suffix("_handler") == Some(method.name()))
    }
}

fn name_of(oid: Oid) -> String {
    // SAFETY: a lookup in the system cache; a palloced string or NULL.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        if name.is_null() { oid.to_u32().to_string() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}
