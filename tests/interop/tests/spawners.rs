//! `Handle` and `LocalSpawner` where a library asks for a spawner of futures' kind.

#[path = "../../common/mod.rs"]
mod common;
mod worlds;

use common::{Guard, me, ms, watched};
use footbridge::time::sleep;
use footbridge::{EventLoop, Handle, LocalSpawner, asyncify, run, yield_now};
use futures::FutureExt;
use futures::channel::oneshot;
use futures::future::{FutureObj, LocalFutureObj};
use futures::task::{LocalSpawn, LocalSpawnExt, Spawn, SpawnError, SpawnExt};
use std::cell::Cell;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;
use worlds::loop_elsewhere;

/// What a library does with a spawner that it is given: the sum of the squares, each in a task.
async fn sum_of_squares<S: Spawn>(
    spawner: &S,
    numbers: std::ops::Range<u32>,
) -> Result<u32, SpawnError> {
    let mut tasks = Vec::new();
    for n in numbers {
        tasks.push(spawner.spawn_with_handle(async move {
            yield_now().await;
            n * n
        })?);
    }
    let mut sum = 0;
    for task in tasks {
        sum += task.await;
    }
    Ok(sum)
}

#[test]
fn a_library_that_is_generic_over_its_spawner_runs_on_a_loop() {
    watched(|| {
        run(async {
            let handle = Handle::current();
            assert_eq!(sum_of_squares(&handle, 0..10).await.unwrap(), 285);
            let local = LocalSpawner::current();
            assert_eq!(sum_of_squares(&local, 0..10).await.unwrap(), 285);
            // As a trait object, behind the pointers that futures-task forwards.
            let boxed: Box<dyn Spawn> = Box::new(handle);
            assert_eq!(sum_of_squares(&boxed, 0..10).await.unwrap(), 285);
            assert_eq!(sum_of_squares(&Rc::new(local), 0..10).await.unwrap(), 285);
        })
    });
}

// G13
#[test]
fn a_library_on_another_executor_runs_its_tasks_on_a_loop_elsewhere() {
    worlds::on_every_executor(|| async {
        let (handle, stop) = loop_elsewhere();
        assert_eq!(sum_of_squares(&handle, 0..10).await.unwrap(), 285);
        let there = handle.spawn(async || me()).await.unwrap();
        let task = handle.spawn_with_handle(async { me() }).unwrap();
        assert_eq!(task.await, there);
        drop(stop);
        while !handle.is_closed() {
            yield_now().await;
        }
        assert!(
            sum_of_squares(&handle, 0..10)
                .await
                .unwrap_err()
                .is_shutdown()
        );
    });
}

// R13
#[test]
fn a_spawned_future_runs_on_the_loop_but_not_inside_the_call() {
    watched(|| {
        run(async {
            let (tell, told) = mpsc::channel();
            let (handle, local) = (Handle::current(), LocalSpawner::current());
            // The loop's own `spawn` comes first where both are in scope: `Handle`'s takes a closure.
            let (by_handle, by_local) = (tell.clone(), tell.clone());
            SpawnExt::spawn(&handle, async move { by_handle.send(1).unwrap() }).unwrap();
            SpawnExt::spawn(&local, async move { by_local.send(2).unwrap() }).unwrap();
            let not_send = Rc::new(Cell::new(3));
            local
                .spawn_local(async move { tell.send(not_send.get()).unwrap() })
                .unwrap();
            assert!(told.try_recv().is_err());
            let mut later = Vec::new();
            while later.len() < 3 {
                yield_now().await;
                later.extend(told.try_iter());
            }
            later.sort_unstable();
            assert_eq!(later, [1, 2, 3]);
        })
    });
}

#[test]
fn a_remote_handle_gives_the_value_and_passes_on_the_panic() {
    watched(|| {
        run(async {
            let (handle, local) = (Handle::current(), LocalSpawner::current());
            let value = Rc::new(Cell::new(0));
            let task = local
                .spawn_local_with_handle({
                    let value = value.clone();
                    async move {
                        sleep(ms(1)).await;
                        value.set(7);
                        value
                    }
                })
                .unwrap();
            assert!(Rc::ptr_eq(&task.await, &value));
            assert_eq!(value.get(), 7);
            let blocking = handle.spawn_with_handle(async { asyncify(|| 8)().await });
            assert_eq!(blocking.unwrap().await, 8);
            for panics in [
                handle.spawn_with_handle(async { std::panic::panic_any(9) }),
                SpawnExt::spawn_with_handle(&local, async { std::panic::panic_any(9) }),
            ] {
                let thrown = AssertUnwindSafe(panics.unwrap()).catch_unwind().await;
                let thrown: () = match thrown {
                    Err(payload) => assert_eq!(payload.downcast_ref(), Some(&9)),
                    Ok(()) => panic!("it had no value to give"),
                };
                thrown
            }
        })
    });
}

// X8, decision 1
#[test]
fn dropping_a_remote_handle_drops_the_future_on_the_loops_thread_and_forgetting_it_lets_it_run() {
    watched(|| {
        run(async {
            let (handle, local) = (Handle::current(), LocalSpawner::current());
            let (drops, dropped) = mpsc::channel();
            let waits = |guard| async move {
                let _guard: Guard = guard;
                pending::<()>().await
            };
            let first = handle
                .spawn_with_handle(waits(Guard(drops.clone())))
                .unwrap();
            let second = local
                .spawn_local_with_handle(waits(Guard(drops.clone())))
                .unwrap();
            for _ in 0..3 {
                yield_now().await;
            }
            assert!(dropped.try_recv().is_err(), "both have begun, and wait");
            // From another thread.
            let thread = thread::spawn(move || drop(first));
            drop(second);
            for _ in 0..2 {
                let on = loop {
                    match dropped.try_recv() {
                        Ok(on) => break on,
                        Err(_) => yield_now().await,
                    }
                };
                assert_eq!(on, me());
            }
            thread.join().unwrap();
            let (tell, told) = oneshot::channel();
            handle
                .spawn_with_handle(async move { tell.send(5).unwrap() })
                .unwrap()
                .forget();
            assert_eq!(told.await, Ok(5));
        })
    });
}

// R9
#[test]
fn after_the_loop_has_ended_status_and_every_spawn_say_shutdown_and_drop_the_future() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let (handle, local) = (event_loop.handle(), event_loop.spawner());
        assert!(handle.status().is_ok());
        assert!(local.status().is_ok() && local.status_local().is_ok());
        event_loop.run_until(yield_now());
        assert!(handle.status().is_ok(), "it can be run again");
        drop(event_loop);

        let is_shutdown = |result: Result<(), SpawnError>| result.unwrap_err().is_shutdown();
        assert!(is_shutdown(handle.status()));
        assert!(is_shutdown(local.status()) && is_shutdown(local.status_local()));
        let (drops, dropped) = mpsc::channel();
        let holds = || {
            let guard = Guard(drops.clone());
            async { drop(guard) }
        };
        assert!(is_shutdown(SpawnExt::spawn(&handle, holds())));
        assert!(is_shutdown(
            handle.spawn_obj(FutureObj::new(Box::new(holds())))
        ));
        assert!(is_shutdown(handle.spawn_with_handle(holds()).map(drop)));
        assert!(is_shutdown(SpawnExt::spawn(&local, holds())));
        assert!(is_shutdown(
            local.spawn_obj(FutureObj::new(Box::new(holds())))
        ));
        assert!(is_shutdown(local.spawn_local(holds())));
        let object = LocalFutureObj::new(Box::new(holds()));
        assert!(is_shutdown(local.spawn_local_obj(object)));
        assert!(is_shutdown(
            local.spawn_local_with_handle(holds()).map(drop)
        ));
        assert_eq!(dropped.try_iter().collect::<Vec<_>>(), [me(); 8]);
    });
}

// S23, decision 11
#[test]
fn the_end_of_the_loop_answers_an_await_of_a_remote_handle() {
    worlds::on_every_executor(|| async {
        let (handle, stop) = loop_elsewhere();
        let task = handle.spawn_with_handle(pending::<()>()).unwrap();
        let task = AssertUnwindSafe(task).catch_unwind();
        let (answer, ()) = futures::join!(task, async { drop(stop) });
        // futures' handle has no other word for it than a panic.
        assert!(answer.is_err());
    });
}
