//! Everything that can go wrong between a text and its vector.

use std::path::{Path, PathBuf};

/// Why there is no vector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No path to ONNX Runtime.
    #[error("lagoon.onnxruntime_library is not set")]
    LibraryNotSet,
    /// The path depends on the working directory.
    #[error("lagoon.onnxruntime_library is not an absolute path: \"{0}\"")]
    LibraryNotAbsolute(String),
    /// No such file.
    #[error("ONNX Runtime library \"{0}\" does not exist")]
    LibraryMissing(PathBuf),
    /// A file, but not a usable library.
    #[error("could not load ONNX Runtime library \"{path}\": {reason}")]
    LibraryUnusable { path: PathBuf, reason: String },
    /// The process was started without ORT_DISABLE_TELEMETRY=1.
    #[error("the telemetry of ONNX Runtime is not disabled in this process")]
    TelemetryEnabled,
    /// A relative model directory.
    #[error("model directory is not an absolute path: \"{0}\"")]
    DirectoryNotAbsolute(String),
    /// No such directory, or a file.
    #[error("model directory \"{0}\" does not exist")]
    DirectoryMissing(PathBuf),
    /// A part of the model is not there.
    #[error("model directory \"{directory}\" has no {file}")]
    FileMissing { directory: PathBuf, file: &'static str },
    /// The operating system refuses to read a part.
    #[error("could not read \"{path}\": {reason}")]
    FileUnreadable { path: PathBuf, denied: bool, reason: String },
    /// A part cannot be understood, or contradicts another.
    #[error("\"{path}\" is not valid: {reason}")]
    FileInvalid { path: PathBuf, reason: String },
    /// A valid model of a kind that Lagoon does not run.
    #[error("\"{path}\" asks for {what}, which is not supported")]
    Unsupported { path: PathBuf, what: String },
    /// The files are not those that were registered.
    #[error("the files of model \"{0}\" have changed since it was registered")]
    ModelChanged(String),
    /// Not registered.
    #[error("model \"{0}\" does not exist")]
    UnknownModel(String),
    /// lagoon.models cannot be read or written.
    #[error("could not use table lagoon.models: {0}")]
    Catalog(String),
    /// A name that a model cannot have.
    #[error("invalid model name \"{0}\"")]
    InvalidName(String),
    /// A text of no characters but white space. The position counts from 1 in an array.
    #[error("cannot embed an empty text{}", .position.map(|p| format!(" (element {p})")).unwrap_or_default())]
    EmptyText { position: Option<usize> },
    /// The graph failed on this input.
    #[error("inference with model \"{model}\" failed: {reason}")]
    Inference { model: String, reason: String },
    /// The graph gave NaN or an infinity.
    #[error("model \"{0}\" gave a vector that is not finite")]
    NotFinite(String),
    /// The request was withdrawn.
    #[error("embedding was canceled")]
    Cancelled,
    /// The engine thread panicked: a bug.
    #[error("internal error in the embedding engine: {0}")]
    Panicked(String),
    /// The engine thread could not be started.
    #[error("could not start the embedding engine: {0}")]
    NotStarted(String),
}

impl Error {
    /// Five characters. Class `LG` is Lagoon's own.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::LibraryNotSet | Self::ModelChanged(_) => "55000",
            Self::LibraryNotAbsolute(_)
            | Self::DirectoryNotAbsolute(_)
            | Self::InvalidName(_)
            | Self::EmptyText { .. } => "22023",
            Self::LibraryMissing(_) | Self::DirectoryMissing(_) | Self::FileMissing { .. } => "58P01",
            Self::LibraryUnusable { .. } => "58000",
            Self::FileUnreadable { denied: true, .. } => "42501",
            Self::FileUnreadable { denied: false, .. } => "58030",
            Self::FileInvalid { .. } => "LGE01",
            Self::Inference { .. } | Self::NotFinite(_) => "LGE02",
            Self::Unsupported { .. } => "0A000",
            Self::UnknownModel(_) => "42704",
            Self::Cancelled => "57014",
            Self::NotStarted(_) => "53000",
            Self::TelemetryEnabled | Self::Panicked(_) | Self::Catalog(_) => "XX000",
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::LibraryNotSet | Self::LibraryNotAbsolute(_) => {
                "Set it to the absolute path of libonnxruntime.so, version 1.17 or later, for example from the Python \
                 package onnxruntime."
            }
            Self::LibraryMissing(_) => {
                "Set lagoon.onnxruntime_library to a file that the server's operating system user can read."
            }
            Self::LibraryUnusable { .. } => {
                "Set lagoon.onnxruntime_library to libonnxruntime.so, version 1.17 or later, built for this machine."
            }
            Self::TelemetryEnabled | Self::Panicked(_) => "This is a bug in Lagoon; the session can go on.",
            Self::DirectoryNotAbsolute(_) => "The directory is one of the database server, not of the client.",
            Self::DirectoryMissing(_) => {
                "The directory must exist on the database server and be readable by its operating system user."
            }
            Self::FileMissing { file, .. } => match *file {
                "tokenizer.json" => "Save the model with its fast tokenizer, for example with save_pretrained().",
                "model.onnx or onnx/model.onnx" => "Export the model to ONNX first.",
                _ => "Copy the whole model directory, with its subdirectories.",
            },
            Self::FileUnreadable { .. } => "The server's operating system user must be able to read it.",
            Self::FileInvalid { .. } => "Copy the file from the model's source again.",
            Self::ModelChanged(_) => {
                "Vectors of another version must not be mixed with stored ones: restore the files, or run \
                 lagoon.register_model again and embed all texts anew."
            }
            Self::UnknownModel(_) => "Register it with lagoon.register_model(name, directory); see lagoon.models.",
            Self::InvalidName(_) => "A name has 1 to 63 bytes and no control characters.",
            Self::EmptyText { .. } => "Use NULLIF(text, '') to get NULL instead.",
            Self::Unsupported { .. }
            | Self::Catalog(_)
            | Self::Inference { .. }
            | Self::NotFinite(_)
            | Self::Cancelled
            | Self::NotStarted(_) => return None,
        };
        Some(hint.to_owned())
    }

    pub(crate) fn read(path: &Path, error: &std::io::Error) -> Self {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        // The name of the condition only: the number and the rest differ between systems.
        Self::FileUnreadable { path: path.to_owned(), denied, reason: error.kind().to_string() }
    }

    pub(crate) fn invalid(path: &Path, reason: impl Into<String>) -> Self {
        Self::FileInvalid { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn unsupported(path: &Path, what: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_owned(), what: what.into() }
    }
}
