//! Rows that `compare` hasn't got: what an optimisation is for that shows only on a busy machine, or in how long a lock is
//! held.

use benches::lap::{Clock, Lap, Peer};
use benches::report::OURS;
use benches::rows::{self, Row};
use footbridge::{
    Asyncify, EventLoop, Handle, Limiter, Pool, asyncify, run, spawn, spawn_blocking, syncify,
    yield_now,
};
use futures::channel::oneshot;
use std::future::{Future, poll_fn};
use std::hint::{black_box, spin_loop};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Those of `compare`, and those here.
pub fn all() -> Vec<Row> {
    let own = [
        row(
            "busy",
            "a call, beside threads that compute",
            "ns/call",
            busy,
        ),
        row(
            "join",
            "a thread outside the pool joins a job",
            "ns/call",
            join,
        ),
        row(
            "block_on",
            "a thread outside calls into a loop",
            "ns/call",
            block_on,
        ),
        row("late", "a job waits for a sleep of 500 us", "ns/call", late),
        row(
            "permit",
            "a yield, in a job that holds a token",
            "ns/yield",
            permit,
        ),
        row(
            "wakes",
            "a thread wakes a task again and again",
            "ns/wake",
            wakes,
        ),
        row(
            "lock",
            "the longest wait for a pool's lock, while 100k jobs are given back",
            "ns",
            given_back,
        ),
        row(
            "line",
            "the longest wait for a limiter's lock, while 100k tokens are granted",
            "ns",
            granted,
        ),
        row(
            "grow",
            "2,000 sleeps of 20 ms on a cold pool of 2,000 threads",
            "ns",
            grow,
        ),
    ];
    rows::all().into_iter().chain(own).collect()
}

fn row(id: &'static str, work: &'static str, unit: &'static str, peers: fn() -> Vec<Peer>) -> Row {
    Row {
        id,
        work,
        unit,
        peers,
        rounds: 9,
        exact: false,
        lacks: || None,
        env: &[],
    }
}

fn ours(lap: impl FnMut() -> Lap + 'static) -> Vec<Peer> {
    vec![Peer::new(OURS, lap)]
}

const CALLS: usize = 500;

/// One after another.
fn calls(mut call: impl FnMut()) -> Lap {
    let clock = Clock::start();
    (0..CALLS).for_each(|_| call());
    clock.stop(CALLS)
}

/// Threads that compute until this is dropped, two for each processor.
struct Busy(Arc<AtomicBool>, Vec<JoinHandle<()>>);

impl Busy {
    fn new() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let compute = |_| {
            let stop = stop.clone();
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    spin_loop();
                }
            })
        };
        let threads = (0..2 * cores).map(compute).collect();
        Self(stop, threads)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        for thread in self.1.drain(..) {
            thread.join().unwrap();
        }
    }
}

fn busy() -> Vec<Peer> {
    let mut event_loop = EventLoop::new();
    ours(move || {
        let _busy = Busy::new();
        let call = asyncify(|| black_box(1));
        calls(|| {
            event_loop.run_until(call());
        })
    })
}

fn join() -> Vec<Peer> {
    let pool = Pool::builder().build();
    ours(move || calls(|| assert_eq!(pool.spawn_blocking(|| black_box(1)).join(), 1)))
}

fn block_on() -> Vec<Peer> {
    ours(|| {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let on_loop = thread::spawn(|| {
            run(async move {
                tell.send(Handle::current()).unwrap();
                let _ = stopped.await;
            });
        });
        let handle = told.recv().unwrap();
        let lap = calls(|| assert_eq!(handle.block_on(|| async { black_box(1) }), Ok(1)));
        drop(stop);
        on_loop.join().unwrap();
        lap
    })
}

fn late() -> Vec<Peer> {
    const SLEEP: Duration = Duration::from_micros(500);
    ours(|| {
        let job = || calls(|| syncify(|| footbridge::time::sleep(SLEEP))().unwrap());
        run(async { asyncify(job)().await })
    })
}

fn permit() -> Vec<Peer> {
    const YIELDS: usize = 50_000;
    let yields = async || {
        let clock = Clock::start();
        for _ in 0..YIELDS {
            yield_now().await;
        }
        clock.stop(YIELDS)
    };
    let holder = Asyncify::new().limiter(&Limiter::new(1));
    let job = holder.wrap(move || syncify(yields)().unwrap());
    ours(move || run(async { job().await }))
}

/// Each wake but those that the loop has seen already is in vain.
fn wakes() -> Vec<Peer> {
    const WAKES: usize = 100_000;
    ours(|| {
        run(async {
            let (send, waker) = oneshot::channel();
            let mut send = Some(send);
            let done = Arc::new(AtomicBool::new(false));
            let is_done = done.clone();
            let task = spawn(poll_fn(move |context| {
                if let Some(send) = send.take() {
                    let _ = send.send(context.waker().clone());
                }
                if is_done.load(Ordering::Acquire) {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            }));
            let waker = waker.await.unwrap();
            let waking = spawn_blocking(move || {
                let clock = Clock::start();
                (0..WAKES).for_each(|_| waker.wake_by_ref());
                let lap = clock.stop(WAKES);
                done.store(true, Ordering::Release);
                waker.wake();
                lap
            });
            task.await.unwrap();
            waking.await
        })
    })
}

const MANY: usize = 100_000;

/// `look` again and again until it says that it is enough. How long the longest took.
fn longest(mut look: impl FnMut() -> bool) -> Lap {
    let clock = Clock::start();
    let mut longest = Duration::ZERO;
    let mut enough = false;
    while !enough {
        let begin = Instant::now();
        enough = look();
        longest = longest.max(begin.elapsed());
    }
    Lap {
        value: longest.as_nanos() as f64,
        ..clock.stop(1)
    }
}

fn grow() -> Vec<Peer> {
    const THREADS: usize = 2000;
    ours(|| {
        let pool = Pool::builder().max_threads(THREADS).build();
        let clock = Clock::start();
        let sleep = |_| pool.spawn_blocking(|| thread::sleep(Duration::from_millis(20)));
        let sleeps: Vec<_> = (0..THREADS).map(sleep).collect();
        sleeps.into_iter().for_each(|sleep| sleep.join());
        let lap = clock.stop(1);
        let _ = pool.shutdown(Duration::MAX);
        lap
    })
}

fn given_back() -> Vec<Peer> {
    ours(|| {
        let pool = Pool::builder().max_threads(1).build();
        let own = pool.clone();
        let (tell, told) = mpsc::channel();
        let waits = pool.spawn_blocking(move || {
            let jobs: Vec<_> = (0..MANY).map(|_| own.spawn_blocking(|| ())).collect();
            tell.send(()).unwrap();
            jobs.into_iter().for_each(|job| job.join());
        });
        told.recv().unwrap();
        let lap = longest(|| pool.stats().parked_in_syncify > 0 || waits.is_finished());
        waits.join();
        lap
    })
}

fn granted() -> Vec<Peer> {
    ours(|| {
        let limiter = Limiter::new(0);
        let mut line: Vec<_> = (0..MANY).map(|_| Box::pin(limiter.acquire())).collect();
        let mut context = Context::from_waker(Waker::noop());
        for acquire in &mut line {
            assert!(acquire.as_mut().poll(&mut context).is_pending());
        }
        let all = limiter.clone();
        let grants = thread::spawn(move || all.set_total_tokens(MANY));
        let lap = longest(|| limiter.borrowed_tokens() == MANY);
        grants.join().unwrap();
        lap
    })
}
