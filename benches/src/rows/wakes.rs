//! Wakes: of one task by another, and of a loop by another thread.

use super::Row;
use crate::lap::{Clock, Lap};
use crate::peers::each;
use crate::peers::loops::{Loop, each_loop};
use futures::task::AtomicWaker;
use futures_lite::future::yield_now;
use rustix::thread::sched_getcpu;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::task::{Poll, Waker};
use std::thread;

const TASKS: usize = 1000;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W3",
            "a ring of 1000 tasks, 100 laps, woken by reference",
            "ns/wake",
            || each_loop!(L => ring::<L>(TASKS, 100)),
        ),
        Row::new(
            "W4t",
            "another thread wakes 1000 tasks",
            "ns/wake",
            || each_loop!(L => woken_from_outside::<L>(TASKS, 50)),
        ),
        Row {
            rounds: 5,
            ..Row::new(
                "W16",
                "of 40 pairs of loop and thread, those that stay on two cores",
                "pairs",
                || each!(L in loops [Footbridge, Tokio, AsyncExecutor] => pairs::<L>(40)),
            )
        },
    ]
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

/// What another thread can ring, for a task that waits for it.
#[derive(Default)]
struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    async fn heard(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            match self.rung.swap(false, Ordering::AcqRel) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }
}

/// The loop asks the thread to ring all bells, and asks again when all tasks have heard theirs.
fn woken_from_outside<L: Loop>(tasks: usize, times: usize) -> impl FnMut() -> Lap {
    let mut event_loop = L::new();
    let spawner = event_loop.spawner();
    let bells: Arc<Vec<Bell>> = Arc::new((0..tasks).map(|_| Bell::default()).collect());
    let (go, asked) = mpsc::channel();
    let ringer = bells.clone();
    thread::spawn(move || {
        while let Ok(()) = asked.recv() {
            ringer.iter().for_each(Bell::ring);
        }
    });
    let all_heard = Arc::new(Bell::default());
    let left = Arc::new(AtomicUsize::new(0));
    move || {
        event_loop.block_on(async {
            let mut handles = Vec::with_capacity(tasks);
            for bell in 0..tasks {
                let (bells, left, all_heard) = (bells.clone(), left.clone(), all_heard.clone());
                handles.push(L::spawn(&spawner, async move {
                    for _ in 0..times {
                        bells[bell].heard().await;
                        if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                            all_heard.ring();
                        }
                    }
                }));
            }
            let clock = Clock::start();
            for _ in 0..times {
                left.store(tasks, Ordering::Relaxed);
                go.send(()).unwrap();
                all_heard.heard().await;
            }
            let lap = clock.stop(tasks * times);
            for handle in handles {
                L::join(handle).await;
            }
            lap
        })
    }
}

/// Each pair is two fresh threads that wake each other in turn. A trip there and back takes 4 microseconds on one core and ten
/// times that on two, and the system puts both on one where neither is busy while the other one is. async-executor's loop waits
/// in `futures_lite`.
fn pairs<L: Loop>(pairs: usize) -> impl FnMut() -> Lap {
    const TRIPS: usize = 400;
    move || {
        let clock = Clock::start();
        let apart = (0..pairs).filter(|_| {
            let pair = thread::spawn(|| is_apart::<L>(TRIPS));
            pair.join().unwrap()
        });
        let apart = apart.count();
        Lap {
            value: apart as f64,
            ..clock.stop(pairs * TRIPS)
        }
    }
}

/// Whether they were on two cores for most of the second half of the trips.
fn is_apart<L: Loop>(trips: usize) -> bool {
    let mut event_loop = L::new();
    let bell = Arc::new(Bell::default());
    let core = Arc::new(AtomicUsize::new(0));
    let (go, asked) = mpsc::channel();
    let (ring, its_core) = (bell.clone(), core.clone());
    let ringer = thread::spawn(move || {
        while let Ok(()) = asked.recv() {
            its_core.store(sched_getcpu(), Ordering::Relaxed);
            ring.ring();
        }
    });
    let apart = event_loop.block_on(async {
        let mut apart = 0;
        for trip in 0..trips {
            go.send(()).unwrap();
            bell.heard().await;
            let is_apart = core.load(Ordering::Relaxed) != sched_getcpu();
            apart += usize::from(is_apart && trip >= trips / 2);
        }
        apart
    });
    drop(go);
    ringer.join().unwrap();
    apart > trips / 4
}
