//! What a task weighs while it waits.

use super::Row;
use crate::bytes;
use crate::lap::Lap;
use crate::peers::loops::{Loop, each_loop};
use futures_lite::future::yield_now;
use std::cell::Cell;
use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::task::{Context, Poll};

const MANY: usize = 100_000;

pub fn rows() -> Vec<Row> {
    // The same each time: a few rounds show it.
    let weight = |id, work, peers| Row {
        rounds: 3,
        exact: true,
        ..Row::new(id, work, "bytes/task", peers)
    };
    vec![
        weight(
            "W10",
            "bytes that a pending task holds, its future has 0",
            || each_loop!(L => pending::<L, 0>()),
        ),
        weight(
            "W10/64",
            "bytes that a pending task holds, its future has 64",
            || each_loop!(L => pending::<L, 64>()),
        ),
    ]
}

/// On a fresh loop each time, lest it keep from the last one what it needs for this one.
fn pending<L: Loop, const SIZE: usize>() -> impl FnMut() -> Lap {
    bytes::count();
    || Lap {
        value: held::<L, SIZE>(),
        cpu: 0.0,
    }
}

/// What is asked for and not given back, once each task has been polled.
fn held<L: Loop, const SIZE: usize>() -> f64 {
    let mut event_loop = L::new();
    let spawner = event_loop.spawner();
    POLLED.set(0);
    event_loop.block_on(async {
        let mut handles = Vec::with_capacity(MANY);
        let before = bytes::live();
        for _ in 0..MANY {
            handles.push(L::spawn(&spawner, Waits([1; SIZE])));
        }
        while POLLED.get() < MANY {
            yield_now().await;
        }
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
