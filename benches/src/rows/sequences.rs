//! Items that a thread makes and async code takes: what each costs where neither side waits for something else.
//!
//! The buffers hold 256 items, as many as ours may be ahead; `Unblock`'s holds 8,192, as it comes.

use super::Row;
use crate::lap::{Clock, Lap, Peer};
use footbridge::{EventLoop, asyncify, spawn_generator};
use futures::StreamExt;
use std::hint::black_box;

const ITEMS: usize = 100_000;
const BUFFER: usize = 256;
const CALLS: usize = 2000;

pub fn rows() -> Vec<Row> {
    vec![Row::new(
        "W17",
        "100k small items from a thread to async code",
        "ns/item",
        || {
            vec![
                Peer::new("footbridge", our_generator()),
                Peer::new("tokio, mpsc", tokio_mpsc()),
                Peer::new("blocking, async-channel", blocking_channel),
                Peer::new("Unblock", blocking_iterator),
                Peer::new("a call each", our_calls()),
            ]
        },
    )]
}

fn our_generator() -> impl FnMut() -> Lap {
    let mut event_loop = EventLoop::new();
    move || {
        event_loop.run_until(async {
            let clock = Clock::start();
            let mut items = spawn_generator(|sink| {
                for n in 0..ITEMS {
                    sink.send(black_box(n)).unwrap();
                }
            });
            let mut count = 0;
            while let Some(n) = items.next().await {
                count += usize::from(black_box(n) < ITEMS);
            }
            checked(clock, count)
        })
    }
}

fn checked(clock: Clock, count: usize) -> Lap {
    let lap = clock.stop(ITEMS);
    assert_eq!(count, ITEMS);
    lap
}

fn tokio_mpsc() -> impl FnMut() -> Lap {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    move || {
        runtime.block_on(async {
            let clock = Clock::start();
            let (sender, mut items) = tokio::sync::mpsc::channel(BUFFER);
            drop(tokio::task::spawn_blocking(move || {
                for n in 0..ITEMS {
                    sender.blocking_send(black_box(n)).unwrap();
                }
            }));
            let mut count = 0;
            while let Some(n) = items.recv().await {
                count += usize::from(black_box(n) < ITEMS);
            }
            checked(clock, count)
        })
    }
}

fn blocking_channel() -> Lap {
    futures_lite::future::block_on(async {
        let clock = Clock::start();
        let (sender, items) = async_channel::bounded(BUFFER);
        let task = blocking::unblock(move || {
            for n in 0..ITEMS {
                sender.send_blocking(black_box(n)).unwrap();
            }
        });
        let mut count = 0;
        while let Ok(n) = items.recv().await {
            count += usize::from(black_box(n) < ITEMS);
        }
        task.await;
        checked(clock, count)
    })
}

fn blocking_iterator() -> Lap {
    futures_lite::future::block_on(async {
        let clock = Clock::start();
        let mut items = blocking::Unblock::new((0..ITEMS).map(black_box));
        let mut count = 0;
        while let Some(n) = items.next().await {
            count += usize::from(black_box(n) < ITEMS);
        }
        checked(clock, count)
    })
}

/// What W5 measures: a hop there and one back for each item.
fn our_calls() -> impl FnMut() -> Lap {
    let mut event_loop = EventLoop::new();
    move || {
        event_loop.run_until(async {
            let clock = Clock::start();
            for n in 0..CALLS {
                black_box(asyncify(black_box::<usize>)(n).await);
            }
            clock.stop(CALLS)
        })
    }
}
