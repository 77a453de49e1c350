//! Wakes: of one task by another, and of many by another thread.

use super::Row;
use crate::lap::{Clock, Lap};
use crate::peers::loops::{Tasks, each_local_loop, each_loop};
use futures::task::AtomicWaker;
use futures_lite::future::yield_now;
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
            || each_local_loop!(L => ring::<L>(TASKS, 100)),
        ),
        Row::new(
            "W4t",
            "another thread wakes 1000 tasks",
            "ns/wake",
            || each_loop!(L => woken_from_outside::<L>(TASKS, 50)),
        ),
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

fn ring<L: Tasks>(tasks: usize, laps: usize) -> impl FnMut() -> Lap {
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
            // In a task, since monoio polls nothing else while its main future wakes itself.
            let begun = ring.clone();
            let all_wait = async move {
                while begun.wakers.borrow().iter().any(Option::is_none) {
                    yield_now().await;
                }
            };
            L::join(L::spawn(&spawner, all_wait)).await;
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
pub(super) struct Bell {
    rung: AtomicBool,
    waker: AtomicWaker,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(super) async fn heard(&self) {
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
fn woken_from_outside<L: Tasks>(tasks: usize, times: usize) -> impl FnMut() -> Lap {
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
