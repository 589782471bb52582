//! Messages below ERROR. PostgreSQL checks for interrupts while it reports one, and would longjmp over our frames. pgrx's
//! `notice!` and `warning!` do not prevent that, so these functions hold interrupts during the report.

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

use super::interrupt;

/// A NOTICE to the client with its DETAIL and HINT lines.
pub fn notice(message: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) {
    let code = PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION;
    let report = ErrorReport::new(code, message.into(), "lagoon").set_detail(detail).set_hint(hint);
    interrupt::held(|| report.report(PgLogLevel::NOTICE));
}

/// A WARNING to client and log.
pub fn warning(message: impl Into<String>) {
    at(PgLogLevel::WARNING, message);
}

/// A WARNING with its DETAIL and HINT lines.
pub fn warning_with(message: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) {
    let report = ErrorReport::new(PgSqlErrorCode::ERRCODE_WARNING, message.into(), "lagoon");
    let report = report.set_detail(detail).set_hint(hint);
    interrupt::held(|| report.report(PgLogLevel::WARNING));
}

/// A line in the server log only.
pub fn log(message: impl Into<String>) {
    at(PgLogLevel::LOG, message);
}

/// A message at a level below ERROR.
pub fn at(level: PgLogLevel, message: impl Into<String>) {
    debug_assert!((level as i32) < PgLogLevel::ERROR as i32);
    let code = match level {
        PgLogLevel::WARNING => PgSqlErrorCode::ERRCODE_WARNING,
        _ => PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
    };
    let report = ErrorReport::new(code, message.into(), "lagoon");
    interrupt::held(|| report.report(level));
}
