//! The bridges between a loop and a worker, one call after another: what counts is which thread sleeps, and which is woken.

use super::Row;
use crate::lap::{Clock, Lap, Peer};
use footbridge::{EventLoop, asyncify, syncify};
use futures::channel::oneshot;
use std::hint::black_box;

const CALLS: usize = 2000;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W5",
            "`asyncify(noop)().await`, one after another",
            "ns/call",
            || {
                vec![
                    Peer::new("footbridge", our_asyncify()),
                    Peer::new("tokio", tokio_spawn_blocking()),
                    Peer::new("blocking", blocking_unblock),
                    Peer::new("rayon", rayon_oneshot),
                ]
            },
        ),
        Row::new(
            "W7",
            "a worker has its loop run an async no-op and waits",
            "ns/call",
            || {
                vec![
                    Peer::new("footbridge", our_syncify()),
                    Peer::new("tokio", tokio_blocking_recv()),
                ]
            },
        ),
    ]
}

fn noop() -> usize {
    black_box(1)
}

async fn async_noop() -> usize {
    black_box(1)
}

fn our_asyncify() -> impl FnMut() -> Lap {
    let mut event_loop = EventLoop::new();
    move || {
        event_loop.run_until(async {
            let clock = Clock::start();
            let mut sum = 0;
            for _ in 0..CALLS {
                sum += asyncify(noop)().await;
            }
            let lap = clock.stop(CALLS);
            assert_eq!(sum, CALLS);
            lap
        })
    }
}

fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn tokio_spawn_blocking() -> impl FnMut() -> Lap {
    let runtime = current_thread();
    move || {
        runtime.block_on(async {
            let clock = Clock::start();
            let mut sum = 0;
            for _ in 0..CALLS {
                sum += tokio::task::spawn_blocking(noop).await.unwrap();
            }
            let lap = clock.stop(CALLS);
            assert_eq!(sum, CALLS);
            lap
        })
    }
}

fn blocking_unblock() -> Lap {
    futures_lite::future::block_on(async {
        let clock = Clock::start();
        let mut sum = 0;
        for _ in 0..CALLS {
            sum += blocking::unblock(noop).await;
        }
        let lap = clock.stop(CALLS);
        assert_eq!(sum, CALLS);
        lap
    })
}

fn rayon_oneshot() -> Lap {
    pollster::block_on(async {
        let clock = Clock::start();
        let mut sum = 0;
        for _ in 0..CALLS {
            let (sender, receiver) = oneshot::channel();
            rayon::spawn(move || {
                let _ = sender.send(noop());
            });
            sum += receiver.await.unwrap();
        }
        let lap = clock.stop(CALLS);
        assert_eq!(sum, CALLS);
        lap
    })
}

fn our_syncify() -> impl FnMut() -> Lap {
    let mut event_loop = EventLoop::new();
    let worker = || {
        let clock = Clock::start();
        let mut sum = 0;
        for _ in 0..CALLS {
            sum += syncify(async_noop)().unwrap();
        }
        let lap = clock.stop(CALLS);
        assert_eq!(sum, CALLS);
        lap
    };
    move || event_loop.run_until(async { asyncify(worker)().await })
}

fn tokio_blocking_recv() -> impl FnMut() -> Lap {
    let runtime = current_thread();
    let worker = || {
        let home = tokio::runtime::Handle::current();
        let clock = Clock::start();
        let mut sum = 0;
        for _ in 0..CALLS {
            let (sender, receiver) = tokio::sync::oneshot::channel();
            home.spawn(async move {
                let _ = sender.send(async_noop().await);
            });
            sum += receiver.blocking_recv().unwrap();
        }
        let lap = clock.stop(CALLS);
        assert_eq!(sum, CALLS);
        lap
    };
    move || runtime.block_on(async { tokio::task::spawn_blocking(worker).await.unwrap() })
}
