//! Rows that PostgreSQL reads itself and sends to the engine, before that starts.
//!
//! Each shipment is a statement of its own within the plan, which runs to its end under the snapshot of the whole one. Where a
//! row has a value that the engine's types have not, such as an infinite date, or the rows take more memory than was agreed,
//! PostgreSQL's own plan of the whole statement takes over: it is in the plan, too.

use std::ffi::c_int;

use lagoon_lake::Result;
use lagoon_lake::query::{Packing, Shipment, Unfit};
use pgrx::{PgMemoryContexts, pg_sys};

use super::private::{PlannedShipment, QueryPlan};
use crate::lake::explain;
use crate::lake::memory;
use crate::lake::rows;
use crate::lake::types;
use crate::pg::node::List;
use crate::pg::{compat, interrupt};

/// Bytes that a shipment may take, and the part of `lagoon.memory_limit` that it may take at most.
const MOST_BYTES: u64 = 256 << 20;
const PART_OF_MEMORY: u64 = 4;
/// Rows that are read between two looks for a cancel.
const ROWS_AT_ONCE: usize = 1024;

/// What a node has from PostgreSQL's tables.
pub(super) enum Sent {
    /// All that the engine needs. What read it is kept where EXPLAIN wants to know how.
    Shipments(Vec<Shipment>, Vec<Running>),
    /// The rows of the whole statement instead; and why.
    Instead(Running, String),
}

/// Reads all that is to be sent.
///
/// # Safety
/// The state is that of the execution of the plan's node.
pub(super) unsafe fn send(plan: &QueryPlan, estate: *mut pg_sys::EState) -> Result<Sent> {
    let (mut shipments, mut readers) = (Vec::with_capacity(plan.shipments.len()), Vec::new());
    for shipment in &plan.shipments {
        // SAFETY: the caller's; a plan with shipments has the other one.
        unsafe {
            let reader = Running::start(shipment.statement, estate, 0);
            let sent = pack(shipment, &reader)?;
            if (*estate).es_instrument == 0 {
                reader.end();
            } else {
                readers.push(reader);
            }
            match sent {
                Ok(sent) => shipments.push(sent),
                Err(Unfit(reason)) => {
                    readers.into_iter().for_each(|reader| reader.end());
                    return Ok(Sent::Instead(instead(plan, estate), format!("{}: {reason}", shipment.name)));
                }
            }
        }
    }
    Ok(Sent::Shipments(shipments, readers))
}

/// Begins PostgreSQL's own plan of the statement.
///
/// # Safety
/// As for [`send`]; the plan has that one.
pub(super) unsafe fn instead(plan: &QueryPlan, estate: *mut pg_sys::EState) -> Running {
    // SAFETY: the caller's.
    unsafe { Running::start(plan.instead, estate, 0) }
}

impl Sent {
    /// Ends what has not ended.
    ///
    /// # Safety
    /// The execution around has not ended.
    pub(super) unsafe fn end(self) {
        let running = match self {
            Self::Shipments(_, readers) => readers,
            Self::Instead(running, _) => vec![running],
        };
        // SAFETY: the caller's.
        running.into_iter().for_each(|running| unsafe { running.end() });
    }
}

/// What EXPLAIN shows: what is sent, and how PostgreSQL reads it.
///
/// # Safety
/// Arguments are those of the callback; `sent` is what the node has.
pub(super) unsafe fn explain(
    plan: &QueryPlan,
    sent: Option<&Sent>,
    estate: *mut pg_sys::EState,
    es: *mut pg_sys::ExplainState,
) {
    if let Some(Sent::Instead(running, reason)) = sent {
        explain::text(es, c"Not in the engine", reason);
        // SAFETY: the caller's.
        return unsafe { running.explain(es) };
    }
    let (shipments, readers) = match sent {
        Some(Sent::Shipments(shipments, readers)) => (shipments.as_slice(), readers.as_slice()),
        _ => (&[][..], &[][..]),
    };
    // SAFETY: the caller's.
    unsafe {
        pg_sys::ExplainOpenGroup(c"Shipments".as_ptr(), c"Shipments".as_ptr(), false, es);
        for (at, shipment) in plan.shipments.iter().enumerate() {
            pg_sys::ExplainOpenGroup(c"Shipment".as_ptr(), std::ptr::null(), true, es);
            let shown = match shipments.get(at) {
                Some(sent) => format!("{} ({} rows)", shipment.name, sent.rows()),
                None => shipment.name.clone(),
            };
            explain::text(es, c"Shipped", &shown);
            match readers.get(at) {
                Some(reader) => reader.explain(es),
                None => {
                    let only = (*estate).es_top_eflags | pg_sys::EXEC_FLAG_EXPLAIN_ONLY as c_int;
                    let reader = Running::start(shipment.statement, estate, only);
                    reader.explain(es);
                    reader.end();
                }
            }
            pg_sys::ExplainCloseGroup(c"Shipment".as_ptr(), std::ptr::null(), true, es);
        }
        pg_sys::ExplainCloseGroup(c"Shipments".as_ptr(), c"Shipments".as_ptr(), false, es);
    }
}

/// Adds to a statement what another one within it depends on, so that it is locked and planned anew as that would be.
/// `has_rights`: rights are checked for it, too.
///
/// # Safety
/// Statements that have been planned and not been used.
pub(super) unsafe fn depend(statement: *mut pg_sys::PlannedStmt, inner: *mut pg_sys::PlannedStmt, has_rights: bool) {
    // SAFETY: the caller's; what is shared is not changed after planning.
    unsafe {
        let (whole, part) = (&mut *statement, &*inner);
        whole.relationOids = pg_sys::list_concat_unique_oid(whole.relationOids, part.relationOids);
        whole.invalItems = pg_sys::list_concat(whole.invalItems, part.invalItems);
        whole.transientPlan |= part.transientPlan;
        whole.dependsOnRole |= part.dependsOnRole;
        // A plan that is kept locks the tables of its range table before it runs.
        for entry in List::<pg_sys::RangeTblEntry>::new(part.rtable).iter() {
            compat::add_entry(statement, inner, entry.as_ptr(), has_rights);
        }
    }
}

/// # Safety
/// As for [`send`].
unsafe fn pack(shipment: &PlannedShipment, reader: &Running) -> Result<std::result::Result<Shipment, Unfit>> {
    let memory = memory::limit();
    let mut packing = Packing::new(&shipment.columns, MOST_BYTES.min(memory / PART_OF_MEMORY))?;
    let mut row = Vec::with_capacity(shipment.types.len());
    let mut count = 0usize;
    // SAFETY: the caller's; the slot has a column for each type, as planning saw it.
    unsafe {
        let of_row = PgMemoryContexts::new("lagoon shipment");
        loop {
            let Some(slot) = reader.next() else { return packing.finish().map(Ok) };
            if count.is_multiple_of(ROWS_AT_ONCE) {
                interrupt::check();
            }
            count += 1;
            row.clear();
            pg_sys::MemoryContextReset(of_row.value());
            for (at, ty) in reader.shown.iter().zip(&shipment.types) {
                let (datum, is_null) = (*(*slot).tts_values.add(*at), *(*slot).tts_isnull.add(*at));
                row.push(PgMemoryContexts::For(of_row.value()).switch_to(|_| types::value(*ty, datum, is_null))?);
            }
            if let Err(unfit) = packing.push(&row)? {
                return Ok(Err(unfit));
            }
        }
    }
}

/// A statement that runs within another one. One that was not ended is cleaned up by the end of the transaction.
pub(super) struct Running {
    description: *mut pg_sys::QueryDesc,
    /// The columns that are shown.
    shown: Vec<usize>,
}

impl Running {
    /// Begins one. A statement that is only to be explained has the flag for that.
    ///
    /// # Safety
    /// A SELECT that has been planned, which outlives the execution whose state this is.
    unsafe fn start(statement: *mut pg_sys::PlannedStmt, estate: *mut pg_sys::EState, flags: c_int) -> Self {
        // SAFETY: the caller's; snapshot, parameters and environment are those of the execution, and outlive this one.
        unsafe {
            let around = &*estate;
            PgMemoryContexts::For(around.es_query_cxt).switch_to(|_| {
                let description = pg_sys::CreateQueryDesc(
                    statement,
                    around.es_sourceText,
                    around.es_snapshot,
                    around.es_crosscheck_snapshot,
                    std::ptr::null_mut(),
                    around.es_param_list_info,
                    around.es_queryEnv,
                    around.es_instrument,
                );
                pg_sys::standard_ExecutorStart(description, flags);
                let targets = List::<pg_sys::TargetEntry>::new((*(*statement).planTree).targetlist);
                let shown = targets.iter().enumerate().filter(|(_, target)| !target.resjunk);
                Self { description, shown: shown.map(|(at, _)| at).collect() }
            })
        }
    }

    /// The next row, all columns of which are in the slot's arrays; none at the end. It is good until the next call.
    ///
    /// # Safety
    /// The execution around has not ended.
    unsafe fn next(&self) -> Option<*mut pg_sys::TupleTableSlot> {
        // SAFETY: the caller's; as ExecutePlan of execMain.c does it.
        unsafe {
            let estate = (*self.description).estate;
            PgMemoryContexts::For((*estate).es_query_cxt).switch_to(|_| {
                if let Some(context) = (*estate).es_per_tuple_exprcontext.as_ref() {
                    pg_sys::MemoryContextReset(context.ecxt_per_tuple_memory);
                }
                let slot = pg_sys::ExecProcNode((*self.description).planstate);
                if slot.is_null() || (*slot).tts_flags & pg_sys::TTS_FLAG_EMPTY as u16 != 0 {
                    return None;
                }
                pg_sys::slot_getallattrs(slot);
                Some(slot)
            })
        }
    }

    /// Fills the slot with what is shown of the next row; false at the end.
    ///
    /// # Safety
    /// As for `next`; an empty slot with as many columns as are shown.
    pub(super) unsafe fn next_into(&self, slot: *mut pg_sys::TupleTableSlot) -> bool {
        // SAFETY: the caller's; the values are good until the next call, before which the slot is emptied.
        unsafe {
            rows::clear(slot);
            let Some(from) = self.next() else { return false };
            for (to, at) in self.shown.iter().enumerate() {
                *(*slot).tts_values.add(to) = *(*from).tts_values.add(*at);
                *(*slot).tts_isnull.add(to) = *(*from).tts_isnull.add(*at);
            }
            rows::store(slot);
            true
        }
    }

    /// What EXPLAIN shows of it, in the group that is open.
    ///
    /// # Safety
    /// The state of an EXPLAIN that is under way, of the statement around.
    unsafe fn explain(&self, es: *mut pg_sys::ExplainState) {
        // SAFETY: the caller's. The state knows one statement at a time, and what is printed after this is of the one around.
        unsafe {
            let before = *es;
            (*es).settings = false; // they come at the end
            pg_sys::ExplainPrintPlan(es, self.description);
            *es = before;
        }
    }

    /// Ends it.
    ///
    /// # Safety
    /// As for `next`.
    unsafe fn end(self) {
        // SAFETY: the caller's.
        unsafe {
            let flags = (*(*self.description).estate).es_top_eflags;
            if flags & pg_sys::EXEC_FLAG_EXPLAIN_ONLY as c_int == 0 {
                pg_sys::standard_ExecutorFinish(self.description);
            }
            pg_sys::standard_ExecutorEnd(self.description);
            pg_sys::FreeQueryDesc(self.description);
        }
    }
}
