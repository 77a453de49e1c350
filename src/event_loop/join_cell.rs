//! The cell for the result of a task. The waiter takes the result from it.
//!
//! | phase | what it holds | what changes it |
//! | --- | --- | --- |
//! | *pending* | the waiter's waker; the task waker, for an abort | `complete`, by the loop |
//! | *complete* | the result | `poll`, by the waiter |
//! | *taken* | nothing | |
//!
//! The rule: the first result stays. If a task has finished, the end of the loop changes nothing.

use crate::event_loop::join_error::JoinError;
use crate::sync::panics::{drop_nested, drop_quietly, wake};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::any::Any;
use std::task::{Context, Poll, Waker};

pub(crate) struct JoinCell<T> {
    state: Mutex<CellState<T>>,
    /// A waiter has polled the cell. Only the waiter's handle writes and reads it.
    awaited: AtomicBool,
    /// The task is to be aborted. Written under the lock. Before the first poll, the loop reads it without the lock.
    aborted: AtomicBool,
    /// `state` is no longer pending. Written under the lock, read without it.
    complete: AtomicBool,
    /// `new` requires `T: 'static` and stores the function here. So the other methods need no such bound.
    drop_result: fn(Result<T, JoinError>),
}

enum CellState<T> {
    Pending {
        waiter: Option<Waker>,
        /// What an abort calls.
        task: Option<Arc<dyn Abort>>,
    },
    Complete(Result<T, JoinError>),
    Taken,
}

impl<T> JoinCell<T> {
    pub(crate) fn new() -> Self
    where
        T: 'static,
    {
        Self {
            state: Mutex::new(CellState::Pending {
                waiter: None,
                task: None,
            }),
            awaited: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            complete: AtomicBool::new(false),
            drop_result: |result| drop_nested(result, None::<fn()>),
        }
    }

    /// Stores the result, and wakes the waiter.
    pub(crate) fn complete(&self, result: Result<T, JoinError>) {
        let mut state = self.state.lock();
        let CellState::Pending { waiter, task } = &mut *state else {
            drop(state);
            return (self.drop_result)(result);
        };
        let (waiter, task) = (waiter.take(), task.take());
        *state = CellState::Complete(result);
        self.complete.store(true, Ordering::Release); // Pairs with the load in `is_complete`.
        drop(state);
        drop(task);
        if let Some(waiter) = waiter {
            wake(waiter);
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
            self.awaited.store(true, Ordering::Relaxed); // For `forget_waiter`, of the same handle.
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
            CellState::Complete(result) => Poll::Ready(result),
            _ => panic!(
                "a JoinHandle was polled after it had given its result; await it once, and keep that"
            ),
        }
    }

    /// Drops the waiter's waker. The task may run on for long, and then keeps nothing of the waiter.
    pub(crate) fn forget_waiter(&self) {
        if !self.awaited.load(Ordering::Relaxed) || self.is_complete() {
            return;
        }
        let mut state = self.state.lock();
        let waiter = match &mut *state {
            CellState::Pending { waiter, .. } => waiter.take(),
            _ => None,
        };
        drop(state);
        drop_quietly(waiter);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire) // Pairs with the store in `complete`.
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

/// A task that can be aborted.
pub(crate) trait Abort: Send + Sync {
    fn abort(self: Arc<Self>);
}

/// A cell without the type of its result, for the loop and for a job that waits.
pub(crate) trait ErasedCell: Any {
    /// Asks the loop to drop the task. The loop then completes the cell.
    fn abort(&self);
    /// Whether the task is to be aborted.
    fn is_aborted(&self) -> bool;
    fn is_complete(&self) -> bool;
    /// Sets what an abort calls. `false` if an abort came first, or the cell is complete.
    fn set_abort_target(&self, task: Option<Arc<dyn Abort>>) -> bool;
    fn fail(&self, error: JoinError);
    fn as_any(&self) -> &dyn Any;
}

impl<T: 'static> ErasedCell for JoinCell<T> {
    fn abort(&self) {
        let mut state = self.state.lock();
        let CellState::Pending { task, .. } = &mut *state else {
            return;
        };
        // Relaxed: `set_abort_target` reads it under the lock.
        self.aborted.store(true, Ordering::Relaxed);
        let task = task.take();
        drop(state);
        if let Some(task) = task {
            task.abort();
        }
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    fn is_complete(&self) -> bool {
        self.is_complete()
    }

    fn set_abort_target(&self, new: Option<Arc<dyn Abort>>) -> bool {
        let mut state = self.state.lock();
        let old = match &mut *state {
            CellState::Pending { task, .. } if !self.is_aborted() => std::mem::replace(task, new),
            _ => {
                drop(state);
                return false;
            }
        };
        drop(state);
        drop(old);
        true
    }

    fn fail(&self, error: JoinError) {
        self.complete(Err(error));
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
