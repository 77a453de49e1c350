//! Everything at once, at random: nested calls, drops at any moment, aborts, panics, loops that end
//! and pools that shut down under way. What goes in is counted, and has to come out.
//!
//! Prints its seed. `FOOTBRIDGE_STORM_SEED` replays one (the threads' own timing stays what it is; in
//! `tests/shuttle` it is replayed too), and `FOOTBRIDGE_STORM_SECONDS` says how long to run. If nothing moves
//! for long, the watchdog says how the pool stood and ends the test.
#![cfg(not(footbridge_loom))]

#[path = "common/storm.rs"]
mod storm;

/// Threads of the system's, in whatever order it runs them.
mod world {
    use std::ops::Range;
    use std::time::Duration;

    pub use std::thread;

    pub const ACTORS: Range<u64> = 20..120;
    pub const DEPTH: u64 = 5;
    /// How many items a sequence has at most: more than two buffers.
    pub const ITEMS: u64 = 400;
    /// Longer than anything here takes.
    pub const PATIENCE: Duration = Duration::from_secs(30);
    /// No system has so much.
    pub const TOO_MUCH_STACK: usize = 1 << 46;

    pub fn dawdle(n: u64) {
        for _ in 0..n {
            std::hint::spin_loop();
        }
    }
}

use footbridge::Pool;
use std::panic;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use storm::{Ledger, Random, round, was_expected};

#[test]
fn whatever_goes_in_comes_out() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let seed = number("FOOTBRIDGE_STORM_SEED").unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        now.as_nanos() as u64
    });
    let length = Duration::from_secs(number("FOOTBRIDGE_STORM_SECONDS").unwrap_or(3));
    println!("FOOTBRIDGE_STORM_SEED={seed}");

    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if !was_expected(info.payload()) {
            usual(info);
        }
    }));

    let ledger = Arc::new(Ledger::default());
    let watched = Arc::new(Mutex::new(None::<Pool>));
    let watchdog = (ledger.clone(), watched.clone());
    thread::spawn(move || {
        let (ledger, watched) = watchdog;
        let mut before = (0, 0);
        let (mut still, patience) = (0, number("FOOTBRIDGE_STORM_PATIENCE").unwrap_or(40));
        loop {
            thread::sleep(Duration::from_secs(1));
            let now = (
                ledger.calls.load(Relaxed),
                ledger.captures_gone.load(Relaxed),
            );
            still = if now == before { still + 1 } else { 0 };
            before = now;
            if still == patience {
                eprintln!("nothing has moved for {still} s; FOOTBRIDGE_STORM_SEED={seed}");
                eprintln!(
                    "{now:?} calls and captures, under way: {:?}",
                    ledger.under_way
                );
                eprintln!("{:?}", watched.lock().unwrap());
                std::process::exit(101);
            }
        }
    });

    let random = Random::new(seed);
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < length {
        round(&ledger, &random, |pool| {
            *watched.lock().unwrap() = Some(pool.clone());
        });
        rounds += 1;
        let wrong = ledger.wrong.lock().unwrap();
        assert!(
            wrong.is_empty(),
            "FOOTBRIDGE_STORM_SEED={seed}, round {rounds}: {:#?}",
            &wrong[..]
        );
    }
    println!("{rounds} rounds, {} calls", ledger.calls.load(Relaxed));
}
