//! Workers: what lasts from job to job, what a loop's end means to them, and that no job is left lying
//! where a thread could run it.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, me, ms, panic_of, until, watched};
use footbridge::{Pool, run};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

// W8
#[test]
fn a_job_submitted_just_when_a_thread_retires_is_run_all_the_same() {
    watched(|| {
        let keep_alive = Duration::from_micros(50);
        let pool = Pool::builder()
            .max_threads(2)
            .keep_alive(keep_alive)
            .build();
        for n in 0..1000_u32 {
            let pause = Instant::now();
            while pause.elapsed() < keep_alive * (n % 50) / 25 {
                std::hint::spin_loop();
            }
            assert_eq!(pool.spawn_blocking(move || n).join(), n);
        }
        until(|| pool.stats().threads == 0);
    });
}

// W11
#[test]
fn a_workers_thread_locals_last_from_job_to_job() {
    thread_local!(static JOBS: Cell<u32> = const { Cell::new(0) });
    fn count() -> u32 {
        JOBS.set(JOBS.get() + 1);
        JOBS.get()
    }
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let counts: Vec<_> = (0..3).map(|_| pool.spawn_blocking(count).join()).collect();
        assert_eq!(counts, [1, 2, 3]);
    });
}

// W14
#[test]
fn a_job_that_ends_when_its_loop_is_gone_gives_its_result_to_the_one_that_has_it_and_the_worker_goes_on()
 {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (open, gate) = mpsc::channel();
        let (drops, dropped) = mpsc::channel();
        let guard = Guard(drops);
        let (kept, abandoned) = run(async {
            let mut kept = pool.spawn_blocking(move || (gate.recv().is_ok(), me()).1);
            // It has the waker of a loop that will be gone.
            let pending = poll_fn(|context| Poll::Ready(Pin::new(&mut kept).poll(context)));
            assert!(pending.await.is_pending());
            let own = pool.clone();
            (kept, own.spawn_blocking(move || guard))
        });
        abandoned.detach();
        open.send(()).unwrap();
        let worker = kept.join();
        assert_eq!(
            dropped.recv(),
            Ok(worker),
            "an unwanted result is dropped there"
        );
        assert_eq!(pool.spawn_blocking(me).join(), worker);
    });
}

// Decision 18
#[test]
fn a_job_that_a_blocked_worker_waits_for_is_served_although_the_shared_queue_is_never_empty() {
    watched(|| {
        let pool = Pool::builder().max_threads(16).build();
        let (ended, fed) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let feeder = thread::spawn({
            let (pool, ended) = (pool.clone(), ended.clone());
            move || {
                while !ended.load(SeqCst) {
                    while fed.load(SeqCst) < 500 {
                        fed.fetch_add(1, SeqCst);
                        let fed = fed.clone();
                        let short = move || {
                            thread::sleep(ms(1)); // work
                            fed.fetch_sub(1, SeqCst);
                        };
                        pool.spawn_blocking(short).detach();
                    }
                    thread::sleep(Duration::from_micros(100));
                }
            }
        });
        until(|| pool.stats().threads == 16);
        let is_served = || {
            let own = pool.clone();
            let outer = pool.spawn_blocking(move || {
                let (answer, answers) = mpsc::channel();
                let other = move || answer.send(()).unwrap_or(());
                // It goes to this worker's own queue, and the worker waits in a way that the pool knows nothing of.
                own.spawn_blocking(other).detach();
                answers.recv_timeout(Duration::from_secs(10)).is_ok()
            });
            outer.join()
        };
        let all_served = (0..3).all(|_| is_served());
        ended.store(true, SeqCst);
        feeder.join().unwrap();
        assert!(all_served);
    });
}

// Decision 18
#[test]
fn jobs_that_are_given_back_again_and_again_starve_none_from_outside() {
    fn step(pool: Pool, served: Arc<AtomicBool>, left: usize, end: mpsc::Sender<usize>) {
        if left == 0 || served.load(SeqCst) {
            return end.send(left).unwrap();
        }
        let own = pool.clone();
        pool.spawn_blocking(move || step(own, served, left - 1, end))
            .detach();
        // While this job waits, both are given back.
        pool.spawn_blocking(|| ()).join();
    }
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let served = Arc::new(AtomicBool::new(false));
        let ((end, ended), (go, gate)) = (mpsc::channel(), mpsc::channel());
        let (own, seen) = (pool.clone(), served.clone());
        let first = move || {
            gate.recv().unwrap();
            step(own, seen, 10_000, end);
        };
        pool.spawn_blocking(first).detach();
        pool.spawn_blocking(move || served.store(true, SeqCst))
            .detach();
        go.send(()).unwrap();
        assert!(ended.recv().unwrap() > 0);
    });
}

// W1, decision 13
#[cfg(target_pointer_width = "64")]
#[test]
fn a_wait_for_a_job_that_no_thread_could_be_had_for_is_told_the_threads_name_and_the_systems_error()
{
    const TOO_MUCH: usize = 1 << 60;
    watched(|| {
        let refused = thread::Builder::new().stack_size(TOO_MUCH).spawn(|| ());
        let error = refused.unwrap_err().to_string();
        let pool = Pool::builder()
            .thread_name("wanted")
            .thread_stack_size(TOO_MUCH)
            .build();
        let text = panic_of(|| pool.spawn_blocking(|| ()).join());
        assert!(text.contains("wanted-0"), "{text}");
        assert!(text.contains(&error), "{text}, and not {error}");
        let text = panic_of(|| run(async { pool.spawn_blocking(|| ()).await }));
        assert!(text.contains("wanted-1"), "{text}");
    });
}

// The stack of a thread that watches, lies down and is brought to watch again must not grow.
#[test]
fn a_small_stack_is_enough_however_often_a_thread_is_brought_to_watch() {
    watched(|| {
        let cores = thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        let pool = Pool::builder().thread_stack_size(128 * 1024).build();
        let gates: Vec<_> = (1..cores)
            .map(|_| {
                let (go, wait) = mpsc::channel::<()>();
                pool.spawn_blocking(move || wait.recv()).detach();
                go
            })
            .collect();
        until(|| pool.stats().idle == 0 && pool.stats().queued == 0);
        // The thread that takes the batch starts one to watch it, which finds nothing left to watch during the last job, the
        // longer one.
        for _ in 0..500 {
            let mut jobs: Vec<_> = (0..6).map(|_| pool.spawn_blocking(|| ())).collect();
            jobs.push(pool.spawn_blocking(|| thread::sleep(ms(1))));
            for job in jobs {
                job.join();
            }
            thread::sleep(ms(1) / 3);
        }
        drop(gates);
    });
}

/// Jobs that submit the next, until they are to stop.
fn again(pool: Pool, stop: Arc<AtomicBool>) {
    if !stop.load(SeqCst) {
        let own = pool.clone();
        pool.spawn_blocking(move || again(own, stop)).detach();
    }
}

// Decision 11
#[test]
fn jobs_that_keep_submitting_the_next_starve_nobody_on_one_thread() {
    watched(|| {
        for threads in 1..=2 {
            let pool = Pool::builder().max_threads(threads).build();
            let stop = Arc::new(AtomicBool::new(false));
            for _ in 0..2 * threads - 1 {
                again(pool.clone(), stop.clone());
            }
            for n in 0..10 {
                assert_eq!(pool.spawn_blocking(move || n).join(), n);
            }
            stop.store(true, SeqCst);
        }
    });
}

// Decision 11
#[test]
fn a_job_in_the_queue_of_a_thread_that_waits_is_taken_by_one_that_never_runs_dry() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        let stop = Arc::new(AtomicBool::new(false));
        let (go, wait) = mpsc::channel();
        let own = pool.clone();
        let waits = pool.spawn_blocking(move || {
            wait.recv().unwrap();
            let (tell, told) = mpsc::channel();
            own.spawn_blocking(move || tell.send(())).detach();
            told.recv().unwrap(); // not a wait of ours: the place is kept
        });
        for _ in 0..40 {
            again(pool.clone(), stop.clone());
        }
        go.send(()).unwrap();
        waits.join();
        stop.store(true, SeqCst);
    });
}

// W10
#[test]
fn jobs_from_outside_start_in_their_order_beside_a_long_queue_of_a_threads_own() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (begun, has_begun) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let own = pool.clone();
        let first = pool.spawn_blocking(move || {
            (0..5000).for_each(|_| own.spawn_blocking(|| ()).detach());
            begun.send(()).unwrap();
            wait.recv().unwrap();
        });
        has_begun.recv().unwrap();
        let (tell, told) = mpsc::channel();
        for n in 0..40 {
            let tell = tell.clone();
            pool.spawn_blocking(move || tell.send(n)).detach();
        }
        drop(tell);
        go.send(()).unwrap();
        first.join();
        assert!(told.iter().eq(0..40));
    });
}
