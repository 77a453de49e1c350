//! A million tasks, timers and queued jobs, and ten thousand workers parked over time: once they are gone, the
//! allocator's count of live bytes is what it was before, and an item costs about the same however many there are.
//!
//! The bytes are asserted, the times only printed: `cargo test --release -p benches --test scale`. Each kind has a pass
//! first that doesn't count, since what is made once (a thread's own data, a global's) stays.

use benches::bytes;
use footbridge::time::sleep;
use footbridge::{Asyncify, EventLoop, Pool, gather, syncify, yield_now};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

#[global_allocator]
static ALLOCATOR: bytes::Counting = bytes::Counting;

/// What crossbeam may keep for a thread that has ended: whatever the number of items, two bags of about 2 KB.
const BAGS: isize = 5000;

fn main() {
    bytes::count();
    let sizes = [10_000, 100_000, 1_000_000];

    let mut event_loop = EventLoop::new();
    check("tasks, on one loop", 0, &sizes, |tasks| {
        alive_at_once(&mut event_loop, tasks)
    });
    check("timers dropped, on one loop", 0, &sizes, |timers| {
        dropped(&mut event_loop, timers)
    });
    check("tasks, on one loop that is ticked", 0, &sizes, |tasks| {
        ticked(&mut event_loop, tasks)
    });
    drop(event_loop);
    check("tasks, a loop for each pass", 0, &sizes, |tasks| {
        alive_at_once(&mut EventLoop::new(), tasks)
    });
    check("timers, a loop for each pass", 0, &sizes, |timers| {
        dropped(&mut EventLoop::new(), timers)
    });

    // On one loop their queue keeps a capacity that depends on how many were due at once.
    check(
        "timers that fire, a loop for each pass",
        0,
        &sizes,
        |timers| fire(&mut EventLoop::new(), timers),
    );

    let pool = Pool::builder()
        .max_threads(4)
        .keep_alive(Duration::MAX)
        .build();
    check("queued jobs, on one pool", BAGS, &sizes, |jobs| {
        queued(&pool, jobs)
    });
    drop(pool);
    check("queued jobs, a pool for each pass", BAGS, &sizes, |jobs| {
        let pool = Pool::builder().max_threads(4).build();
        queued(&pool, jobs);
        pool.shutdown(Duration::MAX).unwrap();
    });
    check(
        "workers parked, a pool for each pass",
        BAGS,
        &[100, 1000, 10_000],
        |workers| {
            let pool = Pool::builder().max_threads(4).build();
            parked(&pool, workers);
            pool.shutdown(Duration::MAX).unwrap();
        },
    );
}

/// A pass of each size, after one of each that doesn't count: there is nothing left then to be made once.
fn check(what: &str, slack: isize, sizes: &[usize; 3], mut pass: impl FnMut(usize)) {
    let largest = sizes[2];
    let start = settled();
    sizes.iter().for_each(|&size| pass(size));
    let before = settled();
    // On this one the system's allocator spends the time to tidy up after the last million.
    pass(sizes[0]);
    let cost = sizes.map(|size| {
        let begin = Instant::now();
        pass(size);
        begin.elapsed().as_nanos() / size as u128
    });
    let more = settled() - before;
    println!(
        "{what:<39} {sizes:?} {cost:?} ns each; {} bytes kept by what is there still, {more} more",
        before - start
    );
    assert!(
        more <= slack,
        "{what}: it has grown by {:.3} bytes for each of {largest}",
        more as f64 / largest as f64
    );
}

/// Live bytes, once no thread that is ending gives any back. crossbeam's queues free what other threads may have looked
/// at only bit by bit, as they are used; here all of it.
fn settled() -> isize {
    let begin = Instant::now();
    let mut last = bytes::live();
    let mut same = 0;
    while same < 20 && begin.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(5));
        for _ in 0..100 {
            crossbeam_epoch::pin().flush();
        }
        let now = bytes::live();
        same = if now == last { same + 1 } else { 0 };
        last = now;
    }
    last
}

/// All are there before the first can end.
fn alive_at_once(event_loop: &mut EventLoop, tasks: usize) {
    event_loop.run_until(async {
        let open = Rc::new(Cell::new(false));
        let mut handles = Vec::with_capacity(tasks);
        for task in 0..tasks {
            let open = open.clone();
            handles.push(footbridge::spawn(async move {
                while !open.get() {
                    yield_now().await;
                }
                task
            }));
        }
        yield_now().await;
        open.set(true);
        for (task, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.await.unwrap(), task);
        }
    });
}

fn ticked(event_loop: &mut EventLoop, tasks: usize) {
    for _ in 0..tasks {
        drop(event_loop.spawn(yield_now()));
    }
    while event_loop.tick() {}
}

fn dropped(event_loop: &mut EventLoop, timers: usize) {
    event_loop.run_until(async {
        let durations =
            (0..timers as u64).map(|i| Duration::from_micros(60_000_000 + i * 7919 % 1_000_003));
        let mut all: Vec<_> = durations.map(sleep).collect();
        poll_fn(|context| {
            let polls = all.iter_mut().map(|timer| Pin::new(timer).poll(context));
            let pending = polls.filter(Poll::is_pending);
            assert_eq!(pending.count(), timers);
            Poll::Ready(())
        })
        .await;
    });
}

fn fire(event_loop: &mut EventLoop, timers: usize) {
    event_loop.run_until(async {
        let durations = (0..timers as u64).map(|i| Duration::from_micros(i * 7919 % 10_007));
        assert_eq!(gather(durations.map(sleep)).await.len(), timers);
    });
}

/// None can begin before all are queued: the pool's threads wait.
fn queued(pool: &Pool, jobs: usize) {
    let gates: Vec<mpsc::Sender<()>> = (0..4)
        .map(|_| {
            let (open, gate) = mpsc::channel();
            pool.spawn_blocking(move || gate.recv().is_ok()).detach();
            open
        })
        .collect();
    EventLoop::new().run_until(async {
        let handles: Vec<_> = (0..jobs)
            .map(|job| pool.spawn_blocking(move || job))
            .collect();
        gates.iter().for_each(|gate| gate.send(()).unwrap());
        for (job, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.await, job);
        }
    });
}

/// A hundred at once: each waits in `syncify` until all of them do.
fn parked(pool: &Pool, workers: usize) {
    const AT_ONCE: usize = 100;
    thread_local! {
        static WAITING: Cell<usize> = const { Cell::new(0) };
    }
    async fn until_all_wait() -> usize {
        WAITING.set(WAITING.get() + 1);
        while WAITING.get() < AT_ONCE {
            sleep(Duration::from_micros(100)).await;
        }
        1
    }
    EventLoop::new().run_until(async {
        let call = Asyncify::new()
            .pool(pool)
            .wrap(|| syncify(until_all_wait)().unwrap());
        for _ in 0..workers / AT_ONCE {
            WAITING.set(0);
            let ones = gather((0..AT_ONCE).map(|_| call())).await;
            assert_eq!(ones.iter().sum::<usize>(), AT_ONCE);
        }
    });
}
