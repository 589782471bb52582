//! The version of a plugin that a call uses: the one that its statement's snapshot sees in `lagoon.plugins`. So a statement
//! uses one version from beginning to end, whatever statements run within it, and parallel workers agree with their leader.
//! A plugin that was installed after the snapshot was taken is used as it is now, as PostgreSQL does with functions.
//!
//! The table is read again after a relcache invalidation (sent at commit, on standbys too, never after a rollback), and by
//! statements whose snapshot may not see its latest version.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use lagoon_wasm::{Column, Error, Instance, Manifest, Plugin, Source};
use pgrx::pg_sys::{self, Datum, Oid};

use super::plugins::catalog::{self, Row};
use super::session::{self, InstanceSlot};
use crate::pg::hook::Transaction;

/// Maximum number of running statements whose version of a plugin is remembered; the others read the table again.
const STATEMENTS: usize = 16;

/// Number of relcache invalidations of the table; 0 until the callback is registered.
static GENERATION: AtomicU64 = AtomicU64::new(0);
/// The table's oid, for the callback, which may not look anything up.
static PLUGINS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    static KNOWN: RefCell<HashMap<String, Known>> = RefCell::default();
    /// The generation for which instances were made.
    static SWEPT: Cell<u64> = const { Cell::new(0) };
}

/// A plugin as this backend last saw it.
struct Known {
    /// The generation in which `latest` was looked up; 0 if a statement saw a version that was not the latest.
    generation: u64,
    /// As [`Row::since`].
    since: u32,
    latest: Rc<Version>,
    /// What each statement saw first. A statement keeps to it even if it sees a change before the invalidation arrives.
    statements: VecDeque<(Statement, Weak<Version>)>,
}

/// One version of one plugin in this backend.
pub struct Version {
    pub plugin: Plugin,
    /// The manifest as the table has it.
    manifest: String,
    /// One per role: roles never share a guest's memory.
    instances: RefCell<HashMap<u32, Rc<InstanceSlot>>>,
    columns: RefCell<HashMap<String, Option<Rc<[Column]>>>>,
}

/// A version, and for which other statements it is valid beside the one that looked it up.
#[derive(Clone)]
pub struct Seen {
    pub version: Rc<Version>,
    /// It is valid for all statements while this is the generation; 0: for no other statement.
    generation: u64,
    /// It is valid only for snapshots in which this transaction, which wrote it, has ended.
    since: u32,
    snapshot: Option<Snapshot>,
}

/// What a statement sees.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Snapshot {
    xmin: u32,
    xmax: u32,
    running: u32,
    command: u32,
}

/// What tells a running statement from the next one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Statement {
    snapshot: Snapshot,
    /// When the client's statement began.
    begun: pg_sys::TimestampTz,
}

/// The version of a plugin that the running statement sees.
pub fn seen(name: &str) -> Result<Seen, Error> {
    let generation = newest_generation();
    let snapshot = Snapshot::active();
    if let Some(seen) = remembered(name, generation, snapshot) {
        return Ok(seen);
    }
    // DROP EXTENSION and CREATE EXTENSION in one session make another table.
    remember_table();
    let row = catalog::find_seen(name, false)?.ok_or_else(|| Error::UnknownPlugin(name.to_owned()))?;
    if !row.enabled {
        return Err(Error::Disabled(name.to_owned()));
    }
    let version = match known_version(name, &row) {
        Some(version) => version,
        None => Rc::new(load(name, &row)?),
    };
    let generation = if row.is_latest { generation } else { 0 };
    let seen = Seen { version, generation, since: row.since, snapshot };
    remember(name, &seen);
    Ok(seen)
}

/// Forgets all plugins and drops their instances, except for those that a running statement uses.
pub fn forget() {
    with_known(HashMap::clear);
    session::drop_idle();
}

/// Forgets what statements of the transaction saw, and drops instances whose memory has grown. If the table has changed, drops
/// all instances: some may belong to plugins that were removed, and catalogs cannot be read here. Those that are needed are made
/// again.
pub fn transaction_ends(how: Transaction) {
    if !matches!(how, Transaction::Committed | Transaction::Prepared | Transaction::Aborted) {
        return;
    }
    with_known(|known| known.values_mut().for_each(|known| known.statements.clear()));
    let generation = invalidations();
    if ![0, generation].contains(&SWEPT.replace(generation)) {
        forget();
    }
    session::drop_grown();
}

/// Number of invalidations so far; 0 if no plugin has been looked up yet.
fn invalidations() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// The same. The first call registers the callback.
fn generation() -> u64 {
    match invalidations() {
        0 => watch_table(),
        generation => generation,
    }
}

impl Seen {
    /// Whether it is valid for the running statement. Costs a few reads of memory, so every call can check it.
    pub fn holds(&self) -> bool {
        let snapshot = Snapshot::active();
        let holds_for_all = self.generation == generation() && snapshot.is_none_or(|s| s.is_after(self.since));
        holds_for_all || (snapshot.is_some() && snapshot == self.snapshot)
    }
}

impl Version {
    /// The slot with a role's instance. Makes a new one if there is none, if it is running, or if it is broken.
    pub fn slot(&self, role: u32) -> Result<Rc<InstanceSlot>, Error> {
        let known = self.instances.borrow().get(&role).cloned();
        if let Some(slot) = known.filter(|slot| slot.is_idle()) {
            return Ok(slot);
        }
        let slot = InstanceSlot::new(session::instantiate(&self.plugin)?);
        self.instances.borrow_mut().insert(role, slot.clone());
        Ok(slot)
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

    fn is(&self, row: &Row) -> bool {
        self.manifest == row.manifest && self.plugin.hash().to_hex().as_str() == row.hash
    }
}

impl Known {
    fn new(seen: &Seen) -> Self {
        let (generation, since, latest) = (seen.generation, seen.since, seen.version.clone());
        Self { generation, since, latest, statements: VecDeque::new() }
    }

    fn note(&mut self, statement: Statement, version: &Rc<Version>) {
        if self.statements.len() >= STATEMENTS {
            self.statements.pop_front();
        }
        self.statements.push_back((statement, Rc::downgrade(version)));
    }

    /// All versions that are still in memory.
    fn versions(&self) -> impl Iterator<Item = Rc<Version>> {
        std::iter::once(self.latest.clone()).chain(self.statements.iter().filter_map(|(_, version)| version.upgrade()))
    }
}

fn remembered(name: &str, generation: u64, snapshot: Option<Snapshot>) -> Option<Seen> {
    KNOWN.with_borrow_mut(|known| {
        let known = known.get_mut(name)?;
        let is_latest = known.generation == generation && snapshot.is_none_or(|s| s.is_after(known.since));
        let statement = snapshot.map(Statement::of);
        let first = known.statements.iter().find(|(seen, _)| Some(*seen) == statement);
        let (version, generation) = match first.and_then(|(_, version)| version.upgrade()) {
            Some(version) if is_latest && Rc::ptr_eq(&version, &known.latest) => (version, generation),
            Some(version) => (version, 0),
            None if is_latest => {
                let latest = known.latest.clone();
                statement.into_iter().for_each(|statement| known.note(statement, &latest));
                (latest, generation)
            }
            None => return None,
        };
        Some(Seen { version, generation, since: known.since, snapshot })
    })
}

fn remember(name: &str, seen: &Seen) {
    KNOWN.with_borrow_mut(|known| {
        let known = known.entry(name.to_owned()).or_insert_with(|| Known::new(seen));
        if seen.generation != 0 {
            (known.generation, known.since, known.latest) = (seen.generation, seen.since, seen.version.clone());
        }
        if let Some(snapshot) = seen.snapshot {
            known.note(Statement::of(snapshot), &seen.version);
        }
    });
}

/// The version in memory that equals the row, if there is one: an invalidation may be about another plugin. Its instances are
/// used further.
fn known_version(name: &str, row: &Row) -> Option<Rc<Version>> {
    KNOWN.with_borrow(|known| known.get(name)?.versions().find(|version| version.is(row)))
}

fn load(name: &str, row: &Row) -> Result<Version, Error> {
    let manifest = Manifest::parse(&row.manifest)?;
    let fuel = manifest.limits.fuel.is_some();
    let damaged = |what: &str| Error::InvalidModule(format!("{what} in lagoon.plugins"));
    let hash = lagoon_wasm::Hash::from_hex(&row.hash).map_err(|_| damaged("its hash is malformed"))?;
    let loaded = match session::runtime().cached(&hash, fuel)? {
        Some(loaded) => loaded,
        None => {
            let wasm = catalog::find_seen(name, true)?.and_then(|row| row.wasm);
            let source = Source::new(wasm.unwrap_or_default())?;
            if source.hash() != hash {
                return Err(damaged("its bytes do not have the hash that stands beside them"));
            }
            session::compile(source, fuel)?
        }
    };
    let plugin = Plugin::link(session::runtime(), name, &loaded, manifest)?;
    let manifest = row.manifest.clone();
    Ok(Version { plugin, manifest, instances: RefCell::default(), columns: RefCell::default() })
}

/// Does nothing if `KNOWN` is borrowed: an ERROR may end the transaction while it is.
fn with_known(f: impl FnOnce(&mut HashMap<String, Known>)) {
    KNOWN.with(|known| {
        if let Ok(mut known) = known.try_borrow_mut() {
            f(&mut known);
        }
    });
}

impl Snapshot {
    /// The snapshot of the running statement. Costs a few reads of memory, so every call can do it.
    fn active() -> Option<Self> {
        unsafe extern "C-unwind" {
            // snapmgr.c; declared here because pgrx's bindings set a jump point first, which costs more than the call.
            fn ActiveSnapshotSet() -> bool;
            fn GetActiveSnapshot() -> pg_sys::Snapshot;
        }
        // SAFETY: reads of the snapshot stack; there is a snapshot when the first says so.
        unsafe {
            if !ActiveSnapshotSet() {
                return None;
            }
            let snapshot = GetActiveSnapshot().as_ref()?;
            Some(Self {
                xmin: snapshot.xmin.into_inner(),
                xmax: snapshot.xmax.into_inner(),
                running: snapshot.xcnt,
                command: snapshot.curcid,
            })
        }
    }

    /// Whether the transaction precedes `xmin`, so that it had ended when the snapshot was taken. TransactionIdPrecedes in
    /// access/transam.h.
    fn is_after(&self, transaction: u32) -> bool {
        const FIRST_NORMAL: u32 = 3;
        if transaction < FIRST_NORMAL { transaction == 2 } else { (transaction.wrapping_sub(self.xmin) as i32) < 0 }
    }
}

impl Statement {
    fn of(snapshot: Snapshot) -> Self {
        // SAFETY: reads a variable of this process.
        Self { snapshot, begun: unsafe { pg_sys::GetCurrentStatementStartTimestamp() } }
    }
}

/// As [`generation`], after reading pending invalidation messages. PostgreSQL reads them whenever it locks a relation, but a
/// statement may call functions without locking any.
fn newest_generation() -> u64 {
    generation(); // registers the callback, so that no message is missed
    // SAFETY: main thread, inside a transaction; done at every lock of a relation.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    generation()
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
