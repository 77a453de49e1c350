//! A closure on its way to a loop. It makes a future there.
//!
//! The rule: if the closure makes a task, the task completes the cell. Else the cell gets an error: the closure panicked,
//! was aborted, or was dropped.

use crate::context::bound::Bound;
use crate::event_loop::join_cell::{ErasedCell, JoinCell};
use crate::event_loop::join_error::JoinError;
use crate::event_loop::scheduler::Scheduler;
use crate::event_loop::task::{self, NewTask};
use crate::observe::event;
use crate::sync::Arc;
use crate::sync::panics::{catch_panic, drop_quietly};
use std::future::Future;
use std::panic::Location;

/// The closure and its cell.
pub(super) struct RemoteSpawn<M, T: Send + 'static>(
    pub(super) Option<(Arc<JoinCell<T>>, Bound<M>)>,
);

impl<M, T: Send> RemoteSpawn<M, T> {
    /// The task and its key. `None` if it was aborted before, or if `make` panicked.
    pub(super) fn make_task<F>(
        mut self,
        scheduler: &Scheduler,
        spawned_at: &'static Location<'static>,
    ) -> Option<(u32, NewTask)>
    where
        M: FnOnce() -> F,
        F: Future<Output = T> + 'static,
    {
        let (cell, make) = self.0.take()?;
        if cell.is_aborted() {
            drop_quietly(make);
            cell.complete(Err(JoinError::aborted()));
            return None;
        }
        match catch_panic(|| make.release(|make| make())) {
            Ok((future, inherited)) => {
                let key = scheduler.joins.borrow_mut().insert(false);
                event::task_spawned(|| scheduler.task_address(key), spawned_at);
                cell.attach(key, scheduler);
                let new = task::new(future, spawned_at);
                Some((key, task::in_context(new, inherited)))
            }
            Err(payload) => {
                cell.complete(Err(JoinError::panic(payload)));
                None
            }
        }
    }
}

impl<M, T: Send + 'static> Drop for RemoteSpawn<M, T> {
    fn drop(&mut self) {
        if let Some((cell, make)) = self.0.take() {
            drop_quietly(make);
            cell.complete(Err(if cell.is_aborted() {
                JoinError::aborted()
            } else {
                JoinError::loop_closed()
            }));
        }
    }
}
