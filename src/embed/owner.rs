//! Who may register, replace and drop a model.

use lagoon_embed::Error;
use pgrx::pg_sys;

use super::catalog::Existing;
use crate::pg::role;

/// Fails unless the current role may read the server's files: model directories are read as the server's operating system user.
pub fn check_reader() -> Result<(), Error> {
    let may = role::has(role::current(), pg_sys::Oid::from(pg_sys::ROLE_PG_READ_SERVER_FILES));
    if may { Ok(()) } else { Err(Error::MayNotRegister) }
}

/// Fails unless the current role is the owner, a member of the owner's role, or a superuser.
pub fn check_owner(model: &str, existing: &Existing) -> Result<(), Error> {
    if role::has_rights_of(&existing.owner) { Ok(()) } else { Err(Error::NotOwner(model.to_owned())) }
}
