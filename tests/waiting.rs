//! Each wait gets an answer, and none is in vain: many jobs at once, aborts through any depth,
//! tasks that are cancelled under a job that waits for them.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, me, panic_of, until, until_set, watched};
use footbridge::{
    BlockingTask, Cancelled, EventLoop, Handle, Limiter, Pool, Syncify, SyncifyError,
    check_cancelled, gather, run, spawn, spawn_blocking, syncify, yield_now,
};
use std::future::{Ready, pending, poll_fn, ready};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread::{self, ThreadId};

/// A job nested in `depth` others on `pool`; how many levels there were.
fn nested(pool: &Pool, depth: u32) -> BlockingTask<u32> {
    let deeper = pool.clone();
    pool.spawn_blocking(move || match depth {
        0 => 0,
        _ => 1 + syncify(async move || nested(&deeper, depth - 1).await)().unwrap(),
    })
}

// U4, S20, decision 3
#[test]
fn forty_calls_three_deep_get_through_a_pool_of_forty_threads_which_they_fill() {
    watched(|| {
        let pool = Pool::builder().max_threads(40).build();
        run(async {
            let all = Arc::new(Barrier::new(40));
            let outer = (0..40).map(|_| {
                let (all, inner) = (all.clone(), pool.clone());
                pool.spawn_blocking(move || {
                    all.wait(); // every thread has one now
                    syncify(async move || nested(&inner, 2).await)()
                })
            });
            assert_eq!(gather(outer).await, [Ok(2); 40]);
        })
    });
}

// S21, decision 3
#[test]
fn when_a_deep_chain_is_through_no_more_jobs_run_at_once_than_before() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        assert_eq!(run(async { nested(&pool, 16).await }), 16);
        until(|| pool.stats().idle == pool.stats().threads);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let jobs: Vec<_> = (0..50)
            .map(|_| {
                let (now, most) = (now.clone(), most.clone());
                pool.spawn_blocking(move || {
                    most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                    thread::yield_now();
                    now.fetch_sub(1, SeqCst);
                })
            })
            .collect();
        jobs.into_iter().for_each(|job| job.join());
        assert_eq!(most.load(SeqCst), 1);
    });
}

// W12, decision 3: a waiting worker that ran others' jobs would lock it twice
#[test]
fn many_jobs_on_two_threads_may_each_hold_one_mutex_while_they_wait_for_the_loop() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        let sum = Arc::new(Mutex::new(0));
        run(async {
            let jobs = (0..50).map(|_| {
                let sum = sum.clone();
                pool.spawn_blocking(move || {
                    let mut sum = sum.lock().unwrap();
                    *sum += syncify(async || {
                        yield_now().await;
                        1
                    })()
                    .unwrap();
                })
            });
            gather(jobs).await;
        });
        assert_eq!(*sum.lock().unwrap(), 50);
    });
}

// X6, S29, decisions 1 and 12
#[test]
fn an_abort_goes_through_jobs_and_async_functions_down_to_the_innermost() {
    watched(|| {
        let (answer, answers) = mpsc::channel();
        let (drops, dropped) = mpsc::channel();
        let begun = Arc::new(AtomicBool::new(false));
        run(async {
            let mark = begun.clone();
            let inner_answer = answer.clone();
            let innermost = move || {
                let told = syncify(move |guard: Guard| {
                    let mark = mark.clone();
                    async move {
                        let _guard = guard;
                        mark.store(true, SeqCst);
                        pending::<()>().await
                    }
                })(Guard(drops));
                inner_answer.send(("inner", told)).unwrap();
            };
            let (give, given) = mpsc::channel();
            give.send(innermost).unwrap();
            let given = Arc::new(Mutex::new(given));
            let outer = move || {
                let given = given.clone();
                let told = syncify(async move || {
                    let innermost = given.lock().unwrap().recv().unwrap();
                    spawn_blocking(innermost).await
                })();
                answer.send(("outer", told)).unwrap();
            };
            let task = spawn(async move { spawn_blocking(outer).await });
            until_set(&begun).await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            let mut told = Vec::new();
            while told.len() < 2 {
                told.extend(answers.try_recv());
                yield_now().await;
            }
            told.sort_unstable_by_key(|(who, _)| *who);
            let cancelled = Err(SyncifyError::Cancelled);
            assert_eq!(told, [("inner", cancelled), ("outer", cancelled)]);
            assert_eq!(dropped.try_recv(), Ok(me()));
        });
    });
}

// S14
#[test]
fn a_job_whose_task_on_the_loop_is_aborted_is_told_so_and_neither_it_nor_its_caller_is_cancelled() {
    watched(|| {
        run(async {
            let job = spawn_blocking(|| {
                // Made and aborted on the loop, waited for here.
                let (give, given) = mpsc::channel();
                let made = syncify(async |give: mpsc::Sender<_>| {
                    let task = spawn(pending::<()>());
                    yield_now().await;
                    task.abort();
                    give.send(task.into_send()).unwrap();
                })(give);
                assert_eq!(made, Ok(()));
                let task = given.recv().unwrap();
                (task.join().unwrap_err().is_cancelled(), check_cancelled())
            });
            assert_eq!(job.await, (true, Ok(())));
            assert_eq!(spawn_blocking(syncify(async || 1)).await, Ok(1));
        })
    });
}

// S17
#[test]
fn a_plain_function_can_be_called_on_the_loops_thread_and_its_value_and_panic_come_back() {
    fn double(n: u32) -> Ready<(u32, ThreadId)> {
        ready((2 * n, me()))
    }
    fn bad() -> Ready<()> {
        panic!("a plain panic")
    }
    watched(|| {
        run(async {
            let called = spawn_blocking(|| syncify(double)(3)).await;
            assert_eq!(called, Ok((6, me())));
            let limiter = Limiter::new(1);
            let there = limiter.clone();
            let raise = syncify(move |total| {
                there.set_total_tokens(total);
                ready(())
            });
            assert_eq!(spawn_blocking(move || raise(5)).await, Ok(()));
            assert_eq!(limiter.total_tokens(), 5);
            let text = spawn_blocking(|| panic_of(|| syncify(bad)())).await;
            assert_eq!(text, "a plain panic");
        })
    });
}

// X11
#[test]
fn outside_a_job_check_cancelled_is_ok_even_in_a_thread_that_a_cancelled_job_has_started() {
    watched(|| {
        assert_eq!(run(async { check_cancelled() }), Ok(()));
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (answer, answers) = mpsc::channel();
        let job = spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            let elsewhere = thread::spawn(check_cancelled).join().unwrap();
            answer
                .send((check_cancelled().is_err(), elsewhere))
                .unwrap();
        });
        has_begun.recv().unwrap();
        drop(job);
        open.send(()).unwrap();
        assert_eq!(answers.recv(), Ok((true, Ok(()))));
    });
}

// X12
#[test]
fn a_job_that_stops_because_it_was_cancelled_troubles_neither_its_worker_nor_its_siblings() {
    fn works_until_cancelled(begun: mpsc::Sender<()>) -> Result<(), Cancelled> {
        begun.send(()).unwrap();
        loop {
            check_cancelled()?;
            thread::yield_now();
        }
    }
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        run(async {
            let (begun, has_begun) = mpsc::channel();
            let cancelled = pool.spawn_blocking(move || works_until_cancelled(begun));
            let sibling = pool.spawn_blocking(|| "the sibling's");
            has_begun.recv().unwrap();
            drop(cancelled);
            assert_eq!(sibling.await, "the sibling's");
        });
        pool.shutdown(common::ms(20_000)).unwrap();
    });
}

// U9, X8, decision 1
#[test]
fn an_aborted_task_is_not_kept_waiting_by_the_job_that_it_awaits() {
    watched(|| {
        let (open, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        run(async {
            let task = spawn(async move {
                spawn_blocking(move || {
                    begun.send(()).unwrap();
                    gate.recv().unwrap();
                    ended.send(check_cancelled().is_err()).unwrap();
                })
                .await
            });
            yield_now().await;
            has_begun.recv().unwrap();
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        });
        assert!(has_ended.try_recv().is_err(), "the thread can't be stopped");
        open.send(()).unwrap();
        assert_eq!(has_ended.recv(), Ok(true));
    });
}

// U8
#[test]
fn a_loop_that_ends_while_workers_wait_for_it_prints_nothing() {
    const INSIDE: &str = "FOOTBRIDGE_TEST_WITHOUT_NOISE";
    let name = "a_loop_that_ends_while_workers_wait_for_it_prints_nothing";
    if std::env::var_os(INSIDE).is_some() {
        return watched(|| {
            let (answer, answers) = mpsc::channel();
            run(async {
                let waiting = Arc::new(AtomicBool::new(false));
                let (begun, handle) = (waiting.clone(), Handle::current());
                let task = spawn(pending::<()>()).into_send();
                let other = answer.clone();
                spawn_blocking(move || other.send(task.join().is_err()).unwrap()).detach();
                spawn_blocking(move || {
                    let told = handle.block_on(move || {
                        begun.store(true, SeqCst);
                        pending::<()>()
                    });
                    answer.send(told == Err(SyncifyError::LoopClosed)).unwrap();
                })
                .detach();
                until_set(&waiting).await;
            });
            assert_eq!((answers.recv(), answers.recv()), (Ok(true), Ok(true)));
        });
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("1 passed"), "{printed}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

// Decision 7
#[test]
fn joining_a_call_on_the_thread_of_its_own_loop_panics_whether_it_is_done_or_not() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let (open, gate) = mpsc::channel::<()>();
        let [running, done] = event_loop.run_until(async {
            [
                spawn_blocking(move || gate.recv().is_ok()),
                spawn_blocking(|| true),
            ]
        });
        assert!(panic_of(|| running.join()).contains("await it"));
        until(|| done.is_finished());
        assert!(panic_of(|| done.join()).contains("await it"));
        drop(open);
        let outlives_the_loop = event_loop.handle().run_in_executor(None, || 7);
        drop(event_loop);
        assert_eq!(outlives_the_loop.join(), 7);
    });
}

// S22, S23, decision 11
#[test]
fn a_loop_that_exists_but_is_not_run_keeps_calls_and_answers_them_when_it_is() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let caller = thread::spawn(move || Syncify::new().on(&handle).wrap(async || me())());
        until(|| event_loop.next_deadline().is_some());
        assert!(!caller.is_finished());
        event_loop.run_until(poll_fn(|context| {
            context.waker().wake_by_ref();
            match caller.is_finished() {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        }));
        assert_eq!(caller.join().unwrap(), Ok(me()));
    });
}
