//! Jobs by the thousand: empty ones, short ones and sleeping ones; on pools of four threads, and on pools as they come.

use super::{Row, growth};
use crate::lap::{Clock, Lap, Peer};
use crate::peers::each;
use crate::peers::pools::{self, Pool, each_pool};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MANY: usize = 100_000;
const FOUR: Option<usize> = Some(4);

/// A row for pools of four: blocking's only pool is told by its environment.
fn of_four(id: &'static str, work: &'static str, peers: fn() -> Vec<Peer>) -> Row {
    Row {
        env: &[("BLOCKING_MAX_THREADS", "4")],
        ..Row::new(id, work, "ns/job", peers)
    }
}

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W6",
            "100k empty jobs at once, pools as they come",
            "ns/job",
            || {
                let mut peers = each_pool!(P => burst::<P>(None, MANY));
                peers.push(Peer::new("rayon, counted", counted(None)));
                peers
            },
        ),
        of_four("W6c", "100k empty jobs at once, pools of 4", || {
            let mut peers = each_pool!(P => burst::<P>(FOUR, MANY));
            peers.push(Peer::new("rayon, counted", counted(FOUR)));
            peers
        }),
        of_four("W6b", "100k jobs of 1 microsecond, pools of 4", || {
            busy_pools(MANY, 1)
        }),
        of_four(
            "W6b/10us",
            "10k jobs of 10 microseconds, pools of 4",
            || busy_pools(MANY / 10, 10),
        ),
        of_four(
            "W6n",
            "4 jobs submit 25k jobs each, pools of 4",
            || each_pool!(P => nested::<P>(FOUR, MANY)),
        ),
        Row::new(
            "W6n/auto",
            "4 jobs submit 25k jobs each, pools as they come",
            "ns/job",
            || each_pool!(P => nested::<P>(None, MANY)),
        ),
        Row::new(
            "W11",
            "500 sleeps of 10 ms on a cold pool of 40 threads",
            "ms",
            || {
                let mut peers = each!(P in pools [Footbridge, Tokio, Threadpool, Rayon] => sleeps::<P>(40, 500, 10));
                peers.push(Peer::ideal(130.0));
                peers
            },
        ),
        Row::new(
            "W11s",
            "500 sleeps of 1 ms on a cold pool of 40 threads",
            "ms",
            || {
                let mut peers = each!(P in pools [Footbridge, Tokio, Threadpool, Rayon] => sleeps::<P>(40, 500, 1));
                peers.push(Peer::ideal(13.0));
                peers
            },
        ),
        Row::new(
            "W6/growth",
            "empty jobs at once, as many as each line says",
            "ns/job",
            || growth(|jobs| Box::new(burst::<pools::Footbridge>(None, jobs))),
        ),
    ]
}

fn burst<P: Pool>(threads: Option<usize>, jobs: usize) -> impl FnMut() -> Lap {
    let mut pool = P::new(threads);
    move || at_once(&mut pool, jobs, || ())
}

fn busy_pools(jobs: usize, microseconds: u32) -> Vec<Peer> {
    let spins = microseconds * spins_per_microsecond();
    let mut peers = each_pool!(P => busy::<P>(FOUR, jobs, spins));
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let ideal = f64::from(microseconds) * 1000.0 / cores.min(4) as f64;
    peers.push(Peer::ideal(ideal));
    peers
}

fn busy<P: Pool>(threads: Option<usize>, jobs: usize, spins: u32) -> impl FnMut() -> Lap {
    let mut pool = P::new(threads);
    move || at_once(&mut pool, jobs, move || spin(spins))
}

/// The pool is made within the lap, so it starts all of its threads there; it is ended outside.
fn sleeps<P: Pool>(threads: usize, jobs: usize, milliseconds: u64) -> impl FnMut() -> Lap {
    let asleep = Duration::from_millis(milliseconds);
    move || {
        let clock = Clock::start();
        let mut pool = P::new(Some(threads));
        at_once(&mut pool, jobs, move || thread::sleep(asleep));
        let lap = clock.stop(1);
        Lap {
            value: lap.value / 1e6,
            ..lap
        }
    }
}

/// All are submitted before the first is awaited.
pub(super) fn at_once<P: Pool>(
    pool: &mut P,
    jobs: usize,
    work: impl Fn() + Copy + Send + 'static,
) -> Lap {
    let submitter = pool.submitter();
    let clock = Clock::start();
    let sum = pool.block_on(async {
        let mut handles = Vec::with_capacity(jobs);
        for job in 0..jobs {
            let job = move || {
                work();
                black_box(job)
            };
            handles.push(P::submit(&submitter, job));
        }
        let mut sum = 0;
        for handle in handles {
            sum += P::result(handle).await;
        }
        sum
    });
    let lap = clock.stop(jobs);
    assert_eq!(sum, jobs * (jobs - 1) / 2);
    lap
}

/// Four jobs submit the others and give back what these are awaited by.
fn nested<P: Pool>(threads: Option<usize>, jobs: usize) -> impl FnMut() -> Lap {
    let mut pool = P::new(threads);
    let each = jobs / 4;
    move || {
        let submitter = pool.submitter();
        let clock = Clock::start();
        let sum: usize = pool.block_on(async {
            let mut outer = Vec::with_capacity(4);
            for _ in 0..4 {
                let inside = submitter.clone();
                let submit_all = move || {
                    let mut handles = Vec::with_capacity(each);
                    for job in 0..each {
                        handles.push(P::submit(&inside, move || black_box(job)));
                    }
                    handles
                };
                outer.push(P::submit(&submitter, submit_all));
            }
            let mut sum = 0;
            for handle in outer {
                for inner in P::result(handle).await {
                    sum += P::result(inner).await;
                }
            }
            sum
        });
        let lap = clock.stop(jobs);
        assert_eq!(sum, 4 * (each * (each - 1) / 2));
        lap
    }
}

/// rayon as it is used where the results are not wanted: the last job wakes the thread that waits for all. Less work than the
/// others do, so no bar compares with it.
fn counted(threads: Option<usize>) -> impl FnMut() -> Lap {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build()
        .unwrap();
    move || {
        let left = Arc::new(AtomicUsize::new(MANY));
        let clock = Clock::start();
        for job in 0..MANY {
            let (left, waiting) = (left.clone(), thread::current());
            pool.spawn(move || {
                black_box(job);
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    waiting.unpark();
                }
            });
        }
        while left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
        clock.stop(MANY)
    }
}

fn spin(times: u32) {
    for i in 0..times {
        black_box(i);
    }
}

/// By the fastest of many tries: another process can only make one slower.
fn spins_per_microsecond() -> u32 {
    const TIMES: u32 = 100_000;
    let try_once = |_| {
        let begin = Instant::now();
        spin(TIMES);
        begin.elapsed()
    };
    let fastest = (0..200).map(try_once).min().unwrap_or_default();
    (f64::from(TIMES) * 1000.0 / fastest.as_nanos().max(1) as f64).round() as u32
}
