//! The cell for the result of a task whose handle may be on another thread. The waiter takes the result from it.
//!
//! | phase | what it holds | what changes it |
//! | --- | --- | --- |
//! | *pending* | the waiter's waker; the task's key, once there is a task | `complete`, by the loop |
//! | *complete* | the result | `poll`, by the waiter |
//! | *taken* | nothing | |
//!
//! The rule: the first result stays. If a task has finished, the end of the loop changes nothing.

use crate::event_loop::current;
use crate::event_loop::join_error::JoinError;
use crate::event_loop::joins::Waiter;
use crate::event_loop::scheduler::{Inbox, Post, Scheduler};
use crate::event_loop::task::{Outcome, result_of};
use crate::observe::event::{self, Arrow};
use crate::sync::panics::{drop_nested, drop_quietly, wake};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, ThreadId};
use std::task::{Context, Poll, Waker};

pub(crate) struct JoinCell<T> {
    state: Mutex<CellState<T>>,
    /// The task is to be aborted. Written under the lock, read without it.
    aborted: AtomicBool,
    /// `new` requires `T: 'static` and stores the function here. So the other methods need no such bound.
    drop_result: fn(Result<T, JoinError>),
}

enum CellState<T> {
    Pending {
        waiter: Option<Waker>,
        /// The task's key. `None` if the loop hasn't made the task yet.
        key: Option<u32>,
        /// The inbox of the task's loop, for an abort.
        inbox: Arc<Inbox>,
    },
    Complete(Result<T, JoinError>),
    Taken,
}

impl<T> JoinCell<T> {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Self
    where
        T: 'static,
    {
        Self {
            state: Mutex::new(CellState::Pending {
                waiter: None,
                key: None,
                inbox,
            }),
            aborted: AtomicBool::new(false),
            drop_result: |result| drop_nested(result, None::<fn()>),
        }
    }

    /// Stores the result, and wakes the waiter.
    pub(crate) fn complete(&self, result: Result<T, JoinError>) {
        event::arrow_from(Arrow::Answer, || self.address());
        let mut state = self.state.lock();
        if !matches!(*state, CellState::Pending { .. }) {
            drop(state);
            return (self.drop_result)(result);
        }
        let pending = std::mem::replace(&mut *state, CellState::Complete(result));
        drop(state);
        if let CellState::Pending { waiter, inbox, .. } = pending {
            if let Some(waiter) = waiter {
                wake(waiter);
            }
            drop(inbox);
        }
    }

    /// Takes the result if it is there. Else keeps the waker of `context` in place of the former one.
    ///
    /// # Panics
    /// If the result has been taken already.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        if !self.is_complete() {
            // Wakers are cloned and dropped outside the lock: both may run user code.
            let new = context.waker().clone();
            let mut state = self.state.lock();
            if let CellState::Pending { waiter, .. } = &mut *state {
                let old = waiter.replace(new);
                drop(state);
                drop_quietly(old);
                return Poll::Pending;
            }
            // The loop has completed the cell since the check above.
            drop(state);
            drop_quietly(new);
        }
        let state = std::mem::replace(&mut *self.state.lock(), CellState::Taken);
        match state {
            CellState::Complete(result) => {
                event::arrow_to(Arrow::Answer, || self.address());
                Poll::Ready(result)
            }
            _ => panic!(
                "a SendJoinHandle was polled after it had given its result; await it once, and keep that"
            ),
        }
    }

    /// Drops the waiter's waker. The task may run on for long, and then keeps nothing of the waiter.
    pub(crate) fn forget_waiter(&self) {
        let mut state = self.state.lock();
        let waiter = match &mut *state {
            CellState::Pending { waiter, .. } => waiter.take(),
            _ => None,
        };
        drop(state);
        drop_quietly(waiter);
    }

    /// The number of the cell's arrow in a recording.
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    pub(crate) fn is_complete(&self) -> bool {
        !matches!(*self.state.lock(), CellState::Pending { .. })
    }
}

/// If the result wasn't taken, either side may drop it on any thread, so a panic of its drop is caught here.
impl<T> Drop for JoinCell<T> {
    fn drop(&mut self) {
        match std::mem::replace(self.state.get_mut(), CellState::Taken) {
            CellState::Complete(result) => (self.drop_result)(result),
            other => drop_quietly(other),
        }
    }
}

impl<T: Send + 'static> JoinCell<T> {
    /// The cell gets the outcome of this task. From here on, an abort finds the task. If one came before, the task's first
    /// poll asks the cell.
    pub(crate) fn attach(self: &Arc<Self>, key: u32, scheduler: &Scheduler) {
        let mut joins = scheduler.joins.borrow_mut();
        let (waiter, outcome) = joins.detach(key);
        if let Some(outcome) = outcome {
            drop(joins);
            return self.complete_erased(outcome);
        }
        joins.await_by(key, Waiter::Cell(self.clone()));
        drop(joins);
        drop_quietly(waiter);
        if let CellState::Pending { key: attached, .. } = &mut *self.state.lock() {
            *attached = Some(key);
        }
    }

    /// The thread that owns the task's loop. `None` if the task has ended.
    pub(crate) fn owner(&self) -> Option<ThreadId> {
        match &*self.state.lock() {
            CellState::Pending { inbox, .. } => Some(inbox.owner()),
            _ => None,
        }
    }
}

/// A cell without the type of its result, for the loop and for a job that waits.
pub(crate) trait ErasedCell: Send + Sync {
    /// Asks the loop to drop the task. The loop then completes the cell.
    fn abort(self: Arc<Self>);
    fn is_aborted(&self) -> bool;
    /// The target of the waker that waits for the result.
    fn waiter(&self) -> Option<usize>;
    /// The task's key. `None` before the loop has made the task, and after the task's end.
    fn key(&self) -> Option<u32>;
    fn complete_erased(&self, outcome: Outcome);
}

impl<T: Send + 'static> ErasedCell for JoinCell<T> {
    fn abort(self: Arc<Self>) {
        let state = self.state.lock();
        let CellState::Pending { key, inbox, .. } = &*state else {
            return;
        };
        let (key, inbox) = (*key, inbox.clone());
        // Relaxed: `attach` takes the lock before the task's first poll, which reads it.
        let was_aborted = self.aborted.swap(true, Ordering::Relaxed);
        drop(state);
        let Some(key) = key.filter(|_| !was_aborted) else {
            return;
        };
        if current::with_loop_of(&inbox, |scheduler| scheduler.abort(key)).is_none() {
            // If the loop has ended, it refuses the post. Then it has dropped the task, or is about to.
            let _ = inbox.post(Post::Abort(self));
        }
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    fn key(&self) -> Option<u32> {
        match &*self.state.lock() {
            CellState::Pending { key, .. } => *key,
            _ => None,
        }
    }

    fn waiter(&self) -> Option<usize> {
        match &*self.state.lock() {
            CellState::Pending { waiter, .. } => Some(waiter.as_ref()?.data().addr()),
            _ => None,
        }
    }

    fn complete_erased(&self, outcome: Outcome) {
        self.complete(result_of(outcome));
    }
}
