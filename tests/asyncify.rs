//! Blocking -> async: what `asyncify` and `spawn_blocking` promise.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, foreign_block_on, me, ms, panic_of, poll_once, thrown_by, until_set, watched};
use footbridge::time::sleep;
use footbridge::{
    Asyncify, Handle, LocalSpawner, Pool, Syncify, SyncifyError, asyncify, gather, run, spawn,
    spawn_blocking, syncify, yield_now,
};
use std::cell::Cell;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

async fn tick_for_ever(ticks: Rc<Cell<usize>>) {
    loop {
        ticks.set(ticks.get() + 1);
        yield_now().await;
    }
}

// A1
#[test]
fn a_blocking_call_inside_async_code_stops_every_other_task() {
    watched(|| {
        run(async {
            let ticks = Rc::new(Cell::new(0));
            spawn(tick_for_ever(ticks.clone()));
            yield_now().await;
            let before = ticks.get();
            assert!(before > 0, "the ticker runs");
            thread::sleep(ms(20));
            assert_eq!(ticks.get(), before);
        })
    });
}

// A6
#[test]
fn while_an_asyncified_function_blocks_tasks_and_timers_go_on() {
    watched(|| {
        run(async {
            let ticks = Rc::new(Cell::new(0));
            spawn(tick_for_ever(ticks.clone()));
            let (open, gate) = mpsc::channel();
            spawn({
                let ticks = ticks.clone();
                async move {
                    sleep(ms(5)).await;
                    while ticks.get() < 100 {
                        yield_now().await;
                    }
                    open.send(()).unwrap();
                }
            });
            // Ends only if the others have had their turns while it blocked.
            spawn_blocking(move || gate.recv().unwrap()).await;
            assert!(ticks.get() >= 100);
        })
    });
}

// A2, A3
#[test]
fn neither_wrapping_nor_calling_runs_or_submits_anything() {
    watched(|| {
        let pool = Pool::builder().build();
        let ran = Arc::new(AtomicBool::new(false));
        let f = Asyncify::new().pool(&pool).wrap({
            let ran = ran.clone();
            move |_: Guard| ran.store(true, SeqCst)
        });
        let (drops, dropped) = mpsc::channel();
        let call = f(Guard(drops));
        assert!(dropped.try_recv().is_err(), "the call holds its argument");
        drop(call);
        assert_eq!(dropped.try_recv(), Ok(me()), "and drops it, here");
        assert!(!ran.load(SeqCst));
        assert_eq!((pool.stats().threads, pool.stats().queued), (0, 0));
    });
}

// A3, A14, decision 9
#[test]
fn a_call_is_submitted_at_its_first_poll_without_a_yield_before() {
    watched(|| {
        run(async {
            let (ran, has_run) = mpsc::channel();
            let mut call = asyncify(move || ran.send(()).unwrap())();
            assert!(poll_once(&mut call).is_pending() || call.is_finished());
            // The loop doesn't turn any more: what had to be done, one poll has done.
            has_run.recv().unwrap();
        })
    });
}

// A4
#[test]
fn awaiting_a_call_gives_the_very_value_that_the_function_returned() {
    watched(|| {
        struct NotClone(Box<u8>);
        let sent = Box::new(5);
        let address = &raw const *sent;
        let got =
            run(async { asyncify(|NotClone(it): NotClone| NotClone(it))(NotClone(sent)).await });
        assert_eq!(&raw const *got.0, address);
    });
}

// A5
#[test]
fn the_function_runs_on_a_named_worker_thread_and_not_on_the_loops() {
    watched(|| {
        let (id, name) =
            run(async { asyncify(|| (me(), thread::current().name().map(String::from)))().await });
        assert_ne!(id, me());
        assert!(name.unwrap().starts_with("footbridge-"));
    });
}

// A7
#[test]
fn many_calls_run_at_the_same_time() {
    watched(|| {
        run(async {
            let all = Arc::new(Barrier::new(20));
            // No call gets through before all twenty have come.
            let meet = asyncify(move || all.wait().is_leader());
            let leaders = gather((0..20).map(|_| meet())).await;
            assert_eq!(leaders.iter().filter(|leader| **leader).count(), 1);
        })
    });
}

// A2, A8
#[test]
fn functions_and_closures_of_up_to_eight_arguments_keep_their_signature() {
    fn generic<T: ToString>(value: T) -> String {
        value.to_string()
    }
    watched(|| {
        run(async {
            assert_eq!(asyncify(|| 0)().await, 0);
            assert_eq!(asyncify(generic::<u8>)(7).await, "7");
            assert_eq!(asyncify(str::len)("four").await, 4);
            assert_eq!(
                asyncify(|a: u8, b: &'static str| (b, a))(1, "b").await,
                ("b", 1)
            );
            assert_eq!(asyncify(|a: u8, b: u8, c: u8| a + b + c)(1, 2, 4).await, 7);
            let four = asyncify(|a: u8, b: u8, c: u8, d: u8| [a, b, c, d]);
            assert_eq!(four(1, 2, 3, 4).await, [1, 2, 3, 4]);
            let five = asyncify(|a: u8, b: u8, c: u8, d: u8, e: u8| [a, b, c, d, e]);
            assert_eq!(five(1, 2, 3, 4, 5).await, [1, 2, 3, 4, 5]);
            let six = asyncify(|a: u8, b: u8, c: u8, d: u8, e: u8, f: u8| [a, b, c, d, e, f]);
            assert_eq!(six(1, 2, 3, 4, 5, 6).await, [1, 2, 3, 4, 5, 6]);
            let seven =
                asyncify(|a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8| [a, b, c, d, e, f, g]);
            assert_eq!(seven(1, 2, 3, 4, 5, 6, 7).await, [1, 2, 3, 4, 5, 6, 7]);
            let eight = asyncify(|a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8| {
                [a, b, c, d, e, f, g, h]
            });
            assert_eq!(
                eight(1, 2, 3, 4, 5, 6, 7, 8).await,
                [1, 2, 3, 4, 5, 6, 7, 8]
            );
        })
    });
}

// A9
#[test]
fn one_asyncified_function_serves_calls_one_after_another_and_at_once() {
    watched(|| {
        run(async {
            let start = 10;
            let add = asyncify(move |n: u32| start + n);
            assert_eq!(add(1).await + add(2).await, 23);
            assert_eq!(gather((0..3).map(add)).await, [10, 11, 12]);
        })
    });
}

// A10
#[test]
fn a_panic_of_the_function_is_thrown_again_at_the_await_with_its_own_payload() {
    #[derive(Debug, PartialEq)]
    struct Mine(u32);
    watched(|| {
        let payload = thrown_by(|| run(async { asyncify(|| panic_any(Mine(7)))().await }));
        assert_eq!(payload.downcast_ref(), Some(&Mine(7)));
        let payload = thrown_by(|| spawn_blocking(|| panic_any(Mine(8))).join());
        assert_eq!(payload.downcast_ref(), Some(&Mine(8)));
    });
}

// A10
#[test]
fn an_error_that_the_function_returns_is_plain_data() {
    watched(|| {
        let parsed = run(async { asyncify(|text: &str| text.parse::<u8>())("x").await });
        assert!(parsed.is_err());
    });
}

// A11
#[test]
fn a_worker_outlives_the_panic_of_its_job_and_is_used_again() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let first = pool.spawn_blocking(me).join();
        panic_of(|| pool.spawn_blocking(|| panic!("in a job")).join());
        assert_eq!(pool.spawn_blocking(me).join(), first);
        assert_eq!(pool.stats().threads, 1);
    });
}

// A15, decision 17
#[test]
fn asyncify_works_below_any_executor_and_then_the_job_has_no_loop_to_go_home_to() {
    watched(|| {
        async fn where_am_i() -> thread::ThreadId {
            me()
        }
        let job = asyncify(|| {
            assert!(Handle::try_current().is_none());
            let strict = syncify(where_am_i)();
            let lenient = Syncify::new().raise_sync_error(false).wrap(where_am_i)();
            (strict, lenient, me())
        });
        let (strict, lenient, worker) = foreign_block_on(job());
        assert_eq!(strict, Err(SyncifyError::NotOnWorkerThread));
        assert_eq!(lenient, Ok(worker), "a temporary loop, on the worker");
        assert_ne!(worker, me());
    });
}

// A19
#[test]
fn what_a_call_held_is_gone_when_its_result_can_be_seen() {
    watched(|| {
        let (captured, argument) = (Arc::new(()), Arc::new(()));
        for _ in 0..200 {
            run(async {
                let kept = captured.clone();
                spawn_blocking(move || drop(Arc::downgrade(&kept))).await;
                assert_eq!(Arc::strong_count(&captured), 1);
                asyncify(|it: Arc<()>| Arc::strong_count(&it))(argument.clone()).await;
                assert_eq!(Arc::strong_count(&argument), 1);
            });
            let kept = captured.clone();
            let job = spawn_blocking(move || Arc::strong_count(&kept));
            while !job.is_finished() {
                thread::yield_now();
            }
            assert_eq!(Arc::strong_count(&captured), 1);
        }
    });
}

// A22
#[test]
fn in_a_job_no_loop_runs_but_the_one_that_it_came_from_is_the_current_one() {
    watched(|| {
        run(async {
            let (lone, home) = spawn_blocking(|| {
                let spawner = panic_of(LocalSpawner::current);
                (spawner, Handle::current())
            })
            .await;
            assert!(lone.contains("no event loop runs on this thread"), "{lone}");
            // If it were another loop's, no thread would ever run this.
            let (posted, arrived) = (
                Arc::new(AtomicBool::new(false)),
                Arc::new(AtomicBool::new(false)),
            );
            posted.store(
                home.call_soon({
                    let arrived = arrived.clone();
                    move || arrived.store(true, SeqCst)
                }),
                SeqCst,
            );
            assert!(posted.load(SeqCst));
            until_set(&arrived).await;
        })
    });
}

// A23
#[test]
fn every_job_runs_exactly_once() {
    watched(|| {
        let pool = Pool::builder().max_threads(4).build();
        let runs: Arc<Vec<AtomicUsize>> =
            Arc::new((0..2000).map(|_| AtomicUsize::new(0)).collect());
        thread::scope(|scope| {
            for first in 0..4 {
                let (pool, runs) = (&pool, &runs);
                scope.spawn(move || {
                    let jobs: Vec<_> = (first..runs.len())
                        .step_by(4)
                        .map(|n| {
                            let runs = runs.clone();
                            pool.spawn_blocking(move || runs[n].fetch_add(1, SeqCst))
                        })
                        .collect();
                    jobs.into_iter().for_each(|job| assert_eq!(job.join(), 0));
                });
            }
        });
        assert!(runs.iter().all(|runs| runs.load(SeqCst) == 1));
    });
}

#[test]
fn a_detached_call_runs_although_it_was_never_polled() {
    watched(|| {
        let (ran, has_run) = mpsc::channel();
        asyncify(move || ran.send(()).unwrap())().detach();
        has_run.recv().unwrap();
    });
}
