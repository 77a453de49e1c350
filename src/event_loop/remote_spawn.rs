//! A closure on its way to a loop. It makes a future there.
//!
//! The rule: if the closure makes a task, the task completes the cell. Else the cell gets an error: the closure panicked,
//! was aborted, or was dropped.

use crate::event_loop::join_cell::{ErasedCell, JoinCell};
use crate::event_loop::join_error::JoinError;
use crate::event_loop::task::Task;
use crate::sync::Arc;
use crate::sync::panics::{catch_panic, drop_quietly};
use std::future::Future;

/// The closure and its cell.
pub(super) struct RemoteSpawn<M, T: 'static>(pub(super) Option<(Arc<JoinCell<T>>, M)>);

impl<M, T> RemoteSpawn<M, T> {
    /// The task. `None` if it was aborted before, or if `make` panicked.
    pub(super) fn make_task<F>(mut self) -> Option<Task>
    where
        M: FnOnce() -> F,
        F: Future<Output = T> + 'static,
    {
        let (cell, make) = self.0.take()?;
        if cell.is_aborted() {
            drop_quietly(make);
            cell.fail(JoinError::aborted());
            return None;
        }
        match catch_panic(make) {
            Ok(future) => Some(Task::new(future, cell)),
            Err(payload) => {
                cell.fail(JoinError::panic(payload));
                None
            }
        }
    }
}

impl<M, T> Drop for RemoteSpawn<M, T> {
    fn drop(&mut self) {
        if let Some((cell, make)) = self.0.take() {
            drop_quietly(make);
            cell.fail(if cell.is_aborted() {
                JoinError::aborted()
            } else {
                JoinError::loop_closed()
            });
        }
    }
}
