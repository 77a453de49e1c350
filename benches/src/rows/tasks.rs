//! Tasks of a loop: spawned, joined, woken, by themselves and by each other.

use super::Row;
use crate::lap::{Clock, Lap};
use crate::peers::loops::{Loop, each_loop};
use futures_lite::future::yield_now;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::hint::black_box;
use std::rc::Rc;
use std::task::{Poll, Waker};

const MANY: usize = 100_000;
const RING: usize = 1000;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W1",
            "spawn 100k ready tasks, join all",
            "ns/task",
            || each_loop!(L => spawn_then_join::<L>(MANY)),
        ),
        Row::new(
            "W1s",
            "spawn one task, await it",
            "ns/task",
            || each_loop!(L => spawn_one::<L>(MANY)),
        ),
        Row::new(
            "W2",
            "1000 tasks yield 100 times each",
            "ns/yield",
            || each_loop!(L => yields::<L>(RING, 100)),
        ),
        Row::new(
            "W3",
            "a ring of 1000 tasks, 100 laps, woken by reference",
            "ns/wake",
            || each_loop!(L => ring::<L>(RING, 100)),
        ),
    ]
}

/// All are spawned before the first is awaited.
pub fn spawn_then_join<L: Loop>(tasks: usize) -> impl FnMut() -> Lap {
    let mut event_loop = L::new();
    let spawner = event_loop.spawner();
    move || {
        let clock = Clock::start();
        let sum = event_loop.block_on(async {
            let mut handles = Vec::with_capacity(tasks);
            for task in 0..tasks {
                handles.push(L::spawn(&spawner, async move { black_box(task) }));
            }
            let mut sum = 0;
            for handle in handles {
                sum += L::join(handle).await;
            }
            sum
        });
        let lap = clock.stop(tasks);
        assert_eq!(sum, tasks * (tasks - 1) / 2);
        lap
    }
}

fn spawn_one<L: Loop>(tasks: usize) -> impl FnMut() -> Lap {
    let mut event_loop = L::new();
    let spawner = event_loop.spawner();
    move || {
        let clock = Clock::start();
        let sum = event_loop.block_on(async {
            let mut sum = 0;
            for task in 0..tasks {
                sum += L::join(L::spawn(&spawner, async move { black_box(task) })).await;
            }
            sum
        });
        let lap = clock.stop(tasks);
        assert_eq!(sum, tasks * (tasks - 1) / 2);
        lap
    }
}

/// The spawning is outside; the first polls and the joining, once for each task, are not.
fn yields<L: Loop>(tasks: usize, times: usize) -> impl FnMut() -> Lap {
    let mut event_loop = L::new();
    let spawner = event_loop.spawner();
    move || {
        event_loop.block_on(async {
            let mut handles = Vec::with_capacity(tasks);
            for _ in 0..tasks {
                handles.push(L::spawn(&spawner, async move {
                    for _ in 0..times {
                        yield_now().await;
                    }
                }));
            }
            let clock = Clock::start();
            for handle in handles {
                L::join(handle).await;
            }
            clock.stop(tasks * times)
        })
    }
}

/// What the tasks of a ring share.
struct Ring {
    wakers: RefCell<Vec<Option<Waker>>>,
    /// Whose turn it is.
    turn: Cell<usize>,
    left: Cell<usize>,
}

impl Ring {
    /// The task of that place: when it is its turn, it wakes the next one, until no wakes are left.
    fn poll(&self, place: usize, waker: &Waker) -> Poll<()> {
        if self.left.get() == 0 {
            // The end goes round as well, so that all tasks end.
            return self.pass(place);
        }
        if self.turn.get() == place {
            self.left.set(self.left.get() - 1);
            let _ = self.pass(place);
        } else if self.wakers.borrow()[place].is_none() {
            self.wakers.borrow_mut()[place] = Some(waker.clone());
        }
        Poll::Pending
    }

    fn pass(&self, place: usize) -> Poll<()> {
        let wakers = self.wakers.borrow();
        let next = (place + 1) % wakers.len();
        self.turn.set(next);
        if let Some(waker) = &wakers[next] {
            waker.wake_by_ref();
        }
        Poll::Ready(())
    }
}

fn ring<L: Loop>(tasks: usize, laps: usize) -> impl FnMut() -> Lap {
    let mut event_loop = L::new();
    let spawner = event_loop.spawner();
    move || {
        let ring = Rc::new(Ring {
            wakers: RefCell::new(vec![None; tasks]),
            turn: Cell::new(usize::MAX),
            left: Cell::new(tasks * laps),
        });
        event_loop.block_on(async {
            let mut handles = Vec::with_capacity(tasks);
            for place in 0..tasks {
                let ring = ring.clone();
                let task = poll_fn(move |context| ring.poll(place, context.waker()));
                handles.push(L::spawn(&spawner, task));
            }
            while ring.wakers.borrow().iter().any(Option::is_none) {
                yield_now().await;
            }
            let clock = Clock::start();
            let _ = ring.pass(tasks - 1);
            for handle in handles {
                L::join(handle).await;
            }
            let lap = clock.stop(tasks * (laps + 1));
            ring.wakers.borrow_mut().clear();
            lap
        })
    }
}
