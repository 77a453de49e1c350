//! Timers: many at once, and how late a single one is.

use super::{Row, growth};
use crate::lap::{Clock, Lap, Peer};
use crate::peers::loops::{self, Loop};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

const MANY: usize = 100_000;

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W9",
            "100k timers made, registered, dropped",
            "ns/timer",
            || {
                vec![
                    Peer::new("footbridge", ours(MANY)),
                    Peer::new("tokio", many::<loops::Tokio, _>(MANY, tokio::time::sleep)),
                    Peer::new(
                        "async-io",
                        many::<loops::AsyncIo, _>(MANY, async_io::Timer::after),
                    ),
                ]
            },
        ),
        Row::new("W9l", "how late a sleep of 1.3 ms is", "ns", || {
            vec![
                Peer::new(
                    "footbridge",
                    late::<loops::Footbridge, _>(footbridge::time::sleep),
                ),
                Peer::new("tokio", late::<loops::Tokio, _>(tokio::time::sleep)),
                Peer::new(
                    "async-io",
                    late::<loops::AsyncIo, _>(async_io::Timer::after),
                ),
            ]
        }),
        Row::new(
            "W9/growth",
            "timers made, registered, dropped, as many as each line says",
            "ns/timer",
            || growth(|timers| Box::new(ours(timers))),
        ),
    ]
}

fn ours(timers: usize) -> impl FnMut() -> Lap {
    many::<loops::Footbridge, _>(timers, footbridge::time::sleep)
}

/// One after another, each on an idle loop.
fn late<L: Loop, T: Future + 'static>(sleep: fn(Duration) -> T) -> impl FnMut() -> Lap {
    const TIMES: usize = 20;
    const ASKED: Duration = Duration::from_micros(1300);
    let mut event_loop = L::new();
    move || {
        event_loop.block_on(async {
            let clock = Clock::start();
            let mut late = Duration::ZERO;
            for _ in 0..TIMES {
                let begin = Instant::now();
                sleep(ASKED).await;
                late += begin.elapsed() - ASKED;
            }
            Lap {
                value: late.as_nanos() as f64 / TIMES as f64,
                ..clock.stop(TIMES)
            }
        })
    }
}

/// Deadlines in no order, from one second to an hour: none comes while it runs.
fn durations(timers: usize) -> impl Iterator<Item = Duration> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    (0..timers).map(move |_| {
        // xorshift: the same numbers for all.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        Duration::from_micros(1_000_000 + state % 3_600_000_000)
    })
}

/// All are there at once, side by side and without a box for each, which not every peer needs.
fn many<L: Loop, T: Future + 'static>(
    timers: usize,
    make: fn(Duration) -> T,
) -> impl FnMut() -> Lap {
    let mut event_loop = L::new();
    let durations: Vec<Duration> = durations(timers).collect();
    move || {
        event_loop.block_on(async {
            let clock = Clock::start();
            let mut all = Pinned(Vec::with_capacity(timers));
            all.0
                .extend(durations.iter().map(|&duration| make(duration)));
            let pending = poll_fn(|context| {
                let each = all.each_mut().map(|timer| timer.poll(context));
                Poll::Ready(each.filter(Poll::is_pending).count())
            });
            let pending = pending.await;
            drop(all);
            let lap = clock.stop(timers);
            assert_eq!(pending, timers);
            lap
        })
    }
}

/// Futures that stay where they are.
struct Pinned<T>(Vec<T>);

impl<T> Pinned<T> {
    fn each_mut(&mut self) -> impl Iterator<Item = Pin<&mut T>> {
        // SAFETY: nothing here moves an item, takes one out or lets the vector grow once one has been pinned, and it drops
        // them in their place.
        self.0
            .iter_mut()
            .map(|item| unsafe { Pin::new_unchecked(item) })
    }
}
