//! The beginning and the end of a process.

use std::ffi::{CStr, c_int};

use pgrx::pg_sys::{self, Datum};

/// Sets an environment variable, for libraries that read theirs when they are loaded. Only from `_PG_init`.
pub fn set_environment(name: &CStr, value: &CStr) {
    // SAFETY: in _PG_init none of our threads runs yet, so nobody reads the environment meanwhile.
    unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) };
}

/// Runs `f` once when this process exits normally, after its locks are released. A panic in it is ignored.
pub fn at_exit(f: fn()) {
    // SAFETY: the callback takes back the same function pointer; a process has room for 20 of them, or raises FATAL.
    unsafe { pg_sys::on_proc_exit(Some(run), Datum::from(f as *const ())) }
}

/// Runs `f` once when this process begins to exit normally, while it still has its place in shared memory. A panic in it is
/// ignored.
pub fn before_exit(f: fn()) {
    // SAFETY: as above; of these, too, a process has room for 20.
    unsafe { pg_sys::before_shmem_exit(Some(run), Datum::from(f as *const ())) }
}

unsafe extern "C-unwind" fn run(_code: c_int, arg: Datum) {
    // SAFETY: made by the two above from a fn().
    let f: fn() = unsafe { std::mem::transmute::<*mut (), fn()>(arg.cast_mut_ptr()) };
    let _ = std::panic::catch_unwind(f);
}

/// Ends the process at once, without destructors of libraries, when a thread that cannot be stopped still uses them.
pub fn now() -> ! {
    // SAFETY: as after SIGQUIT; called from at_exit() only, when shared memory is already left.
    unsafe { libc::_exit(0) }
}
