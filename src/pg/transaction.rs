//! Transactions of background processes, which survive an ERROR; subtransactions; and a check that a transaction may write.

use std::ffi::CStr;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::{PgTryBuilder, pg_sys};

use super::{error, process};

/// The ERROR that aborted a transaction.
pub struct Failure {
    /// Five characters.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The DETAIL line.
    pub detail: Option<String>,
    /// The HINT line.
    pub hint: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.sqlstate)
    }
}

/// Runs `work` in a transaction with a snapshot and commits it. An ERROR aborts it and is returned; FATAL ends the process.
/// For the outermost level of a background process: backends have a transaction around them already.
pub fn run<T>(work: impl FnOnce() -> T) -> Result<T, Failure> {
    // SAFETY: a plain variable of the main thread.
    let context_stack = unsafe { pg_sys::error_context_stack };
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: a background process outside of a transaction.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let value = work();
        // SAFETY: ends what was begun above.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
        Ok(value)
    }))
    .catch_others(|cause| Err(Failure::from(cause)))
    .execute();
    if outcome.is_err() {
        process::disarm();
        // SAFETY: the ERROR was caught at the outermost level; this releases locks, buffers, snapshots and memory.
        unsafe {
            pg_sys::error_context_stack = context_stack;
            pg_sys::AbortCurrentTransaction();
        }
    }
    outcome
}

/// Runs `part` in a subtransaction, which an ERROR rolls back; the ERROR is returned. A cancel (57014) is raised again. As
/// a block with EXCEPTION in PL/pgSQL (pl_exec.c, exec_stmt_block).
#[cfg_attr(not(feature = "pg_test"), allow(dead_code, reason = "for host calls of guests into PostgreSQL"))]
pub fn attempt<T>(part: impl FnOnce() -> T) -> Result<T, Failure> {
    // SAFETY: main thread, in a transaction; the memory context and the owner of resources stay those of the caller.
    let (memory, owner, context_stack) = unsafe {
        let before = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner, pg_sys::error_context_stack);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(before.0);
        before
    };
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| {
        let value = part();
        // SAFETY: ends what was begun above.
        unsafe { pg_sys::ReleaseCurrentSubTransaction() };
        Ok(value)
    }))
    .catch_others(|cause| {
        let code = error::take_patched_sqlstate();
        // SAFETY: the same. The report is a copy of what PostgreSQL knows of the error.
        unsafe { pg_sys::RollbackAndReleaseCurrentSubTransaction() };
        let failure = Failure::from_report(&cause, code);
        if failure.sqlstate == "57014" { cause.rethrow() } else { Err(failure) }
    })
    .execute();
    // SAFETY: as they were.
    unsafe {
        pg_sys::MemoryContextSwitchTo(memory);
        pg_sys::CurrentResourceOwner = owner;
        pg_sys::error_context_stack = context_stack;
    }
    outcome
}

/// Raises the ERROR of PostgreSQL's own commands if nothing may be written (25006 on a standby and in a read-only
/// transaction, 25000 in a parallel worker). Every SQL function that writes calls it first, before anything is read or
/// compiled.
pub fn must_write(function: &CStr) {
    // SAFETY: a NUL-terminated name; the three raise an ERROR or do nothing.
    unsafe {
        pg_sys::PreventCommandDuringRecovery(function.as_ptr());
        pg_sys::PreventCommandIfReadOnly(function.as_ptr());
        pg_sys::PreventCommandIfParallelMode(function.as_ptr());
    }
}

/// The nesting level of the current transaction: 1, and one more for each subtransaction.
pub fn level() -> i32 {
    // SAFETY: reads a variable of this process.
    unsafe { pg_sys::GetCurrentTransactionNestLevel() }
}

impl Failure {
    /// The failure for an error that was returned, not raised.
    pub fn of(error: impl error::SqlError) -> Self {
        Self {
            sqlstate: error.sqlstate().to_owned(),
            message: error.to_string(),
            detail: error.detail(),
            hint: error.hint(),
        }
    }
}

impl From<CaughtError> for Failure {
    fn from(cause: CaughtError) -> Self {
        Self::from_report(&cause, error::take_patched_sqlstate())
    }
}

impl Failure {
    /// `code` is a SQLSTATE of our own, which the report cannot carry (`take_patched_sqlstate`).
    fn from_report(cause: &CaughtError, code: Option<i32>) -> Self {
        let (CaughtError::PostgresError(report)
        | CaughtError::ErrorReport(report)
        | CaughtError::RustPanic { ereport: report, .. }) = cause;
        Self {
            sqlstate: error::unpack_sqlstate(code.unwrap_or(report.sql_error_code() as i32)),
            message: report.message().to_owned(),
            detail: report.detail().map(str::to_owned),
            hint: report.hint().map(str::to_owned),
        }
    }
}
