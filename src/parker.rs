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

use crate::backoff::Backoff;
use crate::place;
use crate::sync::{Arc, Condvar, Mutex, busy_wait, impl_wake, now, spin, thread_local, waker};
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
}

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
        }
    }

    /// As [`park`](Self::park), for a token that is likely to come soon: spins for up to `spin_time`
    /// before it sleeps, as the thread's [`Backoff`] says, and calls `spun` when it has.
    pub fn spin_then_park(
        &self,
        spin_time: Duration,
        deadline: Option<Instant>,
        spun: impl FnOnce(),
    ) -> Woken {
        if spin_time.is_zero() {
            spun();
            return self.park(deadline);
        }
        let backoff = Backoff::of_thread();
        let Some(time) = backoff.time(spin_time) else {
            backoff.skipped().keep();
            spun();
            return self.park(deadline);
        };
        let start = now();
        if deadline.is_some_and(|deadline| deadline <= start) {
            // There is no time to learn from.
            spun();
            return self.park(deadline);
        }
        let limit = deadline.map_or(start + time, |deadline| deadline.min(start + time));
        let there = spin(limit, || self.take_token());
        spun();
        let spun_for = now() - start;
        let woken = match there {
            true => Woken::Notified,
            false => self.park(deadline),
        };
        let answered = match woken {
            Woken::Notified if there => Some(spun_for),
            Woken::Notified => Some(now() - start),
            Woken::TimedOut => None,
        };
        backoff.learn(time, spun_for, answered).keep();
        woken
    }

    /// The same if an answer `is_due`, and else without a spin before the sleep; for a deadline that somebody waits for:
    /// parks until a little before it, and waits awake for the rest, unless `spin_time` is zero.
    pub fn park_punctually(
        &self,
        spin_time: Duration,
        is_due: bool,
        deadline: Option<Instant>,
    ) -> Woken {
        let spin_before = if is_due { spin_time } else { Duration::ZERO };
        let early = deadline.and_then(|deadline| deadline.checked_sub(TIMER_SLACK));
        let (Some(deadline), Some(early), false) = (deadline, early, spin_time.is_zero()) else {
            return self.spin_then_park(spin_before, deadline, || ());
        };
        match self.spin_then_park(spin_before, Some(early), || ()) {
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
///
/// A worker spins as its pool says, and a thread of no pool's doesn't.
pub fn block_on<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    block_on_patiently(Duration::ZERO, &Cell::new(None), poll)
}

/// The same, but a thread of no pool's spins for `spin_time`; and it polls again after `patience` if nothing has come by
/// then. `poll` may set that.
pub fn block_on_patiently<T>(
    spin_time: Duration,
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
        let _away = place::leave();
        let spin_time = place::spin_time().unwrap_or(spin_time);
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

#[cfg(all(test, not(footbridge_loom)))]
mod tests {
    use super::*;

    const SOME: Duration = Duration::from_micros(10);

    #[test]
    fn a_thread_that_has_lost_its_processor_skips_a_spin_at_each_wait() {
        let late = Duration::from_millis(4);
        let lost = Backoff::NEW.learn(SOME, late, Some(late));
        lost.keep();
        let parker = Parker::new();
        parker.unpark();
        let mut told = false;
        assert_eq!(
            parker.spin_then_park(SOME, None, || told = true),
            Woken::Notified
        );
        assert!(told, "others are never let in to spin");
        assert_eq!(Backoff::of_thread(), lost.skipped());
    }

    #[test]
    fn a_token_that_is_there_ends_the_spin() {
        Backoff::vain(7).keep();
        let parker = Parker::new();
        parker.unpark();
        assert_eq!(parker.spin_then_park(SOME, None, || ()), Woken::Notified);
        assert_ne!(Backoff::of_thread(), Backoff::vain(8), "it spun in vain");
        assert_eq!(
            parker.park(Some(now())),
            Woken::TimedOut,
            "the token was left"
        );
    }

    #[test]
    fn a_wait_for_no_time_teaches_nothing() {
        let before = Backoff::vain(7);
        before.keep();
        let past = Some(now());
        let woken = Parker::new().spin_then_park(SOME, past, || ());
        assert_eq!((woken, Backoff::of_thread()), (Woken::TimedOut, before));
    }

    #[test]
    fn a_deadline_that_comes_soon_is_not_taken_for_an_answer() {
        for _ in 0..100 {
            Backoff::vain(3).keep();
            // Before the spin is over.
            let deadline = now() + SOME / 10;
            let woken = Parker::new().spin_then_park(SOME, Some(deadline), || ());
            assert_eq!(woken, Woken::TimedOut);
            assert_ne!(Backoff::of_thread(), Backoff::NEW);
        }
    }

    #[test]
    fn a_spin_ends_at_the_deadline() {
        const TIMES: u32 = 10;
        let second = Duration::from_secs(1);
        let start = now();
        for _ in 0..TIMES {
            Backoff::NEW.keep();
            let deadline = now() + second / 1000;
            let woken = Parker::new().spin_then_park(second, Some(deadline), || ());
            assert_eq!(woken, Woken::TimedOut);
        }
        assert!(now() - start < second * TIMES / 2);
    }

    #[test]
    fn a_park_until_a_deadline_is_over_at_that_and_not_before() {
        let parker = Parker::new();
        for spin_time in [Duration::ZERO, SOME] {
            for ahead in [0, 20, 40, 60, 200] {
                let deadline = now() + Duration::from_micros(ahead);
                let woken = parker.park_punctually(spin_time, false, Some(deadline));
                assert_eq!(woken, Woken::TimedOut);
                assert!(now() >= deadline, "it ended before, {ahead} us ahead");
            }
        }
    }

    #[test]
    fn a_token_ends_the_wait_for_the_rest_too() {
        let parker = Parker::new();
        parker.unpark();
        let deadline = now() + Duration::from_micros(20);
        let woken = parker.park_punctually(SOME, false, Some(deadline));
        assert_eq!(woken, Woken::Notified);
    }
}
