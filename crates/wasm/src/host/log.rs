//! The host function `lagoon.log`.

use wasmtime::{Caller, Linker};

use super::{Capability, State, Stop, text_of};
use crate::abi::HOST_MODULE;
use crate::manifest::Permission;
use crate::text::printable;

/// Maximum number of lines, and of bytes, that a call may log; longer lines are truncated.
pub(super) const MAX_LINES: usize = 1000;
const MAX_LINE: usize = 8 << 10;

/// The severity of a log line.
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

pub(super) struct Log;

impl Capability for Log {
    fn permission(&self) -> Option<Permission> {
        Some(Permission::Log)
    }

    fn imports(&self) -> &'static [&'static str] {
        &["log"]
    }

    fn link(&self, linker: &mut Linker<State>) -> wasmtime::Result<()> {
        linker.func_wrap(HOST_MODULE, "log", write).map(drop)
    }
}

/// `lagoon.log(level, address, length)`.
fn write(mut caller: Caller<'_, State>, level: i32, address: i32, length: i32) -> wasmtime::Result<()> {
    let level = match level {
        0 => Level::Debug,
        1 => Level::Log,
        2 => Level::Info,
        3 => Level::Notice,
        4 => Level::Warning,
        other => return Err(Stop::Violation(format!("unknown log level {other}")).into()),
    };
    let text = printable(&text_of(&mut caller, address, length, MAX_LINE)?, MAX_LINE);
    let lines = &mut caller.data_mut().log;
    if lines.len() >= MAX_LINES {
        return Err(Stop::LogFlood.into());
    }
    lines.push(LogLine { level, text });
    Ok(())
}
