//! Programs that must fail. One that passes says that the storm's threads aren't shuttle's, and proves nothing.

use footbridge::{asyncify, gather, run};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::spawn;
use shuttle_tests::explore;
use shuttle_tests::internals::{AtomicUsize, Mutex, Ordering::SeqCst};
use std::sync::Arc;

#[test]
#[should_panic(expected = "one of two was lost")]
fn a_race_between_two_jobs_of_the_real_pool_is_found() {
    explore(
        1_000,
        |seed| PctScheduler::new_from_seed(seed, 3, 10),
        |_| false,
        |_| {
            let counter = Arc::new(AtomicUsize::new(0));
            let add = asyncify(|counter: Arc<AtomicUsize>| {
                counter.store(counter.load(SeqCst) + 1, SeqCst);
            });
            run(gather([add(counter.clone()), add(counter.clone())]));
            assert_eq!(counter.load(SeqCst), 2, "one of two was lost");
        },
    );
}

#[test]
#[should_panic(expected = "deadlock")]
fn two_locks_of_our_own_sync_taken_in_both_orders_are_found() {
    explore(
        100,
        |seed| RandomScheduler::new_from_seed(seed, 1),
        |_| false,
        |_| {
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
        },
    );
}
