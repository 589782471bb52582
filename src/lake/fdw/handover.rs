//! What planning has made of files, on its way from the planner to the executor: resolved relations, and plans of the engine.
//!
//! Plans are copied, so a node of a plan carries text only: ours has the number of an entry here. An entry is for the very
//! execution that the planning was for, and whoever finds none resolves or plans anew:
//! - it is taken once, so a cached plan that is executed again finds none;
//! - it goes with the planner's memory, which lasts as long as the message or the SPI call: after EXPLAIN, with a plan that is
//!   thrown away, and for a portal that is bound by one message and started by a later one;
//! - it is void once a command of the transaction has made changes that the next one sees;
//! - there is none for functions in SQL, all of whose statements may be planned before the first one runs.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::CStr;
use std::rc::Rc;

use pgrx::pg_sys;

/// An entry, for as long as this is kept.
pub(in crate::lake) struct Ticket(u64);

struct Entry {
    made: Rc<dyn Any>,
    moment: Moment,
}

/// A place in the sequence of commands of this session.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Moment {
    transaction: pg_sys::TimestampTz,
    command: pg_sys::CommandId,
}

thread_local! {
    static ENTRIES: RefCell<HashMap<u64, Entry>> = RefCell::default();
    static LAST: Cell<u64> = const { Cell::new(0) };
}

/// Makes an entry, if the plan that is being made is to be executed next.
pub(in crate::lake) fn offer<T: 'static>(made: &Rc<T>) -> Option<Ticket> {
    if is_planned_ahead() {
        return None;
    }
    let number = LAST.get() + 1;
    LAST.set(number);
    let entry = Entry { made: made.clone(), moment: Moment::now() };
    ENTRIES.with_borrow_mut(|entries| entries.insert(number, entry));
    Some(Ticket(number))
}

/// What an entry holds, for its plan's first execution.
pub(in crate::lake) fn take<T: 'static>(number: u64) -> Option<Rc<T>> {
    let entry = ENTRIES.with_borrow_mut(|entries| entries.remove(&number))?;
    let made = (entry.moment == Moment::now()).then_some(entry.made)?;
    made.downcast().ok()
}

impl Ticket {
    /// What the plan carries.
    pub(in crate::lake) fn number(&self) -> u64 {
        self.0
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let _ = ENTRIES.try_with(|entries| entries.borrow_mut().remove(&self.0)); // it may have been taken
    }
}

impl Moment {
    fn now() -> Self {
        // SAFETY: both read variables of this process, inside a transaction.
        unsafe {
            Self {
                transaction: pg_sys::GetCurrentTransactionStartTimestamp(),
                command: pg_sys::GetCurrentCommandId(false),
            }
        }
    }
}

/// Whether a function in SQL is being planned: up to PostgreSQL 17 all its statements are, when it is first called
/// (init_sql_fcache of functions.c, in a memory context of this name).
fn is_planned_ahead() -> bool {
    // SAFETY: the current context is live, and its name a constant.
    unsafe { CStr::from_ptr((*pg_sys::CurrentMemoryContext).name) == c"SQL function" }
}
