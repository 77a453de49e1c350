//! Temporary loops: made, used once, ended.

use super::Row;
use crate::lap::{Clock, Lap, Peer};
use async_executor::LocalExecutor;
use futures::executor::LocalPool;
use futures::task::LocalSpawnExt;
use std::hint::black_box;

const LOOPS: usize = 20_000;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W8",
            "a temporary loop: make it, run a ready future, end it",
            "ns/loop",
            || {
                vec![
                    Peer::new("footbridge", || each(|i| footbridge::run(ready(i)))),
                    Peer::new("futures", || each(|i| LocalPool::new().run_until(ready(i)))),
                    Peer::new("tokio", || each(|i| tokio_runtime().block_on(ready(i)))),
                ]
            },
        ),
        Row::new(
            "W8s",
            "... and spawn and join one task in it",
            "ns/loop",
            || {
                vec![
                    Peer::new("footbridge", || each(ours)),
                    Peer::new("futures", || each(futures_one)),
                    Peer::new("unsend", || each(unsend_one)),
                    Peer::new("async-executor", || each(async_executor_one)),
                    Peer::new("tokio", || each(tokio_one)),
                ]
            },
        ),
    ]
}

async fn ready(i: usize) -> usize {
    black_box(i)
}

fn each(mut temporary: impl FnMut(usize) -> usize) -> Lap {
    let clock = Clock::start();
    let mut sum = 0;
    for i in 0..LOOPS {
        sum += temporary(i);
    }
    let lap = clock.stop(LOOPS);
    assert_eq!(sum, LOOPS * (LOOPS - 1) / 2);
    lap
}

fn ours(i: usize) -> usize {
    footbridge::run(async move { footbridge::spawn(ready(i)).await.unwrap() })
}

fn futures_one(i: usize) -> usize {
    let mut pool = LocalPool::new();
    let task = pool.spawner().spawn_local_with_handle(ready(i)).unwrap();
    pool.run_until(task)
}

fn unsend_one(i: usize) -> usize {
    let executor = unsend::executor::Executor::new();
    let task = executor.spawn(ready(i));
    futures_lite::future::block_on(executor.run(task))
}

fn async_executor_one(i: usize) -> usize {
    let executor = LocalExecutor::new();
    let task = executor.spawn(ready(i));
    futures_lite::future::block_on(executor.run(task))
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn tokio_one(i: usize) -> usize {
    let local = tokio::task::LocalSet::new();
    local.block_on(&tokio_runtime(), async move {
        tokio::task::spawn_local(ready(i)).await.unwrap()
    })
}
