//! The current loop: the one that this thread runs, if any.

use crate::event_loop::scheduler::{Inbox, Scheduler};
use crate::observe::sites::Site;
use crate::sync::{Arc, ThreadId, current_thread, thread_local};
use std::cell::RefCell;
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Scheduler>>> = const { RefCell::new(None) };
}

/// While this guard exists, this thread runs a loop. Its drop brings back the loop that ran before, if any.
#[must_use]
pub(crate) struct CurrentLoop(Option<Rc<Scheduler>>);

impl CurrentLoop {
    /// # Panics
    /// If this thread runs a loop already. The message begins with `what`.
    #[track_caller]
    pub(crate) fn enter(scheduler: &Rc<Scheduler>, what: &str) -> Self {
        let current = Self::replace(scheduler);
        if current.0.is_some() {
            drop(current);
            panic!(
                "{what}: an event loop is already running on this thread; await the future or spawn it there"
            );
        }
        current
    }

    /// For the end of a loop. It may come while another loop runs.
    pub(crate) fn replace(scheduler: &Rc<Scheduler>) -> Self {
        // If the thread ends, the thread-local may be gone before the last loop.
        let before = CURRENT.try_with(|current| current.replace(Some(scheduler.clone())));
        Self(before.ok().flatten())
    }
}

impl Drop for CurrentLoop {
    fn drop(&mut self) {
        let ended = CURRENT.try_with(|current| current.replace(self.0.take()));
        drop(ended);
    }
}

/// If the thread ends, the thread-local may be gone. Then no loop runs.
fn with_current<T>(f: impl FnOnce(&Rc<Scheduler>) -> T) -> Option<T> {
    CURRENT
        .try_with(|current| current.borrow().as_ref().map(f))
        .ok()
        .flatten()
}

pub(crate) fn scheduler() -> Option<Rc<Scheduler>> {
    with_current(Rc::clone)
}

/// If the current loop is that of `inbox`, calls `f` with its scheduler. `f` calls no user code.
pub(super) fn with_loop_of<T>(inbox: &Arc<Inbox>, f: impl FnOnce(&Scheduler) -> T) -> Option<T> {
    with_current(|current| Arc::ptr_eq(&current.inbox, inbox).then(|| f(current)))?
}

/// Whether this thread runs a loop.
pub(crate) fn is_running() -> bool {
    with_current(|_| ()).is_some()
}

/// Whether `waker` is that of the task that this thread's loop polls, and the loop has no hook. Such a waker never blocks.
/// Any other waker may block.
pub(crate) fn is_own_waker(waker: &Waker) -> bool {
    let is_own =
        |current: &Rc<Scheduler>| !current.inbox.has_hook() && current.key_of(waker).is_some();
    with_current(is_own).unwrap_or(false)
}

/// Called when an answer to the current loop may come soon. Then the loop may spin before it sleeps.
pub(crate) fn expect_answer() {
    let _ = with_current(|current| current.is_answer_due.set(true));
}

/// A poll has found a job pending that was submitted at this place. An answer may come soon.
pub(crate) fn await_job(submitted_at: &'static Location<'static>) {
    let _ = with_current(|current| {
        current.is_answer_due.set(true);
        current.job.set(Site::of(submitted_at).bits());
    });
}

/// A wait for a job ends.
pub(crate) fn forget_job() {
    let _ = with_current(|current| current.job.set(0));
}

/// # Panics
/// If a wait would stop a loop: this thread runs a loop, or it owns the loop that the wait needs.
#[track_caller]
pub(crate) fn refuse_loop_thread(what: &str, owner: Option<ThreadId>) {
    assert!(
        !is_running(),
        "{what}: this thread runs an event loop, which would stop while it blocks; await it instead"
    );
    assert!(
        owner.is_none_or(|owner| owner != current_thread()),
        "{what}: this thread owns the event loop that has to turn for it, and no other thread can run that; \
         await it there instead, with EventLoop::run_until"
    );
}
