//! The thread that owns ONNX Runtime in this backend.
//!
//! The main thread sends it one request at a time and waits on its latch, so a cancel is answered at once: the statement
//! ends, the run is told to stop, and the next request waits until it has. The thread starts with the first
//! call, never in the postmaster: ONNX Runtime does not survive a fork. It ends before the process does, because a thread
//! inside the library while the library's destructors run would crash, and a crash of one backend restarts the server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use lagoon_embed::{Cancel, Error, Models, Reply, Request, Statistics};

use crate::pg::job::{join_within, panic_message};
use crate::pg::wait::{self, Notify};
use crate::pg::{exit, thread};

/// How long the end of the process waits for the thread, which may be in one node of a graph, or loading a model.
const END_LIMIT: Duration = Duration::from_millis(50);

/// A request on its way to the engine.
struct Asked {
    request: Request,
    cancel: Arc<Cancel>,
    reply: SyncSender<Result<Reply, Error>>,
}

/// Of this backend; only its main thread takes the lock.
static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);

struct Engine {
    sender: Sender<Asked>,
    thread: JoinHandle<()>,
    notify: Notify,
    statistics: Arc<Statistics>,
    /// What runs now, or ran last.
    current: Weak<Cancel>,
}

/// Asks the engine and waits for its answer. When the statement is cancelled meanwhile, raises that error and leaves the
/// engine to stop by itself.
pub fn ask(request: Request) -> Result<Reply, Error> {
    let withdraw = Withdraw(Arc::default());
    let (reply, answer) = sync_channel(1);
    let notify = {
        let mut engine = engine()?;
        let Some(engine) = engine.as_mut() else { return Err(Error::NotStarted("no thread".to_owned())) };
        engine.current = Arc::downgrade(&withdraw.0);
        let asked = Asked { request, cancel: withdraw.0.clone(), reply };
        engine.sender.send(asked).map_err(|_| Error::NotStarted("it has ended".to_owned()))?;
        engine.notify.clone()
    };
    let outcome = wait::until(&notify, || match answer.try_recv() {
        Ok(outcome) => Some(outcome),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(Err(Error::NotStarted("it has ended".to_owned()))),
    });
    drop(withdraw); // without effect on what is answered
    outcome
}

/// On the engine's thread.
fn answer(models: &mut Models, asked: Asked, notify: &Notify) {
    let Asked { request, cancel, reply } = asked;
    let outcome = catch_unwind(AssertUnwindSafe(|| models.answer(request, &cancel)));
    let outcome = outcome.unwrap_or_else(|panic| {
        models.unload(); // whatever was half done
        Err(Error::Panicked(panic_message(&*panic)))
    });
    let _ = reply.send(outcome); // nobody listens when the statement is gone
    notify.wake();
}

/// Counters of this backend; `None` before its first call.
pub fn statistics() -> Option<Arc<Statistics>> {
    lock().as_ref().map(|engine| engine.statistics.clone())
}

/// Withdraws a request when its statement ends, by whatever way.
struct Withdraw(Arc<Cancel>);

impl Drop for Withdraw {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn lock() -> MutexGuard<'static, Option<Engine>> {
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn engine() -> Result<MutexGuard<'static, Option<Engine>>, Error> {
    let mut engine = lock();
    if engine.is_none() {
        let failed = |error: std::io::Error| Error::NotStarted(error.to_string());
        let notify = Notify::new().map_err(failed)?;
        let statistics = Arc::<Statistics>::default();
        let counted = statistics.clone();
        let (waker, (sender, receiver)) = (notify.clone(), channel());
        let thread = thread::spawn("lagoon embed", move || {
            let mut models = Models::new(counted, None);
            receiver.into_iter().for_each(|asked| answer(&mut models, asked, &waker));
        });
        let thread = thread.map_err(failed)?;
        *engine = Some(Engine { sender, thread, notify, statistics, current: Weak::new() });
        exit::at_exit(end);
    }
    Ok(engine)
}

/// Stops the thread, which unloads the models and closes the environment of ONNX Runtime. Where that takes long the process
/// ends without it: nobody waits for a terminated session, and a thread inside the library must not meet its destructors.
fn end() {
    let Some(engine) = lock().take() else { return };
    if let Some(cancel) = engine.current.upgrade() {
        cancel.cancel();
    }
    drop(engine.sender);
    if !join_within(engine.thread, END_LIMIT) {
        exit::now();
    }
}
