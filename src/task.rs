//! A task: a future whose type has been forgotten, and the cell that its result goes to.
//!
//! The rule: a task's future is dropped on the loop's thread, before anybody is told how it ended,
//! and somebody always is told.
//!
//! ```text
//!              poll: Pending
//!            +---------------+
//!            v               |
//!   spawned ---> waiting ----+---> poll: Ready or panic   cell: the value, or the panic
//!      |            +------------> abort                  cell: Aborted
//!      +------------+------------> the loop ends          cell: LoopClosed
//! ```

use crate::join::{Abort, Erased, JoinCell, JoinError, contain, discard};
use crate::sync::Arc;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(crate) struct Task {
    future: Pin<Box<dyn Step>>,
    cell: Arc<dyn Erased>,
}

/// A future that hands its own output on, so that the loop needn't know the type.
trait Step {
    /// Ready: it has ended, and the cell knows how.
    fn step(self: Pin<&mut Self>, context: &mut Context<'_>, cell: &dyn Erased) -> Poll<()>;
    fn discard(self: Pin<&mut Self>);
}

/// Empty once it has ended.
impl<F> Step for Option<F>
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn step(mut self: Pin<&mut Self>, context: &mut Context<'_>, cell: &dyn Erased) -> Poll<()> {
        let Some(future) = self.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        // Caught before the future is dropped: a drop that panics while a panic unwinds aborts.
        let output = match contain(|| future.poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => output,
            Err(payload) => {
                self.discard();
                cell.fail(JoinError::panic(payload));
                return Poll::Ready(());
            }
        };
        self.discard();
        match cell.as_any().downcast_ref::<JoinCell<F::Output>>() {
            Some(cell) => cell.complete(Ok(output)),
            None => unreachable!("Task::new gave the cell the type of this output"),
        }
        Poll::Ready(())
    }

    fn discard(mut self: Pin<&mut Self>) {
        if let Err(payload) = contain(|| self.set(None)) {
            discard(payload);
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

    /// Polls the future for the first time, unless the task has been aborted. Pending: from now on an abort
    /// is told to `ticket`. Ready: the task has ended.
    pub(crate) fn first_poll(
        &mut self,
        context: &mut Context<'_>,
        ticket: impl FnOnce() -> Arc<dyn Abort>,
    ) -> Poll<()> {
        if !self.cell.is_aborted() {
            if self.poll(context).is_ready() {
                return Poll::Ready(());
            }
            // A task whose handle is gone can't be aborted any more, and needs no watching. Who held it may
            // have aborted the task before he let go of it.
            let ticket = (Arc::strong_count(&self.cell) > 1).then(ticket);
            if self.cell.watch(ticket) {
                return Poll::Pending;
            }
        }
        self.abort();
        Poll::Ready(())
    }

    /// Polls the future once. Ready: the task has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.future.as_mut().step(context, &*self.cell)
    }

    pub(crate) fn abort(&mut self) {
        self.end(JoinError::aborted());
    }

    /// Does nothing to one that has ended.
    fn end(&mut self, why: JoinError) {
        if !self.cell.is_complete() {
            self.future.as_mut().discard();
            self.cell.fail(why);
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end(JoinError::loop_closed());
    }
}
