//! Models that must fail. One that passes says that the suite runs on plain atomics, and proves nothing.

use footbridge::{Pool, run};
use loom_tests::internals::{AtomicBool, AtomicUsize, Mutex, Ordering};
use loom_tests::{Arc, Data, explore, spawn};
use std::time::Duration;

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

/// And not as "cannot access Loom execution state", or an abort: what a thread keeps of its last loop goes down
/// with the model, when there is no loom to ask any more.
#[test]
#[should_panic(expected = "after a loop was kept")]
fn a_model_that_fails_says_why_though_its_thread_keeps_a_loop() {
    explore(|| {
        run(async {});
        panic!("after a loop was kept");
    });
}
