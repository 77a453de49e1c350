//! What a task weighs while it waits, and what is held when there is no use for it any more.

use super::Row;
use crate::bytes;
use crate::lap::{Lap, Peer};
use crate::peers::loops::{self, Tasks, each_local_loop};
use crate::peers::pools::{self, Pool};
use futures_lite::future::yield_now;
use std::cell::Cell;
use std::future::{Future, pending as never};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Poll};
use std::time::Duration;

const MANY: usize = 100_000;

pub fn rows() -> Vec<Row> {
    // The same each time: a few rounds show it.
    let weight = |id, work, peers| Row {
        rounds: 3,
        exact: true,
        ..Row::new(id, work, "bytes/task", peers)
    };
    let held_after = |id, work, peers| Row {
        rounds: 2,
        exact: true,
        env: &[("BLOCKING_MAX_THREADS", "1")],
        ..Row::new(id, work, "MB", peers)
    };
    vec![
        weight(
            "W10",
            "bytes that a pending task holds, its future has 0",
            || each_local_loop!(L => pending::<L, 0>()),
        ),
        weight(
            "W10/64",
            "bytes that a pending task holds, its future has 64",
            || each_local_loop!(L => pending::<L, 64>()),
        ),
        held_after(
            "W15",
            "held after 1M sleeping tasks, one task and timer live on",
            || {
                let ours = after_burst::<loops::Footbridge, _>(footbridge::time::sleep);
                let tokios = after_burst::<loops::Tokio, _>(tokio::time::sleep);
                vec![
                    Peer::new("footbridge", ours),
                    Peer::new("tokio", tokios),
                    Peer::limit("5 MB", 5.0),
                ]
            },
        ),
        held_after(
            "W15/calls",
            "held for 1,800 calls of 100 kB, cancelled in the queue",
            || {
                let aborted = |job: tokio::task::JoinHandle<_>| job.abort();
                vec![
                    Peer::new("footbridge", after_cancelled::<pools::Footbridge>(drop)),
                    Peer::new("tokio", after_cancelled::<pools::Tokio>(aborted)),
                    Peer::new("blocking", after_cancelled::<pools::Blocking>(drop)),
                    Peer::limit("1 MB", 1.0),
                ]
            },
        ),
    ]
}

/// On a fresh loop each time, lest it keep from the last one what it needs for this one.
fn pending<L: Tasks, const SIZE: usize>() -> impl FnMut() -> Lap {
    bytes::count();
    || Lap {
        value: held::<L, SIZE>(),
        cpu: 0.0,
    }
}

/// What is asked for and not given back, once each task has been polled.
fn held<L: Tasks, const SIZE: usize>() -> f64 {
    let mut event_loop = L::new();
    let spawner = event_loop.spawner();
    POLLED.set(0);
    event_loop.block_on(async {
        let mut handles = Vec::with_capacity(MANY);
        let before = bytes::live();
        for _ in 0..MANY {
            handles.push(L::spawn(&spawner, Waits([1; SIZE])));
        }
        // In a task, since monoio polls nothing else while its main future wakes itself.
        let all_polled = async {
            while POLLED.get() < MANY {
                yield_now().await;
            }
        };
        L::join(L::spawn(&spawner, all_polled)).await;
        (bytes::live() - before) as f64 / MANY as f64
    })
}

thread_local! {
    static POLLED: Cell<usize> = const { Cell::new(0) };
}

/// A future of just so many bytes, which is never ready.
struct Waits<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Future for Waits<SIZE> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        POLLED.set(POLLED.get() + 1);
        black_box(&self.0);
        Poll::Pending
    }
}

/// What is asked for and not given back, beyond what was before.
fn more_than(before: isize) -> Lap {
    Lap {
        value: (bytes::live() - before).max(0) as f64 / 1e6,
        cpu: 0.0,
    }
}

fn after_burst<L: Tasks, T>(sleep: fn(Duration) -> T) -> impl FnMut() -> Lap
where
    T: Future<Output = ()> + 'static,
{
    const BURST: usize = 1_000_000;
    bytes::count();
    move || {
        let mut event_loop = L::new();
        let spawner = event_loop.spawner();
        event_loop.block_on(async {
            let _task = L::spawn(&spawner, never::<()>());
            let _timer = L::spawn(&spawner, sleep(Duration::from_secs(3600)));
            sleep(Duration::from_millis(10)).await;
            let before = bytes::live();
            // Long enough that all of them sleep at once.
            let asleep = || L::spawn(&spawner, sleep(Duration::from_secs(1)));
            let burst: Vec<_> = (0..BURST).map(|_| asleep()).collect();
            for task in burst {
                L::join(task).await;
            }
            // Time for the loop to tidy up.
            for _ in 0..5 {
                sleep(Duration::from_millis(10)).await;
            }
            more_than(before)
        })
    }
}

fn after_cancelled<P: Pool>(cancel: fn(P::Job<usize>)) -> impl FnMut() -> Lap {
    const CALLS: usize = 1800;
    bytes::count();
    move || {
        let mut pool = P::new(Some(1));
        let submitter = pool.submitter();
        let ((is_up, up), (open, gate)) = (mpsc::channel(), mpsc::channel::<()>());
        let busy = P::submit(&submitter, move || {
            is_up.send(()).unwrap();
            gate.recv().unwrap();
        });
        up.recv().unwrap();
        let before = bytes::live();
        for _ in 0..CALLS {
            let captured = [1_u8; 100_000];
            cancel(P::submit(&submitter, move || black_box(&captured).len()));
        }
        let lap = more_than(before);
        open.send(()).unwrap();
        let last = P::submit(&submitter, || ());
        pool.block_on(async {
            P::result(busy).await;
            // By then all that is cancelled has been dropped, and not only in the next lap.
            P::result(last).await;
        });
        lap
    }
}
