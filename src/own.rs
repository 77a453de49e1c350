//! Which worker a thread is, and whose: how a pool knows its own threads when they submit to it.
//! (`place` is what the waits below the pool know of a worker; they can't know this.)

use crate::idle::Desk;
use crate::job::Queued;
use crate::sync::{Arc, Local, thread_local};
use std::cell::RefCell;
use std::rc::Rc;

/// A worker's own queue, as the worker holds it.
pub(crate) type OwnQueue = Rc<Local<Queued>>;

pub(crate) struct Own {
    /// The address of the pool's crew, which outlives the worker.
    pub(crate) crew: usize,
    pub(crate) desk: Arc<Desk>,
    pub(crate) local: OwnQueue,
}

thread_local! {
    static OWN: RefCell<Option<Own>> = const { RefCell::new(None) };
}

/// Makes this thread a worker.
pub(crate) fn adopt(own: Own) {
    OWN.with(|cell| *cell.borrow_mut() = Some(own));
}

/// This thread is no longer a worker.
pub(crate) fn dismiss() {
    let own = OWN.with(|cell| cell.borrow_mut().take());
    drop(own);
}

/// Asks what this thread has, if it is one of `crew`'s.
pub(crate) fn of<T>(crew: usize, part: impl FnOnce(&Own) -> T) -> Option<T> {
    OWN.try_with(|own| match &*own.borrow() {
        Some(own) if own.crew == crew => Some(part(own)),
        _ => None,
    })
    .ok()
    .flatten()
}
