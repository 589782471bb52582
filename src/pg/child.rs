//! Runs engine work in a forked child process, for engines that can be neither interrupted nor limited from inside: a cancel
//! kills the child, and its memory, time and stack are limited without harm to this process.
//!
//! The child runs with all signals blocked, calls nothing of PostgreSQL, and exits without exit callbacks. It is killed when
//! this process ends.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::{Duration, Instant};

use super::{interrupt, thread, wait};

/// Limits of the child.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum bytes beyond what this process uses already, also of the answer.
    pub memory: usize,
    /// Wall time.
    pub time: Duration,
}

/// Why the child has not answered.
#[derive(Debug)]
pub enum Failure {
    /// The process could not be started.
    Start(io::Error),
    /// It took more than [`Limits::memory`].
    Memory,
    /// It took more than [`Limits::time`].
    Time,
    /// Its stack was exhausted, or it crashed: the reason, after "it".
    Died(String),
}

/// Stack that the child has at least, whatever its limit of memory, in bytes, and the steps in which it is taken. A process has
/// 8 MB by default, of which PostgreSQL uses up to `max_stack_depth`.
const STACK_BYTES: usize = 2 << 20;
const STACK_STEP: usize = 16 << 10;
/// The largest and smallest pieces of free memory that are looked for, in bytes.
const LARGEST_FREE: usize = 1 << 30;
const SMALLEST_FREE: usize = 16 << 10;

/// Exit codes of the child.
const DONE: c_int = 0;
const PANICKED: c_int = 101;

/// Runs `work` in a child process and returns its answer. Interrupts are handled meanwhile.
pub fn run(limits: Limits, work: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, Failure> {
    let (reader, writer) = pipe().map_err(Failure::Start)?;
    let parent = process_id();
    // SAFETY: in the copy only this thread lives on. It calls the engine, which waits for none of the others, and libc, whose
    // allocator is made usable by fork(); then it leaves by _exit. All signals are blocked from before the fork.
    let pid = thread::signals_blocked(|| match unsafe { libc::fork() } {
        0 => in_copy(parent, limits, writer.as_raw_fd(), work),
        pid => pid,
    });
    if pid < 0 {
        return Err(Failure::Start(io::Error::last_os_error()));
    }
    drop(writer);
    let mut child = Child { pid, is_reaped: false };
    let answer = receive(&reader, limits)?;
    judge(child.reap(), answer)
}

fn judge(status: c_int, answer: Vec<u8>) -> Result<Vec<u8>, Failure> {
    if libc::WIFSIGNALED(status) {
        return Err(match libc::WTERMSIG(status) {
            // Rust aborts a process whose allocation fails.
            libc::SIGABRT => Failure::Memory,
            libc::SIGSEGV | libc::SIGBUS => Failure::Died("exhausted its stack".to_owned()),
            signal => Failure::Died(format!("was ended by signal {signal}")),
        });
    }
    match libc::WEXITSTATUS(status) {
        DONE => Ok(answer),
        PANICKED => Err(Failure::Died("failed an assertion".to_owned())),
        code => Err(Failure::Died(format!("ended with code {code}"))),
    }
}

/// Reads the answer until the child has closed its end of the pipe.
fn receive(reader: &OwnedFd, limits: Limits) -> Result<Vec<u8>, Failure> {
    let end = Instant::now() + limits.time;
    let mut answer = Vec::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        // SAFETY: reads into a buffer of that length; the descriptor does not block.
        let count = unsafe { libc::read(reader.as_raw_fd(), piece.as_mut_ptr().cast(), piece.len()) };
        // Also with an answer at hand: this process may have been asleep for longer than the limit.
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::Time);
        }
        match count {
            0 => return Ok(answer),
            1.. => {
                let got = &piece[..count as usize];
                if answer.len() + got.len() > limits.memory || answer.try_reserve(got.len()).is_err() {
                    return Err(Failure::Memory);
                }
                answer.extend_from_slice(got);
                interrupt::check();
            }
            _ => {
                let error = io::Error::last_os_error();
                if !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) {
                    return Err(Failure::Start(error));
                }
                interrupt::check();
                wait::event(Some(reader.as_fd()), Some(left.min(Duration::from_secs(1))));
            }
        }
    }
}

/// The child, which is killed if it is dropped before it was reaped.
struct Child {
    pid: libc::pid_t,
    is_reaped: bool,
}

impl Child {
    /// Waits for its exit status. It has closed its pipe, so it exits soon.
    fn reap(&mut self) -> c_int {
        self.is_reaped = true;
        let mut status = 0;
        // SAFETY: a child of this process that nobody else waits for.
        while unsafe { libc::waitpid(self.pid, &mut status, 0) } < 0 {
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return c_int::MAX; // never: it is our child
            }
        }
        status
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.is_reaped {
            // SAFETY: not reaped, so the id is still that of our child.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
            self.reap();
        }
    }
}

fn in_copy(parent: libc::pid_t, limits: Limits, writer: RawFd, work: impl FnOnce() -> Vec<u8>) -> ! {
    confine(parent, limits);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let answer = work();
        let mut rest = &answer[..];
        while !rest.is_empty() {
            // SAFETY: a buffer of that length; the write end blocks until the parent has read.
            let count = unsafe { libc::write(writer, rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(count) {
                Ok(count) => rest = &rest[count..],
                Err(_) => return PANICKED, // the reader is gone
            }
        }
        DONE
    }));
    // SAFETY: ends the copy; nothing of the parent's is flushed or called.
    unsafe { libc::_exit(outcome.unwrap_or(PANICKED)) }
}

/// Sets the limits and signal handlers of the child. Failures are ignored: the parent enforces the time limit in any case.
fn confine(parent: libc::pid_t, limits: Limits) {
    // SAFETY: plain system calls, in a process of one thread.
    unsafe {
        #[cfg(target_os = "linux")]
        {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::getppid() != parent {
                libc::_exit(PANICKED);
            }
        }
        // Removes PostgreSQL's handlers of the signals that are delivered even if they are blocked.
        for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        // Keeps Rust's "memory allocation of ... failed" out of the server's log: the ERROR has it.
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY);
        if null >= 0 {
            libc::dup2(null, libc::STDERR_FILENO);
        }
        grow_stack(STACK_BYTES);
        let mut space = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        if let Some(size) = address_space()
            && libc::getrlimit(libc::RLIMIT_AS, &mut space) == 0
        {
            let mut limit = |bytes: usize| {
                space.rlim_cur = space.rlim_max.min(bytes as libc::rlim_t);
                libc::setrlimit(libc::RLIMIT_AS, &space)
            };
            if limit(size) == 0 {
                take_free_memory();
            }
            limit(size.saturating_add(limits.memory));
        }
    }
}

/// Takes stack before the address space is limited: later it could not grow, and the child would crash where it was only short
/// of memory.
#[inline(never)]
fn grow_stack(bytes: usize) {
    let frame = std::hint::black_box([0u8; STACK_STEP]);
    if bytes > STACK_STEP {
        grow_stack(bytes - STACK_STEP);
    }
    std::hint::black_box(&frame);
}

/// Bytes of address space of this process.
fn address_space() -> Option<usize> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: usize = text.split(' ').next()?.parse().ok()?;
    // SAFETY: asks for a constant.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).ok()?;
    pages.checked_mul(page)
}

/// Takes what the allocator has free, down to small pieces, while there is no more to be had: the child would have it on top of
/// its limit.
fn take_free_memory() {
    let mut bytes = LARGEST_FREE;
    while bytes >= SMALLEST_FREE {
        // SAFETY: memory that is never used.
        if std::hint::black_box(unsafe { libc::malloc(bytes) }).is_null() {
            bytes /= 2;
        }
    }
}

fn process_id() -> libc::pid_t {
    // SAFETY: cannot fail.
    unsafe { libc::getpid() }
}

/// A pipe that no other program inherits, whose read end does not block.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: two fresh descriptors, ours alone.
    unsafe {
        if libc::pipe(ends.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        let (reader, writer) = (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]));
        for end in ends {
            libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC);
        }
        libc::fcntl(reader.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK);
        Ok((reader, writer))
    }
}
