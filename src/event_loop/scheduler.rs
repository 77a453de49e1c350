//! What a loop has to do next: the ready queue, the timers, and the inbox that other threads post to.
//!
//! The rule: the loop's own thread pushes without a lock. Other threads post to the inbox. A post wakes the loop only if
//! it sleeps. The last look into the inbox and its closing are one step.

use crate::context::inherited::Inherited;
use crate::event_loop::current;
use crate::event_loop::inbox;
use crate::event_loop::join_cell::ErasedCell;
use crate::event_loop::join_error::JoinError;
use crate::event_loop::joins::Joins;
use crate::event_loop::ready_queue::{Callback, ReadyEntry, ReadyQueue};
use crate::event_loop::task::{self, NewTask, failed};
use crate::event_loop::task_waker::{MAIN_KEY, NO_KEY, TaskWaker};
use crate::event_loop::timers::{TimerKey, TimerTarget, Timers};
use crate::observe::event::{self, OpenSlice};
use crate::observe::pulse::Pulse;
use crate::sync::panics::drop_quietly;
use crate::sync::{Arc, now};
use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

/// What other threads post to a loop.
pub(crate) enum Post {
    Wake(Arc<TaskWaker>),
    /// The cell's task is to be dropped.
    Abort(Arc<dyn ErasedCell>),
    Callback(Callback),
}

pub(crate) type Inbox = inbox::Inbox<Post>;

/// The addresses of a waker's data and of its table of functions. A combinator's waker may have the same data as the waker
/// that it wraps.
pub(super) type WakerIdentity = (usize, usize);

pub(super) fn identity(waker: &Waker) -> WakerIdentity {
    (
        waker.data().addr(),
        std::ptr::from_ref(waker.vtable()).addr(),
    )
}

/// The part of a loop that only its own thread uses.
pub(crate) struct Scheduler {
    pub(crate) inbox: Arc<Inbox>,
    /// The waker of the main future. Each main future of the loop uses it in turn.
    pub(crate) main: Arc<TaskWaker>,
    pub(crate) timers: RefCell<Timers>,
    pub(crate) joins: RefCell<Joins>,
    pub(super) ready: RefCell<ReadyQueue>,
    /// The key of the task that is being polled, or [`NO_KEY`], and the identity of its waker.
    pub(super) polling: Cell<(u32, WakerIdentity)>,
    closed: Cell<bool>,
    /// An answer may come soon: a task waits for a job, or a blocked thread called in. `Inbox::sleep` reads and clears it.
    pub(crate) is_answer_due: Cell<bool>,
    /// The site of the last job that the current poll has found pending, or zero. For dumps.
    pub(super) job: Cell<u16>,
    /// Where the last main future comes from.
    pub(super) entered_at: Cell<Option<&'static Location<'static>>>,
    /// `None`: the loop isn't watched.
    pub(super) pulse: Option<Arc<Pulse>>,
    /// The slice of the step that runs, in a recording.
    pub(super) open_step: Cell<Option<OpenSlice>>,
}

impl Scheduler {
    pub(crate) fn new(inbox: Inbox, pulse: Option<Arc<Pulse>>) -> Self {
        let inbox = Arc::new(inbox);
        Self {
            main: Arc::new(TaskWaker::new(inbox.clone(), NO_KEY)),
            inbox,
            timers: RefCell::default(),
            joins: RefCell::default(),
            ready: RefCell::default(),
            polling: Cell::new((NO_KEY, (0, 0))),
            closed: Cell::new(false),
            is_answer_due: Cell::new(false),
            job: Cell::new(0),
            entered_at: Cell::new(None),
            pulse,
            open_step: Cell::new(None),
        }
    }

    /// Adds a task, which has a handle of the loop's own, and inherits the current context. Returns its key. If the loop has
    /// ended, drops the task.
    pub(crate) fn spawn(&self, new: NewTask) -> u32 {
        let mut new = task::in_context(new, Inherited::current());
        let key = self.joins.borrow_mut().insert(true);
        if self.closed.get() {
            new.task.as_mut().drop_future();
            let outcome = failed(JoinError::loop_closed());
            self.joins.borrow_mut().end(key, outcome); // Kept for the handle.
        } else {
            event::task_spawned(|| self.task_address(key), new.spawned_at);
            self.ready.borrow_mut().push_spawned(key, new);
        }
        key
    }

    /// The loop drops the task instead of polling it again. If the task has ended, nothing happens.
    pub(crate) fn abort(&self, key: u32) {
        if self.joins.borrow_mut().abort(key) && !self.closed.get() {
            self.ready.borrow_mut().push_aborted(key);
        }
    }

    /// The key of what the loop polls just now, if this is its waker.
    #[inline]
    pub(crate) fn key_of(&self, waker: &Waker) -> Option<u32> {
        let (key, polling) = self.polling.get();
        (key != NO_KEY && polling == identity(waker)).then_some(key)
    }

    /// Sets a timer for what waits with `waker`. Returns what finds it from any thread.
    pub(crate) fn set_timer(&self, deadline: Instant, waker: &Waker) -> (Arc<Inbox>, TimerKey) {
        let target = match self.key_of(waker) {
            Some(key) => TimerTarget::Task(key),
            None => TimerTarget::Waker(waker.clone()),
        };
        let timer = self.timers.borrow_mut().insert(deadline, target);
        (self.inbox.clone(), timer)
    }

    /// Whether the timer is set. If so, whether `waker` is that of its target.
    pub(crate) fn is_timer_of(&self, timer: TimerKey, waker: &Waker) -> Option<bool> {
        let timers = self.timers.borrow();
        Some(match timers.target(timer)? {
            TimerTarget::Task(key) => self.key_of(waker) == Some(*key),
            TimerTarget::Waker(target) => target.will_wake(waker),
        })
    }

    /// Removes a timer, unless it has fired.
    pub(crate) fn remove_timer(&self, timer: TimerKey) {
        let target = self.timers.borrow_mut().remove(timer);
        drop_quietly(target);
    }

    /// Adds a callback. If the loop has ended, drops it instead.
    fn push_callback(&self, callback: Callback) {
        if self.closed.get() {
            drop_quietly(callback);
        } else {
            self.ready.borrow_mut().push_callback(callback);
        }
    }

    /// Adds a woken task. If `is_polling`, the task wakes itself, and goes behind all that is due by the next turn.
    pub(super) fn push_woken(&self, key: u32, is_polling: bool) {
        if self.closed.get() {
            return;
        }
        let mut ready = self.ready.borrow_mut();
        if is_polling {
            ready.push_yielded(key);
        } else {
            ready.push_woken(key);
        }
    }

    #[inline]
    pub(crate) fn pop(&self, due: &mut usize) -> Option<ReadyEntry> {
        self.ready.borrow_mut().pop(due)
    }

    #[inline]
    pub(crate) fn due(&self) -> usize {
        self.ready.borrow().due()
    }

    pub(crate) fn take_spawned(&self) -> Option<NewTask> {
        self.ready.borrow_mut().take_spawned()
    }

    pub(crate) fn take_callback(&self) -> Option<Callback> {
        self.ready.borrow_mut().take_callback()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.ready.borrow().len()
    }

    /// How many tasks haven't been polled yet.
    pub(crate) fn spawned_count(&self) -> usize {
        self.ready.borrow().spawned_count()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// If tasks were pushed while the loop wasn't running, calls the host's hook.
    pub(crate) fn tell_host(&self) {
        if self.inbox.has_hook()
            && self.len() > 0
            && current::with_loop_of(&self.inbox, |_| ()).is_none()
        {
            self.inbox.tell_host();
        }
    }

    /// The targets of the timers that are due. All are taken at once: if one of their wakers sets a timer, that is for the
    /// next turn.
    #[inline]
    pub(crate) fn take_due_timers(&self) -> Vec<TimerTarget> {
        if self.timers.borrow().is_empty() {
            return Vec::new();
        }
        self.timers.borrow_mut().take_due(now())
    }

    /// Moves two groups behind what is ready: first the posts of other threads, then the tasks that woke themselves.
    #[inline]
    pub(crate) fn gather_due(&self) {
        if self.inbox.may_have_posts() {
            self.take_posts();
        }
        self.ready.borrow_mut().begin_turn();
    }

    fn take_posts(&self) {
        for post in self.inbox.take() {
            match post {
                Post::Wake(task_waker) => task_waker.taken_from_inbox(self),
                Post::Abort(cell) => {
                    // The key is looked up here. The task may have ended since the post, and another one may have its key.
                    if let Some(key) = cell.key() {
                        self.abort(key);
                    }
                    drop_quietly(cell);
                }
                Post::Callback(callback) => self.push_callback(callback),
            }
        }
    }

    /// Whether the loop is as good as new: it holds nothing, and no handle or waker but `spare` task wakers refers to it.
    pub(crate) fn is_pristine(self: &Rc<Self>, spare: usize) -> bool {
        // A new reference needs an old one, so a count never rises from the lowest value. A stale count is too high, never
        // too low. A thread posts first and drops its reference later. So if the count is low, each post is visible to
        // `has_posts`.
        let is_alone = Rc::strong_count(self) == 1
            && Arc::strong_count(&self.main) == 1
            && Arc::strong_count(&self.inbox) == 2 + spare;
        let mut timers = self.timers.borrow_mut();
        let is_unused = self.len() == 0 && timers.next_deadline().is_none();
        is_alone && is_unused && !self.inbox.has_posts()
    }

    /// Called while nothing is ready. Frees large buffers.
    pub(crate) fn shrink(&self) {
        self.ready.borrow_mut().shrink();
    }

    pub(crate) fn begin_main(&self) -> MainGuard<'_> {
        self.main.begin_main();
        MainGuard(self)
    }

    /// Closes the inbox. Returns what will never run, to be dropped in this order.
    pub(crate) fn close(&self) -> (ReadyQueue, Vec<Post>) {
        self.closed.set(true);
        let posts = self.inbox.close();
        (self.ready.take(), posts)
    }
}

/// While this guard exists, a wake of the main future queues it.
#[must_use]
pub(crate) struct MainGuard<'a>(&'a Scheduler);

impl Drop for MainGuard<'_> {
    fn drop(&mut self) {
        if self.0.main.end() {
            self.0.ready.borrow_mut().remove_woken(MAIN_KEY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Inbox, Scheduler};
    use crate::sync::now;
    use std::rc::Rc;
    use std::task::Waker;
    use std::time::Duration;

    #[test]
    fn a_waker_without_data_is_not_taken_for_a_task_that_is_polled() {
        let scheduler = Scheduler::new(Inbox::new(Duration::ZERO, None, None), None);
        assert_eq!(Waker::noop().data().addr(), 0);
        assert_eq!(scheduler.key_of(Waker::noop()), None);
    }

    #[cfg(feature = "futures-task")]
    #[test]
    fn a_waker_with_the_same_data_and_other_functions_is_another_ones() {
        let scheduler = Scheduler::new(Inbox::new(Duration::ZERO, None, None), None);
        let other = futures_task::noop_waker();
        assert_eq!(other.data(), Waker::noop().data());
        scheduler.polling.set((3, super::identity(&other)));
        assert_eq!(scheduler.key_of(&other), Some(3));
        assert_eq!(scheduler.key_of(Waker::noop()), None);
    }

    #[test]
    fn a_loop_whose_timer_is_gone_is_as_good_as_new() {
        let scheduler = Rc::new(Scheduler::new(Inbox::new(Duration::ZERO, None, None), None));
        let (home, timer) = scheduler.set_timer(now(), Waker::noop());
        assert!(!scheduler.is_pristine(0));
        scheduler.remove_timer(timer);
        drop(home);
        assert!(scheduler.is_pristine(0));
    }
}
