//! A child of a scope: its future, its value, and the handle to both, in one cell.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *idle* | it was woken, and the scope polls it | *polled*: the future is out of the cell |
//! | *polled* | it is pending | *idle* |
//! | *polled* | it is pending and was aborted meanwhile, by itself | as for an abort |
//! | *polled* | it is ready, or panics: the future is dropped, and then the value can be seen | *ended* |
//! | *idle* | it is aborted, or the scope ends: a future is dropped | *ended* |
//! | *idle* | the same, for a job that has begun: it is told | *idle*, until its thread is free |
//!
//! All of it is on the thread that polls the scope. Only the [`ChildWaker`] is for others.

use crate::context::bound::Bound;
use crate::scope::woken::ChildWaker;
use crate::sync::panics::{Payload, catch_panic, drop_quietly, wake};
use crate::sync::{Arc, waker_ref};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// A child of a [`scope`](crate::scope()). Await it for its value.
///
/// Dropping it lets the child run on. If the child panics or the scope ends, the `await` gives nothing: the scope drops the
/// code that awaits, too.
///
/// # Panics
/// If it is polled after it has given its value.
///
/// ```
/// use footbridge::{run, scope, yield_now};
///
/// let text = String::from("borrowed");
/// let length = run(scope(async |s| {
///     let child = s.spawn(async { yield_now().await; text.len() });
///     assert!(!child.is_finished());
///     child.await
/// }));
/// assert_eq!(length, 8);
/// ```
pub struct Child<'scope, R> {
    pub(super) cell: Rc<dyn TypedChild<R> + 'scope>,
}

impl<R> Child<'_, R> {
    /// Whether the child has its value. Then awaiting it returns at once. [`Child`] has an example.
    pub fn is_finished(&self) -> bool {
        self.cell.is_finished()
    }

    /// Takes the child down. Its future is dropped at once. If it is being polled, by the caller of `abort`, it is
    /// dropped when it is pending next.
    ///
    /// If the child is a job that has begun, the job is [told](crate::check_cancelled), and the scope waits for its thread.
    /// A panic of the job then still ends the scope.
    ///
    /// ```
    /// use footbridge::{run, scope};
    /// use std::{cell::Cell, future::pending};
    ///
    /// let is_done = Cell::new(false);
    /// run(scope(async |s| {
    ///     let child = s.spawn(async {
    ///         pending::<()>().await;
    ///         is_done.set(true);
    ///     });
    ///     child.abort();
    /// }));
    /// assert!(!is_done.get());
    /// ```
    pub fn abort(self) {
        self.cell.abort();
    }
}

impl<R> Future for Child<'_, R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        self.cell.poll_value(context)
    }
}

impl<R> Drop for Child<'_, R> {
    fn drop(&mut self) {
        self.cell.detach();
    }
}

impl<R> fmt::Debug for Child<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Child")
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// A child as its scope sees it.
pub(super) trait ErasedChild {
    /// Polls the future. `Ready`: it has ended, well or with this panic, and is dropped.
    fn poll(&self) -> Poll<Result<(), Payload>>;
    /// Drops the future. A job that has begun is told instead, and `true` says that it still has to be polled.
    fn take_down(&self) -> bool;
    /// Drops the future, whatever it is.
    fn drop_future(&self);
    fn waker(&self) -> &ChildWaker;
    /// The place of the child in the order of spawning.
    fn number(&self) -> u64;
}

/// A child as its handle sees it.
pub(super) trait TypedChild<R> {
    fn poll_value(&self, context: &mut Context<'_>) -> Poll<R>;
    fn is_finished(&self) -> bool;
    fn abort(&self);
    /// The handle is gone. The value is dropped when it comes.
    fn detach(&self);
}

/// Tells a job that it is to stop. `false`: nothing is to be waited for.
pub(super) type Tell<F> = fn(&mut Pin<Box<F>>) -> bool;

pub(super) struct ChildCell<F, R, M> {
    /// `None` while it is polled, and after its end.
    pub(super) future: Cell<Option<Bound<Pin<Box<F>>>>>,
    /// Makes the value of the output. `None`: there is no value, because the scope ends.
    pub(super) value_of: M,
    /// `None`: the future is no job.
    pub(super) tell: Option<Tell<F>>,
    pub(super) value: RefCell<ChildValue<R>>,
    /// Set by an abort, for the poll that is under way.
    pub(super) is_aborted: Cell<bool>,
    pub(super) waker: Arc<ChildWaker>,
    pub(super) number: u64,
}

pub(super) enum ChildValue<R> {
    Awaited(Option<Waker>),
    /// No handle is left.
    Unwanted,
    There(R),
    Taken,
}

impl<F, R, M> ChildCell<F, R, M> {
    /// Drops the future. A job that has begun is told, and kept: then this is `true`.
    fn end_of(&self, mut future: Bound<Pin<Box<F>>>) -> bool {
        let goes_on = self.tell.is_some_and(|tell| future.with(tell));
        if goes_on {
            self.future.set(Some(future));
        } else {
            drop_quietly(future);
        }
        goes_on
    }

    fn set_value(&self, value: R) {
        let before = self.value.replace(ChildValue::Unwanted);
        match before {
            ChildValue::Awaited(waiter) => {
                self.value.replace(ChildValue::There(value));
                waiter.into_iter().for_each(wake);
            }
            _ => drop_quietly(value),
        }
    }
}

impl<F, R, M> ErasedChild for ChildCell<F, R, M>
where
    F: Future,
    M: Fn(F::Output) -> Option<R>,
{
    fn poll(&self) -> Poll<Result<(), Payload>> {
        let Some(mut future) = self.future.take() else {
            return Poll::Ready(Ok(())); // It was aborted.
        };
        self.waker.begin();
        let waker = waker_ref(&self.waker);
        let context = &mut Context::from_waker(&waker);
        match catch_panic(|| future.with(|future| future.as_mut().poll(context))) {
            Ok(Poll::Pending) if self.is_aborted.take() => {
                if self.end_of(future) {
                    return Poll::Pending;
                }
            }
            Ok(Poll::Pending) => {
                self.future.set(Some(future));
                return Poll::Pending;
            }
            Ok(Poll::Ready(output)) => {
                drop_quietly(future);
                if let Some(value) = (self.value_of)(output) {
                    self.set_value(value);
                }
            }
            Err(payload) => {
                drop_quietly(future);
                return Poll::Ready(Err(payload));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn take_down(&self) -> bool {
        self.future.take().is_some_and(|future| self.end_of(future))
    }

    fn drop_future(&self) {
        drop_quietly(self.future.take());
    }

    fn waker(&self) -> &ChildWaker {
        &self.waker
    }

    fn number(&self) -> u64 {
        self.number
    }
}

impl<F, R, M> TypedChild<R> for ChildCell<F, R, M> {
    fn poll_value(&self, context: &mut Context<'_>) -> Poll<R> {
        // Before the value is looked at, because the clone may run user code.
        let waker = context.waker().clone();
        let before = match &mut *self.value.borrow_mut() {
            ChildValue::Awaited(waiter) => Ok(waiter.replace(waker)),
            value => Err((std::mem::replace(value, ChildValue::Taken), waker)),
        };
        match before {
            Ok(old) => {
                drop_quietly(old);
                Poll::Pending
            }
            Err((ChildValue::There(value), unused)) => {
                drop_quietly(unused);
                Poll::Ready(value)
            }
            Err(_) => panic!(
                "a Child was polled after it had given its value; await it once, and keep that"
            ),
        }
    }

    fn is_finished(&self) -> bool {
        matches!(
            &*self.value.borrow(),
            ChildValue::There(_) | ChildValue::Taken
        )
    }

    fn abort(&self) {
        match self.future.take() {
            // The scope is woken to forget the child.
            Some(future) => {
                if !self.end_of(future) {
                    ChildWaker::wake(&self.waker);
                }
            }
            None => self.is_aborted.set(true), // It is being polled, or has ended.
        }
    }

    fn detach(&self) {
        drop_quietly(self.value.replace(ChildValue::Unwanted));
    }
}
