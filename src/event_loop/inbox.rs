//! The inbox of a loop: other threads post to it, and wake the loop if it sleeps.
//!
//! The rule: the loop's last look and its falling asleep are one step, under one lock. So are its last look and its closing.
//! So the loop sees a post, or the post wakes it, or the post is refused.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *empty* or *posts waiting* | a post | *posts waiting* |
//! | *posts waiting* | the loop takes them | *empty* |
//! | *empty* | the loop sleeps | *asleep* |
//! | *asleep* | a post: the loop is unparked | *posts waiting* |
//! | *asleep* | the deadline comes | *empty* |
//! | any | the loop ends: it gets the posts that are left | *closed*: posts are refused |
//!
//! Before its end, a loop may be told to refuse new calls: see [`refuse_calls`](Inbox::refuse_calls).

use crate::event_loop::report::{LOOPS, Questions};
use crate::pool::Pool;
use crate::pool::worker_context;
use crate::sync::hint::HintBool;
use crate::sync::panics::{catch_panic, drop_quietly};
use crate::sync::parker::{Parker, Woken};
use crate::sync::{
    AtomicBool, AtomicUsize, Mutex, Ordering, ThreadId, current_thread, unique_number,
};
use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

/// Called when the loop has something to do and its host should tick.
pub(crate) type Hook = Box<dyn Fn() + Send + Sync>;

/// See the [module](self).
pub(crate) struct Inbox<T> {
    state: Mutex<InboxState<T>>,
    /// A hint that there are posts. It saves the loop a lock in each turn. Before the loop sleeps, the lock decides.
    posted: AtomicBool,
    parker: Parker,
    pub(crate) spin_time: Duration,
    hook: Option<Hook>,
    /// The hook has been called. Set by any thread. Cleared when a tick begins, when `run_until` ends, and when the hook
    /// panics.
    host_told: AtomicBool,
    owner: ThreadId,
    /// Its number among the loops that dumps know.
    pub(crate) number: usize,
    /// The pool that the loop was built with.
    pub(crate) pool: Option<Pool>,
    /// The registry that got the loop's last job. It tells this loop of refused threads.
    pub(crate) listens_to: AtomicUsize,
    /// A thread is in `run_until` or `tick`, or drops the loop. For dumps.
    pub(crate) is_run: HintBool,
    /// The loop is one of those that `run` uses again. For dumps, which don't show it between two runs.
    pub(crate) is_temporary: HintBool,
    /// The questions of dumps. Its lock is taken for dumps alone.
    pub(crate) questions: Mutex<Questions>,
}

struct InboxState<T> {
    posts: Vec<T>,
    /// A worker has posted since the loop slept last.
    by_worker: bool,
    asleep: bool,
    /// Calls of other threads are refused. Set by `refuse_calls`, never cleared.
    refuses_calls: bool,
    closed: bool,
}

impl<T> Inbox<T> {
    pub(crate) fn new(spin_time: Duration, hook: Option<Hook>, pool: Option<Pool>) -> Self {
        Self {
            state: Mutex::new(InboxState {
                posts: Vec::new(),
                by_worker: false,
                asleep: false,
                refuses_calls: false,
                closed: false,
            }),
            posted: AtomicBool::new(false),
            parker: Parker::new(),
            spin_time,
            hook,
            host_told: AtomicBool::new(false),
            owner: current_thread(),
            number: unique_number(),
            pool,
            listens_to: AtomicUsize::new(0),
            is_run: HintBool::new(false),
            is_temporary: HintBool::new(false),
            questions: Mutex::default(),
        }
    }

    /// The thread that made the loop. Only this thread can run it.
    pub(crate) fn owner(&self) -> ThreadId {
        self.owner
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// From now on, the loop refuses calls of other threads. Wakes, aborts, and the waits of the loop's own jobs still
    /// reach it.
    pub(crate) fn refuse_calls(&self) {
        self.state.lock().refuses_calls = true;
    }

    /// Ends the loop's sleep, or its next one.
    pub(crate) fn wake(&self) {
        self.parker.unpark();
    }

    /// Whether a call from this thread would be refused. This never changes back.
    pub(crate) fn refuses_call(&self) -> bool {
        self.refuses(&self.state.lock())
    }

    fn refuses(&self, state: &InboxState<T>) -> bool {
        state.closed || state.refuses_calls && self.owner != current_thread()
    }

    /// Leaves a call for the loop. If the loop refuses calls, or has ended, returns the call.
    pub(crate) fn post_call(&self, call: T) -> Result<(), T> {
        self.post_unless(call, |state| self.refuses(state), true)
    }

    /// Leaves a post for the loop. If the loop has ended, returns the post.
    pub(crate) fn post(&self, post: T) -> Result<(), T> {
        self.post_unless(post, |state| state.closed, true)
    }

    /// As [`post`](Self::post), for a loop that is run just now. The host's hook isn't called.
    pub(crate) fn post_to_run(&self, post: T) -> Result<(), T> {
        self.post_unless(post, |state| state.closed, false)
    }

    fn post_unless(
        &self,
        post: T,
        is_refused: impl FnOnce(&InboxState<T>) -> bool,
        tells_host: bool,
    ) -> Result<(), T> {
        let mut state = self.state.lock();
        if is_refused(&state) {
            drop(state);
            return Err(post);
        }
        state.posts.push(post);
        state.by_worker |= worker_context::is_worker();
        self.posted.store(true, Ordering::Relaxed); // For `may_have_posts`: the lock orders the posts.
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.parker.unpark();
        }
        if tells_host {
            self.tell_host();
        }
        Ok(())
    }

    /// Whether there may be posts. If the loop sees a post late, the post waits for one turn more.
    #[inline]
    pub(crate) fn may_have_posts(&self) -> bool {
        self.posted.load(Ordering::Relaxed) // Set in `post_unless`.
    }

    /// Takes the posts.
    pub(crate) fn take(&self) -> Vec<T> {
        let mut state = self.state.lock();
        self.posted.store(false, Ordering::Relaxed);
        std::mem::take(&mut state.posts)
    }

    pub(crate) fn has_posts(&self) -> bool {
        !self.state.lock().posts.is_empty()
    }

    /// Sleeps until there are posts or `deadline` has come. Returns at once if there are posts, or if a token is left
    /// from an earlier post.
    /// If an answer is due, or a worker has posted since the last sleep, spins first. A sleep clears both marks.
    pub(crate) fn sleep(&self, deadline: Option<Instant>, is_answer_due: &Cell<bool>) -> Woken {
        let is_due = {
            let mut state = self.state.lock();
            if !state.posts.is_empty() {
                return Woken::Notified;
            }
            state.asleep = true;
            std::mem::take(&mut state.by_worker) | is_answer_due.take()
        };
        // On a worker, the smaller of the loop's and the pool's spin time holds.
        let spin_time =
            worker_context::spin_time().map_or(self.spin_time, |most| most.min(self.spin_time));
        let woken = self.parker.park_punctually(spin_time, is_due, deadline);
        self.state.lock().asleep = false;
        woken
    }

    /// Closes the inbox: further posts are refused. Returns the posts that are left.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut state = self.state.lock();
        state.closed = true;
        std::mem::take(&mut state.posts)
    }

    /// For dumps, without an order.
    pub(crate) fn set_run(&self, is_run: bool) {
        self.is_run.store(is_run, Ordering::Relaxed);
    }

    pub(crate) fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// Calls the host's hook, at most once until the next [`begin_tick`](Self::begin_tick).
    pub(crate) fn tell_host(&self) {
        let Some(hook) = &self.hook else { return };
        // Pairs with the swap in `begin_tick`. A thread that finds `host_told` set relies on the tick that the hook asked
        // for. The swap orders the thread's post before that tick.
        if !self.host_told.swap(true, Ordering::AcqRel) {
            if let Err(payload) = catch_panic(hook) {
                drop_quietly(payload);
                // The hook panicked, so the next post calls it again. A swap, as in `begin_tick`: the posts of the threads
                // that found `host_told` set come before it.
                self.host_told.swap(false, Ordering::AcqRel);
            }
        }
    }

    /// Called before a tick looks at anything. A post that comes after this calls the hook again.
    pub(crate) fn begin_tick(&self) {
        if self.hook.is_some() {
            self.host_told.swap(false, Ordering::AcqRel); // Pairs with the swap in `tell_host`.
        }
    }
}

/// The last reference to a loop may be dropped anywhere, so a panic of the hook's drop is caught here.
impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        drop_quietly(self.hook.take());
        LOOPS.forget(self.number);
    }
}

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
