//! The worker of one database: runs the tasks that the launcher has assigned to it, and exits.

use std::ffi::c_int;

use pgrx::{pg_guard, pg_sys};

use super::state::{self, Phase};
use super::task::{self, BackgroundTask};
use crate::pg::transaction::Failure;
use crate::pg::{database, interrupt, log, process, transaction};

/// Where the postmaster starts a worker; the argument is the oid of its database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn lagoon_worker_main(argument: pg_sys::Datum) {
    process::attach_signals();
    process::connect(Some(pg_sys::Oid::from(argument.value() as u32)));
    process::before_exit(leave);
    if state::enter(process::database(), process::id(), process::now()) {
        work(process::database());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn leave(_code: c_int, _argument: pg_sys::Datum) {
    state::leave(process::database(), process::id());
    process::wake(state::launcher());
}

/// Runs tasks until none is left, or until there is another reason to exit.
fn work(database: pg_sys::Oid) {
    let mut tasks = task::all();
    let mut has_extension = false;
    while !process::termination_pending() {
        if state::is_blocked(database) {
            return state::set_final_phase(database, Phase::Released);
        }
        // Clear the recheck flag before checking, so that a request arriving in between is not lost.
        let is_asked = state::take_recheck(database);
        if is_asked || !has_extension {
            has_extension = self::has_extension();
            if !has_extension {
                return state::set_final_phase(database, Phase::Absent);
            }
            state::set_phase(database, Phase::Running);
            process::wake(state::launcher()); // it starts one worker at a time
        }
        process::drop_cancel();
        interrupt::check();
        process::take_reload();
        match state::take_task(database) {
            Some(number) => {
                if let Some(task) = tasks.get_mut(number) {
                    run(database, number, task.as_mut());
                }
            }
            None if state::finish(database) => return,
            None => {}
        }
    }
}

/// Whether the extension exists in this database.
fn has_extension() -> bool {
    transaction::run(database::has_lagoon).unwrap_or_else(|failure| {
        // The worker exits if catalogs cannot be read, and is started again later.
        log::warning(format!("could not check for the extension: {failure}"));
        process::exit(1)
    })
}

fn run(database: pg_sys::Oid, number: usize, task: &mut dyn BackgroundTask) {
    let name = task.name();
    process::show_activity(Some(&format!("lagoon: {name}")));
    let outcome = task.run();
    process::show_activity(None);
    match outcome {
        Ok(summary) => {
            state::succeeded(database, number, process::now());
            if let Some(summary) = summary {
                log::log(format!("{name}: {summary}"));
            }
        }
        Err(failure) => {
            let Failure { sqlstate, message, detail, hint } = failure;
            state::failed(database, number, process::now(), &format!("{name}: {message} ({sqlstate})"));
            let more: String = [("DETAIL", detail), ("HINT", hint)]
                .into_iter()
                .filter_map(|(label, text)| text.map(|text| format!("; {label}: {text}")))
                .collect();
            log::warning(format!("{name} failed: {message} ({sqlstate}); it will be tried again{more}"));
        }
    }
}
