//! The thread that owns ONNX Runtime in this backend.
//!
//! The main thread sends it one request at a time and waits on its latch, so a cancel ends the statement at once. The run is
//! terminated in the background, and the next request waits for that. The thread starts with the first call, never in the
//! postmaster: ONNX Runtime does not survive a fork. It ends before the process does: a thread inside the library would crash
//! while the library's destructors run, and a crash of one backend restarts the server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use lagoon_embed::{Cancel, Error, Models, Reply, Request, Statistics};

use crate::pg::job::{join_within, panic_message};
use crate::pg::wait::{self, Notify};
use crate::pg::{exit, thread};

/// How long the process waits for the thread when it exits. The thread may be in a node of a graph, or loading a model.
const END_LIMIT: Duration = Duration::from_millis(50);

/// A request with the channel for its reply.
struct QueuedRequest {
    request: Request,
    cancel: Arc<Cancel>,
    reply: SyncSender<Result<Reply, Error>>,
}

/// The engine of this backend. Only the main thread takes the lock.
static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);

struct Engine {
    sender: Sender<QueuedRequest>,
    thread: JoinHandle<()>,
    notify: Notify,
    statistics: Arc<Statistics>,
    /// The flag of the current or last request.
    current: Weak<Cancel>,
}

/// Sends a request to the engine and waits for the reply. If the statement is cancelled meanwhile, raises that error and does
/// not wait for the engine to stop.
pub fn run(request: Request) -> Result<Reply, Error> {
    let cancel = CancelOnDrop(Arc::default());
    let (reply, answer) = sync_channel(1);
    let notify = {
        let mut engine = engine()?;
        let Some(engine) = engine.as_mut() else { return Err(Error::NotStarted("no thread".to_owned())) };
        engine.current = Arc::downgrade(&cancel.0);
        let queued = QueuedRequest { request, cancel: cancel.0.clone(), reply };
        engine.sender.send(queued).map_err(|_| Error::NotStarted("it has ended".to_owned()))?;
        engine.notify.clone()
    };
    let outcome = wait::until(&notify, || match answer.try_recv() {
        Ok(outcome) => Some(outcome),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(Err(Error::NotStarted("it has ended".to_owned()))),
    });
    drop(cancel); // has no effect on a request that is finished
    outcome
}

/// Answers a request, on the engine's thread.
fn process(models: &mut Models, queued: QueuedRequest, notify: &Notify) {
    let QueuedRequest { request, cancel, reply } = queued;
    let outcome = catch_unwind(AssertUnwindSafe(|| models.answer(request, &cancel)));
    let outcome = outcome.unwrap_or_else(|panic| {
        models.unload(); // a panic may have left them half changed
        Err(Error::Panicked(panic_message(&*panic)))
    });
    let _ = reply.send(outcome); // fails if the statement has ended
    notify.wake();
}

/// Counters of this backend; `None` before its first call.
pub fn statistics() -> Option<Arc<Statistics>> {
    lock().as_ref().map(|engine| engine.statistics.clone())
}

/// Cancels a request when its statement ends, also by an ERROR.
struct CancelOnDrop(Arc<Cancel>);

impl Drop for CancelOnDrop {
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
            receiver.into_iter().for_each(|queued| process(&mut models, queued, &waker));
        });
        let thread = thread.map_err(failed)?;
        *engine = Some(Engine { sender, thread, notify, statistics, current: Weak::new() });
        exit::at_exit(end);
    }
    Ok(engine)
}

/// Stops the thread, which unloads the models and closes the environment of ONNX Runtime. If that takes too long, the process
/// exits without running destructors, which would crash a thread inside the library.
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
