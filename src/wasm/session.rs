//! The engine of a backend, and the instances of plugins, within the session's memory limit.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::time::Duration;

use lagoon_wasm::{Cache, Error, Hooks, Instance, Loaded, LogLine, Plugin, Runtime, Source};
use pgrx::pg_sys;

use crate::pg::child::{self, Failure};
use crate::pg::{guc, interrupt, log, tick};

/// Maximum number of idle instances; the least recently used is dropped first.
const MAX_INSTANCES: usize = 64;
/// An instance whose memory has grown by more bytes is dropped at the end of the transaction.
const MAX_GROWTH: usize = 16 << 20;
/// Maximum depth of nested calls. Each has a native stack budget of its own within max_stack_depth.
const MAX_DEPTH: usize = 16;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// All slots, whether their instances are idle, running or dropped.
    static SLOTS: RefCell<Vec<Weak<InstanceSlot>>> = const { RefCell::new(Vec::new()) };
    /// Counts calls, to find the least recently used instance.
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// Holds an instance while it is not being called.
pub struct InstanceSlot {
    instance: Cell<Option<Box<Instance>>>,
    used: Cell<u64>,
}

/// The process's engine, made at the first use: wasmtime's signal handlers must be installed after PostgreSQL's.
pub fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| {
        let hooks = Hooks {
            interrupted: interrupt::ends_statement,
            start_ticks: || tick::start(on_tick),
            stop_ticks: tick::stop,
            time_limit,
            memory_limit,
            make_room: evict,
        };
        Runtime::new(cache(), hooks)
    })
}

/// Loads a module from the cache, or compiles it in a child process, which is killed when the statement ends.
pub fn compile(source: Source, fuel: bool) -> Result<Loaded, Error> {
    let runtime = runtime();
    let loaded = match runtime.cached(&source.hash(), fuel)? {
        Some(loaded) => loaded,
        None => {
            let code = compile_apart(runtime, &source, fuel)?;
            // SAFETY: this library's own code made it from the same module in a copy of this process.
            unsafe { runtime.load_machine_code(&source, fuel, &code)? }
        }
    };
    if let Some(error) = &loaded.cache_failure {
        log::log(format!("lagoon: compile cache: {error}"));
    }
    Ok(loaded)
}

/// A new instance, within the limits of manifest and settings.
pub fn instantiate(plugin: &Plugin) -> Result<Instance, Error> {
    let most = megabytes(guc::WASM_MEMORY_LIMIT.get());
    plugin.instantiate(runtime(), most).map_err(|error| error.at_start(plugin.name()))
}

/// Drops all idle instances.
pub fn drop_idle() {
    evict(usize::MAX);
}

/// Drops the instances that have grown in the transaction.
pub fn drop_grown() {
    idle_slots().iter().for_each(|slot| slot.drop_grown(MAX_GROWTH));
}

/// Reports what a guest has logged.
pub fn show(lines: Vec<LogLine>) {
    use lagoon_wasm::Level;
    use pgrx::PgLogLevel;
    for line in lines {
        let level = match line.level {
            Level::Debug => PgLogLevel::DEBUG1,
            Level::Log => PgLogLevel::LOG,
            Level::Info => PgLogLevel::INFO,
            Level::Notice => PgLogLevel::NOTICE,
            Level::Warning => PgLogLevel::WARNING,
        };
        log::at(level, line.text);
    }
}

impl InstanceSlot {
    /// A slot for a new instance. Drops the least recently used ones if there are too many.
    pub fn new(instance: Instance) -> Rc<Self> {
        let slot = Rc::new(Self { instance: Cell::new(Some(Box::new(instance))), used: Cell::new(now()) });
        let mut idle = idle_slots();
        if idle.len() >= MAX_INSTANCES {
            idle.truncate(idle.len() + 1 - MAX_INSTANCES);
            idle.iter().for_each(|slot| drop(slot.instance.take()));
        }
        SLOTS.with_borrow_mut(|slots| {
            slots.retain(|slot| slot.strong_count() > 0);
            slots.push(Rc::downgrade(&slot));
        });
        slot
    }

    /// Whether there is an instance to call.
    pub fn is_idle(&self) -> bool {
        let instance = self.instance.take();
        let idle = instance.is_some();
        self.instance.set(instance);
        idle
    }

    /// Takes the instance for one call. It returns to the slot when the guard is dropped, unless it is broken.
    pub fn enter(self: &Rc<Self>) -> Result<Running<'_>, Error> {
        unsafe extern "C-unwind" {
            // postgres.c; declared here because pgrx's binding sets a jump point first, which costs more than the call.
            fn stack_is_too_deep() -> bool;
        }
        let depth = DEPTH.get();
        // SAFETY: compares an address with a limit.
        if depth >= MAX_DEPTH || unsafe { stack_is_too_deep() } {
            return Err(Error::NestedTooDeep { limit: MAX_DEPTH });
        }
        let Some(instance) = self.instance.take() else {
            return Err(Error::Internal("an instance was entered twice".to_owned()));
        };
        DEPTH.set(depth + 1);
        self.used.set(now());
        Ok(Running { slot: self, instance: Some(instance) })
    }

    /// Drops the instance if it is idle and has grown by more than so many bytes.
    fn drop_grown(&self, more_than: usize) {
        let instance = self.instance.take();
        self.instance.set(instance.filter(|instance| instance.growth() <= more_than));
    }
}

/// An instance that is being called.
pub struct Running<'a> {
    slot: &'a InstanceSlot,
    instance: Option<Box<Instance>>,
}

impl std::ops::Deref for Running<'_> {
    type Target = Instance;

    #[allow(clippy::expect_used)]
    fn deref(&self) -> &Instance {
        self.instance.as_ref().expect("taken by drop only")
    }
}

impl std::ops::DerefMut for Running<'_> {
    #[allow(clippy::expect_used)]
    fn deref_mut(&mut self) -> &mut Instance {
        self.instance.as_mut().expect("taken by drop only")
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get().saturating_sub(1));
        let instance = self.instance.take();
        // If a PostgreSQL error was raised during a conversion, the instance is not running, and can be used again.
        self.slot.instance.set(instance.filter(|i| !i.is_broken()));
    }
}

fn compile_apart(runtime: &'static Runtime, source: &Source, fuel: bool) -> Result<Vec<u8>, Error> {
    /// The last byte of the child's answer: whether the others are machine code or a reason.
    const CODE: u8 = 0;
    const REASON: u8 = 1;
    let megabytes_most = guc::WASM_COMPILE_MEMORY_LIMIT.get();
    let time = Duration::from_millis(guc::WASM_COMPILE_TIME_LIMIT.get().unsigned_abs().into());
    let limits = child::Limits { memory: megabytes(megabytes_most), time };
    let too_much = || Error::CompileMemory { limit: megabytes_most.unsigned_abs() as usize };
    let answer = child::run(limits, || {
        let (mut answer, what) = match runtime.precompile(source, fuel) {
            Ok(code) => (code, CODE),
            Err(Error::InvalidModule(reason)) => (reason.into_bytes(), REASON),
            Err(other) => (other.to_string().into_bytes(), REASON),
        };
        answer.push(what);
        answer
    });
    match answer {
        Ok(mut answer) => match answer.pop() {
            Some(CODE) => Ok(answer),
            _ => {
                let reason = String::from_utf8_lossy(&answer).into_owned();
                // ENOMEM of a failed mapping, for which Rust does not abort.
                Err(if reason.contains("os error 12") { too_much() } else { Error::InvalidModule(reason) })
            }
        },
        Err(Failure::Memory) => Err(too_much()),
        Err(Failure::Time) => Err(Error::CompileTime { limit: time }),
        Err(Failure::Died(how)) => Err(Error::CompilerDied(how)),
        Err(Failure::Start(error)) => Err(Error::OutOfMemory(format!("could not start the compiler: {error}"))),
    }
}

/// Drops idle instances until so many bytes are free: first those that no call site refers to, each time the least recently used.
fn evict(bytes: usize) {
    let mut freed = 0usize;
    for slot in idle_slots() {
        if freed >= bytes {
            break;
        }
        if let Some(instance) = slot.instance.take() {
            freed = freed.saturating_add(instance.memory().max(1));
        }
    }
}

/// The idle slots, in the order in which instances should be dropped.
fn idle_slots() -> Vec<Rc<InstanceSlot>> {
    let mut idle: Vec<Rc<InstanceSlot>> =
        SLOTS.with_borrow(|slots| slots.iter().filter_map(Weak::upgrade).filter(|p| p.is_idle()).collect());
    // Apart from this list and its version, only call sites refer to a slot.
    idle.sort_by_key(|slot| (Rc::strong_count(slot) > 2, slot.used.get()));
    idle
}

fn now() -> u64 {
    CLOCK.set(CLOCK.get() + 1);
    CLOCK.get()
}

/// Called in the signal handler of the timer.
fn on_tick() {
    if let Some(runtime) = RUNTIME.get() {
        runtime.tick();
    }
}

fn time_limit() -> Duration {
    Duration::from_millis(guc::WASM_TIME_LIMIT.get().unsigned_abs().into())
}

fn memory_limit() -> usize {
    megabytes(guc::WASM_SESSION_MEMORY_LIMIT.get())
}

fn megabytes(setting: i32) -> usize {
    usize::try_from(setting).unwrap_or(0) << 20
}

/// The cache in `lagoon/pgsql_tmp_wasm` of the data directory, signed with a secret of the cluster that no SQL shows. Base
/// backups, pg_rewind and pg_checksums omit names that begin with `pgsql_tmp`, as they should omit a cache. A starting server
/// removes such files only below `base` and in tablespaces.
fn cache() -> Option<Cache> {
    const NONCE: usize = 32; // MOCK_AUTH_NONCE_LEN in catalog/pg_control.h
    // SAFETY: both are set in every process of a server; the nonce has that many bytes.
    unsafe {
        let nonce = pg_sys::GetMockAuthenticationNonce();
        if nonce.is_null() || pg_sys::DataDir.is_null() {
            return None;
        }
        let secret = std::slice::from_raw_parts(nonce.cast::<u8>(), NONCE);
        let directory = std::ffi::CStr::from_ptr(pg_sys::DataDir).to_string_lossy().into_owned();
        Some(Cache::new(std::path::Path::new(&directory).join("lagoon/pgsql_tmp_wasm"), secret))
    }
}
