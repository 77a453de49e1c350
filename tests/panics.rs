//! A panic in any code of a user's leaves the loop, the pool and the thread fit for the next call.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Grenade, me, ms, panic_of, panicking_waker, poll_once, thrown_by, until, watched};
use footbridge::time::sleep;
use footbridge::{
    Asyncify, EventLoop, Handle, JoinHandle, Limiter, Pool, Syncify, gather, run, spawn,
    spawn_blocking, syncify, yield_now,
};
use std::future::{Future, pending, poll_fn};
use std::panic::panic_any;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

/// The pool has lost neither a thread nor a place.
fn assert_fit(pool: &Pool) {
    until(|| pool.stats().idle == pool.stats().threads);
    assert_eq!(pool.spawn_blocking(|| 1).join(), 1);
    pool.shutdown(ms(20_000)).unwrap();
    assert_eq!(pool.stats().threads, 0);
}

fn poll_with_a_panicking_waker<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(&panicking_waker()))
}

#[test]
fn in_main_it_ends_run_until_and_the_loop_keeps_its_tasks() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let task = event_loop.spawn(async {
            yield_now().await;
            yield_now().await;
            "survives"
        });
        let main = async {
            yield_now().await;
            panic!("in main")
        };
        assert_eq!(panic_of(|| event_loop.run_until(main)), "in main");
        assert!(Handle::try_current().is_none());
        assert_eq!(event_loop.run_until(task).unwrap(), "survives");
        assert_eq!(run(async { 1 }), 1);
    });
}

#[test]
fn in_a_task_it_is_the_tasks_own() {
    watched(|| {
        run(async {
            let task: JoinHandle<()> = spawn(async { panic!("in a task") });
            let error = task.await.unwrap_err();
            assert!(error.is_panic() && error.to_string().contains("in a task"));
            drop(spawn(async { panic!("in a task without a waiter") }));
            yield_now().await;
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        })
    });
}

#[test]
fn in_a_posted_closure_it_harms_nobody() {
    watched(|| {
        run(async {
            let handle = Handle::current();
            assert!(handle.call_soon(|| panic!("in call_soon")));
            let made = handle.spawn(|| -> std::future::Ready<()> { panic!("in make") });
            assert!(made.await.unwrap_err().to_string().contains("in make"));
            assert_eq!(handle.spawn(|| async { 1 }).await.unwrap(), 1);
        })
    });
}

// S12
#[test]
fn in_the_call_of_an_async_function_it_is_the_callers() {
    fn bad() -> std::future::Ready<()> {
        panic!("before the first await")
    }
    watched(|| {
        let lenient = Syncify::new().raise_sync_error(false);
        run(async {
            let text = spawn_blocking(|| panic_of(|| syncify(bad)())).await;
            assert_eq!(text, "before the first await");
            assert_eq!(spawn_blocking(syncify(async || 1)).await, Ok(1));
        });
        assert_eq!(panic_of(|| lenient.wrap(bad)()), "before the first await");
        assert_eq!(lenient.wrap(async || 2)(), Ok(2));
    });
}

#[test]
fn in_a_job_that_waited_it_gives_the_place_back() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        run(async {
            for _ in 0..3 {
                let job = pool.spawn_blocking(|| syncify(async || panic!("on the loop"))());
                let caught = spawn(job).await.unwrap_err();
                assert!(caught.to_string().contains("on the loop"));
            }
        });
        assert_eq!(pool.stats().parked_in_syncify, 0);
        assert_fit(&pool);
    });
}

// Decision 14
#[test]
fn in_the_hosts_hook_it_harms_nobody() {
    watched(|| {
        let mut event_loop = EventLoop::builder()
            .on_wake(|| panic!("in the hook"))
            .build();
        let handle = event_loop.handle();
        assert!(handle.call_soon(|| ()));
        let task = event_loop.spawn(async {
            yield_now().await;
            spawn_blocking(|| 1).await
        });
        assert_eq!(event_loop.run_until(task).unwrap(), 1);
    });
}

#[test]
fn in_a_destructor_on_the_loop_it_harms_nobody() {
    watched(|| {
        run(async {
            let at_its_end = spawn(async {
                let _grenade = Grenade;
                1
            });
            let _ = at_its_end.await;
            let aborted = spawn(async {
                let _grenade = Grenade;
                pending::<()>().await
            });
            yield_now().await;
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
            // A result, a posted closure and a panic that aren't taken.
            drop(spawn(async { Grenade }));
            drop(spawn(async { panic_any(Grenade) }));
            let grenade = Grenade;
            Handle::current()
                .spawn(move || async move { drop(grenade) })
                .abort();
            yield_now().await;
            yield_now().await;
            assert_eq!(spawn(async { 2 }).await.unwrap(), 2);
        })
    });
}

#[test]
fn in_a_destructor_on_a_worker_it_harms_nobody() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        // A result and a payload that aren't taken.
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let result = pool.spawn_blocking(move || {
            begun.send(me()).unwrap();
            gate.recv().unwrap();
            Grenade
        });
        let worker = has_begun.recv().unwrap();
        let queued = Grenade;
        drop(pool.spawn_blocking(move || drop(queued)));
        drop(result);
        open.send(()).unwrap();
        assert_eq!(pool.spawn_blocking(me).join(), worker);
        assert_fit(&pool);
    });
}

#[test]
fn in_a_destructor_of_what_a_detached_job_returns_or_throws_it_does_not_end_the_worker() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let worker = pool.spawn_blocking(me).join();
        pool.spawn_blocking(|| Grenade).detach();
        assert_eq!(pool.spawn_blocking(me).join(), worker);
        pool.spawn_blocking(|| panic_any(Grenade)).detach();
        assert_eq!(pool.spawn_blocking(me).join(), worker);
        assert_fit(&pool);
    });
}

#[test]
fn in_a_destructor_of_a_refused_job_it_harms_nobody() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (open, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let running = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
        });
        has_begun.recv().unwrap();
        let queued: Vec<_> = (0..3)
            .map(|_| {
                let grenade = Grenade;
                pool.spawn_blocking(move || drop(grenade))
            })
            .collect();
        pool.shutdown(ms(1)).unwrap_err();
        for job in queued {
            assert!(panic_of(|| job.join()).contains("the pool has been shut down"));
        }
        open.send(()).unwrap();
        running.join();
    });
}

#[test]
fn in_a_waker_that_a_job_calls_it_does_not_end_the_worker() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (open, gate) = mpsc::channel::<()>();
        let mut job = pool.spawn_blocking(move || gate.recv().unwrap());
        assert!(poll_with_a_panicking_waker(&mut job).is_pending());
        open.send(()).unwrap();
        job.join();
        assert_fit(&pool);
    });
}

#[test]
fn in_a_waker_that_waits_for_a_token_it_does_not_end_the_worker_that_gives_it_back() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let limiter = Limiter::new(1);
        let (open, gate) = mpsc::channel();
        let gate = Arc::new(std::sync::Mutex::new(gate));
        let bounded = Asyncify::new().pool(&pool).limiter(&limiter);
        let holder = bounded.wrap(move || {
            gate.lock().unwrap().recv().unwrap();
            "the holder's result"
        });
        let mut holder = holder();
        assert!(poll_once(&mut holder).is_pending());
        let mut waiter = limiter.acquire();
        assert!(poll_with_a_panicking_waker(&mut waiter).is_pending());
        open.send(()).unwrap();
        assert_eq!(holder.join(), "the holder's result");
        drop(waiter);
        assert_eq!(limiter.borrowed_tokens(), 0);
        assert_fit(&pool);
    });
}

#[test]
fn in_a_waker_it_does_not_keep_the_others_in_line_from_being_woken() {
    watched(|| {
        let limiter = Limiter::new(0);
        let mut bad = limiter.acquire();
        assert!(poll_with_a_panicking_waker(&mut bad).is_pending());
        let good = thread::spawn({
            let limiter = limiter.clone();
            move || drop(common::foreign_block_on(limiter.acquire()))
        });
        until(|| format!("{limiter:?}").contains("waiting: 2"));
        let raise = limiter.clone();
        let _ = thread::spawn(move || raise.set_total_tokens(2)).join();
        good.join().unwrap();
    });
}

#[test]
fn in_a_waker_that_a_task_calls_at_its_end_it_leaves_the_loop_running() {
    watched(|| {
        run(async {
            let mut task = spawn(yield_now());
            let mut sent = spawn(yield_now()).into_send();
            assert!(poll_with_a_panicking_waker(&mut task).is_pending());
            assert!(poll_with_a_panicking_waker(&mut sent).is_pending());
            while !(task.is_finished() && sent.is_finished()) {
                yield_now().await; // Awaited, they would have another waker at their end.
            }
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        })
    });
}

#[test]
fn in_a_waker_that_an_aborted_task_calls_it_leaves_the_loop_running() {
    watched(|| {
        run(async {
            let mut task = spawn(pending::<()>());
            assert!(poll_with_a_panicking_waker(&mut task).is_pending());
            yield_now().await;
            task.abort();
            yield_now().await;
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        })
    });
}

#[test]
fn in_a_waker_that_a_timer_calls_it_leaves_the_loop_running() {
    watched(|| {
        run(async {
            let mut bad = sleep(ms(1));
            assert!(poll_with_a_panicking_waker(&mut bad).is_pending());
            sleep(ms(2)).await;
            assert_eq!(spawn(async { 1 }).await.unwrap(), 1);
        })
    });
}

// Decision 8
#[test]
fn in_one_of_a_gathers_futures_it_leaves_the_gather_fit_to_be_dropped() {
    watched(|| {
        let mut both = gather((0..2).map(|n| {
            poll_fn(move |_| match n {
                0 => panic!("the first"),
                _ => Poll::Ready(Grenade),
            })
        }));
        assert_eq!(panic_of(|| poll_once(&mut both)), "the first");
        drop(both);
        assert_eq!(run(gather([async { 1 }])), [1]);
    });
}

#[test]
fn in_a_blocking_wait_it_leaves_the_thread_fit_for_the_next_wait() {
    watched(|| {
        for n in 0..3 {
            thrown_by(|| spawn_blocking(|| panic!("in a job")).join());
            assert_eq!(spawn_blocking(move || n).join(), n);
        }
    });
}

#[test]
fn in_many_jobs_at_once_it_loses_no_thread() {
    watched(|| {
        let pool = Pool::builder().max_threads(4).build();
        let caught = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<_> = (0..100)
            .map(|_| pool.spawn_blocking(|| panic_any(())))
            .collect();
        for job in jobs {
            thrown_by(|| job.join());
            caught.fetch_add(1, SeqCst);
        }
        assert_eq!(caught.load(SeqCst), 100);
        assert_fit(&pool);
    });
}

#[test]
fn in_a_poll_of_a_foreign_executor_it_leaves_the_call_cancelled() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let call = pool.spawn_blocking(|| ());
        thrown_by(|| {
            common::foreign_block_on(async {
                let _call = pin!(call);
                panic!("beside a call")
            })
        });
        assert_fit(&pool);
    });
}

/// Panics where it is dropped, also while its thread panics: two of them at once would end the process.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a panic in a destructor");
    }
}

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn in_the_destructors_of_what_timers_hold_at_the_loops_end_they_harm_nobody() {
    watched(|| {
        let mut sleeps = [sleep(ms(60_000)), sleep(ms(60_000))];
        let mut event_loop = EventLoop::new();
        event_loop.run_until(async {
            for sleep in &mut sleeps {
                let waker = Waker::from(Arc::new(Bomb));
                let polled = Pin::new(sleep).poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending()); // the timer's is the last one now
            }
        });
        drop(event_loop);
    });
}

#[test]
fn in_the_destructors_of_what_refused_jobs_hold_last_they_harm_nobody() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (begun, has_begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let first = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            wait.recv()
        });
        first.detach();
        has_begun.recv().unwrap();
        for _ in 0..2 {
            let bomb = Bomb;
            let hook = move || {
                let _ = &bomb;
            };
            let event_loop = EventLoop::builder().on_wake(hook).build();
            event_loop
                .handle()
                .run_in_executor(Some(&pool), || ())
                .detach();
            drop(event_loop); // the queued job has the last of it
        }
        assert_eq!(pool.shutdown(ms(0)).unwrap_err().jobs().len(), 1);
        drop(go);
        pool.shutdown(ms(20_000)).unwrap();
    });
}

#[test]
fn in_the_destructor_of_a_waker_it_ends_no_process_and_keeps_nobody_from_being_answered() {
    fn poll_with_a_bomb<F: Future + Unpin>(future: &mut F) {
        let waker = Waker::from(Arc::new(Bomb));
        let polled = Pin::new(future).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    watched(|| {
        run(async {
            let limiter = Limiter::new(0);
            let unlucky = spawn(async move {
                let (mut sleep, mut acquire) = (sleep(ms(60_000)), limiter.acquire());
                poll_with_a_bomb(&mut sleep);
                poll_with_a_bomb(&mut acquire);
                panic!("the task's own");
            });
            assert!(unlucky.await.unwrap_err().is_panic());

            let (go, wait) = mpsc::channel();
            let mut job = spawn_blocking(move || wait.recv().unwrap());
            let mut task = spawn(sleep(ms(2)));
            let mut sleep = sleep(ms(2));
            let limiter = Limiter::new(1);
            let permit = limiter.try_acquire();
            let mut acquire = limiter.acquire();
            let mut all = gather([pending::<()>()]);
            // The second time, the first one's is dropped there.
            for _ in 0..2 {
                poll_with_a_bomb(&mut job);
                poll_with_a_bomb(&mut task);
                poll_with_a_bomb(&mut sleep);
                poll_with_a_bomb(&mut acquire);
                poll_with_a_bomb(&mut all);
            }
            go.send(7).unwrap();
            drop(permit);
            assert!(poll_once(&mut all).is_pending());
            sleep.await;
            drop(acquire.await);
            assert_eq!(job.await, 7);
            task.await.unwrap();
        });
    });
}

#[test]
fn in_the_destructors_of_what_a_gather_holds_they_end_no_process() {
    struct Bombs(Bomb);
    impl Future for Bombs {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            let _ = &self.0;
            Poll::Pending
        }
    }
    watched(|| {
        run(async {
            let task = spawn(gather([Bombs(Bomb), Bombs(Bomb)]));
            yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn in_the_destructors_of_a_gathers_finished_futures_it_takes_no_output_along() {
    struct Ready(Bomb, u32);
    impl Future for Ready {
        type Output = u32;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
            Poll::Ready(self.1)
        }
    }
    assert_eq!(run(gather([Ready(Bomb, 1), Ready(Bomb, 2)])), [1, 2]);
}

#[test]
fn in_what_gives_a_gather_its_futures_it_is_passed_on_whatever_their_destructors_do() {
    struct Bombs(Bomb);
    impl Future for Bombs {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Pending
        }
    }
    let futures = (0..3).map(|n| match n {
        2 => panic!("the third"),
        _ => Bombs(Bomb),
    });
    assert_eq!(panic_of(|| drop(gather(futures))), "the third");
}

#[test]
fn in_the_destructor_of_a_hook_that_goes_with_the_last_of_a_loop_it_harms_nobody_and_takes_no_result_along()
 {
    fn loop_with_a_bomb() -> EventLoop {
        let bomb = Bomb;
        let hook = move || {
            let _ = &bomb;
        };
        EventLoop::builder().on_wake(hook).build()
    }
    watched(|| {
        let event_loop = loop_with_a_bomb();
        let job = event_loop.handle().run_in_executor(None, || 7);
        until(|| job.is_finished());
        // The job may be held by its thread for a moment longer, and go with it; or here, with the result.
        drop(event_loop);
        assert_eq!(job.join(), 7);
        let handles = vec![loop_with_a_bomb().handle(), loop_with_a_bomb().handle()];
        drop(handles);
    });
}

// R7
#[test]
fn in_mains_destructor_it_takes_no_output_along() {
    struct Main(Grenade);
    impl Future for Main {
        type Output = u32;

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<u32> {
            Poll::Ready(7)
        }
    }
    assert_eq!(run(Main(Grenade)), 7);
    assert_eq!(EventLoop::new().run_until(Main(Grenade)), 7);
}

#[test]
fn a_panic_in_the_drop_of_a_tasks_result_stays_in_the_drop_of_its_handle() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let mut grenade = || {
            let task = event_loop.spawn(async { Grenade });
            let sent = event_loop.spawn(async { Grenade }).into_send();
            while event_loop.tick() {}
            (task, sent)
        };
        drop(grenade()); // of two panics in one drop the second would end the process
        let handles = grenade();
        let text = panic_of(|| {
            let _handles = handles;
            panic!("while it unwinds");
        });
        assert_eq!(text, "while it unwinds");
    });
}
