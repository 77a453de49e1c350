//! Jobs that compute, more of them than there are cores: how many threads they bring, and what those do to a loop beside
//! them.

use super::Row;
use super::pool::{at_once, spin, spins_per_microsecond};
use crate::lap::{Clock, Lap, Peer};
use crate::peers::pools::{Footbridge, Pool, Tokio};
use crate::place::threads;
use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Some half a second of computing on two cores.
const JOBS: usize = 1000;
const JOB: u32 = 1000;

pub fn rows() -> Vec<Row> {
    let brief = |id, work, unit, peers| Row {
        rounds: 5,
        ..Row::new(id, work, unit, peers)
    };
    vec![
        brief(
            "W14",
            "threads that 1,000 jobs of 1 ms of computing bring, pools as they come",
            "threads",
            || started(JOBS, JOB),
        ),
        brief(
            "W14/100us",
            "threads that 5,000 jobs of 100 microseconds bring",
            "threads",
            || started(5000, 100),
        ),
        brief(
            "W14/10us",
            "threads that 10,000 jobs of 10 microseconds bring",
            "threads",
            || started(10_000, 10),
        ),
        brief(
            "W14/late",
            "how late a ticker of 1 ms is beside 1,000 such jobs: the 99th percentile",
            "us",
            || {
                let microsecond = spins_per_microsecond();
                let ours = footbridge::time::sleep;
                let of_two = || Footbridge::new(Some(2));
                vec![
                    Peer::new(Footbridge::NAME, late(Footbridge::cold, ours, microsecond)),
                    Peer::new("a pool of 2", late(of_two, ours, microsecond)),
                    Peer::new(Tokio::NAME, late(tokio, tokio::time::sleep, microsecond)),
                ]
            },
        ),
    ]
}

fn tokio() -> Tokio {
    Tokio::new(None)
}

fn started(jobs: usize, microseconds: u32) -> Vec<Peer> {
    let spins = microseconds * spins_per_microsecond();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    vec![
        Peer::new(Footbridge::NAME, threads_of(Footbridge::cold, jobs, spins)),
        Peer::new(Tokio::NAME, threads_of(tokio, jobs, spins)),
        Peer::limit("2 x cores + 1", (2 * cores + 1) as f64),
    ]
}

/// Both pools keep a thread for ten seconds, so none that was started has gone when they are counted.
fn threads_of<P: Pool>(make: fn() -> P, jobs: usize, spins: u32) -> impl FnMut() -> Lap {
    move || {
        cold(make, |pool, before| {
            let lap = at_once(pool, jobs, move || spin(spins));
            Lap {
                value: threads().difference(before).count() as f64,
                ..lap
            }
        })
    }
}

/// The ticker is the main future of the loop that awaits the jobs.
fn late<P: Pool, T: Future + 'static>(
    make: fn() -> P,
    sleep: fn(Duration) -> T,
    microsecond: u32,
) -> impl FnMut() -> Lap {
    const TICK: Duration = Duration::from_millis(1);
    let spins = JOB * microsecond;
    move || {
        cold(make, |pool, _| {
            let submitter = pool.submitter();
            let clock = Clock::start();
            let mut late = pool.block_on(async {
                let left = Arc::new(AtomicUsize::new(JOBS));
                let submit = |_| {
                    let left = left.clone();
                    P::submit(&submitter, move || {
                        spin(spins);
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
                value: late[late.len() * 99 / 100].as_nanos() as f64 / 1000.0,
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
