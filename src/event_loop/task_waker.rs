//! The target of a task's wakers: what a wake does to schedule its task.
//!
//! | phase of a task | what may touch it | its flags | a wake on the loop's thread | a wake on another thread |
//! | --- | --- | --- | --- | --- |
//! | *spawned*, in the ready queue | a turn, the loop's end | no waker yet | | |
//! | *idle*, in the slab | the loop's end | none | sets `scheduled`, queues the key | sets `posted`, posts the waker |
//! | *posted*, in the slab | the loop's end | `posted` | sets `scheduled`, queues the key | nothing |
//! | *scheduled*, in the slab | a turn, the loop's end | `scheduled` | nothing | sets `posted`, posts the waker |
//! | *scheduled*, in the slab | a turn, the loop's end | both | nothing | nothing |
//! | *polled* | this turn | begins without `scheduled` | as above, by the flags | as above, by the flags |
//! | *done*, dropped | nothing | any | may set `scheduled`, queues nothing | may post, which queues nothing |
//!
//! All that touches a task runs on the loop's thread. `scheduled` and `key` belong to that thread too. `posted` is shared.
//! The loop clears `posted` when it takes the post; then it sets `scheduled` and queues the key, unless `scheduled` is set.
//! It clears `scheduled` just before the poll. A wake that comes during the poll causes one more poll.
//! When a task ends, its task waker loses the key. If the key is still in the ready queue then, no other task gets it before
//! the loop has taken it from there.
//! While the loop isn't running, a wake on its thread does what a wake on another thread does.

use crate::event_loop::current;
use crate::event_loop::scheduler::{Inbox, Post, Scheduler, identity};
use crate::observe::sites::Site;
use crate::sync::{Arc, AtomicBool, AtomicU16, AtomicU32, Ordering, impl_wake};
use std::task::Waker;

pub(crate) struct TaskWaker {
    inbox: Arc<Inbox>,
    /// The task's key. [`NO_KEY`] after its end. The loop's thread only.
    key: AtomicU32,
    /// [`SCHEDULED`], if the key is in the ready queue. Else, for dumps, the site of a job that the last poll has found pending,
    /// or zero. The loop's thread only.
    scheduled: AtomicU16,
    /// The waker is in the inbox, or about to be. Set by the thread that posts it, cleared by the loop.
    posted: AtomicBool,
}

/// No site has these bits.
const SCHEDULED: u16 = u16::MAX;

/// No task has this key.
pub(crate) const NO_KEY: u32 = u32::MAX;

/// The key of the main future.
pub(crate) const MAIN_KEY: u32 = NO_KEY - 1;

impl TaskWaker {
    pub(crate) fn new(inbox: Arc<Inbox>, key: u32) -> Self {
        Self {
            inbox,
            key: AtomicU32::new(key),
            scheduled: AtomicU16::new(0),
            posted: AtomicBool::new(false),
        }
    }

    pub(crate) fn set_key(&self, key: u32) {
        self.key.store(key, Ordering::Relaxed);
    }

    fn is_scheduled(&self) -> bool {
        self.scheduled.load(Ordering::Relaxed) == SCHEDULED
    }

    /// Begins a poll. A wake from here on causes one more poll.
    /// `waker` is a waker of it.
    pub(crate) fn begin_poll(&self, scheduler: &Scheduler, waker: &Waker) {
        let key = self.key.load(Ordering::Relaxed);
        scheduler.polling.set((key, identity(waker)));
        scheduler.job.set(0); // A callback may have left one.
        self.scheduled.store(0, Ordering::Relaxed);
    }

    /// Ends a poll. After it, a new task waker may have the same address.
    pub(crate) fn end_poll(&self, scheduler: &Scheduler) {
        scheduler.polling.set((NO_KEY, (0, 0)));
        if scheduler.job.get() != 0 {
            self.end_poll_of_job(scheduler);
        }
    }

    /// The poll has found a job pending.
    #[cold]
    fn end_poll_of_job(&self, scheduler: &Scheduler) {
        let site = scheduler.job.take();
        if !self.is_scheduled() {
            self.scheduled.store(site, Ordering::Relaxed);
        }
    }

    /// The site of the job that the task waits for, or waited for when it was polled last.
    pub(super) fn job(&self) -> Option<Site> {
        let bits = self.scheduled.load(Ordering::Relaxed);
        (bits != 0 && bits != SCHEDULED).then(|| Site::from_bits(bits.into()))
    }

    /// Whether the task was woken since its last poll began.
    pub(super) fn is_woken(&self) -> bool {
        self.is_scheduled() || self.posted.load(Ordering::Relaxed)
    }

    /// Whether a main future has it.
    pub(super) fn has_main(&self) -> bool {
        self.key.load(Ordering::Relaxed) == MAIN_KEY
    }

    /// Queues the task, unless it is queued already. Called on the loop's thread.
    pub(crate) fn schedule(&self, scheduler: &Scheduler) {
        if !self.is_scheduled() {
            self.scheduled.store(SCHEDULED, Ordering::Relaxed);
            let key = self.key.load(Ordering::Relaxed);
            if key != NO_KEY {
                scheduler.push_woken(key, scheduler.polling.get().0 == key);
            }
        }
    }

    /// Begins a main future: from here on, a wake queues `MAIN_KEY`.
    /// A leftover waker of an earlier main future may have set `scheduled`. So it is cleared.
    pub(super) fn begin_main(&self) {
        self.set_key(MAIN_KEY);
        self.scheduled.store(0, Ordering::Relaxed);
    }

    /// The task, or the main future, has ended. From here on, a wake queues nothing. `true` if the key is still in the ready
    /// queue.
    ///
    /// If no other reference is left, `posted` isn't set: a thread sets that only to post a reference. The next poll clears
    /// `scheduled`. So the task waker can serve another task.
    #[must_use]
    pub(super) fn end(&self) -> bool {
        self.set_key(NO_KEY);
        self.is_scheduled()
    }

    /// Called when the loop has taken the waker from the inbox.
    pub(super) fn taken_from_inbox(&self, scheduler: &Scheduler) {
        // Pairs with the swap in `wake`. A thread that finds `posted` set posts nothing. The next poll must see that
        // thread's writes, so this swap acquires them. A plain store would acquire nothing.
        self.posted.swap(false, Ordering::AcqRel);
        self.schedule(scheduler);
    }

    fn wake(self: &Arc<Self>) {
        let here = current::with_loop_of(&self.inbox, |scheduler| self.schedule(scheduler));
        // Pairs with the swap in `taken_from_inbox`.
        if here.is_none() && !self.posted.swap(true, Ordering::AcqRel) {
            // If the loop has ended, it refuses the post. Then no task is left to wake.
            let _ = self.inbox.post(Post::Wake(self.clone()));
        }
    }
}

impl_wake!(TaskWaker);
