//! The pool: worker threads for blocking functions. It knows of no loop.

pub(crate) mod awake;
pub(crate) mod builder;
pub(crate) mod growth;
pub(crate) mod job;
pub(crate) mod refusal;
pub(crate) mod registry;
pub(crate) mod report;
pub(crate) mod shutdown;
pub(crate) mod sleep;
pub(crate) mod slot;
pub(crate) mod start;
pub(crate) mod steal;
pub(crate) mod thread_retry;
pub(crate) mod threads;
pub(crate) mod wait;
pub(crate) mod watch;
pub(crate) mod worker;
pub(crate) mod worker_context;

use crate::pool::builder::{PoolBuilder, Settings};
use crate::pool::registry::Registry;
use crate::sync::{Arc, lazy_static, model_has_failed, unwind_safe};
use std::fmt;

/// Worker threads for blocking functions. They are started when jobs need them, and end when no job does.
///
/// A clone is another handle to the same threads. When the last handle is dropped, the jobs that are queued or running still
/// finish, and idle threads end at once; [`shutdown`](Self::shutdown) waits for that. A loop that was built with the pool
/// holds a handle, and so does every [`Handle`](crate::Handle) to that loop, even after the loop has ended.
///
/// Jobs that block get a thread each. Jobs that compute start at most twice as many threads as there are processors, and one
/// at a time while jobs are taken. On Linux the pool asks the system whether a job blocks or computes. Elsewhere it checks
/// whether more threads finish more jobs. If the system refuses a thread, the pool asks again at the next submit. It also
/// asks every ten milliseconds while a thread joins a job of the pool, or while a loop turns that has submitted one.
///
/// After a fork, only the thread that forked exists in the child. There, a job of a pool that had threads before the fork is
/// queued and never runs. This holds for the [`global`](Self::global) pool too. So fork before the first job, or call
/// nothing but `exec` in the child. Otherwise a new pool works in the child, and so does a new loop that is built with it,
/// as far as the rest of the process allows.
///
/// ```
/// use footbridge::Pool;
///
/// let pool = Pool::builder().max_threads(2).thread_name("disk").build();
/// let job = pool.spawn_blocking(|| std::thread::current().name().map(String::from));
/// assert_eq!(job.join().as_deref(), Some("disk-0"));
/// ```
#[derive(Clone)]
pub struct Pool {
    handles: Arc<Handles>,
}

/// What the handles share, without the threads. It is dropped with the last handle.
struct Handles {
    registry: Arc<Registry>,
    is_global: bool,
}

impl Drop for Handles {
    fn drop(&mut self) {
        if !model_has_failed() {
            self.registry.retire();
        }
    }
}

impl Pool {
    /// The pool of the whole process. A job goes there if no other pool is named. It has up to 512 threads, each started
    /// when it is first needed, and lasts as long as the process.
    ///
    /// ```
    /// use footbridge::{Pool, spawn_blocking};
    ///
    /// spawn_blocking(|| ()).join(); // no loop here, and none named
    /// assert!(Pool::global().stats().threads > 0);
    /// ```
    pub fn global() -> Self {
        Self::global_ref().clone()
    }

    pub(crate) fn global_ref() -> &'static Self {
        lazy_static! {
            static ref GLOBAL: Pool = Pool::new(Settings::default(), true);
        }
        &GLOBAL
    }

    /// Settings for a new pool. [`PoolBuilder`] has an example.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// The current figures of the pool. They may be out of date when they are read.
    ///
    /// ```
    /// let pool = footbridge::Pool::builder().build();
    /// pool.spawn_blocking(|| ()).join();
    /// assert_eq!(pool.stats().threads, 1);
    /// ```
    pub fn stats(&self) -> PoolStats {
        let registry = &self.handles.registry;
        let threads = registry.threads.lock();
        let local: usize = threads
            .active_threads()
            .map(|thread| thread.stealer.len())
            .sum();
        PoolStats {
            threads: threads.count(),
            idle: threads.idle_count(),
            queued: registry.returned.len() + registry.injector.len() + local,
            parked_in_syncify: threads.parked,
        }
    }

    pub(crate) fn new(settings: Settings, is_global: bool) -> Self {
        let registry = Arc::new(Registry::new(settings, worker::main));
        report::POOLS.add(registry.id, &registry, ());
        Self {
            handles: Arc::new(Handles {
                registry,
                is_global,
            }),
        }
    }

    pub(crate) fn is_global(&self) -> bool {
        self.handles.is_global
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.handles.registry
    }
}

unwind_safe!(Pool);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("max_threads", &self.handles.registry.settings.max_threads)
            .field("stats", &self.stats())
            .finish()
    }
}

/// The figures of a [`Pool`].
///
/// ```
/// use std::sync::mpsc;
///
/// let pool = footbridge::Pool::builder().max_threads(1).build();
/// let ((begun, has_begun), (go, wait)) = (mpsc::channel(), mpsc::channel());
/// let first = pool.spawn_blocking(move || (begun.send(()), wait.recv()));
/// has_begun.recv().unwrap();
/// let second = pool.spawn_blocking(|| ());
/// let stats = pool.stats();
/// assert_eq!((stats.threads, stats.idle, stats.queued), (1, 0, 1));
/// # go.send(()).unwrap();
/// # drop((first.join(), second.join()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Threads alive, or being started.
    pub threads: usize,
    /// Threads without a job, asleep. A thread that has just ended a job, or looks for the next one, isn't asleep yet. So
    /// for a moment `idle` may be less than `threads` although nothing runs.
    pub idle: usize,
    /// Jobs that no thread has taken yet. A cancelled job counts until a thread takes it.
    pub queued: usize,
    /// Threads whose job waits in a call of this crate (`syncify`, `block_on`, `join`, a loop of its own). Their slots are
    /// free for other threads.
    ///
    /// ```
    /// use footbridge::{Pool, run, syncify};
    ///
    /// let pool = Pool::builder().build();
    /// let parked = run(async {
    ///     let asked = pool.clone();
    ///     pool.spawn_blocking(move || syncify(async move || asked.stats().parked_in_syncify)()).await
    /// });
    /// assert_eq!(parked, Ok(1));
    /// ```
    pub parked_in_syncify: usize,
}
