//! Tests of which waits spin. A wait that spins changes the thread's backoff. A wait that doesn't spin leaves it
//! unchanged.

use crate::event_loop::scheduler::Inbox;
use crate::event_loop::time::sleep;
use crate::pool::wait::{block_on, block_on_patiently};
use crate::sync::backoff::Backoff;
use crate::sync::parker::{Parker, Woken};
use crate::sync::{Arc, Mutex, now, start_thread};
use crate::{EventLoop, Handle, Pool, spawn_blocking, syncify, yield_now};
use std::cell::Cell;
use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant};

const ZERO: Duration = Duration::ZERO;
const SOME: Duration = Duration::from_micros(10);

/// Whether a wait has changed the thread's backoff. It does so if it may spin, even if the backoff skips the spin.
fn spins(wait: impl FnOnce()) -> bool {
    let unlikely = Backoff::vain(7);
    unlikely.keep();
    wait();
    let left_alone = Backoff::of_thread() == unlikely;
    Backoff::NEW.keep();
    !left_alone
}

fn soon() -> Option<Instant> {
    Some(now() + Duration::from_millis(1))
}

fn a_loop(spin_time: Duration, pool: &Pool) -> EventLoop {
    EventLoop::builder().spin_time(spin_time).pool(pool).build()
}

fn a_pool(spin_time: Duration) -> Pool {
    Pool::builder().spin_time(spin_time).build()
}

/// Runs `f` in a job that belongs to a loop.
fn in_job<T: Send + 'static>(
    pools: Duration,
    loops: Duration,
    f: impl Fn() -> T + Send + 'static,
) -> T {
    a_loop(loops, &a_pool(pools)).run_until(async { spawn_blocking(f).await })
}

/// Runs `f` on another thread, without a loop or a pool.
fn elsewhere<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (parker, result) = (Arc::new(Parker::new()), Arc::new(Mutex::new(None)));
    let (told, given) = (parker.clone(), result.clone());
    let body = move || {
        let value = f();
        *given.lock() = Some(value);
        told.unpark();
    };
    start_thread(String::from("elsewhere"), None, body).unwrap();
    assert_eq!(parker.park(None), Woken::Notified);
    result.lock().take().unwrap()
}

#[test]
fn what_one_wait_has_learnt_the_next_of_its_thread_knows_and_no_other_thread() {
    let in_vain = || Parker::new().spin_then_park(SOME, soon(), || ()) == Woken::TimedOut;
    assert!(in_vain());
    let after_one = Backoff::of_thread();
    assert_ne!(after_one, Backoff::NEW);
    assert!(in_vain());
    assert_ne!(Backoff::of_thread(), after_one);
    assert_eq!(elsewhere(Backoff::of_thread), Backoff::NEW);
}

#[test]
fn a_loop_that_waits_for_a_timer_doesnt_spin() {
    assert!(!spins(
        || EventLoop::new().run_until(sleep(Duration::from_millis(1)))
    ));
}

#[test]
fn a_loop_that_waits_for_a_foreign_thread_doesnt_spin() {
    assert!(!spins(|| EventLoop::new().run_until(async {
        let done = Arc::new(Mutex::new(false));
        let mut start = true;
        poll_fn(|context| {
            if *done.lock() {
                return Poll::Ready(());
            }
            if std::mem::take(&mut start) {
                let (done, waker) = (done.clone(), context.waker().clone());
                let body = move || {
                    *done.lock() = true;
                    waker.wake();
                };
                start_thread(String::from("foreign"), None, body).unwrap();
            }
            Poll::Pending
        })
        .await;
    })));
}

/// The loop has to sleep until its timer, since the job waits for that.
fn awaits_a_job(loops: Duration) -> bool {
    let pool = a_pool(ZERO);
    let mut event_loop = a_loop(loops, &pool);
    spins(|| {
        event_loop.run_until(async {
            let go = Arc::new(Parker::new());
            let wait = go.clone();
            let job = crate::spawn(spawn_blocking(move || wait.park(None)));
            sleep(Duration::from_millis(1)).await;
            go.unpark();
            let _ = job.await;
        });
    })
}

#[test]
fn a_loop_that_awaits_a_job_spins() {
    assert!(awaits_a_job(SOME));
}

#[test]
fn a_loop_that_awaits_a_job_doesnt_spin_where_its_spin_time_is_zero() {
    assert!(!awaits_a_job(ZERO));
}

#[test]
fn an_answer_is_due_once_for_each_reason() {
    let inbox = Inbox::new(SOME, None, None);
    let is_due = Cell::new(false);
    let sleep = || spins(|| assert_eq!(inbox.sleep(soon(), &is_due), Woken::TimedOut));
    assert!(!sleep());
    is_due.set(true);
    assert!(sleep());
    assert!(!sleep(), "the same reason counted twice");
}

#[test]
fn a_loop_spins_once_after_a_post_of_a_workers_and_after_no_other_threads() {
    let post_by = |on_worker: bool| {
        let mut event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let post = move || assert!(handle.call_soon(|| ()));
        if on_worker {
            a_pool(ZERO).spawn_blocking(post).join();
        } else {
            elsewhere(post);
        }
        [(); 2].map(|()| spins(|| event_loop.run_until(sleep(Duration::from_millis(1)))))
    };
    assert_eq!(post_by(true), [true, false]);
    assert_eq!(post_by(false), [false, false]);
}

#[test]
fn a_loop_spins_after_a_call_that_a_thread_waits_for() {
    let mut event_loop = EventLoop::new();
    let handle = event_loop.handle();
    let body = move || assert!(handle.block_on(|| async {}).is_ok());
    start_thread(String::from("caller"), None, body).unwrap();
    // The loop sleeps only after the call is there.
    while !event_loop.tick() {
        std::hint::spin_loop();
    }
    assert!(spins(
        || event_loop.run_until(sleep(Duration::from_millis(1)))
    ));
}

/// Whether a wait for an async function spins on this thread. Tries again, because the answer may come before the wait.
fn waits_for(handle: &Handle, spinning: bool, call: impl Fn(&Handle)) -> bool {
    let mut has = false;
    for _ in 0..if spinning { 1000 } else { 5 } {
        has |= spins(|| call(handle));
        if has {
            break;
        }
    }
    has
}

async fn a_while() {
    sleep(Duration::from_micros(200)).await;
    yield_now().await;
}

#[test]
fn a_job_that_waits_for_its_loop_spins_as_its_pool_says_and_not_as_the_loop_does() {
    let calls: [fn(&Handle); 4] = [
        |_| syncify(a_while)().unwrap(),
        |handle| handle.block_on(a_while).unwrap(),
        |handle| handle.spawn(a_while).join().unwrap(),
        |_| {
            block_on(|context| {
                // A wait within a wait.
                let _ = syncify(a_while)();
                context.waker().wake_by_ref();
                Poll::Ready(())
            })
        },
    ];
    for call in calls {
        let wait = move |spinning| move || waits_for(&Handle::current(), spinning, call);
        assert!(in_job(SOME, ZERO, wait(true)));
        assert!(!in_job(ZERO, SOME, wait(false)));
    }
}

#[test]
fn a_job_that_joins_another_one_spins_as_its_pool_says() {
    let join = |pool: Pool, spinning| {
        let inner = pool.clone();
        pool.spawn_blocking(move || {
            let nap = || Parker::new().park(soon());
            let call = |_: &Handle| assert_eq!(inner.spawn_blocking(nap).join(), Woken::TimedOut);
            waits_for(&EventLoop::new().handle(), spinning, call)
        })
        .join()
    };
    assert!(join(a_pool(SOME), true));
    assert!(!join(a_pool(ZERO), false));
}

#[test]
fn a_loop_on_a_worker_spins_no_longer_than_its_pool_says() {
    let temporary = || spins(|| assert!(awaits_in_a_loop_of_its_own()));
    assert!(in_job(SOME, SOME, temporary));
    assert!(!in_job(ZERO, SOME, temporary));
}

fn awaits_in_a_loop_of_its_own() -> bool {
    let mut event_loop = EventLoop::new();
    event_loop.run_until(async {
        let go = Arc::new(Parker::new());
        let wait = go.clone();
        let job = crate::spawn(spawn_blocking(move || wait.park(None)));
        sleep(Duration::from_millis(1)).await;
        go.unpark();
        job.await.is_ok()
    })
}

#[test]
fn a_thread_of_no_pools_spins_as_what_it_waits_for() {
    let on_loop = |spin_time, spinning| {
        let mut event_loop = a_loop(spin_time, &a_pool(ZERO));
        let handle = event_loop.handle();
        let thread = move || {
            waits_for(&handle, spinning, |handle| {
                handle.block_on(a_while).unwrap()
            })
        };
        event_loop.run_until(spawn_blocking(|| elsewhere(thread)))
    };
    assert!(on_loop(SOME, true));
    assert!(!on_loop(ZERO, false));
    let on_pool = |spin_time, spinning| {
        let pool = a_pool(spin_time);
        let nap = || Parker::new().park(soon());
        waits_for(&EventLoop::new().handle(), spinning, |_| {
            assert_eq!(pool.spawn_blocking(nap).join(), Woken::TimedOut);
        })
    };
    assert!(on_pool(SOME, true));
    assert!(!on_pool(ZERO, false));
}

#[test]
fn a_wait_on_a_thread_of_no_pools_without_a_setting_doesnt_spin() {
    let wait = |spin_time| {
        let mut polls = 0;
        block_on_patiently(
            spin_time,
            &Cell::new(Some(Duration::from_micros(200))),
            |_| {
                polls += 1;
                if polls > 1 {
                    Poll::Ready(())
                } else {
                    Poll::Pending
                }
            },
        );
    };
    assert!(spins(|| wait(SOME)));
    assert!(!spins(|| wait(ZERO)));
}

#[test]
fn an_idle_thread_spins_as_its_pool_says() {
    let spins = |spin_time, tries| {
        let pool = Pool::builder().spin_time(spin_time).max_threads(1).build();
        let mut tries = 0..tries;
        tries.any(|_| {
            let unlikely = Backoff::vain(7);
            pool.spawn_blocking(move || unlikely.keep()).join();
            while pool.stats().idle == 0 {
                std::hint::spin_loop();
            }
            pool.spawn_blocking(Backoff::of_thread).join() != unlikely
        })
    };
    assert!(spins(SOME, 1000));
    assert!(!spins(ZERO, 5));
}
