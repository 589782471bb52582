//! What PostgreSQL calls: the language's handler and validator, and the triggers on `lagoon.plugins` and on CREATE TRIGGER.

use pgrx::pg_sys::{self, Datum, FunctionCallInfo, Pg_finfo_record};
use pgrx::prelude::*;

use lagoon_wasm::Error;

use super::declaration::Declaration;
use super::error::finish;
use super::plugins::copies;
use super::{function, trigger, version};
use crate::pg::node::Node;

static V1: Pg_finfo_record = Pg_finfo_record { api_version: 1 };

/// `LANGUAGE wasm` calls its functions through this.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lagoon_wasm_call_handler(fcinfo: FunctionCallInfo) -> Datum {
    // SAFETY: PostgreSQL's own call.
    finish(unsafe { function::call(fcinfo) })
}

/// CREATE FUNCTION checks a body through this.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lagoon_wasm_validator(fcinfo: FunctionCallInfo) -> Datum {
    // SAFETY: PostgreSQL's own call; a validator has one argument, an oid, and is STRICT.
    unsafe {
        let function = (*fcinfo).args.as_slice(1)[0].value;
        let function = pg_sys::Oid::from(function.value() as u32);
        if pg_sys::CheckFunctionValidatorAccess((*(*fcinfo).flinfo).fn_oid, function) {
            finish(validate(function, pg_sys::check_function_bodies));
        }
    }
    Datum::null()
}

/// The trigger on `lagoon.plugins`: invalidates the table's relcache entry in every backend at commit, and updates the copies.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lagoon_wasm_plugins_changed(fcinfo: FunctionCallInfo) -> Datum {
    // SAFETY: PostgreSQL's own call.
    finish(unsafe { plugins_changed(fcinfo) })
}

/// `lagoon.check_trigger() RETURNS event_trigger`, called after CREATE TRIGGER.
#[pg_guard]
#[unsafe(no_mangle)]
pub unsafe extern "C-unwind" fn lagoon_wasm_check_trigger(fcinfo: FunctionCallInfo) -> Datum {
    // SAFETY: the context of a call is NULL or a node.
    let event = unsafe { Node::new((*fcinfo).context) }.and_then(Node::cast::<pg_sys::EventTriggerData>);
    finish(trigger::check::after_ddl(event.is_some()));
    Datum::null()
}

#[unsafe(no_mangle)]
#[doc(hidden)]
pub extern "C" fn pg_finfo_lagoon_wasm_call_handler() -> &'static Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
#[doc(hidden)]
pub extern "C" fn pg_finfo_lagoon_wasm_validator() -> &'static Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
#[doc(hidden)]
pub extern "C" fn pg_finfo_lagoon_wasm_plugins_changed() -> &'static Pg_finfo_record {
    &V1
}

#[unsafe(no_mangle)]
#[doc(hidden)]
pub extern "C" fn pg_finfo_lagoon_wasm_check_trigger() -> &'static Pg_finfo_record {
    &V1
}

/// # Safety
/// `fcinfo` must be what PostgreSQL gave to the trigger's function.
unsafe fn plugins_changed(fcinfo: FunctionCallInfo) -> Result<Datum, Error> {
    // SAFETY: the caller's; the context of a call is NULL or a node.
    let data = unsafe { Node::new((*fcinfo).context) }.and_then(Node::cast::<pg_sys::TriggerData>);
    let data = data.ok_or(Error::UnsupportedTrigger("fired by a table"))?;
    // SAFETY: the relation is open while its trigger runs.
    unsafe { pg_sys::CacheInvalidateRelcache(data.tg_relation) };
    copies::sync(&data)?;
    Ok(Datum::null())
}

/// Checks types and body. `thoroughly` also checks plugin and export, which is not possible while a dump is being restored: the
/// plugins are restored later.
fn validate(function: pg_sys::Oid, thoroughly: bool) -> Result<(), Error> {
    let declaration = Declaration::of(function)?;
    if thoroughly { declaration.check(&version::seen(&declaration.plugin)?.version.plugin) } else { Ok(()) }
}
