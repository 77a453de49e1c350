//! The current call: the job that the code on this thread belongs to. It leads to the current loop.

use crate::bridge::call_state::{CallState, HeldPermit};
use crate::context::inherited::Inherited;
use crate::event_loop::current;
use crate::event_loop::handle::Handle;
use crate::pool::job::{Queued, Run};
use crate::sync::{Arc, thread_local};
use std::cell::RefCell;

/// A job without the type of its result: what its nested calls, and its caller, know of it.
pub trait Call: Run {
    fn call_state(&self) -> &CallState;
    /// Sets the job's loop, and whether a call around it holds a permit. Call it before the job is submitted.
    fn set_origin(&mut self, home: Option<Handle>, in_permit_scope: bool);
    /// Gives the job a permit to hold until it is done. Call it before the job is submitted.
    fn set_permit(&mut self, permit: HeldPermit);
    /// Gives the job a context for its function. Call it before the job is submitted.
    fn set_context(&mut self, context: Inherited);
    fn is_finished(&self) -> bool;
    /// Cancels the job: the caller has gone. If the job runs already, only its waits end.
    fn cancel(&self);
    /// Cancels the job, but the caller waits on for what it gives. `false`: it never began, and gives nothing.
    #[must_use]
    fn tell(&self) -> bool;
    /// Detaches the job: it runs, and its result is dropped.
    fn detach(&self);
    fn into_queued(self: Arc<Self>) -> Queued;
    fn into_call(self: Arc<Self>) -> Arc<dyn Call>;
}

impl Handle {
    /// The current loop: the one that this thread runs. Inside a job, the loop that the job belongs to.
    ///
    /// # Panics
    /// If there is none. [`try_current`](Self::try_current) returns `None` instead.
    ///
    /// ```
    /// use footbridge::{Handle, run, spawn_blocking};
    /// use std::thread;
    ///
    /// run(async {
    ///     let where_it_runs = || Handle::current().block_on(|| async { thread::current().id() });
    ///     assert_eq!(spawn_blocking(where_it_runs).await, Ok(thread::current().id()));
    /// });
    /// ```
    #[track_caller]
    pub fn current() -> Self {
        Self::try_current().expect(
            "Handle::current: no event loop here; call it inside footbridge::run, or in a job that \
             a loop has submitted, or ask Handle::try_current",
        )
    }

    /// The current loop, if there is one.
    ///
    /// ```
    /// assert!(footbridge::Handle::try_current().is_none());
    /// ```
    pub fn try_current() -> Option<Self> {
        match current::scheduler() {
            Some(scheduler) => Some(Self {
                inbox: scheduler.inbox.clone(),
            }),
            None => CALL
                .try_with(|call| call.borrow().as_ref()?.call_state().home().cloned())
                .ok()
                .flatten(),
        }
    }
}

thread_local! {
    // The job that this thread runs, or the job whose async function the loop polls.
    static CALL: RefCell<Option<Arc<dyn Call>>> = const { RefCell::new(None) };
}

/// The call that the code on this thread belongs to.
pub(crate) fn current_call() -> Option<Arc<dyn Call>> {
    CALL.try_with(|call| call.borrow().clone()).ok().flatten()
}

/// The current call, if it or a call around it holds a permit.
pub(crate) fn permit_holder() -> Option<Arc<dyn Call>> {
    CALL.try_with(|call| {
        let call = call.borrow();
        call.as_ref()
            .filter(|call| call.call_state().in_permit_scope())
            .cloned()
    })
    .ok()
    .flatten()
}

/// Whether the current call's caller has gone.
pub(super) fn is_caller_gone() -> bool {
    let is_gone = CALL.try_with(|call| {
        call.borrow()
            .as_ref()
            .is_some_and(|call| call.call_state().is_gone())
    });
    is_gone.unwrap_or(false)
}

/// Makes `call` the current one until the guard is dropped.
pub(crate) fn enter_call(call: Option<Arc<dyn Call>>) -> impl Drop {
    struct Restore(Option<Arc<dyn Call>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let left = CALL.try_with(|call| call.replace(self.0.take()));
            drop(left);
        }
    }
    // If the thread ends, the thread-local may be gone. Then there is no current call.
    let before = CALL.try_with(|current| current.replace(call));
    Restore(before.ok().flatten())
}
