//! Which worker a thread is, and whose: how a pool knows its own threads when they submit to it.
//! (`place` is what the waits below the pool know of a worker; they can't know this.)

use crate::crew::Crew;
use crate::idle::Desk;
use crate::job::Queued;
use crate::place::Place;
use crate::sync::{Arc, Local, thread_local};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

/// What a worker has of its own.
pub(crate) struct Own {
    pub(crate) crew: Arc<Crew>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) local: Local<Queued>,
    /// Its place is given back. Its own queue is empty then, and stays so: the others don't look into it.
    away: Cell<bool>,
}

impl Own {
    pub(crate) fn new(crew: Arc<Crew>, desk: Arc<Desk>, local: Local<Queued>) -> Self {
        Self {
            crew,
            desk,
            local,
            away: Cell::new(false),
        }
    }

    pub(crate) fn is_away(&self) -> bool {
        self.away.get()
    }
}

impl Place for Own {
    fn leave(&self, bounded: bool) -> bool {
        let left = self.crew.leave(self, bounded);
        self.away.set(left);
        left
    }

    fn come_back(&self) {
        self.away.set(false);
        self.crew.come_back(&self.desk);
    }

    fn spin_time(&self) -> Duration {
        self.crew.settings.spin_time
    }
}

thread_local! {
    static OWN: RefCell<Option<Rc<Own>>> = const { RefCell::new(None) };
}

/// Makes this thread a worker.
pub(crate) fn adopt(own: Rc<Own>) {
    OWN.with(|cell| *cell.borrow_mut() = Some(own));
}

/// This thread is no longer a worker.
pub(crate) fn dismiss() {
    let own = OWN.with(|cell| cell.borrow_mut().take());
    drop(own);
}

/// What this thread has, if it is one of `crew`'s.
pub(crate) fn of(crew: &Arc<Crew>) -> Option<Rc<Own>> {
    OWN.try_with(|own| {
        let own = own.borrow();
        own.as_ref()
            .filter(|own| Arc::ptr_eq(&own.crew, crew))
            .cloned()
    })
    .ok()
    .flatten()
}
