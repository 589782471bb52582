//! An index that a user names, for the functions that look into one.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys::{self, Oid, Relation};

use lagoon_vector::Error;

use super::pages::{PgPages, Purpose};

const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;

/// A readable index of this access method and its table, locked against being dropped or altered until it goes.
///
/// While it lives, what the index says of rows (expression, predicate) runs as the owner of the table and cannot leave traces,
/// as in CREATE INDEX and amcheck: it is not the caller's to trust.
pub struct Opened {
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
                return Err(Error::NotHnsw(name_of(oid)));
            }
            let heap = pg_sys::relation_open(table, LOCK);
            let mut opened = Self { index: pg_sys::relation_open(oid, LOCK), heap, caller: None };
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
            if (*(*index).rd_rel).relkind != pg_sys::RELKIND_INDEX as c_char || !is_hnsw(index) {
                return Err(Error::NotHnsw(name_of(self.oid())));
            }
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

/// Whether the handler of the index is ours, whatever the access method is called.
unsafe fn is_hnsw(index: Relation) -> bool {
    // SAFETY: the caller's; get_func_name() gives a palloced string or NULL.
    unsafe {
        let handler = pg_sys::get_func_name((*index).rd_amhandler);
        !handler.is_null() && CStr::from_ptr(handler) == c"hnsw_handler"
    }
}

fn name_of(oid: Oid) -> String {
    // SAFETY: a lookup in the system cache; a palloced string or NULL.
    unsafe {
        let name = pg_sys::get_rel_name(oid);
        if name.is_null() { oid.to_u32().to_string() } else { CStr::from_ptr(name).to_string_lossy().into_owned() }
    }
}
