//! What can go wrong in the lake. SQLSTATEs of class `LG0` are ours: errcodes.h has no code for a bad Parquet file.

use std::fmt::Display;

use crate::fault::Fault;

/// Shorthand of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Every error of the lake, engine and glue.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// LG001: a dataset exists with other columns.
    #[error("dataset \"{name}\" has other columns than file \"{path}\"")]
    SchemaDrift { name: String, path: String, was: String, now: String },
    /// LG002: neither the head nor the tail of the file is a Parquet file's.
    #[error("file \"{path}\" is not a Parquet file")]
    NotParquet { path: String },
    /// LG003: begins as a Parquet file, does not end as one.
    #[error("Parquet file \"{path}\" is truncated")]
    Truncated { path: String },
    /// LG004: magic at both ends, nonsense between.
    #[error("Parquet file \"{path}\" is damaged: {message}")]
    Corrupt { path: String, message: String },
    /// LG005: the files of one table have different columns.
    #[error("file \"{path}\" has other columns than \"{first}\": {message}")]
    FilesDisagree { path: String, first: String, message: String },
    /// LG006: a file was replaced between planning and reading.
    #[error("file \"{path}\" changed while it was being read")]
    FileChanged { path: String },
    /// 58P01: no such file, or a pattern that matches none.
    #[error("no Parquet file matches \"{path}\"")]
    NoFile { path: String },
    /// 58P01: no such file.
    #[error("could not open file \"{path}\": no such file or directory")]
    MissingFile { path: String },
    /// 42501: the operating system says no.
    #[error("could not open file \"{path}\": permission denied")]
    FilePermission { path: String },
    /// 42501: our rules say no.
    #[error("permission denied to {action} \"{path}\"")]
    PathDenied { action: &'static str, path: String, hint: &'static str },
    /// 42501: a function that needs a role.
    #[error("permission denied to {action}")]
    RoleDenied { action: &'static str, hint: &'static str },
    /// 42809: a directory, pipe, socket or device.
    #[error("\"{path}\" is not a regular file")]
    NotRegular { path: String },
    /// 54000: a path that names more than we look at.
    #[error("path \"{path}\" leads to more than {limit} {what}")]
    TooMany { path: String, what: &'static str, limit: usize },
    /// 42602: a path that means something else in another working directory.
    #[error("path \"{path}\" is not absolute")]
    RelativePath { path: String },
    /// 58030: anything else that the operating system reports.
    #[error("could not {action} \"{path}\": {message}")]
    Io { action: &'static str, path: String, message: String },
    /// 53100: no room left, on the disk or in a quota.
    #[error("could not {action} \"{path}\": {message}")]
    DiskFull { action: &'static str, path: String, message: String },
    /// 0A000: a column whose type has no counterpart.
    #[error("column \"{column}\" of file \"{path}\" has type {ty}, which is not supported")]
    UnsupportedType { path: String, column: String, ty: String },
    /// 0A000: something that this version does not do.
    #[error("{message}")]
    NotSupported { message: String, hint: Option<String> },
    /// HV005: a column of the table that a file lacks.
    #[error("file \"{path}\" has no column \"{column}\"")]
    NoColumn { path: String, column: String, available: String },
    /// HV004: a column of the table whose type a file's column cannot become.
    #[error("column \"{column}\" is {declared} in the table but {found} in file \"{path}\"")]
    ColumnType { path: String, column: String, declared: String, found: String },
    /// 42602: a name that no column of a table can have.
    #[error("invalid column name \"{column}\" in \"{path}\": {message}")]
    ColumnName { path: String, column: String, message: &'static str },
    /// 42701: a name that stands twice.
    #[error("column name \"{column}\" appears more than once in \"{path}\"")]
    DuplicateColumn { path: String, column: String },
    /// HV00D: an option that does not exist.
    #[error("invalid option \"{option}\"")]
    UnknownOption { option: String, valid: String },
    /// 22023: an option or argument with a value that makes no sense.
    #[error("invalid value for {what}: {message}")]
    BadValue { what: String, message: String, hint: Option<String> },
    /// 22P04: the CSV itself is malformed.
    #[error("malformed CSV in \"{path}\", {}: {message}", line(*row))]
    CsvFormat { path: String, row: u64, message: String, hint: Option<String> },
    /// 54000: more of something than ingest takes.
    #[error("{} of CSV file \"{path}\" {how}", line(*row))]
    CsvTooLarge { path: String, row: u64, how: String },
    /// 22P02: a value that contradicts the column's type.
    #[error("invalid {ty} \"{value}\" in column \"{column}\" of \"{path}\", row {row}")]
    CsvValue { path: String, row: u64, column: String, ty: String, value: String },
    /// 22021: not UTF-8, or a zero byte.
    #[error("invalid text in column \"{column}\" of \"{path}\", {}: {message}", line(*row))]
    CsvText { path: String, row: u64, column: String, message: String },
    /// 42704: no such dataset.
    #[error("dataset \"{name}\" does not exist")]
    NoDataset { name: String },
    /// 42501: SELECT on a dataset was not granted.
    #[error("permission denied for dataset \"{name}\"")]
    DatasetDenied { name: String },
    /// 42501: only the owner of a dataset changes or drops it.
    #[error("must be owner of dataset \"{name}\"")]
    NotDatasetOwner { name: String },
    /// 58P01: the catalogue has a file that the file system lacks.
    #[error("file \"{path}\" of dataset \"{name}\" does not exist")]
    DatasetFile { name: String, path: String },
    /// 42602: a dataset name that cannot be a folder's.
    #[error("invalid dataset name \"{name}\"")]
    DatasetName { name: String },
    /// 22008 and 22003: a value that PostgreSQL's type cannot hold.
    #[error("value of column \"{column}\" is out of range for type {ty}")]
    OutOfRange { column: String, ty: &'static str },
    /// 22021: text that PostgreSQL cannot hold.
    #[error("invalid text in column \"{column}\": {message}")]
    BadText { column: String, message: &'static str },
    /// 22000: a value that a file holds and the declared type cannot.
    #[error("could not convert a value of \"{path}\": {message}")]
    Convert { path: String, message: String },
    /// 54000: more than a PostgreSQL value can hold.
    #[error("value of column \"{column}\" is larger than 1 GB")]
    TooLarge { column: String },
    /// 21000: a scalar subquery with more rows than one.
    #[error("more than one row returned by a subquery used as an expression")]
    SeveralRows,
    /// 2201W and 2201X: LIMIT or OFFSET of a negative number.
    #[error("{what} must not be negative")]
    NegativeLimit { what: &'static str },
    /// 22013: a frame of a window that begins or ends a negative number of rows away.
    #[error("frame {what} offset must not be negative")]
    NegativeFrame { what: &'static str },
    /// 22004: a frame of a window that begins or ends nobody knows where.
    #[error("frame {what} offset must not be null")]
    NullFrame { what: &'static str },
    /// 53200: the engine's memory limit.
    #[error("out of memory in the Parquet engine: {message}")]
    Memory { message: String },
    /// 53200: more than the queries of a session may take.
    #[error("lagoon.memory_limit is too small: {message}")]
    MemoryLimit { message: String },
    /// 53200: more than the queries of all sessions may take.
    #[error("lagoon.total_memory_limit is too small: {message}")]
    TotalMemoryLimit { message: String },
    /// 53400: more than the temporary files of a session may take, in PostgreSQL's words.
    #[error("temporary file size exceeds temp_file_limit ({kilobytes}kB)")]
    TempFileLimit { kilobytes: u64 },
    /// 53000: a thread or descriptor could not be had.
    #[error("could not start the Parquet engine: {message}")]
    Start { message: String },
    /// 57014: the statement is gone; the user sees PostgreSQL's own message first.
    #[error("canceled")]
    Canceled,
    /// A function that has no value for its arguments.
    #[error(transparent)]
    Function(#[from] Fault),
    /// XX000: a bug, ours or DataFusion's.
    #[error("internal error in the Parquet engine: {message}")]
    Internal { message: String },
}

impl Error {
    /// Five characters.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::SchemaDrift { .. } => "LG001",
            Self::NotParquet { .. } => "LG002",
            Self::Truncated { .. } => "LG003",
            Self::Corrupt { .. } => "LG004",
            Self::FilesDisagree { .. } => "LG005",
            Self::FileChanged { .. } => "LG006",
            Self::NoFile { .. } | Self::MissingFile { .. } | Self::DatasetFile { .. } => "58P01",
            Self::FilePermission { .. } | Self::PathDenied { .. } | Self::RoleDenied { .. } => "42501",
            Self::DatasetDenied { .. } | Self::NotDatasetOwner { .. } => "42501",
            Self::RelativePath { .. } | Self::DatasetName { .. } | Self::ColumnName { .. } => "42602",
            Self::NotRegular { .. } => "42809",
            Self::TooMany { .. } => "54000",
            Self::Io { .. } => "58030",
            Self::DiskFull { .. } => "53100",
            Self::UnsupportedType { .. } | Self::NotSupported { .. } => "0A000",
            Self::NoColumn { .. } => "HV005",
            Self::ColumnType { .. } => "HV004",
            Self::DuplicateColumn { .. } => "42701",
            Self::UnknownOption { .. } => "HV00D",
            Self::BadValue { .. } => "22023",
            Self::CsvFormat { .. } => "22P04",
            Self::CsvValue { .. } => "22P02",
            Self::CsvText { .. } | Self::BadText { .. } => "22021",
            Self::NoDataset { .. } => "42704",
            Self::OutOfRange { ty, .. } if ty.starts_with("numeric") => "22003",
            Self::OutOfRange { .. } => "22008",
            Self::Convert { .. } => "22000",
            Self::TooLarge { .. } | Self::CsvTooLarge { .. } => "54000",
            Self::SeveralRows => "21000",
            Self::NegativeLimit { what: "LIMIT" } => "2201W",
            Self::NegativeLimit { .. } => "2201X",
            Self::NegativeFrame { .. } => "22013",
            Self::NullFrame { .. } => "22004",
            Self::Memory { .. } | Self::MemoryLimit { .. } | Self::TotalMemoryLimit { .. } => "53200",
            Self::TempFileLimit { .. } => "53400",
            Self::Start { .. } => "53000",
            Self::Canceled => "57014",
            Self::Function(fault) => fault.sqlstate(),
            Self::Internal { .. } => "XX000",
        }
    }

    /// What lies behind the message.
    pub fn detail(&self) -> Option<String> {
        match self {
            Self::SchemaDrift { was, now, .. } => Some(format!("The dataset has ({was}), the file has ({now}).")),
            Self::Function(fault) => fault.detail(),
            _ => None,
        }
    }

    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        let text = match self {
            Self::SchemaDrift { .. } => {
                "Register it under another name, or call lagoon.drop_dataset() first.".to_owned()
            }
            Self::NotParquet { .. } => "lagoon.ingest() turns a CSV file into a Parquet file.".to_owned(),
            Self::Truncated { .. } => "The file ends before its footer; perhaps it was still being written.".to_owned(),
            Self::Corrupt { .. } => "Write the file again from its source.".to_owned(),
            Self::NoFile { .. } | Self::MissingFile { .. } => {
                "The path is one of the database server, not of the client.".to_owned()
            }
            Self::FilePermission { .. } => "The server's operating system user must be able to read it.".to_owned(),
            Self::FilesDisagree { .. } => "All files of one table or dataset must have the same columns.".to_owned(),
            Self::FileChanged { .. } => "Run the statement again.".to_owned(),
            Self::PathDenied { hint, .. } | Self::RoleDenied { hint, .. } => (*hint).to_owned(),
            Self::RelativePath { .. } => "Give the absolute path, which begins with a slash.".to_owned(),
            Self::UnsupportedType { .. } => "Declare the columns that you need, without this one.".to_owned(),
            Self::NoColumn { available, .. } => format!("Columns of the file: {available}."),
            Self::ColumnType { found, column, .. } => format!("Declare \"{column}\" as {found}."),
            Self::UnknownOption { valid, .. } => format!("Valid options are: {valid}."),
            Self::CsvValue { column, .. } => {
                format!("Give the column's type: options => '{{\"types\": {{\"{column}\": \"text\"}}}}'.")
            }
            Self::CsvText { .. } => {
                "The file must be UTF-8 without zero bytes. Convert it first, for example with iconv.".to_owned()
            }
            Self::DiskFull { .. } => "Check free disk space.".to_owned(),
            Self::CsvFormat { hint, .. } => return hint.clone(),
            Self::DatasetName { .. } => {
                "Use 1 to 63 of the characters A-Z, a-z, 0-9, \"_\", \"-\" and \".\", not beginning with a dot."
                    .to_owned()
            }
            Self::DatasetDenied { .. } => "Its owner can grant it: lagoon.grant_dataset(name, role).".to_owned(),
            Self::DatasetFile { .. } => {
                "The files of datasets are in lagoon.dataset_directory. pg_dump does not copy them, and a standby has them only if \
                 the directory is shared or part of its base backup: copy the file there, or ingest its source again."
                    .to_owned()
            }
            Self::NoDataset { .. } => "lagoon.datasets lists them, for members of pg_monitor and pg_read_server_files.".to_owned(),
            Self::MemoryLimit { .. } => "Raise lagoon.memory_limit, or read fewer columns.".to_owned(),
            Self::TotalMemoryLimit { .. } => "The view lagoon.memory shows what each session has.".to_owned(),
            Self::NotSupported { hint, .. } | Self::BadValue { hint, .. } => return hint.clone(),
            _ => return None,
        };
        Some(text)
    }

    /// A file that our rules keep from the role that asks.
    pub fn denied(path: &dyn Display) -> Self {
        Self::PathDenied {
            action: "read",
            path: path.to_string(),
            hint: "Reading outside lagoon.data_directories needs membership in the role pg_read_server_files.",
        }
    }

    /// A file that made a parser panic: damaged, and nothing more is known.
    pub(crate) fn unreadable(path: &dyn Display) -> Self {
        Self::Corrupt { path: path.to_string(), message: "its contents are not valid".to_owned() }
    }

    /// What [`lagoon_file`] says about a path.
    pub fn file(action: &'static str, path: &dyn Display, error: lagoon_file::Error) -> Self {
        use lagoon_file::Error as File;
        let memory = |size: u64| Self::Memory { message: format!("{size} bytes of \"{path}\"") };
        let path = path.to_string();
        match error {
            File::Missing => Self::MissingFile { path },
            File::Permission => Self::FilePermission { path },
            File::Outside => Self::denied(&path),
            File::NotRegular => Self::NotRegular { path },
            File::Changed => Self::FileChanged { path },
            File::Interrupted => Self::Canceled,
            File::Memory { size } | File::TooLarge { size, .. } => memory(size),
            File::Io(error) => Self::io(action, &path, &error),
            File::NotDirectory => Self::Io { action, path, message: error.to_string() },
        }
    }

    /// What the operating system says about a path.
    pub fn io(action: &'static str, path: &dyn Display, error: &std::io::Error) -> Self {
        let path = path.to_string();
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::MissingFile { path },
            std::io::ErrorKind::PermissionDenied => Self::FilePermission { path },
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::DiskFull { action, path, message: error.to_string() }
            }
            _ => Self::Io { action, path, message: error.to_string() },
        }
    }

    pub(crate) fn internal(error: impl std::fmt::Display) -> Self {
        Self::Internal { message: error.to_string() }
    }

    /// The cause of an engine's error, found by walking its chain of sources.
    pub(crate) fn from_engine(error: &(dyn std::error::Error + 'static), path: &dyn Display) -> Self {
        use arrow::error::ArrowError;
        use datafusion::error::DataFusionError;
        use parquet::errors::ParquetError;

        let mut next = Some(error);
        let mut found = None;
        while let Some(error) = next {
            if let Some(own) = error.downcast_ref::<Self>() {
                return own.clone();
            }
            if let Some(io) = error.downcast_ref::<std::io::Error>() {
                return Self::io("read", path, io);
            }
            if let Some(object_store::Error::NotFound { .. }) = error.downcast_ref() {
                return Self::MissingFile { path: path.to_string() };
            }
            if let Some(DataFusionError::ResourcesExhausted(message)) = error.downcast_ref() {
                return Self::Memory { message: message.clone() };
            }
            if let Some(DataFusionError::Execution(message)) = error.downcast_ref() {
                found = found.or(Some(Self::Convert { path: path.to_string(), message: first_line(message) }));
            }
            // DataFusion boxes what it wraps, and a box is not what it holds.
            let arrow = match error.downcast_ref() {
                Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
                _ => error.downcast_ref::<ArrowError>(),
            };
            let parquet = match error.downcast_ref() {
                Some(DataFusionError::ParquetError(inner)) => Some(inner.as_ref()),
                _ => error.downcast_ref::<ParquetError>(),
            };
            if let Some(ParquetError::NYI(message)) = parquet {
                let message = format!("Parquet file \"{path}\" has {}", first_line(message));
                return Self::NotSupported { message, hint: None };
            } else if let Some(error) = parquet {
                found = Some(Self::Corrupt { path: path.to_string(), message: first_line(error) });
            } else if let Some(error) = arrow {
                found = found.or(match error {
                    ArrowError::ParquetError(message) => {
                        Some(Self::Corrupt { path: path.to_string(), message: first_line(message) })
                    }
                    ArrowError::MemoryError(message) => Some(Self::Memory { message: message.clone() }),
                    ArrowError::ExternalError(_) => None,
                    other => Some(Self::Convert { path: path.to_string(), message: first_line(other) }),
                });
            }
            next = error.source();
        }
        found.unwrap_or_else(|| Self::Internal { message: first_line(error) })
    }
}

impl Error {
    /// The cause of an error that a query ended with.
    pub(crate) fn from_query(error: &(dyn std::error::Error + 'static)) -> Self {
        use arrow::error::ArrowError;
        use datafusion::error::DataFusionError;

        let mut next = Some(error);
        let mut innermost = first_line(error);
        while let Some(error) = next {
            if let Some(own) = error.downcast_ref::<Self>() {
                return own.clone();
            }
            let arrow = match error.downcast_ref() {
                Some(DataFusionError::ArrowError(inner, _)) => Some(inner.as_ref()),
                _ => error.downcast_ref::<ArrowError>(),
            };
            let io = match (error.downcast_ref(), arrow) {
                (Some(DataFusionError::IoError(io)), _) | (_, Some(ArrowError::IoError(_, io))) => Some(io),
                _ => error.downcast_ref::<std::io::Error>(),
            };
            if let Some(io) = io {
                return match io.get_ref().and_then(|inner| inner.downcast_ref::<Self>()) {
                    Some(own) => own.clone(),
                    None => Self::io("use", &"a temporary file", io),
                };
            }
            match error.downcast_ref() {
                Some(DataFusionError::ResourcesExhausted(message)) => return Self::exhausted(message),
                Some(DataFusionError::Shared(_) | DataFusionError::Context(..)) => {}
                _ => innermost = first_line(error),
            }
            next = error.source();
        }
        Self::Internal { message: innermost }
    }
}

impl Error {
    /// The error that a text of DataFusion's own kind was made of; it may have put more text around.
    fn exhausted(text: &str) -> Self {
        let of = |error: fn(String) -> Self| {
            let before = error(String::new()).to_string();
            let (_, message) = text.split_once(&before)?;
            Some(error(first_line(message)))
        };
        of(|message| Self::MemoryLimit { message })
            .or_else(|| of(|message| Self::TotalMemoryLimit { message }))
            .or_else(|| of(|message| Self::Memory { message }))
            .unwrap_or_else(|| Self::MemoryLimit { message: first_line(text) })
    }
}

/// What a row number of a CSV file stands for.
fn line(row: u64) -> String {
    if row == 0 { "header".to_owned() } else { format!("row {row}") }
}

fn first_line(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let text = text.lines().next().unwrap_or_default();
    text.strip_prefix("Parquet error: ").unwrap_or(text).to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Error;

    /// The manual has the messages and hints of class `LG` as they are here.
    #[test]
    fn errors_are_as_the_manual_says() {
        let page = include_str!("../../../docs/operations/errors.md");
        let (name, path, message) = ("name".to_owned(), "path", "reason".to_owned());
        let errors = [
            Error::SchemaDrift { name, path: path.into(), was: String::new(), now: String::new() },
            Error::NotParquet { path: path.into() },
            Error::Truncated { path: path.into() },
            Error::Corrupt { path: path.into(), message: message.clone() },
            Error::FilesDisagree { path: path.into(), first: "first".into(), message },
            Error::FileChanged { path: path.into() },
        ];
        for error in errors {
            let start = format!("| `{}` | {error} | ", error.sqlstate());
            let end = format!(" | {} |", error.hint().unwrap());
            assert!(page.lines().any(|l| l.starts_with(&start) && l.ends_with(&end)), "no line {start}...{end}");
        }
    }
}
