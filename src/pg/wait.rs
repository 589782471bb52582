//! Waiting of the main thread for an engine thread, on its latch and on a [`Notify`]. Interrupts are handled at once.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::error::{Plain, raise};
use super::{compat, interrupt};

/// An eventfd that an engine thread signals and the main thread waits on. Cheap to clone.
#[derive(Clone)]
pub struct Notify(Arc<OwnedFd>);

impl Notify {
    /// A new eventfd, not signalled.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd has no preconditions; the descriptor is ours alone.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: a fresh, valid descriptor.
        Ok(Self(Arc::new(unsafe { OwnedFd::from_raw_fd(fd) })))
    }

    /// Wakes the waiter. Callable from any thread, never blocks.
    pub fn wake(&self) {
        let one = 1u64;
        // SAFETY: eight bytes to an eventfd. The only failure, EAGAIN on a full counter, means that it is signalled already.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    }

    fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes from an eventfd; EAGAIN means that it was not signalled.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), size_of::<u64>()) };
    }
}

/// Waits until `ready` returns a value. Cancel, termination, timeouts and postmaster death are handled within milliseconds,
/// by a panic that pgrx turns into the ERROR. `ready` is called after every wake-up and every second, and must not block.
pub fn until<T>(notify: &Notify, mut ready: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(value) = ready() {
            return value;
        }
        interrupt::check();
        once(Some(notify), Duration::from_secs(1));
    }
}

/// Sleeps for at most `duration`, handling interrupts. Returns early, with false, if `stop` returns true after a latch wake-up.
pub fn sleep(duration: Duration, mut stop: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + duration;
    loop {
        interrupt::check();
        if stop() {
            return false;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        once(None, left);
    }
}

/// Waits for our latch, for `descriptor` to become readable, or for `timeout`, whichever is first. It handles no interrupts: the
/// main loop of a background process does that.
pub fn event(descriptor: Option<BorrowedFd<'_>>, timeout: Option<Duration>) {
    latch_or(descriptor.map_or(-1, |fd| fd.as_raw_fd()), timeout);
}

fn once(notify: Option<&Notify>, timeout: Duration) {
    let woken = latch_or(notify.map_or(-1, |notify| notify.0.as_raw_fd()), Some(timeout));
    if let Some(notify) = notify
        && woken & pg_sys::WL_SOCKET_READABLE != 0
    {
        notify.clear();
    }
}

/// Waits once for the latch and a descriptor (-1: none). Returns the events. The latch is reset.
fn latch_or(socket: RawFd, timeout: Option<Duration>) -> u32 {
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
    if socket >= 0 {
        events |= pg_sys::WL_SOCKET_READABLE;
    }
    if timeout.is_some() {
        events |= pg_sys::WL_TIMEOUT;
    }
    let millis = timeout.map_or(-1, |t| t.as_millis().clamp(1, 3_600_000) as i64);
    // SAFETY: main thread; the caller holds the descriptor. WaitLatchOrSocket is latch.c's own.
    let woken =
        unsafe { pg_sys::WaitLatchOrSocket(pg_sys::MyLatch, events as i32, socket, millis, compat::wait_event()) }
            as u32;
    if woken & pg_sys::WL_LATCH_SET != 0 {
        // SAFETY: our own latch.
        unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
    }
    woken
}

/// A new [`Notify`]; raises an ERROR if the process is out of descriptors.
pub fn notify() -> Notify {
    Notify::new().unwrap_or_else(|error| {
        raise(&Plain {
            sqlstate: "53000",
            message: format!("could not create an event descriptor: {error}"),
            hint: None,
        })
    })
}
