//! Which waker is due when: a heap of deadlines over a slab of wakers.
//!
//! Most timers are timeouts that never fire, so taking one out has to cost next to nothing: it
//! empties its place in the slab and leaves its entry in the heap, to be skipped when it comes up.
//! Once three in four entries are such shells the heap is swept. Equal deadlines fire in the order in which they were set.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::task::Waker;
use std::time::Instant;

/// Names a timer, for as long as it hasn't fired. The number is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TimerKey {
    place: usize,
    number: u64,
}

/// So many timers have room at all times.
const SMALL: usize = 1024;

#[derive(Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    wakers: Vec<Option<(u64, Waker)>>,
    vacant: Vec<usize>,
    next_number: u64,
}

impl Timers {
    pub(crate) fn insert(&mut self, deadline: Instant, waker: Waker) -> TimerKey {
        let number = self.next_number;
        self.next_number += 1;
        let place = self.vacant.pop().unwrap_or_else(|| {
            self.wakers.push(None);
            self.wakers.len() - 1
        });
        self.wakers[place] = Some((number, waker));
        self.heap.push(Reverse((deadline, number, place)));
        TimerKey { place, number }
    }

    /// The waker of a timer that hasn't fired.
    pub(crate) fn waker(&mut self, key: TimerKey) -> Option<&mut Waker> {
        match self.wakers.get_mut(key.place) {
            Some(Some((number, waker))) if *number == key.number => Some(waker),
            _ => None,
        }
    }

    /// Takes a timer out. The caller drops the waker, with nothing borrowed.
    #[must_use]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<Waker> {
        self.waker(key)?;
        let (_, waker) = self.wakers[key.place].take()?;
        self.vacant.push(key.place);
        let set = self.wakers.len() - self.vacant.len();
        if set == 0 {
            self.heap.clear();
            self.give_back();
        } else if self.heap.len() > 4 * set + 64 {
            let wakers = &self.wakers;
            self.heap
                .retain(|Reverse((_, number, place))| is_set(wakers, *place, *number));
            self.heap.shrink_to(2 * self.heap.len());
        }
        Some(waker)
    }

    /// Without timers, buffers that are large are given back.
    pub(crate) fn give_back(&mut self) {
        if self.heap.capacity() > SMALL {
            self.heap = BinaryHeap::new();
        }
        if self.wakers.capacity() > SMALL {
            self.wakers = Vec::new();
            self.vacant = Vec::new();
        }
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(&Reverse((deadline, number, place))) = self.heap.peek() {
            if is_set(&self.wakers, place, number) {
                return Some(deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// Takes out the timers that are due at `now`, in their order.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<Waker> {
        let mut due = Vec::new();
        while self.next_deadline().is_some_and(|next| next <= now) {
            let Some(Reverse((_, _, place))) = self.heap.pop() else {
                break;
            };
            self.vacant.push(place);
            due.extend(self.wakers[place].take().map(|(_, waker)| waker));
        }
        if self.wakers.len() == self.vacant.len() {
            self.give_back();
        }
        due
    }

    /// All that are set, to be dropped one by one.
    pub(crate) fn into_wakers(self) -> impl Iterator<Item = Waker> {
        self.wakers.into_iter().flatten().map(|(_, waker)| waker)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }
}

fn is_set(wakers: &[Option<(u64, Waker)>], place: usize, number: u64) -> bool {
    matches!(wakers.get(place), Some(Some((set, _))) if *set == number)
}
