//! The end of a pool, and what still runs when the time given to it is up.
//!
//! The rule: it waits for no thread that may be waiting for it. Jobs that shut down their own pool
//! don't wait for each other; a loop's thread doesn't wait for jobs that wait for a loop.

use crate::idle::Quitter;
use crate::own;
use crate::parker::{Parker, Woken};
use crate::place;
use crate::pool::Pool;
use crate::queue;
use crate::sync::{Arc, now};
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

impl Pool {
    /// Ends the pool: refuses new jobs, answers the queued ones without running them, and waits until
    /// the running ones are done and all threads gone, for `timeout` at the most (`Duration::MAX`: as long
    /// as it takes; zero: not at all).
    ///
    /// Whoever awaits a refused job gets a panic that says so. May be called again, and from several
    /// threads. A job of this pool that calls it is not waited for, neither by its own call nor by another job's. On
    /// a thread that runs a loop it doesn't wait for jobs that wait for a loop in their turn, which could
    /// be this one. (One that is not being run is not seen: run the loop to its end before.) A thread is gone for it when
    /// its last job is: destructors of that thread's thread-locals may still run.
    ///
    /// # Errors
    /// [`StillRunning`], which says which jobs had not ended when the time was up, or at once on a thread
    /// that runs a loop if all that is left waits in its turn. The pool stays shut, and they run on.
    ///
    /// # Panics
    /// For the [`global`](Self::global) pool, which can't be shut down.
    ///
    /// ```
    /// use footbridge::Pool;
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().build();
    /// pool.spawn_blocking(|| ()).join();
    /// pool.shutdown(Duration::from_secs(5)).unwrap();
    /// ```
    #[track_caller]
    pub fn shutdown(&self, timeout: Duration) -> Result<(), StillRunning> {
        assert!(
            !self.is_global(),
            "Pool::shutdown: the global pool can't be shut down; give the loop or the call a pool of its own"
        );
        let crew = self.crew();
        crew.wind_up(true);
        let deadline = now().checked_add(timeout);
        let parker = Arc::new(Parker::new());
        let own = own::of(crew).map(|own| own.desk.clone());
        let own_threads = usize::from(own.is_some());
        {
            let mut book = crew.book.lock();
            book.in_shutdown += own_threads;
            book.tell_quitters();
            book.quitters.push(Quitter {
                parker: parker.clone(),
                is_own: own.is_some(),
                done: false,
            });
        }
        let _away = place::leave();
        let mut woken = Woken::Notified;
        loop {
            let mut book = crew.book.lock();
            let done = book.is_done(&parker);
            let left_wait = queue::is_running() && book.threads() <= book.parked;
            if done || left_wait || woken == Woken::TimedOut {
                book.quitters
                    .retain(|other| !Arc::ptr_eq(&other.parker, &parker));
                book.in_shutdown -= own_threads;
                // Those that sleep have been told to end, and no job can reach them any more.
                if done || book.threads() - book.sleeping() <= own_threads {
                    return Ok(());
                }
                let others = book
                    .desks
                    .values()
                    .filter(|desk| own.as_ref().is_none_or(|own| !Arc::ptr_eq(own, desk)));
                let jobs = others.filter_map(|desk| {
                    let current = desk.running()?;
                    Some(RunningJob {
                        thread: desk.name.clone(),
                        since: current.since,
                        submitted_at: current.submitted_at,
                    })
                });
                return Err(StillRunning {
                    jobs: jobs.collect(),
                });
            }
            drop(book);
            woken = parker.park(deadline);
        }
    }
}

/// What a pool still ran when [`shutdown`](Pool::shutdown) stopped waiting.
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
    /// The jobs that had not ended. None, if it was a thread between two of them that had not. [`RunningJob`] has an example.
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

/// A job that [`Pool::shutdown`] didn't wait for to its end.
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
    /// The name of the thread that runs it. [`RunningJob`] has an example.
    pub fn thread(&self) -> &str {
        &self.thread
    }

    /// The time since it began, at most: it counts from when its thread last looked for jobs and took this one and
    /// some more. It goes on counting, also when the job has ended since. [`RunningJob`] has an example.
    pub fn running_for(&self) -> Duration {
        now().saturating_duration_since(self.since)
    }

    /// Where it was submitted: the call of `spawn_blocking`, or the one that wrapped the function. [`RunningJob`]
    /// has an example.
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
