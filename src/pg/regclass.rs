//! A relation that a user names, as argument of `#[pg_extern]` functions.

use pgrx::callconv::{Arg, ArgAbi};
use pgrx::pg_sys::Oid;

/// `regclass`: an OID, of a relation that may have been dropped. Unlike pgrx's own type, it opens and locks nothing before
/// the function has checked it.
#[derive(Debug, Clone, Copy)]
pub struct Regclass(pub Oid);

// SAFETY: SqlTranslatable below says that such an argument is of type regclass, which is an OID.
unsafe impl<'fcx> ArgAbi<'fcx> for Regclass {
    unsafe fn unbox_arg_unchecked(arg: Arg<'_, 'fcx>) -> Self {
        // SAFETY: the caller vouches that it is an OID.
        Self(unsafe { arg.unbox_arg_using_from_datum() }.unwrap_or(Oid::INVALID))
    }
}

pgrx::impl_sql_translatable!(Regclass, "regclass");
