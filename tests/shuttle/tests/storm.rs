//! The storm of `tests/storm.rs`, with every step of every thread chosen by its seed.
//!
//! Smaller than there, since a race is found by many orders of a few steps sooner than by few of many.

#[path = "../../common/storm.rs"]
mod storm;

/// Threads that take their steps in the order that a scheduler of shuttle's says.
mod world {
    use std::ops::Range;
    use std::time::Duration;

    pub use shuttle::thread;

    pub const ACTORS: Range<u64> = 1..8;
    pub const DEPTH: u64 = 4;
    /// How many items a sequence has at most. A buffer is one.
    pub const ITEMS: u64 = 6;
    /// No deadline, which could come at any moment, and save a thread that should have been woken.
    pub const PATIENCE: Duration = Duration::MAX;
    /// What the model of a system refuses.
    pub const TOO_MUCH_STACK: usize = usize::MAX;

    pub fn dawdle(n: u64) {
        for _ in 0..n % 4 {
            thread::yield_now();
        }
    }
}

use footbridge::{asyncify, run};
use shuttle::scheduler::{
    PctScheduler, RandomScheduler, UncontrolledNondeterminismCheckScheduler as Twice,
};
use shuttle_tests::explore;
use std::sync::Arc;
use storm::{Ledger, Random, round, was_expected};
use world::thread;

fn program(seed: u64) {
    // A second loop, on the default pool, which is made anew for each program.
    let other = thread::spawn(|| run(async { asyncify(|n: u64| n + 1)(6).await }));
    let ledger = Arc::new(Ledger::default());
    round(&ledger, &Random::new(seed), |_| ());
    assert_eq!(other.join().unwrap(), 7);
    let wrong = ledger.wrong.lock().unwrap();
    assert!(wrong.is_empty(), "{:#?}", &wrong[..]);
}

#[test]
fn whatever_goes_in_comes_out_in_any_order() {
    explore(
        10_000,
        |seed| RandomScheduler::new_from_seed(seed, 1),
        was_expected,
        program,
    );
}

// Some thread is always the first to run; it is stopped three times at the most. Ten orders for each program:
// the first of them is there to count its steps.
#[test]
fn whatever_goes_in_comes_out_with_few_preemptions() {
    explore(
        2_000,
        |seed| PctScheduler::new_from_seed(seed, 4, 10),
        was_expected,
        program,
    );
}

// What takes a step that the scheduler doesn't know of would make the seeds worthless.
#[test]
fn a_seed_does_the_same_again_to_the_step() {
    explore(
        500,
        |seed| Twice::new(RandomScheduler::new_from_seed(seed, 1)),
        was_expected,
        program,
    );
}
