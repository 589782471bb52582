//! Background processes: their signals, connection and end, and the control of other processes.

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::raw::c_long;
use std::path::PathBuf;

use pgrx::bgworkers::BackgroundWorkerBuilder;
use pgrx::pg_sys;

use super::compat;

/// The process id of this process.
pub fn id() -> i32 {
    // SAFETY: set once at the start of every process.
    unsafe { pg_sys::MyProcPid }
}

/// The database of this process; InvalidOid if there is none.
pub fn database() -> pg_sys::Oid {
    // SAFETY: set once when the process connects.
    unsafe { pg_sys::MyDatabaseId }
}

/// Where PostgreSQL looks for libraries, `$libdir` in SQL.
pub fn library_directory() -> PathBuf {
    // SAFETY: an array that is filled once, at the start of the server, with a NUL-terminated path.
    let path = unsafe { CStr::from_ptr((&raw const pg_sys::pkglib_path).cast::<c_char>()) };
    PathBuf::from(path.to_string_lossy().into_owned())
}

/// Microseconds since 2000-01-01, as timestamptz.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

// Signal handlers and timeout.c's clean-up, declared here because pgrx wraps what it binds in a guard: that has no place
// in a signal handler.
unsafe extern "C-unwind" {
    fn die(signal: c_int);
    fn SignalHandlerForConfigReload(signal: c_int);
    fn disable_all_timeouts(keep_indicators: bool);
}

/// Installs the signal handlers of a background process, then unblocks signals. SIGTERM makes [`super::interrupt::check`]
/// and every wait of PostgreSQL end the process; SIGHUP makes [`take_reload`] return true. (The default handler of
/// background workers would end the process inside the handler.)
pub fn attach_signals() {
    // SAFETY: called once by a background process before it touches anything; signals are still blocked.
    unsafe {
        compat::set_signal_handler(pg_sys::SIGHUP, SignalHandlerForConfigReload);
        compat::set_signal_handler(pg_sys::SIGTERM, die);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

/// Connects this background process to a database as the bootstrap superuser; `None`: to the shared catalogs alone.
pub fn connect(database: Option<pg_sys::Oid>) {
    // SAFETY: called once, after `attach_signals`.
    unsafe {
        match database {
            Some(oid) => pg_sys::BackgroundWorkerInitializeConnectionByOid(oid, pg_sys::InvalidOid, 0),
            None => pg_sys::BackgroundWorkerInitializeConnection(std::ptr::null(), std::ptr::null(), 0),
        }
    }
    // As in autovacuum: settings of the database, made by its owner, must not influence our statements.
    if database.is_some() {
        for (name, value) in [
            (c"search_path", c"pg_catalog"),
            (c"lock_timeout", c"0"),
            (c"default_transaction_isolation", c"read committed"),
            (c"default_transaction_read_only", c"off"),
        ] {
            // SAFETY: NUL-terminated names and values of settings that exist.
            unsafe {
                pg_sys::SetConfigOption(
                    name.as_ptr(),
                    value.as_ptr(),
                    pg_sys::GucContext::PGC_SUSET,
                    pg_sys::GucSource::PGC_S_OVERRIDE,
                )
            }
        }
    }
}

/// Whether a SIGHUP came since the last call; the configuration has then been read again.
pub fn take_reload() -> bool {
    // SAFETY: a flag of this process, set by the handler; the configuration is read outside of any statement.
    unsafe {
        let flag = &raw mut pg_sys::ConfigReloadPending;
        if flag.read_volatile() == 0 {
            return false;
        }
        flag.write_volatile(0);
        pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
    }
    true
}

/// Forgets a cancel (`pg_cancel_backend`) that came while there was nothing to cancel.
pub fn drop_cancel() {
    // SAFETY: a flag of this process, set by the handler.
    unsafe { (&raw mut pg_sys::QueryCancelPending).write_volatile(0) }
}

/// Whether a SIGTERM waits to be answered.
pub fn termination_pending() -> bool {
    // SAFETY: a flag of this process, set by the handler.
    unsafe { (&raw const pg_sys::ProcDiePending).read_volatile() != 0 }
}

/// Ends this process. Rust destructors do not run; PostgreSQL's exit callbacks do.
pub fn exit(code: i32) -> ! {
    compat::exit(code)
}

/// Calls `callback` when this process ends in an orderly way, while shared memory is still attached.
pub fn before_exit(callback: unsafe extern "C-unwind" fn(c_int, pg_sys::Datum)) {
    // SAFETY: the callback is a function of this library, which is never unloaded.
    unsafe { pg_sys::before_shmem_exit(Some(callback), pg_sys::Datum::from(0)) }
}

/// Shows what this process does in `pg_stat_activity`; `None`: it is idle.
pub fn show_activity(what: Option<&str>) {
    let text = what.and_then(|text| CString::new(text).ok());
    // SAFETY: the text is copied. Statistics are sent where there is no transaction.
    unsafe {
        match &text {
            Some(text) => pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()),
            None => {
                let _: c_long = pg_sys::pgstat_report_stat(true);
                pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_IDLE, std::ptr::null());
            }
        }
    }
}

/// Clears what an ERROR has left, as PostgresMain does: timeouts, and a cancel that came too late.
pub fn disarm() {
    // SAFETY: main thread, after an ERROR was caught at the outermost level.
    unsafe { disable_all_timeouts(false) }
    drop_cancel();
}

// ---------------------------------------------------------------------------------------------------------------------

/// Whether a process with this id is connected to the server.
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: looks into the array of processes under its lock.
    pid != 0 && unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }
}

/// Sets the latch of another process; does nothing when it is gone.
pub fn wake(pid: i32) {
    if pid == 0 {
        return;
    }
    // SAFETY: a PGPROC stays valid memory even when its process ends; a latch that is set once too often does no harm.
    unsafe {
        let proc = pg_sys::BackendPidGetProc(pid);
        if !proc.is_null() {
            pg_sys::SetLatch(&raw mut (*proc).procLatch);
        }
    }
}

/// Asks a background process of ours to end.
pub fn terminate(pid: i32) {
    if is_alive(pid) {
        // SAFETY: a signal to a process that the server has just called its own.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

/// A background process that this one has registered.
pub struct Child {
    handle: *mut pg_sys::BackgroundWorkerHandle,
}

/// The state of a [`Child`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ChildState {
    /// The postmaster has not started it yet.
    Registered,
    /// It runs.
    Running,
    /// It has ended, or could not be started.
    Ended,
}

impl Child {
    /// Registers a dynamic background worker; `None` when all of `max_worker_processes` are taken or the server stops.
    /// Our latch is set whenever it starts or ends.
    pub fn start(builder: BackgroundWorkerBuilder) -> Option<Self> {
        let builder = builder.set_notify_pid(id());
        let mut worker: pg_sys::BackgroundWorker = (&builder).into();
        let mut handle = std::ptr::null_mut();
        // SAFETY: both live through the call; the handle is allocated in the current memory context, outside of a transaction
        // that of the process.
        let started = unsafe { pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle) };
        started.then(|| Self { handle }) // lazily: dropping a Self frees the handle
    }

    /// Where it stands.
    pub fn state(&self) -> ChildState {
        let mut pid = 0;
        // SAFETY: the handle is valid until drop.
        match unsafe { pg_sys::GetBackgroundWorkerPid(self.handle, &mut pid) } {
            pg_sys::BgwHandleStatus::BGWH_NOT_YET_STARTED => ChildState::Registered,
            pg_sys::BgwHandleStatus::BGWH_STARTED => ChildState::Running,
            _ => ChildState::Ended,
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: allocated by `start`, used by nobody else.
        unsafe { pg_sys::pfree(self.handle.cast()) }
    }
}
