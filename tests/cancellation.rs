//! Drop is cancellation: of a call that waits, that runs, and that waits for an async function in its turn.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, me, ms, poll_once, until, until_set, watched};
use footbridge::time::timeout;
use footbridge::{
    Asyncify, BlockingTask, EventLoop, Handle, Limiter, Pool, Syncify, SyncifyError, asyncify,
    check_cancelled, run, spawn_blocking, syncify, yield_now,
};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

/// A pool of one thread, and what keeps that busy until it is told to end.
fn busy_pool() -> (Pool, mpsc::Sender<()>, BlockingTask<()>) {
    let pool = Pool::builder().max_threads(1).build();
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let job = pool.spawn_blocking(move || {
        begun.send(()).unwrap();
        gate.recv().unwrap();
    });
    has_begun.recv().unwrap();
    (pool, open, job)
}

// Decision 1, X1, X17
#[test]
fn a_job_still_queued_gives_back_what_it_holds_at_once() {
    watched(|| {
        let (pool, open, busy) = busy_pool();
        let (drops, dropped) = mpsc::channel();
        let ran = Arc::new(AtomicBool::new(false));
        let (guard, mark) = (Guard(drops), ran.clone());
        let queued = pool.spawn_blocking(move || {
            mark.store(true, SeqCst);
            drop(guard);
        });
        assert!(dropped.try_recv().is_err());
        drop(queued);
        assert_eq!(dropped.try_recv(), Ok(me()), "then and there");
        open.send(()).unwrap();
        busy.join();
        pool.spawn_blocking(|| ()).join(); // it would have run before this one
        assert!(!ran.load(SeqCst));
    });
}

// Decision 1, X1
#[test]
fn an_asyncified_call_dropped_while_it_is_queued_never_runs() {
    watched(|| {
        let (pool, open, busy) = busy_pool();
        let ran = Arc::new(AtomicBool::new(false));
        let mark = ran.clone();
        let f = Asyncify::new()
            .pool(&pool)
            .wrap(move |_: Guard| mark.store(true, SeqCst));
        let (drops, dropped) = mpsc::channel();
        let mut call = f(Guard(drops));
        assert!(poll_once(&mut call).is_pending(), "submitted");
        drop(call);
        assert_eq!(dropped.try_recv(), Ok(me()));
        open.send(()).unwrap();
        busy.join();
        pool.spawn_blocking(|| ()).join();
        assert!(!ran.load(SeqCst));
    });
}

// Decision 1, X5, X8, X17
#[test]
fn a_job_that_runs_runs_on_when_its_caller_goes_and_its_result_is_dropped_on_the_worker() {
    watched(|| {
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (drops, dropped) = mpsc::channel();
        let worker = run(async {
            let job = spawn_blocking(move || {
                begun.send(me()).unwrap();
                gate.recv().unwrap();
                Guard(drops)
            });
            let worker = has_begun.recv().unwrap();
            assert!(timeout(ms(1), job).await.is_err(), "the wait ends at once");
            worker
        });
        assert!(dropped.try_recv().is_err());
        open.send(()).unwrap();
        assert_eq!(dropped.recv(), Ok(worker));
    });
}

// Decision 1, X9, X10
#[test]
fn check_cancelled_says_so_from_when_the_caller_is_gone_and_only_then() {
    watched(|| {
        assert_eq!(
            check_cancelled(),
            Ok(()),
            "outside a job there is no caller to go away"
        );
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (answer, answers) = mpsc::channel();
        let job = spawn_blocking(move || {
            begun.send(check_cancelled()).unwrap();
            gate.recv().unwrap();
            answer.send(check_cancelled()).unwrap();
        });
        assert_eq!(has_begun.recv().unwrap(), Ok(()));
        drop(job);
        open.send(()).unwrap();
        assert!(answers.recv().unwrap().is_err());
    });
}

// Decision 1
#[test]
fn the_next_job_of_a_worker_does_not_inherit_the_cancellation() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let job = pool.spawn_blocking(move || {
            begun.send(me()).unwrap();
            gate.recv().unwrap();
        });
        let worker = has_begun.recv().unwrap();
        drop(job);
        open.send(()).unwrap();
        assert_eq!(
            pool.spawn_blocking(|| (me(), check_cancelled())).join(),
            (worker, Ok(()))
        );
    });
}

#[test]
fn a_detached_job_is_not_cancelled() {
    watched(|| {
        let (answer, answers) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        spawn_blocking(move || {
            gate.recv().unwrap();
            answer.send(check_cancelled()).unwrap();
        })
        .detach();
        open.send(()).unwrap();
        assert_eq!(answers.recv().unwrap(), Ok(()));
    });
}

// Decisions 1 and 12, X6, U7
#[test]
fn an_async_function_that_a_job_waits_for_is_dropped_on_its_loop_before_the_worker_is_told() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let waiting = Arc::new(AtomicBool::new(false));
        let called_again = Arc::new(AtomicBool::new(false));
        run(async {
            let (begun, again, handle) = (waiting.clone(), called_again.clone(), Handle::current());
            let job = spawn_blocking(move || {
                let told = handle.block_on(move || async move {
                    let _guard = Guard(drops);
                    begun.store(true, SeqCst);
                    pending::<()>().await
                });
                let gone = dropped.try_recv();
                // A later one is refused at once, whichever way it is asked for.
                let call = move || {
                    again.store(true, SeqCst);
                    async {}
                };
                let later = syncify(call.clone())();
                let lenient = Syncify::new().raise_sync_error(false).wrap(call.clone())();
                let by_handle = handle.block_on(call);
                answer
                    .send((told, gone, [later, lenient, by_handle]))
                    .unwrap();
            });
            until_set(&waiting).await;
            drop(job);
            let cancelled = Err(SyncifyError::Cancelled);
            let (told, gone, later) = until_received(&answers).await;
            assert_eq!(told, cancelled);
            assert_eq!(gone, Ok(me()), "it was gone before, on the loop's thread");
            assert_eq!(later, [cancelled; 3]);
            assert!(!called_again.load(SeqCst));
        });
    });
}

// Decisions 1 and 12: in a job without a loop, a temporary one is given up
#[test]
fn a_temporary_loop_in_a_job_ends_when_the_caller_goes() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let job = spawn_blocking(move || {
            let g = async move || {
                let _guard = Guard(drops.clone());
                begun.send(me()).unwrap();
                pending::<()>().await
            };
            answer
                .send(Syncify::new().raise_sync_error(false).wrap(g)())
                .unwrap();
        });
        let worker = has_begun.recv().unwrap();
        drop(job);
        assert_eq!(answers.recv().unwrap(), Err(SyncifyError::Cancelled));
        assert_eq!(dropped.recv(), Ok(worker));
    });
}

// Decision 1, X6
#[test]
fn cancellation_reaches_the_innermost_of_nested_calls() {
    watched(|| {
        let begun = Arc::new(AtomicBool::new(false));
        let (answer, answers) = mpsc::channel();
        run(async {
            let mark = begun.clone();
            let inner = move || {
                mark.store(true, SeqCst);
                while check_cancelled().is_ok() {
                    thread::sleep(ms(1)); // work
                }
                answer.send(()).unwrap();
            };
            let outer = spawn_blocking(move || syncify(async move || asyncify(inner)().await)());
            until_set(&begun).await;
            drop(outer);
            until_received(&answers).await;
        });
    });
}

async fn until_received<T>(channel: &mpsc::Receiver<T>) -> T {
    loop {
        match channel.try_recv() {
            Ok(value) => return value,
            Err(_) => yield_now().await,
        }
    }
}

// U1, X13: whether the drop comes before, while or after the job is taken, the pool goes on
#[test]
fn a_drop_at_any_moment_loses_no_thread_and_no_place() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        for n in 0..500 {
            let job = pool.spawn_blocking(|| ());
            for _ in 0..n % 50 {
                std::hint::spin_loop();
            }
            drop(job);
        }
        assert_eq!(pool.spawn_blocking(|| 1).join(), 1);
        until(|| pool.stats().idle == pool.stats().threads);
        assert!(pool.stats().threads <= 2);
    });
}

// Decision 2: the place
#[test]
fn a_place_in_the_pool_is_free_only_when_the_thread_really_is() {
    watched(|| {
        let (pool, open, running) = busy_pool();
        drop(running); // its thread isn't free yet
        let order = Arc::new(Mutex::new(Vec::new()));
        let later = order.clone();
        let second = pool.spawn_blocking(move || later.lock().unwrap().push("second"));
        thread::sleep(ms(20)); // time enough for the second one to begin, if it could
        order.lock().unwrap().push("the gate opens");
        open.send(()).unwrap();
        second.join();
        assert_eq!(*order.lock().unwrap(), ["the gate opens", "second"]);
        assert_eq!(pool.stats().threads, 1);
    });
}

// Decision 2, U3: the token
#[test]
fn a_token_is_free_only_when_the_job_has_really_ended() {
    watched(|| {
        let limiter = Limiter::new(1);
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel();
        let gate = Arc::new(Mutex::new(gate));
        let bounded = Asyncify::new().limiter(&limiter).wrap(move || {
            begun.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
        });
        let mut call = bounded();
        assert!(poll_once(&mut call).is_pending());
        has_begun.recv().unwrap();
        drop(call);
        assert_eq!(limiter.borrowed_tokens(), 1);
        assert!(limiter.try_acquire().is_none());
        open.send(()).unwrap();
        until(|| limiter.borrowed_tokens() == 0);
    });
}

// X2, decision 1
#[test]
fn a_call_that_waits_for_a_token_leaves_the_line_when_it_is_dropped() {
    watched(|| {
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire().unwrap();
        let (drops, dropped) = mpsc::channel();
        let bounded = Asyncify::new()
            .limiter(&limiter)
            .wrap(|_: Guard| unreachable!("it never runs"));
        let mut call = bounded(Guard(drops));
        assert!(poll_once(&mut call).is_pending());
        drop(call);
        assert_eq!(dropped.try_recv(), Ok(me()));
        drop(permit);
        assert_eq!(
            limiter.available_tokens(),
            1,
            "the token didn't go to the call that had left"
        );
    });
}

// Decisions 1 and 11
#[test]
fn a_job_that_joins_a_task_is_told_when_its_caller_goes_away_and_the_task_runs_on() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        run(async {
            let (open, gate) = mpsc::channel();
            let ended = Arc::new(AtomicBool::new(false));
            let (joining, mark) = (Arc::new(AtomicBool::new(false)), ended.clone());
            let task = Handle::current().spawn(move || async move {
                spawn_blocking(move || gate.recv().unwrap()).await;
                mark.store(true, SeqCst);
            });
            let joins = joining.clone();
            let job = spawn_blocking(move || {
                joins.store(true, SeqCst);
                tell.send((task.join(), check_cancelled().is_err()))
                    .unwrap();
            });
            until_set(&joining).await;
            drop(job);
            let (joined, is_cancelled) = spawn_blocking(move || told.recv().unwrap()).await;
            let error = joined.unwrap_err();
            assert!(error.is_cancelled() && !error.is_panic() && is_cancelled);
            assert!(error.to_string().contains("the task runs on"), "{error}");
            open.send(()).unwrap();
            until_set(&ended).await;
        });
    });
}

// Decision 12: what is there is given, and nothing is waited for
#[test]
fn a_job_whose_caller_is_gone_joins_a_task_that_has_ended_and_no_other() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let mut event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let (ended, pending) = (handle.spawn(|| async { 7 }), handle.spawn(pending::<()>));
        while event_loop.tick() {}
        let (begun, has_begun) = mpsc::channel();
        let job = spawn_blocking(move || {
            begun.send(()).unwrap();
            until(|| check_cancelled().is_err());
            tell.send((ended.join().unwrap(), pending.join().is_err()))
                .unwrap();
        });
        has_begun.recv().unwrap();
        drop(job);
        assert_eq!(told.recv(), Ok((7, true)));
    });
}

// Decision 12: by a loop that isn't run, too
#[test]
fn an_async_function_of_a_job_whose_caller_is_gone_goes_to_no_loop() {
    watched(|| {
        let event_loop = EventLoop::new();
        let (tell, told) = mpsc::channel();
        let (drops, dropped) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let guard = Guard(drops);
        let handle = event_loop.handle();
        let job = handle.run_in_executor(None, move || {
            begun.send(()).unwrap();
            until(|| check_cancelled().is_err());
            let answer = Handle::current().block_on(move || async move { drop(guard) });
            tell.send((me(), answer)).unwrap();
        });
        has_begun.recv().unwrap();
        drop(job);
        let (worker, answer) = told.recv().unwrap();
        assert_eq!(answer, Err(SyncifyError::Cancelled));
        assert_eq!(dropped.recv(), Ok(worker));
        drop(event_loop);
    });
}

// These give what they were called for: their signatures have no room for an error
#[test]
fn a_call_that_a_job_joins_and_a_loop_that_it_runs_go_on_when_its_caller_is_gone() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let job = spawn_blocking(move || {
            begun.send(()).unwrap();
            until(|| check_cancelled().is_err());
            let joined = spawn_blocking(|| check_cancelled().is_ok()).join();
            let ran = run(async { spawn_blocking(|| 1).await });
            tell.send((joined, ran, check_cancelled().is_err()))
                .unwrap();
        });
        has_begun.recv().unwrap();
        drop(job);
        assert_eq!(told.recv(), Ok((true, 1, true)));
    });
}
