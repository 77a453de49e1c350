//! What a loop and a pool do while there is nothing to do.

use super::Row;
use crate::lap::{Lap, Peer};
use crate::peers::each;
use crate::peers::pools::Pool;
use futures::channel::oneshot;
use std::collections::HashMap;
use std::fs;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

const IDLE: Duration = Duration::from_secs(5);

pub fn rows() -> Vec<Row> {
    vec![Row {
        rounds: 1,
        exact: true,
        ..Row::new(
            "W12",
            "wake-ups (and CPU time) of an idle loop and its pool in 5 s",
            "wake-ups",
            || {
                let mut peers = each!(P in pools [Footbridge, Tokio, Blocking] => idle::<P>);
                peers.push(Peer::ideal(0.0));
                peers
            },
        )
    }]
}

/// A loop on a thread of its own, beside a pool that has just had work for four threads. Of all threads that
/// came with them.
fn idle<P: Pool>() -> Lap {
    let before = threads();
    let (ready, is_ready) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let host = thread::spawn(move || {
        let mut pool = P::new(Some(4));
        let submitter = pool.submitter();
        pool.block_on(async {
            let nap = || thread::sleep(Duration::from_millis(5));
            let jobs: Vec<_> = (0..4).map(|_| P::submit(&submitter, nap)).collect();
            for job in jobs {
                P::result(job).await;
            }
            ready.send(()).unwrap();
            stopped.await.unwrap();
        });
    });
    is_ready.recv().unwrap();
    // They are on their way to sleep.
    thread::sleep(Duration::from_millis(200));
    let begin = threads();
    thread::sleep(IDLE);
    let end = threads();
    stop.send(()).unwrap();
    host.join().unwrap();

    let mut lap = Lap {
        value: 0.0,
        cpu: 0.0,
    };
    for (id, thread) in end.iter().filter(|(id, _)| !before.contains_key(*id)) {
        let at_begin = begin.get(id).copied().unwrap_or_default();
        lap.value += (thread.switches - at_begin.switches) as f64;
        lap.cpu += (thread.cpu - at_begin.cpu) as f64;
    }
    lap
}

/// What the kernel says of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct Thread {
    /// How often it went to sleep, and so was woken.
    switches: u64,
    /// Nanoseconds.
    cpu: u64,
}

fn threads() -> HashMap<String, Thread> {
    let tasks = fs::read_dir("/proc/self/task").expect("Linux lists the threads");
    let look = |task: fs::DirEntry| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let schedstat = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let switches = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        let thread = Thread {
            switches: switches.trim().parse().ok()?,
            cpu: schedstat.split_whitespace().next()?.parse().ok()?,
        };
        Some((task.file_name().to_string_lossy().into_owned(), thread))
    };
    tasks.flatten().filter_map(look).collect()
}
