//! Bad input, and what it gets: an error that says what to do instead, at once.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, me, ms, panic_of, watched};
use footbridge::time::{sleep, sleep_until, timeout};
use footbridge::{
    EventLoop, Handle, Limiter, LocalSpawner, Pool, Syncify, SyncifyError, gather, run, spawn,
    spawn_blocking, syncify, yield_now,
};
use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

// R3
#[test]
fn run_inside_a_running_loop_panics_naming_the_event_loop_and_never_touches_the_future() {
    watched(|| {
        run(async {
            let (polled, was_polled) = mpsc::channel();
            let text = panic_of(|| run(async move { polled.send(()).unwrap() }));
            assert!(text.contains("event loop"), "{text}");
            assert_eq!(was_polled.try_recv(), Err(mpsc::TryRecvError::Disconnected));
            yield_now().await; // and the outer loop goes on
            assert_eq!(spawn_blocking(|| 1).await, 1);
        })
    });
}

// R3, decision 7
#[test]
fn driving_a_loop_inside_a_running_one_panics_naming_the_event_loop() {
    watched(|| {
        let mut inner = EventLoop::new();
        let inner = &mut inner;
        run(async {
            let text = panic_of(|| inner.run_until(async {}));
            assert!(
                text.starts_with("EventLoop::run_until") && text.contains("event loop"),
                "{text}"
            );
            let text = panic_of(|| inner.tick());
            assert!(
                text.starts_with("EventLoop::tick") && text.contains("event loop"),
                "{text}"
            );
            yield_now().await;
        });
        assert_eq!(
            inner.run_until(async { 2 }),
            2,
            "it is fit to be run where it may"
        );
    });
}

// S2, S10, S11, S22: the typed errors; what they are in detail stands in syncify.rs
#[test]
fn syncify_says_what_is_wrong_with_the_thread() {
    async fn nothing() {}
    watched(|| {
        assert_eq!(syncify(nothing)(), Err(SyncifyError::NotOnWorkerThread));
        run(async { assert_eq!(syncify(nothing)(), Err(SyncifyError::OnLoopThread)) });
        let ended = run(async { Handle::current() });
        // The job belongs to a loop that has ended.
        let of_the_dead = ended.run_in_executor(None, || {
            let lenient = Syncify::new().raise_sync_error(false);
            (syncify(nothing)(), lenient.wrap(nothing)())
        });
        let closed = Err(SyncifyError::LoopClosed);
        assert_eq!(of_the_dead.join(), (closed, closed));
    });
}

#[test]
fn what_is_polled_after_it_has_given_its_result_says_so() {
    fn says_so<F: Future + Unpin>(mut future: F, name: &str) {
        let mut context = Context::from_waker(Waker::noop());
        common::until(|| Pin::new(&mut future).poll(&mut context).is_ready());
        let text = panic_of(|| Pin::new(&mut future).poll(&mut context).is_ready());
        assert!(
            text.contains(name) && text.contains("polled after"),
            "{text}"
        );
    }
    watched(|| {
        let mut event_loop = EventLoop::new();
        let task = event_loop.spawn(async {});
        let send_task = event_loop.spawn(async {}).into_send();
        event_loop.run_until(yield_now());
        says_so(task, "a JoinHandle");
        says_so(send_task, "a SendJoinHandle");
        says_so(spawn_blocking(|| 1), "BlockingTask");
        says_so(gather([ready(1)]), "Gather");
        says_so(Limiter::new(1).acquire(), "Acquire");
    });
}

#[test]
fn a_loop_and_a_pool_may_be_dropped_where_a_loop_runs_and_neither_waits() {
    watched(|| {
        let (pool, event_loop) = (Pool::builder().build(), EventLoop::new());
        let (go, wait) = mpsc::channel::<()>();
        let job = pool.spawn_blocking(move || wait.recv().is_err());
        let task = event_loop.spawn(pending::<()>());
        run(async {
            drop((pool, event_loop));
            assert!(task.await.unwrap_err().is_cancelled());
            drop(go);
            assert!(job.await);
        });
    });
}

#[test]
fn a_pool_of_no_threads_is_refused_by_name() {
    watched(|| {
        let text = panic_of(|| Pool::builder().max_threads(0));
        assert!(
            text.contains("max_threads") && text.contains("the least is 1"),
            "{text}"
        );
    });
}

#[test]
fn a_thread_name_that_no_thread_can_have_is_refused_by_name() {
    watched(|| {
        let text = panic_of(|| Pool::builder().thread_name("a\0b"));
        assert!(
            text.contains("thread_name") && text.contains("NUL"),
            "{text}"
        );
    });
}

#[test]
fn where_there_is_no_loop_a_panic_says_what_to_call_instead() {
    watched(|| {
        let text = panic_of(|| drop(spawn(async {})));
        assert!(
            text.contains("footbridge::run") && text.contains("Handle::spawn"),
            "{text}"
        );
        let text = panic_of(|| drop(Handle::current()));
        assert!(
            text.contains("Handle::current") && text.contains("footbridge::run"),
            "{text}"
        );
        let text = panic_of(|| drop(LocalSpawner::current()));
        assert!(
            text.contains("footbridge::run") && text.contains("EventLoop::spawner"),
            "{text}"
        );
        let text = panic_of(|| common::foreign_block_on(sleep(ms(1))));
        assert!(text.contains("footbridge::run"), "{text}");
        let text = panic_of(|| common::foreign_block_on(timeout(ms(1), pending::<()>())));
        assert!(text.contains("footbridge::run"), "{text}");
        // A worker runs no loop either, although it has one to go home to.
        let on_a_worker =
            run(async { spawn_blocking(|| panic_of(|| drop(spawn(async {})))).await });
        assert!(on_a_worker.contains("Handle::spawn"), "{on_a_worker}");
    });
}

#[test]
fn making_a_timer_without_a_loop_is_no_mistake() {
    watched(|| {
        let (one, two) = (sleep(ms(1)), timeout(ms(1000), async { 5 }));
        assert_eq!(run(async { (one.await, two.await) }), ((), Ok(5)));
    });
}

#[test]
fn durations_beyond_what_an_instant_holds_are_the_far_future() {
    watched(|| {
        run(async {
            let far = spawn(sleep(Duration::MAX));
            assert_eq!(timeout(Duration::MAX, sleep(ms(1))).await, Ok(()));
            assert!(timeout(ms(1), sleep(Duration::MAX)).await.is_err());
            assert!(!far.is_finished());
        });
        let pool = Pool::builder().keep_alive(Duration::MAX).build();
        let worker = pool.spawn_blocking(me).join();
        assert_eq!(pool.spawn_blocking(me).join(), worker);
        pool.shutdown(Duration::MAX).unwrap();
        let mut event_loop = EventLoop::new();
        event_loop.spawn(sleep(Duration::MAX));
        event_loop.tick();
        assert!(
            event_loop.next_deadline().unwrap() > Instant::now() + Duration::from_secs(1 << 20)
        );
    });
}

#[test]
fn times_that_have_passed_are_one_turn_of_the_loop() {
    watched(|| {
        run(async {
            let (ran, has_run) = mpsc::channel();
            spawn(async move { ran.send(()).unwrap() });
            sleep(Duration::ZERO).await;
            has_run.try_recv().unwrap();
            sleep_until(Instant::now() - ms(1)).await;
            assert!(timeout(Duration::ZERO, pending::<()>()).await.is_err());
            assert_eq!(
                timeout(Duration::ZERO, async { 1 }).await,
                Ok(1),
                "what is ready wins"
            );
        })
    });
}

#[test]
fn a_keep_alive_of_nothing_still_runs_every_job() {
    watched(|| {
        let pool = Pool::builder()
            .keep_alive(Duration::ZERO)
            .max_threads(2)
            .build();
        for n in 0..100 {
            assert_eq!(pool.spawn_blocking(move || n).join(), n);
        }
        pool.shutdown(ms(20_000)).unwrap();
    });
}

#[test]
fn a_job_refused_by_a_closed_pool_gives_back_what_it_holds() {
    watched(|| {
        let pool = Pool::builder().build();
        pool.shutdown(Duration::ZERO).unwrap();
        let (drops, dropped) = mpsc::channel();
        let guard = Guard(drops);
        let refused = pool.spawn_blocking(move || drop(guard));
        assert_eq!(dropped.try_recv(), Ok(me()));
        assert!(refused.is_finished());
        panic_of(|| refused.join());
    });
}

#[test]
fn asking_a_join_error_for_a_panic_that_there_was_not_says_so() {
    watched(|| {
        let error = run(async {
            let task = spawn(pending::<()>());
            task.abort();
            task.await.unwrap_err()
        });
        assert!(error.is_cancelled() && !error.is_panic());
        let text = panic_of(|| drop(error.into_panic()));
        assert!(text.contains("the task was cancelled"), "{text}");
    });
}
