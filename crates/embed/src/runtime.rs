//! ONNX Runtime, loaded at run time, with one environment for the life of the process.

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::Error;

/// Must be "1" before the library is loaded: otherwise official builds since 1.29 start a thread that reports to their vendor,
/// and write files into the home directory.
pub const TELEMETRY_VARIABLE: &str = "ORT_DISABLE_TELEMETRY";

/// The lowest version of the C API that the library must offer: 1.18.
pub const API_LEVEL: u32 = ort::MINOR_VERSION;

/// A loaded library and its environment. A process can have one only once: clones share it, and when the last clone and the
/// last session are dropped, it cannot be loaded again.
///
/// It must not be made in a process that forks afterwards: a child that exits would crash, since it has not inherited the
/// library's threads.
#[derive(Clone)]
pub struct Runtime {
    environment: Environment,
    library: PathBuf,
    version: String,
}

impl Runtime {
    /// Loads the library, an absolute path.
    pub fn start(library: &Path) -> Result<Self, Error> {
        if library.as_os_str().is_empty() {
            return Err(Error::LibraryNotSet);
        }
        if !library.is_absolute() {
            return Err(Error::LibraryNotAbsolute(library.display().to_string()));
        }
        if std::env::var_os(TELEMETRY_VARIABLE).is_none_or(|value| value != "1") {
            return Err(Error::TelemetryEnabled);
        }
        let unusable = |reason: String| Error::LibraryUnusable { path: library.to_owned(), reason };
        // The loader would block on a pipe, and SIGBUS would end the process if the file is truncated.
        let file = lagoon_file::open(library, lagoon_file::Scope::Anywhere).map_err(|error| match error {
            lagoon_file::Error::Missing => Error::LibraryMissing(library.to_owned()),
            other => unusable(other.to_string()),
        })?;
        if !is_complete(&file).unwrap_or(true) {
            return Err(unusable("it is cut short".to_owned()));
        }
        // Before any other call into `ort`: those panic when the library cannot be loaded.
        let builder = ort::init_from(library).map_err(|error| unusable(load_reason(&error)))?;
        let environment = builder.with_name("lagoon").with_telemetry(false).build();
        let environment = environment.map_err(|error| unusable(error.to_string()))?;
        environment.set_log_level(LogLevel::Fatal); // failures are returned as values
        // The file is loaded already, so this only calls it. It does not give the patch level.
        let version = ort::util::probe(library).map_or_else(|| "unknown".to_owned(), |minor| format!("1.{minor}"));
        Ok(Self { environment, library: library.to_owned(), version })
    }

    /// The path that it was loaded from.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// Its version: major and minor number.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Information about the library's build: branch, commit, type.
    pub fn build_info(&self) -> &'static str {
        ort::info()
    }

    pub(crate) fn environment(&self) -> &Environment {
        &self.environment
    }
}

/// Whether the file has all bytes that its ELF header promises: the loader maps them without a check. It does check whether the
/// file is a library at all.
fn is_complete(file: &lagoon_file::RegularFile) -> std::io::Result<bool> {
    let size = file.identity().size;
    let mut header = [0; 64];
    file.file().read_exact_at(&mut header, 0)?;
    if header[..6] != *b"\x7fELF\x02\x01" {
        return Ok(true);
    }
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let (start, length, count) = (number(&header[32..40]), number(&header[54..56]), number(&header[56..58]));
    for index in 0..count {
        let mut segment = [0; 56];
        let at = start.checked_add(index * length).filter(|at| *at < size);
        let Some(at) = at else { return Ok(false) };
        file.file().read_exact_at(&mut segment, at)?;
        let is_loaded = number(&segment[..4]) == 1;
        if is_loaded && number(&segment[8..16]).checked_add(number(&segment[32..40])).is_none_or(|end| end > size) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn load_reason(error: &ort::LoadDynamicError) -> String {
    match error {
        ort::LoadDynamicError::Dlopen { error, .. } => error.to_string(),
        ort::LoadDynamicError::MissingApi { .. } => "it does not export OrtGetApiBase".to_owned(),
        ort::LoadDynamicError::InvalidVersionString => "it has no version".to_owned(),
        ort::LoadDynamicError::BadVersion { version_str, .. } => {
            format!("it is version {version_str}, and 1.{API_LEVEL} or later is needed")
        }
    }
}
