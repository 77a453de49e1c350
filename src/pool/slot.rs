//! A worker's slot: one of the `max_threads` that may run jobs at once. The worker releases it while its job waits.
//!
//! The rule: if a worker waits in a call of this crate (`syncify`, `block_on`, `join`, `shutdown`, a loop that the job
//! runs), it releases the slot first. So a job that the wait depends on can have it. Taking the slot again never waits. That
//! is why nested calls can't use up a pool.

use crate::pool::registry::Registry;
use crate::pool::threads::{Demand, ThreadInfo};
use crate::pool::worker_context::{self, WorkerContext};
use crate::sync::Arc;
use std::rc::Rc;

const RETURNED_AT_ONCE: usize = 64;

/// A guard: its drop takes the slot again. It is empty if the thread is no worker, or if an outer wait released the slot.
#[must_use]
pub(crate) struct ReleasedSlot(Option<Rc<WorkerContext>>);

impl Drop for ReleasedSlot {
    fn drop(&mut self) {
        if let Some(context) = self.0.take() {
            context.has_slot.set(true);
            context.registry.reacquire_slot(&context.thread);
        }
    }
}

/// Releases the slot. The number of jobs that wait doesn't matter.
pub(crate) fn release() -> ReleasedSlot {
    let context = context_with_slot();
    if let Some(context) = &context {
        let released = context.registry.release_slot(context, usize::MAX);
        debug_assert!(released);
    }
    ReleasedSlot(context)
}

/// Releases the slot. `None` if `max_parked` jobs of the pool wait already.
pub(crate) fn try_release() -> Option<ReleasedSlot> {
    let context = context_with_slot();
    if let Some(context) = &context {
        let registry = &context.registry;
        if !registry.release_slot(context, registry.settings.max_parked) {
            return None;
        }
    }
    Some(ReleasedSlot(context))
}

/// This thread's context, if it is a worker with its slot.
fn context_with_slot() -> Option<Rc<WorkerContext>> {
    worker_context::current().filter(|context| context.has_slot.get())
}

impl Registry {
    /// A worker's job begins to wait. `false` if `max_parked` jobs wait already.
    #[must_use]
    fn release_slot(self: &Arc<Self>, context: &WorkerContext, max_parked: usize) -> bool {
        let mut threads = loop {
            let threads = self.threads.lock();
            if threads.parked >= max_parked {
                return false;
            }
            if self.return_batch(context) {
                break threads;
            }
        };
        // Before a thread is started below: if that is refused, a host's hook may run here and submit a job.
        context.has_slot.set(false);
        threads.parked += 1;
        threads.set_inactive(&context.thread);
        threads.wake_shutdown_waiters();
        self.update_awake(&threads);
        self.awake.fence_before_scan();
        // If the job that this wait depends on is queued already, a thread is woken or started for it.
        self.wake_or_start(threads, Demand::Job);
        true
    }

    /// Moves up to `RETURNED_AT_ONCE` jobs from the worker's own queue to `returned`. Returns `true` if it found the own
    /// queue empty. The limit keeps the lock short. The lock keeps a shutdown from scanning while a job is in neither queue.
    /// No thread scans the own queue of a worker that waits or sleeps.
    #[must_use]
    pub(super) fn return_batch(&self, context: &WorkerContext) -> bool {
        for _ in 0..RETURNED_AT_ONCE {
            let Some(job) = context.local.pop() else {
                return true;
            };
            self.returned.push(job);
        }
        false
    }

    /// Takes the slot again without waiting. If too many threads are active then, the next worker that ends its job sleeps.
    fn reacquire_slot(&self, thread: &Arc<ThreadInfo>) {
        let mut threads = self.threads.lock();
        debug_assert!(threads.parked > 0, "no job was counted as waiting");
        threads.parked -= 1;
        threads.set_active(thread);
        self.update_awake(&threads);
    }
}
