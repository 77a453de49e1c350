//! `SendJoinHandle`: waits for a task from any thread.

use crate::event_loop::join_cell::{ErasedCell, JoinCell};
use crate::event_loop::join_error::JoinError;
use crate::sync::{Arc, unwind_safe};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Waits for a task on a loop, from anywhere: await it, or [`join`](Self::join) it from a thread that runs no loop.
/// [`Handle::spawn`](crate::Handle::spawn) gives it, and [`JoinHandle::into_send`](crate::JoinHandle::into_send).
///
/// Dropping the handle detaches the task: it runs on. [`abort`](Self::abort) ends the task.
///
/// If a task awaits its own handle, it waits until its loop ends.
///
/// # Panics
/// If polled after it has given the result.
///
/// ```
/// use footbridge::{Handle, gather, run};
///
/// run(async {
///     let handle = Handle::current();
///     // Two tasks of this loop, spawned by another thread.
///     let thread = std::thread::spawn(move || [1, 2].map(|n| handle.spawn(move || async move { 10 * n })));
///     let [ten, twenty] = thread.join().unwrap();
///     assert_eq!((ten.await.unwrap(), twenty.await.unwrap()), (10, 20));
/// });
/// ```
pub struct SendJoinHandle<T> {
    pub(crate) cell: Arc<JoinCell<T>>,
}

unwind_safe!(SendJoinHandle<T>);

impl<T> Drop for SendJoinHandle<T> {
    fn drop(&mut self) {
        self.cell.forget_waiter();
    }
}

impl<T: Send + 'static> SendJoinHandle<T> {
    /// Asks the loop to drop the task. The loop's own thread drops the future at its next turn. Then the handle gives an
    /// error that `is_cancelled`. If the task hasn't been polled yet, it never is. If it has ended, nothing happens.
    ///
    /// ```
    /// let mut event_loop = footbridge::EventLoop::new();
    /// let task = event_loop.handle().spawn(std::future::pending::<()>);
    /// task.abort();
    /// assert!(event_loop.run_until(task).unwrap_err().is_cancelled());
    /// ```
    pub fn abort(&self) {
        self.cell.clone().abort();
    }
}

impl<T> SendJoinHandle<T> {
    /// Whether the task has ended, with a result or an error.
    ///
    /// ```
    /// let handle = footbridge::run(async { footbridge::Handle::current() });
    /// assert!(handle.spawn(|| async {}).is_finished(), "that loop has ended, and the task with it");
    /// ```
    pub fn is_finished(&self) -> bool {
        self.cell.is_complete()
    }
}

impl<T> Future for SendJoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.cell.poll(context)
    }
}

impl<T> fmt::Debug for SendJoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendJoinHandle")
            .field("finished", &self.is_finished())
            .finish()
    }
}
