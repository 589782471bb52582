//! Threads beside PostgreSQL's main thread.
//!
//! A signal that is delivered to another thread would run PostgreSQL's handler there. So every thread, also of a library, is
//! started with all signals blocked; a thread inherits the mask of the one that starts it.

use std::mem::MaybeUninit;

/// Stack of each thread, in bytes, where nothing else is said.
pub const STACK: usize = lagoon_lake::engine::runtime::STACK;

/// Runs `f` with every signal blocked. Everything that starts threads (a runtime, a pool, an ONNX session) must run inside.
pub fn signals_blocked<T>(f: impl FnOnce() -> T) -> T {
    struct Restore(libc::sigset_t);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: the set was filled in by pthread_sigmask below.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
        }
    }
    let mut all = MaybeUninit::uninit();
    let mut old = MaybeUninit::uninit();
    // SAFETY: both sets are written before they are read; neither call can fail with these arguments.
    let _restore = unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
        Restore(old.assume_init())
    };
    f()
}

/// Starts a named thread with every signal blocked and a stack of known size. It must never call PostgreSQL.
pub fn spawn<T: Send + 'static>(
    name: &str,
    f: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    spawn_with(name, STACK, f)
}

/// The same with a stack of so many bytes.
pub fn spawn_with<T: Send + 'static>(
    name: &str,
    stack: usize,
    f: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<std::thread::JoinHandle<T>> {
    let builder = std::thread::Builder::new().name(name.to_owned()).stack_size(stack);
    signals_blocked(|| builder.spawn(f))
}
