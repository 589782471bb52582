//! An index that a user names, for the functions that look into one.

use std::collections::HashSet;
use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Oid, Relation};

use lagoon_vector::page::Tid;
use lagoon_vector::{Error, Method};

use super::column::{Column, space};
use super::pages::{PgPages, Purpose};
use super::rows::{self, Rows};

const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;

/// A readable index of one of our access methods and its table, locked against being dropped or altered until it goes.
///
/// While it lives, what the index says of rows (expression, predicate) runs as the owner of the table and cannot leave traces,
/// as in CREATE INDEX and amcheck: it is not the caller's to trust.
pub struct Opened {
    /// Its access method.
    pub method: Method,
    /// The index.
    pub index: Relation,
    /// Its table.
    pub heap: Relation,
    /// Who called, and in which security context.
    caller: Option<(Oid, i32)>,
}

impl Opened {
    /// Opens the index with this OID, for a role that may read its table.
    pub fn new(oid: Oid) -> Result<Self, Error> {
        // SAFETY: the table is locked before its index, as everywhere; both are open until the end, or the ERROR.
        unsafe {
            let table = pg_sys::IndexGetRelation(oid, true);
            if table == Oid::INVALID {
                return Err(Error::NotOurs(name_of(oid)));
            }
            let heap = pg_sys::relation_open(table, LOCK);
            let index = pg_sys::relation_open(oid, LOCK);
            let Some(method) = method_of(index) else {
                pg_sys::relation_close(index, LOCK);
                pg_sys::relation_close(heap, LOCK);
                return Err(Error::NotOurs(name_of(oid)));
            };
            let mut opened = Self { method, index, heap, caller: None };
            opened.check()?;
            opened.become_owner();
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
    pub fn rows(&self) -> Result<HashSet<Tid>, Error> {
        let mut tids = HashSet::new();
        // SAFETY: both are open and belong together.
        unsafe {
            let column = Column::new(self.index, self.method, space(self.index, self.method)?)?;
            let snapshot = pg_sys::RegisterSnapshot(pg_sys::GetTransactionSnapshot());
            let info = pg_sys::BuildIndexInfo(self.index);
            (*info).ii_Concurrent = true; // says that the snapshot is an MVCC one
            (*info).ii_Unique = false;
            let scan = pg_sys::table_beginscan_strat(self.heap, snapshot, 0, std::ptr::null_mut(), true, true);
            rows::each(self.heap, self.index, info, Rows::Seen(scan), &column, &mut |_, tid| {
                tids.insert(tid);
                Ok(())
            });
            pg_sys::UnregisterSnapshot(snapshot);
        }
        Ok(tids)
    }

    /// The OID of the index.
    pub fn oid(&self) -> Oid {
        // SAFETY: open.
        unsafe { (*self.index).rd_id }
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
    }

    fn check(&self) -> Result<(), Error> {
        let (index, table) = (self.index, self.table());
        // SAFETY: both are open.
        unsafe {
            let read = pg_sys::ACL_SELECT as pg_sys::AclMode;
            if pg_sys::pg_class_aclcheck(table, pg_sys::GetUserId(), read) != pg_sys::AclResult::ACLCHECK_OK {
                return Err(Error::PermissionDenied(name_of(table)));
            }
            let is_temporary = (*(*index).rd_rel).relpersistence == pg_sys::RELPERSISTENCE_TEMP as c_char;
            let info = (*index).rd_index;
            if is_temporary && !(*index).rd_islocaltemp || !(*info).indisvalid || !(*info).indisready {
                return Err(self.unreadable());
            }
        }
        Ok(())
    }

    /// An error if it is not an index of this kind.
    pub fn only(self, method: Method) -> Result<Self, Error> {
        if self.method == method { Ok(self) } else { Err(Error::NotOfMethod(name_of(self.oid()), method)) }
    }

    /// The error for an index that is there but cannot be used.
    pub fn unreadable(&self) -> Error {
        Error::Unreadable(name_of(self.oid()))
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if !std::thread::panicking() {
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

/// The method whose handler the index has, whatever the access method is called. None of a partitioned index: it has no pages.
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
