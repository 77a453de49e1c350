//! Nesting never deadlocks: blocking code that calls async code that calls blocking code, deeper than
//! the pool has threads.
#![cfg(not(footbridge_loom))]

mod common;

use common::{me, panic_of, until, until_set, watched};
use footbridge::{
    Asyncify, BlockingTask, Handle, Limiter, Pool, Syncify, SyncifyError, asyncify, gather, run,
    spawn, spawn_blocking, syncify, yield_now,
};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::ThreadId;

/// A job that is nested in `depth` others on `pool`; the threads from the outermost to the innermost.
fn nested(pool: &Pool, depth: usize) -> BlockingTask<Vec<ThreadId>> {
    let deeper = pool.clone();
    pool.spawn_blocking(move || {
        let mut threads = vec![me()];
        if depth > 0 {
            threads.extend(syncify(async move || nested(&deeper, depth - 1).await)().unwrap());
        }
        threads
    })
}

// S20, S21, U4, decision 3
#[test]
fn a_chain_of_a_hundred_nested_calls_gets_through_a_pool_of_one_thread() {
    watched(|| {
        for max_threads in [1, 2, 40] {
            let pool = Pool::builder().max_threads(max_threads).build();
            let threads = run(async { nested(&pool, 100).await });
            let different: HashSet<_> = threads.iter().collect();
            assert_eq!(different.len(), 101, "each level keeps its own thread");
            until(|| pool.stats().parked_in_syncify == 0 && pool.stats().queued == 0);
        }
    });
}

// U4, decision 3: the deadlock of AnyIO, asyncio and tokio
#[test]
fn as_many_outer_calls_as_there_are_threads_may_each_call_back() {
    watched(|| {
        let pool = Pool::builder().max_threads(4).build();
        run(async {
            let all = Arc::new(Barrier::new(4));
            let outer = (0..4).map(|n| {
                let (all, inner) = (all.clone(), pool.clone());
                pool.spawn_blocking(move || {
                    all.wait();
                    syncify(async move || inner.spawn_blocking(move || n).await)()
                })
            });
            assert_eq!(gather(outer).await, [Ok(0), Ok(1), Ok(2), Ok(3)]);
        })
    });
}

// Decision 3: the job that a wait depends on may have been queued before it
#[test]
fn a_job_may_wait_for_one_that_was_queued_before_it_began_to_wait() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        run(async {
            let own = pool.clone();
            let outer = pool.spawn_blocking(move || {
                let queued = own.spawn_blocking(|| 7);
                syncify(async move |it: BlockingTask<i32>| it.await)(queued)
            });
            assert_eq!(outer.await, Ok(7));
        })
    });
}

// Decisions 3 and 7
#[test]
fn a_worker_that_waits_in_join_or_block_on_has_given_its_place_back() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        run(async {
            let (inner, handle) = (pool.clone(), Handle::current());
            let by_join = pool.spawn_blocking(move || inner.spawn_blocking(|| 1).join());
            assert_eq!(by_join.await, 1);
            let inner = pool.clone();
            let by_block_on = pool.spawn_blocking({
                let handle = handle.clone();
                move || handle.block_on(move || async move { inner.spawn_blocking(|| 2).await })
            });
            assert_eq!(by_block_on.await, Ok(2));
            let inner = pool.clone();
            let by_join_handle = pool.spawn_blocking(move || {
                handle
                    .spawn(move || async move { inner.spawn_blocking(|| 3).await })
                    .join()
            });
            assert_eq!(by_join_handle.await.unwrap(), 3);
        })
    });
}

// Decision 7
#[test]
fn a_worker_whose_own_loop_sleeps_has_released_its_slot() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let inner = pool.clone();
        let outer = pool.spawn_blocking(move || run(async { inner.spawn_blocking(|| 4).await }));
        assert_eq!(outer.join(), 4);
        let inner = pool.clone();
        let temporary = Syncify::new().raise_sync_error(false);
        let outer = pool.spawn_blocking(move || {
            temporary.wrap(async move || inner.spawn_blocking(|| 5).await)()
        });
        assert_eq!(outer.join(), Ok(5));
    });
}

// Decision 3: resuming never waits for a place
#[test]
fn a_worker_that_comes_back_from_waiting_goes_on_although_its_place_is_taken() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        run(async {
            let taken = Arc::new(AtomicBool::new(false));
            let (open, gate) = mpsc::channel::<()>();
            let (handle, taker) = (Handle::current(), pool.clone());
            let outer = pool.spawn_blocking(move || {
                let waited = handle.block_on(move || async move {
                    let mark = taken.clone();
                    let take_the_only_place = move || {
                        mark.store(true, SeqCst);
                        gate.recv().unwrap();
                    };
                    taker.spawn_blocking(take_the_only_place).detach();
                    until_set(&taken).await;
                });
                open.send(()).unwrap();
                waited
            });
            assert_eq!(outer.await, Ok(()));
        })
    });
}

// Decision 3
#[test]
fn more_waiting_jobs_than_max_parked_get_pool_exhausted_and_not_a_thread() {
    watched(|| {
        let pool = Pool::builder().max_parked(2).build();
        run(async {
            let inner = pool.clone();
            let innermost = nested_result(inner, 5);
            assert_eq!(innermost.await, Err((2, SyncifyError::PoolExhausted)));
        });
        assert_eq!(pool.stats().parked_in_syncify, 0);
        assert_eq!(
            run(async { nested(&pool, 1).await }).len(),
            2,
            "the places of the parked are free again"
        );
    });
}

// Decision 3
#[test]
fn jobs_that_wait_in_join_or_on_a_loop_of_their_own_are_never_refused_but_count_for_max_parked() {
    watched(|| {
        let pool = Pool::builder().max_parked(1).build();
        // As soon as the job outside waits.
        let is_refused = || until(|| syncify(async || ())() == Err(SyncifyError::PoolExhausted));
        let inner = pool.clone();
        let joins = move || inner.spawn_blocking(is_refused).join();
        run(async { pool.spawn_blocking(joins).await });
        let inner = pool.clone();
        let awaits = move || run(async { inner.spawn_blocking(is_refused).await });
        run(async { pool.spawn_blocking(awaits).await });

        let pool = Pool::builder().max_parked(0).build();
        let inner = pool.clone();
        let waits = move || {
            run(async { inner.spawn_blocking(|| ()).await });
            inner.spawn_blocking(|| ()).join();
        };
        run(async { pool.spawn_blocking(waits).await });
    });
}

// Decision 3
#[test]
fn a_worker_that_was_refused_a_wait_gives_its_place_back_in_the_next_one() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).max_parked(0).build();
        let inner = pool.clone();
        let job = move || {
            let refused = syncify(async || ())();
            (refused, inner.spawn_blocking(|| 5).join())
        };
        let answers = run(async { pool.spawn_blocking(job).await });
        assert_eq!(answers, (Err(SyncifyError::PoolExhausted), 5));
    });
}

/// Nests up to `depth`; on an error, says how deep it was.
fn nested_result(pool: Pool, depth: usize) -> BlockingTask<Result<(), (usize, SyncifyError)>> {
    fn level(
        pool: Pool,
        at: usize,
        depth: usize,
    ) -> BlockingTask<Result<(), (usize, SyncifyError)>> {
        let deeper = pool.clone();
        pool.spawn_blocking(move || {
            if at == depth {
                return Ok(());
            }
            let inner = syncify(async move || level(deeper, at + 1, depth).await)();
            inner.unwrap_or_else(|error| Err((at, error)))
        })
    }
    level(pool, 0, depth)
}

// Decision 3, U4
#[test]
fn asking_for_a_token_that_ones_own_callers_hold_is_an_error_and_not_a_wait() {
    watched(|| {
        for total in 1..=3 {
            let limiter = Limiter::new(total);
            let bounded = Asyncify::new().limiter(&limiter);
            fn level(bounded: Asyncify, depth: usize) -> BlockingTask<usize> {
                let deeper = bounded.clone();
                let call = bounded.wrap(move || match depth {
                    0 => 0,
                    _ => 1 + syncify(async move || level(deeper, depth - 1).await)().unwrap(),
                });
                call()
            }
            let fits = bounded.clone();
            assert_eq!(run(async { level(fits, total - 1).await }), total - 1);
            let text = panic_of(|| run(async { level(bounded, total).await }));
            assert!(text.starts_with("deadlock"), "{text}");
            assert!(
                text.contains("nesting.rs"),
                "it says where they were asked for: {text}"
            );
            until(|| limiter.borrowed_tokens() == 0);
        }
    });
}

// Decision 3: a token that somebody else will give back is worth waiting for
#[test]
fn a_nested_call_may_wait_for_a_token_that_a_stranger_holds() {
    watched(|| {
        let limiter = Limiter::new(2);
        let stranger = limiter.try_acquire().unwrap();
        run(async {
            let bounded = Asyncify::new().limiter(&limiter);
            let inner = bounded.clone();
            let outer = bounded.wrap(move || {
                let inner = inner.wrap(|| 5);
                syncify(async move |it: BlockingTask<i32>| it.await)(inner())
            });
            let outer = spawn(outer());
            let waiting = limiter.clone();
            spawn_blocking(move || until(|| format!("{waiting:?}").contains("waiting: 1"))).await;
            drop(stranger);
            assert_eq!(outer.await.unwrap(), Ok(5));
        })
    });
}

// Decision 3: the ancestry goes through a loop of one's own, too
#[test]
fn a_self_wait_is_also_found_through_a_nested_run() {
    watched(|| {
        let limiter = Limiter::new(1);
        let bounded = Asyncify::new().limiter(&limiter);
        let inner = bounded.clone();
        let outer = bounded.wrap(move || {
            let inner = inner.wrap(|| ());
            panic_of(|| run(async { inner().await }))
        });
        assert!(run(async { outer().await }).starts_with("deadlock"));
        let again = asyncify(|| 1);
        assert_eq!(run(async { again().await }), 1);
    });
}

// Decision 3: and through a job that is submitted at once
#[test]
fn a_self_wait_is_also_found_through_a_job_that_its_submitter_joins() {
    watched(|| {
        let limiter = Limiter::new(1);
        let bounded = Asyncify::new().limiter(&limiter);
        let inner = bounded.clone();
        let outer = bounded.wrap(move || {
            let inner = inner.wrap(|| ());
            spawn_blocking(move || panic_of(|| inner().join())).join()
        });
        assert!(run(async { outer().await }).starts_with("deadlock"));
    });
}

// Decision 7
#[test]
fn a_worker_whose_own_loop_is_busy_without_sleeping_has_released_its_slot() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let inner = pool.clone();
        let outer = pool.spawn_blocking(move || {
            run(async {
                let nested = inner.spawn_blocking(|| 42);
                while !nested.is_finished() {
                    yield_now().await;
                }
                nested.await
            })
        });
        assert_eq!(outer.join(), 42);
    });
}

// Decision 7
#[test]
fn a_job_that_a_worker_submits_with_its_slot_released_gets_that_slot() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let inner = pool.clone();
        let outer = pool.spawn_blocking(move || {
            run(async {
                yield_now().await; // the loop turns: the slot is released
                inner.spawn_blocking(|| 42).await
            })
        });
        assert_eq!(outer.join(), 42);
    });
}
