//! `Pool::shutdown`, which has to know whether this thread runs a loop.

use crate::event_loop::current;
use crate::pool::Pool;
use crate::pool::shutdown::StillRunning;
use std::time::Duration;

impl Pool {
    /// Ends the pool: refuses new jobs, answers the queued ones without running them, and waits until the running jobs
    /// are done and all threads have ended. It waits for `timeout` at the most (`Duration::MAX`: as long as it takes;
    /// zero: not at all).
    ///
    /// Awaiting a refused job panics with the reason. `shutdown` may be called again, and from several threads. If a job
    /// of this pool calls it, no call of `shutdown` waits for that job.
    ///
    /// On a thread that runs a loop, it doesn't wait for jobs that wait for a loop, which could be this one. (A loop that
    /// isn't being run is not seen: run it to its end before.) A thread counts as ended when its last job is done:
    /// destructors of its thread-locals may still run.
    ///
    /// # Errors
    /// [`StillRunning`], which says which jobs had not ended when the time was up. On a thread that runs a loop, it comes
    /// at once if all jobs that are left wait. The pool stays shut, and the jobs run on.
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
        self.registry().shutdown(timeout, current::is_running())
    }
}
