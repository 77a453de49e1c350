//! One thread sleeps, others wake it.

use loom_tests::internals::{Parker, Woken};
use loom_tests::{Arc, Data, explore, spawn};
use std::time::Instant;

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

#[test]
fn two_unparkers_and_a_timeout_leave_nobody_asleep() {
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
