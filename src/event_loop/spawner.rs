//! Spawns on a loop from its own thread. There nothing has to be `Send`.

use crate::event_loop::current;
use crate::event_loop::join_handle::JoinHandle;
use crate::event_loop::scheduler::Scheduler;
use crate::event_loop::task;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;

/// Spawns a task on the current loop: the one that this thread runs. The task never starts inside this call. It need not
/// be `Send`.
///
/// Dropping the handle detaches the task. The end of the loop drops the task.
///
/// # Panics
/// If this thread runs no loop. From another thread, use [`Handle::spawn`](crate::Handle::spawn).
///
/// ```
/// use std::rc::Rc;
///
/// footbridge::run(async {
///     let local = Rc::new(5);
///     let task = footbridge::spawn(async move { *local });
///     assert_eq!(task.await.unwrap(), 5);
/// });
/// ```
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let Some(scheduler) = current::scheduler() else {
        panic!(
            "footbridge::spawn: no event loop runs on this thread; call it inside footbridge::run, \
             or use Handle::spawn from other threads"
        );
    };
    let key = scheduler.spawn(task::new(future, Location::caller()));
    JoinHandle::new(scheduler, key)
}

/// Spawns on a loop from its own thread, whether or not the loop runs just now. `Clone`, not `Send`.
///
/// A spawner doesn't keep the loop from ending. If a task is spawned after the end, it is dropped at once, and its handle
/// says that it was cancelled.
///
/// ```
/// use footbridge::LocalSpawner;
///
/// footbridge::run(async {
///     let spawner = LocalSpawner::current();
///     assert_eq!(spawner.spawn(async { 3 }).await.unwrap(), 3);
/// });
/// ```
#[derive(Clone)]
pub struct LocalSpawner {
    pub(crate) scheduler: Rc<Scheduler>,
}

impl LocalSpawner {
    /// The spawner of the loop that this thread runs. [`LocalSpawner`] has an example.
    ///
    /// # Panics
    /// If this thread runs no loop.
    #[track_caller]
    pub fn current() -> Self {
        let Some(scheduler) = current::scheduler() else {
            panic!(
                "LocalSpawner::current: no event loop runs on this thread; call it inside \
                 footbridge::run, or take EventLoop::spawner"
            );
        };
        Self { scheduler }
    }

    /// Spawns a task. It never starts inside this call. It need not be `Send`.
    /// [`EventLoop::spawner`](crate::EventLoop::spawner) has an example.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawn_at(Location::caller(), future)
    }

    /// As [`spawn`](Self::spawn). The task counts as spawned at this place.
    pub(crate) fn spawn_at<F>(
        &self,
        spawned_at: &'static Location<'static>,
        future: F,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let key = self.scheduler.spawn(task::new(future, spawned_at));
        self.scheduler.tell_host();
        JoinHandle::new(self.scheduler.clone(), key)
    }
}

impl fmt::Debug for LocalSpawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSpawner")
            .field("closed", &self.scheduler.is_closed())
            .finish()
    }
}

#[cfg(feature = "futures-task")]
mod spawn {
    use super::LocalSpawner;
    use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn, SpawnError};

    impl LocalSpawn for LocalSpawner {
        #[track_caller]
        fn spawn_local_obj(&self, future: LocalFutureObj<'static, ()>) -> Result<(), SpawnError> {
            self.status_local()?;
            drop(self.spawn(future));
            Ok(())
        }

        fn status_local(&self) -> Result<(), SpawnError> {
            if self.scheduler.is_closed() {
                Err(SpawnError::shutdown())
            } else {
                Ok(())
            }
        }
    }

    impl Spawn for LocalSpawner {
        #[track_caller]
        fn spawn_obj(&self, future: FutureObj<'static, ()>) -> Result<(), SpawnError> {
            self.spawn_local_obj(future.into())
        }

        fn status(&self) -> Result<(), SpawnError> {
            self.status_local()
        }
    }
}
