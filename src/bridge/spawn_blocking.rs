//! `spawn_blocking` and `run_in_executor`: functions that submit a job at once.

use crate::bridge::blocking_task::BlockingTask;
use crate::event_loop::handle::Handle;
use crate::pool::Pool;

/// Runs `f` on a worker thread. It submits the job at once. [`asyncify`](crate::asyncify) submits it at the first poll.
///
/// The job goes to the pool of the [current loop](Handle::current), or to the global one. It belongs to that loop: its
/// `syncify` calls run there. A job may submit other jobs, which belong to the same loop.
///
/// # Panics
/// When the result is awaited or joined: with `f`'s own panic, or if the pool can't run it.
///
/// ```
/// let sum = footbridge::run(async {
///     let job = footbridge::spawn_blocking(|| (1..=10).sum::<u32>());
///     job.await
/// });
/// assert_eq!(sum, 55);
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> BlockingTask<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    BlockingTask::submitted(f, None, Handle::try_current())
}

impl Pool {
    /// Runs `f` on a thread of this pool, as [`spawn_blocking`] does. The job belongs to the current loop.
    ///
    /// # Panics
    /// When the result is awaited or joined: with `f`'s own panic, or if the pool can't run it.
    ///
    /// ```
    /// use footbridge::{Pool, run, syncify};
    ///
    /// let pool = Pool::builder().max_threads(1).build();
    /// run(async {
    ///     let job = pool.spawn_blocking(|| syncify(async || 42)()); // home is this loop
    ///     assert_eq!(job.await, Ok(42));
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> BlockingTask<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        BlockingTask::submitted(f, Some(self), Handle::try_current())
    }
}

impl Handle {
    /// Runs `f` on `pool`, or on the loop's own, and submits it at once. The name is asyncio's. The job belongs to this
    /// handle's loop, on whichever thread it is submitted.
    ///
    /// # Panics
    /// When the result is awaited or joined: with `f`'s own panic, or if the pool can't run it.
    ///
    /// ```
    /// use footbridge::{Handle, gather, run};
    ///
    /// let squares = run(async {
    ///     let handle = Handle::current();
    ///     gather((1..=3).map(|n| handle.run_in_executor(None, move || n * n))).await
    /// });
    /// assert_eq!(squares, [1, 4, 9]);
    /// ```
    #[track_caller]
    pub fn run_in_executor<F, R>(&self, pool: Option<&Pool>, f: F) -> BlockingTask<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        BlockingTask::submitted(f, pool, Some(self.clone()))
    }

    /// The pool that the loop was built with.
    pub(super) fn pool(&self) -> Option<&Pool> {
        self.inbox.pool.as_ref()
    }
}
