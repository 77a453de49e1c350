//! What every thread may touch of a loop: a place to leave things for it, which wakes it if it sleeps.
//!
//! The rule: the last look into it and falling asleep, or closing it, are one step, under one lock. So a
//! post is either seen by the loop, or wakes it, or is refused.
//!
//! ```text
//!              post                       take
//!   empty ------------> posts waiting ----------> empty
//!     | sleep             ^                         |
//!     v         post: and the parker is unparked    | close
//!   asleep ---------------+                         v
//!                                     closed: posts are given back
//! ```

use crate::join::{contain, discard};
use crate::parker::{Parker, Woken};
use crate::place;
use crate::sync::{AtomicBool, Mutex, Ordering, ThreadId, current_thread};
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::time::{Duration, Instant};

/// Called when a loop that its host drives has something to do.
pub(crate) type Hook = Box<dyn Fn() + Send + Sync>;

/// The loop's side that every thread may touch.
pub(crate) struct Inbox<T> {
    state: Mutex<State<T>>,
    // Whether there may be posts. The lock decides before the loop sleeps.
    posted: AtomicBool,
    parker: Parker,
    pub(crate) spin_time: Duration,
    hook: Option<Hook>,
    // The host has been told since its last tick.
    hooked: AtomicBool,
    owner: ThreadId,
    /// The pool that the loop was built with: carried for the bridges, which know its type.
    pub(crate) pool: Option<Box<dyn Any + Send + Sync>>,
}

struct State<T> {
    posts: Vec<T>,
    // A worker has posted something since the loop slept last.
    by_worker: bool,
    asleep: bool,
    closed: bool,
}

impl<T> Inbox<T> {
    pub(crate) fn new(
        spin_time: Duration,
        hook: Option<Hook>,
        pool: Option<Box<dyn Any + Send + Sync>>,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                posts: Vec::new(),
                by_worker: false,
                asleep: false,
                closed: false,
            }),
            posted: AtomicBool::new(false),
            parker: Parker::new(),
            spin_time,
            hook,
            hooked: AtomicBool::new(false),
            owner: current_thread(),
            pool,
        }
    }

    /// The thread that made the loop, the only one that can run it.
    pub(crate) fn owner(&self) -> ThreadId {
        self.owner
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().closed
    }

    /// Leaves something for the loop, or gives it back if the loop has ended.
    pub(crate) fn post(&self, post: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return Err(post);
        }
        state.posts.push(post);
        state.by_worker |= place::is_worker();
        self.posted.store(true, Ordering::Relaxed); // For `may_have_posts`: the lock orders the posts.
        let asleep = std::mem::take(&mut state.asleep);
        drop(state);
        if asleep {
            self.parker.unpark();
        }
        self.tell_host();
        Ok(())
    }

    /// Spares the loop a lock each turn: what is seen late only waits for a turn longer.
    pub(crate) fn may_have_posts(&self) -> bool {
        self.posted.load(Ordering::Relaxed) // Set in `post`.
    }

    /// Swaps what has been posted with `posts`, which is empty.
    pub(crate) fn take(&self, posts: &mut Vec<T>) {
        let mut state = self.state.lock();
        self.posted.store(false, Ordering::Relaxed);
        std::mem::swap(&mut state.posts, posts);
    }

    pub(crate) fn has_posts(&self) -> bool {
        !self.state.lock().posts.is_empty()
    }

    /// Sleeps until something is posted or `deadline` has come; returns at once if there are posts. Spins before if
    /// `is_answer_due`, which it takes, or if a worker has posted: that thread is awake, and may post again soon.
    pub(crate) fn sleep(&self, deadline: Option<Instant>, is_answer_due: &Cell<bool>) -> Woken {
        let is_due = {
            let mut state = self.state.lock();
            if !state.posts.is_empty() {
                return Woken::Notified;
            }
            state.asleep = true;
            std::mem::take(&mut state.by_worker) | is_answer_due.take()
        };
        // On a worker the pool's setting holds as well.
        let spin_time = place::spin_time().map_or(self.spin_time, |most| most.min(self.spin_time));
        let woken = self.parker.park_punctually(spin_time, is_due, deadline);
        self.state.lock().asleep = false;
        woken
    }

    /// Refuses all further posts, and gives back those that were not taken.
    pub(crate) fn close(&self) -> Vec<T> {
        let mut state = self.state.lock();
        state.closed = true;
        std::mem::take(&mut state.posts)
    }

    pub(crate) fn has_hook(&self) -> bool {
        self.hook.is_some()
    }

    /// Calls the host's hook, once until the next [`begin_tick`](Self::begin_tick).
    pub(crate) fn tell_host(&self) {
        let Some(hook) = &self.hook else { return };
        // Pairs with the swap in `begin_tick`: who finds it set, by whomever, comes before the tick
        // that the host was told to make, and so does the post that he has just made.
        if !self.hooked.swap(true, Ordering::AcqRel) {
            if let Err(payload) = contain(hook) {
                discard(payload);
                // The host wasn't told: the next one tries again.
                // A swap, as in `begin_tick`: it comes after the posts of those who found it set.
                self.hooked.swap(false, Ordering::AcqRel);
            }
        }
    }

    /// Before a tick looks at anything: what comes now is for the next one.
    pub(crate) fn begin_tick(&self) {
        if self.hook.is_some() {
            self.hooked.swap(false, Ordering::AcqRel); // Pairs with the swap in `tell_host`.
        }
    }
}

/// What holds a loop last may be a call with a result, or in the middle of anything.
impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        discard(self.hook.take());
    }
}

impl<T> fmt::Debug for Inbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}
