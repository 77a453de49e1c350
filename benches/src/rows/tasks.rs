//! Tasks of a loop: spawned, joined, rescheduled by themselves.

use super::{Row, growth};
use crate::lap::{Clock, Lap, Peer};
use crate::peers::loops::{Footbridge, Loop, Tasks, each_local_loop};
use futures_lite::future::yield_now;
use std::hint::black_box;

const MANY: usize = 100_000;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W1",
            "spawn 100k ready tasks, join all",
            "ns/task",
            || each_local_loop!(L => spawn_then_join::<L>(MANY)),
        ),
        Row::new(
            "W1s",
            "spawn one task, await it",
            "ns/task",
            || each_local_loop!(L => spawn_one::<L>(MANY)),
        ),
        Row::new(
            "W2",
            "1000 tasks yield 100 times each",
            "ns/yield",
            || each_local_loop!(L => yields(L::new(), 1000, 100)),
        ),
        Row::new(
            "W2/watched",
            "... on a loop with a hook of on_blocked",
            "ns/yield",
            || {
                vec![
                    Peer::new("footbridge", yields(Footbridge::watched(), 1000, 100)),
                    Peer::new("unwatched", yields(Footbridge::new(), 1000, 100)),
                ]
            },
        ),
        Row::new(
            "W1/growth",
            "spawn ready tasks, join all, as many as each line says",
            "ns/task",
            || growth(|tasks| Box::new(spawn_then_join::<Footbridge>(tasks))),
        ),
    ]
}

/// All are spawned before the first is awaited.
fn spawn_then_join<L: Tasks>(tasks: usize) -> impl FnMut() -> Lap {
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

fn spawn_one<L: Tasks>(tasks: usize) -> impl FnMut() -> Lap {
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
fn yields<L: Tasks>(mut event_loop: L, tasks: usize, times: usize) -> impl FnMut() -> Lap {
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
