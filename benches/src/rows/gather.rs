//! Many calls that are awaited together.

use super::Row;
use crate::lap::{Clock, Lap, Peer};
use crate::peers::pools::{Footbridge, Pool, Tokio};
use footbridge::{Asyncify, gather};
use futures::future::join_all;
use std::hint::black_box;
use std::iter::repeat_with;
use tokio::task::JoinSet;

const CALLS: usize = 100_000;
const FOUR: Option<usize> = Some(4);

pub fn rows() -> Vec<Row> {
    vec![Row {
        env: &[("BLOCKING_MAX_THREADS", "4")],
        ..Row::new(
            "W18a",
            "100k calls of `asyncify(noop)` gathered, pools of 4",
            "ns/call",
            || {
                vec![
                    Peer::new("footbridge", gathered()),
                    Peer::new("blocking", join_all_unblocked),
                    Peer::new("tokio", join_set()),
                ]
            },
        )
    }]
}

fn noop() -> usize {
    black_box(1)
}

fn gathered() -> impl FnMut() -> Lap {
    let mut pool = Footbridge::new(FOUR);
    let call = Asyncify::new().pool(&pool.submitter()).wrap(noop);
    move || {
        let clock = Clock::start();
        let ones = pool.block_on(gather(repeat_with(&call).take(CALLS)));
        lap(clock, &ones)
    }
}

fn join_all_unblocked() -> Lap {
    let clock = Clock::start();
    let calls = join_all(repeat_with(|| blocking::unblock(noop)).take(CALLS));
    let ones = futures_lite::future::block_on(calls);
    lap(clock, &ones)
}

fn join_set() -> impl FnMut() -> Lap {
    let mut pool = Tokio::new(FOUR);
    move || {
        let clock = Clock::start();
        let ones = pool.block_on(async {
            let mut calls = JoinSet::new();
            for _ in 0..CALLS {
                calls.spawn_blocking(noop);
            }
            calls.join_all().await
        });
        lap(clock, &ones)
    }
}

fn lap(clock: Clock, ones: &[usize]) -> Lap {
    let lap = clock.stop(CALLS);
    assert_eq!(ones.iter().sum::<usize>(), CALLS);
    lap
}
