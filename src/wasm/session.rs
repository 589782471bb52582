//! What a backend keeps: the engine, and the instances of plugins, within the memory that a session may have.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::OnceLock;
use std::time::Duration;

use lagoon_wasm::{Cache, Error, Hooks, Instance, Loaded, LogLine, Plugin, Runtime, Source};
use pgrx::pg_sys;

use crate::pg::child::{self, Failure};
use crate::pg::{guc, interrupt, log, tick};

/// Idle instances that a backend keeps; the one that was not used for longest goes first.
const MAX_INSTANCES: usize = 64;
/// An instance that has grown by more does not outlive the transaction.
const MAX_GROWTH: usize = 16 << 20;
/// Wasm calls within wasm calls. Each has a native stack budget of its own within max_stack_depth.
const MAX_DEPTH: usize = 16;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
    /// All slots, those of instances that run and of such that are gone included.
    static SLOTS: RefCell<Vec<Weak<InstanceSlot>>> = const { RefCell::new(Vec::new()) };
    /// Counts calls, to tell which instance was not used for longest.
    static CLOCK: Cell<u64> = const { Cell::new(0) };
}

/// Where an instance lives while nobody calls it.
pub struct InstanceSlot {
    instance: Cell<Option<Box<Instance>>>,
    used: Cell<u64>,
}

/// The process's engine, made at the first use: wasmtime's signal handlers must come after PostgreSQL's.
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

/// From the cache, or compiled in a process of its own, which ends when the statement does.
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

/// Drops all instances that no statement uses.
pub fn drop_idle() {
    evict(usize::MAX);
}

/// Drops the instances that have grown in the transaction that ends.
pub fn drop_grown() {
    idle_slots().iter().for_each(|slot| slot.drop_grown(MAX_GROWTH));
}

/// Shows what a guest has logged.
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
    /// For an instance that was just made.
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

    /// Takes the instance for one call; it comes back when the guard is dropped, unless it broke.
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

    /// Drops the instance if nobody calls it and it has grown by more than so many bytes.
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
        // A PostgreSQL error may have come up in the middle of a conversion: such an instance is idle, and fine.
        self.slot.instance.set(instance.filter(|i| !i.is_broken()));
    }
}

fn compile_apart(runtime: &'static Runtime, source: &Source, fuel: bool) -> Result<Vec<u8>, Error> {
    /// What the last byte of the answer says of the others.
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
                // ENOMEM of a mapping, which is no abort.
                Err(if reason.contains("os error 12") { too_much() } else { Error::InvalidModule(reason) })
            }
        },
        Err(Failure::Memory) => Err(too_much()),
        Err(Failure::Time) => Err(Error::CompileTime { limit: time }),
        Err(Failure::Died(how)) => Err(Error::CompilerDied(how)),
        Err(Failure::Start(error)) => Err(Error::OutOfMemory(format!("could not start the compiler: {error}"))),
    }
}

/// Drops idle instances until so many bytes are free: those first that no statement holds, and were not used for longest.
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

/// The slots whose instance can be dropped, the dearest last.
fn idle_slots() -> Vec<Rc<InstanceSlot>> {
    let mut idle: Vec<Rc<InstanceSlot>> =
        SLOTS.with_borrow(|slots| slots.iter().filter_map(Weak::upgrade).filter(|p| p.is_idle()).collect());
    // Beside this list and its version, only call sites hold a slot.
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

/// `lagoon/pgsql_tmp_wasm` in the data directory, signed with a secret of the cluster that no SQL shows. What begins with
/// `pgsql_tmp` is left out of base backups, by pg_rewind and by pg_checksums, as caches should be; only below `base` and in
/// tablespaces does a server remove such files when it starts.
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
