//! Executors within executors: other people's in our tasks and jobs, ours in theirs, and a loop whose host is one of
//! theirs. What a job belongs to is decided by where it was submitted, however many executors lie in between.

#[path = "../../common/mod.rs"]
mod common;
mod worlds;

use async_compat::CompatExt;
use common::{me, ms, panic_of, watched};
use footbridge::time::sleep;
use footbridge::{
    EventLoop, Handle, Limiter, Pool, Syncify, SyncifyError, asyncify, gather, run, spawn,
    spawn_blocking, syncify, yield_now,
};
use std::future::pending;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::ThreadId;
use worlds::{EXECUTORS, current_thread, loop_elsewhere, multi_thread, on_every_executor, pass_on};

/// The thread that strict `syncify` goes to.
fn home() -> Result<ThreadId, SyncifyError> {
    syncify(async || me())()
}

/// More than tokio lets one task receive in one turn of its own: what polls it has to give way now and then, or to
/// run where tokio doesn't count.
async fn a_thousand_of_tokios_messages() -> usize {
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..1000 {
        sender.send(n).unwrap();
    }
    drop(sender);
    let mut received = 0;
    while receiver.recv().await.is_some() {
        received += 1;
    }
    received
}

// R1, R4, S27
#[test]
fn a_loop_of_ours_may_run_inside_a_task_of_any_executor_and_its_jobs_come_back_to_it() {
    on_every_executor(|| async {
        let here = me();
        let inner = run(async {
            sleep(ms(1)).await;
            let tasks = (0..5).map(|_| spawn(async { asyncify(home)().await }));
            gather(tasks).await
        });
        for result in inner {
            assert_eq!(result.unwrap(), Ok(here));
        }
        // The executor goes on, and what it submits now has no loop any more.
        yield_now().await;
        assert_eq!(asyncify(home)().await, Err(SyncifyError::NotOnWorkerThread));
    });
}

// R4, S27
#[test]
fn a_loop_of_ours_may_run_on_tokios_blocking_threads_and_in_block_in_place() {
    async fn there_and_back() {
        assert_eq!(asyncify(home)().await, Ok(me()));
        // tokio's context is still there: its tasks are spawned and awaited from our loop.
        let task = tokio::spawn(async { tokio::time::sleep(ms(1)).await });
        task.await.unwrap();
        assert_eq!(a_thousand_of_tokios_messages().await, 1000);
    }
    watched(|| {
        let runtime = multi_thread();
        pass_on(runtime.block_on(async {
            let blocking = tokio::task::spawn_blocking(|| run(there_and_back()));
            let in_place = tokio::spawn(async {
                tokio::task::block_in_place(|| run(there_and_back()));
                tokio::task::block_in_place(|| spawn_blocking(|| 1).join())
            });
            assert_eq!(in_place.await.unwrap(), 1);
            blocking.await
        }));
    });
}

// A15, S4, S24, decision 17
#[test]
fn in_block_in_place_every_blocking_call_of_ours_may_wait() {
    watched(|| {
        let (handle, _stop) = loop_elsewhere();
        let there = spawn_on(&handle);
        let runtime = multi_thread();
        let task = runtime.spawn(async move {
            for _ in 0..20 {
                yield_now().await;
                tokio::task::block_in_place(|| {
                    assert_eq!(handle.block_on(async || me()), Ok(there));
                    assert_eq!(spawn_on(&handle), there);
                    assert_eq!(Syncify::new().on(&handle).wrap(async || me())(), Ok(there));
                    assert_eq!(home(), Err(SyncifyError::NotOnWorkerThread));
                    let lenient = Syncify::new().raise_sync_error(false);
                    assert_eq!(lenient.wrap(async || me())(), Ok(me()));
                });
            }
        });
        pass_on(runtime.block_on(task));
    });

    fn spawn_on(handle: &Handle) -> ThreadId {
        handle.spawn(async || me()).join().unwrap()
    }
}

// S26, R3, decision 7
#[test]
fn another_executor_on_a_loops_thread_does_not_hide_the_loop() {
    for (name, drive) in EXECUTORS {
        println!("on {name}");
        watched(move || {
            run(async move {
                let ticks = spawn(async {
                    for _ in 0..5 {
                        yield_now().await;
                    }
                });
                let thread = me();
                // The loop stands still meanwhile, as it would for any blocking call; a job needs no loop to run.
                drive(Box::pin(async move {
                    assert_eq!(asyncify(|| 3)().await, 3);
                    if me() == thread {
                        assert!(panic_of(|| run(async {})).contains("already running"));
                        assert_eq!(home(), Err(SyncifyError::OnLoopThread));
                        let lenient = Syncify::new().raise_sync_error(false);
                        assert_eq!(lenient.wrap(async || ())(), Err(SyncifyError::OnLoopThread));
                    }
                }));
                assert!(!ticks.is_finished());
                ticks.await.unwrap();
                assert_eq!(asyncify(home)().await, Ok(thread));
            })
        });
    }
}

// S1, S20, R12
#[test]
fn a_job_may_await_a_task_of_its_own_loop_on_any_executor() {
    for (name, drive) in EXECUTORS {
        println!("on {name}");
        watched(move || {
            run(async move {
                let thread = me();
                let handle = Handle::current();
                let job = move || {
                    drive(Box::pin(async move {
                        let task = handle.spawn(|| async {
                            let local = Rc::new(me());
                            sleep(ms(1)).await;
                            *local
                        });
                        assert_eq!(task.await.unwrap(), thread);
                        let waits = handle.spawn(pending::<()>);
                        waits.abort();
                        assert!(waits.await.unwrap_err().is_cancelled());
                    }));
                };
                gather([spawn_blocking(job.clone()), spawn_blocking(job)]).await;
            })
        });
    }
}

// S6, S27, decision 5
#[test]
fn what_a_job_submits_by_way_of_an_executor_on_its_own_thread_belongs_to_the_jobs_loop() {
    watched(|| {
        let thread = me();
        let nested = || async {
            // Still on the worker's thread, whatever polls there.
            assert!(Handle::try_current().is_some());
            asyncify(home)().await
        };
        let results = run(async move {
            gather([
                spawn_blocking(move || pollster::block_on(nested())),
                spawn_blocking(move || smol::block_on(nested())),
                spawn_blocking(move || futures::executor::block_on(nested())),
                spawn_blocking(move || current_thread().block_on(nested())),
                spawn_blocking(move || run(nested()).map(|_| me())),
            ])
            .await
        });
        assert_eq!(results[..4], [Ok(thread); 4]);
        assert!(
            results[4].is_ok_and(|inner| inner != thread),
            "that has a loop of its own"
        );
    });
}

// S1, S27, A19
#[test]
fn jobs_may_be_the_threads_of_another_executor_whose_tasks_then_belong_to_the_jobs_loop() {
    watched(|| {
        let thread = me();
        let (answers, executor) = run(async {
            let executor = Arc::new(async_executor::Executor::new());
            let (stop, stopped) = async_channel::bounded::<()>(1);
            let workers = (0..3).map(|_| {
                let (executor, stopped) = (executor.clone(), stopped.clone());
                spawn_blocking(move || {
                    // Ends when there is no sender any more.
                    let _ = futures_lite::future::block_on(executor.run(stopped.recv()));
                })
            });
            let workers: Vec<_> = workers.collect();
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    executor.spawn(async {
                        yield_now().await;
                        (
                            Handle::current().spawn(async || me()).await.unwrap(),
                            asyncify(home)().await,
                        )
                    })
                })
                .collect();
            let answers = gather(tasks).await;
            drop(stop);
            gather(workers).await;
            (answers, executor)
        });
        assert_eq!(answers, vec![(thread, Ok(thread)); 100]);
        assert!(executor.is_empty());
    });
}

// S20, U4, decision 3
#[test]
fn a_chain_of_loops_and_executors_of_many_makes_comes_back_through_all_of_them() {
    fn down(depth: usize) -> usize {
        if depth == 0 {
            return 0;
        }
        let deeper = async move { 1 + asyncify(down)(depth - 1).await };
        match depth % 5 {
            0 => run(deeper),
            1 => smol::block_on(deeper),
            2 => current_thread().block_on(deeper),
            3 => syncify(move || asyncify(down)(depth - 1))().unwrap() + 1,
            _ => futures::executor::block_on(deeper),
        }
    }
    watched(|| assert_eq!(run(async { asyncify(down)(40).await }), 40));
}

// R12, R15
#[test]
fn a_tokio_task_can_be_the_host_of_a_loop_of_ours() {
    watched(|| {
        let runtime = current_thread();
        let finished = runtime.block_on(async {
            let woken = Arc::new(tokio::sync::Notify::new());
            let wake = woken.clone();
            let mut event_loop = EventLoop::builder()
                .on_wake(move || wake.notify_one())
                .build();
            let thread = me();
            let task = event_loop.spawn(async move {
                sleep(ms(2)).await;
                let there = asyncify(home)().await;
                let tokios = tokio::spawn(async { tokio::time::sleep(ms(1)).await });
                tokios.await.unwrap();
                assert_eq!(there, Ok(thread));
                assert_eq!(a_thousand_of_tokios_messages().await, 1000);
                let jobs = (0..50).map(|n| asyncify(move || n)());
                gather(jobs).await.into_iter().sum::<u32>()
            });
            loop {
                event_loop.tick();
                if task.is_finished() {
                    break;
                }
                match event_loop.next_deadline() {
                    Some(deadline) => {
                        // Also where it has passed: others on this thread have their turn.
                        let deadline = deadline.into();
                        let _ = tokio::time::timeout_at(deadline, woken.notified()).await;
                    }
                    None => woken.notified().await,
                }
            }
            event_loop.run_until(task).unwrap()
        });
        assert_eq!(finished, 49 * 50 / 2);
    });
}

// S24, L2
#[test]
fn many_loops_and_runtimes_call_each_other_at_once() {
    watched(|| {
        let runtime = multi_thread();
        let tokio = runtime.handle().clone();
        let (ours, _stop) = loop_elsewhere();
        let limiter = Limiter::new(3);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (tokio, ours, limiter) = (tokio.clone(), ours.clone(), limiter.clone());
                std::thread::spawn(move || {
                    run(async {
                        for round in 0..50u32 {
                            let (there, bound) = (ours.clone(), limiter.clone());
                            // This loop awaits a tokio task, which awaits a task of the other loop, which awaits a
                            // job, which waits for that loop again.
                            let answer = tokio.spawn(async move {
                                let _permit = bound.acquire().await;
                                let task = there.spawn(move || async move {
                                    spawn_blocking(move || syncify(async move || round)()).await
                                });
                                task.await.unwrap()
                            });
                            assert_eq!(answer.await.unwrap(), Ok(round));
                        }
                    });
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

// R6
#[test]
fn a_loop_that_ends_drops_a_compat_task_and_a_runtime_that_ends_drops_our_calls() {
    watched(|| {
        let (tell, told) = mpsc::channel::<()>();
        run(async {
            spawn(
                async move {
                    let _kept = tell;
                    tokio::time::sleep(ms(60_000)).await;
                }
                .compat(),
            );
            yield_now().await;
        });
        assert!(told.recv().is_err());

        let pool = Pool::builder().max_threads(1).build();
        let (open, gate) = mpsc::channel::<()>();
        let (tell, told) = mpsc::channel::<()>();
        let runtime = multi_thread();
        let busy = pool.spawn_blocking(move || gate.recv().is_err());
        let queued = pool.spawn_blocking(move || drop(tell));
        runtime.spawn(async move { gather([queued]).await });
        drop(runtime);
        assert!(told.recv().is_err());
        drop(open);
        assert!(busy.join());
    });
}
