//! What a loop has to do next, and the ways in which work reaches it.
//!
//! The rule: what the loop's own thread pushes takes no lock; what other threads push goes into the
//! inbox, which wakes the loop only if it sleeps, and which closes in one step with the last look into it.
//!
//! A task's ticket (the target of its wakers) is queued once, however often it is woken:
//!
//! ```text
//!                 woken on the loop's thread
//!          +------------------------------------------+
//!          |  woken elsewhere            drained      v
//!   idle --+------------------> posted --------> scheduled ---> polled ---+
//!    ^                        (in the inbox)     (in `ready`)             |
//!    +--------------------------------------------------------------------+
//! ```
//!
//! `scheduled` is cleared before the poll, so that a wake during it counts for the next one. Only the
//! loop's thread touches it; `posted` is what the others share.

use crate::inbox;
use crate::join::{Abort, discard, wake};
use crate::ready::{Call, Entry, Ready};
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, impl_wake, thread_local};
use crate::task::Task;
use crate::timers::Timers;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Instant;

/// What another thread asks of a loop.
pub(crate) enum Post {
    Wake(Arc<Ticket>),
    Call(Call),
}

pub(crate) type Inbox = inbox::Inbox<Post>;

/// The loop's own side: one thread's.
pub(crate) struct Queue {
    pub(crate) inbox: Arc<Inbox>,
    /// The main future's ticket: the same for one after the other.
    pub(crate) main: Arc<Ticket>,
    pub(crate) timers: RefCell<Timers>,
    ready: RefCell<Ready>,
    // The address of the ticket of what is being polled, or was polled last.
    polling: Cell<usize>,
    // The inbox's other buffer: the two are swapped, so neither is allocated twice.
    drained: RefCell<Vec<Post>>,
    closed: Cell<bool>,
    /// Since the loop slept last, it has begun to wait for a job, or a blocked thread has called: from there more comes soon.
    pub(crate) is_answer_due: Cell<bool>,
}

impl Queue {
    pub(crate) fn new(inbox: Inbox) -> Self {
        let inbox = Arc::new(inbox);
        Self {
            main: Arc::new(Ticket::new(inbox.clone(), NOWHERE)),
            inbox,
            timers: RefCell::default(),
            ready: RefCell::default(),
            polling: Cell::new(NOWHERE),
            drained: RefCell::default(),
            closed: Cell::new(false),
            is_answer_due: Cell::new(false),
        }
    }

    /// Adds a task; a loop that has ended drops it instead.
    pub(crate) fn push_spawned(&self, task: Task) {
        match self.closed.get() {
            false => self.ready.borrow_mut().push_spawned(task),
            true => discard(task),
        }
    }

    /// Adds a call; a loop that has ended drops it instead.
    fn push_call(&self, call: Call) {
        match self.closed.get() {
            false => self.ready.borrow_mut().push_call(call),
            true => discard(call),
        }
    }

    /// Of a task that wakes itself while it is polled, behind all that is due by the next turn.
    fn push_woken(&self, key: usize, is_polling: bool) {
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

    pub(crate) fn pop(&self) -> Option<Entry> {
        self.ready.borrow_mut().pop()
    }

    pub(crate) fn take_spawned(&self) -> Option<Task> {
        self.ready.borrow_mut().take_spawned()
    }

    pub(crate) fn take_call(&self) -> Option<Call> {
        self.ready.borrow_mut().take_call()
    }

    pub(crate) fn len(&self) -> usize {
        self.ready.borrow().len()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Tells the host of what was pushed while the loop wasn't running.
    pub(crate) fn tell_host(&self) {
        let is_this = |queue: Rc<Self>| Arc::ptr_eq(&queue.inbox, &self.inbox);
        if self.inbox.has_hook() && self.len() > 0 && !running().is_some_and(is_this) {
            self.inbox.tell_host();
        }
    }

    /// Moves what is due by now, and what others have posted, behind what is ready.
    pub(crate) fn gather_due(&self, now: impl FnOnce() -> Instant) {
        if !self.timers.borrow().is_empty() {
            // All of them first: what a waker sets, that polls at once, is for the next turn.
            let due = self.timers.borrow_mut().take_due(now());
            due.into_iter().for_each(wake);
        }
        if self.inbox.may_have_posts() {
            self.take_posts();
        }
        self.ready.borrow_mut().begin_turn();
    }

    fn take_posts(&self) {
        let mut posts = self.drained.take();
        self.inbox.take(&mut posts);
        for post in posts.drain(..) {
            match post {
                Post::Wake(ticket) => ticket.drained(self),
                Post::Call(call) => self.push_call(call),
            }
        }
        if posts.capacity() <= SMALL {
            self.drained.replace(posts);
        }
    }

    /// Whether nothing is left in it and nobody else can reach it, apart from `tickets` that nobody holds a
    /// waker of; so that it may be used again as if it were new.
    pub(crate) fn is_as_new(self: &Rc<Self>, tickets: usize) -> bool {
        // A reference is made from another one only, so a count that is down stays down. Read too early, it
        // is too high. And who has dropped his has posted before: the inbox's lock shows us that, since if ours
        // came before his, the count that we read before that couldn't be without his yet.
        let alone = Rc::strong_count(self) == 1
            && Arc::strong_count(&self.main) == 1
            && Arc::strong_count(&self.inbox) == 2 + tickets;
        let mut timers = self.timers.borrow_mut();
        let unused = self.len() == 0 && timers.next_deadline().is_none();
        alone && unused && !self.inbox.has_posts()
    }

    /// With nothing ready, large buffers are given back.
    pub(crate) fn give_back(&self) {
        self.ready.borrow_mut().give_back();
    }

    /// After a poll: from now on a waker at the ticket's address may be anybody's.
    pub(crate) fn end_poll(&self) {
        self.polling.set(NOWHERE);
    }

    /// Closes the inbox and gives back all that will never be run, to be dropped in this order.
    pub(crate) fn close(&self) -> (Ready, Vec<Post>) {
        self.closed.set(true);
        let posts = self.inbox.close();
        (self.ready.take(), posts)
    }
}

/// So many entries have room at all times.
const SMALL: usize = 1024;

/// A main future waits for its turns until this is dropped.
#[must_use]
pub(crate) struct Main<'a>(&'a Queue);

impl Queue {
    pub(crate) fn begin_main(&self) -> Main<'_> {
        self.main.key.store(MAIN, Ordering::Relaxed);
        // A waker of one that has ended may have woken it.
        self.main.scheduled.store(false, Ordering::Relaxed);
        Main(self)
    }
}

impl Drop for Main<'_> {
    fn drop(&mut self) {
        let main = &self.0.main;
        main.key.store(NOWHERE, Ordering::Relaxed);
        // Woken in its last poll, it isn't to leave an entry for the next one.
        if main.is_scheduled() {
            self.0.ready.borrow_mut().remove_woken(MAIN);
        }
    }
}

thread_local! {
    static RUNNING: RefCell<Option<Rc<Queue>>> = const { RefCell::new(None) };
}

/// This thread runs a loop until this is dropped, and then what it ran before.
#[must_use]
pub(crate) struct Running(Option<Rc<Queue>>);

impl Running {
    /// # Panics
    /// If this thread runs a loop already. The text begins with `what` was tried.
    #[track_caller]
    pub(crate) fn enter(queue: &Rc<Queue>, what: &str) -> Self {
        let running = Self::replace(queue);
        if running.0.is_some() {
            drop(running);
            panic!(
                "{what}: an event loop is already running on this thread; await the future or spawn it there"
            );
        }
        running
    }

    /// For the end of a loop, which may come while another one runs.
    pub(crate) fn replace(queue: &Rc<Queue>) -> Self {
        // In a thread that ends, the thread-local may be gone before the last loop is.
        let before = RUNNING.try_with(|running| running.replace(Some(queue.clone())));
        Self(before.ok().flatten())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = RUNNING.try_with(|running| running.replace(self.0.take()));
        drop(ended);
    }
}

/// Whether this thread runs a loop just now.
pub(crate) fn is_running() -> bool {
    // While a thread ends, its thread-locals may be gone; no loop runs any more then.
    RUNNING
        .try_with(|running| running.borrow().is_some())
        .unwrap_or(false)
}

/// Whether `waker` does its work and returns: it is of the task that this thread's loop polls, and that loop has no
/// host whose hook it would call. A stranger's may wait for whatever it likes.
pub(crate) fn is_quick(waker: &Waker) -> bool {
    let at = waker.data().addr();
    let is =
        |queue: &Rc<Queue>| !queue.inbox.has_hook() && at != NOWHERE && at == queue.polling.get();
    RUNNING
        .try_with(|running| running.borrow().as_ref().is_some_and(is))
        .unwrap_or(false)
}

/// What this thread's loop waits for next may come soon.
pub(crate) fn expect_answer() {
    let _ = RUNNING.try_with(|running| {
        if let Some(queue) = &*running.borrow() {
            queue.is_answer_due.set(true);
        }
    });
}

/// The queue of the loop that this thread runs.
pub(crate) fn running() -> Option<Rc<Queue>> {
    RUNNING
        .try_with(|running| running.borrow().clone())
        .ok()
        .flatten()
}

/// The target of one task's wakers.
pub(crate) struct Ticket {
    inbox: Arc<Inbox>,
    // Where the loop keeps the task, or NOWHERE. The loop's thread only.
    key: AtomicUsize,
    // The loop's thread only.
    scheduled: AtomicBool,
    // Set before a wake, which shows it to the loop's thread.
    aborted: AtomicBool,
    // Everybody's: it is in the inbox.
    posted: AtomicBool,
}

/// The key of a task that isn't kept: not yet, or not any more.
pub(crate) const NOWHERE: usize = usize::MAX;

/// The key of the main future.
pub(crate) const MAIN: usize = NOWHERE - 1;

impl Ticket {
    pub(crate) fn new(inbox: Arc<Inbox>, key: usize) -> Self {
        Self {
            inbox,
            key: AtomicUsize::new(key),
            scheduled: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            posted: AtomicBool::new(false),
        }
    }

    /// Sets where the task is kept. If it was woken before it was kept, it is queued now.
    pub(crate) fn set_key(&self, key: usize, queue: &Queue) {
        self.key.store(key, Ordering::Relaxed);
        if self.is_scheduled() && key != NOWHERE {
            queue.push_woken(key, true);
        }
    }

    pub(crate) fn is_scheduled(&self) -> bool {
        self.scheduled.load(Ordering::Relaxed)
    }

    /// Before a poll: from now on a wake counts for the next one.
    pub(crate) fn begin_poll(self: &Arc<Self>, queue: &Queue) {
        queue.polling.set(Arc::as_ptr(self).addr());
        self.scheduled.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    pub(crate) fn schedule(&self, queue: &Queue) {
        if !self.is_scheduled() {
            self.scheduled.store(true, Ordering::Relaxed);
            let key = self.key.load(Ordering::Relaxed);
            if key != NOWHERE {
                let is_polling = queue.polling.get() == std::ptr::from_ref(self).addr();
                queue.push_woken(key, is_polling);
            }
        }
    }

    /// Makes it as new, for the next task. `&mut` is the proof that no waker is left.
    pub(crate) fn reset(&mut self) {
        self.key.store(NOWHERE, Ordering::Relaxed);
        self.scheduled.store(false, Ordering::Relaxed);
        self.aborted.store(false, Ordering::Relaxed);
        self.posted.store(false, Ordering::Relaxed);
    }

    fn drained(&self, queue: &Queue) {
        // Pairs with the swap in `wake`: what a thread wrote before it woke us and found `posted`
        // set is visible to the poll that comes after this. A plain store would see nothing.
        self.posted.swap(false, Ordering::AcqRel);
        self.schedule(queue);
    }

    fn wake(self: &Arc<Self>) {
        let here = RUNNING.try_with(|running| match &*running.borrow() {
            Some(queue) if Arc::ptr_eq(&queue.inbox, &self.inbox) => {
                self.schedule(queue);
                true
            }
            _ => false,
        });
        // Pairs with the swap in `drained`.
        if !here.unwrap_or(false) && !self.posted.swap(true, Ordering::AcqRel) {
            // Refused by a loop that has ended: there is nothing left to wake.
            let _ = self.inbox.post(Post::Wake(self.clone()));
        }
    }
}

impl_wake!(Ticket);

impl Abort for Ticket {
    fn abort(self: Arc<Self>) {
        self.aborted.store(true, Ordering::Relaxed);
        self.wake();
    }
}
