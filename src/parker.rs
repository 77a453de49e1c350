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
    Arc, AtomicU32, Condvar, Mutex, Ordering, busy_wait, impl_wake, now, spin, thread_local, waker,
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
    /// How often the time to spin is halved. The owner's only.
    reluctance: AtomicU32,
}

/// A sleeping core takes some 20 microseconds to wake, and an answer is often there sooner. So a thread that
/// waits for one goes on asking for half as long, with the processor left to others in between. It asks for
/// less long each time that this was in vain, and as long as ever after a sleep that was short.
///
/// Where others want the processor too, they may keep it for milliseconds when it is left to them, while a thread
/// that sleeps is let in as soon as it is woken. So who has lost it while he spun doesn't spin for so many waits that
/// what he lost, some four milliseconds, is little for each.
pub const SPIN_TIME: Duration = Duration::from_micros(10);
const LONGEST: Duration = Duration::from_secs(1);
const SHORT: Duration = Duration::from_micros(100);
const TOO_RELUCTANT: u32 = 32;

const LOST_PROCESSOR: u32 = 512;

/// So late may Linux wake a thread whose time has come, unless told otherwise.
const TIMER_SLACK: Duration = Duration::from_micros(50);

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
            reluctance: AtomicU32::new(0),
        }
    }

    /// As [`park`](Self::park), for a token that is likely to come soon: spins for up to `spin_time`
    /// before it sleeps, and calls `spun` when it has.
    pub fn spin_then_park(
        &self,
        spin_time: Duration,
        deadline: Option<Instant>,
        spun: impl FnOnce(),
    ) -> Woken {
        let reluctance = self.reluctance.load(Ordering::Relaxed);
        if spin_time.is_zero() || reluctance > TOO_RELUCTANT {
            spun();
            let less = reluctance.saturating_sub(1);
            self.reluctance.store(less, Ordering::Relaxed);
            return self.park(deadline);
        }
        let spin_time = spin_time.min(LONGEST);
        let start = now();
        let limit = start + spin_time / 2_u32.saturating_pow(reluctance);
        let limit = deadline.map_or(limit, |deadline| limit.min(deadline));
        let there = spin(limit, || self.take_token());
        spun();
        let lost = now() - start > spin_time + SHORT;
        let woken = match there {
            true => Woken::Notified,
            false => self.park(deadline),
        };
        let reluctance = if lost {
            LOST_PROCESSOR
        } else if there || now() - start < SHORT {
            0
        } else {
            TOO_RELUCTANT.min(reluctance + 1)
        };
        self.reluctance.store(reluctance, Ordering::Relaxed);
        woken
    }

    /// The same, for a deadline that somebody waits for: parks until a little before it, and spins for the rest.
    pub fn spin_then_park_punctually(
        &self,
        spin_time: Duration,
        deadline: Option<Instant>,
    ) -> Woken {
        let early = deadline.and_then(|deadline| deadline.checked_sub(TIMER_SLACK));
        let (Some(deadline), Some(early), false) = (deadline, early, spin_time.is_zero()) else {
            return self.spin_then_park(spin_time, deadline, || ());
        };
        match self.spin_then_park(spin_time, Some(early), || ()) {
            Woken::TimedOut if !busy_wait(deadline, || self.take_token()) => Woken::TimedOut,
            _ => Woken::Notified,
        }
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
pub fn block_on<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    block_on_patiently(&Cell::new(None), poll)
}

/// The same, and polls again after `patience` if nothing has come by then. `poll` may set it.
pub fn block_on_patiently<T>(
    patience: &Cell<Option<Duration>>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> T {
    thread_local! {
        static KEPT: Cell<Option<(Arc<Parker>, Waker)>> = const { Cell::new(None) };
    }
    // Taken, not borrowed: whatever `poll` calls may block as well.
    let kept = KEPT.try_with(Cell::take).ok().flatten();
    let (parker, waker) = kept.unwrap_or_else(|| {
        let parker = Arc::new(Parker::new());
        (parker.clone(), waker(parker))
    });
    let mut context = Context::from_waker(&waker);
    let mut value = poll(&mut context);
    if value.is_pending() {
        let away = place::leave();
        let spin_time = away.spin_time().unwrap_or(SPIN_TIME);
        while value.is_pending() {
            let deadline = patience
                .get()
                .and_then(|patience| now().checked_add(patience));
            let _ = parker.spin_then_park(spin_time, deadline, || ());
            value = poll(&mut context);
        }
    }
    // In a thread that ends, there may be nowhere to keep them.
    let _ = KEPT.try_with(|kept| kept.set(Some((parker, waker))));
    match value {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the wait has just ended"),
    }
}
