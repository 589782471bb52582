//! Which version of a plugin a call sees: that which the snapshot of its statement sees in `lagoon.plugins`, so a statement
//! that runs ends on the version with which it began, whatever statements run within it, and parallel workers agree with
//! their leader. A plugin that came after the snapshot is seen as it is, as a function is that came after it.
//!
//! The table is looked at again after a change of it was announced (relcache invalidation: at commit, on standbys too, and
//! never after a rollback), and by statements that may not see its latest version.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use lagoon_wasm::{Column, Error, Instance, Manifest, Plugin, Source};
use pgrx::pg_sys::{self, Datum, Oid};

use super::plugins::catalog::{self, Row};
use super::session::{self, InstanceSlot};
use crate::pg::hook::Transaction;

/// Statements under way whose version of a plugin is remembered; beyond that they look at the table again.
const STATEMENTS: usize = 16;

/// Counts announced changes of the table; 0 until the callback is registered.
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
    /// When `latest` was looked up; 0: it is not the latest one.
    generation: u64,
    /// As [`Row::since`].
    since: u32,
    latest: Rc<Version>,
    /// What was seen first stays, also when a change was visible before it was announced.
    statements: VecDeque<(Statement, Weak<Version>)>,
}

/// One version of one plugin in this backend.
pub struct Version {
    pub plugin: Plugin,
    /// The manifest as the table has it.
    manifest: String,
    /// By role: memory of a guest is never shared between roles.
    instances: RefCell<HashMap<u32, Rc<InstanceSlot>>>,
    columns: RefCell<HashMap<String, Option<Rc<[Column]>>>>,
}

/// A version, and for whom it holds beside the statement that asked.
#[derive(Clone)]
pub struct Seen {
    pub version: Rc<Version>,
    /// For all statements while this is the generation; 0: for none.
    generation: u64,
    /// But only if this transaction has ended before they began.
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

/// Forgets all plugins and drops their instances; what a statement holds stays as long as that.
pub fn forget() {
    with_known(HashMap::clear);
    session::drop_idle();
}

/// The statements of a transaction end with it, and what it made grow goes. After a change of the table all instances go, since
/// some may be of plugins that are no more, and nothing can be looked up here; those that are used again are made again.
pub fn transaction_ends(how: Transaction) {
    if !matches!(how, Transaction::Committed | Transaction::Prepared | Transaction::Aborted) {
        return;
    }
    with_known(|known| known.values_mut().for_each(|known| known.statements.clear()));
    let generation = announced();
    if ![0, generation].contains(&SWEPT.replace(generation)) {
        forget();
    }
    session::drop_grown();
}

/// Number of the last announced change; 0 before the first plugin was asked for.
fn announced() -> u64 {
    GENERATION.load(Ordering::Relaxed)
}

/// The same. Registers for announcements at the first call.
fn generation() -> u64 {
    match announced() {
        0 => watch_table(),
        generation => generation,
    }
}

impl Seen {
    /// Whether it still holds for whoever calls now. A few plain reads, so that it can be asked at every call.
    pub fn holds(&self) -> bool {
        let snapshot = Snapshot::active();
        let holds_for_all = self.generation == generation() && snapshot.is_none_or(|s| s.is_after(self.since));
        holds_for_all || (snapshot.is_some() && snapshot == self.snapshot)
    }
}

impl Version {
    /// Where the instance of a role is, made if it is not there, or is running, or broke.
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

    /// All versions that are still there.
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

/// A change of some other plugin, or none at all: instances stay.
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

/// From the end of a transaction, which may come in the midst of anything.
fn with_known(f: impl FnOnce(&mut HashMap<String, Known>)) {
    KNOWN.with(|known| {
        if let Ok(mut known) = known.try_borrow_mut() {
            f(&mut known);
        }
    });
}

impl Snapshot {
    /// Of the running statement. Plain reads, so that it can be asked at every call.
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

    /// Whether all that this transaction did is seen, without a look at it: it ended before anything that the snapshot takes
    /// for running. TransactionIdPrecedes in access/transam.h.
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

/// As [`generation`], announcements that wait to be read included. PostgreSQL itself reads them when a relation is locked,
/// and a statement may call functions without locking any.
fn newest_generation() -> u64 {
    generation(); // or the first announcement would find nobody
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
