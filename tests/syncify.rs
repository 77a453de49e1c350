//! Async -> blocking: what `syncify` and `Handle::block_on` promise.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, me, ms, panic_of, thrown_by, until_set, watched};
use footbridge::time::{sleep, timeout};
use footbridge::{
    EventLoop, Handle, Syncify, SyncifyError, asyncify, gather, run, spawn, spawn_blocking,
    syncify, yield_now,
};
use std::cell::Cell;
use std::future::{IntoFuture, pending};
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::Instant;

async fn where_am_i() -> ThreadId {
    me()
}

fn lenient() -> Syncify {
    Syncify::new().raise_sync_error(false)
}

// S1, S3
#[test]
fn on_a_worker_it_runs_on_the_loop_that_the_job_came_from_lenient_or_not() {
    watched(|| {
        let strict = run(async { spawn_blocking(syncify(where_am_i)).await });
        assert_eq!(strict, Ok(me()));
        let lenient = run(async { spawn_blocking(lenient().wrap(where_am_i)).await });
        assert_eq!(lenient, Ok(me()));
    });
}

// S1
#[test]
fn the_worker_is_blocked_until_the_async_function_is_done() {
    watched(|| {
        async fn count(steps: Arc<AtomicUsize>) -> usize {
            for _ in 0..10 {
                yield_now().await;
                steps.fetch_add(1, SeqCst);
            }
            sleep(ms(1)).await;
            steps.fetch_add(1, SeqCst)
        }
        let steps = Arc::new(AtomicUsize::new(0));
        let job = {
            let steps = steps.clone();
            move || (syncify(count)(steps.clone()), steps.load(SeqCst))
        };
        assert_eq!(run(async { asyncify(job)().await }), (Ok(10), 11));
    });
}

// S2
#[test]
fn on_a_plain_thread_the_strict_form_says_so_and_calls_nothing() {
    watched(|| {
        let called = Arc::new(AtomicBool::new(false));
        let g = {
            let called = called.clone();
            move || {
                called.store(true, SeqCst);
                async {}
            }
        };
        assert_eq!(syncify(g)(), Err(SyncifyError::NotOnWorkerThread));
        assert!(!called.load(SeqCst));
    });
}

// S4
#[test]
fn on_a_plain_thread_the_lenient_form_runs_a_new_loop_there_and_ends_it() {
    watched(|| {
        let handle = lenient().wrap(async || (me(), Handle::current()))();
        let (thread, handle) = handle.unwrap();
        assert_eq!(thread, me());
        assert!(handle.is_closed());
        assert!(Handle::try_current().is_none());
    });
}

// S5
#[test]
fn one_blocking_function_serves_an_async_program_and_one_without_a_loop() {
    fn greet(name: &'static str) -> String {
        async fn greeting(name: &'static str) -> String {
            yield_now().await;
            format!("Hello, {name}")
        }
        lenient().wrap(greeting)(name).unwrap()
    }
    watched(|| {
        assert_eq!(
            run(async { asyncify(greet)("async").await }),
            "Hello, async"
        );
        assert_eq!(greet("sync"), "Hello, sync");
    });
}

// S9
#[test]
fn a_plain_thread_counts_as_one_although_a_loop_runs_elsewhere() {
    watched(|| {
        run(async {
            let elsewhere = spawn_blocking(|| {
                let thread =
                    thread::spawn(|| (syncify(where_am_i)(), lenient().wrap(where_am_i)(), me()));
                thread.join().unwrap()
            });
            let (strict, lenient, thread) = elsewhere.await;
            assert_eq!(strict, Err(SyncifyError::NotOnWorkerThread));
            assert_eq!(lenient, Ok(thread));
        })
    });
}

// S10, S11, decision 7
#[test]
fn on_a_thread_that_runs_a_loop_every_form_is_refused_at_once() {
    watched(|| {
        run(async {
            let handle = Handle::current();
            let refused = Err(SyncifyError::OnLoopThread);
            assert_eq!(syncify(where_am_i)(), refused);
            assert_eq!(lenient().wrap(where_am_i)(), refused);
            assert_eq!(Syncify::new().on(&handle).wrap(where_am_i)(), refused);
            assert_eq!(handle.block_on(where_am_i), refused);
            yield_now().await; // and the loop goes on
        })
    });
}

// S12, S13
#[test]
fn a_panic_of_the_async_function_crosses_every_boundary_and_leaves_the_loop_alone() {
    #[derive(Debug, PartialEq)]
    struct Mine(u32);
    watched(|| {
        run(async {
            let other = spawn(async {
                yield_now().await;
                "unharmed"
            });
            // Three hops: the loop, a worker, the loop, a worker.
            let inner = || syncify(async || -> () { panic_any(Mine(9)) })();
            let outer = move || syncify(async move || asyncify(inner)().await)();
            let caught = spawn(async move { asyncify(outer)().await }).await;
            let payload = caught.unwrap_err().into_panic();
            assert_eq!(payload.downcast_ref(), Some(&Mine(9)));
            assert_eq!(other.await.unwrap(), "unharmed");
            let caught_on_the_worker = asyncify(|| {
                thrown_by(|| syncify(async || -> () { panic_any(Mine(1)) })()).downcast_ref()
                    == Some(&Mine(1))
            });
            assert!(caught_on_the_worker().await);
        })
    });
}

// S28
#[test]
fn a_panic_on_a_temporary_loop_is_passed_on_when_the_loop_is_gone() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let g = lenient().wrap(async move |_: ()| {
            let guard = Guard(drops.clone());
            spawn(async move {
                let _guard = guard;
                pending::<()>().await
            });
            yield_now().await;
            panic!("on a temporary loop")
        });
        assert_eq!(panic_of(|| g(())), "on a temporary loop");
        assert_eq!(dropped.try_recv(), Ok(me()));
        assert_eq!(
            lenient().wrap(where_am_i)(),
            Ok(me()),
            "the thread is fit for the next"
        );
    });
}

// S15
#[test]
fn the_function_is_called_on_the_loops_thread_and_its_future_need_not_be_send() {
    watched(|| {
        let g = |n: u32| {
            let called_on = me();
            let local = Rc::new(Cell::new(n));
            async move {
                yield_now().await;
                (local.get(), called_on)
            }
        };
        assert_eq!(
            run(async { asyncify(move |n| syncify(g)(n))(5).await }),
            Ok((5, me()))
        );
    });
}

// S16
#[test]
fn whatever_can_be_awaited_will_do() {
    struct Later(u32);
    impl IntoFuture for Later {
        type Output = u32;
        type IntoFuture = std::future::Ready<u32>;
        fn into_future(self) -> Self::IntoFuture {
            std::future::ready(self.0)
        }
    }
    watched(|| {
        assert_eq!(
            run(async { asyncify(|n| syncify(Later)(n))(3).await }),
            Ok(3)
        );
        assert_eq!(lenient().wrap(Later)(4), Ok(4));
    });
}

// S15, S16: the arities
#[test]
fn async_functions_of_up_to_eight_arguments_keep_their_signature() {
    async fn generic<T: ToString>(value: T) -> String {
        value.to_string()
    }
    watched(|| {
        let it = lenient();
        assert_eq!(it.wrap(async || 0)(), Ok(0));
        assert_eq!(it.wrap(generic::<u8>)(7), Ok("7".to_owned()));
        assert_eq!(it.wrap(async |a: u8, b: u8| [a, b])(1, 2), Ok([1, 2]));
        assert_eq!(
            it.wrap(async |a: u8, b: u8, c: u8| [a, b, c])(1, 2, 3),
            Ok([1, 2, 3])
        );
        let four = it.wrap(async |a: u8, b: u8, c: u8, d: u8| [a, b, c, d]);
        assert_eq!(four(1, 2, 3, 4), Ok([1, 2, 3, 4]));
        let five = it.wrap(async |a: u8, b: u8, c: u8, d: u8, e: u8| [a, b, c, d, e]);
        assert_eq!(five(1, 2, 3, 4, 5), Ok([1, 2, 3, 4, 5]));
        let six = it.wrap(async |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8| [a, b, c, d, e, f]);
        assert_eq!(six(1, 2, 3, 4, 5, 6), Ok([1, 2, 3, 4, 5, 6]));
        let seven =
            it.wrap(async |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8| [a, b, c, d, e, f, g]);
        assert_eq!(seven(1, 2, 3, 4, 5, 6, 7), Ok([1, 2, 3, 4, 5, 6, 7]));
        let eight = it.wrap(
            async |a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8| [a, b, c, d, e, f, g, h],
        );
        assert_eq!(eight(1, 2, 3, 4, 5, 6, 7, 8), Ok([1, 2, 3, 4, 5, 6, 7, 8]));
    });
}

// S18
#[test]
fn calls_of_many_workers_interleave_on_the_loop() {
    watched(|| {
        // Each waits for all the others to be under way.
        async fn meet(arrived: Arc<AtomicUsize>) {
            arrived.fetch_add(1, SeqCst);
            while arrived.load(SeqCst) < 10 {
                yield_now().await;
            }
        }
        let arrived = Arc::new(AtomicUsize::new(0));
        let all = run(async {
            let meet = asyncify(|arrived| syncify(meet)(arrived));
            gather((0..10).map(|_| meet(arrived.clone()))).await
        });
        assert_eq!(all, [Ok(()); 10]);
    });
}

// S19
#[test]
fn what_one_thread_posts_starts_in_that_order() {
    watched(|| {
        run(async {
            let handle = Handle::current();
            let order = Arc::new(Mutex::new(Vec::new()));
            let posted = order.clone();
            spawn_blocking(move || {
                let tasks: Vec<_> = (0..100)
                    .map(|n| {
                        let order = posted.clone();
                        handle.spawn(move || async move { order.lock().unwrap().push(n) })
                    })
                    .collect();
                tasks.into_iter().for_each(|task| task.join().unwrap());
            })
            .await;
            assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
        })
    });
}

// S24
#[test]
fn any_thread_may_call_in_with_a_handle() {
    watched(|| {
        let here = me();
        run(async {
            let handle = Handle::current();
            let foreign = thread::spawn(move || {
                let by_syncify = Syncify::new().on(&handle).wrap(where_am_i)();
                (by_syncify, handle.block_on(where_am_i))
            });
            let answers = spawn_blocking(|| foreign.join().unwrap()).await;
            assert_eq!(answers, (Ok(here), Ok(here)));
        })
    });
}

// S22, decision 11
#[test]
fn a_worker_whose_loop_has_ended_is_told_so_in_both_modes() {
    watched(|| {
        let (open, gate) = mpsc::channel::<()>();
        let (answer, answers) = mpsc::channel();
        let handle = run(async {
            let job = move || {
                gate.recv().unwrap();
                answer
                    .send((syncify(where_am_i)(), lenient().wrap(where_am_i)()))
                    .unwrap();
            };
            spawn_blocking(job).detach();
            Handle::current()
        });
        open.send(()).unwrap();
        let closed = Err(SyncifyError::LoopClosed);
        assert_eq!(answers.recv().unwrap(), (closed, closed));
        assert!(handle.is_closed());
        // And so is a plain thread that names that loop.
        let named = thread::spawn(move || {
            (
                handle.block_on(where_am_i),
                Syncify::new().on(&handle).wrap(where_am_i)(),
            )
        });
        assert_eq!(named.join().unwrap(), (closed, closed));
    });
}

// S23, U6, decision 11
#[test]
fn a_worker_that_waits_when_the_loop_ends_is_released_when_the_async_function_is_gone() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let waiting = Arc::new(AtomicBool::new(false));
        run(async {
            let (begun, handle) = (waiting.clone(), Handle::current());
            spawn_blocking(move || {
                let answered = handle.block_on(move || async move {
                    let _guard = Guard(drops);
                    begun.store(true, SeqCst);
                    pending::<()>().await
                });
                answer.send((answered, dropped.try_recv())).unwrap();
            })
            .detach();
            until_set(&waiting).await;
        });
        assert_eq!(
            answers.recv().unwrap(),
            (Err(SyncifyError::LoopClosed), Ok(me()))
        );
    });
}

// U6, decision 11
#[test]
fn a_call_into_a_loop_that_nobody_runs_any_more_is_answered_when_the_loop_goes() {
    watched(|| {
        for _ in 0..50 {
            let event_loop = EventLoop::new();
            let handle = event_loop.handle();
            let caller = thread::spawn(move || handle.block_on(where_am_i));
            thread::yield_now(); // before, while or after the loop goes: it is answered
            drop(event_loop);
            assert_eq!(caller.join().unwrap(), Err(SyncifyError::LoopClosed));
        }
    });
}

// S25, U5, decision 7
#[test]
fn a_wait_for_a_loop_of_ones_own_thread_that_does_not_run_is_refused() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let handle = event_loop.handle();
        assert_eq!(handle.block_on(where_am_i), Err(SyncifyError::OnLoopThread));
        let named = Syncify::new().on(&handle).wrap(where_am_i);
        assert_eq!(named(), Err(SyncifyError::OnLoopThread));
        let task = event_loop.spawn(async { 1 }).into_send();
        assert!(
            panic_of(|| task.join()).contains("await it"),
            "SendJoinHandle::join"
        );
        assert_eq!(event_loop.run_until(async { 2 }), 2);
        drop(event_loop);
        assert_eq!(handle.block_on(where_am_i), Err(SyncifyError::LoopClosed));
    });
}

// S26, S27, decision 7, R4
#[test]
fn a_worker_that_runs_a_loop_is_a_loop_thread_and_that_loops_jobs_come_home_to_it() {
    watched(|| {
        run(async {
            asyncify(|| {
                run(async {
                    assert_eq!(syncify(where_am_i)(), Err(SyncifyError::OnLoopThread));
                    assert_eq!(
                        lenient().wrap(where_am_i)(),
                        Err(SyncifyError::OnLoopThread)
                    );
                    assert_eq!(spawn_blocking(syncify(where_am_i)).await, Ok(me()));
                });
            })()
            .await;
        })
    });
}

#[test]
fn a_timeout_on_the_loop_reaches_a_call_that_comes_from_a_worker() {
    watched(|| {
        let start = Instant::now();
        let late = run(async {
            spawn_blocking(syncify(async || {
                timeout(ms(5), pending::<()>()).await.is_err()
            }))
            .await
        });
        assert_eq!(late, Ok(true));
        assert!(start.elapsed() >= ms(5));
    });
}
