//! A worker's place in its pool, and how it is given back while the worker waits.
//!
//! The rule: whatever of ours makes a worker wait (`syncify`, `block_on`, `join`, `shutdown`, a loop
//! that it runs itself) leaves the place first, so that a job that the wait depends on can have it. Taking it
//! again never waits. That is why nesting can't use up a pool.

use crate::sync::thread_local;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

pub(crate) trait Place {
    /// Gives the place back. With `bounded`: does nothing and returns `false` if the pool's `max_parked` jobs
    /// wait already.
    fn leave(&self, bounded: bool) -> bool;
    fn come_back(&self);
    /// For how long a thread of the pool spins before it sleeps.
    fn spin_time(&self) -> Duration;
}

thread_local! {
    static PLACE: RefCell<Option<Rc<dyn Place>>> = const { RefCell::new(None) };
}

thread_local! {
    static SPIN_TIME: Cell<Option<Duration>> = const { Cell::new(None) };
}

/// For how long a wait of this thread's spins at the most, if it is a worker: in its place, or away from it.
pub(crate) fn spin_time() -> Option<Duration> {
    SPIN_TIME.try_with(Cell::get).ok().flatten()
}

pub(crate) fn is_worker() -> bool {
    spin_time().is_some()
}

/// Says that this thread is a worker, for as long as it lives.
pub(crate) fn install(place: Rc<dyn Place>) {
    let _ = SPIN_TIME.try_with(|time| time.set(Some(place.spin_time())));
    // In a thread that ends, there may be nowhere to keep it.
    let _ = PLACE.try_with(|cell| cell.replace(Some(place)));
}

/// This thread is no longer a worker.
pub(crate) fn uninstall() {
    let place = take();
    let _ = SPIN_TIME.try_with(|time| time.set(None));
    drop(place);
}

/// The thread is away from its place until this is dropped. Empty on threads that have none, and
/// where the place was left already by a wait further down the stack.
#[must_use]
pub(crate) struct Away(Option<Rc<dyn Place>>);

impl Drop for Away {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.come_back();
            install(place);
        }
    }
}

/// Leaves the place, however many are away.
pub(crate) fn leave() -> Away {
    let place = take();
    if let Some(place) = &place {
        place.leave(false);
    }
    Away(place)
}

/// Leaves the place, or says no where the pool's `max_parked` threads are away.
pub(crate) fn leave_bounded() -> Option<Away> {
    let place = take();
    if place.as_ref().is_some_and(|place| !place.leave(true)) {
        place.into_iter().for_each(install);
        return None;
    }
    Some(Away(place))
}

fn take() -> Option<Rc<dyn Place>> {
    PLACE
        .try_with(|cell| cell.borrow_mut().take())
        .ok()
        .flatten()
}
