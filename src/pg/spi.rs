//! SQL statements of our own: prepared once in a process, run with chosen rights and a chosen snapshot.
//!
//! pgrx's `Spi::get_one` and similar functions take a transaction id first, which fails on a standby and which a SELECT
//! should not use; its `select` takes a newer snapshot than the statement's once the transaction has an id. [`read`] does
//! neither: it sees what the running statement sees.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int};

use pgrx::datum::DatumWithOid;
use pgrx::spi::{Spi, SpiError, SpiResult};
use pgrx::{FromDatum, IntoDatum, pg_sys};

/// A row of a result.
pub struct Row {
    tuple: pg_sys::HeapTuple,
    descriptor: pg_sys::TupleDesc,
}

impl Row {
    /// The value of a column, counted from 1.
    pub fn get<T: FromDatum + IntoDatum>(&self, column: c_int) -> SpiResult<Option<T>> {
        // SAFETY: the tuple belongs to the result that [`read`] has in hand; the type is compared before it is read.
        unsafe {
            let mut is_null = false;
            let datum = pg_sys::SPI_getbinval(self.tuple, self.descriptor, column, &mut is_null);
            let ty = pg_sys::SPI_gettypeid(self.descriptor, column);
            T::try_from_datum(datum, is_null, ty).map_err(SpiError::DatumError)
        }
    }
}

/// Runs a read-only query with the running statement's snapshot, and converts each row. It is prepared once in a process,
/// and takes no transaction id.
pub fn read<T>(
    sql: &'static str,
    args: &[DatumWithOid<'_>],
    mut row: impl FnMut(&Row) -> SpiResult<T>,
) -> SpiResult<Vec<T>> {
    let _snapshot = Snapshot::if_none();
    Spi::connect(|_client| {
        execute(sql, args, true)?;
        // SAFETY: the result of the query above, which lives until the connection ends.
        unsafe {
            let Some(table) = pg_sys::SPI_tuptable.as_ref() else { return Ok(Vec::new()) };
            let rows = usize::try_from(table.numvals).unwrap_or(0);
            let make = |i: usize| row(&Row { tuple: *table.vals.add(i), descriptor: table.tupdesc });
            (0..rows).map(make).collect()
        }
    })
}

/// As [`read`], but with the transaction's snapshot, which is what the next statement would see. For queries during planning: a
/// statement in a function is planned before it gets its snapshot.
pub fn read_for_planning<T>(
    sql: &'static str,
    args: &[DatumWithOid<'_>],
    row: impl FnMut(&Row) -> SpiResult<T>,
) -> SpiResult<Vec<T>> {
    let _snapshot = Snapshot::transaction();
    read(sql, args, row)
}

/// As [`read`], but it also sees what this transaction has done since the statement began. For STABLE functions, which the
/// planner may call for estimates, without a way to tell it from the executor: see [`read_for_planning`].
pub fn read_with_own<T>(
    sql: &'static str,
    args: &[DatumWithOid<'_>],
    row: impl FnMut(&Row) -> SpiResult<T>,
) -> SpiResult<Vec<T>> {
    let _snapshot = Snapshot::with_own();
    read(sql, args, row)
}

/// As [`read`], but with the latest snapshot: it sees what is committed now and what this transaction has done, at any isolation
/// level.
pub fn read_latest<T>(
    sql: &'static str,
    args: &[DatumWithOid<'_>],
    row: impl FnMut(&Row) -> SpiResult<T>,
) -> SpiResult<Vec<T>> {
    // SAFETY: main thread, in a transaction; makes what this command itself has written visible.
    unsafe { pg_sys::CommandCounterIncrement() };
    let _snapshot = Snapshot::latest();
    read(sql, args, row)
}

/// Runs a statement that writes, with the latest snapshot. Returns the number of rows. It is prepared once in a process.
pub fn write(sql: &'static str, args: &[DatumWithOid<'_>]) -> SpiResult<u64> {
    Spi::connect(|_client| {
        execute(sql, args, false)?;
        // SAFETY: set by the statement above.
        Ok(unsafe { pg_sys::SPI_processed })
    })
}

/// Runs `f` with the rights of the owner of a table of schema `lagoon`; `None` if the table does not exist.
pub fn as_owner<T>(table: &CStr, f: impl FnOnce() -> T) -> Option<T> {
    relation(table).map(|(_, owner)| as_role(owner, f))
}

/// Runs `f` with the rights of another role, as a SECURITY DEFINER function. After an ERROR, PostgreSQL itself restores the role
/// of the (sub)transaction.
pub fn as_role<T>(role: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    struct Restore(pg_sys::Oid, c_int);
    impl Drop for Restore {
        fn drop(&mut self) {
            // SAFETY: what GetUserIdAndSecContext gave.
            unsafe { pg_sys::SetUserIdAndSecContext(self.0, self.1) }
        }
    }
    let (mut before, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: main thread, in a transaction; the flags are those of a SECURITY DEFINER function.
    let _restore = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut before, &mut context);
        pg_sys::SetUserIdAndSecContext(role, context | pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32);
        Restore(before, context)
    };
    f()
}

/// A relation of the schema `lagoon`, and its owner; `None` if it does not exist.
pub fn relation(name: &CStr) -> Option<(pg_sys::Oid, pg_sys::Oid)> {
    // SAFETY: main thread, in a transaction; lookups in the caches of the catalog.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"lagoon".as_ptr(), true);
        let oid = pg_sys::get_relname_relid(name.as_ptr(), schema);
        if oid == pg_sys::InvalidOid {
            return None;
        }
        let relation = pg_sys::RelationIdGetRelation(oid);
        if relation.is_null() {
            return None;
        }
        let owner = (*(*relation).rd_rel).relowner;
        pg_sys::RelationClose(relation);
        Some((oid, owner))
    }
}

thread_local! {
    // PostgreSQL replans a prepared statement when an object that it depends on changes.
    static PLANS: RefCell<HashMap<&'static str, pg_sys::SPIPlanPtr>> = RefCell::default();
}

/// Executes a statement in an SPI connection.
fn execute(sql: &'static str, args: &[DatumWithOid<'_>], read_only: bool) -> SpiResult<()> {
    let plan = plan(sql, args)?;
    let value = |arg: &DatumWithOid<'_>| match arg.datum() {
        Some(datum) => (datum.sans_lifetime(), b' ' as c_char),
        None => (pg_sys::Datum::from(0), b'n' as c_char),
    };
    let (mut datums, nulls): (Vec<_>, Vec<_>) = args.iter().map(value).unzip();
    // SAFETY: connected; the plan is kept for ever and takes as many arguments, of these types: the text decides both.
    let status = unsafe { pg_sys::SPI_execute_plan(plan, datums.as_mut_ptr(), nulls.as_ptr(), read_only, 0) };
    Spi::check_status(status)?;
    Ok(())
}

fn plan(sql: &'static str, args: &[DatumWithOid<'_>]) -> SpiResult<pg_sys::SPIPlanPtr> {
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(sql).copied()) {
        return Ok(plan);
    }
    let text = CString::new(sql).map_err(|_| SpiError::PreparedStatementArgumentMismatch { expected: 0, got: 0 })?;
    let mut types: Vec<_> = args.iter().map(DatumWithOid::oid).collect();
    // SAFETY: connected; as many types as the count says. What is kept is never freed: it is as static as its text.
    let plan = unsafe {
        let plan = pg_sys::SPI_prepare(text.as_ptr(), types.len() as c_int, types.as_mut_ptr());
        if plan.is_null() {
            Spi::check_status(pg_sys::SPI_result)?;
            return Err(SpiError::InvalidPosition);
        }
        pg_sys::SPI_keepplan(plan);
        plan
    };
    PLANS.with_borrow_mut(|plans| plans.insert(sql, plan));
    Ok(plan)
}

/// A pushed active snapshot, which is popped on drop. (After an ERROR, PostgreSQL pops all of them itself.)
struct Snapshot(bool);

impl Snapshot {
    /// Pushes the transaction's snapshot if none is active.
    fn if_none() -> Self {
        // SAFETY: main thread, in a transaction.
        unsafe { if pg_sys::ActiveSnapshotSet() { Self(false) } else { Self::transaction() } }
    }

    fn transaction() -> Self {
        // SAFETY: main thread, in a transaction.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
        Self(true)
    }

    fn with_own() -> Self {
        // SAFETY: main thread, in a transaction; the copy is ours to change, which parallel mode forbids.
        unsafe {
            if !pg_sys::ActiveSnapshotSet() {
                return Self::transaction();
            }
            pg_sys::PushCopiedSnapshot(pg_sys::GetActiveSnapshot());
            if !pg_sys::IsInParallelMode() {
                pg_sys::UpdateActiveSnapshotCommandId();
            }
        }
        Self(true)
    }

    fn latest() -> Self {
        // SAFETY: main thread, in a transaction.
        unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
        Self(true)
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if self.0 && !std::thread::panicking() {
            // SAFETY: pushed by the constructor.
            unsafe { pg_sys::PopActiveSnapshot() }
        }
    }
}
