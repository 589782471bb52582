//! What can go wrong with an index, each with its SQLSTATE.

use crate::Method;

/// The result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of the vector wing. Messages are in PostgreSQL's style; those that pgvector has too read as there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The column was declared without a number of dimensions.
    #[error("column does not have dimensions")]
    NoDimensions,
    /// More dimensions than the operator class can index.
    #[error("column cannot have more than {max} dimensions for {method} index")]
    TooManyDimensions {
        /// Of the index.
        method: Method,
        /// The most that are allowed.
        max: usize,
    },
    /// A value with another number of dimensions than the index.
    #[error("expected {expected} dimensions, not {actual}")]
    DimensionMismatch {
        /// Of the index.
        expected: usize,
        /// Of the value.
        actual: usize,
    },
    /// A query with another number of dimensions than the index.
    #[error("different {kind} dimensions {expected} and {actual}")]
    DifferentDimensions {
        /// The type.
        kind: &'static str,
        /// Of the index.
        expected: usize,
        /// Of the query.
        actual: usize,
    },
    /// A query of another length than the index, where values are bits.
    #[error("different bit lengths {expected} and {actual}")]
    DifferentLengths {
        /// Of the index.
        expected: usize,
        /// Of the query.
        actual: usize,
    },
    /// A sparse vector with more elements than fit.
    #[error("sparsevec cannot have more than {max} non-zero elements for hnsw index")]
    TooManyNonZero {
        /// The most that are allowed.
        max: usize,
    },
    /// One dimension, where only the direction of a centre counts.
    #[error("dimensions must be greater than one for this opclass")]
    OneDimension,
    /// The clustering of an ivfflat build does not fit into memory.
    #[error("memory required is {megabytes} MB, maintenance_work_mem is {setting} MB")]
    MemoryRequired {
        /// What it takes, rounded up.
        megabytes: usize,
        /// What it may take.
        setting: usize,
    },
    /// `ef_construction` below `2 * m`.
    #[error("ef_construction must be greater than or equal to 2 * m")]
    EfConstructionTooSmall,
    /// A column type without a reader in the glue.
    #[error("type not supported for {0} index")]
    UnsupportedType(Method),
    /// An index scan without ORDER BY.
    #[error("cannot scan {0} index without order")]
    ScanWithoutOrder(Method),
    /// An index scan with a snapshot under which rows may come and go.
    #[error("non-MVCC snapshots are not supported with {0}")]
    SnapshotNotMvcc(Method),
    /// More elements than identifiers.
    #[error("hnsw index cannot have more than {max} elements")]
    TooManyElements {
        /// The most that are possible.
        max: u32,
    },
    /// A page does not hold what it should.
    #[error("index block {block} is damaged: {what}")]
    Corrupt {
        /// The block.
        block: u32,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Block 0 is not a metapage of ours.
    #[error("{0} index is not valid")]
    NotAnIndex(Method),
    /// A format that this library does not know.
    #[error("{method} index has format version {found}, this library reads version {expected}")]
    Version {
        /// Of the index.
        method: Method,
        /// Found on the metapage.
        found: u32,
        /// The one of this library.
        expected: u32,
    },
    /// Vacuum has found a link to an element that it is about to free.
    #[error("hnsw graph not repaired")]
    NotRepaired,
    /// The builder was told to stop.
    #[error("index build was cancelled")]
    Cancelled,
    /// A worker thread of the builder ended early.
    #[error("internal error in an engine thread: {0}")]
    WorkerFailed(String),
    /// No space for the part of a build that does not fit into memory.
    #[error("could not extend temporary file: {0}")]
    DiskFull(String),
    /// Another failure of the temporary file of a build.
    #[error("could not use temporary file: {0}")]
    TemporaryFile(String),
    /// The temporary file of a build would be larger than `temp_file_limit`, as PostgreSQL says it of its own (fd.c).
    #[error("temporary file size exceeds temp_file_limit ({0}kB)")]
    TemporaryFileLimit(usize),
    /// The system has no memory, though no limit of ours is reached.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The page store could not do it. The PostgreSQL store raises its errors itself; this is for the one in memory.
    #[error("page store: {0}")]
    Store(&'static str),
    /// A function on indexes of one kind, given something else.
    #[error("\"{0}\" is not an {1} index")]
    NotOfMethod(String, Method),
    /// A function on indexes of any kind, given something else.
    #[error("\"{0}\" is neither an hnsw nor an ivfflat index")]
    NotOurs(String),
    /// A function on indexes, given one whose table the role may not read.
    #[error("permission denied for table {0}")]
    PermissionDenied(String),
    /// A function that reads the pages of an index, called by somebody else than the owner of its table.
    #[error("must be owner of table {0}")]
    NotOwner(String),
    /// A function that asks for rows as the owner of a table, called by a role that sees some of them only.
    #[error("query would be affected by row-level security policy for table \"{0}\"")]
    RowSecurity(String),
    /// A temporary index of another session, or an index that CREATE INDEX CONCURRENTLY has left invalid.
    #[error("cannot read index \"{0}\"")]
    Unreadable(String),
    /// An argument of a function that counts something, below one.
    #[error("{0} must be greater than zero")]
    NotPositive(&'static str),
    /// A support function that only marks operator classes.
    #[error("function {0} marks operator classes and cannot be called")]
    NotCallable(&'static str),
    /// A query on the catalogs or a table has not given what it must.
    #[error("unexpected result of a query: {0}")]
    Query(String),
}

impl Error {
    /// Five characters, from errcodes.h.
    pub fn sqlstate(&self) -> &'static str {
        match self {
            Self::NoDimensions | Self::OneDimension | Self::EfConstructionTooSmall | Self::NotPositive(_) => "22023",
            Self::TooManyDimensions { .. }
            | Self::TooManyNonZero { .. }
            | Self::TooManyElements { .. }
            | Self::MemoryRequired { .. } => "54000",
            Self::DimensionMismatch { .. } | Self::DifferentDimensions { .. } | Self::DifferentLengths { .. } => {
                "22000"
            }
            Self::UnsupportedType(_) | Self::ScanWithoutOrder(_) | Self::SnapshotNotMvcc(_) | Self::NotCallable(_) => {
                "0A000"
            }
            Self::Corrupt { .. } | Self::NotAnIndex(_) | Self::NotRepaired => "XX002",
            Self::Version { .. } | Self::Unreadable(_) => "55000",
            Self::Cancelled => "57014",
            Self::DiskFull(_) => "53100",
            Self::TemporaryFile(_) => "58030",
            Self::OutOfMemory(_) => "53200",
            Self::TemporaryFileLimit(_) => "53400",
            Self::WorkerFailed(_) | Self::Store(_) | Self::Query(_) => "XX000",
            Self::NotOfMethod(..) | Self::NotOurs(_) => "42809",
            Self::PermissionDenied(_) | Self::NotOwner(_) | Self::RowSecurity(_) => "42501",
        }
    }

    /// What the user can do. None with the messages that pgvector has too: its users compare whole outputs.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Corrupt { .. } | Self::NotAnIndex(_) | Self::Version { .. } | Self::NotRepaired => {
                "REINDEX the index."
            }
            Self::WorkerFailed(_) => "This is a bug in Lagoon; the session can go on.",
            Self::DiskFull(_) => "Check free disk space, or increase maintenance_work_mem.",
            Self::TemporaryFileLimit(_) => "Increase maintenance_work_mem, or ask for a larger temp_file_limit.",
            Self::OutOfMemory(_) => "Decrease maintenance_work_mem, or end other processes.",
            Self::NotPositive(_) => "Give a number of at least 1.",
            Self::NotCallable(_) => "Name it as FUNCTION 3 of an operator class.",
            Self::NotOfMethod(_, method) => {
                return Some(format!("Give the name of an index that was made with USING {method}."));
            }
            Self::NotOurs(_) => "Give the name of an index that was made with USING hnsw or USING ivfflat.",
            Self::PermissionDenied(_) => "Ask the owner for SELECT on the table.",
            Self::NotOwner(_) => "Ask the owner of the table, or measure with lagoon.recall, which needs SELECT only.",
            Self::RowSecurity(_) => {
                "Ask the owner of the table: the expression or predicate of the index runs as the owner."
            }
            Self::Unreadable(_) => "REINDEX the index, or ask in the session that owns the temporary table.",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_in_postgres_style() {
        let all = [
            Error::NoDimensions,
            Error::TooManyDimensions { method: Method::Hnsw, max: 2000 },
            Error::DimensionMismatch { expected: 3, actual: 2 },
            Error::DifferentDimensions { kind: "vector", expected: 3, actual: 2 },
            Error::DifferentLengths { expected: 3, actual: 2 },
            Error::TooManyNonZero { max: 1000 },
            Error::OneDimension,
            Error::MemoryRequired { megabytes: 2, setting: 1 },
            Error::EfConstructionTooSmall,
            Error::UnsupportedType(Method::Hnsw),
            Error::ScanWithoutOrder(Method::Hnsw),
            Error::SnapshotNotMvcc(Method::Ivfflat),
            Error::TooManyElements { max: 1 },
            Error::Corrupt { block: 1, what: "page kind" },
            Error::NotAnIndex(Method::Hnsw),
            Error::Version { method: Method::Hnsw, found: 9, expected: 1 },
            Error::NotRepaired,
            Error::Cancelled,
            Error::WorkerFailed("x".into()),
            Error::DiskFull("x".into()),
            Error::TemporaryFile("x".into()),
            Error::TemporaryFileLimit(1),
            Error::OutOfMemory("x".into()),
            Error::Store("x"),
            Error::NotOfMethod("x".into(), Method::Hnsw),
            Error::NotOurs("x".into()),
            Error::PermissionDenied("x".into()),
            Error::NotOwner("x".into()),
            Error::RowSecurity("x".into()),
            Error::Unreadable("x".into()),
            Error::NotPositive("x"),
            Error::NotCallable("x"),
            Error::Query("x".into()),
        ];
        for error in all {
            let text = error.to_string();
            assert!(!text.ends_with('.'), "{text}");
            assert_eq!(error.sqlstate().len(), 5);
            if let Some(hint) = error.hint() {
                assert!(hint.ends_with('.'), "{hint}");
            }
        }
        assert_eq!(
            Error::TooManyDimensions { method: Method::Hnsw, max: 2000 }.to_string(),
            "column cannot have more than 2000 dimensions for hnsw index"
        );
    }
}
