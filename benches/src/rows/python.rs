//! Asyncer, whose two bridges are the model of ours, on CPython: measured by `asyncer.py`, and ours beside it.
//!
//! Needs a Python that has it (`python3 -m pip install asyncer`); `ASYNCER_PYTHON` names another one than `python3`,
//! such as that of a virtual environment.

use super::Row;
use crate::lap::{Clock, Lap, Peer};
use footbridge::{EventLoop, Syncify, asyncify, gather, syncify};
use std::hint::black_box;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/asyncer.py");
const CALLS: usize = 10_000;

pub fn rows() -> Vec<Row> {
    let row = |id, work, peers| Row {
        rounds: 5,
        lacks,
        ..Row::new(id, work, "ns/call", peers)
    };
    vec![
        row(
            "PY/asyncify",
            "`await asyncify(noop)()`, one after another",
            || {
                peers(
                    "asyncify",
                    in_a_loop(|| async {
                        for _ in 0..CALLS {
                            asyncify(noop)().await;
                        }
                    }),
                )
            },
        ),
        row(
            "PY/syncify",
            "`syncify(noop)()`, one after another, on a worker",
            || {
                let worker = || {
                    for _ in 0..CALLS {
                        syncify(async_noop)().unwrap();
                    }
                };
                peers("syncify", in_a_loop(move || asyncify(worker)()))
            },
        ),
        row(
            "PY/loop",
            "a temporary loop: `syncify(noop, raise_sync_error=False)()`",
            || {
                peers("loop", || {
                    let clock = Clock::start();
                    for _ in 0..CALLS {
                        Syncify::new().raise_sync_error(false).wrap(async_noop)().unwrap();
                    }
                    clock.stop(CALLS)
                })
            },
        ),
        row(
            "PY/gather",
            "10k calls of `asyncify(noop)` gathered",
            || {
                peers(
                    "gather",
                    in_a_loop(|| async {
                        let all = gather((0..CALLS).map(|_| asyncify(noop)())).await;
                        assert_eq!(all.len(), CALLS);
                    }),
                )
            },
        ),
    ]
}

fn noop() {
    black_box(());
}

async fn async_noop() {
    black_box(());
}

fn in_a_loop<F: Future<Output = ()>>(work: impl Fn() -> F + 'static) -> impl FnMut() -> Lap {
    let mut event_loop = EventLoop::new();
    move || {
        let clock = Clock::start();
        event_loop.run_until(work());
        clock.stop(CALLS)
    }
}

fn peers(what: &'static str, ours: impl FnMut() -> Lap + 'static) -> Vec<Peer> {
    vec![
        Peer::new("footbridge", ours),
        Peer::new("asyncer", move || asyncer(what)),
    ]
}

fn python() -> Command {
    Command::new(std::env::var_os("ASYNCER_PYTHON").unwrap_or("python3".into()))
}

fn asyncer(what: &str) -> Lap {
    let output = python()
        .args([SCRIPT, what])
        .output()
        .expect("`lacks` has tried it");
    let said = String::from_utf8_lossy(&output.stdout);
    let number = said
        .split_whitespace()
        .next_back()
        .and_then(|number| number.parse().ok());
    let Some(value) = number else {
        panic!(
            "{SCRIPT} {what}: {said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    // The CPU time is another process's.
    Lap {
        value,
        cpu: f64::NAN,
    }
}

fn lacks() -> Option<String> {
    let has_it = python()
        .args(["-c", "import asyncer"])
        .output()
        .is_ok_and(|output| output.status.success());
    let advice =
        "no Python with asyncer: `python3 -m pip install asyncer`, or name one in ASYNCER_PYTHON";
    (!has_it).then(|| advice.into())
}
