//! What a worker thread knows of itself, in a thread-local.

use crate::pool::job::Queued;
use crate::pool::registry::Registry;
use crate::pool::threads::ThreadInfo;
use crate::sync::{Arc, Local, thread_local};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

pub(crate) struct WorkerContext {
    pub(crate) registry: Arc<Registry>,
    pub(crate) thread: Arc<ThreadInfo>,
    /// The worker's own queue. Empty while the slot is released: other threads scan the queues of active threads only.
    pub(crate) local: Local<Queued>,
    /// Cleared while the thread's job waits. Only [`slot`](crate::pool::slot) writes it.
    pub(crate) has_slot: Cell<bool>,
}

impl WorkerContext {
    pub(crate) fn new(
        registry: Arc<Registry>,
        thread: Arc<ThreadInfo>,
        local: Local<Queued>,
    ) -> Self {
        Self {
            registry,
            thread,
            local,
            has_slot: Cell::new(true),
        }
    }
}

thread_local! {
    static CONTEXT: RefCell<Option<Rc<WorkerContext>>> = const { RefCell::new(None) };
}

/// Makes this thread a worker.
pub(crate) fn enter(context: Rc<WorkerContext>) {
    CONTEXT.with(|cell| *cell.borrow_mut() = Some(context));
}

/// Ends this thread's time as a worker. Destructors of its other thread-locals run later, and find no worker.
pub(crate) fn leave() {
    let context = CONTEXT.with(|cell| cell.borrow_mut().take());
    drop(context);
}

/// If the thread ends, the thread-local may be gone. Then there is no worker.
fn with_current<T>(f: impl FnOnce(&Rc<WorkerContext>) -> T) -> Option<T> {
    CONTEXT
        .try_with(|context| context.borrow().as_ref().map(f))
        .ok()
        .flatten()
}

pub(crate) fn current() -> Option<Rc<WorkerContext>> {
    with_current(Rc::clone)
}

/// The current worker, if it belongs to the pool of `registry`.
pub(crate) fn of(registry: &Arc<Registry>) -> Option<Rc<WorkerContext>> {
    with_current(|context| Arc::ptr_eq(&context.registry, registry).then(|| context.clone()))?
}

pub(crate) fn is_worker() -> bool {
    with_current(|_| ()).is_some()
}

/// How long a wait of this thread spins at most, if it is a worker.
pub(crate) fn spin_time() -> Option<Duration> {
    with_current(|context| context.registry.settings.spin_time)
}
