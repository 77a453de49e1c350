//! How a worker falls asleep, and how an idle one ends.

use crate::pool::growth::Growth;
use crate::pool::job::Queued;
use crate::pool::registry::Registry;
use crate::pool::threads::{Role, SleepNumber, ThreadInfo, Threads};
use crate::pool::worker::Worker;
use crate::sync::parker::Woken;
use crate::sync::{MutexGuard, Ordering, now};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

impl Worker {
    /// Puts the worker into the list of sleepers. Then it scans every queue once more, unless it is surplus. If it finds a
    /// job, it runs it. Else it sleeps.
    pub(super) fn rest(&mut self) -> ControlFlow<(), Role> {
        let registry = self.registry.clone();
        let mut threads = registry.threads.lock();
        let is_surplus = |threads: &Threads| threads.active_count() > registry.settings.max_threads;
        // A surplus worker returns its own jobs first: no thread scans the queue of a sleeper.
        while is_surplus(&threads) && !registry.return_batch(&self.context) {
            drop(threads);
            threads = registry.threads.lock();
        }
        let is_surplus = is_surplus(&threads);
        let sleep = threads.fall_asleep(&self.thread);
        if std::mem::take(&mut self.is_searching) {
            registry.awake.stop_searching();
        }
        registry.update_awake(&threads);
        if !is_surplus {
            // Cleared before the fence: if a pushing worker reads the flag from before the clear, the scan finds its job.
            registry.awake.clear_local_jobs();
        }
        registry.awake.fence_before_scan();
        if is_surplus {
            // `max_threads` others are active. Each of them checks the queues after its job.
            return self.sleep(&registry, threads, sleep);
        }
        let Some(job) = self.scan_all(&registry, &threads) else {
            threads.growth = Growth::default();
            return self.sleep(&registry, threads, sleep);
        };
        let _ = threads.remove_sleeper(sleep);
        threads.set_active(&self.thread);
        registry.update_awake(&threads);
        if registry.has_jobs(&threads) {
            registry.awake.keep_local_jobs();
        }
        drop(threads);
        self.own_in_a_row = 0;
        self.run(job);
        ControlFlow::Continue(Role::Search)
    }

    fn scan_all(&mut self, registry: &Registry, threads: &Threads) -> Option<Queued> {
        // If the pool had a surplus when `find` ran, the own queue may hold jobs.
        let job = self.context.local.pop().or_else(|| self.take_shared());
        job.or_else(|| {
            let limit = self.batch_limit();
            registry.steal_batch(threads, &self.context.local, limit)
        })
    }

    /// Sleeps until another thread takes this one out of the list of sleepers, or `keep_alive` has passed.
    pub(super) fn sleep<'a>(
        &mut self,
        registry: &'a Registry,
        mut threads: MutexGuard<'a, Threads>,
        sleep: SleepNumber,
    ) -> ControlFlow<(), Role> {
        let deadline = after(registry.settings.keep_alive);
        let mut woken = Woken::Notified;
        loop {
            if (threads.retiring || woken == Woken::TimedOut) && threads.remove_sleeper(sleep) {
                threads.remove(&self.thread);
                registry.update_awake(&threads);
                return ControlFlow::Break(());
            }
            drop(threads);
            woken = registry.spin_or_park(&self.thread, deadline);
            threads = registry.threads.lock();
            if threads.is_watcher(&self.thread) {
                return ControlFlow::Continue(Role::Watch);
            }
            if !threads.is_asleep(sleep) {
                self.is_searching = true;
                return ControlFlow::Continue(Role::Search);
            }
        }
    }
}

impl Registry {
    /// Sleeps. If no other idle worker spins, spins a little before.
    fn spin_or_park(&self, thread: &ThreadInfo, deadline: Option<Instant>) -> Woken {
        if self.spinning.swap(true, Ordering::Relaxed) {
            return thread.parker.park(deadline);
        }
        let spun = || self.spinning.store(false, Ordering::Relaxed);
        let spin_time = self.settings.spin_time;
        thread.parker.spin_then_park(spin_time, deadline, spun)
    }
}

pub(super) fn after(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}
