//! `JoinHandle`: awaits the result of a task, aborts the task, or detaches it.

use crate::event_loop::join_cell::{ErasedCell, JoinCell};
use crate::event_loop::join_error::JoinError;
use crate::sync::{Arc, ThreadId, unwind_safe};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for a task on a loop, from anywhere: await it, or [`join`](Self::join) it from a thread that runs no loop.
///
/// Dropping the handle detaches the task: it runs on. [`abort`](Self::abort) ends the task. (Dropping a
/// [`BlockingTask`](crate::BlockingTask) cancels its call instead.) The handle is `Send` if the result is.
///
/// If a task awaits its own handle, it waits until its loop ends.
///
/// # Panics
/// If polled after it has given the result.
///
/// ```
/// footbridge::run(async {
///     let task = footbridge::spawn(async { 2 + 2 });
///     assert_eq!(task.await.unwrap(), 4);
/// });
/// ```
pub struct JoinHandle<T> {
    pub(crate) cell: Arc<JoinCell<T>>,
    pub(crate) owner: ThreadId,
}

unwind_safe!(JoinHandle<T>);

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.cell.forget_waiter();
    }
}

impl<T: 'static> JoinHandle<T> {
    /// Asks the loop to drop the task. The loop's own thread drops the future at its next turn. Then the handle gives an
    /// error that `is_cancelled`. If the task hasn't been polled yet, it never is. If it has ended, nothing happens.
    ///
    /// ```
    /// footbridge::run(async {
    ///     let task = footbridge::spawn(std::future::pending::<()>());
    ///     task.abort();
    ///     assert!(task.await.unwrap_err().is_cancelled());
    /// });
    /// ```
    pub fn abort(&self) {
        self.cell.abort();
    }

    /// Whether the task has ended, with a result or an error. [`yield_now`](crate::yield_now) has an example.
    pub fn is_finished(&self) -> bool {
        self.cell.is_complete()
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.cell.poll(context)
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.cell.is_complete())
            .finish()
    }
}
