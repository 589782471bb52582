//! The worker of one database: waits for what its duties wait for, and does them.

use std::ffi::c_int;
use std::time::{Duration, Instant};

use pgrx::{pg_guard, pg_sys};

use super::duty::{self, Duty, Trigger};
use super::folder::Folder;
use super::state::{self, Phase};
use crate::pg::{database, guc, interrupt, log, process, transaction, wait};

/// The longest pause after failures of a duty.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// Where the postmaster starts a worker; the argument is the oid of its database.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn lagoon_worker_main(argument: pg_sys::Datum) {
    process::attach_signals();
    process::connect(Some(pg_sys::Oid::from(argument.value() as u32)));
    process::before_exit(leave);
    if state::enter(process::database(), process::id(), process::now()) {
        Worker::new().work();
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn leave(_code: c_int, _argument: pg_sys::Datum) {
    state::leave(process::database(), process::id());
    process::wake(state::launcher());
}

/// Why a worker ends of its own will.
enum End {
    /// A SIGTERM.
    Asked,
    /// The extension is not in the database.
    Absent,
    /// Somebody wants to be alone with the database.
    Parked,
}

struct Worker {
    database: pg_sys::Oid,
    tasks: Vec<Task>,
    /// The extension was seen, so there are duties.
    is_home: bool,
}

/// A duty, and when it is due.
struct Task {
    duty: Box<dyn Duty>,
    trigger: Trigger,
    folder: Option<Folder>,
    /// Of an interval, or of another attempt after a failure.
    next: Option<Instant>,
    /// Failures since the last success.
    failures: u32,
}

impl Worker {
    fn new() -> Self {
        Self { database: process::database(), tasks: Vec::new(), is_home: false }
    }

    /// Until there is a reason to end.
    fn work(&mut self) {
        let end = loop {
            if let Some(end) = self.reason_to_end() {
                break end;
            }
            process::drop_cancel();
            interrupt::check();
            if process::take_reload() {
                self.tasks.iter_mut().for_each(Task::configure);
            }
            self.report_problems();
            if let Some(task) = self.tasks.iter_mut().find_map(|task| task.is_due().then_some(task)) {
                if !run(self.database, task) {
                    self.is_home = false; // look before anything else
                }
                continue;
            }
            self.rest();
        };
        match end {
            End::Asked => {}
            End::Absent => state::set_final_phase(self.database, Phase::Absent),
            End::Parked => state::set_final_phase(self.database, Phase::Released),
        }
    }

    fn reason_to_end(&mut self) -> Option<End> {
        if process::termination_pending() {
            return Some(End::Asked);
        }
        if state::is_parked(self.database) {
            return Some(End::Parked);
        }
        // The wish is taken before the look, so that one which comes meanwhile is seen the next time.
        let is_asked = state::take_recheck(self.database);
        if (is_asked || !self.is_home) && !self.look() {
            return Some(End::Absent);
        }
        None
    }

    /// Looks whether the extension is there; the first time that it is, takes up the duties.
    fn look(&mut self) -> bool {
        match transaction::run(database::has_lagoon) {
            Ok(is_here) => self.is_home = is_here,
            Err(failure) => {
                // Nothing to be done in a database whose catalogs cannot be read: end, and be started again later.
                log::warning(format!("could not look for the extension: {failure}"));
                process::exit(1);
            }
        }
        if self.is_home && self.tasks.is_empty() {
            self.tasks = duty::all().into_iter().map(Task::new).collect();
            state::set_phase(self.database, Phase::Idle);
            process::wake(state::launcher()); // it starts one worker at a time
        }
        self.is_home
    }

    /// A folder that is not there, or not for us, is no failure of a duty, but something to know.
    fn report_problems(&mut self) {
        for problem in self.tasks.iter_mut().filter_map(|task| task.folder.as_mut().and_then(Folder::take_problem)) {
            state::set_error(self.database, &problem);
            log::warning(format!("{problem}; trying again every second"));
        }
    }

    /// Waits for the next thing.
    fn rest(&self) {
        let phase = if self.tasks.iter().any(|task| task.failures > 0) { Phase::BackingOff } else { Phase::Idle };
        state::set_phase(self.database, phase);
        let now = Instant::now();
        let next = self.tasks.iter().filter_map(Task::next).min();
        let timeout = next.map(|next| next.saturating_duration_since(now));
        // One descriptor can be waited on; a second folder would be looked at when the wait ends for another reason.
        let folder = self.tasks.iter().find_map(|task| task.folder.as_ref().and_then(Folder::descriptor));
        wait::event(folder, timeout);
    }
}

/// Does a duty in a transaction. False when there was nothing to do it in: the extension has gone.
fn run(database: pg_sys::Oid, task: &mut Task) -> bool {
    let name = task.duty.name();
    state::set_phase(database, Phase::Running);
    process::show_activity(Some(&format!("lagoon: {name}")));
    let outcome = transaction::run(|| database::has_lagoon().then(|| task.duty.run()));
    process::show_activity(None);
    match outcome {
        Ok(None) => return false,
        Ok(Some(summary)) => {
            task.succeeded();
            state::succeeded(database, process::now());
            if let Some(summary) = summary {
                log::log(format!("{name}: {summary}"));
            }
        }
        Err(failure) => {
            let pause = task.failed();
            state::failed(database, process::now(), &format!("{name}: {} ({})", failure.message, failure.sqlstate));
            let more: String = [("DETAIL", failure.detail), ("HINT", failure.hint)]
                .into_iter()
                .filter_map(|(label, text)| text.map(|text| format!(" {label}: {text}")))
                .collect();
            let message = format!("{name} failed: {} ({})", failure.message, failure.sqlstate);
            log::warning(format!("{message}; next attempt in {} s{more}", pause.as_secs()));
        }
    }
    true
}

impl Task {
    fn new(duty: Box<dyn Duty>) -> Self {
        let mut task = Self { duty, trigger: Trigger::Never, folder: None, next: None, failures: 0 };
        task.configure();
        task
    }

    /// Takes up the trigger of the present configuration.
    fn configure(&mut self) {
        let trigger = self.duty.trigger();
        if trigger == self.trigger {
            return;
        }
        (self.folder, self.next, self.failures) = (None, None, 0);
        match &trigger {
            Trigger::Folder(path) => self.folder = Some(Folder::new(path.clone())),
            Trigger::Every(_) => self.next = Some(Instant::now()),
            Trigger::Never => {}
        }
        self.trigger = trigger;
    }

    /// A change in the folder does not wait for the pause after a failure: it may be the remedy.
    fn is_due(&mut self) -> bool {
        let is_changed = self.folder.as_mut().is_some_and(Folder::take_change);
        is_changed || self.next.is_some_and(|next| Instant::now() >= next)
    }

    fn next(&self) -> Option<Instant> {
        [self.next, self.folder.as_ref().map(Folder::next)].into_iter().flatten().min()
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.next = match self.trigger {
            Trigger::Every(interval) => Some(Instant::now() + interval),
            _ => None,
        };
    }

    /// The pause until the next attempt: the restart interval, doubled with each failure.
    fn failed(&mut self) -> Duration {
        let first = Duration::from_secs(guc::WORKER_RESTART_INTERVAL.get().max(1) as u64);
        let pause = first.saturating_mul(1 << self.failures.min(16)).min(LONGEST_PAUSE.max(first));
        self.failures += 1;
        self.next = Some(Instant::now() + pause);
        pause
    }
}
