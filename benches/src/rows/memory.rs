//! What a task weighs while it waits.

use super::Row;
use crate::bytes;
use crate::lap::Lap;
use crate::peers::loops::{Loop, each_loop};
use futures_lite::future::yield_now;
use std::future::Future;
use std::hint::black_box;
use std::task::Poll;

const MANY: usize = 100_000;

pub fn rows() -> Vec<Row> {
    // The same each time: a few rounds show it.
    vec![
        Row {
            rounds: 3,
            warm_up: false,
            ..Row::new(
                "W10",
                "bytes asked for by a pending task with a future of 0 bytes",
                "bytes/task",
                || each_loop!(L => pending::<L>(0)),
            )
        },
        Row {
            rounds: 3,
            warm_up: false,
            ..Row::new(
                "W10/64",
                "bytes asked for by a pending task with a future of 64 bytes",
                "bytes/task",
                || each_loop!(L => pending::<L>(64)),
            )
        },
    ]
}

/// On a fresh loop each time, lest it keep from the last one what it needs for this one.
fn pending<L: Loop>(size: usize) -> impl FnMut() -> Lap {
    bytes::count();
    move || {
        let value = match size {
            0 => requested::<L, 0>(),
            64 => requested::<L, 64>(),
            _ => unreachable!("futures of 0 and of 64 bytes"),
        };
        Lap { value, cpu: 0.0 }
    }
}

fn requested<L: Loop, const SIZE: usize>() -> f64 {
    let mut event_loop = L::new();
    let spawner = event_loop.spawner();
    event_loop.block_on(async {
        let mut handles = Vec::with_capacity(MANY);
        let before = bytes::requested();
        for _ in 0..MANY {
            handles.push(L::spawn(&spawner, Waits([1; SIZE])));
        }
        // Each is polled once.
        yield_now().await;
        yield_now().await;
        (bytes::requested() - before) as f64 / MANY as f64
    })
}

/// A future of just so many bytes, which is never ready.
struct Waits<const SIZE: usize>([u8; SIZE]);

impl<const SIZE: usize> Future for Waits<SIZE> {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<()> {
        black_box(&self.0);
        Poll::Pending
    }
}
