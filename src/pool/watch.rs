//! The watch: the thread that decides whether a backlog gets more threads.
//!
//! Without it, a burst of short jobs would start hundreds of threads. And in a small pool, jobs that wait for each other
//! would wait for ever. While jobs are queued, one thread checks at intervals whether the others take jobs.
//! [`growth`](crate::pool::growth) decides what it does then.

use crate::pool::growth::{Evidence, Growth, Sample, Verdict};
use crate::pool::registry::Registry;
use crate::pool::sleep::after;
use crate::pool::threads::{Role, Threads, ask_system};
use crate::pool::worker::Worker;
use crate::sync::{MutexGuard, now};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

impl Worker {
    pub(super) fn watch(&mut self) -> ControlFlow<(), Role> {
        let registry = self.registry.clone();
        let mut pause = {
            let threads = registry.threads.lock();
            let _ = threads.progress();
            threads.growth.pause()
        };
        let mut quiet_since = now();
        loop {
            let _ = self.thread.parker.park(after(pause));
            let mut threads = registry.threads.lock();
            if !threads.is_watcher(&self.thread) {
                // A lone job has come, and this thread was chosen for it.
                self.is_searching = true;
                return ControlFlow::Continue(Role::Search);
            }
            if !registry.is_worth_watching(&threads) {
                match self.lie_down(&registry, threads) {
                    ControlFlow::Break(next) => return next,
                    ControlFlow::Continue(again) => pause = again,
                }
                continue;
            }
            let evidence = evidence(&registry, &threads, &mut quiet_since);
            let mut sample = None;
            if !evidence.is_moving() {
                (threads, sample) = self.sample(&registry, threads);
                if !threads.is_watcher(&self.thread) || !registry.is_worth_watching(&threads) {
                    pause = Duration::ZERO;
                    continue;
                }
            }
            let verdict = threads.growth.decide(&evidence, sample);
            if sample.is_some() || verdict == Verdict::Double {
                threads.set_blocked(sample);
            }
            match verdict {
                Verdict::Double | Verdict::OneMore => return self.step_in(&registry, threads),
                Verdict::Moving | Verdict::Doubtful | Verdict::Computing => {
                    pause = threads.growth.pause();
                }
            }
        }
    }

    /// The queues are empty, so the watcher sleeps. If a new job relies on the watch, the watcher goes on after the returned
    /// pause.
    fn lie_down(
        &mut self,
        registry: &Registry,
        mut threads: MutexGuard<'_, Threads>,
    ) -> ControlFlow<ControlFlow<(), Role>, Duration> {
        threads.growth = Growth::default();
        threads.end_watch(&self.thread);
        let sleep = threads.fall_asleep(&self.thread);
        registry.update_awake(&threads);
        registry.awake.fence_before_scan();
        if !registry.is_worth_watching(&threads) {
            return ControlFlow::Break(self.sleep(registry, threads, sleep));
        }
        let _ = threads.remove_sleeper(sleep);
        threads.resume_watch(&self.thread);
        registry.update_awake(&threads);
        ControlFlow::Continue(threads.growth.pause())
    }

    /// The watcher takes a job itself.
    fn step_in(
        &mut self,
        registry: &Registry,
        mut threads: MutexGuard<'_, Threads>,
    ) -> ControlFlow<(), Role> {
        threads.end_watch(&self.thread);
        threads.set_active(&self.thread);
        registry.awake.start_searching();
        registry.update_awake(&threads);
        self.is_searching = true;
        ControlFlow::Continue(Role::Search)
    }

    /// Asks the system about some of the active threads, without the lock.
    fn sample<'a>(
        &mut self,
        registry: &'a Registry,
        threads: MutexGuard<'a, Threads>,
    ) -> (MutexGuard<'a, Threads>, Option<Sample>) {
        let some = threads.sample(self.last_of_others);
        self.last_of_others = some.last().map_or(0, |thread| thread.number);
        drop(threads);
        let sample = ask_system(&some);
        drop(some);
        (registry.threads.lock(), sample)
    }
}

fn evidence(registry: &Registry, threads: &Threads, quiet_since: &mut Instant) -> Evidence {
    let progress = threads.progress();
    if progress.taken > 0 {
        *quiet_since = now();
    }
    Evidence {
        cores: registry.cores,
        active: threads.active_count(),
        taken: progress.taken,
        stuck: progress.stuck,
        quiet: now().saturating_duration_since(*quiet_since),
    }
}

impl Registry {
    /// Whether jobs are queued that another thread might run.
    fn is_worth_watching(&self, threads: &Threads) -> bool {
        !threads.closed
            && threads.active_count() < self.settings.max_threads
            && self.has_jobs(threads)
    }
}
