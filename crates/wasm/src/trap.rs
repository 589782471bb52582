//! Conversion of wasmtime's errors to ours: traps, and the guest's backtrace.

use wasmtime::{Trap, WasmBacktrace};

use crate::host::{State, Stop};
use crate::text::{REASON, demangled, printable};
use crate::{Error, GuestError};

/// Maximum number of frames in an error's context.
pub(crate) const BACKTRACE_FRAMES: usize = 20;

/// The error of a failed call. Takes the guest's own error from the state, if it has set one before it trapped.
pub(crate) fn into_error(error: &wasmtime::Error, state: &mut State, fuel: Option<u64>) -> Error {
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(render).unwrap_or_default();
    let said = state.error.take();
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.clone().into_error(backtrace);
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return without_trap(error);
    };
    match trap {
        Trap::OutOfFuel => Error::OutOfFuel { limit: fuel.unwrap_or_default(), backtrace },
        Trap::StackOverflow => Error::StackOverflow { backtrace },
        Trap::IntegerDivisionByZero => Error::DivisionByZero { backtrace },
        Trap::IntegerOverflow | Trap::BadConversionToInteger => Error::NumberOutOfRange { backtrace },
        Trap::UnreachableCodeReached => match (state.limiter.refusal(Some(backtrace.clone())), said) {
            // A guest that was refused memory traps in its allocator's `unreachable`.
            (Some(refusal), _) => refusal,
            (None, Some(error)) => guest(error, Some(backtrace)),
            (None, None) => Error::Trap { what: "unreachable code reached".to_owned(), backtrace },
        },
        other => Error::Trap { what: other.to_string().trim_start_matches("wasm trap: ").to_owned(), backtrace },
    }
}

/// The error of an instance that failed outside of its code: it exceeds a limit, or the system is out of memory.
pub(crate) fn without_trap(error: &wasmtime::Error) -> Error {
    let reason = printable(&error.root_cause().to_string(), REASON);
    if error.chain().any(|cause| cause.is::<std::io::Error>())
        || error.is::<wasmtime::OutOfMemory>()
        || reason.contains("os error 12")
    {
        return Error::OutOfMemory(reason);
    }
    Error::CannotStart(reason)
}

/// The error that a guest has raised.
pub(crate) fn guest(error: GuestError, backtrace: Option<String>) -> Error {
    Error::Guest { message: error.message.clone(), error: Box::new(error), backtrace }
}

/// The innermost frames of a Rust panic, which report it and are not shown.
const PANIC_MACHINERY: [&str; 6] =
    ["__rustc", "rust_begin_unwind", "rust_panic", "std::", "core::panicking::", "core::option::unwrap_failed"];

/// A line for each frame, innermost first, as in the CONTEXT of PL/pgSQL, with truncated names.
fn render(backtrace: &WasmBacktrace) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for frame in backtrace.frames() {
        let name = frame.func_name().map(demangled);
        if lines.is_empty() && name.as_ref().is_some_and(|n| PANIC_MACHINERY.iter().any(|m| n.starts_with(m))) {
            continue;
        }
        let name = name.map_or_else(|| frame.func_index().to_string(), |name| format!("\"{name}\""));
        let line = format!("wasm function {name}");
        match lines.last_mut() {
            Some((last, times)) if *last == line => *times += 1,
            _ => lines.push((line, 1)),
        }
    }
    let repeated = |times: usize| if times > 1 { format!(" ({times} times)") } else { String::new() };
    let mut lines: Vec<String> = lines.into_iter().map(|(line, times)| line + &repeated(times)).collect();
    if backtrace.frames().len() >= BACKTRACE_FRAMES {
        lines.push("... and the functions that called it".to_owned());
    }
    lines.join("\n")
}
