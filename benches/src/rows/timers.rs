//! Timers: many at once, dropped or fired, and how late a single one is.

use super::{Row, growth};
use crate::lap::{Clock, Lap, repeated};
use crate::peers::each;
use crate::peers::loops::{self, Timers, each_timers};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

pub fn rows() -> Vec<Row> {
    let growing = || growth(|timers| Box::new(dropped::<loops::Footbridge>(timers)));
    let row = |id, work, peers| Row::new(id, work, "ns/timer", peers);
    vec![
        row(
            "W9",
            "100k timers made, registered, dropped",
            || each_timers!(L => dropped::<L>(100_000)),
        ),
        row("W9/1k", "1k timers made, registered, dropped", || {
            let mut peers = each_timers!(L => repeated(100, dropped::<L>(1000)));
            peers.extend(each!(L in rings [Glommio] => repeated(100, dropped::<L>(1000))));
            peers
        }),
        row(
            "W9/1M",
            "1M timers made, registered, dropped",
            || each_timers!(L => dropped::<L>(1_000_000)),
        ),
        row(
            "W9/growth",
            "timers made, registered, dropped, as many as each line says",
            growing,
        ),
        row(
            "W9f",
            "1M timers that are due fire, CPU time",
            || each_timers!(L => fired::<L>(1_000_000)),
        ),
        Row::new(
            "W9l",
            "how late a sleep of 1.3 ms is",
            "ns",
            || each_timers!(L => late::<L>()),
        ),
    ]
}

/// One after another, each on an idle loop.
fn late<L: Timers>() -> impl FnMut() -> Lap {
    const TIMES: usize = 20;
    const ASKED: Duration = Duration::from_micros(1300);
    let mut event_loop = L::new();
    move || {
        event_loop.block_on(async {
            let clock = Clock::start();
            let mut late = Duration::ZERO;
            for _ in 0..TIMES {
                let begin = Instant::now();
                L::sleep(ASKED).await;
                late += begin.elapsed() - ASKED;
            }
            Lap {
                value: late.as_nanos() as f64 / TIMES as f64,
                ..clock.stop(TIMES)
            }
        })
    }
}

/// Durations in no order, up to `spread` more than `least`.
fn durations(timers: usize, least: Duration, spread: Duration) -> impl Iterator<Item = Duration> {
    let mut state: u64 = 0x9E37_79B9_7F4A_7C15;
    (0..timers).map(move |_| {
        // xorshift: the same numbers for all.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        least + Duration::from_micros(state % spread.as_micros() as u64)
    })
}

/// From one second to an hour: none fires while it runs.
fn dropped<L: Timers>(timers: usize) -> impl FnMut() -> Lap {
    let mut event_loop = L::new();
    let (least, spread) = (Duration::from_secs(1), Duration::from_secs(3600));
    let durations: Vec<Duration> = durations(timers, least, spread).collect();
    move || {
        event_loop.block_on(async {
            let clock = Clock::start();
            let mut all = Pinned::new(durations.iter().map(|&duration| L::sleep(duration)));
            let pending = poll_fn(|context| Poll::Ready(all.poll(context))).await;
            drop(all);
            let lap = clock.stop(timers);
            assert_eq!(pending, timers);
            lap
        })
    }
}

/// All are registered before the first one is due, and all are due before the loop turns. What counts is CPU time: meanwhile
/// the loop's thread sleeps, and async-io fires on a thread of its own as well.
fn fired<L: Timers>(timers: usize) -> impl FnMut() -> Lap {
    const SPREAD: Duration = Duration::from_millis(100);
    let mut event_loop = L::new();
    // Doubled until this peer has registered them all by then.
    let mut least = Duration::from_millis(200);
    move || loop {
        let durations: Vec<Duration> = durations(timers, least, SPREAD).collect();
        let begin = Instant::now();
        let fired = event_loop.block_on(async {
            let mut all = Pinned::new(durations.iter().map(|&duration| L::sleep(duration)));
            poll_fn(|context| Poll::Ready(all.poll(context))).await;
            let clock = Clock::start();
            let early = least.checked_sub(begin.elapsed())?;
            // Some milliseconds more, since not every peer fires at once.
            thread::sleep(early + SPREAD + Duration::from_millis(5));
            poll_fn(|context| match all.poll(context) {
                0 => Poll::Ready(()),
                _ => Poll::Pending,
            })
            .await;
            Some(clock.stop(timers))
        });
        match fired {
            Some(lap) => {
                break Lap {
                    value: lap.cpu,
                    ..lap
                };
            }
            None => least *= 2,
        }
    }
}

/// Futures that stay where they are, side by side and without a box for each, which not every peer needs. None once it is
/// ready: not every peer's may be polled again.
struct Pinned<T>(Vec<Option<T>>);

impl<T: Future> Pinned<T> {
    fn new(futures: impl ExactSizeIterator<Item = T>) -> Self {
        let mut all = Vec::with_capacity(futures.len());
        all.extend(futures.map(Some));
        Self(all)
    }

    /// Polls all. Returns how many are pending.
    fn poll(&mut self, context: &mut Context<'_>) -> usize {
        let mut pending = 0;
        for item in &mut self.0 {
            // SAFETY: nothing here moves an item, takes one out or lets the vector grow once one has been pinned, and it drops
            // them in their place.
            let mut item = unsafe { Pin::new_unchecked(item) };
            match item
                .as_mut()
                .as_pin_mut()
                .map(|future| future.poll(context))
            {
                Some(Poll::Pending) => pending += 1,
                Some(Poll::Ready(_)) => item.set(None),
                None => {}
            }
        }
        pending
    }
}
