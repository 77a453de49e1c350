//! The loop: `run`, `EventLoop`, `Handle`, tasks and timers.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Grenade, Guard, me, ms, panic_of, thrown_by, until, watched};
use footbridge::time::{sleep, sleep_until, timeout};
use footbridge::{
    EventLoop, Handle, LocalSpawner, Pool, Syncify, run, spawn, spawn_blocking, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::panic_any;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

// R1
#[test]
fn run_runs_main_on_the_calling_thread_and_gives_its_value() {
    watched(|| {
        let borrowed = Rc::new(Cell::new(1)); // neither Send nor 'static
        let borrowed = &borrowed;
        let thread = run(async move {
            yield_now().await;
            borrowed.set(2);
            me()
        });
        assert_eq!((thread, borrowed.get()), (me(), 2));
    });
}

// R2
#[test]
fn a_panic_of_main_leaves_run_with_its_own_payload_when_the_loop_has_ended() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let payload = thrown_by(|| {
            run(async {
                let guard = Guard(drops);
                spawn(async move {
                    let _guard = guard;
                    pending::<()>().await
                });
                yield_now().await;
                panic_any(17_u8)
            })
        });
        assert_eq!(payload.downcast_ref(), Some(&17_u8));
        assert_eq!(dropped.try_recv(), Ok(me()));
    });
}

// R5, R8, R9
#[test]
fn every_run_is_a_fresh_loop_and_an_ended_one_refuses_work() {
    watched(|| {
        let first = run(async { Handle::current() });
        assert!(first.is_closed());
        let second = run(async {
            let (drops, dropped) = mpsc::channel();
            let guard = Guard(drops);
            assert!(!first.call_soon(move || drop(guard)));
            assert!(dropped.try_recv().is_ok(), "what is refused is dropped");
            assert!(first.spawn(|| async {}).await.unwrap_err().is_cancelled());
            Handle::current()
        });
        assert!(second.is_closed());
    });
}

// R6
#[test]
fn tasks_that_are_left_are_dropped_on_the_loops_thread_before_run_returns_in_the_order_of_spawning()
{
    watched(|| {
        struct Noted(u32, Rc<RefCell<Vec<u32>>>);
        impl Drop for Noted {
            fn drop(&mut self) {
                self.1.borrow_mut().push(self.0);
            }
        }
        let order = Rc::new(RefCell::new(Vec::new()));
        let value = run(async {
            let mut ended = Some(spawn(async {}));
            for n in 0..5 {
                let noted = Noted(n, order.clone());
                spawn(async move {
                    let _noted = noted;
                    pending::<()>().await
                });
                if let Some(ended) = ended.take() {
                    ended.await.unwrap(); // The next task gets its place in the table.
                }
            }
            yield_now().await;
            "main's value"
        });
        assert_eq!(value, "main's value");
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
    });
}

// R7
#[test]
fn a_panic_in_what_a_left_over_task_drops_does_not_replace_mains_value() {
    watched(|| {
        let value = run(async {
            spawn(async {
                let _grenade = Grenade;
                pending::<()>().await
            });
            yield_now().await;
            5
        });
        assert_eq!(value, 5);
        let text = panic_of(|| {
            run(async {
                spawn(async {
                    let _grenade = Grenade;
                    pending::<()>().await
                });
                yield_now().await;
                panic!("main's panic")
            })
        });
        assert_eq!(text, "main's panic");
    });
}

// R10, R13
#[test]
fn a_spawned_task_never_starts_inside_the_call_and_tasks_start_in_order() {
    watched(|| {
        run(async {
            let order = Rc::new(RefCell::new(Vec::new()));
            for n in 0..5 {
                let order = order.clone();
                spawn(async move { order.borrow_mut().push(n) });
            }
            assert!(order.borrow().is_empty());
            yield_now().await;
            assert_eq!(*order.borrow(), [0, 1, 2, 3, 4]);
        })
    });
}

// R11
#[test]
fn one_turn_runs_only_what_was_ready_when_it_began() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let spawner = event_loop.spawner();
        let second_ran = Rc::new(Cell::new(false));
        let first = event_loop.spawn({
            let second_ran = second_ran.clone();
            async move {
                spawner.spawn(async move { second_ran.set(true) });
            }
        });
        assert!(event_loop.tick());
        assert!(first.is_finished() && !second_ran.get());
        assert!(event_loop.tick());
        assert!(second_ran.get());
        assert!(!event_loop.tick(), "nothing is left");
    });
}

// R11
#[test]
fn a_task_that_keeps_waking_itself_starves_neither_timers_nor_posts_nor_main() {
    watched(|| {
        run(async {
            spawn(async {
                loop {
                    yield_now().await;
                }
            });
            sleep(ms(2)).await;
            let handle = Handle::current();
            let answer = spawn_blocking(move || handle.block_on(|| async { "posted" })).await;
            assert_eq!(answer, Ok("posted"));
        })
    });
}

// R12
#[test]
fn call_soon_from_any_thread_wakes_a_sleeping_loop_every_time() {
    watched(|| {
        run(async {
            let handle = Handle::current();
            let (ask, asked) = mpsc::channel::<Waker>();
            let count = Arc::new(AtomicUsize::new(0));
            let counted = count.clone();
            let other = thread::spawn(move || {
                for waker in asked {
                    let count = counted.clone();
                    // Only this call can bring the loop, which has nothing else to do, to the waker.
                    assert!(handle.call_soon(move || {
                        count.fetch_add(1, SeqCst);
                        waker.wake();
                    }));
                }
            });
            for round in 1..=500 {
                let mut waited = false;
                poll_fn(|context| {
                    if !std::mem::replace(&mut waited, true) {
                        ask.send(context.waker().clone()).unwrap();
                    }
                    match count.load(SeqCst) == round {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                })
                .await;
            }
            drop(ask);
            other.join().unwrap();
        })
    });
}

// R12
#[test]
fn call_soon_from_the_loops_own_thread_keeps_its_order_and_runs_later_on_that_thread() {
    watched(|| {
        run(async {
            let (called, calls) = mpsc::channel();
            for n in 0..10 {
                let called = called.clone();
                assert!(Handle::current().call_soon(move || called.send((n, me())).unwrap()));
            }
            assert!(calls.try_recv().is_err(), "not inside the call");
            sleep(ms(1)).await;
            let expected: Vec<_> = (0..10).map(|n| (n, me())).collect();
            assert_eq!(calls.try_iter().collect::<Vec<_>>(), expected);
        })
    });
}

// R12, R9
#[test]
fn a_post_to_a_loop_that_is_ending_is_run_or_dropped_but_never_kept() {
    watched(|| {
        for _ in 0..100 {
            let (drops, dropped) = mpsc::channel();
            let event_loop = EventLoop::new();
            let handle = event_loop.handle();
            let poster = thread::spawn(move || {
                while handle.call_soon({
                    let guard = Guard(drops.clone());
                    move || drop(guard)
                }) {}
            });
            drop(event_loop);
            poster.join().unwrap();
            // The senders are all gone only if every guard is.
            assert!(dropped.iter().count() > 0);
        }
    });
}

// R14
#[test]
fn yield_now_lets_everything_else_have_one_turn() {
    watched(|| {
        run(async {
            let turns = Rc::new(Cell::new(0));
            spawn({
                let turns = turns.clone();
                async move {
                    loop {
                        turns.set(turns.get() + 1);
                        yield_now().await;
                    }
                }
            });
            for n in 1..=3 {
                yield_now().await;
                assert_eq!(turns.get(), n);
            }
        })
    });
}

// R15
#[test]
fn timers_fire_by_deadline_and_equal_ones_in_the_order_of_setting() {
    watched(|| {
        run(async {
            let order = Rc::new(RefCell::new(Vec::new()));
            let start = Instant::now();
            let tasks: Vec<_> = [(0, 20), (1, 10), (2, 10), (3, 1), (4, 10)]
                .into_iter()
                .map(|(n, after)| {
                    let order = order.clone();
                    spawn(async move {
                        sleep_until(start + ms(after)).await;
                        order.borrow_mut().push(n);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*order.borrow(), [3, 1, 2, 4, 0]);
            assert!(start.elapsed() >= ms(20));
        })
    });
}

#[test]
fn a_timeout_gives_the_value_in_time_and_drops_the_future_when_it_is_late() {
    watched(|| {
        run(async {
            assert_eq!(timeout(ms(10_000), async { 1 }).await, Ok(1));
            let (drops, dropped) = mpsc::channel();
            let guard = Guard(drops);
            let late = timeout(ms(1), async move {
                let _guard = guard;
                pending::<()>().await
            });
            assert!(late.await.is_err());
            assert_eq!(dropped.try_recv(), Ok(me()));
        })
    });
}

// Decision 10, X15
#[test]
fn a_task_aborted_before_its_first_poll_is_never_polled() {
    watched(|| {
        run(async {
            let polled = Rc::new(Cell::new(false));
            let task = spawn({
                let polled = polled.clone();
                async move { polled.set(true) }
            });
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert!(!polled.get());
        })
    });
}

#[test]
fn an_aborted_task_is_gone_before_its_handle_says_so_and_is_dropped_on_the_loops_thread() {
    watched(|| {
        run(async {
            let (drops, dropped) = mpsc::channel();
            let guard = Guard(drops);
            let task = spawn(async move {
                let _guard = guard;
                pending::<()>().await
            })
            .into_send();
            yield_now().await;
            let ended = spawn_blocking(move || {
                task.abort();
                let ended = task.join();
                (ended.unwrap_err().is_cancelled(), dropped.try_recv())
            });
            assert_eq!(ended.await, (true, Ok(me())));
        })
    });
}

#[test]
fn dropping_a_join_handle_lets_the_task_run_on() {
    watched(|| {
        run(async {
            let (ran, has_run) = mpsc::channel();
            drop(spawn(async move {
                yield_now().await;
                ran.send(()).unwrap();
            }));
            sleep(ms(1)).await;
            has_run.try_recv().unwrap();
        })
    });
}

// S23, U6, decision 11
#[test]
fn a_join_of_a_task_is_answered_when_its_loop_goes() {
    watched(|| {
        let event_loop = EventLoop::new();
        let polled = event_loop.spawn(pending::<()>()).into_send();
        let posted = event_loop.handle().spawn(pending::<()>);
        let joiners = [polled, posted].map(|task| thread::spawn(move || task.join()));
        drop(event_loop);
        for joiner in joiners {
            assert!(joiner.join().unwrap().unwrap_err().is_cancelled());
        }
    });
}

// Decision 7
#[test]
fn joining_on_a_thread_that_runs_a_loop_panics_and_says_to_await() {
    watched(|| {
        run(async {
            let text = panic_of(|| spawn(async {}).into_send().join());
            assert!(
                text.starts_with("SendJoinHandle::join") && text.contains("await it"),
                "{text}"
            );
            let text = panic_of(|| spawn_blocking(|| ()).join());
            assert!(
                text.starts_with("BlockingTask::join") && text.contains("await it"),
                "{text}"
            );
        })
    });
}

// Decision 6, R20
#[test]
fn run_does_not_wait_for_a_job_that_nobody_awaits_but_shutdown_does() {
    watched(|| {
        let pool = Pool::builder().build();
        let (open, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        run(async {
            let job = move || {
                begun.send(()).unwrap();
                gate.recv().unwrap();
                ended.send(()).unwrap();
            };
            pool.spawn_blocking(job).detach();
        });
        has_begun.recv().unwrap();
        assert!(
            has_ended.try_recv().is_err(),
            "run has returned, the job not yet"
        );
        open.send(()).unwrap();
        pool.shutdown(ms(20_000)).unwrap();
        has_ended.try_recv().unwrap();
    });
}

// R8
#[test]
fn a_waker_keeps_no_loop_alive_and_waking_one_that_has_ended_does_nothing() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let kept = run(async {
            let (give, given) = mpsc::channel();
            let guard = Guard(drops);
            spawn(poll_fn(move |context| {
                let _ = &guard;
                give.send(context.waker().clone()).unwrap();
                Poll::<()>::Pending
            }));
            yield_now().await;
            given.recv().unwrap()
        });
        assert_eq!(dropped.try_recv(), Ok(me()));
        kept.wake_by_ref();
        thread::spawn(move || kept.wake()).join().unwrap();
    });
}

/// A loop whose host counts how often it is told.
fn hosted() -> (EventLoop, impl Fn() -> usize) {
    let told = Arc::new(AtomicUsize::new(0));
    let hook = told.clone();
    let event_loop = EventLoop::builder()
        .on_wake(move || {
            hook.fetch_add(1, SeqCst);
        })
        .build();
    (event_loop, move || told.load(SeqCst))
}

// Decision 14
#[test]
fn the_host_is_told_once_for_each_tick_however_much_there_is() {
    watched(|| {
        let (mut event_loop, told) = hosted();
        let handle = event_loop.handle();
        for round in 1..=3 {
            for _ in 0..10 {
                handle.call_soon(|| ());
            }
            let elsewhere = handle.clone();
            thread::spawn(move || elsewhere.call_soon(|| ()))
                .join()
                .unwrap();
            assert_eq!(told(), round);
            while event_loop.tick() {}
        }
    });
}

// Decision 14
#[test]
fn the_host_is_told_of_what_the_loops_own_thread_brings() {
    watched(|| {
        let (mut event_loop, told) = hosted();
        event_loop.spawn(async {
            yield_now().await;
            yield_now().await;
        });
        assert_eq!(told(), 1, "a task was spawned");
        assert!(event_loop.tick());
        assert_eq!(told(), 2, "it has woken itself");
        assert!(event_loop.tick());
        assert_eq!(told(), 3);
        assert!(event_loop.tick());
        assert_eq!(told(), 3, "nothing is left to do");
    });
}

// Decision 14
#[test]
fn the_hook_is_called_outside_every_lock() {
    watched(|| {
        let handle = Arc::new(OnceLock::<Handle>::new());
        let told = Arc::new(AtomicUsize::new(0));
        let mut event_loop = {
            let (handle, told) = (handle.clone(), told.clone());
            let hook = move || {
                told.fetch_add(1, SeqCst);
                let handle = handle.get().unwrap();
                assert!(!handle.is_closed());
                assert!(handle.call_soon(|| ()));
                handle.spawn(|| async {}).abort();
            };
            EventLoop::builder().on_wake(hook).build()
        };
        handle.set(event_loop.handle()).unwrap();
        event_loop.spawn(async {});
        let elsewhere = handle.get().unwrap().clone();
        thread::spawn(move || elsewhere.call_soon(|| ()))
            .join()
            .unwrap();
        event_loop.tick();
        assert!(told.load(SeqCst) >= 1);
    });
}

// Decision 14
#[test]
fn a_host_that_ticks_only_when_told_or_when_a_deadline_is_due_gets_everything_done() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let mut event_loop = EventLoop::builder()
            .on_wake(move || tell.send(()).unwrap())
            .build();
        let task = event_loop.spawn(async {
            sleep(ms(2)).await;
            spawn_blocking(|| thread::sleep(ms(2))).await;
            yield_now().await;
            "done"
        });
        while !task.is_finished() {
            let _ = match event_loop.next_deadline() {
                Some(due) => told
                    .recv_timeout(due.saturating_duration_since(Instant::now()))
                    .ok(),
                None => told.recv().ok(),
            };
            event_loop.tick();
        }
        assert_eq!(event_loop.run_until(task).unwrap(), "done");
    });
}

#[test]
fn next_deadline_is_now_with_work_the_timers_with_timers_and_none_without() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        assert_eq!(event_loop.next_deadline(), None);
        let before = Instant::now();
        event_loop.spawn(sleep(ms(60_000)));
        assert!(event_loop.next_deadline().unwrap() <= Instant::now());
        event_loop.tick();
        assert!(event_loop.next_deadline().unwrap() >= before + ms(60_000));
        event_loop.handle().call_soon(|| ());
        assert!(event_loop.next_deadline().unwrap() <= Instant::now());
    });
}

#[test]
fn tick_never_waits() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        event_loop.spawn(sleep(ms(3_600_000)));
        assert!(event_loop.tick());
        assert!(!event_loop.tick());
    });
}

#[test]
fn tasks_stay_on_the_loop_between_two_calls_of_run_until() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let (send, receive) = mpsc::channel();
        event_loop.spawn(async move {
            for n in 0.. {
                send.send(n).unwrap();
                yield_now().await;
            }
        });
        event_loop.run_until(yield_now());
        let first = receive.try_iter().last().unwrap();
        event_loop.run_until(yield_now());
        assert!(receive.try_iter().last().unwrap() > first);
    });
}

// Decision 11
#[test]
fn a_spawner_of_an_ended_loop_drops_the_task_and_its_handle_says_cancelled() {
    watched(|| {
        let spawner = run(async { LocalSpawner::current() });
        let task = spawner.spawn(async {});
        assert!(run(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn the_current_handle_is_the_running_loops_and_inside_a_job_the_one_that_submitted_it() {
    watched(|| {
        assert!(Handle::try_current().is_none());
        run(async {
            let (done, is_done) = mpsc::channel();
            spawn_blocking(move || Handle::current().call_soon(move || done.send(me()).unwrap()))
                .await;
            sleep(ms(1)).await;
            assert_eq!(is_done.try_recv(), Ok(me()));
        });
        assert!(Handle::try_current().is_none());
    });
}

#[test]
fn a_handle_spawns_a_future_that_is_not_send_from_another_thread() {
    watched(|| {
        run(async {
            let handle = Handle::current();
            let task = spawn_blocking(move || {
                handle.spawn(|| async {
                    let local = Rc::new(me());
                    yield_now().await;
                    *local
                })
            });
            assert_eq!(task.await.await.unwrap(), me());
        })
    });
}

// Parking token of the loop's own (DESIGN.md, section 3)
#[test]
fn polled_code_may_park_the_thread_without_the_loop_missing_a_wake_up() {
    watched(|| {
        run(async {
            for _ in 0..50 {
                let mut job = spawn_blocking(|| ());
                poll_fn(|context| {
                    let polled = std::pin::Pin::new(&mut job).poll(context);
                    // Eats whatever token std's park has, and parks inside poll.
                    thread::park_timeout(std::time::Duration::from_micros(50));
                    polled
                })
                .await;
            }
        })
    });
}

#[test]
fn syncify_on_a_handle_reaches_a_loop_that_its_host_ticks() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let mut event_loop = EventLoop::builder()
            .on_wake(move || {
                let _ = tell.send(());
            })
            .build();
        let handle = event_loop.handle();
        let caller = thread::spawn(move || Syncify::new().on(&handle).wrap(async || me())());
        told.recv().unwrap();
        until(|| {
            event_loop.tick();
            caller.is_finished()
        });
        assert_eq!(caller.join().unwrap(), Ok(me()));
    });
}

#[cfg(feature = "futures-task")]
#[test]
fn spawners_and_handles_are_what_futures_task_calls_spawners() {
    use futures_task::{LocalFutureObj, LocalSpawn, Spawn};
    watched(|| {
        let (ran, runs) = mpsc::channel();
        let (handle, spawner) = run(async {
            let (handle, spawner) = (Handle::current(), LocalSpawner::current());
            let (one, two, three) = (ran.clone(), ran.clone(), ran);
            let local = Rc::new(());
            let future = Box::new(async move {
                drop(local);
                one.send(1).unwrap();
            });
            spawner
                .spawn_local_obj(LocalFutureObj::new(future))
                .unwrap();
            spawner
                .spawn_obj(Box::new(async move { two.send(2).unwrap() }).into())
                .unwrap();
            handle
                .spawn_obj(Box::new(async move { three.send(3).unwrap() }).into())
                .unwrap();
            sleep(ms(1)).await;
            (handle, spawner)
        });
        let mut runs: Vec<_> = runs.try_iter().collect();
        runs.sort_unstable();
        assert_eq!(runs, [1, 2, 3]);
        assert!(handle.status().unwrap_err().is_shutdown());
        assert!(
            handle
                .spawn_obj(Box::new(async {}).into())
                .unwrap_err()
                .is_shutdown()
        );
        assert!(spawner.status_local().unwrap_err().is_shutdown());
        assert!(
            spawner
                .spawn_obj(Box::new(async {}).into())
                .unwrap_err()
                .is_shutdown()
        );
    });
}

// X15
#[test]
fn a_task_aborted_before_the_loop_turned_is_not_even_made() {
    watched(|| {
        run(async {
            let (made, was_made) = mpsc::channel::<()>();
            let task = Handle::current().spawn(move || {
                made.send(()).unwrap();
                pending::<()>()
            });
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert!(was_made.recv().is_err());
        });
    });
}

/// How often this thread has left its processor of its own accord. `None`: the system doesn't say.
fn voluntary_switches() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line?.trim().parse().ok()
}

#[test]
fn a_sleep_that_is_over_sooner_than_a_thread_wakes_is_waited_for_awake() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let Some(before) = voluntary_switches() else {
            return;
        };
        event_loop.run_until(async {
            for _ in 0..1000 {
                sleep(Duration::from_micros(1)).await;
            }
        });
        let switches = voluntary_switches().unwrap() - before;
        assert!(switches < 500, "it slept {switches} times");
    });
}

// Decision 24
#[test]
fn a_yield_lets_everything_go_first_that_was_posted_spawned_woken_or_due_before_it() {
    watched(|| {
        run(async {
            let order = Arc::new(Mutex::new(Vec::new()));
            let note = |what| {
                let order = order.clone();
                move || order.lock().unwrap().push(what)
            };
            let (called, spawned, made, woken, due) = (
                note("call"),
                note("spawn"),
                note("Handle::spawn"),
                note("wake"),
                note("timer"),
            );
            // One that waits for a wake from another thread, and one for a timer.
            let (tell, told) = mpsc::channel::<Waker>();
            let mut asked = false;
            spawn(async move {
                poll_fn(|context| {
                    if std::mem::replace(&mut asked, true) {
                        return Poll::Ready(());
                    }
                    tell.send(context.waker().clone()).unwrap();
                    Poll::Pending
                })
                .await;
                woken();
            });
            let deadline = Instant::now() + ms(1);
            spawn(async move {
                sleep_until(deadline).await;
                due();
            });
            yield_now().await; // both wait now
            let waker = told.recv().unwrap();
            thread::spawn(move || waker.wake()).join().unwrap();
            until(|| Instant::now() > deadline);
            let handle = Handle::current();
            handle.call_soon(called);
            handle.spawn(move || async move { made() });
            spawn(async move { spawned() });
            yield_now().await;
            let mut order = order.lock().unwrap().clone();
            order.sort_unstable();
            assert_eq!(order, ["Handle::spawn", "call", "spawn", "timer", "wake"]);
        });
    });
}

// Decision 24, for the main future that wakes itself
#[test]
fn what_was_posted_before_run_until_goes_before_the_second_poll_of_its_future() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let ran = Rc::new(Cell::new(false));
        let (posted, is_posted) = (Arc::new(AtomicBool::new(false)), ran.clone());
        let mark = posted.clone();
        event_loop
            .handle()
            .call_soon(move || mark.store(true, SeqCst));
        event_loop.spawn(async move { is_posted.set(true) });
        let seen = event_loop.run_until(async {
            yield_now().await;
            (ran.get(), posted.load(SeqCst))
        });
        assert_eq!(seen, (true, true));
    });
}

#[test]
fn a_main_future_that_is_woken_in_its_last_poll_leaves_nothing_for_the_next_one() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        for first in [true, false] {
            for _ in 0..3 {
                let mut polls = 0;
                event_loop.run_until(poll_fn(|context| {
                    polls += 1;
                    context.waker().wake_by_ref();
                    if first || polls > 1 {
                        Poll::Ready(())
                    } else {
                        Poll::Pending
                    }
                }));
                assert_eq!(event_loop.next_deadline(), None, "nothing is ready");
            }
        }
        let mut polls = 0;
        let handle = event_loop.handle();
        let done = Arc::new(AtomicBool::new(false));
        event_loop.run_until(poll_fn(|context| {
            polls += 1;
            if polls == 1 {
                let (done, waker) = (done.clone(), context.waker().clone());
                handle.call_soon(move || {
                    done.store(true, SeqCst);
                    waker.wake();
                });
            }
            if done.load(SeqCst) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        }));
        assert_eq!(polls, 2);
    });
}

// Decision 14
#[test]
fn the_host_is_told_of_each_post_that_comes_after_a_run_until() {
    watched(|| {
        let (mut event_loop, told) = hosted();
        let handle = event_loop.handle();
        for round in 0..3 {
            // In the run itself, where the loop sees to it.
            let inner = handle.clone();
            event_loop.run_until(async move {
                inner.call_soon(|| ());
                yield_now().await;
                yield_now().await;
            });
            let before = told();
            handle.call_soon(|| ());
            assert_eq!(told(), before + 1, "round {round}");
            handle.call_soon(|| ());
            assert_eq!(told(), before + 1, "once for each tick");
        }
        let text = panic_of(|| event_loop.run_until(async { panic!("a main future's") }));
        assert_eq!(text, "a main future's");
        while event_loop.tick() {}
        let before = told();
        handle.call_soon(|| ());
        assert_eq!(told(), before + 1, "after a panic too");
    });
}

#[test]
fn a_task_that_was_never_polled_does_not_run_in_the_next_run() {
    watched(|| {
        let ran = Rc::new(Cell::new(false));
        let mark = ran.clone();
        run(async { drop(spawn(async move { mark.set(true) })) });
        run(yield_now());
        assert!(!ran.get());
        assert_eq!(Rc::strong_count(&ran), 1, "it was dropped with its loop");
    });
}

#[test]
fn a_sleep_that_is_dropped_on_another_thread_takes_its_timer_out() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let mut slept = sleep(Duration::MAX);
        event_loop.run_until(poll_fn(|context| {
            assert!(std::pin::Pin::new(&mut slept).poll(context).is_pending());
            Poll::Ready(())
        }));
        assert!(event_loop.next_deadline().is_some());
        thread::spawn(move || drop(slept)).join().unwrap();
        while event_loop.tick() {}
        assert_eq!(event_loop.next_deadline(), None);
    });
}

#[test]
fn a_sleep_that_is_polled_on_another_loop_fires_there() {
    watched(|| {
        let deadline = Instant::now() + ms(2);
        let mut slept = sleep_until(deadline);
        let (mut first, mut second) = (EventLoop::new(), EventLoop::new());
        first.run_until(poll_fn(|context| {
            let _ = std::pin::Pin::new(&mut slept).poll(context);
            Poll::Ready(())
        }));
        second.run_until(&mut slept);
        assert!(Instant::now() >= deadline);
        while first.tick() {}
        assert_eq!(first.next_deadline(), None, "the first one forgot it");
    });
}

#[test]
fn if_the_future_and_the_time_are_due_at_once_the_future_wins() {
    watched(|| {
        run(async {
            let deadline = Instant::now() + ms(1);
            let both = timeout(ms(1), async {
                until(|| Instant::now() > deadline + ms(1)); // now the time is up too
                "the value"
            });
            assert_eq!(both.await, Ok("the value"));
            // And where it is not ready before the turn in which the time is up.
            let deadline = Instant::now() + ms(1);
            let mut is_first = true;
            let both = timeout(
                ms(1),
                poll_fn(|context| {
                    if !std::mem::take(&mut is_first) {
                        return Poll::Ready("the value");
                    }
                    until(|| Instant::now() > deadline + ms(1));
                    context.waker().wake_by_ref();
                    Poll::Pending
                }),
            );
            assert_eq!(both.await, Ok("the value"));
        });
    });
}

// U6
#[test]
fn a_wake_after_the_loop_has_ended_leaves_nothing_behind() {
    watched(|| {
        let held = Arc::new(());
        let in_hook = held.clone();
        let event_loop = EventLoop::builder().on_wake(move || drop(in_hook.clone()));
        let mut event_loop = event_loop.build();
        let waker = event_loop.run_until(poll_fn(|context| Poll::Ready(context.waker().clone())));
        drop(event_loop);
        waker.wake_by_ref();
        thread::spawn(move || waker.wake()).join().unwrap();
        assert_eq!(Arc::strong_count(&held), 1);
    });
}

#[test]
fn the_last_task_that_polls_a_sleep_is_woken() {
    watched(|| {
        run(async {
            // The first task polls the sleep once, hands it over, and never ends.
            let (give, take) = (
                Rc::new(RefCell::new(None)),
                sleep_until(Instant::now() + ms(5)),
            );
            let given = give.clone();
            let first = spawn(async move {
                let mut slept = take;
                poll_fn(|context| Poll::Ready(Pin::new(&mut slept).poll(context).is_pending()))
                    .await;
                *given.borrow_mut() = Some(slept);
                pending::<()>().await;
            });
            let second = spawn(async move {
                let slept = give.borrow_mut().take();
                slept.unwrap().await;
            });
            second.await.unwrap();
            first.abort();
        });
    });
}

#[test]
fn a_timer_that_is_due_calls_the_waker_that_a_combinator_made() {
    struct Counted(AtomicUsize, Waker);
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
            self.1.wake_by_ref();
        }
    }
    watched(|| {
        let in_a_task = async {
            let mut slept = sleep(ms(1));
            let mut counted = None;
            poll_fn(|context| {
                let counted = counted.get_or_insert_with(|| {
                    Arc::new(Counted(AtomicUsize::new(0), context.waker().clone()))
                });
                Pin::new(&mut slept).poll(&mut Context::from_waker(&counted.clone().into()))
            })
            .await;
            counted.unwrap().0.load(SeqCst)
        };
        assert_eq!(run(async { spawn(in_a_task).await }).unwrap(), 1);
    });
}

#[test]
fn a_sleep_in_the_place_of_one_that_was_dropped_is_over_at_its_own_time() {
    watched(|| {
        run(async {
            let start = Instant::now();
            let waker = Waker::noop();
            let polled = |deadline| {
                let mut slept = sleep_until(deadline);
                let polled = Pin::new(&mut slept).poll(&mut Context::from_waker(waker));
                assert!(polled.is_pending());
                slept
            };
            let far = polled(start + Duration::from_secs(3600)); // so that one timer stays
            drop(polled(start + ms(5)));
            polled(start + ms(20)).await;
            assert!(Instant::now() >= start + ms(20));
            drop(far);
        });
    });
}
