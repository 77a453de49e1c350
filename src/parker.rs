//! A parker puts one thread to sleep until another one wakes it.
//!
//! The rule: a token given is a token found. An `unpark` that comes before the `park` makes it
//! return at once, so nobody has to care which of the two is first.
//!
//! ```text
//!            park              unpark
//!   EMPTY ---------> PARKED ----------> NOTIFIED
//!     |  ^              | deadline         ^ |
//!     |  +--------------+                  | |
//!     |  ^                                 | |
//!     |  +------ park returns -------------|-+
//!     +---------------- unpark ------------+
//! ```
//!
//! The token is the parker's own, not `std::thread::park`'s: a future that parks the thread inside
//! its `poll` would eat that one, and the loop would sleep for ever.

use crate::place;
use crate::sync::{Arc, Condvar, Mutex, impl_wake, thread_local, waker};
use std::cell::Cell;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

#[derive(Clone, Copy, PartialEq)]
enum State {
    Empty,
    Parked,
    Notified,
}

pub struct Parker {
    state: Mutex<State>,
    condvar: Condvar,
}

/// Why a park ended.
#[derive(Clone, Copy, PartialEq, Debug)]
#[must_use]
pub enum Woken {
    Notified,
    TimedOut,
}

impl Parker {
    pub fn new() -> Self {
        Self {
            state: Mutex::new(State::Empty),
            condvar: Condvar::default(),
        }
    }

    /// Sleeps until the token is there, or until `deadline`, and takes the token.
    /// Only the thread that owns the parker may call this.
    pub fn park(&self, deadline: Option<Instant>) -> Woken {
        let mut state = self.state.lock();
        loop {
            if *state == State::Notified {
                *state = State::Empty;
                return Woken::Notified;
            }
            *state = State::Parked;
            let timed_out;
            (state, timed_out) = match deadline {
                Some(deadline) => self.condvar.wait_until(state, &self.state, deadline),
                None => (self.condvar.wait(state), false),
            };
            if timed_out && *state == State::Parked {
                *state = State::Empty;
                return Woken::TimedOut;
            }
        }
    }

    pub fn unpark(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), State::Notified);
        // After the lock is free again: the woken thread needs it.
        if before == State::Parked {
            self.condvar.notify_one();
        }
    }

    fn wake(self: &Arc<Self>) {
        self.unpark();
    }
}

impl_wake!(Parker);

/// Blocks this thread until `poll` is ready. A worker's place goes back to its pool meanwhile.
pub fn block_on<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    thread_local! {
        static KEPT: Cell<Option<(Arc<Parker>, Waker)>> = const { Cell::new(None) };
    }
    // Taken, not borrowed: whatever `poll` calls may block as well.
    let (parker, waker) = KEPT.with(Cell::take).unwrap_or_else(|| {
        let parker = Arc::new(Parker::new());
        (parker.clone(), waker(parker))
    });
    let mut context = Context::from_waker(&waker);
    let mut value = poll(&mut context);
    if value.is_pending() {
        let _away = place::leave();
        while value.is_pending() {
            let _ = parker.park(None);
            value = poll(&mut context);
        }
    }
    KEPT.with(|kept| kept.set(Some((parker, waker))));
    match value {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the wait has just ended"),
    }
}
