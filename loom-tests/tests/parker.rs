//! One thread sleeps, others wake it.

use loom_tests::internals::{Parker, Woken};
use loom_tests::{Arc, Data, explore, spawn};
use std::time::Instant;

// Threads: two threads that write and unpark; the owner, which parks.
// Decided by: the parker's lock: `Parker::unpark` leaves the token, whatever the state was, and `Parker::park` takes it.
// Mutant: only a parked thread is given the token.
#[test]
fn what_each_of_two_unparkers_wrote_is_seen_after_a_park() {
    explore(|| {
        let parker = Arc::new(Parker::new());
        let data = [Data::default(), Data::default()];
        for written in data.clone() {
            let parker = parker.clone();
            spawn(move || {
                written.set(1);
                parker.unpark();
            });
        }
        while data[0].get() + data[1].get() < 2 {
            let _ = parker.park(None);
        }
    });
}

// Threads: a thread that writes and unparks; the owner, which has used up a token that was left over.
// Decided by: the parker's lock: `Parker::park` sets the state to empty as it takes the token.
// Mutant: a park leaves the token for the next one.
#[test]
fn a_token_left_over_ends_one_park_and_no_second() {
    explore(|| {
        let parker = Arc::new(Parker::new());
        let data = Data::default();
        parker.unpark();
        parker.unpark();
        let _ = parker.park(None);
        let waker = {
            let (parker, data) = (parker.clone(), data.clone());
            spawn(move || {
                data.set(1);
                parker.unpark();
            })
        };
        let _ = parker.park(None);
        assert_eq!(data.get(), 1);
        waker.join().unwrap();
    });
}

// Threads: a thread that unparks; the owner, whose deadline comes.
// Decided by: the parker's lock: after a timeout `Parker::park` looks at the state again, and takes a token that is there.
// Mutant: a timeout takes the token.
#[test]
fn a_park_that_times_out_loses_no_token() {
    explore(|| {
        let parker = Arc::new(Parker::new());
        let data = Data::default();
        {
            let (parker, data) = (parker.clone(), data.clone());
            spawn(move || {
                data.set(1);
                parker.unpark();
            });
        }
        if parker.park(Some(Instant::now())) == Woken::TimedOut {
            assert_eq!(parker.park(None), Woken::Notified);
        }
        assert_eq!(data.get(), 1);
    });
}

// Threads: two threads that unpark; the owner, whose first park times out.
// Decided by: the parker's lock: the state after a timeout is empty, or the token is taken, and not both.
// Mutant: a park leaves the token for the next one.
#[test]
fn two_unparkers_and_a_timeout_leave_no_thread_asleep() {
    explore(|| {
        let parker = Arc::new(Parker::new());
        let data = [Data::default(), Data::default()];
        for written in data.clone() {
            let parker = parker.clone();
            spawn(move || {
                written.set(1);
                parker.unpark();
            });
        }
        let _ = parker.park(Some(Instant::now()));
        while data[0].get() + data[1].get() < 2 {
            let _ = parker.park(None);
        }
    });
}
