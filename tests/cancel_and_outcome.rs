//! A call that is told and waited for, and a call whose failure is a value.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, me, ms, panic_of, poll_once, text_of, until, watched};
use footbridge::{
    Asyncify, Cancelled, JobError, Limiter, Pool, SyncifyError, asyncify, check_cancelled, gather,
    run, spawn_blocking, syncify, yield_now,
};
use std::future::pending;
use std::io;
use std::panic::panic_any;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread::ThreadId;

/// Sends when it is told.
fn until_told(told: mpsc::Sender<ThreadId>) -> u32 {
    until(|| check_cancelled().is_err());
    told.send(me()).unwrap();
    7
}

/// A pool of one thread, whose job runs until `open` is dropped.
fn busy_pool() -> (Pool, footbridge::BlockingTask<()>, mpsc::Sender<()>) {
    let pool = Pool::builder().max_threads(1).build();
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel::<()>();
    let job = pool.spawn_blocking(move || {
        begun.send(()).unwrap();
        gate.recv().unwrap_err();
    });
    has_begun.recv().unwrap();
    (pool, job, open)
}

/// A pool that the system refuses every thread. No system has so much memory.
fn threadless_pool() -> Pool {
    Pool::builder().thread_stack_size(1 << 46).build()
}

// X3, X10
#[test]
fn a_running_job_is_told_before_anybody_waits_and_its_result_is_given() {
    watched(|| {
        let (begun, has_begun) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let job = spawn_blocking(move || {
            begun.send(()).unwrap();
            until_told(tell)
        });
        has_begun.recv().unwrap();
        let cancel = job.cancel();
        told.recv().unwrap(); // It has not been polled.
        assert_eq!(run(cancel), Some(7));
    });
}

// X1
#[test]
fn a_job_that_never_began_gives_none_and_what_it_captured_is_gone_at_once() {
    watched(|| {
        let (pool, first, open) = busy_pool();
        let (drops, dropped) = mpsc::channel();
        let guard = Guard(drops);
        let queued = pool.spawn_blocking(move || drop(guard));
        let mut cancel = queued.cancel();
        assert_eq!(dropped.try_recv(), Ok(me()));
        assert!(matches!(poll_once(&mut cancel), Poll::Ready(None)));
        drop(open);
        first.join();
    });
}

// X1, A3
#[test]
fn a_call_of_asyncify_that_was_never_polled_gives_none_and_submits_nothing() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (drops, dropped) = mpsc::channel();
        let call = Asyncify::new().pool(&pool).wrap(|guard: Guard| drop(guard))(Guard(drops));
        let cancel = call.cancel();
        assert_eq!(dropped.try_recv(), Ok(me()));
        assert_eq!(run(cancel), None);
        assert_eq!(pool.stats().threads, 0);
    });
}

// X2, L16
#[test]
fn a_call_in_line_for_a_token_gives_none_and_leaves_the_line_at_once() {
    watched(|| {
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire().unwrap();
        let mut call = Asyncify::new().limiter(&limiter).wrap(|| ())();
        assert!(poll_once(&mut call).is_pending());
        let cancel = call.cancel();
        drop(permit);
        assert!(
            limiter.try_acquire().is_some(),
            "nobody is in line any more"
        );
        assert_eq!(run(cancel), None);
    });
}

// X4
#[test]
fn a_panic_of_a_cancelled_job_is_passed_on_to_what_waits_for_it() {
    watched(|| {
        let (begun, has_begun) = mpsc::channel();
        let job = spawn_blocking(move || {
            begun.send(()).unwrap();
            until(|| check_cancelled().is_err());
            panic!("told, and it panicked")
        });
        has_begun.recv().unwrap();
        assert_eq!(panic_of(|| run(job.cancel())), "told, and it panicked");
    });
}

// X6, decision 12
#[test]
fn an_async_function_that_a_cancelled_job_waits_for_is_dropped_and_the_jobs_value_still_comes() {
    watched(|| {
        run(async {
            let (drops, dropped) = mpsc::channel();
            let waits = Arc::new(AtomicBool::new(false));
            let waiting = waits.clone();
            let job = spawn_blocking(move || {
                let guard = Guard(drops);
                let answer = syncify(move |guard: Guard| {
                    let waiting = waiting.clone();
                    async move {
                        let _guard = guard;
                        waiting.store(true, SeqCst);
                        pending::<()>().await;
                    }
                })(guard);
                (answer, "recovered")
            });
            common::until_set(&waits).await;
            let outcome = job.cancel().await;
            assert_eq!(outcome, Some((Err(SyncifyError::Cancelled), "recovered")));
            assert_eq!(dropped.try_recv(), Ok(me()), "on the loop's thread");
        });
    });
}

// Decision 2, U3
#[test]
fn when_a_cancel_is_through_the_jobs_token_is_back() {
    watched(|| {
        let limiter = Limiter::new(1);
        let (begun, has_begun) = mpsc::channel();
        let call = Asyncify::new().limiter(&limiter).wrap(move || {
            begun.send(()).unwrap();
            until(|| check_cancelled().is_err());
        });
        run(async {
            let mut call = call();
            assert!(poll_once(&mut call).is_pending());
            has_begun.recv().unwrap();
            assert_eq!(limiter.borrowed_tokens(), 1);
            assert_eq!(call.cancel().await, Some(()));
            assert_eq!(limiter.borrowed_tokens(), 0);
        });
    });
}

#[test]
fn a_job_that_is_done_gives_its_result_to_a_cancel_and_a_refused_one_gives_none() {
    watched(|| {
        let job = spawn_blocking(|| 7);
        until(|| job.is_finished());
        assert_eq!(run(job.cancel()), Some(7));
        let pool = Pool::builder().build();
        pool.shutdown(ms(1)).unwrap();
        assert_eq!(run(pool.spawn_blocking(|| 7).cancel()), None);
        let mut twice = spawn_blocking(|| 7);
        assert_eq!(run(&mut twice), 7);
        assert_eq!(run(twice.cancel()), None, "its result was given before");
    });
}

// X5
#[test]
fn dropping_a_cancel_lets_the_job_run_on_and_drops_its_result_on_its_thread() {
    watched(|| {
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (drops, dropped) = mpsc::channel();
        let job = spawn_blocking(move || {
            begun.send(me()).unwrap();
            gate.recv().unwrap_err();
            Guard(drops)
        });
        let worker = has_begun.recv().unwrap();
        drop(job.cancel());
        drop(open);
        assert_eq!(dropped.recv(), Ok(worker));
    });
}

#[test]
fn an_outcome_is_the_value_or_says_that_the_function_panicked_and_gives_the_payload() {
    watched(|| {
        run(async {
            assert_eq!(spawn_blocking(|| 7).outcome().await.ok(), Some(7));
            let panics = asyncify(|| panic_any(8_u8));
            let error = panics().outcome().await.unwrap_err();
            assert!(error.is_panic() && !error.is_refused());
            assert_eq!(error.to_string(), "the job panicked");
            assert_eq!(error.into_panic().downcast_ref(), Some(&8_u8));
            let error = asyncify(|| panic!("in words"))().outcome().await;
            let error: JobError = error.map(|()| "a value").unwrap_err();
            assert_eq!(error.to_string(), "the job panicked: in words");
            assert_eq!(format!("{error:?}"), "JobError::Panic(..)");
            assert_eq!(text_of(&*error.into_panic()), "in words");
        });
    });
}

// W1, U6, decision 11
#[test]
fn an_outcome_says_that_the_pool_refused_the_job_and_why_without_a_panic() {
    watched(|| {
        let shut = Pool::builder().build();
        shut.shutdown(ms(1)).unwrap();
        for (pool, why) in [
            (shut, "has been shut down"),
            (threadless_pool(), "the system refused the pool its thread"),
        ] {
            let error = run(pool.spawn_blocking(|| ()).outcome()).unwrap_err();
            assert!(error.is_refused() && !error.is_panic());
            let text = error.to_string();
            assert!(text.contains(file!()), "{text}");
            assert!(text.contains(why), "{text}");
            assert_eq!(format!("{error:?}"), "JobError::Refused(..)");
            let into_panic = panic_of(|| error.into_panic());
            assert!(into_panic.contains("ask is_panic first"), "{into_panic}");
            let as_io = io::Error::from(run(pool.spawn_blocking(|| ()).outcome()).unwrap_err());
            assert_eq!(
                (as_io.kind(), as_io.to_string().contains(why)),
                (io::ErrorKind::Other, true)
            );
            let awaited = panic_of(|| run(pool.spawn_blocking(|| ())));
            assert!(
                awaited.contains(why),
                "the same words as the await: {awaited}"
            );
        }
    });
}

// A3, G5
#[test]
fn an_outcome_submits_at_its_first_poll_and_outcomes_can_be_gathered() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        let divide = Asyncify::new().pool(&pool).wrap(|a: u32, b: u32| a / b);
        let unpolled = divide(1, 1).outcome();
        assert_eq!(pool.stats().threads, 0);
        drop(unpolled);
        let outcomes =
            run(async { gather([(6, 3), (6, 0)].map(|(a, b)| divide(a, b).outcome())).await });
        assert_eq!(outcomes[0].as_ref().ok(), Some(&2));
        assert!(outcomes[1].as_ref().unwrap_err().is_panic());
    });
}

// Decision 1
#[test]
fn dropping_an_outcome_cancels_the_call() {
    watched(|| {
        let (begun, has_begun) = mpsc::channel();
        let (tell, told) = mpsc::channel::<Result<(), Cancelled>>();
        let job = spawn_blocking(move || {
            begun.send(()).unwrap();
            until(|| check_cancelled().is_err());
            tell.send(check_cancelled()).unwrap();
        });
        has_begun.recv().unwrap();
        drop(job.outcome());
        assert!(told.recv().unwrap().is_err());
    });
}

#[test]
fn a_cancel_leaves_the_loop_turning_while_it_waits() {
    watched(|| {
        run(async {
            let (open, gate) = mpsc::channel::<()>();
            let (begun, has_begun) = mpsc::channel();
            let job = spawn_blocking(move || {
                begun.send(()).unwrap();
                gate.recv().unwrap_err();
            });
            has_begun.recv().unwrap();
            let task = footbridge::spawn(async move {
                yield_now().await;
                drop(open); // Only a loop that turns gets here.
            });
            assert_eq!(job.cancel().await, Some(()));
            task.await.unwrap();
        });
    });
}
