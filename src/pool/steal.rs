//! Stealing: how a worker takes jobs from the shared queues, and from other workers' own queues.
//!
//! A job is in one of three kinds of queue:
//! - the *injector*, shared: jobs from threads outside the pool, and from workers without a slot;
//! - *returned*, shared and taken first: jobs that a worker gave back from its own queue;
//! - a worker's *own queue*: jobs that its jobs submitted, and batches that it took. Other workers steal from it.
//!
//! A steal from a worker's own queue pins crossbeam's epoch, even if the queue is empty. Every 128th pin of a thread walks all
//! threads of the process, and runs destructors that any crate has deferred: user code, here under the lock of [`Threads`].
//! So an empty queue isn't stolen from, and an idle pool runs none. A steal of a job, and a pop that shrinks the queue, may
//! still run one. The shared queues have no epoch.

use crate::pool::job::Queued;
use crate::pool::registry::Registry;
use crate::pool::threads::Threads;
use crate::sync::{Local, Steal, Stealer};

/// Repeats the steal while the queue asks for it: another thread was faster.
fn retry_steal<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(item) => return Some(item),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

/// The steal from a worker's own queue, unless that is empty.
fn steal_own(stealer: &Stealer<Queued>, steal: impl FnMut() -> Steal<Queued>) -> Option<Queued> {
    (!stealer.is_empty()).then(|| retry_steal(steal))?
}

impl Registry {
    pub(crate) fn are_shared_empty(&self) -> bool {
        self.injector.is_empty() && self.returned.is_empty()
    }

    /// Whether any queue holds a job. Checks each active thread: about `max_threads` at most.
    pub(crate) fn has_jobs(&self, threads: &Threads) -> bool {
        let mut local = threads.active_threads().map(|thread| &thread.stealer);
        !self.are_shared_empty() || local.any(|stealer| !stealer.is_empty())
    }

    /// The oldest job in `returned`.
    pub(crate) fn take_returned(&self) -> Option<Queued> {
        retry_steal(|| self.returned.steal())
    }

    /// A job from the injector. A batch moves to `local`: up to `limit` jobs with this one.
    pub(crate) fn take_injected(&self, local: &Local<Queued>, limit: usize) -> Option<Queued> {
        retry_steal(|| self.injector.steal_batch_with_limit_and_pop(local, limit))
    }

    /// A job from a worker's own queue. A batch moves to `local`: up to `limit` jobs with this one.
    pub(crate) fn steal_batch(
        &self,
        threads: &Threads,
        local: &Local<Queued>,
        limit: usize,
    ) -> Option<Queued> {
        let mut stealers = threads.active_threads().map(|thread| &thread.stealer);
        stealers.find_map(|stealer| {
            let steal = || stealer.steal_batch_with_limit_and_pop(local, limit);
            steal_own(stealer, steal)
        })
    }

    /// A job from the own queue of an active thread other than number `own`, and the number of that thread. The search
    /// begins after number `after`, and wraps around.
    pub(crate) fn steal_one(
        &self,
        threads: &Threads,
        after: usize,
        own: usize,
    ) -> Option<(Queued, usize)> {
        let mut others = threads
            .active_threads_after(after)
            .filter(|thread| thread.number != own);
        others.find_map(|thread| {
            let job = steal_own(&thread.stealer, || thread.stealer.steal())?;
            Some((job, thread.number))
        })
    }

    /// Takes every queued job. The caller refuses them after it has released the lock.
    pub(crate) fn take_all(&self, threads: &Threads) -> Vec<Queued> {
        let shared = [&self.returned, &self.injector].into_iter();
        let shared = shared.flat_map(|queue| std::iter::from_fn(|| retry_steal(|| queue.steal())));
        let active = threads.active_threads().map(|thread| &thread.stealer);
        let local = active
            .flat_map(|stealer| std::iter::from_fn(|| steal_own(stealer, || stealer.steal())));
        shared.chain(local).collect()
    }
}
