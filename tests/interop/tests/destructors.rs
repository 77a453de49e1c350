//! Destructors that other crates have deferred with crossbeam-epoch, which the pool's queues use too: a steal may run them,
//! even from an empty queue, and it is made under the pool's lock.

#[path = "../../common/mod.rs"]
mod common;

use common::watched;
use footbridge::Pool;
use std::sync::mpsc;

#[test]
fn a_worker_that_finds_nothing_to_steal_runs_no_destructor_that_calls_its_pool() {
    watched(|| {
        let pool = Pool::builder().build();
        // An active thread, whose own queue is empty.
        let (open, wait) = mpsc::channel::<()>();
        let blocked = pool.spawn_blocking(move || wait.recv());
        for _ in 0..20 {
            let called = pool.clone();
            let guard = crossbeam_epoch::pin();
            guard.defer(move || called.stats());
            guard.flush();
            drop(guard);
            // Each worker that has no further job looks at that queue.
            (0..500).for_each(|_| pool.spawn_blocking(|| ()).join());
        }
        drop(open);
        let _ = blocked.join();
    });
}
