//! A call of a SQL function in language wasm, and what is kept between the calls of one statement.

use std::rc::Rc;

use lagoon_wasm::{Error, Export, Signature, Value};
use pgrx::PgMemoryContexts;
use pgrx::pg_sys::{self, Datum};

use super::convert::{to_datum, to_value};
use super::declaration::{Declaration, Shape};
use super::session::{self, InstanceSlot};
use super::trigger;
use super::version::{self, Seen};
use crate::pg::node::Node;
use crate::pg::role;

/// Calls with more arguments than this allocate.
const FEW: usize = 8;

/// Lives in `fn_extra`: as long as the expression or the trigger of a statement.
pub struct CallSite {
    pub declaration: Declaration,
    bound: Option<Bound>,
    pub trigger: Option<trigger::Plan>,
}

/// A declaration bound to an instance.
pub struct Bound {
    role: u32,
    pub seen: Seen,
    pub slot: Rc<InstanceSlot>,
    pub export: Export,
}

/// The function call handler: a value, or for a trigger a tuple.
///
/// # Safety
/// `fcinfo` must be what PostgreSQL gave to the handler.
pub unsafe fn call(fcinfo: pg_sys::FunctionCallInfo) -> Result<Datum, Error> {
    // SAFETY: the caller's; the site belongs to this flinfo alone.
    unsafe {
        let site = site(fcinfo)?;
        let trigger = called_as_trigger(fcinfo);
        let result = match (&site.declaration.shape, trigger) {
            (Shape::Trigger, Some(data)) => trigger::fire(site, &data),
            (Shape::Trigger, None) => Err(Error::UnsupportedTrigger("fired by a table")),
            (Shape::Function(_), _) => call_function(site, fcinfo),
        };
        result.map_err(|error| error.within(&site.declaration.plugin, &site.declaration.export))
    }
}

unsafe fn call_function(site: &mut CallSite, fcinfo: pg_sys::FunctionCallInfo) -> Result<Datum, Error> {
    site.bind()?;
    let CallSite { declaration: Declaration { shape: Shape::Function(signature), .. }, bound: Some(bound), .. } = site
    else {
        return Err(Error::Internal("a function lost its binding".to_owned()));
    };
    // SAFETY: PostgreSQL passes as many arguments as the function was declared with.
    unsafe {
        let given = (*fcinfo).args.as_slice(signature.arguments.len());
        let mut few = [Value::Null; FEW];
        let mut many;
        let arguments = if given.len() <= FEW {
            &mut few[..given.len()]
        } else {
            many = vec![Value::Null; given.len()];
            &mut many[..]
        };
        for ((argument, given), kind) in arguments.iter_mut().zip(given).zip(&signature.arguments) {
            if !given.isnull {
                *argument = to_value(given.value, *kind);
            }
        }
        run(bound, signature, arguments, &mut (*fcinfo).isnull)
    }
}

fn run(bound: &Bound, signature: &Signature, arguments: &[Value<'_>], is_null: &mut bool) -> Result<Datum, Error> {
    let mut instance = bound.slot.enter()?;
    let answer = match instance.call(&bound.export, signature, arguments) {
        Ok(ref value) => {
            let datum = to_datum(value);
            *is_null = datum.is_none();
            Ok(datum.unwrap_or(Datum::null()))
        }
        Err(error) => Err(error),
    };
    if instance.has_log() {
        let lines = instance.take_log();
        drop(instance);
        session::show(lines);
    }
    answer
}

impl CallSite {
    /// Makes sure that the binding is that of this statement's version, the current role and a living instance.
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
        self.trigger = None;
        Ok(())
    }
}

/// # Safety
/// As [`call`].
unsafe fn site<'a>(fcinfo: pg_sys::FunctionCallInfo) -> Result<&'a mut CallSite, Error> {
    // SAFETY: the caller's; fn_extra of our language's functions is ours.
    unsafe {
        let flinfo = (*fcinfo).flinfo;
        if (*flinfo).fn_extra.is_null() {
            let site = CallSite { declaration: Declaration::of((*flinfo).fn_oid)?, bound: None, trigger: None };
            (*flinfo).fn_extra = PgMemoryContexts::For((*flinfo).fn_mcxt).leak_and_drop_on_delete(site).cast();
        }
        Ok(&mut *(*flinfo).fn_extra.cast::<CallSite>())
    }
}

/// CALLED_AS_TRIGGER in commands/trigger.h.
unsafe fn called_as_trigger<'a>(fcinfo: pg_sys::FunctionCallInfo) -> Option<Node<'a, pg_sys::TriggerData>> {
    // SAFETY: the caller's; the context of a call is NULL or a node.
    unsafe { Node::new((*fcinfo).context) }.and_then(Node::cast)
}
