//! If the system refuses a thread, the loops that submitted jobs to the pool ask for it again.

use crate::event_loop::current;
use crate::event_loop::handle::Handle;
use crate::event_loop::scheduler::{Inbox, Post, Scheduler};
use crate::event_loop::task_slab::TaskSlab;
use crate::event_loop::timers::TimerTarget;
use crate::pool::registry::Registry;
use crate::pool::thread_retry::{RETRY_PAUSE, RefusalListener};
use crate::sync::{Arc, Ordering, impl_wake, now, waker};

/// The target of a loop's timer. It is set again as long as this refusal is the last one.
struct RetryTimer {
    registry: Arc<Registry>,
    refusal: usize,
}

impl RetryTimer {
    fn wake(self: &Arc<Self>) {
        self.registry.retry_refused();
        self.set();
    }

    /// Call it on the loop's thread.
    fn set(self: &Arc<Self>) {
        let is_last = self.registry.refusals.is(self.refusal);
        if let Some(scheduler) = current::scheduler().filter(|_| is_last) {
            let waker = waker(self.clone());
            let mut timers = scheduler.timers.borrow_mut();
            let _ = timers.insert(now() + RETRY_PAUSE, TimerTarget::Waker(waker));
        }
    }
}

impl_wake!(RetryTimer);

impl RefusalListener for Inbox {
    fn retry_later(&self, registry: &Arc<Registry>, refusal: usize) {
        let registry = registry.clone();
        let timer = Arc::new(RetryTimer { registry, refusal });
        let set = move |_: &Scheduler, _: &TaskSlab| {
            timer.set();
            None
        };
        // A loop that has ended refuses the post.
        let _ = self.post(Post::Callback(Box::new(set)));
    }
}

/// Call it after a submit. From then on, the job's loop is told of refusals. Nearly always it is registered already.
pub(crate) fn register(registry: &Arc<Registry>, home: &Handle) {
    let inbox = &home.inbox;
    let is_registered = inbox.listens_to.load(Ordering::Relaxed) == registry.id;
    if !is_registered || registry.refusals.is_any() {
        // Relaxed: a second registration does no harm.
        inbox.listens_to.store(registry.id, Ordering::Relaxed);
        registry.listen_for_refusals(inbox);
    }
}
