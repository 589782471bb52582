//! The host's side of a running guest: its state, its limits, and the functions that it may import.
//!
//! No function here calls the embedder while a guest's frames are on the stack, except through [`Hooks`], which must
//! neither unwind nor block. Log lines are kept and handed over when the guest has returned.

use std::time::{Duration, Instant};

use wasmtime::{Caller, Engine, Extern, Linker, ResourceLimiter, StoreContextMut, UpdateDeadline};

use crate::abi::HOST_MODULE;
use crate::manifest::Permission;
use crate::{Error, GuestError, Result};

/// Lines and bytes of log that one call may write; longer lines are cut.
const MAX_LOG_LINES: usize = 1000;
const MAX_LOG_LINE: usize = 8 << 10;
/// Longer error records are cut.
const MAX_ERROR: usize = 64 << 10;
/// Bytes that one table element costs.
const TABLE_ELEMENT: usize = 16;

/// What the embedder gives. Called from inside a guest: these must neither unwind, jump nor block.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Whether the running statement is to end: cancel, termination, time-out.
    pub interrupted: fn() -> bool,
    /// Asks for the next [`crate::Runtime::tick`] in about ten milliseconds.
    pub request_tick: fn(),
    /// The most that any call may take.
    pub time_limit: fn() -> Duration,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Debug,
    Log,
    Info,
    Notice,
    Warning,
}

/// One line that a guest wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub text: String,
}

/// What a store holds beside the guest itself.
pub(crate) struct State {
    pub(crate) hooks: Hooks,
    pub(crate) limiter: Limiter,
    /// The manifest's limit; the embedder's is asked for when it matters.
    time_limit: Option<Duration>,
    /// Time counts from the first tick of a call, so that short calls never ask for the time.
    first_tick: Option<Instant>,
    pub(crate) log: Vec<LogLine>,
    pub(crate) error: Option<GuestError>,
    pub(crate) is_null: bool,
}

impl State {
    pub(crate) fn new(hooks: Hooks, memory_limit: usize, time_limit: Option<Duration>) -> Self {
        Self {
            hooks,
            limiter: Limiter { limit: memory_limit, used: 0, denied: false },
            time_limit,
            first_tick: None,
            log: Vec::new(),
            error: None,
            is_null: false,
        }
    }

    /// Called before each call.
    pub(crate) fn reset(&mut self) {
        self.first_tick = None;
        self.is_null = false;
        self.limiter.denied = false;
    }

    fn on_tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        (self.hooks.request_tick)();
        if (self.hooks.interrupted)() {
            return Err(Stop::Interrupted.into());
        }
        let start = *self.first_tick.get_or_insert_with(Instant::now);
        let most = (self.hooks.time_limit)();
        let limit = self.time_limit.map_or(most, |own| own.min(most));
        if start.elapsed() > limit {
            return Err(Stop::Time(limit).into());
        }
        Ok(UpdateDeadline::Continue(1))
    }
}

/// Called by wasmtime at the next loop head or function entry after a tick.
pub(crate) fn on_tick(mut store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    store.data_mut().on_tick()
}

/// Why the host ended a guest.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Stop {
    #[error("interrupted")]
    Interrupted,
    #[error("time limit of {0:?}")]
    Time(Duration),
    #[error("log limit")]
    LogFlood,
    #[error("{0}")]
    Violation(String),
}

impl Stop {
    /// As the error that the embedder sees.
    pub(crate) fn into_error(self, backtrace: String) -> Error {
        match self {
            Self::Interrupted => Error::Interrupted,
            Self::Time(limit) => Error::TimeLimit { limit, backtrace },
            Self::LogFlood => Error::LogFlood { limit: MAX_LOG_LINES },
            Self::Violation(what) => Error::AbiViolation(what),
        }
    }
}

/// Caps memories and tables of one instance together.
pub(crate) struct Limiter {
    pub(crate) limit: usize,
    used: usize,
    /// Whether a growth was refused in the running call: a trap that follows is most likely the guest's allocator.
    pub(crate) denied: bool,
}

impl Limiter {
    fn grow(&mut self, current: usize, desired: usize) -> bool {
        let total = desired.checked_sub(current).and_then(|more| self.used.checked_add(more));
        match total {
            Some(total) if total <= self.limit => {
                self.used = total;
                true
            }
            _ => {
                self.denied = true;
                false
            }
        }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current.saturating_mul(TABLE_ELEMENT), desired.saturating_mul(TABLE_ELEMENT)))
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        16
    }

    fn memories(&self) -> usize {
        1
    }
}

/// The permission that an import needs; `None` for those that every guest may have.
pub(crate) fn permission(import: &str) -> Result<Option<(Permission, &'static str)>, ()> {
    match import {
        "error" | "return_null" => Ok(None),
        "log" => Ok(Some((Permission::Log, "log"))),
        _ => Err(()),
    }
}

/// All host functions. Which of them a plugin may import is checked when it is linked.
pub(crate) fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.func_wrap(HOST_MODULE, "log", log)?;
    linker.func_wrap(HOST_MODULE, "error", error)?;
    linker.func_wrap(HOST_MODULE, "return_null", |mut caller: Caller<'_, State>| caller.data_mut().is_null = true)?;
    Ok(linker)
}

/// `lagoon.log(level, address, length)`.
fn log(mut caller: Caller<'_, State>, level: i32, address: i32, length: i32) -> wasmtime::Result<()> {
    let level = match level {
        0 => Level::Debug,
        1 => Level::Log,
        2 => Level::Info,
        3 => Level::Notice,
        4 => Level::Warning,
        other => return Err(Stop::Violation(format!("unknown log level {other}")).into()),
    };
    let text = text_of(&mut caller, address, length, MAX_LOG_LINE)?;
    let lines = &mut caller.data_mut().log;
    if lines.len() >= MAX_LOG_LINES {
        return Err(Stop::LogFlood.into());
    }
    lines.push(LogLine { level, text });
    Ok(())
}

/// `lagoon.error(address, length)`: keeps the error that the running call will end with.
fn error(mut caller: Caller<'_, State>, address: i32, length: i32) -> wasmtime::Result<()> {
    let record = text_of(&mut caller, address, length, MAX_ERROR)?;
    let error = parse_error(&record).map_err(Stop::Violation)?;
    caller.data_mut().error = Some(error);
    Ok(())
}

/// Five characters of SQLSTATE, then message, detail and hint with NUL between them.
fn parse_error(record: &str) -> Result<GuestError, String> {
    let (sqlstate, rest) =
        record.split_at_checked(5).ok_or("an error record has at least the five characters of a SQLSTATE")?;
    let characters = sqlstate.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    let not_an_error = ["00", "01", "02"].iter().any(|class| sqlstate.starts_with(class));
    if !characters || not_an_error {
        return Err(format!("\"{}\" is not the SQLSTATE of an error", sqlstate.escape_debug()));
    }
    let mut fields = rest.split('\0');
    let message = fields.next().unwrap_or_default().to_owned();
    let mut optional = || fields.next().filter(|f| !f.is_empty()).map(str::to_owned);
    let (detail, hint) = (optional(), optional());
    Ok(GuestError { sqlstate: sqlstate.to_owned(), message, detail, hint })
}

/// Guest memory as text, at most `most` bytes of it; what is not UTF-8 is replaced.
fn text_of(caller: &mut Caller<'_, State>, address: i32, length: i32, most: usize) -> wasmtime::Result<String> {
    let Some(Extern::Memory(memory)) = caller.get_export(crate::abi::MEMORY_EXPORT) else {
        return Err(Stop::Violation("the module exports no memory".to_owned()).into());
    };
    let start = address as u32 as usize;
    let length = length as u32 as usize;
    let bytes = start.checked_add(length).and_then(|end| memory.data(&caller).get(start..end)).ok_or_else(|| {
        Stop::Violation(format!("{length} bytes at address {start} are outside of the guest's memory"))
    })?;
    Ok(String::from_utf8_lossy(&bytes[..length.min(most)]).into_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn error_records() {
        let error = parse_error("LG422bad section\0It is empty.\0Give one.").unwrap();
        assert_eq!((error.sqlstate.as_str(), error.message.as_str()), ("LG422", "bad section"));
        assert_eq!(error.detail.as_deref(), Some("It is empty."));
        assert_eq!(error.hint.as_deref(), Some("Give one."));
        assert_eq!(parse_error("P0001no more").unwrap().detail, None);
        for bad in ["", "1234", "00000fine", "01000warning", "lower!"] {
            assert!(parse_error(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_limiter_adds_up_memories_and_tables() {
        let mut limiter = Limiter { limit: 1000, used: 0, denied: false };
        assert!(limiter.memory_growing(0, 500, None).unwrap());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.memory_growing(500, 900, None).unwrap());
        assert!(limiter.denied);
        assert!(limiter.memory_growing(500, 840, None).unwrap());
        assert!(!limiter.memory_growing(0, usize::MAX, None).unwrap());
    }
}
