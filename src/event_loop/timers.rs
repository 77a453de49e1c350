//! The timers of a loop: a heap of deadlines over a slab of wakers. They fire in `Scheduler::gather_due`.
//!
//! Most timers are timeouts that never fire, so a removal must be cheap. It takes the waker out of the slab. The entry stays
//! in the heap as a shell, which is skipped when it comes up. When three in four entries are shells, the heap is swept.
//! Equal deadlines fire in the order in which they were set.

use crate::event_loop::slab::Slab;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;
use std::time::Instant;

/// The key of a timer. The number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerKey {
    key: u32,
    number: u64,
}

/// A heap with room for at most so many timers isn't shrunk.
const SMALL: usize = 1024;

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, u32)>>,
    wakers: Slab<(u64, Waker)>,
    next_number: u64,
}

impl Timers {
    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerKey {
        let number = self.next_number;
        self.next_number += 1;
        let key = self.wakers.insert((number, waker));
        self.heap.push(Reverse((deadline, number, key)));
        TimerKey { key, number }
    }

    /// The waker of a timer that hasn't fired.
    pub(crate) fn waker(&mut self, timer: TimerKey) -> Option<&mut Waker> {
        match self.wakers.get_mut(timer.key) {
            Some((number, waker)) if *number == timer.number => Some(waker),
            _ => None,
        }
    }

    /// Removes a timer. The caller drops the waker, with nothing borrowed.
    #[must_use]
    pub(crate) fn remove(&mut self, timer: TimerKey) -> Option<Waker> {
        self.waker(timer)?;
        let (_, waker) = self.wakers.remove(timer.key)?;
        if self.heap.len() > 4 * self.wakers.len() + 64 {
            let wakers = &self.wakers;
            self.heap
                .retain(|Reverse((_, number, key))| is_set(wakers, *key, *number));
        }
        self.shrink();
        Some(waker)
    }

    /// If less than a quarter of the heap's room is in use, frees the room beyond twice what is in use.
    fn shrink(&mut self) {
        if self.wakers.len() == 0 {
            self.heap.clear();
        }
        if self.heap.capacity() > SMALL.max(4 * self.heap.len()) {
            self.heap.shrink_to(2 * self.heap.len());
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(&Reverse((deadline, number, key))) = self.heap.peek() {
            if is_set(&self.wakers, key, number) {
                return Some(deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// Removes the timers that are due at `now`. Returns their wakers in the order of the deadlines.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let mut due = Vec::new();
        while self.next_deadline().is_some_and(|next| next <= now) {
            let Some(Reverse((_, _, key))) = self.heap.pop() else {
                break;
            };
            due.extend(self.wakers.remove(key).map(|(_, waker)| waker));
        }
        self.shrink();
        due
    }

    /// The wakers of all timers, to be dropped one by one.
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.wakers.into_values().map(|(_, waker)| waker)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

fn is_set(wakers: &Slab<(u64, Waker)>, key: u32, number: u64) -> bool {
    matches!(wakers.get(key), Some((set, _)) if *set == number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;
    use std::time::Duration;

    /// The target of wakers that the test counts.
    struct Named;

    impl Wake for Named {
        fn wake(self: Arc<Self>) {}
    }

    fn at(start: Instant, milliseconds: usize) -> Instant {
        start + Duration::from_millis(milliseconds as u64)
    }

    #[test]
    fn what_is_left_after_a_sweep_fires_and_nothing_else_does() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let left = Arc::new(Named);
        let keys: Vec<_> = (0..1000)
            .map(|n| {
                let waker = if n % 100 == 7 {
                    left.clone().into()
                } else {
                    Waker::noop().clone()
                };
                timers.insert(at(start, n), waker)
            })
            .collect();
        let all = timers.heap.len();
        for n in (0..1000).filter(|n| n % 100 != 7) {
            assert!(timers.remove(keys[n]).is_some());
            assert!(timers.remove(keys[n]).is_none(), "it is out");
        }
        assert!(timers.heap.len() < all / 4, "it was swept");
        assert_eq!(timers.next_deadline(), Some(at(start, 7)));
        let due = timers.take_due(at(start, 507));
        assert_eq!(due.len(), 6);
        assert_eq!(Arc::strong_count(&left), 11, "the others are set still");
        drop(due);
        assert_eq!(timers.take_due(at(start, 1000)).len(), 4);
        assert!(timers.is_empty());
    }

    #[test]
    fn a_place_that_is_used_again_is_another_timers() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let first = timers.insert(at(start, 1), Waker::noop().clone());
        assert_eq!(timers.take_due(at(start, 1)).len(), 1);
        let second = timers.insert(at(start, 2), Waker::noop().clone());
        assert_eq!(
            first.key, second.key,
            "the key of a timer that fired is vacant"
        );
        assert!(timers.waker(first).is_none() && timers.remove(first).is_none());
        assert!(timers.waker(second).is_some());
        // The second timer's entry in the heap is a shell. The entry of the next timer with that key is not.
        assert!(timers.remove(second).is_some());
        let third = timers.insert(at(start, 9), Waker::noop().clone());
        assert_eq!(third.key, second.key);
        assert!(timers.take_due(at(start, 5)).is_empty());
        assert_eq!(timers.next_deadline(), Some(at(start, 9)));
    }

    #[test]
    fn a_burst_that_has_fired_gives_its_room_back_though_one_timer_stays() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        timers.insert(at(start, 1_000_000), Waker::noop().clone());
        for n in 0..100_000 {
            timers.insert(at(start, n % 50), Waker::noop().clone());
        }
        assert_eq!(timers.take_due(at(start, 50)).len(), 100_000);
        assert!(
            timers.heap.capacity() <= 2 * SMALL,
            "{}",
            timers.heap.capacity()
        );
        assert_eq!(timers.next_deadline(), Some(at(start, 1_000_000)));
    }
}
