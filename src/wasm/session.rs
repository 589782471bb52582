//! What a backend keeps: the engine, the plugins that it has used, their instances.
//!
//! Which version of a plugin a call sees: the table's latest committed one, looked at again after any change of the table
//! was announced (relcache invalidation, so at commit, on standbys too, and never after a rollback), except that a
//! statement keeps the version that it began with. Statements are told apart by their snapshots.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use lagoon_wasm::{Cache, Column, Error, Hooks, Instance, Loaded, LogLine, Manifest, Plugin, Runtime, Source};
use pgrx::pg_sys::{self, Datum, Oid};

use super::catalog;
use crate::pg::{guc, interrupt, job, log, tick};

/// Instances that a backend keeps; beyond that the idle ones that no statement holds are dropped.
const MAX_INSTANCES: usize = 64;
/// Wasm calls within wasm calls. Each has a native stack budget of its own within max_stack_depth.
const MAX_DEPTH: usize = 16;

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// Counts announced changes of the table; 0 until the callback is registered.
static GENERATION: AtomicU64 = AtomicU64::new(0);
/// The table's oid, for the callback, which may not look anything up.
static PLUGINS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static KNOWN: RefCell<HashMap<String, Known>> = RefCell::new(HashMap::new());
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// A plugin as this backend last saw it.
struct Known {
    generation: u64,
    snapshot: Option<SnapshotId>,
    version: Result<Rc<Version>, Absent>,
}

#[derive(Clone, Copy)]
enum Absent {
    Unknown,
    Disabled,
}

/// One version of one plugin in this backend.
pub struct Version {
    pub plugin: Plugin,
    /// The manifest as the table has it.
    manifest: String,
    /// By role: memory of a guest is never shared between roles.
    instances: RefCell<HashMap<u32, Rc<Place>>>,
    columns: RefCell<HashMap<String, Option<Rc<[Column]>>>>,
}

/// Where an instance lives while nobody calls it.
pub struct Place(Cell<Option<Box<Instance>>>);

/// What tells a running statement from the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SnapshotId {
    xmin: u32,
    xmax: u32,
    running: u32,
    command: u32,
}

/// The process's engine, made at the first use: wasmtime's signal handlers must come after PostgreSQL's.
pub fn runtime() -> &'static Runtime {
    RUNTIME.get_or_init(|| {
        Runtime::new(cache(), Hooks { interrupted: interrupt::ends_statement, request_tick, time_limit })
    })
}

/// Number of the last announced change. Registers for announcements at the first call.
pub fn generation() -> u64 {
    match GENERATION.load(Ordering::Relaxed) {
        0 => watch_table(),
        generation => generation,
    }
}

/// As [`generation`], announcements that wait to be read included. PostgreSQL itself reads them when a relation is locked,
/// and a statement may call functions without locking any.
pub fn newest_generation() -> u64 {
    generation(); // or the first announcement would find nobody
    // SAFETY: main thread, inside a transaction; done at every lock of a relation.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    generation()
}

/// The current role. A plain read, so that it can be asked at every call.
pub fn role() -> u32 {
    unsafe extern "C-unwind" {
        // miscinit.c; declared here because pgrx's binding sets a jump point first, which costs more than the call.
        fn GetUserId() -> Oid;
    }
    // SAFETY: returns a variable; asserts only that there is a session.
    unsafe { GetUserId() }.to_u32()
}

/// The version of a plugin that the running statement sees.
pub fn version(name: &str) -> Result<Rc<Version>, Error> {
    let generation = generation();
    let snapshot = SnapshotId::active();
    let old = KNOWN.with_borrow_mut(|known| {
        let known = known.get_mut(name)?;
        if known.generation == generation || (snapshot.is_some() && known.snapshot == snapshot) {
            known.snapshot = snapshot;
            return Some(Ok(known.version.clone()));
        }
        Some(Err(known.version.clone().ok()))
    });
    let version = match old {
        Some(Ok(known)) => known,
        changed => {
            let old = changed.and_then(Result::err).flatten();
            let version = look_up(name, old)?;
            let known = Known { generation, snapshot, version: version.clone() };
            KNOWN.with_borrow_mut(|all| all.insert(name.to_owned(), known));
            version
        }
    };
    version.map_err(|absent| match absent {
        Absent::Unknown => Error::UnknownPlugin(name.to_owned()),
        Absent::Disabled => Error::Disabled(name.to_owned()),
    })
}

/// Compiles on a thread of its own, so that a cancel is answered meanwhile, or takes it from the cache.
pub fn compile(source: Source, fuel: bool) -> Result<Loaded, Error> {
    let runtime = runtime();
    let loaded = match runtime.cached(&source.hash(), fuel)? {
        Some(loaded) => loaded,
        None => job::run("lagoon wasm compiler", || {}, move |_| runtime.compile(&source, fuel))?,
    };
    if let Some(error) = &loaded.cache_failure {
        log::log(format!("lagoon: compile cache: {error}"));
    }
    Ok(loaded)
}

/// A new instance, within the limits of manifest and settings.
pub fn instantiate(plugin: &Plugin) -> Result<Instance, Error> {
    tick::request(on_tick);
    let most_memory = usize::try_from(guc::WASM_MEMORY_LIMIT.get()).unwrap_or(0) << 20;
    plugin.instantiate(runtime(), most_memory)
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
        log::at(level, line.text.replace('\0', ""));
    }
}

fn look_up(name: &str, old: Option<Rc<Version>>) -> Result<Result<Rc<Version>, Absent>, Error> {
    // DROP EXTENSION and CREATE EXTENSION in one session make another table.
    remember_table();
    let Some(row) = catalog::find(name, false)? else { return Ok(Err(Absent::Unknown)) };
    if !row.enabled {
        return Ok(Err(Absent::Disabled));
    }
    // A change of some other plugin, or none at all: instances stay.
    if let Some(old) = old.filter(|o| o.plugin.hash().to_hex().as_str() == row.hash && o.manifest == row.manifest) {
        return Ok(Ok(old));
    }
    let manifest = Manifest::parse(&row.manifest)?;
    let fuel = manifest.limits.fuel.is_some();
    let hash = blake3_of(&row.hash)?;
    let loaded = match runtime().cached(&hash, fuel)? {
        Some(loaded) => loaded,
        None => {
            let wasm = catalog::find(name, true)?.and_then(|row| row.wasm);
            let source = Source::new(wasm.unwrap_or_default())?;
            if source.hash() != hash {
                return Err(Error::InvalidModule("its bytes do not have the hash that lagoon.plugins says".to_owned()));
            }
            compile(source, fuel)?
        }
    };
    let plugin = Plugin::link(runtime(), name, &loaded, manifest)?;
    Ok(Ok(Rc::new(Version {
        plugin,
        manifest: row.manifest,
        instances: RefCell::default(),
        columns: RefCell::default(),
    })))
}

fn blake3_of(hex: &str) -> Result<lagoon_wasm::Hash, Error> {
    lagoon_wasm::Hash::from_hex(hex).map_err(|_| Error::Internal("a hash in lagoon.plugins is malformed".to_owned()))
}

impl Version {
    /// Where the instance of a role is, made if it is not there, or is running, or broke.
    pub fn place(&self, role: u32) -> Result<Rc<Place>, Error> {
        let known = self.instances.borrow().get(&role).cloned();
        if let Some(place) = known.filter(|place| place.is_idle()) {
            return Ok(place);
        }
        self.trim();
        let instance = instantiate(&self.plugin)?;
        let place = Rc::new(Place(Cell::new(Some(Box::new(instance)))));
        self.instances.borrow_mut().insert(role, place.clone());
        Ok(place)
    }

    /// The columns that a trigger has declared.
    pub fn columns(&self, trigger: &str, instance: &mut Instance) -> Result<Option<Rc<[Column]>>, Error> {
        if let Some(columns) = self.columns.borrow().get(trigger) {
            return Ok(columns.clone());
        }
        let columns: Option<Rc<[Column]>> = instance.columns(trigger)?.map(Into::into);
        self.columns.borrow_mut().insert(trigger.to_owned(), columns.clone());
        Ok(columns)
    }

    fn trim(&self) {
        let mut instances = self.instances.borrow_mut();
        if instances.len() >= MAX_INSTANCES {
            instances.retain(|_, place| Rc::strong_count(place) > 1);
        }
    }
}

impl Place {
    /// Whether there is an instance to call.
    pub fn is_idle(&self) -> bool {
        let instance = self.0.take();
        let idle = instance.is_some();
        self.0.set(instance);
        idle
    }

    /// Takes the instance for one call; it comes back when the guard is dropped, unless it broke.
    pub fn enter(self: &Rc<Self>) -> Result<Running<'_>, Error> {
        unsafe extern "C-unwind" {
            // postgres.c; as GetUserId above.
            fn stack_is_too_deep() -> bool;
        }
        let depth = DEPTH.get();
        // SAFETY: compares an address with a limit.
        if depth >= MAX_DEPTH || unsafe { stack_is_too_deep() } {
            return Err(Error::NestedTooDeep { limit: MAX_DEPTH });
        }
        let Some(instance) = self.0.take() else {
            return Err(Error::Internal("an instance was entered twice".to_owned()));
        };
        DEPTH.set(depth + 1);
        tick::request(on_tick);
        Ok(Running { place: self, instance: Some(instance) })
    }
}

/// An instance that is being called.
pub struct Running<'a> {
    place: &'a Place,
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
        self.place.0.set(instance.filter(|i| !i.is_broken()));
    }
}

impl SnapshotId {
    /// Of the running statement.
    pub fn active() -> Option<Self> {
        // SAFETY: plain reads of the snapshot stack.
        unsafe {
            if !pg_sys::ActiveSnapshotSet() {
                return None;
            }
            let snapshot = pg_sys::GetActiveSnapshot().as_ref()?;
            Some(Self {
                xmin: snapshot.xmin.into_inner(),
                xmax: snapshot.xmax.into_inner(),
                running: snapshot.xcnt,
                command: snapshot.curcid,
            })
        }
    }
}

fn remember_table() {
    PLUGINS.store(catalog::plugins_oid().map_or(0, |oid| oid.to_u32()), Ordering::Relaxed);
}

fn watch_table() -> u64 {
    remember_table();
    // SAFETY: registered once a process: the generation is never 0 again.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(on_relation_changed), Datum::from(0)) };
    GENERATION.store(1, Ordering::Relaxed);
    1
}

/// Called by PostgreSQL for every changed relation; invalid means all of them.
unsafe extern "C-unwind" fn on_relation_changed(_: Datum, relation: Oid) {
    let plugins = PLUGINS.load(Ordering::Relaxed);
    if relation == pg_sys::InvalidOid || plugins == 0 || relation.to_u32() == plugins {
        GENERATION.fetch_add(1, Ordering::Relaxed);
    }
}

/// Called in the signal handler of the timer.
extern "C" fn on_tick() {
    if let Some(runtime) = RUNTIME.get() {
        runtime.tick();
    }
}

fn request_tick() {
    tick::request(on_tick);
}

fn time_limit() -> Duration {
    Duration::from_millis(guc::WASM_TIME_LIMIT.get().unsigned_abs().into())
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
