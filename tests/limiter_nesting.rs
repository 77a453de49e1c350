//! Which call is an ancestor, and which isn't: a call may not wait for a token that only its own callers could
//! give back, and every other wait is worth its time.
#![cfg(not(footbridge_loom))]

mod common;

use common::{panic_of, poll_once, text_of, until, watched};
use footbridge::{Asyncify, BlockingTask, Limiter, Pool, asyncify, run, syncify};
use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;
use std::{hint, thread};

fn waiting(limiter: &Limiter) -> bool {
    format!("{limiter:?}").contains("waiting: 1")
}

// L4
#[test]
fn a_limiter_shows_its_tokens_and_how_many_wait() {
    watched(|| {
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire();
        let mut line = [limiter.acquire(), limiter.acquire()];
        assert!(line.iter_mut().all(|waiter| poll_once(waiter).is_pending()));
        let shown = format!("{limiter:?}");
        for figure in ["total_tokens: 1", "borrowed_tokens: 1", "waiting: 2"] {
            assert!(shown.contains(figure), "{shown}");
        }
        drop(permit);
        let [_, second] = line;
        assert!(waiting(&limiter), "the first isn't in line any more");
        drop(second);
        assert!(format!("{limiter:?}").contains("waiting: 0"));
    });
}

// U4, decision 3
#[test]
fn the_panic_of_a_self_wait_names_every_place_where_a_token_was_asked_for() {
    watched(|| {
        let limiter = Limiter::new(2);
        let bounded = Asyncify::new().limiter(&limiter);
        let innermost = bounded.wrap(|| ());
        let innermost = Arc::new(Mutex::new(innermost));
        let middle = bounded.wrap(move || {
            let innermost = innermost.lock().unwrap()();
            syncify(async |call: BlockingTask<()>| call.await)(innermost).unwrap();
        });
        let middle = Arc::new(Mutex::new(middle));
        let outer = bounded.wrap(move || {
            let middle = middle.lock().unwrap()();
            syncify(async |call: BlockingTask<()>| call.await)(middle).unwrap();
        });
        let text = panic_of(|| run(async { outer().await }));
        assert!(text.starts_with("deadlock"), "{text}");
        let (_, places) = text.split_once("asked for at ").unwrap();
        let places: HashSet<_> = places.split(", ").collect();
        assert_eq!(places.len(), 2, "{text}");
        assert!(
            places
                .iter()
                .all(|place| place.contains("limiter_nesting.rs:")),
            "{text}"
        );
        until(|| limiter.borrowed_tokens() == 0);
    });
}

// Decision 3: nothing waits for a detached call
#[test]
fn a_call_that_the_holder_of_the_only_token_detaches_runs_when_the_holder_is_done() {
    watched(|| {
        let limiter = Limiter::new(1);
        let (ran, has_run) = mpsc::channel();
        let bounded = Asyncify::new().limiter(&limiter);
        let later = bounded.clone();
        let holder = bounded.wrap(move || {
            let ran = ran.clone();
            later.wrap(move || ran.send(()).unwrap())().detach();
        });
        run(async { holder().await });
        has_run.recv().unwrap();
        until(|| limiter.borrowed_tokens() == 0);
    });
}

/// A job that asks for a token in its turn when it is told to, and what became of that.
fn asks_when_told(
    limiter: Limiter,
) -> (
    Sender<()>,
    impl FnOnce() -> Result<i32, String> + Clone + Send,
) {
    let (go, told) = mpsc::channel();
    let told = Arc::new(Mutex::new(told));
    let bounded = Asyncify::new().limiter(&limiter);
    let job = move || {
        told.lock().unwrap().recv().unwrap();
        catch_unwind(AssertUnwindSafe(|| bounded.wrap(|| 3)().join()))
            .map_err(|payload| text_of(&*payload))
    };
    (go, job)
}

// Decision 3: a call that has ended holds nothing
#[test]
fn a_detached_job_may_wait_for_a_token_that_its_submitter_has_given_back_to_a_stranger() {
    watched(|| {
        let limiter = Limiter::new(1);
        let (go, asks) = asks_when_told(limiter.clone());
        let (answer, answers) = mpsc::channel();
        let submitter = Asyncify::new().limiter(&limiter).wrap(move || {
            let (asks, answer) = (asks.clone(), answer.clone());
            asyncify(move || answer.send(asks()).unwrap())().detach();
        });
        run(async { submitter().await });
        let stranger = limiter.try_acquire().unwrap();
        go.send(()).unwrap();
        until(|| {
            waiting(&limiter) || !matches!(answers.try_recv(), Err(mpsc::TryRecvError::Empty))
        });
        drop(stranger);
        assert_eq!(answers.recv(), Ok(Ok(3)));
    });
}

// Decision 3: and so it is if another thread waits for the job
#[test]
fn a_job_handed_out_by_its_submitter_may_wait_for_the_token_that_the_submitter_had() {
    watched(|| {
        let limiter = Limiter::new(1);
        let (go, asks) = asks_when_told(limiter.clone());
        let pool = Pool::builder().build();
        let submitter = Asyncify::new()
            .limiter(&limiter)
            .wrap(move || pool.spawn_blocking(asks.clone()));
        let handed_out = run(submitter());
        let stranger = limiter.try_acquire().unwrap();
        go.send(()).unwrap();
        until(|| waiting(&limiter) || handed_out.is_finished());
        drop(stranger);
        assert_eq!(handed_out.join(), Ok(3));
    });
}

// Decision 3: looked at and refused in one step
#[test]
fn a_token_that_a_stranger_takes_and_gives_back_all_the_time_is_never_taken_for_an_ancestors() {
    watched(|| {
        let limiter = Limiter::new(2);
        let ended = Arc::new(AtomicBool::new(false));
        let stranger = thread::spawn({
            let (limiter, ended) = (limiter.clone(), ended.clone());
            move || {
                while !ended.load(SeqCst) {
                    let permit = limiter.try_acquire();
                    hint::spin_loop();
                    drop(permit);
                }
            }
        });
        let asked = limiter.clone();
        let holder = Asyncify::new().limiter(&limiter).wrap(move || {
            for _ in 0..100_000 {
                let mut acquire = pin!(asked.acquire());
                let mut context = Context::from_waker(Waker::noop());
                // Panics if the stranger's token counts as this job's.
                let _ = acquire.as_mut().poll(&mut context).is_ready();
            }
        });
        let panicked = catch_unwind(AssertUnwindSafe(|| run(async { holder().await })));
        ended.store(true, SeqCst);
        stranger.join().unwrap();
        panicked.map_err(|payload| text_of(&*payload)).unwrap();
    });
}

// Decision 3: a call keeps no ancestor that has ended
#[test]
fn a_chain_of_detached_calls_may_be_longer_than_any_stack() {
    fn step(left: u32, pool: Pool, end: Sender<()>) {
        match left {
            0 => end.send(()).unwrap(),
            _ => Asyncify::new().pool(&pool).wrap(step)(left - 1, pool, end).detach(),
        }
    }
    watched(|| {
        let pool = Pool::builder().build();
        let (end, has_ended) = mpsc::channel();
        step(50_000, pool.clone(), end);
        has_ended.recv().unwrap();
        // Were they kept, each by the next, the last one would drop them all, one within the other.
        pool.shutdown(Duration::from_secs(20)).unwrap();
    });
}

// L16, decision 11
#[test]
fn a_token_may_pass_through_a_line_of_refused_calls_longer_than_any_stack() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire().unwrap();
        let call = Asyncify::new().pool(&pool).limiter(&limiter).wrap(|| ());
        (0..20_000).for_each(|_| call().detach());
        pool.shutdown(Duration::from_secs(20)).unwrap();
        drop(permit);
        assert_eq!(limiter.borrowed_tokens(), 0);
        assert!(format!("{limiter:?}").contains("waiting: 0"));
    });
}

// Decisions 3 and 11
#[test]
fn a_call_that_waits_is_told_when_with_fewer_tokens_only_its_own_callers_are_left_to_give_one_back()
{
    watched(|| {
        let limiter = Limiter::new(2);
        let stranger = limiter.try_acquire().unwrap();
        let own = limiter.clone();
        let call = Asyncify::new().limiter(&limiter).wrap(move || {
            let own = own.clone();
            panic_of(|| syncify(async move || drop(own.acquire().await))())
        });
        let mut call = call();
        let text = run(async {
            let mut stranger = Some(stranger);
            poll_fn(|context| {
                let polled = Pin::new(&mut call).poll(context);
                if stranger.is_some() && waiting(&limiter) {
                    limiter.set_total_tokens(1);
                    stranger = None;
                }
                if stranger.is_some() {
                    context.waker().wake_by_ref();
                }
                polled
            })
            .await
        });
        assert!(text.starts_with("deadlock"), "{text}");
        assert_eq!(limiter.borrowed_tokens(), 0);
        assert!(format!("{limiter:?}").contains("waiting: 0"));
    });
}
