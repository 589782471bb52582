//! Who may register, replace and drop a model.

use lagoon_embed::Error;
use pgrx::pg_sys;

use super::catalog::Existing;
use crate::pg::role;

/// The role that asks may read any file of the server: what a model directory names is read as its operating system user.
pub fn check_reader() -> Result<(), Error> {
    let may = role::has(role::current(), pg_sys::Oid::from(pg_sys::ROLE_PG_READ_SERVER_FILES));
    if may { Ok(()) } else { Err(Error::MayNotRegister) }
}

/// The role that asks is the owner, a member of that role, or a superuser.
pub fn check_owner(model: &str, existing: &Existing) -> Result<(), Error> {
    if role::has_rights_of(&existing.owner) { Ok(()) } else { Err(Error::NotOwner(model.to_owned())) }
}
