//! What works on any executor works on each of these: calls of blocking functions, their panics and their
//! cancelling, handles of tasks that a loop of ours runs elsewhere, limiters, `gather` and `yield_now`.

#[path = "../../common/mod.rs"]
mod common;
mod worlds;

use common::{Guard, me, ms, panic_of, thrown_by, watched};
use footbridge::time::{sleep, timeout};
use footbridge::{
    Asyncify, Handle, Limiter, Pool, Syncify, SyncifyError, asyncify, check_cancelled, gather,
    syncify, yield_now,
};
use futures::channel::oneshot;
use futures::future::{Either, select};
use std::cell::Cell;
use std::future::pending;
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread::{self, ThreadId};
use worlds::{EXECUTORS, loop_elsewhere, on_every_executor};

// A4, A5, A15, decision 17
#[test]
fn an_awaited_call_gives_the_value_of_a_function_that_ran_on_a_worker_thread() {
    on_every_executor(|| async {
        let add = asyncify(|a: u32, b: u32| (a + b, thread::current().name().map(String::from)));
        let (sum, name) = add(2, 3).await;
        assert_eq!(sum, 5);
        assert!(name.unwrap().starts_with("footbridge-"));
    });
}

// A7, G2, decision 16
#[test]
fn gathered_calls_run_at_once_and_their_results_keep_the_order() {
    on_every_executor(|| async {
        let all = Arc::new(Barrier::new(20));
        let meet = asyncify(move |n: usize| {
            all.wait(); // No call gets through before all twenty have come.
            n
        });
        let results = gather((0..20).map(meet)).await;
        assert_eq!(results, (0..20).collect::<Vec<_>>());
    });
}

// A10, A15
#[test]
fn the_panic_of_the_function_leaves_the_executor_with_its_own_payload() {
    #[derive(Debug, PartialEq)]
    struct Mine(u32);
    for (name, drive) in EXECUTORS {
        println!("on {name}");
        let payload = watched(move || {
            thrown_by(|| drive(Box::pin(async { asyncify(|| panic_any(Mine(7)))().await })))
        });
        assert_eq!(payload.downcast_ref(), Some(&Mine(7)));
    }
}

// X1, X8, X10, A15, decision 1
#[test]
fn dropping_a_call_keeps_a_queued_function_from_running_and_tells_a_running_one() {
    on_every_executor(|| async {
        let pool = Pool::builder().max_threads(1).build();
        let (begun, has_begun) = oneshot::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel();
        let running = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap_err();
            end.send(check_cancelled().is_err()).unwrap();
        });
        // Polled, and so submitted; the one thread is taken.
        let (drops, dropped) = mpsc::channel();
        let ran = Arc::new(AtomicBool::new(false));
        let run = Asyncify::new().pool(&pool).wrap({
            let ran = ran.clone();
            move |_: Guard| ran.store(true, SeqCst)
        });
        let Either::Right((_, running)) = select(running, has_begun).await else {
            panic!("it waits at its gate")
        };
        let queued = run(Guard(drops));
        let Either::Right(((), queued)) = select(queued, Box::pin(yield_now())).await else {
            panic!("it has no thread to run on")
        };
        drop(queued);
        assert_eq!(dropped.try_recv(), Ok(me()), "here and then");
        drop(running);
        drop(open);
        assert_eq!(pool.spawn_blocking(move || ended.recv()).await, Ok(true));
        assert!(!ran.load(SeqCst));
    });
}

// A15, S2, S4, S7, decision 17
#[test]
fn a_job_of_another_executors_has_no_loop_so_strict_syncify_is_refused_and_the_lenient_one_runs_a_temporary_loop()
 {
    async fn tripled(n: u32) -> (u32, ThreadId) {
        sleep(ms(1)).await;
        let home = asyncify(|| syncify(async || me())())().await;
        assert_eq!(home, Ok(me()), "jobs of the temporary loop come back to it");
        (3 * n, me())
    }
    on_every_executor(|| async {
        let strict = asyncify(|| syncify(tripled)(1))().await;
        assert_eq!(strict, Err(SyncifyError::NotOnWorkerThread));
        let lenient = || {
            (
                Syncify::new().raise_sync_error(false).wrap(tripled)(2),
                me(),
            )
        };
        let (result, worker) = asyncify(lenient)().await;
        assert_eq!(result, Ok((6, worker)));
        assert!(Handle::try_current().is_none());
        assert!(asyncify(|| Handle::try_current().is_none())().await);
    });
}

// S24, S27, G1
#[test]
fn a_job_that_names_a_loop_comes_back_to_it_whichever_executor_awaits_the_job() {
    on_every_executor(|| async {
        let (handle, _stop) = loop_elsewhere();
        let there = handle.spawn(async || me()).await.unwrap();
        let job = handle.run_in_executor(None, || syncify(async || me())());
        assert_eq!(job.await, Ok(there));
        let on = Syncify::new().on(&handle);
        assert_eq!(
            asyncify(move || on.wrap(async || me())())().await,
            Ok(there)
        );
    });
}

// G13, S15, R9, decision 11
#[test]
fn a_task_on_a_loop_elsewhere_is_awaited_with_its_value_its_panic_its_abort_and_the_end_of_its_loop()
 {
    on_every_executor(|| async {
        let (handle, stop) = loop_elsewhere();
        let value = handle.spawn(|| async {
            let local = Rc::new(Cell::new(6));
            sleep(ms(1)).await;
            local.get() + 1
        });
        assert_eq!(value.await.unwrap(), 7);
        let panic = handle.spawn(|| async { panic_any(8) });
        let error = panic.await.map(|()| "a value").unwrap_err();
        assert_eq!(error.into_panic().downcast_ref(), Some(&8));
        let aborted = handle.spawn(pending::<()>);
        aborted.abort();
        assert!(aborted.await.unwrap_err().is_cancelled());
        let left = handle.spawn(pending::<()>);
        let (left, ()) = futures::join!(left, async {
            yield_now().await; // It has been polled, and waits.
            drop(stop);
        });
        assert!(left.unwrap_err().is_cancelled());
        assert!(handle.is_closed());
        assert!(
            handle
                .spawn(pending::<()>)
                .await
                .unwrap_err()
                .is_cancelled()
        );
    });
}

// R14
#[test]
fn yield_now_gives_way_once_and_comes_back() {
    on_every_executor(|| async {
        let log = std::sync::Mutex::new(Vec::new());
        let twice = async |who| {
            log.lock().unwrap().push((who, 1));
            yield_now().await;
            log.lock().unwrap().push((who, 2));
        };
        futures::join!(twice('a'), twice('b'));
        let log = log.into_inner().unwrap();
        assert_eq!(log, [('a', 1), ('b', 1), ('a', 2), ('b', 2)]);
    });
}

// L2, A16, U3
#[test]
fn never_more_calls_run_than_their_limiter_has_tokens() {
    on_every_executor(|| async {
        let limiter = Limiter::new(2);
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let counts = Arc::new((running, most));
        let call = Asyncify::new().limiter(&limiter).wrap({
            let counts = counts.clone();
            move || {
                counts
                    .1
                    .fetch_max(1 + counts.0.fetch_add(1, SeqCst), SeqCst);
                thread::yield_now();
                counts.0.fetch_sub(1, SeqCst);
            }
        });
        gather((0..50).map(|_| call())).await;
        assert!((1..=2).contains(&counts.1.load(SeqCst)));
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

// L2, L5, L6, L16
#[test]
fn all_the_executors_at_once_share_one_limiter_and_none_in_line_is_forgotten() {
    const ROUNDS: usize = 50;
    watched(|| {
        let limiter = Limiter::new(2);
        let held = Arc::new(AtomicUsize::new(0));
        let start = Arc::new(Barrier::new(EXECUTORS.len()));
        let threads: Vec<_> = EXECUTORS
            .map(|(_, drive)| {
                let (limiter, held, start) = (limiter.clone(), held.clone(), start.clone());
                thread::spawn(move || {
                    start.wait();
                    drive(Box::pin(async move {
                        for round in 0..ROUNDS {
                            if round % 3 == 0 {
                                // In line, or with a token already, and gone.
                                let _ = select(limiter.acquire(), Box::pin(yield_now())).await;
                            }
                            let permit = limiter.acquire().await;
                            assert!(held.fetch_add(1, SeqCst) < 2);
                            yield_now().await;
                            held.fetch_sub(1, SeqCst);
                            drop(permit);
                        }
                    }));
                })
            })
            .into();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

#[test]
fn sleeping_where_no_loop_of_ours_runs_panics_and_says_what_to_use_instead() {
    for (name, drive) in EXECUTORS {
        println!("on {name}");
        let texts = watched(move || {
            let asleep = panic_of(|| drive(Box::pin(sleep(ms(1)))));
            let timed = async { timeout(ms(1), pending::<()>()).await.unwrap_or(()) };
            [asleep, panic_of(|| drive(Box::pin(timed)))]
        });
        for text in texts {
            assert!(text.contains("no event loop runs on this thread"), "{text}");
            assert!(
                text.contains("the timers of the executor that runs here"),
                "{text}"
            );
        }
    }
}
