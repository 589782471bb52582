//! From wasmtime's error to ours: the table of traps, and the guest's backtrace.

use wasmtime::{Trap, WasmBacktrace};

use crate::host::{State, Stop};
use crate::{Error, GuestError};

/// What a call ended with. Takes the guest's own error from the state, if it left one before it trapped.
pub(crate) fn into_error(error: &wasmtime::Error, state: &mut State, fuel: Option<u64>) -> Error {
    let backtrace = error.downcast_ref::<WasmBacktrace>().map(render).unwrap_or_default();
    let said = state.error.take();
    if let Some(stop) = error.downcast_ref::<Stop>() {
        return stop.clone().into_error(backtrace);
    }
    let Some(trap) = error.downcast_ref::<Trap>() else {
        return Error::Internal(format!("{error:#}"));
    };
    match trap {
        Trap::OutOfFuel => Error::OutOfFuel { limit: fuel.unwrap_or_default(), backtrace },
        Trap::StackOverflow => Error::StackOverflow { backtrace },
        Trap::IntegerDivisionByZero => Error::DivisionByZero { backtrace },
        Trap::IntegerOverflow | Trap::BadConversionToInteger => Error::NumberOutOfRange { backtrace },
        // A guest that was refused memory ends in its allocator's `unreachable`.
        Trap::UnreachableCodeReached if state.limiter.denied => {
            Error::MemoryLimit { limit: state.limiter.limit, backtrace: Some(backtrace) }
        }
        Trap::UnreachableCodeReached => match said {
            Some(error) => guest(error, Some(backtrace)),
            None => Error::Trap { what: "unreachable code reached".to_owned(), backtrace },
        },
        other => Error::Trap { what: other.to_string().trim_start_matches("wasm trap: ").to_owned(), backtrace },
    }
}

/// An error that the guest made, as ours.
pub(crate) fn guest(error: GuestError, backtrace: Option<String>) -> Error {
    Error::Guest { message: error.message.clone(), error: Box::new(error), backtrace }
}

/// Innermost frames of a Rust panic: how it is reported, not where it happened.
const PANIC_MACHINERY: [&str; 6] =
    ["__rustc", "rust_begin_unwind", "rust_panic", "std::", "core::panicking::", "core::option::unwrap_failed"];

/// One line a frame, innermost first, like the CONTEXT of PL/pgSQL.
fn render(backtrace: &WasmBacktrace) -> String {
    let mut lines: Vec<(String, usize)> = Vec::new();
    for frame in backtrace.frames() {
        let name = frame.func_name().map(|name| format!("{:#}", rustc_demangle::demangle(name)));
        if lines.is_empty() && name.as_ref().is_some_and(|n| PANIC_MACHINERY.iter().any(|m| n.starts_with(m))) {
            continue;
        }
        let name = name.map_or_else(|| frame.func_index().to_string(), |name| format!("\"{name}\""));
        let place = frame.symbols().iter().find_map(|s| s.file().zip(s.line()));
        let place = place.map(|(file, line)| format!(" at {file}:{line}")).unwrap_or_default();
        let line = format!("wasm function {name}{place}");
        match lines.last_mut() {
            Some((last, times)) if *last == line => *times += 1,
            _ => lines.push((line, 1)),
        }
    }
    let repeated = |times: usize| if times > 1 { format!(" ({times} times)") } else { String::new() };
    lines.into_iter().map(|(line, times)| line + &repeated(times)).collect::<Vec<_>>().join("\n")
}
