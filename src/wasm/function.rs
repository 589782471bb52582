//! A call of a SQL function in language wasm.

use lagoon_wasm::{Error, Signature, Value};
use pgrx::pg_sys::{self, Datum};

use super::call_site::{self, Bound};
use super::convert::{to_datum, to_value};
use super::declaration::{Declaration, Shape};
use super::{session, trigger};
use crate::pg::node::Node;

type CallSite = call_site::CallSite<trigger::Plan>;

/// Maximum number of arguments for which a call does not allocate.
const FEW: usize = 8;

/// The function call handler: a value, or for a trigger a tuple.
///
/// # Safety
/// `fcinfo` must be what PostgreSQL gave to the handler.
pub unsafe fn call(fcinfo: pg_sys::FunctionCallInfo) -> Result<Datum, Error> {
    // SAFETY: the caller's; the site belongs to this flinfo alone.
    unsafe {
        let site: &mut CallSite = call_site::of(fcinfo)?;
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

/// CALLED_AS_TRIGGER in commands/trigger.h.
unsafe fn called_as_trigger<'a>(fcinfo: pg_sys::FunctionCallInfo) -> Option<Node<'a, pg_sys::TriggerData>> {
    // SAFETY: the caller's; the context of a call is NULL or a node.
    unsafe { Node::new((*fcinfo).context) }.and_then(Node::cast)
}
