//! `JoinHandle`: awaits the result of a task on its loop's own thread, aborts the task, or detaches it.

use crate::event_loop::join_cell::JoinCell;
use crate::event_loop::join_error::JoinError;
use crate::event_loop::joins::Waiter;
use crate::event_loop::scheduler::Scheduler;
use crate::event_loop::send_join_handle::SendJoinHandle;
use crate::event_loop::task::{Outcome, result_of};
use crate::sync::panics::{drop_nested, drop_quietly};
use crate::sync::{Arc, unwind_safe};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Waits for a task, on the thread of the task's loop. Await it in a task of that loop, or give it to
/// [`run_until`](crate::EventLoop::run_until).
///
/// Dropping the handle detaches the task: it runs on. [`abort`](Self::abort) ends the task. (Dropping a
/// [`BlockingTask`](crate::BlockingTask) cancels its call instead.) The handle isn't `Send`, so it needs no locks and no
/// atomics. [`into_send`](Self::into_send) gives one for other threads.
///
/// If a task awaits its own handle, it waits until its loop ends. A handle that outlives its loop keeps the loop's pool and
/// host's hook until it is dropped or has given the result.
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
///
/// ```compile_fail
/// fn widen(task: footbridge::JoinHandle<for<'a> fn(&'a str)>) -> footbridge::JoinHandle<fn(&'static str)> {
///     task // a handle of exactly another type
/// }
/// ```
pub struct JoinHandle<T> {
    /// The loop, and the task's key. `None` if the handle has given the result.
    task: Option<(Rc<Scheduler>, u32)>,
    /// The outcome is downcast to exactly this type. So the handle must not become one of a supertype, as it could without
    /// the `Cell`.
    result: PhantomData<Cell<T>>,
}

unwind_safe!(JoinHandle<T>);

impl<T> Unpin for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    pub(crate) fn new(scheduler: Rc<Scheduler>, key: u32) -> Self {
        Self {
            task: Some((scheduler, key)),
            result: PhantomData,
        }
    }

    /// Asks the loop to drop the task. The loop drops the future in this turn or the next. Then the handle gives an error
    /// that `is_cancelled`. The task isn't polled again: if it hasn't been polled yet, it never is. If it has ended, nothing
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
        if let Some((scheduler, key)) = &self.task {
            scheduler.abort(*key);
            scheduler.tell_host();
        }
    }

    /// Whether the task has ended, with a result or an error. [`yield_now`](crate::yield_now) has an example.
    pub fn is_finished(&self) -> bool {
        let has_ended =
            |(scheduler, key): &(Rc<Scheduler>, u32)| scheduler.joins.borrow().has_ended(*key);
        self.task.as_ref().is_none_or(has_ended)
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
        let Some((scheduler, key)) = self.task.take() else {
            panic!("JoinHandle::into_send was called {GIVEN}");
        };
        let cell = Arc::new(JoinCell::new(scheduler.inbox.clone()));
        cell.attach(key, &scheduler);
        SendJoinHandle { cell }
    }
}

const GIVEN: &str = "after it had given its result; await it once, and keep that";

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Some((scheduler, key)) = &self.task else {
            return;
        };
        let left = scheduler.joins.borrow_mut().detach(*key);
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
        let Some((scheduler, key)) = &self.task else {
            panic!("a JoinHandle was polled {GIVEN}");
        };
        let polled = match scheduler.key_of(context.waker()) {
            Some(waiting) => poll_by_task(scheduler, *key, waiting),
            None => poll_by_waker(scheduler, *key, context.waker().clone()),
        };
        polled.map(|outcome| {
            self.task = None;
            result_of(outcome)
        })
    }
}

/// The task with the key `waiting` polls the handle.
fn poll_by_task(scheduler: &Scheduler, key: u32, waiting: u32) -> Poll<Outcome> {
    let mut joins = scheduler.joins.borrow_mut();
    if let Some(outcome) = joins.take_outcome(key) {
        return Poll::Ready(outcome);
    }
    let former = joins.await_by_task(key, waiting);
    drop(joins);
    if former.is_some() {
        drop_quietly(former);
    }
    Poll::Pending
}

/// The handle is polled with another waker. Wakers are cloned before the borrow and dropped after it: both may be user code.
fn poll_by_waker(scheduler: &Scheduler, key: u32, waker: Waker) -> Poll<Outcome> {
    let mut joins = scheduler.joins.borrow_mut();
    if let Some(outcome) = joins.take_outcome(key) {
        drop(joins);
        drop_quietly(waker);
        return Poll::Ready(outcome);
    }
    let former = joins.await_by(key, Waiter::Waker(waker));
    drop(joins);
    drop_quietly(former);
    Poll::Pending
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("finished", &self.is_finished())
            .finish()
    }
}
