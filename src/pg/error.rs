//! From a wing's error to a PostgreSQL ERROR.
//!
//! Each engine crate has one error enum; each variant has a SQLSTATE, a message and, where the user can act, a hint.
//! [`SqlError`] is the seam: a wing implements it once, and its callbacks end in [`OrRaise::or_raise`].

use std::ffi::{CString, c_char, c_int, c_void};
use std::sync::Mutex;

use pgrx::pg_sys;
use pgrx::pg_sys::panic::ErrorReport;
use pgrx::{PgLogLevel, PgSqlErrorCode};

/// An error that PostgreSQL can show: five-character SQLSTATE, message (lower case, no full stop), detail, hint, context.
pub trait SqlError: std::fmt::Display {
    /// Five characters of `0-9A-Z`. Codes that errcodes.h lacks are in class `LG`.
    fn sqlstate(&self) -> &str;

    /// The DETAIL line.
    fn detail(&self) -> Option<String> {
        None
    }

    /// The HINT line: what the user can do.
    fn hint(&self) -> Option<String> {
        None
    }

    /// The CONTEXT line, for example the backtrace of a WebAssembly guest.
    fn context(&self) -> Option<String> {
        None
    }
}

/// Ends a callback: the value, or the ERROR.
pub trait OrRaise<T> {
    /// Returns the value or raises the error. Unwinds as a Rust panic, so destructors run.
    fn or_raise(self) -> T;
}

impl<T, E: SqlError> OrRaise<T> for Result<T, E> {
    #[track_caller]
    fn or_raise(self) -> T {
        match self {
            Ok(value) => value,
            Err(error) => raise(&error),
        }
    }
}

/// Raises `error` as a PostgreSQL ERROR. Unwinds as a Rust panic up to the nearest pgrx guard.
#[track_caller]
pub fn raise(error: &dyn SqlError) -> ! {
    let wanted = pack_sqlstate(error.sqlstate());
    let known = PgSqlErrorCode::from(wanted);
    let is_known = known as c_int == wanted;
    let context = error.context();
    if !is_known || context.is_some() {
        patch_next_error(wanted, context);
    }
    let code = if is_known { known } else { PLACEHOLDER };
    let mut report = ErrorReport::new(code, error.to_string(), "lagoon");
    if let Some(detail) = error.detail() {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint() {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("a report at ERROR does not return")
}

/// An error that belongs to no wing: a message with its SQLSTATE.
pub struct Plain {
    /// Five characters.
    pub sqlstate: &'static str,
    /// The primary message.
    pub message: String,
    /// The HINT line.
    pub hint: Option<String>,
}

impl std::fmt::Display for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl SqlError for Plain {
    fn sqlstate(&self) -> &str {
        self.sqlstate
    }

    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// As MAKE_SQLSTATE in PostgreSQL's elog.h: six bits a character. Anything malformed becomes XX000.
pub fn pack_sqlstate(code: &str) -> c_int {
    let bytes = code.as_bytes();
    if bytes.len() != 5 || !bytes.iter().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()) {
        return PgSqlErrorCode::ERRCODE_INTERNAL_ERROR as c_int;
    }
    bytes.iter().enumerate().fold(0, |packed, (i, b)| packed | ((c_int::from(*b) - 0x30) & 0x3F) << (6 * i))
}

/// The inverse of [`pack_sqlstate`].
pub fn unpack_sqlstate(code: c_int) -> String {
    (0..5).map(|i| char::from(((code >> (6 * i)) & 0x3F) as u8 + 0x30)).collect()
}

/// The SQLSTATE that the report of a caught ERROR of [`raise`] could not carry. Code that catches an ERROR and does not
/// rethrow it must call this at once: otherwise the next error would get the code.
pub fn take_patched_sqlstate() -> Option<c_int> {
    PENDING.lock().ok().and_then(|mut pending| pending.take()).map(|patch| patch.sqlstate)
}

// ---------------------------------------------------------------------------------------------------------------------
// pgrx carries a SQLSTATE as an enum of errcodes.h, so a code of our own (or of a guest) would arrive as XX000, and it
// has no field for CONTEXT. PostgreSQL calls the error context callbacks while an error is being finished, and those may
// still set both: so we raise with a placeholder code and put a callback on top of the stack which mends that one error.

/// A code that nothing else in this extension uses, so the callback never touches a foreign error.
const PLACEHOLDER: PgSqlErrorCode = PgSqlErrorCode::ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED;

struct Patch {
    sqlstate: c_int,
    context: Option<CString>,
}

static PENDING: Mutex<Option<Patch>> = Mutex::new(None);

struct CallbackNode(std::cell::UnsafeCell<pg_sys::ErrorContextCallback>);

// SAFETY: only the main thread of a backend raises errors, and only it reads error_context_stack.
unsafe impl Sync for CallbackNode {}

static NODE: CallbackNode = CallbackNode(std::cell::UnsafeCell::new(pg_sys::ErrorContextCallback {
    previous: std::ptr::null_mut(),
    callback: None,
    arg: std::ptr::null_mut(),
}));

unsafe extern "C-unwind" {
    // elog.c; left out of pgrx's bindings on purpose.
    fn errcode(sqlerrcode: c_int) -> c_int;
    fn errcontext_msg(fmt: *const c_char, ...) -> c_int;
}

fn patch_next_error(sqlstate: c_int, context: Option<String>) {
    let context = context.and_then(|text| CString::new(text.replace('\0', "")).ok());
    if let Ok(mut pending) = PENDING.lock() {
        *pending = Some(Patch { sqlstate, context });
    }
    let node = NODE.0.get();
    // SAFETY: the node is static, so it outlives the error; whoever catches the error restores error_context_stack.
    unsafe {
        if pg_sys::error_context_stack == node {
            return;
        }
        (*node).previous = pg_sys::error_context_stack;
        (*node).callback = Some(apply_patch);
        pg_sys::error_context_stack = node;
    }
}

unsafe extern "C-unwind" fn apply_patch(_arg: *mut c_void) {
    let Some(patch) = PENDING.lock().ok().and_then(|mut pending| pending.take()) else { return };
    // SAFETY: we are inside errfinish(), where callbacks may call the err*() functions; the format takes one string.
    unsafe {
        errcode(patch.sqlstate);
        if let Some(context) = patch.context {
            errcontext_msg(c"%s".as_ptr(), context.as_ptr());
        }
    }
}
