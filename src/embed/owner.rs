//! Who may register, replace and drop a model.

use std::ffi::{CStr, CString};

use lagoon_embed::Error;
use pgrx::pg_sys;

use super::catalog::Existing;

/// The role that asks may read any file of the server: what a model directory names is read as its operating system user.
pub fn check_reader() -> Result<(), Error> {
    // SAFETY: catalog lookups on the main thread, inside a transaction. True for superusers.
    let may =
        unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), pg_sys::Oid::from(pg_sys::ROLE_PG_READ_SERVER_FILES)) };
    if may { Ok(()) } else { Err(Error::MayNotRegister) }
}

/// The role that asks is the owner, a member of that role, or a superuser. The owner's name is that of a role which may have
/// gone: then superusers are left.
pub fn check_owner(model: &str, existing: &Existing) -> Result<(), Error> {
    let name = CString::new(existing.owner.as_str()).unwrap_or_default();
    // SAFETY: catalog lookups on the main thread, inside a transaction; a NUL-terminated name.
    let may = unsafe {
        let owner = pg_sys::get_role_oid(name.as_ptr(), true);
        pg_sys::superuser() || (owner != pg_sys::InvalidOid && pg_sys::has_privs_of_role(pg_sys::GetUserId(), owner))
    };
    if may { Ok(()) } else { Err(Error::NotOwner(model.to_owned())) }
}

/// The name of the role that asks.
pub fn current() -> String {
    // SAFETY: a catalog lookup on the main thread; raises when the role has gone, and gives a NUL-terminated copy.
    let name = unsafe { CStr::from_ptr(pg_sys::GetUserNameFromId(pg_sys::GetUserId(), false)) };
    name.to_string_lossy().into_owned()
}
