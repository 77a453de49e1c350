//! The programs of the chapter's exercises. Here the stages' own code makes them end.

use ladder::cancel::job_for;
use ladder::inbox::{Handle, Inbox, run};
use ladder::join::spawn;
use ladder::limiter::Limiter;
use ladder::parker::{Parker, yield_now};
use ladder::pool::Pool;
use ladder::scope::scope;
use ladder::stealing::StealingPool;
use ladder::syncify::{at_home, syncify};
use ladder::timers::sleep;
use ladder::watchdog::ends;
use ladder::worker::asyncify;
use ladder::{cancel, parker};
use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Barrier, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

fn block_on<F: Future>(future: F) -> F::Output {
    parker::block_on(Parker::park, future)
}

#[test]
fn exercise_0_is_woken_before_the_thread_sleeps() {
    ends(|| {
        let mut polls = 0;
        let yields = poll_fn(|context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        });
        block_on(yields);
        assert_eq!(polls, 3);
    });
}

#[test]
fn exercise_1_yields_to_another_task() {
    ends(|| {
        run(async {
            let ran = Rc::new(Cell::new(false));
            let other = ran.clone();
            spawn(async move { other.set(true) });
            while !ran.get() {
                yield_now().await;
            }
        });
    });
}

#[test]
fn exercise_2_is_told_of_a_panic() {
    ends(|| {
        let result = run(async { spawn(async { panic!() }).await });
        assert!(result.is_err());
    });
}

#[test]
fn exercise_3_sleeps_for_less_than_an_hour() {
    ends(|| {
        run(async {
            spawn(sleep(Duration::from_secs(3600)));
            yield_now().await;
            sleep(Duration::from_millis(1)).await;
        });
    });
}

#[test]
fn exercise_4_takes_a_post_that_comes_while_it_falls_asleep() {
    ends(|| {
        for _ in 0..1000 {
            let inbox = Arc::new(Inbox::default());
            let poster = inbox.clone();
            thread::spawn(move || poster.post(Box::new(|| ())));
            while inbox.take().is_empty() {
                inbox.sleep(Parker::park);
            }
        }
        // And the whole way.
        let handle = || Handle::try_current().unwrap();
        let remote = |handle: Handle| thread::spawn(move || handle.spawn(async || 42));
        let answer = run(async { remote(handle()).join().unwrap().await });
        assert_eq!(answer.unwrap(), 42);
    });
}

#[test]
fn exercise_5_ticks_while_a_job_blocks() {
    ends(|| {
        run(async {
            let (tick, ticks) = mpsc::channel();
            spawn(async move {
                for _ in 0..5 {
                    sleep(Duration::from_millis(1)).await;
                    tick.send(()).unwrap();
                }
            });
            let count = asyncify(|ticks: mpsc::Receiver<()>| ticks.iter().count());
            assert_eq!(count(ticks).await, 5);
        });
    });
}

#[test]
fn exercise_6_has_two_jobs_meet_beside_an_idle_worker() {
    ends(|| {
        let pool = Pool::new(2);
        run(pool.spawn_blocking(|| ())).unwrap();
        let barrier = Arc::new(Barrier::new(2));
        let other = barrier.clone();
        let first = pool.spawn_blocking(move || barrier.wait().is_leader());
        let second = pool.spawn_blocking(move || other.wait().is_leader());
        assert_ne!(run(first).unwrap(), run(second).unwrap());
    });
}

#[test]
fn exercise_7_calls_an_async_function_that_submits_a_job() {
    ends(|| {
        async fn submits(pool: Arc<Pool>) -> u32 {
            pool.spawn_blocking(|| 42).await.unwrap()
        }
        let answer = run(async {
            let pool = Pool::new(1);
            let inner = pool.clone();
            let job = at_home(pool.clone(), move || syncify(submits)(inner).unwrap());
            pool.spawn_blocking(job).await.unwrap()
        });
        assert_eq!(answer, 42);
    });
}

#[test]
fn exercise_8_tells_a_job_that_its_caller_has_gone() {
    use cancel::syncify;
    ends(|| {
        async fn begins(begin: mpsc::Sender<()>) {
            begin.send(()).unwrap();
            pending().await
        }
        run(async {
            let pool = Pool::new(1);
            let (begin, begun) = mpsc::channel();
            let (tell, told) = mpsc::channel();
            let (job, task) = job_for(&pool, move || tell.send(syncify(begins)(begin)).unwrap());
            pool.submit(job);
            while begun.try_recv().is_err() {
                yield_now().await;
            }
            drop(task);
            while told.try_recv().is_err() {
                yield_now().await;
            }
        });
    });
}

#[test]
fn exercise_9_has_a_permit_after_one_that_waited_is_dropped() {
    ends(|| {
        let limiter = Limiter::new(1);
        let permit = block_on(limiter.acquire());
        let mut waits = Box::pin(limiter.acquire());
        let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        drop(permit);
        drop(waits);
        block_on(limiter.acquire());
    });
}

#[test]
fn exercise_10_waits_for_a_job_in_its_own_queue() {
    ends(|| {
        let pool = StealingPool::new(2);
        let inner = pool.clone();
        let outer = move || {
            let (tell, told) = mpsc::channel();
            let _task = inner.spawn_blocking(move || tell.send(42).unwrap());
            told.recv().unwrap()
        };
        assert_eq!(run(pool.spawn_blocking(outer)), 42);
    });
}

#[test]
fn exercise_11_borrows() {
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
