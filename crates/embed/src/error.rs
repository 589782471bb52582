//! Everything that can go wrong between a text and its vector.

use std::path::{Path, PathBuf};

/// An error of this crate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no path to ONNX Runtime.
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
    /// A pipe, device or directory in the place of a file.
    #[error("\"{0}\" is not a regular file")]
    NotRegular(PathBuf),
    /// More bytes than a part may have.
    #[error("\"{path}\" has {size} bytes, more than the {limit} that such a file may have")]
    FileTooLarge { path: PathBuf, size: u64, limit: u64 },
    /// A file was written to while it was read.
    #[error("\"{0}\" changed while it was being read")]
    FileChanging(PathBuf),
    /// A part cannot be understood, or contradicts another.
    #[error("\"{path}\" is not valid: {reason}")]
    FileInvalid { path: PathBuf, reason: String },
    /// A valid model of a kind that Lagoon does not run.
    #[error("\"{path}\" requires {what}, which is not supported")]
    Unsupported { path: PathBuf, what: String },
    /// The graph has no output of tokens or sentences under a name that Lagoon knows.
    #[error("\"{path}\" has none of the outputs that Lagoon reads; it has {found}")]
    NoOutput { path: PathBuf, found: String },
    /// The files are not those that were registered.
    #[error("the files of model \"{0}\" have changed since it was registered")]
    ModelChanged(String),
    /// Not registered.
    #[error("model \"{0}\" does not exist")]
    UnknownModel(String),
    /// lagoon.models cannot be read or written.
    #[error("could not use table lagoon.models: {0}")]
    Catalog(String),
    /// Another role's model.
    #[error("must be owner of model \"{0}\"")]
    NotOwner(String),
    /// A role that may not read the server's files.
    #[error("permission denied to register a model")]
    MayNotRegister,
    /// More elements than the type vector has.
    #[error("model \"{name}\" gives vectors of {dimension} elements, more than {limit}")]
    TooWide { name: String, dimension: usize, limit: usize },
    /// The vectors of an array are more than one value can hold.
    #[error("{count} vectors of {dimension} elements are more than an array can hold")]
    TooManyVectors { count: usize, dimension: usize },
    /// The longest prefix that is tokenised does not determine the model's tokens.
    #[error("a text of {bytes} bytes is too long to be cut to {tokens} tokens")]
    TextTooLong { bytes: usize, tokens: usize, limit: usize },
    /// This number of bytes could not be allocated.
    #[error("out of memory: could not allocate {0} bytes")]
    Memory(u64),
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
    /// The request was cancelled.
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
            Self::NotRegular(_) => "42809",
            Self::FileTooLarge { .. }
            | Self::TooWide { .. }
            | Self::TooManyVectors { .. }
            | Self::TextTooLong { .. } => "54000",
            Self::FileChanging(_) => "LG006",
            Self::NotOwner(_) | Self::MayNotRegister => "42501",
            Self::Memory(_) => "53200",
            Self::FileUnreadable { denied: true, .. } => "42501",
            Self::FileUnreadable { denied: false, .. } => "58030",
            Self::FileInvalid { .. } => "LGE01",
            Self::Inference { .. } | Self::NotFinite(_) => "LGE02",
            Self::Unsupported { .. } | Self::NoOutput { .. } => "0A000",
            Self::UnknownModel(_) => "42704",
            Self::Cancelled => "57014",
            Self::NotStarted(_) => "53000",
            Self::TelemetryEnabled | Self::Panicked(_) | Self::Catalog(_) => "XX000",
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TextTooLong { limit, .. } => {
                return Some(format!(
                    "Shorten the text: {limit} bytes of it hold too few tokens, as with long white space or one long word."
                ));
            }
            Self::LibraryNotSet | Self::LibraryNotAbsolute(_) => {
                "Set it to the absolute path of libonnxruntime.so, version 1.18 or later, for example from the Python \
                 package onnxruntime."
            }
            Self::LibraryMissing(_) => {
                "Set lagoon.onnxruntime_library to a file that the server's operating system user can read."
            }
            Self::LibraryUnusable { .. } => {
                "Set lagoon.onnxruntime_library to libonnxruntime.so, version 1.18 or later, built for this machine."
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
            Self::NotRegular(_) => "A model is made of regular files, or of links to such.",
            Self::FileTooLarge { .. } => "Register a smaller model.",
            Self::FileChanging(_) => "Try again when the model's files are complete.",
            Self::NoOutput { .. } => {
                "Export the model for feature extraction, so that it has an output of type float named last_hidden_state, \
                 token_embeddings or sentence_embedding."
            }
            Self::NotOwner(_) => "Only the role that registered a model, and superusers, may replace or drop it.",
            Self::MayNotRegister => "Registering a model needs membership in the role pg_read_server_files.",
            Self::TooManyVectors { .. } => "Embed fewer texts at a time.",
            Self::ModelChanged(_) => {
                "Vectors of two versions must not be mixed: restore the files, or run lagoon.register_model again and embed \
                 all texts again."
            }
            Self::UnknownModel(_) => "Register it with lagoon.register_model(name, directory); see lagoon.models.",
            Self::InvalidName(_) => "A name has 1 to 63 bytes and no control characters.",
            Self::EmptyText { .. } => "Use NULLIF(text, '') to get NULL instead.",
            Self::Unsupported { .. }
            | Self::TooWide { .. }
            | Self::Memory(_)
            | Self::Catalog(_)
            | Self::Inference { .. }
            | Self::NotFinite(_)
            | Self::Cancelled
            | Self::NotStarted(_) => return None,
        };
        Some(hint.to_owned())
    }

    pub(crate) fn file(path: &Path, error: lagoon_file::Error) -> Self {
        use lagoon_file::Error as File;
        let path = path.to_owned();
        match error {
            File::Missing => {
                Self::FileUnreadable { path, denied: false, reason: "no such file or directory".to_owned() }
            }
            File::Permission | File::Outside => {
                Self::FileUnreadable { path, denied: true, reason: "permission denied".to_owned() }
            }
            File::NotRegular => Self::NotRegular(path),
            File::TooLarge { size, limit } => Self::FileTooLarge { path, size, limit },
            File::Memory { size } => Self::Memory(size),
            File::Changed => Self::FileChanging(path),
            File::Interrupted => Self::Cancelled,
            // The name of the condition only: the number and the rest differ between systems.
            File::Io(error) => Self::FileUnreadable { path, denied: false, reason: error.kind().to_string() },
            other => Self::FileUnreadable { path, denied: false, reason: other.to_string() },
        }
    }

    pub(crate) fn invalid(path: &Path, reason: impl Into<String>) -> Self {
        Self::FileInvalid { path: path.to_owned(), reason: reason.into() }
    }

    pub(crate) fn unsupported(path: &Path, what: impl Into<String>) -> Self {
        Self::Unsupported { path: path.to_owned(), what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::Error;

    /// The manual has the messages and hints of class `LG` as they are here.
    #[test]
    fn errors_are_as_the_manual_says() {
        let page = include_str!("../../../docs/operations/errors.md");
        let (name, reason) = ("name".to_owned(), "reason".to_owned());
        let errors = [
            Error::FileInvalid { path: "path".into(), reason: reason.clone() },
            Error::Inference { model: name.clone(), reason },
            Error::NotFinite(name),
        ];
        for error in errors {
            let start = format!("| `{}` | {error} | ", error.sqlstate());
            let hint = error.hint().map(|hint| format!("{hint} ")).unwrap_or_default();
            let end = format!(" | {hint}|");
            assert!(page.lines().any(|l| l.starts_with(&start) && l.ends_with(&end)), "no line {start}...{end}");
        }
        let changing = Error::FileChanging("path".into());
        assert!(page.contains(&format!("`{changing}`: {}", changing.hint().unwrap_or_default())));
    }
}
