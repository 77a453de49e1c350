//! The end of a pool, asked for from wherever one may ask: twice, from its own jobs, from async code.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, me, panic_of, until, until_set, watched};
use footbridge::{BlockingTask, Handle, Pool, run, syncify};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);

/// A job, on a pool of one thread, that does `then` when the shutdown of its pool has begun, and not before.
fn at_shutdown<R: Send + 'static>(
    pool: &Pool,
    then: impl FnOnce() -> R + Send + 'static,
) -> BlockingTask<R> {
    let (begun, has_begun) = mpsc::channel();
    let (give, given) = mpsc::channel::<BlockingTask<()>>();
    let running = pool.spawn_blocking(move || {
        begun.send(()).unwrap();
        let queued = given.recv().unwrap();
        until(|| queued.is_finished());
        then()
    });
    has_begun.recv().unwrap();
    // Queued behind it, so that only the shutdown can answer it.
    give.send(pool.spawn_blocking(|| ())).unwrap();
    running
}

// U10, decision 6
#[test]
fn shutdown_waits_for_the_running_jobs_and_the_threads() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let running = at_shutdown(&pool, || ());
        pool.shutdown(LONG).unwrap();
        assert!(running.is_finished());
        assert_eq!(pool.stats().threads, 0);
        running.join();
    });
}

// Decision 6
#[test]
fn shutdown_may_be_called_twice_and_by_two_threads_at_once() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let running = at_shutdown(&pool, || ());
        let both =
            [pool.clone(), pool.clone()].map(|pool| thread::spawn(move || pool.shutdown(LONG)));
        both.into_iter()
            .for_each(|one| one.join().unwrap().unwrap());
        running.join();
        pool.shutdown(Duration::ZERO).unwrap();
        Pool::builder().build().shutdown(Duration::ZERO).unwrap(); // and with no thread ever started
    });
}

// Decision 6
#[test]
fn a_job_may_shut_down_its_own_pool_and_goes_on() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        let own = pool.clone();
        let job = pool.spawn_blocking(move || {
            own.shutdown(LONG).unwrap();
            let late = own.spawn_blocking(|| ());
            panic_of(|| late.join())
        });
        assert!(job.join().contains("the pool has been shut down"));
        pool.shutdown(LONG).unwrap();
        assert_eq!(pool.stats().threads, 0);
    });
}

// Decision 6
#[test]
fn two_jobs_that_shut_down_their_pool_do_not_wait_for_each_other_even_if_one_goes_on_for_long() {
    watched(|| {
        for _ in 0..20 {
            let pool = Pool::builder().max_threads(4).build();
            let both = Arc::new(Barrier::new(2));
            let (tell, told) = mpsc::channel();
            let (own, begun) = (pool.clone(), both.clone());
            let first = pool.spawn_blocking(move || {
                begun.wait();
                let ended = own.shutdown(LONG).is_ok();
                tell.send(()).unwrap();
                ended
            });
            let own = pool.clone();
            let second = pool.spawn_blocking(move || {
                both.wait();
                let ended = own.shutdown(LONG).is_ok();
                told.recv().unwrap(); // goes on until the first is through
                ended
            });
            assert_eq!((first.join(), second.join()), (true, true));
        }
    });
}

// H12, decision 6
#[test]
fn on_a_loops_thread_shutdown_waits_for_a_job_that_can_end_without_the_loop() {
    watched(|| {
        run(async {
            let pool = Pool::builder().max_threads(1).build();
            let running = at_shutdown(&pool, || ());
            pool.shutdown(LONG).unwrap();
            assert!(running.is_finished());
            running.await;
        })
    });
}

// H12, decision 6
#[test]
fn on_a_loops_thread_shutdown_does_not_wait_for_a_job_that_waits_for_the_loop() {
    watched(|| {
        run(async {
            let pool = Pool::builder()
                .max_threads(1)
                .thread_name("homesick")
                .build();
            let job = at_shutdown(&pool, syncify(async || 1));
            let start = Instant::now();
            let still = pool.shutdown(LONG).unwrap_err();
            assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
            assert_eq!(still.jobs().len(), 1);
            assert_eq!(still.jobs()[0].thread(), "homesick-0");
            assert_eq!(job.await, Ok(1), "it is answered all the same");
            pool.shutdown(LONG).unwrap();
        })
    });
}

// H12, decision 6: the loop turns
#[test]
fn on_a_thread_without_a_loop_shutdown_waits_for_a_job_that_waits_for_a_loop() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (begun, has_begun) = mpsc::channel();
        let ended = Arc::new(AtomicBool::new(false));
        let (homesick, end) = (pool.clone(), ended.clone());
        let home = thread::spawn(move || {
            let asked = async move || {
                begun.send(()).unwrap();
                until_set(&end).await;
            };
            run(async { homesick.spawn_blocking(syncify(asked)).await })
        });
        has_begun.recv().unwrap(); // and so the job waits
        let closing = pool.clone();
        let last = thread::spawn(move || {
            until(|| closing.spawn_blocking(|| ()).is_finished()); // refused: the shutdown has begun
            thread::sleep(Duration::from_millis(20)); // and has looked, most likely
            ended.store(true, SeqCst);
        });
        pool.shutdown(LONG).unwrap();
        assert_eq!(home.join().unwrap(), Ok(()));
        last.join().unwrap();
    });
}

// Decision 6: and a second time, when they have ended
#[test]
fn shutdown_from_a_job_that_async_code_awaits_lets_the_loop_turn_meanwhile() {
    watched(|| {
        run(async {
            let pool = Pool::builder().build();
            let began = Arc::new(AtomicBool::new(false));
            let mark = began.clone();
            let homesick = pool.spawn_blocking(move || {
                mark.store(true, SeqCst);
                syncify(async || me())()
            });
            until_set(&began).await;
            let ending = pool.clone();
            let ended = footbridge::spawn_blocking(move || ending.shutdown(LONG).is_ok());
            assert_eq!(homesick.await, Ok(me()));
            assert!(ended.await);
        })
    });
}

/// On a pool of one thread: a job that queues two more behind it, waits until the first of them has
/// taken its place, and ends, one thread too many, with the second in its own queue. The two, and what opens
/// the gate that the first waits at.
fn queued_by_a_surplus_worker(
    pool: &Pool,
    guard: Guard,
) -> (mpsc::Sender<()>, [BlockingTask<i32>; 2]) {
    thread_local!(static AT_THE_END: std::cell::Cell<Option<Guard>> = const { std::cell::Cell::new(None) });
    let (open, gate) = mpsc::channel::<()>();
    let own = pool.clone();
    let both = run(async {
        let handle = Handle::current();
        let surplus = pool.spawn_blocking(move || {
            AT_THE_END.set(Some(guard));
            let taken = Arc::new(AtomicBool::new(false));
            let mark = taken.clone();
            let first = own.spawn_blocking(move || {
                mark.store(true, SeqCst);
                gate.recv().unwrap();
                1
            });
            let second = own.spawn_blocking(|| 2);
            drop(own);
            let until_taken = move || async move { until_set(&taken).await };
            handle.block_on(until_taken).unwrap();
            [first, second]
        });
        surplus.await
    });
    (open, both)
}

// W8, decision 3
#[test]
fn a_thread_that_retires_as_one_too_many_leaves_the_jobs_in_its_own_queue_to_the_others() {
    watched(|| {
        let pool = Pool::builder()
            .max_threads(1)
            .keep_alive(Duration::from_millis(20))
            .build();
        let (drops, dropped) = mpsc::channel();
        let (open, [first, second]) = queued_by_a_surplus_worker(&pool, Guard(drops));
        dropped.recv().unwrap(); // its thread has ended
        open.send(()).unwrap();
        assert_eq!((first.join(), second.join()), (1, 2));
    });
}

// W8, decision 15
#[test]
fn a_thread_that_ends_with_the_last_handle_leaves_the_jobs_in_its_own_queue_to_the_others() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (drops, dropped) = mpsc::channel();
        let (open, [first, second]) = queued_by_a_surplus_worker(&pool, Guard(drops));
        drop(pool);
        dropped.recv().unwrap();
        open.send(()).unwrap();
        assert_eq!((first.join(), second.join()), (1, 2));
    });
}

#[test]
fn a_job_whose_result_has_been_seen_is_not_among_those_that_still_run() {
    watched(|| {
        for _ in 0..300 {
            let pool = Pool::builder().build();
            pool.spawn_blocking(|| ()).join();
            if let Err(still_running) = pool.shutdown(Duration::ZERO) {
                assert!(still_running.jobs().is_empty(), "{still_running}");
            }
        }
    });
}
