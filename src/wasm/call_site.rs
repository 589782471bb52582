//! The state of a call site, which is kept between the calls of one statement: a function's declaration and its binding.

use std::rc::Rc;

use lagoon_wasm::{Error, Export};
use pgrx::PgMemoryContexts;
use pgrx::pg_sys;

use super::declaration::Declaration;
use super::session::InstanceSlot;
use super::version::{self, Seen};
use crate::pg::role;

/// Stored in `fn_extra`, so it lives as long as the expression, or the trigger in a statement.
pub struct CallSite<T> {
    pub declaration: Declaration,
    pub bound: Option<Bound>,
    /// Further state that depends on this binding.
    pub prepared: Option<T>,
}

/// A declaration bound to an instance.
pub struct Bound {
    role: u32,
    pub seen: Seen,
    pub slot: Rc<InstanceSlot>,
    pub export: Export,
}

/// The call site of a call. The first call makes it.
///
/// # Safety
/// `fcinfo` must be what PostgreSQL gave to the handler, and `T` always the same.
pub unsafe fn of<'a, T>(fcinfo: pg_sys::FunctionCallInfo) -> Result<&'a mut CallSite<T>, Error> {
    // SAFETY: the caller's; fn_extra of our language's functions is ours.
    unsafe {
        let flinfo = (*fcinfo).flinfo;
        if (*flinfo).fn_extra.is_null() {
            let declaration = Declaration::of((*flinfo).fn_oid)?;
            let site = CallSite::<T> { declaration, bound: None, prepared: None };
            (*flinfo).fn_extra = PgMemoryContexts::For((*flinfo).fn_mcxt).leak_and_drop_on_delete(site).cast();
        }
        Ok(&mut *(*flinfo).fn_extra.cast())
    }
}

impl<T> CallSite<T> {
    /// Makes sure that the binding is to this statement's version, the current role and a usable instance.
    pub fn bind(&mut self) -> Result<&Bound, Error> {
        let fresh = self
            .bound
            .as_ref()
            .is_some_and(|bound| bound.role == role::current().to_u32() && bound.slot.is_idle() && bound.seen.holds());
        if !fresh {
            self.rebind()?;
        }
        self.bound.as_ref().ok_or_else(|| Error::Internal("a function lost its binding".to_owned()))
    }

    #[cold]
    fn rebind(&mut self) -> Result<(), Error> {
        let seen = match self.bound.take() {
            Some(bound) if bound.seen.holds() => bound.seen,
            _ => version::seen(&self.declaration.plugin)?,
        };
        self.declaration.check(&seen.version.plugin)?;
        let role = role::current().to_u32();
        let slot = seen.version.slot(role)?;
        let export = slot.enter()?.export(&self.declaration.export)?;
        self.bound = Some(Bound { role, seen, slot, export });
        self.prepared = None;
        Ok(())
    }
}
