//! Models that must fail. One that passes says that the suite runs on plain atomics, and proves nothing.

use footbridge::{Pool, run};
use loom_tests::internals::{AtomicBool, AtomicUsize, Mutex, Ordering};
use loom_tests::{Arc, Data, explore, spawn};
use std::time::Duration;

// Threads: a thread that writes and sets a flag; one that reads the flag and the data.
// Decided by: nothing: both are relaxed, and loom has to find the read that comes too early.
// Mutant: none of its own. Built on std's atomics (`src/sync/native.rs`), the suite would pass here, and so fail.
#[test]
#[should_panic(expected = "published too early")]
fn data_behind_a_relaxed_flag_of_our_own_sync_is_caught() {
    explore(|| {
        let shared = Arc::new((AtomicUsize::new(0), AtomicBool::new(false)));
        let (data, flag) = &*shared;
        {
            let shared = shared.clone();
            spawn(move || {
                shared.0.store(1, Ordering::Relaxed);
                shared.1.store(true, Ordering::Relaxed);
            });
        }
        if flag.load(Ordering::Relaxed) {
            assert_eq!(data.load(Ordering::Relaxed), 1, "published too early");
        }
    });
}

// Threads: two threads that take two locks, in opposite orders.
// Decided by: nothing: loom has to find the deadlock, so `Mutex` of `src/sync/model.rs` is loom's.
// Mutant: none of its own. With another `Mutex` the suite would hang or pass here.
#[test]
#[should_panic(expected = "deadlock")]
fn two_locks_of_our_own_sync_taken_in_both_orders_are_caught() {
    explore(|| {
        let locks = Arc::new((Mutex::new(()), Mutex::new(())));
        {
            let locks = locks.clone();
            spawn(move || {
                let _second = locks.1.lock();
                let _first = locks.0.lock();
            });
        }
        let _first = locks.0.lock();
        let _second = locks.1.lock();
    });
}

// Threads: a submitter, which reads what the job writes; the worker that runs the job.
// Decided by: nothing: the job may end between the two looks, and loom has to step into the pool's own code to find that.
// Mutant: none of its own. It shows that the pool of the models is built on loom.
#[test]
#[should_panic(expected = "seen too late")]
fn a_race_in_a_job_of_the_real_pool_is_caught() {
    explore(|| {
        let pool = Pool::builder().max_threads(1).build();
        let data = Data::default();
        let written = data.clone();
        let job = pool.spawn_blocking(move || written.set(1));
        if job.is_finished() {
            run(job);
        } else {
            assert_eq!(data.get(), 0, "seen too late");
            job.detach();
        }
        let _ = pool.shutdown(Duration::MAX);
    });
}

// Threads: one, which panics while it caches a loop: that goes down with the model, when there is no loom to ask any more.
// Decided by: `model_has_failed` in the drop of `CachedLoop`, which leaks the loop. Else the text were "cannot access Loom
// execution state", or the process aborted.
// Mutant: what a thread of a failed model keeps is dropped when there is no loom any more.
#[test]
#[should_panic(expected = "after a loop was kept")]
fn a_model_that_fails_says_why_though_its_thread_keeps_a_loop() {
    explore(|| {
        run(async {});
        panic!("after a loop was kept");
    });
}
