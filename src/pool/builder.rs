//! The settings of a pool.

use crate::pool::Pool;
use crate::sync::backoff::SPIN_TIME;
use std::time::Duration;

/// Settings for a [`Pool`].
///
/// ```
/// use std::time::Duration;
///
/// let pool = footbridge::Pool::builder()
///     .max_threads(4)
///     .keep_alive(Duration::from_secs(1))
///     .build();
/// assert_eq!(pool.stats().threads, 0); // none before the first job
/// ```
#[derive(Debug, Default)]
#[must_use]
pub struct PoolBuilder {
    settings: Settings,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) max_threads: usize,
    pub(crate) max_parked: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) spin_time: Duration,
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_threads: 512,
            max_parked: 10_000,
            keep_alive: Duration::from_secs(10),
            spin_time: SPIN_TIME,
            thread_name: "footbridge".into(),
            stack_size: None,
        }
    }
}

impl PoolBuilder {
    /// How many threads may run jobs at once, from 1; 512 if not set. A thread doesn't count while its job waits in
    /// `syncify`, `block_on` or `join`, or runs a loop of its own whose main future isn't ready. When the wait is over, the
    /// job goes on at once. So if several jobs go on together, more threads run at once until jobs end. No further job
    /// begins before fewer threads run than this.
    ///
    /// # Panics
    /// If `threads` is 0: no job could ever run.
    ///
    /// ```
    /// use footbridge::{BlockingTask, Pool};
    /// use std::{collections::HashSet, thread};
    ///
    /// let pool = Pool::builder().max_threads(2).build();
    /// let jobs: Vec<_> = (0..10).map(|_| pool.spawn_blocking(|| thread::current().id())).collect();
    /// let threads: HashSet<_> = jobs.into_iter().map(BlockingTask::join).collect();
    /// assert!(threads.len() <= 2);
    /// ```
    #[track_caller]
    pub fn max_threads(mut self, threads: usize) -> Self {
        assert!(
            threads > 0,
            "PoolBuilder::max_threads: 0 threads could never run a job; the least is 1"
        );
        self.settings.max_threads = threads;
        self
    }

    /// How many jobs may wait when another `syncify` or `block_on` begins, from 0 (none); 10,000 if not set. Each of them
    /// keeps its thread. If so many jobs wait, a further call returns
    /// [`SyncifyError::PoolExhausted`](crate::SyncifyError::PoolExhausted). Jobs that wait in `join`, in `shutdown` or on a
    /// loop of their own are counted, but never refused.
    ///
    /// ```
    /// use footbridge::{Pool, SyncifyError, run, syncify};
    ///
    /// let pool = Pool::builder().max_parked(0).build();
    /// let answer = run(async { pool.spawn_blocking(|| syncify(async || 42)()).await });
    /// assert_eq!(answer, Err(SyncifyError::PoolExhausted));
    /// ```
    pub fn max_parked(mut self, jobs: usize) -> Self {
        self.settings.max_parked = jobs;
        self
    }

    /// How long a thread without a job is kept: 10 seconds if not set. With zero it ends at once, with `Duration::MAX`
    /// never. The thread that worked last is used again first, so that the others can end.
    ///
    /// ```
    /// use footbridge::Pool;
    /// use std::{thread, time::Duration};
    ///
    /// let pool = Pool::builder().keep_alive(Duration::ZERO).build();
    /// pool.spawn_blocking(|| ()).join();
    /// while pool.stats().threads > 0 {
    ///     thread::yield_now(); // it ends by itself
    /// }
    /// ```
    pub fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.settings.keep_alive = keep_alive;
        self
    }

    /// How long a thread spins before it sleeps: 10 microseconds if not set, a second at most. With zero it doesn't spin.
    /// The next job, or an answer, often comes before a sleeping core is awake. These waits spin:
    ///
    /// - the idle threads, one at a time;
    /// - a job in [`syncify`](crate::syncify), [`Handle::block_on`](crate::Handle::block_on),
    ///   [`SendJoinHandle::join`](crate::SendJoinHandle::join) or [`BlockingTask::join`](crate::BlockingTask::join);
    /// - a loop that a job runs, for the shorter of this time and [its own](crate::EventLoopBuilder::spin_time);
    /// - a thread outside all pools in [`BlockingTask::join`](crate::BlockingTask::join), for the time of the job's pool.
    ///
    /// [`shutdown`](Pool::shutdown) never spins. A spinning thread yields the processor again and again. After a spin in
    /// vain the next one is half as long, until an answer comes soon again. If an answer was late because another thread
    /// kept the processor, the thread doesn't spin for some hundred waits. If power matters more than microseconds, turn
    /// spinning off.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let frugal = footbridge::Pool::builder().spin_time(Duration::ZERO).build();
    /// assert_eq!(frugal.spawn_blocking(|| 7).join(), 7);
    /// ```
    pub fn spin_time(mut self, spin_time: Duration) -> Self {
        self.settings.spin_time = spin_time;
        self
    }

    /// How the threads' names begin, `footbridge` if not set: the threads are called `footbridge-0` and so on. [`Pool`] has
    /// an example.
    ///
    /// # Panics
    /// If the name holds a NUL byte: a thread's name can't hold one.
    #[track_caller]
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(
            !name.contains('\0'),
            "PoolBuilder::thread_name: a thread's name can't hold a NUL byte"
        );
        self.settings.thread_name = name;
        self
    }

    /// The size of each thread's stack in bytes. If not set, [`std::thread::Builder`] chooses. If it is more than the system
    /// has, every thread is refused, and awaiting a job panics with the reason.
    ///
    /// ```
    /// fn depth(n: u32) -> u32 {
    ///     if n == 0 { 0 } else { 1 + depth(n - 1) }
    /// }
    /// let pool = footbridge::Pool::builder().thread_stack_size(64 << 20).build();
    /// assert_eq!(pool.spawn_blocking(|| depth(100_000)).join(), 100_000);
    /// ```
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.settings.stack_size = Some(bytes);
        self
    }

    /// Makes the pool. No thread is started before the first job. [`PoolBuilder`] has an example.
    pub fn build(self) -> Pool {
        Pool::new(self.settings, false)
    }
}
