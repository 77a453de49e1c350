//! What the rest of the program holds of a loop, and of a task on it.
//!
//! The rule: a future never leaves the thread that it was made on. What a [`Handle`] sends to its
//! loop is a closure, which makes the future there; so the future needn't be `Send`.

use crate::join::{Erased, JoinCell, JoinError, contain};
use crate::queue::{self, Inbox, Post};
use crate::sync::{Arc, ThreadId, current_thread, unwind_safe};
use crate::task::Task;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Reaches an event loop from anywhere: any thread may spawn on it, call into it or wait for it.
///
/// Dropping a handle does nothing to the loop, and holding one doesn't keep it from ending: what is
/// asked of a loop that has ended is refused, as each method says.
///
/// ```
/// use footbridge::Handle;
///
/// let answer = footbridge::run(async {
///     let handle = Handle::current();
///     let thread = std::thread::spawn(move || handle.block_on(|| async { 6 * 7 }));
///     // The loop has to turn for the thread to be answered.
///     footbridge::spawn_blocking(move || thread.join().unwrap()).await
/// });
/// assert_eq!(answer, Ok(42));
/// ```
#[derive(Clone)]
pub struct Handle {
    pub(crate) inbox: Arc<Inbox>,
}

impl Handle {
    /// Has the loop call `make` on its own thread and run the future that it returns. The closure
    /// travels; the future doesn't, and need not be `Send`.
    ///
    /// If the loop has ended, or ends before the task does, the task is dropped and its
    /// [`JoinHandle`] says that it was cancelled. If that, or an [`abort`](JoinHandle::abort), comes
    /// before the loop's next turn, `make` is not called at all. A panic in `make` is the task's.
    ///
    /// ```
    /// footbridge::run(async {
    ///     let handle = footbridge::Handle::current();
    ///     let task = std::thread::spawn(move || handle.spawn(|| async { "made on the loop" }));
    ///     assert_eq!(task.join().unwrap().await.unwrap(), "made on the loop");
    /// });
    /// ```
    pub fn spawn<M, F>(&self, make: M) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let cell = Arc::new(JoinCell::new());
        let order = Order(Some((cell.clone(), make)));
        // Refused, the order is dropped here, and answers as it does wherever else it is dropped.
        let _ = self
            .inbox
            .post(Post::Call(Box::new(move || order.carry_out())));
        JoinHandle {
            cell,
            owner: self.inbox.owner(),
        }
    }

    /// Has the loop call `f` on its own thread, after what was asked of it before. `false`: the loop
    /// has ended, and `f` has been dropped.
    ///
    /// `true` says that `f` was queued; should the loop end before its next turn, `f` is dropped unrun.
    /// A panic in `f` is reported by the panic hook and harms nobody.
    ///
    /// ```
    /// use footbridge::{Handle, run};
    ///
    /// let handle = run(async { Handle::current() });
    /// assert!(!handle.call_soon(|| ()), "that loop has ended");
    /// ```
    pub fn call_soon<F>(&self, f: F) -> bool
    where
        F: FnOnce() + Send + 'static,
    {
        let call = move || {
            f();
            None
        };
        self.inbox.post(Post::Call(Box::new(call))).is_ok()
    }

    /// Whether the loop has ended. Once it has, it stays so.
    ///
    /// ```
    /// let handle = footbridge::run(async { footbridge::Handle::current() });
    /// assert!(handle.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.inbox.is_closed()
    }

    pub(crate) fn has_hook(&self) -> bool {
        self.inbox.has_hook()
    }
}

unwind_safe!(Handle);
unwind_safe!(JoinHandle<T>);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("closed", &self.is_closed())
            .finish()
    }
}

#[cfg(feature = "futures-task")]
impl futures_task::Spawn for Handle {
    fn spawn_obj(
        &self,
        future: futures_task::FutureObj<'static, ()>,
    ) -> Result<(), futures_task::SpawnError> {
        self.status()?;
        drop(self.spawn(move || future));
        Ok(())
    }

    fn status(&self) -> Result<(), futures_task::SpawnError> {
        match self.is_closed() {
            false => Ok(()),
            true => Err(futures_task::SpawnError::shutdown()),
        }
    }
}

/// A closure on its way to the loop, with the cell that is answered whatever becomes of it.
struct Order<M, T: 'static>(Option<(Arc<JoinCell<T>>, M)>);

impl<M, T> Order<M, T> {
    /// The task, unless it has ended before it began.
    fn carry_out<F>(mut self) -> Option<Task>
    where
        M: FnOnce() -> F,
        F: Future<Output = T> + 'static,
    {
        let (cell, make) = self.0.take()?;
        if cell.is_aborted() {
            crate::join::discard(make);
            cell.fail(JoinError::aborted());
            return None;
        }
        match contain(make) {
            Ok(future) => Some(Task::new(future, cell)),
            Err(payload) => {
                cell.fail(JoinError::panic(payload));
                None
            }
        }
    }
}

impl<M, T> Drop for Order<M, T> {
    fn drop(&mut self) {
        if let Some((cell, make)) = self.0.take() {
            crate::join::discard(make);
            cell.fail(match cell.is_aborted() {
                true => JoinError::aborted(),
                false => JoinError::loop_closed(),
            });
        }
    }
}

/// Waits for a task that was spawned on a loop, from anywhere: await it, or [`join`](Self::join) it
/// from a thread that runs no loop.
///
/// Dropping it detaches the task, which then runs on by itself; [`abort`](Self::abort) ends it. (A
/// [`BlockingTask`](crate::BlockingTask) is the other way round: dropped, it cancels its call.) `Send` if its result is.
///
/// A task that awaits its own handle waits for ever, until its loop ends.
///
/// # Panics
/// When polled after it has given the result.
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

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        self.cell.forget_waiter();
    }
}

impl<T: 'static> JoinHandle<T> {
    /// Asks the loop to drop the task. Its future is dropped on the loop's own thread, at the loop's
    /// next turn, and then the handle says `is_cancelled`. A task that hasn't been polled yet never
    /// will be. Nothing happens to one that has ended.
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

    /// Whether the task has ended, in whichever way. [`yield_now`](crate::yield_now) has an example.
    pub fn is_finished(&self) -> bool {
        self.cell.is_complete()
    }
}

/// # Panics
/// Where a wait would keep a loop from turning: on a thread that runs one, or that owns the one waited for.
#[track_caller]
pub(crate) fn refuse_loop_thread(what: &str, owner: Option<ThreadId>) {
    assert!(
        !queue::is_running(),
        "{what}: this thread runs an event loop, which would stop while it blocks; await it instead"
    );
    assert!(
        owner.is_none_or(|owner| owner != current_thread()),
        "{what}: this thread owns the event loop that has to turn for it, and nobody else can run that; \
         await it there instead, with EventLoop::run_until"
    );
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
