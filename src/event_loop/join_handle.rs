//! `JoinHandle`: awaits the result of a task on its loop's own thread, aborts the task, or detaches it.

use crate::event_loop::join_cell::JoinCell;
use crate::event_loop::join_error::JoinError;
use crate::event_loop::joins::Waiter;
use crate::event_loop::scheduler::Scheduler;
use crate::event_loop::send_join_handle::SendJoinHandle;
use crate::event_loop::task::result_of;
use crate::event_loop::task_waker::NO_KEY;
use crate::sync::panics::{drop_nested, drop_quietly};
use crate::sync::{Arc, unwind_safe};
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Waits for a task, on the thread of the task's loop. Await it in a task of that loop, or give it to
/// [`run_until`](crate::EventLoop::run_until).
///
/// Dropping the handle detaches the task: it runs on. [`abort`](Self::abort) ends the task. (Dropping a
/// [`BlockingTask`](crate::BlockingTask) cancels its call instead.) The handle isn't `Send`, so it needs no locks and no
/// atomics. [`into_send`](Self::into_send) gives one for other threads.
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
    scheduler: Rc<Scheduler>,
    /// [`NO_KEY`] if it has given the result.
    key: u32,
    result: PhantomData<T>,
}

unwind_safe!(JoinHandle<T>);

impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(crate) fn new(scheduler: Rc<Scheduler>, key: u32) -> Self {
        let result = PhantomData;
        Self {
            scheduler,
            key,
            result,
        }
    }

    /// Asks the loop to drop the task. The loop drops the future at its next turn. Then the handle gives an error that
    /// `is_cancelled`. The task isn't polled again: if it hasn't been polled yet, it never is. If it has ended, nothing
    /// happens.
    ///
    /// ```
    /// footbridge::run(async {
    ///     let task = footbridge::spawn(std::future::pending::<()>());
    ///     task.abort();
    ///     assert!(task.await.unwrap_err().is_cancelled());
    /// });
    /// ```
    pub fn abort(&self) {
        if self.key != NO_KEY {
            self.scheduler.abort(self.key);
            self.scheduler.tell_host();
        }
    }

    /// Whether the task has ended, with a result or an error. [`yield_now`](crate::yield_now) has an example.
    pub fn is_finished(&self) -> bool {
        self.key == NO_KEY || self.scheduler.joins.borrow().has_ended(self.key)
    }

    /// A handle for the same task that any thread may wait with.
    ///
    /// # Panics
    /// If this handle has given the result already.
    ///
    /// ```
    /// let mut event_loop = footbridge::EventLoop::new();
    /// let task = event_loop.spawn(async { "from the loop" }).into_send();
    /// let thread = std::thread::spawn(move || task.join().unwrap());
    /// event_loop.run_until(footbridge::yield_now());
    /// assert_eq!(thread.join().unwrap(), "from the loop");
    /// ```
    #[track_caller]
    pub fn into_send(mut self) -> SendJoinHandle<T>
    where
        T: Send + 'static,
    {
        let key = std::mem::replace(&mut self.key, NO_KEY);
        assert!(key != NO_KEY, "JoinHandle::into_send was called {GIVEN}");
        let cell = Arc::new(JoinCell::new(self.scheduler.inbox.clone()));
        cell.attach(key, &self.scheduler);
        SendJoinHandle { cell }
    }
}

const GIVEN: &str = "after it had given its result; await it once, and keep that";

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if self.key == NO_KEY {
            return;
        }
        let left = self.scheduler.joins.borrow_mut().detach(self.key);
        match left {
            (None, None) => {}
            (waiter, outcome) => {
                drop_quietly(waiter);
                drop_nested(outcome, None::<fn()>);
            }
        }
    }
}

impl<T: 'static> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(self.key != NO_KEY, "a JoinHandle was polled {GIVEN}");
        let former = match self.scheduler.key_of(context.waker()) {
            Some(waiting) => {
                let mut joins = self.scheduler.joins.borrow_mut();
                if let Some(outcome) = joins.take_outcome(self.key) {
                    drop(joins);
                    self.key = NO_KEY;
                    return Poll::Ready(result_of(outcome));
                }
                joins.await_by_task(self.key, waiting)
            }
            None => {
                // Cloned before the borrow, because that may run user code.
                let waker = context.waker().clone();
                let mut joins = self.scheduler.joins.borrow_mut();
                if let Some(outcome) = joins.take_outcome(self.key) {
                    drop(joins);
                    drop_quietly(waker);
                    self.key = NO_KEY;
                    return Poll::Ready(result_of(outcome));
                }
                joins.await_by(self.key, Waiter::Waker(waker))
            }
        };
        if former.is_some() {
            drop_quietly(former);
        }
        Poll::Pending
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.is_finished())
            .finish()
    }
}
