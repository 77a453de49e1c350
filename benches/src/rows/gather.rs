//! Many calls that are awaited together.

use super::Row;
use crate::lap::{Clock, Lap, Peer};
use crate::peers::pools::{Footbridge, Pool, Tokio};
use footbridge::yield_now;
use footbridge::{Asyncify, gather};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use std::hint::black_box;
use std::iter::repeat_with;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::task::JoinSet;

const CALLS: usize = 100_000;
const CHILDREN: usize = 10_000;
const WAKES: usize = 10;
const FOUR: Option<usize> = Some(4);

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            env: &[("BLOCKING_MAX_THREADS", "4")],
            ..Row::new(
                "W18a",
                "100k calls of `asyncify(noop)` gathered, pools of 4",
                "ns/call",
                || {
                    vec![
                        Peer::new("footbridge", gathered()),
                        Peer::new("blocking", join_all_unblocked),
                        Peer::new("tokio", join_set()),
                    ]
                },
            )
        },
        Row::new(
            "W18b",
            "10k children of a scope, each woken ten times",
            "ns/wake",
            || {
                vec![
                    Peer::new("footbridge", scoped),
                    Peer::new("futures", unordered),
                    Peer::new("tokio", local_join_set()),
                    Peer::new("moro", moro_scope),
                ]
            },
        ),
    ]
}

/// One that is woken ten times, and counts.
async fn child(count: &AtomicUsize) {
    for _ in 0..WAKES {
        yield_now().await;
    }
    count.fetch_add(1, Relaxed);
}

fn children_lap(clock: Clock, count: usize) -> Lap {
    let lap = clock.stop(CHILDREN * WAKES);
    assert_eq!(count, CHILDREN);
    lap
}

fn scoped() -> Lap {
    let (clock, count) = (Clock::start(), AtomicUsize::new(0));
    footbridge::run(footbridge::scope(async |s| {
        for _ in 0..CHILDREN {
            s.spawn(child(&count));
        }
    }));
    children_lap(clock, count.load(Relaxed))
}

/// On our loop, so that the row compares the sets alone.
fn unordered() -> Lap {
    let (clock, count) = (Clock::start(), AtomicUsize::new(0));
    footbridge::run(async {
        let mut children = FuturesUnordered::new();
        for _ in 0..CHILDREN {
            children.push(child(&count));
        }
        while children.next().await.is_some() {}
    });
    children_lap(clock, count.load(Relaxed))
}

fn local_join_set() -> impl FnMut() -> Lap {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    move || {
        let (clock, count) = (Clock::start(), Arc::new(AtomicUsize::new(0)));
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async {
            let mut children = JoinSet::new();
            for _ in 0..CHILDREN {
                let count = count.clone();
                children.spawn_local(async move { child(&count).await });
            }
            while children.join_next().await.is_some() {}
        });
        children_lap(clock, count.load(Relaxed))
    }
}

fn moro_scope() -> Lap {
    let (clock, count) = (Clock::start(), AtomicUsize::new(0));
    footbridge::run(async {
        let scope = moro::async_scope!(|s| {
            for _ in 0..CHILDREN {
                s.spawn(child(&count));
            }
        });
        scope.await
    });
    children_lap(clock, count.load(Relaxed))
}

fn noop() -> usize {
    black_box(1)
}

fn gathered() -> impl FnMut() -> Lap {
    let mut pool = Footbridge::new(FOUR);
    let call = Asyncify::new().pool(&pool.submitter()).wrap(noop);
    move || {
        let clock = Clock::start();
        let ones = pool.block_on(gather(repeat_with(&call).take(CALLS)));
        lap(clock, &ones)
    }
}

fn join_all_unblocked() -> Lap {
    let clock = Clock::start();
    let calls = join_all(repeat_with(|| blocking::unblock(noop)).take(CALLS));
    let ones = futures_lite::future::block_on(calls);
    lap(clock, &ones)
}

fn join_set() -> impl FnMut() -> Lap {
    let mut pool = Tokio::new(FOUR);
    move || {
        let clock = Clock::start();
        let ones = pool.block_on(async {
            let mut calls = JoinSet::new();
            for _ in 0..CALLS {
                calls.spawn_blocking(noop);
            }
            calls.join_all().await
        });
        lap(clock, &ones)
    }
}

fn lap(clock: Clock, ones: &[usize]) -> Lap {
    let lap = clock.stop(CALLS);
    assert_eq!(ones.iter().sum::<usize>(), CALLS);
    lap
}
