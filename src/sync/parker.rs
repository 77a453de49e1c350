//! A parker puts one thread to sleep until another one wakes it.
//!
//! The rule: an `unpark` is never lost. If it comes before the `park`, the `park` returns at once.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *empty* | the owner parks | *parked* |
//! | *empty* | an unpark | *notified* |
//! | *parked* | an unpark: the owner is woken | *notified* |
//! | *parked* | the deadline comes | *empty*: `park` returns `TimedOut` |
//! | *notified* | an unpark | *notified* |
//! | *notified* | the owner parks, or wakes | *empty*: `park` returns `Notified` |
//!
//! The token belongs to the parker. If it were the token of `std::thread::park`, a future that parks the thread in its
//! `poll` would take it, and the loop would sleep for ever.

use crate::sync::backoff::Backoff;
use crate::sync::{Arc, Condvar, Mutex, busy_wait, impl_wake, now, spin};
use std::time::{Duration, Instant};

#[derive(Clone, Copy, PartialEq)]
enum ParkState {
    Empty,
    Parked,
    Notified,
}

pub struct Parker {
    state: Mutex<ParkState>,
    condvar: Condvar,
}

/// How long after a deadline Linux may wake a thread, by default.
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
            state: Mutex::new(ParkState::Empty),
            condvar: Condvar::default(),
        }
    }

    /// Like [`park`](Self::park), for a token that may come soon. Before it sleeps, it spins for up to `spin_time`. The
    /// thread's [`Backoff`] sets the length. Calls `spun` when the spin is over.
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
            // If the deadline has passed already, the backoff learns nothing.
            spun();
            return self.park(deadline);
        }
        let limit = deadline.map_or(start + time, |deadline| deadline.min(start + time));
        let there = spin(limit, || self.take_token());
        spun();
        let spun_for = now() - start;
        let woken = if there {
            Woken::Notified
        } else {
            self.park(deadline)
        };
        let answered = match woken {
            Woken::Notified if there => Some(spun_for),
            Woken::Notified => Some(now() - start),
            Woken::TimedOut => None,
        };
        backoff.learn(time, spun_for, answered).keep();
        woken
    }

    /// Spins before the sleep if `is_due`. If `spin_time` isn't zero, parks until `TIMER_SLACK` before the deadline, and
    /// waits awake for the rest.
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
        let there = *state == ParkState::Notified;
        if there {
            *state = ParkState::Empty;
        }
        there
    }

    /// Sleeps until the token is there, and takes it, or until `deadline`. Only the thread that owns the parker may call it.
    pub fn park(&self, deadline: Option<Instant>) -> Woken {
        let mut state = self.state.lock();
        loop {
            if *state == ParkState::Notified {
                *state = ParkState::Empty;
                return Woken::Notified;
            }
            *state = ParkState::Parked;
            let timed_out;
            (state, timed_out) = match deadline {
                Some(deadline) => self.condvar.wait_until(state, &self.state, deadline),
                None => (self.condvar.wait(state), false),
            };
            if timed_out && *state == ParkState::Parked {
                *state = ParkState::Empty;
                return Woken::TimedOut;
            }
        }
    }

    pub fn unpark(&self) {
        let before = std::mem::replace(&mut *self.state.lock(), ParkState::Notified);
        // The lock is released first, because the woken thread needs it.
        if before == ParkState::Parked {
            self.condvar.notify_one();
        }
    }

    fn wake(self: &Arc<Self>) {
        self.unpark();
    }
}

impl_wake!(Parker);

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
            // The deadline comes before the spin is over.
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
