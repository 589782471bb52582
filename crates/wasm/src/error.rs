//! The errors of this crate, with SQLSTATE, detail, hint and context.

use std::path::PathBuf;
use std::time::Duration;

use crate::text::shown;

use crate::text::{NAME, printable};

/// An error that the guest has raised with `lagoon.error`, with the fields of a PostgreSQL error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestError {
    /// Five of `0-9A-Z`, never a class that means success or warning.
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // Of modules and manifests.
    #[error("not a WebAssembly module: {0}")]
    NotWasm(String),
    #[error("WebAssembly components are not supported yet")]
    Component,
    #[error("WebAssembly module has {size} bytes, more than the limit of {limit}")]
    ModuleTooLarge { size: usize, limit: usize },
    #[error("invalid WebAssembly module: {0}")]
    InvalidModule(String),
    #[error("WebAssembly module has {count} tables, more than the limit of {limit}")]
    TooManyTables { count: usize, limit: usize },
    #[error("compiling the WebAssembly module takes more than {limit} MB of memory")]
    CompileMemory { limit: usize },
    #[error("compiling the WebAssembly module takes more than {} ms", limit.as_millis())]
    CompileTime { limit: Duration },
    #[error("WebAssembly module is too complex to be compiled: the compiler {0}")]
    CompilerDied(String),
    #[error("module does not declare its ABI: it has no export \"{}\"", crate::abi::VERSION_EXPORT)]
    AbiMissing,
    #[error("module uses ABI \"{0}\", this server supports \"{ours}\"", ours = crate::abi::VERSION_EXPORT)]
    AbiVersion(String),
    #[error("module imports \"{module}.{name}\", which the host does not provide")]
    UnknownImport { module: String, name: String },
    #[error("module imports \"lagoon.{import}\" without the permission \"{permission}\"")]
    PermissionDenied { import: String, permission: &'static str },
    #[error("invalid plugin manifest: {0}")]
    Manifest(String),
    #[error("permission \"{0}\" is not available in this version")]
    PermissionUnavailable(String),
    #[error("invalid plugin name \"{0}\"")]
    PluginName(String),

    // Of the declarations of SQL functions.
    #[error("plugin \"{plugin}\" has no export \"{export}\"")]
    ExportMissing { plugin: String, export: String },
    #[error("export \"{export}\" of plugin \"{plugin}\" is {found}, the function needs {wanted}")]
    SignatureMismatch { plugin: String, export: String, found: String, wanted: String },
    #[error("plugin \"{plugin}\" does not export \"{export}\", which text and rows need")]
    SupportMissing { plugin: String, export: &'static str },

    // Of calls.
    #[error("{message}")]
    Guest { message: String, error: Box<GuestError>, backtrace: Option<String> },
    #[error("division by zero")]
    DivisionByZero { backtrace: String },
    #[error("number out of range in WebAssembly function")]
    NumberOutOfRange { backtrace: String },
    #[error("stack of WebAssembly function exhausted")]
    StackOverflow { backtrace: String },
    #[error("WebAssembly function stopped: {what}")]
    Trap { what: String, backtrace: String },
    #[error("WebAssembly function exceeded its memory limit of {limit} bytes")]
    MemoryLimit { limit: usize, backtrace: Option<String> },
    #[error("WebAssembly functions of the session exceeded their memory limit of {limit} bytes")]
    SessionMemoryLimit { limit: usize, backtrace: Option<String> },
    #[error("out of memory for a WebAssembly function: {0}")]
    OutOfMemory(String),
    #[error("could not start WebAssembly plugin: {0}")]
    CannotStart(String),
    #[error("WebAssembly function exceeded its time limit of {} ms", limit.as_millis())]
    TimeLimit { limit: Duration, backtrace: String },
    #[error("WebAssembly function used up its fuel of {limit}")]
    OutOfFuel { limit: u64, backtrace: String },
    #[error("WebAssembly function was interrupted")]
    Interrupted,
    #[error("WebAssembly function wrote more than {limit} log lines in one call")]
    LogFlood { limit: usize },
    #[error("WebAssembly function violated the ABI: {0}")]
    AbiViolation(String),
    #[error("WebAssembly function returned text that is not valid UTF-8")]
    InvalidText,
    #[error("WebAssembly function returned {value}, which is out of range for type {type_name}")]
    OutOfRange { value: i64, type_name: &'static str },
    #[error("WebAssembly function returned text of {size} bytes, more than the limit of {limit}")]
    TextTooLong { size: usize, limit: usize },
    #[error("WebAssembly calls are nested more than {limit} deep")]
    NestedTooDeep { limit: usize },

    /// Adds a line of CONTEXT.
    #[error("{error}")]
    Within { place: String, error: Box<Error> },

    // Found by the embedder.
    #[error("plugin \"{0}\" does not exist")]
    UnknownPlugin(String),
    #[error("plugin \"{0}\" is disabled")]
    Disabled(String),
    #[error("invalid body of WebAssembly function: \"{0}\"")]
    Body(String),
    #[error("type {type_name} is not supported by language wasm")]
    UnsupportedType { type_name: String },
    #[error("{0} are not supported by language wasm")]
    UnsupportedFunction(&'static str),
    #[error("WebAssembly triggers must be {0}")]
    UnsupportedTrigger(&'static str),
    #[error("column \"{column}\" of relation \"{relation}\", which plugin \"{plugin}\" requires, does not exist")]
    ColumnMissing { plugin: String, relation: String, column: String },
    #[error("column \"{column}\" of relation \"{relation}\" has type {found}, plugin \"{plugin}\" requires {wanted}")]
    ColumnType { plugin: String, relation: String, column: String, found: String, wanted: &'static str },
    #[error("value too long for type character varying({0})")]
    TooLong(usize),
    #[error("cannot remove plugin \"{plugin}\" because functions use it")]
    StillUsed { plugin: String, functions: Vec<String> },
    #[error("plugin \"{plugin}\" cannot be replaced: function {function} would break: {reason}")]
    BreaksFunction { plugin: String, function: String, reason: Box<Error> },
    #[error("{0} must not be null")]
    NullArgument(&'static str),
    #[error("must be owner of plugin \"{0}\"")]
    NotOwner(String),
    #[error("must be superuser to {0}")]
    SuperuserOnly(&'static str),
    #[error("lagoon.functions_directory is not set")]
    NoDirectory,
    #[error("plugin \"{name}\" is in the folder twice: \"{}\" and \"{}\"", first.display(), second.display())]
    Twice { name: String, first: PathBuf, second: PathBuf },
    #[error("folder \"{}\" has more than {limit} entries", shown(&path.to_string_lossy()))]
    FolderTooLarge { path: PathBuf, limit: usize },
    #[error("could not read \"{}\": {source}", shown(&path.to_string_lossy()))]
    File { path: PathBuf, source: lagoon_file::Error },
    #[error("could not {action} \"{}\": {source}", shown(&path.to_string_lossy()))]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    #[error("internal error of the WebAssembly engine: {0}")]
    Internal(String),
}

impl Error {
    /// The same error, with the function of the plugin in its context.
    #[must_use]
    pub fn within(self, plugin: &str, export: &str) -> Self {
        self.at(|| format!("wasm function \"{plugin}:{}\"", printable(export, NAME)))
    }

    /// The same error, with the plugin that was being started in its context.
    #[must_use]
    pub fn at_start(self, plugin: &str) -> Self {
        self.at(|| format!("start of wasm plugin \"{plugin}\""))
    }

    /// The same error with a line of context; an interrupt gets none.
    fn at(self, place: impl FnOnce() -> String) -> Self {
        match self {
            Self::Interrupted => self,
            error => Self::Within { place: place(), error: Box::new(error) },
        }
    }

    /// The five characters of the SQL standard and of errcodes.h.
    pub fn sqlstate(&self) -> &str {
        match self {
            Self::NotWasm(_) | Self::InvalidModule(_) => "22P03",
            Self::Manifest(_) => "22023",
            Self::PluginName(_) => "42602",
            Self::Component | Self::AbiVersion(_) | Self::PermissionUnavailable(_) => "0A000",
            Self::UnsupportedType { .. } | Self::UnsupportedFunction(_) | Self::UnsupportedTrigger(_) => "0A000",
            Self::ModuleTooLarge { .. } | Self::TooManyTables { .. } | Self::LogFlood { .. } => "54000",
            Self::CompileTime { .. } | Self::CannotStart(_) | Self::TextTooLong { .. } => "54000",
            Self::CompilerDied(_) => "54001",
            Self::Within { error, .. } => error.sqlstate(),
            Self::AbiMissing | Self::UnknownImport { .. } => "42883",
            Self::ExportMissing { .. } | Self::SupportMissing { .. } => "42883",
            Self::PermissionDenied { .. } | Self::SuperuserOnly(_) | Self::NotOwner(_) => "42501",
            Self::SignatureMismatch { .. } | Self::Body(_) => "42P13",
            Self::Guest { error, .. } => &error.sqlstate,
            Self::DivisionByZero { .. } => "22012",
            Self::NumberOutOfRange { .. } | Self::OutOfRange { .. } => "22003",
            Self::StackOverflow { .. } | Self::NestedTooDeep { .. } => "54001",
            Self::Trap { .. } => "38000",
            Self::MemoryLimit { .. } | Self::SessionMemoryLimit { .. } | Self::OutOfMemory(_) => "53200",
            Self::CompileMemory { .. } => "53200",
            Self::TimeLimit { .. } | Self::OutOfFuel { .. } | Self::Interrupted => "57014",
            Self::AbiViolation(_) => "39000",
            Self::InvalidText => "22021",
            Self::UnknownPlugin(_) => "42704",
            Self::Disabled(_) | Self::NoDirectory => "55000",
            Self::ColumnMissing { .. } => "42703",
            Self::ColumnType { .. } => "42804",
            Self::TooLong(_) => "22001",
            Self::StillUsed { .. } | Self::BreaksFunction { .. } => "2BP01",
            Self::NullArgument(_) => "22004",
            Self::Twice { .. } => "42710",
            Self::FolderTooLarge { .. } => "54000",
            Self::File { source, .. } => match source {
                lagoon_file::Error::Missing => "58P01",
                lagoon_file::Error::Permission | lagoon_file::Error::Outside => "42501",
                lagoon_file::Error::NotRegular | lagoon_file::Error::NotDirectory => "42809",
                lagoon_file::Error::TooLarge { .. } => "54000",
                lagoon_file::Error::Memory { .. } => "53200",
                lagoon_file::Error::Changed => "LG006",
                lagoon_file::Error::Interrupted => "57014",
                lagoon_file::Error::Io(source) => of_io(source),
            },
            Self::Io { source, .. } => of_io(source),
            Self::Internal(_) => "XX000",
        }
    }

    /// The DETAIL line.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::Guest { error, .. } => error.detail.clone(),
            Self::Within { error, .. } => error.detail(),
            Self::StillUsed { functions, .. } => Some(format!("Functions: {}.", functions.join(", "))),
            _ => None,
        }
    }

    /// The HINT line.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Guest { error, .. } => return error.hint.clone(),
            Self::Within { error, .. } => return error.hint(),
            Self::NotWasm(_) => {
                "A module starts with the bytes 00 61 73 6d 01 00 00 00; WAT text must be compiled first."
            }
            Self::AbiMissing => "Build the plugin with the crate lagoon-guest, or see guest/ABI.md.",
            Self::AbiVersion(_) => "Build the plugin with the lagoon-guest of this version.",
            Self::UnknownImport { .. } => {
                "Build plugins for wasm32-unknown-unknown: the host provides neither WASI nor JavaScript."
            }
            Self::PermissionDenied { permission, .. } => {
                return Some(format!("Add \"{permission}\" to the permissions in the plugin's manifest."));
            }
            Self::PermissionUnavailable(_) => "The permissions of this version are: log.",
            Self::PluginName(_) => "A name is a lower-case letter and up to 62 letters, digits or underscores.",
            Self::SignatureMismatch { .. } => {
                "guest/ABI.md says how SQL types map to WebAssembly types; functions that are not STRICT have an i64 first."
            }
            Self::MemoryLimit { .. } => {
                "The limit is limits.memory in the plugin's manifest, at most lagoon.wasm_memory_limit."
            }
            Self::SessionMemoryLimit { .. } => {
                "The limit is lagoon.wasm_session_memory_limit, for all plugins that the session uses together."
            }
            Self::CompileMemory { .. } => "The limit is lagoon.wasm_compile_memory_limit.",
            Self::CompileTime { .. } => "The limit is lagoon.wasm_compile_time_limit.",
            Self::TimeLimit { .. } => {
                "The limit is limits.time in the plugin's manifest, at most lagoon.wasm_time_limit."
            }
            Self::OutOfFuel { .. } => "The limit is limits.fuel in the plugin's manifest.",
            Self::UnknownPlugin(_) => {
                "lagoon.plugin_status lists those that are installed, lagoon.install_plugin() installs one."
            }
            Self::Disabled(_) => "To enable it, UPDATE lagoon.plugins SET enabled = true.",
            Self::Body(_) => "Write AS 'plugin:export'.",
            Self::UnsupportedType { .. } => "Use bool, int2, int4, int8, float4, float8, text or varchar.",
            Self::StillUsed { .. } => "Drop these functions first, or use lagoon.remove_plugin(name, cascade => true).",
            Self::BreaksFunction { .. } => "Drop or replace the function first.",
            Self::Twice { .. } => "Remove one of the two.",
            Self::FolderTooLarge { .. } => "Keep the plugins in a folder of their own.",
            Self::File { source: lagoon_file::Error::Changed, .. } => {
                "Write another file and rename it to this name when it is complete."
            }
            Self::NoDirectory => "Set it in postgresql.conf to the folder that holds the plugins.",
            Self::Internal(_) => "This is a bug in Lagoon; the session can go on.",
            _ => return None,
        };
        Some(text.to_owned())
    }

    /// The CONTEXT lines: the guest's backtrace.
    pub fn context(&self) -> Option<String> {
        let text = match self {
            Self::Within { place, error } => {
                let inner = error.context().map(|inner| inner + "\n").unwrap_or_default();
                return Some(inner + place);
            }
            Self::Guest { backtrace, .. }
            | Self::MemoryLimit { backtrace, .. }
            | Self::SessionMemoryLimit { backtrace, .. } => backtrace.as_deref()?,
            Self::DivisionByZero { backtrace }
            | Self::NumberOutOfRange { backtrace }
            | Self::StackOverflow { backtrace }
            | Self::Trap { backtrace, .. }
            | Self::TimeLimit { backtrace, .. }
            | Self::OutOfFuel { backtrace, .. } => backtrace,
            _ => return None,
        };
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// The SQLSTATE of an error of the operating system, as in errcodes.h.
fn of_io(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::NotFound => "58P01",
        std::io::ErrorKind::PermissionDenied => "42501",
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "53100",
        std::io::ErrorKind::OutOfMemory => "53200",
        _ => "58030",
    }
}
