//! A task: a future without its type, and the cell for its result.
//!
//! The rule: the loop's thread drops the future before it completes the cell. It completes the cell of each task.
//!
//! | from | event | to | the cell holds |
//! | --- | --- | --- | --- |
//! | *spawned* or *waiting* | the future is pending | *waiting* | |
//! | *spawned* or *waiting* | the future is ready, or panics | *ended* | the value, or the panic |
//! | *spawned* or *waiting* | it was aborted: seen at the next poll | *ended* | `Aborted` |
//! | *spawned* or *waiting* | the loop ends | *ended* | `LoopClosed` |

use crate::event_loop::join_cell::{Abort, ErasedCell, JoinCell};
use crate::event_loop::join_error::JoinError;
use crate::sync::Arc;
use crate::sync::panics::{catch_panic, drop_quietly};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) struct Task {
    future: Pin<Box<dyn ErasedFuture>>,
    cell: Arc<dyn ErasedCell>,
}

/// A future that puts its output into the cell itself. So the loop needn't know the type.
trait ErasedFuture {
    /// Ready: the future is dropped, and the cell is complete.
    fn poll_to_cell(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        cell: &dyn ErasedCell,
    ) -> Poll<()>;
    fn drop_future(self: Pin<&mut Self>);
}

/// `None` after the end.
impl<F> ErasedFuture for Option<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn poll_to_cell(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        cell: &dyn ErasedCell,
    ) -> Poll<()> {
        let Some(future) = self.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        // The panic is caught before the future is dropped. If the drop panicked in an unwind, the process would abort.
        let output = match catch_panic(|| future.poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => output,
            Err(payload) => {
                self.drop_future();
                cell.fail(JoinError::panic(payload));
                return Poll::Ready(());
            }
        };
        self.drop_future();
        match cell.as_any().downcast_ref::<JoinCell<F::Output>>() {
            Some(cell) => cell.complete(Ok(output)),
            None => unreachable!("Task::new gave the cell the type of this output"),
        }
        Poll::Ready(())
    }

    fn drop_future(mut self: Pin<&mut Self>) {
        if let Err(payload) = catch_panic(|| self.set(None)) {
            drop_quietly(payload);
        }
    }
}

impl Task {
    pub(crate) fn new<F>(future: F, cell: Arc<JoinCell<F::Output>>) -> Self
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Self {
            future: Box::pin(Some(future)),
            cell,
        }
    }

    /// Polls the future for the first time, unless the task has been aborted. Pending: from here on, an abort calls
    /// `task_waker`. Ready: the task has ended.
    pub(crate) fn first_poll(
        &mut self,
        context: &mut Context<'_>,
        task_waker: impl FnOnce() -> Arc<dyn Abort>,
    ) -> Poll<()> {
        if !self.cell.is_aborted() {
            if self.poll(context).is_ready() {
                return Poll::Ready(());
            }
            // Without a handle, no further abort can come. But the handle may have aborted the task before its own drop.
            let has_handle = Arc::strong_count(&self.cell) > 1;
            if self.cell.set_abort_target(has_handle.then(task_waker)) {
                return Poll::Pending;
            }
        }
        self.abort();
        Poll::Ready(())
    }

    /// Polls the future once. Ready: the task has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().poll_to_cell(context, &*self.cell)
    }

    pub(crate) fn abort(&mut self) {
        self.end(JoinError::aborted());
    }

    /// If the task has ended already, does nothing.
    fn end(&mut self, why: JoinError) {
        if !self.cell.is_complete() {
            self.future.as_mut().drop_future();
            self.cell.fail(why);
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end(JoinError::loop_closed());
    }
}
