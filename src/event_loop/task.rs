//! A task: a future without its type. When it ends, the loop stores its outcome in
//! [`Joins`](crate::event_loop::joins::Joins).
//!
//! The rule: the loop's thread drops the future before it stores the outcome. It stores the outcome of each task.
//!
//! | from | event | to | the outcome |
//! | --- | --- | --- | --- |
//! | *spawned* or *waiting* | the future is pending | *waiting* | |
//! | *spawned* or *waiting* | the future is ready, or panics | *ended* | the value, or the panic |
//! | *spawned* or *waiting* | it was aborted: seen before the next poll | *ended* | `Aborted` |
//! | *spawned* or *waiting* | the loop ends | *ended* | `LoopClosed` |

use crate::context::bound::Bound;
use crate::context::inherited::Inherited;
use crate::event_loop::join_error::JoinError;
use crate::sync::panics::{catch_panic, drop_quietly};
use std::any::Any;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) type Task = Pin<Box<dyn ErasedFuture>>;

/// A task that hasn't been polled, and the place that spawned it.
pub(crate) struct NewTask {
    pub(crate) task: Task,
    pub(crate) spawned_at: &'static Location<'static>,
}

/// The result of a task, without its type: a box of its output, or of a [`FailedTask`]. So two registers hold it. As a
/// `Result` it would be 24 bytes, and each move would go through memory: W1s costs a fifth more then.
pub(crate) type Outcome = Box<dyn Any>;

/// No output of a task has this type.
struct FailedTask(JoinError);

pub(crate) fn failed(why: JoinError) -> Outcome {
    Box::new(FailedTask(why))
}

/// The outcome with its type.
pub(crate) fn result_of<T: 'static>(outcome: Outcome) -> Result<T, JoinError> {
    match outcome.downcast::<T>() {
        Ok(output) => Ok(*output),
        Err(other) => match other.downcast::<FailedTask>() {
            Ok(failure) => Err(failure.0),
            Err(_) => unreachable!("the handle has the type of its task's output"),
        },
    }
}

pub(crate) fn new<F>(future: F, spawned_at: &'static Location<'static>) -> NewTask
where
    F: Future + 'static,
    F::Output: 'static,
{
    let task = Box::pin(Some(future));
    NewTask { task, spawned_at }
}

/// The task, polled and dropped in the context that it inherits. Without one, the task as it is.
pub(crate) fn in_context(new: NewTask, inherited: Option<Inherited>) -> NewTask {
    if inherited.is_none() {
        return new;
    }
    let task = Box::pin(TaskInContext(Some(Bound::new(new.task, inherited))));
    NewTask { task, ..new }
}

pub(crate) trait ErasedFuture {
    /// Polls the future once. If it has ended, it is dropped already.
    fn poll_erased(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome>;
    fn drop_future(self: Pin<&mut Self>);
}

/// `None` after the end.
impl<F> ErasedFuture for Option<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn poll_erased(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(future) = self.as_mut().as_pin_mut() else {
            unreachable!("a task that has ended is in no table")
        };
        // The panic is caught before the future is dropped. If the drop panicked in an unwind, the process would abort.
        let output = match catch_panic(|| future.poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => output,
            Err(payload) => {
                self.drop_future();
                return Poll::Ready(failed(JoinError::panic(payload)));
            }
        };
        self.drop_future();
        Poll::Ready(Box::new(output))
    }

    fn drop_future(mut self: Pin<&mut Self>) {
        if let Err(payload) = catch_panic(|| self.set(None)) {
            drop_quietly(payload);
        }
    }
}

/// `None` after the end.
struct TaskInContext(Option<Bound<Task>>);

impl ErasedFuture for TaskInContext {
    fn poll_erased(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Outcome> {
        let Some(bound) = &mut self.0 else {
            unreachable!("a task that has ended is in no table")
        };
        // The task catches its own panics. A wrapper of the context's may panic.
        let outcome = match catch_panic(|| bound.with(|task| task.as_mut().poll_erased(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(outcome)) => outcome,
            Err(payload) => failed(JoinError::panic(payload)),
        };
        self.drop_future();
        Poll::Ready(outcome)
    }

    fn drop_future(mut self: Pin<&mut Self>) {
        drop_quietly(self.0.take());
    }
}
