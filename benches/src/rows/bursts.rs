//! Jobs that compute, more of them than there are cores: how many threads they bring, and what those do to a loop beside
//! them.

use super::Row;
use super::pool::at_once;
use crate::lap::{Clock, Lap, Peer, compute};
use crate::peers::pools::{Footbridge, Pool, Tokio};
use crate::place::threads;
use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub fn rows() -> Vec<Row> {
    let brief = |id, work, unit, peers| Row {
        rounds: 5,
        ..Row::new(id, work, unit, peers)
    };
    vec![
        brief(
            "W14",
            "threads brought by 1,000 jobs that compute for 1 ms",
            "threads",
            || started(1000, 1000),
        ),
        brief(
            "W14/100us",
            "threads brought by 5,000 jobs that compute for 100 us",
            "threads",
            || started(5000, 100),
        ),
        brief(
            "W14/10us",
            "threads brought by 10,000 jobs that compute for 10 us",
            "threads",
            || started(10_000, 10),
        ),
        brief(
            "W14/late",
            "lateness of a 1 ms ticker beside 600 jobs of 1 ms, p90",
            "us",
            || ticker(90),
        ),
        brief(
            "W14/late99",
            "lateness of a 1 ms ticker beside 600 jobs of 1 ms, p99",
            "us",
            || ticker(99),
        ),
    ]
}

fn tokio() -> Tokio {
    Tokio::new(None)
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn started(jobs: usize, microseconds: u64) -> Vec<Peer> {
    let job = Duration::from_micros(microseconds);
    vec![
        Peer::new(Footbridge::NAME, threads_of(Footbridge::cold, jobs, job)),
        Peer::new(Tokio::NAME, threads_of(tokio, jobs, job)),
        Peer::limit("2 x cores + 1", (2 * cores() + 1) as f64),
    ]
}

/// Both pools keep a thread for ten seconds, so none that was started has gone when they are counted.
fn threads_of<P: Pool>(make: fn() -> P, jobs: usize, job: Duration) -> impl FnMut() -> Lap {
    move || {
        cold(make, |pool, before| {
            let lap = at_once(pool, jobs, move || compute(job));
            Lap {
                value: threads().difference(before).count() as f64,
                ..lap
            }
        })
    }
}

/// Beside pools as they come, and beside ours of a fixed size.
fn ticker(percent: usize) -> Vec<Peer> {
    let ours = footbridge::time::sleep;
    let a_core_each = || Footbridge::new(Some(cores()));
    let most = || Footbridge::new(Some(2 * cores() + 1));
    vec![
        Peer::new(Footbridge::NAME, late(Footbridge::cold, ours, percent)),
        Peer::new("1 x cores", late(a_core_each, ours, percent)),
        Peer::new("2 x cores + 1", late(most, ours, percent)),
        Peer::new(Tokio::NAME, late(tokio, tokio::time::sleep, percent)),
    ]
}

/// How late so many percent of the ticks are at the most. The ticker is the main future of the loop that awaits the jobs.
fn late<P: Pool, T: Future + 'static>(
    make: fn() -> P,
    sleep: fn(Duration) -> T,
    percent: usize,
) -> impl FnMut() -> Lap {
    const JOBS: usize = 600;
    const JOB: Duration = Duration::from_millis(1);
    const TICK: Duration = Duration::from_millis(1);
    move || {
        cold(make, |pool, _| {
            let submitter = pool.submitter();
            let clock = Clock::start();
            let mut late = pool.block_on(async {
                let left = Arc::new(AtomicUsize::new(JOBS));
                let submit = |_| {
                    let left = left.clone();
                    P::submit(&submitter, move || {
                        compute(JOB);
                        left.fetch_sub(1, Ordering::Relaxed);
                    })
                };
                let jobs: Vec<_> = (0..JOBS).map(submit).collect();
                let mut late = Vec::new();
                while left.load(Ordering::Relaxed) > 0 {
                    let due = Instant::now() + TICK;
                    sleep(TICK).await;
                    late.push(due.elapsed());
                }
                for job in jobs {
                    P::result(job).await;
                }
                late
            });
            let lap = clock.stop(JOBS);
            late.sort();
            Lap {
                value: late[late.len() * percent / 100].as_nanos() as f64 / 1000.0,
                ..lap
            }
        })
    }
}

/// A lap on a pool that has no threads when it begins. They are gone when it ends, lest they end during the next one.
fn cold<P: Pool>(make: fn() -> P, lap: impl FnOnce(&mut P, &HashSet<i32>) -> Lap) -> Lap {
    let before = threads();
    let mut pool = make();
    let lap = lap(&mut pool, &before);
    drop(pool);
    while !threads().is_subset(&before) {
        thread::sleep(Duration::from_millis(1));
    }
    lap
}
