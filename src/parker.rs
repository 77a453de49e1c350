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
use crate::sync::{
    Arc, AtomicUsize, Condvar, Mutex, Ordering, impl_wake, now, spin, thread_local, waker,
};
use std::cell::Cell;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq)]
enum State {
    Empty,
    Parked,
    Notified,
}

pub struct Parker {
    state: Mutex<State>,
    condvar: Condvar,
    /// For how many nanoseconds the owner looks out for the token before it sleeps. The owner's only.
    patience: AtomicUsize,
}

/// In nanoseconds. A sleeping core takes some 20 microseconds to wake, and an answer is often there sooner. So a
/// thread that waits for one goes on asking for half as long, with the processor left to others in between.
/// It asks for less long each time that this was in vain, and as long as ever after a sleep that was short.
const PATIENCE: usize = 10_000;
const SHORT: Duration = Duration::from_micros(100);

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
            patience: AtomicUsize::new(PATIENCE),
        }
    }

    /// As [`park`](Self::park), for a token that is likely to come soon: looks out for it a little
    /// before it sleeps, and calls `looked` when it has.
    pub fn park_patiently(&self, deadline: Option<Instant>, looked: impl FnOnce()) -> Woken {
        let patience = self.patience.load(Ordering::Relaxed);
        let start = now();
        let limit = Duration::from_nanos(patience as u64);
        let there = patience > 0 && spin(start + limit, || self.take_token());
        looked();
        if there {
            self.patience.store(PATIENCE, Ordering::Relaxed);
            return Woken::Notified;
        }
        let woken = self.park(deadline);
        let short = now() - start < SHORT;
        let patience = if short { PATIENCE } else { patience / 2 };
        self.patience.store(patience, Ordering::Relaxed);
        woken
    }

    fn take_token(&self) -> bool {
        let mut state = self.state.lock();
        let there = *state == State::Notified;
        if there {
            *state = State::Empty;
        }
        there
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
            let _ = parker.park_patiently(None, || ());
            value = poll(&mut context);
        }
    }
    KEPT.with(|kept| kept.set(Some((parker, waker))));
    match value {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the wait has just ended"),
    }
}
