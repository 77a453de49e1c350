//! What both promise. `super` says which of the two is meant.

use super::*;
use ladder::watchdog::ends;
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};
use std::time::Duration;

fn me() -> ThreadId {
    thread::current().id()
}

/// Waits on a loop for what another thread sends.
async fn received<T>(receiver: &mpsc::Receiver<T>) -> T {
    loop {
        match receiver.try_recv() {
            Ok(value) => return value,
            Err(_) => yield_now().await,
        }
    }
}

#[test]
fn a_call_crosses_both_bridges_and_each_function_runs_on_its_own_thread() {
    ends(|| {
        async fn fetch(name: String) -> (String, ThreadId) {
            yield_now().await;
            (format!("Hello, {name}"), me())
        }
        fn work(name: &str) -> (String, ThreadId, ThreadId) {
            let (message, fetched_on) = syncify(fetch)(name.to_string()).unwrap();
            (message, fetched_on, me())
        }
        let (message, fetched_on, worked_on) = run(async { asyncify(work)("World").await });
        assert_eq!(message, "Hello, World");
        assert_eq!(fetched_on, me());
        assert_ne!(worked_on, me());
    });
}

#[test]
fn the_loop_turns_while_a_job_blocks() {
    ends(|| {
        run(async {
            let (tick, ticks) = mpsc::channel();
            let job = pool_of(1).spawn_blocking(move || ticks.iter().take(5).count());
            spawn(async move {
                for _ in 0..5 {
                    sleep(Duration::from_millis(1)).await;
                    tick.send(()).unwrap();
                }
            });
            assert_eq!(job.await, 5);
        });
    });
}

#[test]
fn a_task_that_wakes_itself_starves_no_other() {
    ends(|| {
        run(async {
            let ran = Rc::new(Cell::new(false));
            let other = ran.clone();
            spawn(async move {
                sleep(Duration::from_millis(1)).await;
                other.set(true);
            });
            while !ran.get() {
                yield_now().await;
            }
        });
    });
}

/// Is never ready, and calls its waker twice in each poll. Counts the polls.
async fn wakes_twice(polls: &Cell<usize>) {
    poll_fn(|context| {
        polls.set(polls.get() + 1);
        context.waker().wake_by_ref();
        context.waker().wake_by_ref();
        Poll::<()>::Pending
    })
    .await;
}

async fn yields(times: usize) {
    for _ in 0..times {
        yield_now().await;
    }
}

/// If each call of the waker led to a poll, there would be a million.
#[test]
fn a_task_that_calls_its_waker_twice_has_no_more_turns_than_the_others() {
    ends(|| {
        run(async {
            let polls = Rc::new(Cell::new(0));
            let twice = polls.clone();
            spawn(async move { wakes_twice(&twice).await });
            yields(20).await;
            assert!((1..=21).contains(&polls.get()), "{} polls", polls.get());
        });
    });
}

#[test]
fn a_child_that_calls_its_waker_twice_has_no_more_turns_than_the_others() {
    ends(|| {
        run(async {
            let polls = Cell::new(0);
            let mut parent = Box::pin(scope(async |scope| {
                scope.spawn(wakes_twice(&polls));
                pending::<()>().await;
            }));
            for _ in 0..20 {
                let mut context = Context::from_waker(Waker::noop());
                assert!(parent.as_mut().poll(&mut context).is_pending());
            }
            drop(parent);
            assert!((1..=21).contains(&polls.get()), "{} polls", polls.get());
        });
    });
}

#[test]
fn a_shorter_sleep_that_is_set_later_ends_first() {
    ends(|| {
        run(async {
            spawn(async { sleep(Duration::from_secs(3600)).await });
            yield_now().await;
            sleep(Duration::from_millis(1)).await;
        });
    });
}

#[test]
fn a_task_that_panics_is_an_error_of_its_handle_and_the_loop_goes_on() {
    ends(|| {
        run(async {
            assert!(spawn(async { panic!("in a task") }).await.is_err());
            assert_eq!(spawn(async { 42 }).await.unwrap(), 42);
        });
    });
}

#[test]
fn a_job_that_panics_is_a_panic_of_its_call_and_the_worker_goes_on() {
    ends(|| {
        run(async {
            let pool = pool_of(1);
            let call = pool.spawn_blocking(|| panic!("in a job"));
            assert!(spawn(call).await.is_err());
            assert_eq!(pool.spawn_blocking(|| 42).await, 42);
        });
    });
}

#[test]
fn jobs_that_wait_for_each_other_all_run_up_to_the_size_of_the_pool() {
    ends(|| {
        run(async {
            let (pool, barrier) = (pool_of(5), Arc::new(Barrier::new(5)));
            let meet = |_| {
                let barrier = barrier.clone();
                pool.spawn_blocking(move || barrier.wait().is_leader())
            };
            let calls: Vec<_> = (0..5).map(meet).collect();
            let mut leaders = 0;
            for call in calls {
                leaders += usize::from(call.await);
            }
            assert_eq!(leaders, 1);
        });
    });
}

#[test]
fn no_more_jobs_run_at_once_than_the_pool_allows() {
    ends(|| {
        run(async {
            let (pool, running) = (pool_of(2), Arc::new(AtomicUsize::new(0)));
            let count = |_| {
                let running = running.clone();
                pool.spawn_blocking(move || {
                    let others = running.fetch_add(1, SeqCst);
                    thread::yield_now();
                    running.fetch_sub(1, SeqCst);
                    others
                })
            };
            let calls: Vec<_> = (0..100).map(count).collect();
            for call in calls {
                assert!(call.await < 2);
            }
        });
    });
}

#[test]
fn a_job_waits_for_a_job_that_it_submits_itself() {
    ends(|| {
        run(async {
            let pool = pool_of(2);
            let inner = pool.clone();
            let outer = move || {
                let (tell, told) = mpsc::channel();
                let child = inner.spawn_blocking(move || tell.send(42).unwrap());
                let answer = told.recv().unwrap();
                drop(child);
                answer
            };
            assert_eq!(pool.spawn_blocking(outer).await, 42);
        });
    });
}

#[test]
fn calls_nest_to_any_depth_on_a_pool_of_one() {
    fn nested(pool: SharedPool, depth: usize) -> usize {
        match depth {
            0 => 0,
            _ => 1 + syncify(go_deeper)((pool, depth - 1)).unwrap(),
        }
    }
    async fn go_deeper((pool, depth): (SharedPool, usize)) -> usize {
        let inner = pool.clone();
        pool.spawn_blocking(move || nested(inner, depth)).await
    }
    ends(|| assert_eq!(run(go_deeper((pool_of(1), 10))), 10));
}

/// Two workers are idle when a third one comes back from its wait, on a pool of two. The job that it submits then wakes one
/// that is one too many.
#[test]
fn a_worker_that_is_one_too_many_leaves_its_job_to_one_that_sleeps() {
    ends(|| {
        for _ in 0..10 {
            run(async {
                let pool = pool_of(2);
                let (inner, barrier) = (pool.clone(), Arc::new(Barrier::new(2)));
                let meet = async |(pool, barrier): (SharedPool, Arc<Barrier>)| {
                    let other = barrier.clone();
                    let first = pool.spawn_blocking(move || barrier.wait().is_leader());
                    let second = pool.spawn_blocking(move || other.wait().is_leader());
                    assert_ne!(first.await, second.await);
                    sleep(Duration::from_millis(1)).await; // So that both are asleep, most of the time.
                };
                let outer = move || {
                    syncify(meet)((inner.clone(), barrier)).unwrap();
                    let (tell, told) = mpsc::channel();
                    let child = inner.spawn_blocking(move || tell.send(42).unwrap());
                    let answer = told.recv().unwrap();
                    drop(child);
                    answer
                };
                assert_eq!(pool.spawn_blocking(outer).await, 42);
            });
        }
    });
}

#[test]
fn a_job_whose_call_is_dropped_before_it_begins_never_runs() {
    ends(|| {
        run(async {
            let pool = pool_of(1);
            let (open, gate) = mpsc::channel::<()>();
            let first = pool.spawn_blocking(move || gate.recv().is_err());
            let (tell, told) = mpsc::channel();
            drop(pool.spawn_blocking(move || tell.send(()).unwrap()));
            drop(open);
            assert!(first.await);
            pool.spawn_blocking(|| ()).await;
            assert!(told.try_recv().is_err());
        });
    });
}

#[test]
fn a_job_whose_caller_goes_is_told() {
    ends(|| {
        run(async {
            let (begin, begun) = mpsc::channel();
            let (tell, told) = mpsc::channel();
            let call = pool_of(1).spawn_blocking(move || {
                begin.send(check_cancelled().is_ok()).unwrap();
                while check_cancelled().is_ok() {
                    thread::yield_now();
                }
                tell.send(()).unwrap();
            });
            assert!(begun.recv().unwrap());
            drop(call);
            received(&told).await;
        });
    });
}

#[test]
fn a_job_whose_caller_goes_waits_no_longer_for_an_async_function_which_is_dropped_before() {
    ends(|| {
        run(async {
            struct Witness(mpsc::Sender<ThreadId>);
            impl Drop for Witness {
                fn drop(&mut self) {
                    self.0.send(me()).unwrap();
                }
            }
            async fn never((begin, witness): (mpsc::Sender<()>, Witness)) {
                begin.send(()).unwrap();
                pending::<()>().await;
                drop(witness);
            }
            let (begin, begun) = mpsc::channel();
            let (dropped, is_dropped) = mpsc::channel();
            let (tell, told) = mpsc::channel();
            let call = pool_of(1).spawn_blocking(move || {
                let answer = syncify(never)((begin, Witness(dropped)));
                tell.send((answer.is_err(), is_dropped.try_recv())).unwrap();
            });
            received(&begun).await;
            drop(call);
            assert_eq!(received(&told).await, (true, Ok(me())));
        });
    });
}

#[test]
fn syncify_is_refused_on_a_thread_without_a_loop_and_on_the_loops_own() {
    ends(|| {
        let call = || syncify(async |()| 42)(());
        assert!(call().is_err());
        assert!(run(async { call() }).is_err());
    });
}

#[test]
fn a_thread_spawns_on_a_loop_and_is_refused_by_one_that_has_ended() {
    ends(|| {
        let (handle, answer) = run(async {
            let handle = Handle::try_current().unwrap();
            let remote = handle.clone();
            let spawn = move || remote.spawn(|| async { *Rc::new(42) });
            (handle, thread::spawn(spawn).join().unwrap().await)
        });
        assert_eq!(answer.unwrap(), 42);
        let late = handle.spawn(|| async { 42 });
        assert!(run(late).is_err());
    });
}

#[test]
fn a_permit_given_to_a_waiter_that_is_dropped_goes_to_the_next() {
    ends(|| {
        run(async {
            let limiter = Limiter::new(1);
            let permit = limiter.acquire().await;
            let mut waits = Box::pin(limiter.acquire());
            let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending());
            drop(permit);
            drop(waits);
            drop(limiter.acquire().await);
        });
    });
}

#[test]
fn permits_go_in_the_order_of_the_first_polls() {
    ends(|| {
        run(async {
            let limiter = Limiter::new(1);
            let permit = limiter.acquire().await;
            let order = Rc::new(RefCell::new(Vec::new()));
            let wait = |number| {
                let (limiter, order) = (limiter.clone(), order.clone());
                spawn(async move {
                    let _permit = limiter.acquire().await;
                    order.borrow_mut().push(number);
                })
            };
            let waits: Vec<_> = (0..3).map(wait).collect();
            yield_now().await;
            drop(permit);
            for wait in waits {
                wait.await.unwrap();
            }
            assert_eq!(*order.borrow(), [0, 1, 2]);
        });
    });
}

#[test]
fn the_children_of_a_scope_borrow_and_it_waits_for_them() {
    ends(|| {
        let (text, mut length) = (String::from("borrowed"), 0);
        run(scope(async |scope| {
            scope.spawn(async {
                yield_now().await;
                length = text.len();
            });
        }));
        assert_eq!(length, 8);
    });
}

#[test]
fn a_scope_that_is_dropped_drops_its_children() {
    ends(|| {
        run(async {
            let witness = Rc::new(());
            let mut parent = Box::pin(scope(async |scope| {
                scope.spawn(async {
                    let held = witness.clone();
                    pending::<()>().await;
                    drop(held);
                });
                pending::<()>().await;
            }));
            // The body spawns the child, and what is spawned may be polled in the next turn.
            for _ in 0..2 {
                let mut context = Context::from_waker(Waker::noop());
                assert!(parent.as_mut().poll(&mut context).is_pending());
            }
            assert_eq!(Rc::strong_count(&witness), 2);
            drop(parent);
            assert_eq!(Rc::strong_count(&witness), 1);
        });
    });
}

#[test]
fn a_child_that_wakes_itself_starves_no_other_task() {
    ends(|| {
        run(async {
            let ran = Rc::new(Cell::new(false));
            let other = ran.clone();
            spawn(async move { other.set(true) });
            scope(async |scope| {
                scope.spawn(async {
                    while !ran.get() {
                        yield_now().await;
                    }
                });
            })
            .await;
        });
    });
}
