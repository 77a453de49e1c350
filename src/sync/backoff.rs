//! How long a thread spins before it sleeps. The outcome of its last waits decides. The parker measures the times.
//!
//! A sleeping core takes some 20 microseconds to wake, and an answer often comes sooner. So a waiting thread checks for the
//! answer again and again before it sleeps, and yields the processor in between. Without the spin, a call to a worker and
//! back takes several times as long.
//!
//! ```text
//!   backoff            spins for               after it
//!   0 ..= VAIN_MOST    spin_time / 2^backoff   an answer soon: 0; in vain: one more
//!   more than that     not at all              one less
//! ```
//!
//! If other threads want the processor, a yield may take milliseconds. A sleeping thread is scheduled at once when it is
//! woken. If the answer came during such a yield, the thread saw it some four milliseconds late. Then the thread skips the
//! spin of the next `LOST_PROCESSOR - VAIN_MOST` waits, which spreads the loss. (If no answer came during the yield, as in
//! an idle worker, nothing was late.)
//!
//! The backoff belongs to the thread, not to a loop. A loop may be made and dropped for each call, and the next loop on the
//! thread competes for the same processor.

use crate::sync::thread_local;
use std::cell::Cell;
use std::time::Duration;

/// The default spin time of loops and pools.
pub(crate) const SPIN_TIME: Duration = Duration::from_micros(10);

/// The longest spin, for any setting.
const LONGEST: Duration = Duration::from_secs(1);

/// If an answer comes within this, it is worth a spin. If a spin takes longer by this, the thread has lost the processor.
const SHORT: Duration = Duration::from_micros(100);

const VAIN_MOST: u32 = 32;

const LOST_PROCESSOR: u32 = 512;

thread_local! {
    static LEARNT: Cell<Backoff> = const { Cell::new(Backoff::NEW) };
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Backoff(u32);

impl Backoff {
    pub(crate) const NEW: Self = Self(0);

    /// The backoff after so many spins in vain.
    #[cfg(test)]
    pub(crate) fn vain(times: u32) -> Self {
        Self(times)
    }

    /// The backoff of this thread.
    pub(crate) fn of_thread() -> Self {
        // If the thread ends, the thread-local may be gone.
        LEARNT.try_with(Cell::get).unwrap_or(Self::NEW)
    }

    pub(crate) fn keep(self) {
        let _ = LEARNT.try_with(|learnt| learnt.set(self));
    }

    /// How long a wait spins if `spin_time` is the setting. `None`: it sleeps at once.
    pub(crate) fn time(self, spin_time: Duration) -> Option<Duration> {
        let spins = !spin_time.is_zero() && self.0 <= VAIN_MOST;
        spins.then(|| spin_time.min(LONGEST) / 2_u32.saturating_pow(self.0))
    }

    /// The backoff after a wait that skipped its spin.
    #[must_use]
    pub(crate) fn skipped(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// The backoff after a wait with a spin of up to `time`. The spin took `spun`. The answer came after `answered`. `None`:
    /// the deadline came first.
    #[must_use]
    pub(crate) fn learn(self, time: Duration, spun: Duration, answered: Option<Duration>) -> Self {
        let while_spinning = answered.is_some_and(|answered| answered <= spun);
        if while_spinning && spun > time + SHORT {
            Self(LOST_PROCESSOR)
        } else if while_spinning || answered.is_some_and(|answered| answered < SHORT) {
            Self::NEW
        } else {
            Self(VAIN_MOST.min(self.0 + 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: fn(u64) -> Duration = Duration::from_micros;

    /// A wait with a spin. Its answer came after `answered`.
    fn wait(backoff: Backoff, answered: Option<Duration>) -> Backoff {
        let time = backoff.time(SPIN_TIME).unwrap();
        let spun = answered.map_or(time, |answered| answered.min(time));
        backoff.learn(time, spun, answered)
    }

    /// How many waits skip the spin.
    fn skips(mut backoff: Backoff) -> u32 {
        for waits in 0..10_000 {
            if backoff.time(SPIN_TIME).is_some() {
                return waits;
            }
            backoff = backoff.skipped();
        }
        panic!("it never spins again");
    }

    #[test]
    fn a_spin_time_of_zero_is_no_spin_at_all() {
        assert_eq!(Backoff::NEW.time(Duration::ZERO), None);
        assert_eq!(Backoff::NEW.time(US(10)), Some(US(10)));
    }

    #[test]
    fn a_thread_spins_for_a_second_at_the_most() {
        assert_eq!(
            Backoff::NEW.time(Duration::MAX),
            Some(Duration::from_secs(1))
        );
    }

    #[test]
    fn each_spin_in_vain_halves_the_next_and_one_answer_restores_it() {
        let mut backoff = Backoff::NEW;
        for time in [US(10), US(5), US(10) / 4, US(10) / 8] {
            assert_eq!(backoff.time(SPIN_TIME), Some(time));
            backoff = wait(backoff, Some(US(5000)));
        }
        // The answer came in the sleep, but soon.
        assert_eq!(wait(backoff, Some(US(99))), Backoff::NEW);
        // The answer came during the spin. The length of the spin doesn't matter.
        let second = Duration::from_secs(1);
        assert_eq!(
            backoff.learn(second, second / 2, Some(second / 2)),
            Backoff::NEW
        );
    }

    #[test]
    fn a_deadline_that_comes_first_is_no_answer() {
        assert_ne!(wait(Backoff::NEW, None), Backoff::NEW);
    }

    #[test]
    fn spins_in_vain_never_end_the_spinning_for_good() {
        let mut backoff = Backoff::NEW;
        for _ in 0..10_000 {
            backoff = wait(backoff, None);
        }
        assert_eq!(backoff.time(SPIN_TIME), Some(Duration::ZERO)); // one look
        assert_eq!(wait(backoff, Some(US(20))), Backoff::NEW);
    }

    #[test]
    fn a_lost_processor_stops_the_spinning_for_hundreds_of_waits_and_no_longer() {
        let lost = Backoff::NEW.learn(SPIN_TIME, US(4000), Some(US(4000)));
        let skipped = skips(lost);
        assert!((400..=600).contains(&skipped), "{skipped} waits");
        // An answer within the spin, and one that came shortly after it.
        for answered in [9, 60] {
            let answered = US(answered);
            assert_eq!(
                skips(Backoff::NEW.learn(SPIN_TIME, answered, Some(answered))),
                0
            );
        }
    }

    #[test]
    fn a_lost_processor_that_delayed_no_answer_is_a_spin_in_vain() {
        for answered in [None, Some(US(5000))] {
            let learnt = Backoff::NEW.learn(SPIN_TIME, US(4000), answered);
            assert_eq!(learnt, Backoff::vain(1));
        }
    }
}
