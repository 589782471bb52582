//! The host's side of a running guest: its state, its limits, and the functions that it may import.
//!
//! No function here calls the embedder while a guest's frames are on the stack, except through [`Hooks`], which must
//! neither unwind nor block. Log lines are kept and handed over when the guest has returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use wasmtime::{Caller, Engine, Extern, Linker, ResourceLimiter, StoreContextMut, UpdateDeadline};

use crate::abi::HOST_MODULE;
use crate::manifest::Permission;
use crate::text::{printable, printable_lines};
use crate::{Error, GuestError, Result};

/// Lines and bytes of log that one call may write; longer lines are cut.
const MAX_LOG_LINES: usize = 1000;
const MAX_LOG_LINE: usize = 8 << 10;
/// Longer error records are cut.
const MAX_ERROR: usize = 64 << 10;
/// Bytes that one table element costs.
const TABLE_ELEMENT: usize = 16;

/// Tables of one instance.
pub(crate) const MAX_TABLES: usize = 16;

/// What the embedder gives. Called from inside a guest, or right before and after: these must neither unwind, jump nor block.
#[derive(Clone, Copy)]
pub struct Hooks {
    /// Answers what is pending; whether the running statement is to end: cancel, termination, time-out.
    pub interrupted: fn() -> bool,
    /// A guest is about to run. From here on the embedder calls [`crate::Runtime::tick`] again and again, about every ten
    /// milliseconds, by itself: a tick that comes while nobody looks must not be the last one.
    pub start_ticks: fn(),
    /// As often as `start_ticks`: no guest of that call runs any more.
    pub stop_ticks: fn(),
    /// The most that any call may take.
    pub time_limit: fn() -> Duration,
    /// The most memory that all instances of the runtime may have together, in bytes.
    pub memory_limit: fn() -> usize,
    /// Asks for so many bytes of idle instances to be dropped, as far as there are such.
    pub make_room: fn(usize),
}

/// Ticks come while this lives; what it holds is the hook that ends them.
pub(crate) struct Ticks(fn());

impl Ticks {
    /// To be called with the deadline armed.
    pub(crate) fn start(hooks: &Hooks) -> Self {
        (hooks.start_ticks)();
        Self(hooks.stop_ticks)
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        (self.0)();
    }
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
    pub(crate) fn new(
        hooks: Hooks,
        memory_limit: usize,
        time_limit: Option<Duration>,
        total: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            hooks,
            limiter: Limiter::new(hooks, memory_limit, total),
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
        self.limiter.denied = None;
    }

    fn on_tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
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

/// Caps memories and tables of one instance, and those of all instances of a runtime.
pub(crate) struct Limiter {
    limit: usize,
    used: usize,
    /// What all instances use.
    total: Arc<AtomicUsize>,
    hooks: Hooks,
    /// Bytes of the growth that was allowed last, should the system not have them.
    last: usize,
    /// Why a growth was refused in the running call: a trap that follows is most likely the guest's allocator.
    denied: Option<Denied>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Denied {
    /// Beyond the limit of an instance.
    Instance,
    /// Beyond the limit of all together.
    Session(usize),
    /// The operating system refused.
    System,
}

impl Limiter {
    fn new(hooks: Hooks, limit: usize, total: Arc<AtomicUsize>) -> Self {
        Self { limit, used: 0, total, hooks, last: 0, denied: None }
    }

    /// Bytes of memories and tables.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The limit of this instance.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// The error of a call in which memory was refused.
    pub(crate) fn refusal(&self, backtrace: Option<String>) -> Option<Error> {
        Some(match self.denied? {
            Denied::Instance => Error::MemoryLimit { limit: self.limit, backtrace },
            Denied::Session(limit) => Error::SessionMemoryLimit { limit, backtrace },
            Denied::System => Error::OutOfMemory("the operating system has no more".to_owned()),
        })
    }

    fn grow(&mut self, current: usize, desired: usize) -> bool {
        match self.judge(current, desired) {
            Ok(more) => {
                self.total.fetch_add(more, Ordering::Relaxed);
                self.used += more;
                self.last = more;
                true
            }
            Err(denied) => {
                self.denied = Some(denied);
                false
            }
        }
    }

    /// How many bytes more it would be, if they may be had.
    fn judge(&self, current: usize, desired: usize) -> Result<usize, Denied> {
        let more = desired.checked_sub(current).ok_or(Denied::Instance)?;
        if self.used.checked_add(more).is_none_or(|used| used > self.limit) {
            return Err(Denied::Instance);
        }
        let most = (self.hooks.memory_limit)();
        let excess = || self.total.load(Ordering::Relaxed).saturating_add(more).saturating_sub(most);
        if excess() > 0 {
            (self.hooks.make_room)(excess());
        }
        if excess() > 0 { Err(Denied::Session(most)) } else { Ok(more) }
    }

    /// What was allowed could not be had.
    fn failed(&mut self) {
        let last = std::mem::take(&mut self.last);
        self.used -= last;
        self.total.fetch_sub(last, Ordering::Relaxed);
        self.denied = Some(Denied::System);
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.total.fetch_sub(self.used, Ordering::Relaxed);
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        // Beyond its own maximum a memory cannot grow: that is nobody's limit but the module's.
        Ok(maximum.is_none_or(|most| desired <= most) && self.grow(current, desired))
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let bytes = |elements: usize| elements.saturating_mul(TABLE_ELEMENT);
        Ok(maximum.is_none_or(|most| desired <= most) && self.grow(bytes(current), bytes(desired)))
    }

    fn table_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        self.failed();
        Ok(())
    }

    fn instances(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        MAX_TABLES
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
    let text = printable(&text_of(&mut caller, address, length, MAX_LOG_LINE)?, MAX_LOG_LINE);
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
    let message = printable(fields.next().unwrap_or_default(), MAX_ERROR);
    let mut optional = || fields.next().filter(|f| !f.is_empty()).map(|f| printable_lines(f, MAX_ERROR));
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

    const HOOKS: Hooks = Hooks {
        interrupted: || false,
        start_ticks: || {},
        stop_ticks: || {},
        time_limit: || Duration::MAX,
        memory_limit: || 1500,
        make_room: |_| {},
    };

    #[test]
    fn the_limiter_adds_up_memories_and_tables() {
        let total = Arc::new(AtomicUsize::new(0));
        let mut limiter = Limiter::new(HOOKS, 1000, total.clone());
        assert!(limiter.memory_growing(0, 500, None).unwrap());
        assert!(limiter.table_growing(0, 10, None).unwrap());
        assert!(!limiter.memory_growing(500, 900, None).unwrap());
        assert_eq!(limiter.denied, Some(Denied::Instance));
        assert!(limiter.memory_growing(500, 840, None).unwrap());
        assert!(!limiter.memory_growing(0, usize::MAX, None).unwrap());

        let mut other = Limiter::new(HOOKS, 1000, total.clone());
        assert!(!other.memory_growing(0, 501, None).unwrap());
        assert_eq!(other.denied, Some(Denied::Session(1500)));
        assert!(other.memory_growing(0, 500, None).unwrap());
        other.memory_grow_failed(wasmtime::Error::msg("no more")).unwrap();
        assert_eq!((other.used(), total.load(Ordering::Relaxed)), (0, 1000));
        drop(limiter);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }
}
