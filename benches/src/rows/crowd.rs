//! A call beside a crowd, of workers that wait, of idle threads, of tasks in line at a limiter: it should cost what it costs
//! without.
//!
//! A crowd gathers anew for each lap and has gone when the lap ends, since a part of its cost may fall on all of the
//! process. Only ours: the question isn't which is faster.

use super::Row;
use crate::lap::{Clock, Lap, Peer, repeated};
use footbridge::time::sleep;
use footbridge::{EventLoop, Limiter, Pool, asyncify, gather, spawn, syncify, yield_now};
use futures::FutureExt;
use futures::channel::oneshot;
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Duration;

const PARKED: usize = 3000;
const IDLE: usize = 512;
const IN_LINE: usize = 100_000;

pub fn rows() -> Vec<Row> {
    let beside = |id, work, unit, peers| Row {
        rounds: 7,
        ..Row::new(id, work, unit, peers)
    };
    vec![
        beside(
            "W13",
            "a job that waits for a job, beside 3,000 parked workers",
            "ns/call",
            || {
                vec![
                    Peer::new("footbridge", || beside_parked(PARKED)),
                    Peer::new("alone", || beside_parked(0)),
                ]
            },
        ),
        beside(
            "W13/idle",
            "a job that waits for a job, beside 512 idle threads",
            "ns/call",
            || {
                vec![
                    Peer::new("footbridge", || beside_idle(IDLE)),
                    Peer::new("alone", || beside_idle(0)),
                ]
            },
        ),
        beside(
            "W13/line",
            "a token given back, 100k wait at a limiter that was lowered",
            "ns/token",
            || {
                vec![
                    Peer::new("footbridge", || beside_line(IN_LINE)),
                    Peer::new("10 wait", repeated(20, || beside_line(10))),
                ]
            },
        ),
        beside(
            "W13/next",
            "a token given back goes to the next in line, 100k wait behind it",
            "ns/token",
            || {
                vec![
                    Peer::new("footbridge", || passed_along(IN_LINE)),
                    Peer::new("10 wait", repeated(20, || passed_along(10))),
                ]
            },
        ),
    ]
}

/// Each of them waits in `syncify`.
fn beside_parked(workers: usize) -> Lap {
    with_pool(async |pool| {
        let (open, gate) = oneshot::channel::<()>();
        let gate = gate.shared();
        let wait = asyncify(move || {
            let gate = gate.clone();
            syncify(move || gate.clone())().unwrap()
        });
        let parked = spawn(gather((0..workers).map(move |_| wait())));
        while pool.stats().parked_in_syncify < workers {
            sleep(Duration::from_millis(5)).await;
        }
        let lap = calls(pool).await;
        drop(open);
        parked.await.unwrap();
        lap
    })
}

/// They have all been at work together.
fn beside_idle(threads: usize) -> Lap {
    with_pool(async |pool| {
        let all_are_there = Arc::new(Barrier::new(threads));
        let meet = asyncify(move || all_are_there.wait().is_leader());
        gather((0..threads).map(|_| meet())).await;
        calls(pool).await
    })
}

/// A pool and its loop for one lap. None of its threads is left when it ends.
fn with_pool(lap: impl AsyncFnOnce(&Pool) -> Lap) -> Lap {
    let pool = Pool::builder().thread_stack_size(64 << 10).build();
    let mut event_loop = EventLoop::builder().pool(&pool).build();
    let lap = event_loop.run_until(lap(&pool));
    drop(event_loop);
    pool.shutdown(Duration::MAX).unwrap();
    lap
}

/// One after another: a job whose inner job runs on another thread, while it waits. Those before the clock starts are
/// for the pool's threads, which the crowd has already and a lone call hasn't.
async fn calls(pool: &Pool) -> Lap {
    const CALLS: usize = 500;
    let pool = pool.clone();
    let call = asyncify(move || pool.spawn_blocking(|| black_box(1)).join());
    for _ in 0..CALLS / 10 {
        call().await;
    }
    let clock = Clock::start();
    let mut sum = 0;
    for _ in 0..CALLS {
        sum += call().await;
    }
    let lap = clock.stop(CALLS);
    assert_eq!(sum, CALLS);
    lap
}

/// The only token goes from task to task. The last of them, behind which `waiting` others wait, keeps it.
fn passed_along(waiting: usize) -> Lap {
    const TASKS: usize = 1000;
    footbridge::run(async {
        let limiter = Limiter::new(1);
        let held = limiter.try_acquire();
        let tasks: Vec<_> = (1..=TASKS + waiting)
            .map(|task| {
                let acquire = limiter.acquire();
                spawn(async move { Some(acquire.await).filter(|_| task == TASKS) })
            })
            .collect();
        // Each gets in line.
        yield_now().await;
        let clock = Clock::start();
        drop(held);
        let mut tasks = tasks.into_iter();
        let kept = tasks.nth(TASKS - 1).unwrap().await.unwrap();
        let lap = clock.stop(TASKS);
        assert!(kept.is_some() && tasks.all(|task| !task.is_finished()));
        lap
    })
}

/// A limiter with more tokens borrowed than it has, so that none goes to those in line.
fn beside_line(waiting: usize) -> Lap {
    const TOKENS: usize = 1000;
    footbridge::run(async {
        let limiter = Limiter::new(TOKENS);
        let mut held: Vec<_> = (0..TOKENS)
            .map(|_| limiter.try_acquire().unwrap())
            .collect();
        let tasks: Vec<_> = (0..waiting).map(|_| spawn(limiter.acquire())).collect();
        // Each gets in line.
        yield_now().await;
        limiter.set_total_tokens(1);
        let clock = Clock::start();
        held.truncate(1);
        let lap = clock.stop(TOKENS - 1);
        assert!(tasks.iter().all(|task| !task.is_finished()));
        lap
    })
}
