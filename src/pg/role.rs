//! Roles, and what they may do. In a transaction, on the main thread.

use std::ffi::{CStr, CString};

use pgrx::pg_sys::{self, Oid};

/// The role that the current statement runs as. A plain read, so that it can be asked at every call.
#[inline]
pub fn current() -> Oid {
    unsafe extern "C-unwind" {
        // miscinit.c; declared here because pgrx's binding sets a jump point first, which costs more than the call.
        fn GetUserId() -> Oid;
    }
    // SAFETY: returns a variable; asserts only that there is a session.
    unsafe { GetUserId() }
}

/// The name of the current role. Raises 42704 if it was dropped.
pub fn current_name() -> String {
    // SAFETY: a catalog lookup, which gives a NUL-terminated copy.
    let name = unsafe { CStr::from_ptr(pg_sys::GetUserNameFromId(current(), false)) };
    name.to_string_lossy().into_owned()
}

/// Whether one role has the rights of another; superusers have those of all.
pub fn has(member: Oid, role: Oid) -> bool {
    // SAFETY: a catalog lookup.
    unsafe { pg_sys::has_privs_of_role(member, role) }
}

/// Whether the current role has the rights of an owner that is known by name. If that role was dropped, only superusers have.
pub fn has_rights_of(owner: &str) -> bool {
    let name = CString::new(owner).unwrap_or_default();
    // SAFETY: a catalog lookup; a NUL-terminated name.
    let owner = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    is_superuser() || (owner != pg_sys::InvalidOid && has(current(), owner))
}

/// Whether the current role is a superuser.
pub fn is_superuser() -> bool {
    // SAFETY: a catalog lookup.
    unsafe { pg_sys::superuser() }
}
