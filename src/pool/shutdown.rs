//! Shuts a pool down. After the timeout, lists the jobs that still run.
//!
//! The rule: a shutdown never waits for a thread that may wait for the same shutdown. Jobs that shut down their own pool
//! don't wait for each other. A loop's thread doesn't wait for jobs that wait for a loop.

use crate::pool::refusal::Refusal;
use crate::pool::registry::Registry;
use crate::pool::start::refuse;
use crate::pool::threads::{ShutdownWaiter, ThreadInfo, Threads};
use crate::pool::{slot, worker_context};
use crate::sync::parker::{Parker, Woken};
use crate::sync::{Arc, Ordering, now};
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

impl Registry {
    /// From now on idle threads end instead of sleeping.
    pub(crate) fn retire(&self) {
        let idle = {
            let mut threads = self.threads.lock();
            threads.retiring = true;
            threads.idle_threads()
        };
        idle.iter().for_each(|thread| thread.parker.unpark());
    }

    /// Retires the pool. From now on jobs that are submitted or queued are refused.
    fn close(&self) {
        self.threads.lock().closed = true;
        self.closed.store(true, Ordering::Relaxed);
        self.awake.fence_before_scan();
        self.refuse_all();
        self.retire();
    }

    /// Refuses every queued job of a closed pool.
    pub(crate) fn refuse_all(&self) {
        let jobs = self.take_all(&self.threads.lock());
        refuse(jobs, &Refusal::ShutDown);
    }

    /// Closes the pool and waits for its threads. `is_on_loop`: this thread runs a loop, and waiting jobs may wait for it.
    pub(crate) fn shutdown(
        self: &Arc<Self>,
        timeout: Duration,
        is_on_loop: bool,
    ) -> Result<(), StillRunning> {
        self.close();
        let deadline = now().checked_add(timeout);
        let parker = Arc::new(Parker::new());
        let own = worker_context::of(self).map(|context| context.thread.clone());
        let own_count = usize::from(own.is_some());
        {
            let mut threads = self.threads.lock();
            threads.in_shutdown += own_count;
            threads.wake_shutdown_waiters();
            threads.shutdown_waiters.push(ShutdownWaiter {
                parker: parker.clone(),
                is_own: own.is_some(),
                done: false,
            });
        }
        let _slot = slot::release();
        let mut woken = Woken::Notified;
        loop {
            let mut threads = self.threads.lock();
            let is_done = threads.is_shut_down_for(&parker);
            let all_wait = is_on_loop && threads.count() <= threads.parked;
            if is_done || all_wait || woken == Woken::TimedOut {
                threads
                    .shutdown_waiters
                    .retain(|other| !Arc::ptr_eq(&other.parker, &parker));
                threads.in_shutdown -= own_count;
                // Idle threads end by themselves: no job can reach them any more.
                if is_done || threads.count() - threads.idle_count() <= own_count {
                    return Ok(());
                }
                return Err(StillRunning::of(&threads, own.as_ref()));
            }
            drop(threads);
            woken = parker.park(deadline);
        }
    }
}

/// What a pool still ran when [`shutdown`](crate::Pool::shutdown) stopped waiting.
///
/// ```
/// use std::{sync::mpsc, time::Duration};
///
/// let pool = footbridge::Pool::builder().thread_name("disk").build();
/// let ((begun, has_begun), (go, wait)) = (mpsc::channel(), mpsc::channel());
/// pool.spawn_blocking(move || (begun.send(()), wait.recv())).detach();
/// has_begun.recv().unwrap();
///
/// let left = pool.shutdown(Duration::ZERO).unwrap_err();
/// // "the pool still runs 1 job(s): disk-0 for 21.7µs, submitted at src/main.rs:5:6"
/// assert!(left.to_string().starts_with("the pool still runs 1 job(s): disk-0 for "));
/// go.send(()).unwrap();
/// pool.shutdown(Duration::MAX).unwrap(); // asked once more, it has them all
/// ```
#[derive(Debug, Clone)]
pub struct StillRunning {
    jobs: Vec<RunningJob>,
}

impl StillRunning {
    /// The jobs that run on all threads but `own`.
    fn of(threads: &Threads, own: Option<&Arc<ThreadInfo>>) -> Self {
        let all = threads.all.values();
        let others = all.filter(|thread| own.is_none_or(|own| !Arc::ptr_eq(own, thread)));
        let jobs = others.filter_map(|thread| {
            let current = thread.running()?;
            Some(RunningJob {
                thread: thread.name.clone(),
                since: current.since,
                submitted_at: current.submitted_at,
            })
        });
        Self {
            jobs: jobs.collect(),
        }
    }

    /// The jobs that had not ended. If it is empty, a thread between two jobs had not ended. [`RunningJob`] has an example.
    pub fn jobs(&self) -> &[RunningJob] {
        &self.jobs
    }
}

impl fmt::Display for StillRunning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.jobs.is_empty() {
            return f
                .write_str("a thread of the pool is still looking for a job, and has not ended");
        }
        write!(f, "the pool still runs {} job(s)", self.jobs.len())?;
        for (n, job) in self.jobs.iter().enumerate() {
            write!(f, "{} {job}", if n == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for StillRunning {}

/// A job that was still running when [`Pool::shutdown`](crate::Pool::shutdown) stopped waiting.
///
/// ```
/// # use std::{sync::mpsc, time::Duration};
/// # let pool = footbridge::Pool::builder().thread_name("disk").build();
/// # let ((begun, has_begun), (go, wait)) = (mpsc::channel(), mpsc::channel());
/// # pool.spawn_blocking(move || (begun.send(()), wait.recv())).detach();
/// # has_begun.recv().unwrap();
/// if let Err(left) = pool.shutdown(Duration::ZERO) {
///     for job in left.jobs() {
///         eprintln!("{} since {:?}: {}", job.thread(), job.running_for(), job.submitted_at());
///     }
/// #   let job = &left.jobs()[0];
/// #   assert_eq!((job.thread(), job.submitted_at().file()), ("disk-0", file!()));
/// }
/// # go.send(()).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct RunningJob {
    thread: String,
    since: Instant,
    submitted_at: &'static Location<'static>,
}

impl RunningJob {
    /// The name of the thread that runs the job. [`RunningJob`] has an example.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// The time since the job began, at most: the clock starts when the thread takes this job and some more from a queue. It
    /// goes on even after the job has ended. [`RunningJob`] has an example.
    pub fn running_for(&self) -> Duration {
        now().saturating_duration_since(self.since)
    }

    /// Where the job was submitted: the call of `spawn_blocking`, or the call that wrapped the function. [`RunningJob`] has
    /// an example.
    pub fn submitted_at(&self) -> &'static Location<'static> {
        self.submitted_at
    }
}

impl fmt::Display for RunningJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} for {:.1?}, submitted at {}",
            self.thread,
            self.running_for(),
            self.submitted_at
        )
    }
}
