//! The pool as its users know it: its settings, and what it says of itself.

use crate::backoff::SPIN_TIME;
use crate::crew::{Crew, Settings};
use crate::sync::{Arc, lazy_static, model_has_failed, unwind_safe};
use crate::worker;
use std::fmt;
use std::time::Duration;

/// Worker threads for blocking functions: started when jobs need them, retired when they don't.
///
/// Cloning it gives another handle to the same threads. When the last handle is dropped, the jobs
/// that are queued or running still finish, and idle threads end at once; [`shutdown`](Self::shutdown)
/// waits for that. A loop that was built with the pool holds a handle of its own, and so does every
/// [`Handle`](crate::Handle) to that loop, even when it has ended.
///
/// Threads are started as jobs need them. Jobs that block get a thread each. Jobs that compute start no more than
/// twice as many threads as there are processors, and one, as long as they get on; on Linux the pool asks the system which
/// of the two they are, elsewhere it goes by whether more threads finish more jobs. A thread that the system refuses is
/// asked for again at the next submit, and every ten milliseconds while a thread joins a job of the pool, or a loop turns that
/// a job without a thread belongs to.
///
/// A process that forks has in the child only the thread that forked. There a job of a pool that had threads before,
/// the [`global`](Self::global) one among them, is queued and never runs. So fork before the first job, or call nothing
/// but `exec` in the child. Otherwise a new pool works there, and so does a new loop that is built with it, as far as
/// the rest of the process allows.
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
    door: Arc<Door>,
}

/// What the handles share, and workers don't: it goes with the last handle.
struct Door {
    crew: Arc<Crew>,
    global: bool,
}

impl Drop for Door {
    fn drop(&mut self) {
        if !model_has_failed() {
            self.crew.wind_up(false);
        }
    }
}

impl Pool {
    /// The pool of the whole process, where jobs go if nothing else is said. Its threads, 512 at the
    /// most, are started when they are first needed; it lasts as long as the process.
    ///
    /// ```
    /// use footbridge::{Pool, spawn_blocking};
    ///
    /// spawn_blocking(|| ()).join(); // no loop here, and none named
    /// assert!(Pool::global().stats().threads > 0);
    /// ```
    pub fn global() -> Self {
        Self::everybodys().clone()
    }

    pub(crate) fn everybodys() -> &'static Self {
        lazy_static! {
            static ref GLOBAL: Pool = Pool::builder().open(true);
        }
        &GLOBAL
    }

    /// A pool of one's own. [`PoolBuilder`] has an example.
    pub fn builder() -> PoolBuilder {
        PoolBuilder::default()
    }

    /// How the pool stands just now. The figures may be out of date when they are looked at.
    ///
    /// ```
    /// let pool = footbridge::Pool::builder().build();
    /// pool.spawn_blocking(|| ()).join();
    /// assert_eq!(pool.stats().threads, 1);
    /// ```
    pub fn stats(&self) -> PoolStats {
        let crew = &self.door.crew;
        let book = crew.book.lock();
        let own: usize = book.active_desks().map(|desk| desk.stealer.len()).sum();
        PoolStats {
            threads: book.threads(),
            idle: book.sleeping(),
            queued: crew.returned.len() + crew.injector.len() + own,
            parked_in_syncify: book.parked,
        }
    }

    pub(crate) fn is_global(&self) -> bool {
        self.door.global
    }

    pub(crate) fn crew(&self) -> &Arc<Crew> {
        &self.door.crew
    }
}

unwind_safe!(Pool);

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("max_threads", &self.door.crew.settings.max_threads)
            .field("stats", &self.stats())
            .finish()
    }
}

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
#[derive(Debug)]
#[must_use]
pub struct PoolBuilder {
    max_threads: usize,
    max_parked: usize,
    keep_alive: Duration,
    spin_time: Duration,
    thread_name: String,
    stack_size: Option<usize>,
}

impl Default for PoolBuilder {
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
    /// How many threads may run jobs at once, from 1; 512 if not set. A thread whose job waits in
    /// `syncify`, `block_on` or `join`, or runs a loop of its own whose main future isn't ready, doesn't count. Such a
    /// job goes on at once when its wait is over: so more run at once if several go on together, until their jobs end. No
    /// further job begins before fewer run than this.
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
        self.max_threads = threads;
        self
    }

    /// How many jobs may be waiting for another `syncify` or `block_on` to be let in, from 0 (none is);
    /// 10,000 if not set. Each keeps its thread. One more such call gets
    /// [`SyncifyError::PoolExhausted`](crate::SyncifyError::PoolExhausted). Jobs that wait in `join`, in
    /// `shutdown` or on a loop of their own are counted, but never refused.
    ///
    /// ```
    /// use footbridge::{Pool, SyncifyError, run, syncify};
    ///
    /// let pool = Pool::builder().max_parked(0).build();
    /// let answer = run(async { pool.spawn_blocking(|| syncify(async || 42)()).await });
    /// assert_eq!(answer, Err(SyncifyError::PoolExhausted));
    /// ```
    pub fn max_parked(mut self, jobs: usize) -> Self {
        self.max_parked = jobs;
        self
    }

    /// For how long a thread without a job is kept, 10 seconds if not set; zero ends it at once,
    /// `Duration::MAX` never. The one that has worked
    /// last is the first to be used again, so that the others can go.
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
        self.keep_alive = keep_alive;
        self
    }

    /// For how long a thread spins before it sleeps: 10 microseconds if not set, a second at the most; zero: not at
    /// all. The next job, or an answer, is often there before a sleeping core is awake. These waits spin:
    ///
    /// - of the idle threads one at a time;
    /// - a job in [`syncify`](crate::syncify), [`Handle::block_on`](crate::Handle::block_on),
    ///   [`JoinHandle::join`](crate::JoinHandle::join) or [`BlockingTask::join`](crate::BlockingTask::join);
    /// - a loop that a job runs, for the shorter time of this and [its own](crate::EventLoopBuilder::spin_time);
    /// - a thread of no pool's in [`BlockingTask::join`](crate::BlockingTask::join), for what the job's pool says.
    ///
    /// [`shutdown`](Pool::shutdown) never spins. A thread that spins leaves the processor to others in between. Each
    /// time that it was in vain it spins for half as long the next time, until an answer comes soon again; and where an
    /// answer was late because others had kept the processor, it doesn't spin for some hundred waits. Worth turning off
    /// where power counts for more than microseconds.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let frugal = footbridge::Pool::builder().spin_time(Duration::ZERO).build();
    /// assert_eq!(frugal.spawn_blocking(|| 7).join(), 7);
    /// ```
    pub fn spin_time(mut self, spin_time: Duration) -> Self {
        self.spin_time = spin_time;
        self
    }

    /// What the threads' names begin with, `footbridge` if not set: they are called `footbridge-0` and so on.
    /// [`Pool`] has an example.
    ///
    /// # Panics
    /// If the name holds a NUL byte, which no thread's name can.
    #[track_caller]
    pub fn thread_name(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        assert!(
            !name.contains('\0'),
            "PoolBuilder::thread_name: a thread's name can't hold a NUL byte"
        );
        self.thread_name = name;
        self
    }

    /// The size of the threads' stacks in bytes; what [`std::thread::Builder`] takes if not set. With more
    /// than the system has, every thread is refused, and who awaits a job is told so by a panic.
    ///
    /// ```
    /// fn depth(n: u32) -> u32 {
    ///     if n == 0 { 0 } else { 1 + depth(n - 1) }
    /// }
    /// let pool = footbridge::Pool::builder().thread_stack_size(64 << 20).build();
    /// assert_eq!(pool.spawn_blocking(|| depth(100_000)).join(), 100_000);
    /// ```
    pub fn thread_stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Makes the pool. No thread is started before the first job. [`PoolBuilder`] has an example.
    pub fn build(self) -> Pool {
        self.open(false)
    }

    fn open(self, global: bool) -> Pool {
        let settings = Settings {
            max_threads: self.max_threads,
            max_parked: self.max_parked,
            keep_alive: self.keep_alive,
            spin_time: self.spin_time,
            thread_name: self.thread_name,
            stack_size: self.stack_size,
        };
        let crew = Arc::new(Crew::new(settings, worker::main));
        Pool {
            door: Arc::new(Door { crew, global }),
        }
    }
}

/// How a [`Pool`] stands.
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
    /// Those without a job, asleep.
    pub idle: usize,
    /// Jobs that no thread has taken yet, among them cancelled ones whose turn hasn't come.
    pub queued: usize,
    /// Threads whose job waits in a call of this crate (`syncify`, `block_on`, `join`, a loop of its own),
    /// and whose place is free for others.
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
