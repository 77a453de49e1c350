//! The timers of a loop: a heap of deadlines over a slab of what waits for them. They fire in `EventLoop::begin_turn`.
//!
//! Most timers are timeouts that never fire, so a removal must be cheap. It takes the target out of the slab. The entry
//! stays in the heap as a shell, which is skipped when it comes up. When three in four entries are shells, the heap is
//! swept. Equal deadlines fire in the order in which they were set.

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

/// So many entries of a large heap can be looked at in the time of one pop.
const LOOKS_PER_POP: usize = 64;

/// What waits for a timer.
pub(crate) enum TimerTarget {
    /// The task of this loop with this key, or its main future. Its waker isn't cloned, which would cost two atomic
    /// operations. If that task ends and its `Sleep` lives on, a later task with its key may be polled once in vain.
    Task(u32),
    Waker(Waker),
}

type HeapEntry = Reverse<(Instant, u64, u32)>;

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<HeapEntry>,
    targets: Slab<(u64, TimerTarget)>,
    next_number: u64,
}

impl Timers {
    pub(crate) fn insert(&mut self, deadline: Instant, target: TimerTarget) -> TimerKey {
        let number = self.next_number;
        self.next_number += 1;
        let key = self.targets.insert((number, target));
        self.heap.push(Reverse((deadline, number, key)));
        TimerKey { key, number }
    }

    /// The target of a timer that hasn't fired.
    pub(crate) fn target(&self, timer: TimerKey) -> Option<&TimerTarget> {
        match self.targets.get(timer.key) {
            Some((number, target)) if *number == timer.number => Some(target),
            _ => None,
        }
    }

    /// Removes a timer. The caller drops the target, with nothing borrowed.
    #[must_use]
    pub(crate) fn remove(&mut self, timer: TimerKey) -> Option<TimerTarget> {
        self.target(timer)?;
        let (_, target) = self.targets.remove(timer.key)?;
        if self.heap.len() > 4 * self.targets.len() + 64 {
            let targets = &self.targets;
            self.heap
                .retain(|Reverse((_, number, key))| is_set(targets, *key, *number));
        }
        self.shrink();
        Some(target)
    }

    /// If less than a quarter of the heap's room is in use, frees the room beyond twice what is in use.
    fn shrink(&mut self) {
        if self.targets.len() == 0 {
            self.heap.clear();
        }
        if self.heap.capacity() > SMALL.max(4 * self.heap.len()) {
            self.heap.shrink_to(2 * self.heap.len());
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(&Reverse((deadline, number, key))) = self.heap.peek() {
            if is_set(&self.targets, key, number) {
                return Some(deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// Removes the timers that are due at `now`. Returns their targets in the order of the deadlines.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<TimerTarget> {
        let mut due = Vec::new();
        while self.next_deadline().is_some_and(|next| next <= now) {
            if due.len() >= SMALL && due.len() > self.heap.len() / LOOKS_PER_POP {
                self.take_many_due(now, &mut due);
                break;
            }
            let Some(Reverse((_, _, key))) = self.heap.pop() else {
                break;
            };
            due.extend(self.targets.remove(key).map(|(_, target)| target));
        }
        self.shrink();
        due
    }

    /// A pop costs a walk down the heap. So if the pops have cost as much as a look at all entries would, this looks at all,
    /// and sorts those that are due. The targets are taken in the heap's order, and sorted afterwards: that order is closer
    /// to the order of the slab, so the reads miss the caches less often.
    fn take_many_due(&mut self, now: Instant, due: &mut Vec<TimerTarget>) {
        let targets = &mut self.targets;
        let mut found = Vec::new();
        self.heap.retain(|Reverse((deadline, number, key))| {
            let is_due = *deadline <= now;
            if is_due && is_set(targets, *key, *number) {
                let target = targets.remove(*key);
                found.extend(target.map(|(_, target)| (*deadline, *number, target)));
            }
            !is_due
        });
        found.sort_unstable_by_key(|(deadline, number, _)| (*deadline, *number));
        due.extend(found.into_iter().map(|(.., target)| target));
    }

    /// What waits for a timer.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &TimerTarget> {
        self.targets.values().map(|(_, target)| target)
    }

    /// The targets of all timers, to be dropped one by one.
    pub(crate) fn into_targets(self) -> impl Iterator<Item = TimerTarget> {
        self.targets.into_values().map(|(_, target)| target)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

fn is_set(targets: &Slab<(u64, TimerTarget)>, key: u32, number: u64) -> bool {
    matches!(targets.get(key), Some((set, _)) if *set == number)
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
                    TimerTarget::Waker(left.clone().into())
                } else {
                    TimerTarget::Task(0)
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
        let first = timers.insert(at(start, 1), TimerTarget::Task(0));
        assert_eq!(timers.take_due(at(start, 1)).len(), 1);
        let second = timers.insert(at(start, 2), TimerTarget::Task(0));
        assert_eq!(
            first.key, second.key,
            "the key of a timer that fired is vacant"
        );
        assert!(timers.target(first).is_none() && timers.remove(first).is_none());
        assert!(timers.target(second).is_some());
        // The second timer's entry in the heap is a shell. The entry of the next timer with that key is not.
        assert!(timers.remove(second).is_some());
        let third = timers.insert(at(start, 9), TimerTarget::Task(0));
        assert_eq!(third.key, second.key);
        assert!(timers.take_due(at(start, 5)).is_empty());
        assert_eq!(timers.next_deadline(), Some(at(start, 9)));
    }

    #[test]
    fn a_burst_that_is_gone_gives_its_room_back_though_one_timer_stays() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        timers.insert(at(start, 1_000_000), TimerTarget::Task(0));
        let burst = |timers: &mut Timers| -> Vec<_> {
            let deadlines = (0..100_000).map(|n| at(start, n % 50));
            deadlines
                .map(|deadline| timers.insert(deadline, TimerTarget::Task(0)))
                .collect()
        };
        burst(&mut timers);
        assert_eq!(timers.take_due(at(start, 50)).len(), 100_000);
        for timer in burst(&mut timers) {
            assert!(timers.remove(timer).is_some());
        }
        assert!(
            timers.heap.capacity() <= 2 * SMALL,
            "{}",
            timers.heap.capacity()
        );
        assert_eq!(timers.next_deadline(), Some(at(start, 1_000_000)));
    }

    #[test]
    fn many_that_are_due_fire_in_the_order_of_their_deadlines_and_of_their_setting() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let many = 4 * SMALL;
        // Three deadlines. One timer in seven is removed, and one in five isn't due.
        let mut expected = [const { Vec::new() }; 3];
        for n in 0..many {
            let deadline = at(start, n % 3);
            let timer = timers.insert(deadline, TimerTarget::Task(n as u32));
            if n % 7 == 0 {
                assert!(timers.remove(timer).is_some());
            } else {
                expected[n % 3].push(n as u32);
            }
            if n % 5 == 0 {
                timers.insert(at(start, 9), TimerTarget::Task(u32::MAX));
            }
        }
        let due = timers.take_due(at(start, 5)).into_iter();
        let keys: Vec<u32> = due
            .map(|target| match target {
                TimerTarget::Task(key) => key,
                TimerTarget::Waker(_) => unreachable!("none has a waker"),
            })
            .collect();
        assert!(keys == expected.concat());
        assert_eq!(timers.next_deadline(), Some(at(start, 9)));
        assert_eq!(timers.take_due(at(start, 9)).len(), many.div_ceil(5));
    }
}
