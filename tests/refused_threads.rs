//! What becomes of jobs where the system refuses the pool a thread.
//!
//! Each test runs in a process of its own, whose address space has room for one thread's stack of the size
//! asked for, and not for two.
#![cfg(all(not(footbridge_loom), target_os = "linux", target_pointer_width = "64"))]

mod common;

use common::{me, ms, panic_of, watched};
use footbridge::{BlockingTask, Pool, gather, run, syncify};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

const STACK: usize = 1 << 30;
const ROOM_IN_KIB: usize = 1_900_000;

/// Runs `test` again in a process with so much room, and there its body.
fn with_room_for_one_thread(test: &str, body: impl FnOnce(Pool) + Send + 'static) {
    const INSIDE: &str = "FOOTBRIDGE_TEST_WITH_LITTLE_ROOM";
    if std::env::var_os(INSIDE).is_some() {
        return watched(|| body(Pool::builder().thread_stack_size(STACK).build()));
    }
    let output = Command::new("sh")
        .arg("-c")
        .arg(format!(
            "ulimit -v {ROOM_IN_KIB} && exec \"$0\" --exact {test}"
        ))
        .arg(std::env::current_exe().unwrap())
        .env(INSIDE, "1")
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
