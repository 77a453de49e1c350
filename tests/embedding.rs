//! What `docs/embedding.md` says of a program that has us inside: how many threads there are, and how much stack they need.
#![cfg(not(footbridge_loom))]

mod common;

use common::{me, ms, watched};
use footbridge::{
    EventLoop, Limiter, Pool, asyncify, check_cancelled, gather, run, syncify, time, yield_now,
};
use std::thread;

/// For debug builds, whose frames are the largest. Linux itself wants 16.
const SMALL_STACK: usize = 64 << 10;

// W1, decision 5
#[test]
fn a_loop_without_blocking_calls_starts_no_thread() {
    watched(|| {
        let pool = Pool::builder().build();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        let limiter = Limiter::new(1);
        event_loop.run_until(async {
            let task = footbridge::spawn(time::sleep(ms(1)));
            let handle = footbridge::Handle::current();
            let posted = thread::spawn(move || handle.spawn(|| async { me() }));
            assert_eq!(posted.join().unwrap().await.unwrap(), me());
            drop(limiter.acquire().await);
            task.await.unwrap();
        });
        assert_eq!(pool.stats().threads, 0);
    });
}

// S20, decision 3
#[test]
fn both_bridges_nested_work_on_stacks_of_64_kib() {
    fn nested(pool: Pool, depth: usize) -> usize {
        check_cancelled().unwrap();
        match depth {
            0 => 0,
            _ => 1 + syncify(go_deeper)(pool, depth - 1).unwrap(),
        }
    }
    async fn go_deeper(pool: Pool, depth: usize) -> usize {
        yield_now().await;
        let inner = pool.clone();
        pool.spawn_blocking(move || nested(inner, depth)).await
    }
    fn bridges() {
        let pool = Pool::builder().thread_stack_size(SMALL_STACK).build();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        let depths = event_loop.run_until(async {
            let calls =
                (0..10).map(|depth| time::timeout(ms(60_000), go_deeper(pool.clone(), depth)));
            gather(calls).await
        });
        let expected: Vec<_> = (0..10).map(Ok).collect();
        assert_eq!(depths, expected);
        run(async { assert_eq!(asyncify(|n: u32| n + 1)(1).await, 2) });
        pool.shutdown(ms(60_000)).unwrap();
    }
    watched(|| {
        let small = thread::Builder::new().stack_size(SMALL_STACK);
        small.spawn(bridges).unwrap().join().unwrap();
    });
}
