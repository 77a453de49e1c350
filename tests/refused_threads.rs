//! What becomes of jobs where the system refuses the pool a thread.
//!
//! Each test runs in a process of its own, whose address space has room for one thread's stack of the size
//! asked for, and not for two. So does one about a system that refuses files.
#![cfg(all(not(footbridge_loom), target_os = "linux", target_pointer_width = "64"))]

mod common;

use common::{me, ms, panic_of, watched};
use footbridge::{BlockingTask, EventLoop, Pool, gather, run, syncify, time};
use std::fs::File;
use std::process::Command;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

const STACK: usize = 1 << 30;
const ROOM_IN_KIB: usize = 1_900_000;

/// Runs `test` again in a process with so much room, and there its body.
fn with_room_for_one_thread(test: &str, body: impl FnOnce(Pool) + Send + 'static) {
    let with_pool = || body(Pool::builder().thread_stack_size(STACK).build());
    with_limit(&format!("-v {ROOM_IN_KIB}"), test, with_pool);
}

/// Runs `test` again in a process with this `ulimit`, and there its body.
fn with_limit(limit: &str, test: &str, body: impl FnOnce() + Send + 'static) {
    const INSIDE: &str = "FOOTBRIDGE_TEST_WITH_LITTLE_ROOM";
    if std::env::var_os(INSIDE).is_some() {
        return watched(body);
    }
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!("ulimit {limit} && exec \"$0\" --exact {test}"))
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
        .env("MALLOC_ARENA_MAX", "1") // else each thread takes room for one
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(printed.contains("1 passed"), "{printed}");
}

// Decision 13
#[test]
fn a_refused_thread_fails_no_job_that_a_living_one_can_still_run() {
    let name = "a_refused_thread_fails_no_job_that_a_living_one_can_still_run";
    with_room_for_one_thread(name, |pool| {
        let (open, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let first = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            me()
        });
        has_begun.recv().unwrap();
        let queued: Vec<_> = (0..10).map(|_| pool.spawn_blocking(me)).collect();
        assert_eq!(pool.stats().threads, 1, "the others were refused");
        open.send(()).unwrap();
        let worker = first.join();
        queued
            .into_iter()
            .for_each(|job| assert_eq!(job.join(), worker));
    });
}

// Decision 13
#[test]
fn if_the_only_thread_is_parked_every_queued_job_is_answered() {
    let name = "if_the_only_thread_is_parked_every_queued_job_is_answered";
    with_room_for_one_thread(name, |pool| {
        run(async {
            let inner = pool.clone();
            let outer = pool.spawn_blocking(move || {
                // Queued behind this job, which then waits for it.
                let queued = inner.spawn_blocking(|| ());
                let waits = move || {
                    let text = panic_of(|| queued.join());
                    let nested = panic_of(|| {
                        syncify(async move || gather([inner.spawn_blocking(|| ())]).await)()
                    });
                    [text, nested]
                };
                waits()
            });
            for text in outer.await {
                assert!(text.contains("the system refused the pool"), "{text}");
            }
            // The parked one has come back, and is as good as before.
            assert_eq!(pool.spawn_blocking(|| 5).await, 5);
        })
    });
}

// Decision 13
#[test]
fn if_there_is_no_thread_at_all_every_job_is_answered() {
    watched(|| {
        let pool = Pool::builder().thread_stack_size(1 << 60).build();
        for _ in 0..3 {
            let text = panic_of(|| pool.spawn_blocking(|| ()).join());
            assert!(text.contains("the system refused the pool"), "{text}");
            assert!(
                text.contains("refused_threads.rs"),
                "says where it was submitted: {text}"
            );
        }
        assert_eq!((pool.stats().threads, pool.stats().queued), (0, 0));
    });
}

// Decision 13
#[test]
fn a_loop_on_the_only_worker_hears_of_the_job_that_is_left_to_nobody_as_it_falls_asleep() {
    let name =
        "a_loop_on_the_only_worker_hears_of_the_job_that_is_left_to_nobody_as_it_falls_asleep";
    with_room_for_one_thread(name, |pool| {
        let own = pool.clone();
        let job = pool.spawn_blocking(move || {
            let text = panic_of(|| run(async { own.spawn_blocking(|| 1).await }));
            assert!(text.contains("never run"), "{text}");
        });
        job.join();
    });
}

/// A job that waits for a second one, which it submits. That one is refused its thread, and then there is room. `wait`
/// may be asleep by then.
fn refused_for_a_moment(wait: impl FnOnce(BlockingTask<()>)) {
    // With this there is room for one thread, and without it for two.
    let room = Vec::<u8>::with_capacity(900 << 20);
    let pool = Pool::builder().thread_stack_size(STACK / 2).build();
    let (own, (go, wait_to_go)) = (pool.clone(), mpsc::channel::<()>());
    let first = move || {
        let (tell, told) = mpsc::channel();
        let _ = wait_to_go.recv();
        let second = own.spawn_blocking(move || tell.send(()).unwrap());
        assert_eq!(own.stats().threads, 1, "the second was refused");
        drop(room);
        told.recv().unwrap();
        drop(second);
    };
    let first = pool.spawn_blocking(first);
    thread::spawn(move || {
        thread::sleep(ms(20)); // so that the other one is asleep by then, most likely
        drop(go);
    });
    wait(first);
}

// Decision 18
#[test]
fn a_refused_thread_is_tried_for_again_while_a_thread_joins_a_job_of_the_pool() {
    let name = "a_refused_thread_is_tried_for_again_while_a_thread_joins_a_job_of_the_pool";
    with_room_for_one_thread(name, |_| refused_for_a_moment(BlockingTask::join));
}

// Decision 18
#[test]
fn a_refused_thread_is_tried_for_again_while_a_loop_awaits_a_job_of_the_pool() {
    let name = "a_refused_thread_is_tried_for_again_while_a_loop_awaits_a_job_of_the_pool";
    with_room_for_one_thread(name, |_| {
        run(async {
            let mut waits = None;
            refused_for_a_moment(|first| waits = Some(first));
            waits.unwrap().await
        })
    });
}

/// A pool of threads of which one fits beside the room that it comes with, and two or three without that.
fn pool_and_room(mebibytes: [usize; 2]) -> (Pool, [Vec<u8>; 2]) {
    let room = mebibytes.map(|size| Vec::with_capacity(size << 20));
    (Pool::builder().thread_stack_size(STACK / 2).build(), room)
}

/// Occupies the only thread of the pool until told, by a job of the current loop's, if there is one.
fn occupy(pool: &Pool) -> (Sender<()>, BlockingTask<()>) {
    let (open, gate) = mpsc::channel();
    let (begun, has_begun) = mpsc::channel();
    let job = pool.spawn_blocking(move || {
        begun.send(()).unwrap();
        gate.recv().unwrap();
    });
    has_begun.recv().unwrap();
    (open, job)
}

/// Two jobs of a loop's, of which the first waits for the second. That one is refused its thread for some pauses.
fn refused_for_some_pauses(wait: impl AsyncFnOnce([BlockingTask<()>; 2])) {
    let (pool, room) = pool_and_room([450, 450]);
    run(async {
        let (open, first) = occupy(&pool);
        let second = pool.spawn_blocking(move || open.send(()).unwrap());
        time::sleep(ms(50)).await;
        assert_eq!(pool.stats().threads, 1, "the second was refused");
        drop(room);
        wait([first, second]).await;
    });
}

// Decision 18
#[test]
fn a_refused_thread_is_tried_for_again_and_again_while_a_loop_awaits_its_job() {
    let name = "a_refused_thread_is_tried_for_again_and_again_while_a_loop_awaits_its_job";
    with_room_for_one_thread(name, |_| {
        refused_for_some_pauses(async |both| drop(gather(both).await));
    });
}

// Decision 18
#[test]
fn a_refused_thread_is_tried_for_again_and_again_while_a_loop_turns_for_other_reasons() {
    let name = "a_refused_thread_is_tried_for_again_and_again_while_a_loop_turns_for_other_reasons";
    with_room_for_one_thread(name, |_| {
        refused_for_some_pauses(async |both| {
            while !both.iter().all(BlockingTask::is_finished) {
                time::sleep(ms(10)).await;
            }
        });
    });
}

// Decision 18
#[test]
fn refused_threads_are_tried_for_again_for_each_job_in_turn() {
    let name = "refused_threads_are_tried_for_again_for_each_job_in_turn";
    with_room_for_one_thread(name, |_| {
        let (pool, [room_for_second, room_for_third]) = pool_and_room([500, 400]);
        run(async {
            let (own, (go, wait_to_go)) = (pool.clone(), mpsc::channel::<()>());
            let first = pool.spawn_blocking(move || {
                let (tell, told) = mpsc::channel();
                let (begun, has_begun) = mpsc::channel();
                let (end, ended) = mpsc::channel();
                wait_to_go.recv().unwrap();
                let second = own.spawn_blocking(move || {
                    begun.send(()).unwrap();
                    told.recv().unwrap();
                    end.send(()).unwrap();
                });
                let third = own.spawn_blocking(move || tell.send(()).unwrap());
                assert_eq!(own.stats().threads, 1, "both were refused");
                drop(room_for_second);
                has_begun.recv().unwrap();
                assert_eq!(own.stats().threads, 2, "the third is refused still");
                drop(room_for_third);
                ended.recv().unwrap();
                [second, third]
            });
            go.send(()).unwrap();
            gather(first.await).await;
        });
    });
}

// Decision 18
#[test]
fn a_loop_that_comes_later_tries_again_although_one_that_is_not_run_was_told_before() {
    let name = "a_loop_that_comes_later_tries_again_although_one_that_is_not_run_was_told_before";
    with_room_for_one_thread(name, |_| {
        let (pool, room) = pool_and_room([450, 450]);
        let idle = EventLoop::new();
        let (open, first) = occupy(&pool);
        let second = idle.handle().run_in_executor(Some(&pool), || ());
        assert_eq!(pool.stats().threads, 1, "the second was refused");
        run(async {
            let third = pool.spawn_blocking(|| ());
            assert_eq!(pool.stats().threads, 1, "and so was the third");
            drop(room);
            third.await;
        });
        open.send(()).unwrap();
        first.join();
        drop((second, idle));
    });
}

// Decision 18
#[test]
fn a_loop_sleeps_when_no_job_waits_for_a_refused_thread_any_more() {
    let name = "a_loop_sleeps_when_no_job_waits_for_a_refused_thread_any_more";
    with_room_for_one_thread(name, |pool| {
        let mut event_loop = EventLoop::new();
        event_loop.run_until(async {
            let (open, first) = occupy(&pool);
            let second = pool.spawn_blocking(|| ());
            assert_eq!(pool.stats().threads, 1, "the second was refused");
            open.send(()).unwrap();
            gather([first, second]).await;
        });
        while event_loop.next_deadline().is_some() {
            event_loop.tick();
            thread::sleep(ms(1));
        }
    });
}

// Decision 18
#[test]
fn a_refused_thread_is_tried_for_once_in_a_pause_however_many_join() {
    const JOINING: usize = 8;
    const PAUSE: Duration = ms(10);
    let name = "a_refused_thread_is_tried_for_once_in_a_pause_however_many_join";
    with_room_for_one_thread(name, |_| {
        let (pool, room) = pool_and_room([450, 450]);
        let start = Instant::now();
        let (open, first) = occupy(&pool);
        let joining: Vec<_> = (0..JOINING)
            .map(|_| {
                let pool = pool.clone();
                let joins = move || {
                    let job = pool.spawn_blocking(|| thread::current().name().unwrap().to_owned());
                    job.join()
                };
                let small = thread::Builder::new().stack_size(64 << 10);
                small.spawn(joins).unwrap()
            })
            .collect();
        thread::sleep(30 * PAUSE);
        assert_eq!(pool.stats().threads, 1, "all were refused");
        drop(room);
        for thread in joining {
            // The names count the threads that were tried for: one for each submit, and one in each pause.
            let name = thread.join().unwrap();
            let (_, number) = name.rsplit_once('-').unwrap();
            let pauses = (start.elapsed().as_millis() / PAUSE.as_millis()) as usize;
            let tried: usize = number.parse().unwrap();
            assert!(tried <= JOINING + pauses + 3, "{tried} in {pauses} pauses");
        }
        open.send(()).unwrap();
        first.join();
    });
}

// Decision 18: what the system doesn't say is not taken for a thread that sleeps
#[test]
fn jobs_that_compute_where_no_file_can_be_opened_start_few_threads() {
    let name = "jobs_that_compute_where_no_file_can_be_opened_start_few_threads";
    with_limit("-n 32", name, || {
        let files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        let cores = thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
        let pool = Pool::builder().keep_alive(Duration::MAX).build();
        let compute = || {
            let start = Instant::now();
            while start.elapsed() < ms(5) {}
        };
        let jobs: Vec<_> = (0..30 * cores)
            .map(|_| pool.spawn_blocking(compute))
            .collect();
        jobs.into_iter().for_each(|job| job.join());
        let threads = pool.stats().threads; // none has retired
        assert!(threads <= 2 * cores + 1, "{threads} threads");
        drop(files);
    });
}
