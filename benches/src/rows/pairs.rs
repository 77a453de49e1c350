//! A loop and a thread that isn't its own wake each other in turn: how long a trip there and back takes, and whether the
//! system has both on one core.
//!
//! On one core a trip takes 5 microseconds, on two 40. Left to the system, both threads come together on one core where
//! neither is busy while the other one is: a loop that spins in vain keeps them apart. Where a pair ends up differs from
//! process to process, and depends on what the machine did just before. So each lap of W16 is a process, and its bar is
//! about the mean.

use super::Row;
use super::wakes::Bell;
use crate::lap::{Clock, Lap};
use crate::peers::each;
use crate::peers::loops::{Footbridge, FuturesLite, Loop, Tokio};
use rustix::thread::sched_getcpu;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W16/trip",
            "a loop and a thread wake each other in turn",
            "ns/trip",
            || each!(L in loops [Footbridge, Tokio, FuturesLite] => trip::<L>(1000)),
        ),
        Row {
            rounds: 40,
            ..Row::new(
                "W16",
                "of those trips the ones between two cores, in 40 fresh processes",
                "%",
                || each!(L in loops [Footbridge, Tokio, FuturesLite] => process(L::NAME)),
            )
        },
    ]
}

fn trip<L: Loop>(trips: usize) -> impl FnMut() -> Lap {
    let mut pair = pair::<L>();
    move || pair(trips).0
}

/// Makes so many trips, and counts those between two cores. Each of the two sleeps until the other one wakes it.
fn pair<L: Loop>() -> impl FnMut(usize) -> (Lap, usize) {
    let mut event_loop = L::new();
    let (bell, core) = (Arc::<Bell>::default(), Arc::<AtomicUsize>::default());
    let (go, asked) = mpsc::channel();
    let (its_bell, its_core) = (bell.clone(), core.clone());
    thread::spawn(move || {
        while let Ok(()) = asked.recv() {
            its_core.store(sched_getcpu(), Ordering::Relaxed);
            its_bell.ring();
        }
    });
    move |trips| {
        event_loop.block_on(async {
            let clock = Clock::start();
            let mut apart = 0;
            for _ in 0..trips {
                go.send(()).unwrap();
                bell.heard().await;
                apart += usize::from(core.load(Ordering::Relaxed) != sched_getcpu());
            }
            (clock.stop(trips), apart)
        })
    }
}

/// `compare` once more, which is told to be [`one_process`].
fn process(loop_name: &'static str) -> impl FnMut() -> Lap {
    move || {
        let program = std::env::current_exe().unwrap();
        let output = Command::new(program).args(["--pair", loop_name]).output();
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        let figures: Vec<f64> = said.split_whitespace().flat_map(str::parse).collect();
        Lap {
            value: figures[0],
            cpu: figures[1],
        }
    }
}

/// The lap of a process that is there for nothing else. `None` if the row has no such loop.
pub fn one_process(loop_name: &str) -> Option<Lap> {
    const TRIPS: usize = 2000;
    let (lap, apart) = match loop_name {
        Footbridge::NAME => pair::<Footbridge>()(TRIPS),
        Tokio::NAME => pair::<Tokio>()(TRIPS),
        FuturesLite::NAME => pair::<FuturesLite>()(TRIPS),
        _ => return None,
    };
    Some(Lap {
        value: 100.0 * apart as f64 / TRIPS as f64,
        ..lap
    })
}
