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

use crate::join::{Erased, JoinCell, JoinError, contain, discard};
use crate::sync::Arc;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

pub(crate) struct Task {
    // Empty once the task has ended.
    future: Option<Pin<Box<dyn Step>>>,
    cell: Arc<dyn Erased>,
}

/// A future that hands its own output on, so that the loop needn't know the type.
trait Step {
    /// Gives the box back if there is more to do. It goes in whole so that the future can be
    /// dropped before its output is seen.
    fn step(
        self: Pin<Box<Self>>,
        context: &mut Context<'_>,
        cell: &dyn Erased,
    ) -> Option<Pin<Box<dyn Step>>>;
}

impl<F> Step for F
where
    F: Future + 'static,
    F::Output: 'static,
{
    fn step(
        mut self: Pin<Box<Self>>,
        context: &mut Context<'_>,
        cell: &dyn Erased,
    ) -> Option<Pin<Box<dyn Step>>> {
        // Caught before the future is dropped: a drop that panics while a panic unwinds aborts.
        let output = match contain(|| self.as_mut().poll(context)) {
            Ok(Poll::Pending) => return Some(self),
            Ok(Poll::Ready(output)) => output,
            Err(payload) => {
                discard(self);
                cell.fail(JoinError::panic(payload));
                return None;
            }
        };
        discard(self);
        match cell.as_any().downcast_ref::<JoinCell<F::Output>>() {
            Some(cell) => cell.complete(Ok(output)),
            None => unreachable!("Task::new gave the cell the type of this output"),
        }
        None
    }
}

impl Task {
    pub(crate) fn new<F>(future: F, cell: Arc<JoinCell<F::Output>>) -> Self
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        Self {
            future: Some(Box::pin(future)),
            cell,
        }
    }

    /// Polls the future once, unless the task has been aborted. Ready: the task has ended.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.cell.is_aborted() {
            self.end(JoinError::aborted());
        }
        let Some(future) = self.future.take() else {
            return Poll::Ready(());
        };
        self.future = future.step(context, &*self.cell);
        match self.future {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }

    /// After the first poll: has an abort wake the task. Ready: it has been aborted meanwhile, and has ended.
    pub(crate) fn watch(&mut self, waker: &Waker) -> Poll<()> {
        // A task whose handle is gone can't be aborted, and needs no watching.
        if Arc::strong_count(&self.cell) == 1 || self.cell.watch(waker.clone()) {
            return Poll::Pending;
        }
        self.end(JoinError::aborted());
        Poll::Ready(())
    }

    fn end(&mut self, why: JoinError) {
        if let Some(future) = self.future.take() {
            discard(future);
            self.cell.fail(why);
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.end(JoinError::loop_closed());
    }
}
