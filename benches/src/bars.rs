//! The bars: which ratio is asked for, of whom, in which placement. A row without one is only shown.

use crate::place::Placement::{self, Free, Same, Split};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The row's value, mostly time by the clock.
    Value,
    Cpu,
    /// The mean of the row's values rather than their median, where those have two modes.
    Mean,
    /// The largest of all the row's medians over the smallest: for growth, where the peers are sizes.
    Spread,
}

/// Ours over the best of these must be at most `factor`.
#[derive(Debug)]
pub struct Bar {
    pub row: &'static str,
    pub placement: Placement,
    pub of: Of,
    pub factor: f64,
    pub peers: &'static [&'static str],
}

const fn bar(
    row: &'static str,
    placement: Placement,
    factor: f64,
    peers: &'static [&'static str],
) -> Bar {
    Bar {
        row,
        placement,
        of: Of::Value,
        factor,
        peers,
    }
}

const fn cpu(
    row: &'static str,
    placement: Placement,
    factor: f64,
    peers: &'static [&'static str],
) -> Bar {
    Bar {
        of: Of::Cpu,
        ..bar(row, placement, factor, peers)
    }
}

const fn mean(row: &'static str, factor: f64, peers: &'static [&'static str]) -> Bar {
    Bar {
        of: Of::Mean,
        ..bar(row, Free, factor, peers)
    }
}

const fn spread(row: &'static str, factor: f64) -> Bar {
    Bar {
        of: Of::Spread,
        ..bar(row, Free, factor, &[])
    }
}

const LOOPS: &[&str] = &["tokio", "async-executor", "futures"];
const BRIDGES: &[&str] = &["tokio", "blocking"];
const CALLS: &[&str] = &["tokio", "blocking", "rayon"];
const FOREIGN: &[&str] = &["tokio", "futures-lite"];
const COMPUTING: &[&str] = &["threadpool", "rayon"];
const TIMERS: &[&str] = &["tokio", "async-io", "monoio", "compio"];
const SEQUENCES: &[&str] = &["tokio, mpsc", "blocking, async-channel", "Unblock"];
const POOLS: &[&str] = &["tokio", "blocking", "threadpool", "rayon"];

pub const BARS: &[Bar] = &[
    bar("W1", Free, 0.45, &["async-executor"]),
    bar("W1", Free, 1.2, &["monoio"]),
    bar("W1s", Free, 0.3, LOOPS),
    bar("W1s", Free, 1.4, &["glommio"]),
    bar("W2", Free, 0.7, &["tokio"]),
    bar("W2/watched", Free, 1.02, &["unwatched"]),
    bar("W3", Free, 0.8, &["tokio"]),
    bar("W4t", Free, 1.0, LOOPS),
    spread("W1/growth", 2.0),
    bar("W5", Same, 0.4, BRIDGES),
    bar("W5", Same, 0.8, &["rayon"]),
    cpu("W5", Same, 1.0, CALLS),
    bar("W5", Split, 0.1, BRIDGES),
    bar("W5", Split, 0.8, &["rayon"]),
    cpu("W5", Split, 1.0, CALLS),
    bar("W5", Free, 0.3, BRIDGES),
    bar("W5", Free, 0.8, &["rayon"]),
    cpu("W5", Free, 1.0, CALLS),
    bar("W6", Free, 0.05, BRIDGES),
    bar("W6", Free, 0.9, COMPUTING),
    bar("W6c", Free, 0.8, POOLS),
    bar("W6b", Free, 1.2, &["ideal"]),
    bar("W6b/10us", Free, 1.05, &["blocking"]),
    bar("W6n", Free, 0.7, POOLS),
    bar("W6n/auto", Free, 0.7, POOLS),
    spread("W6/growth", 2.0),
    bar("W7", Same, 0.7, &["tokio"]),
    bar("W7", Split, 0.1, &["tokio"]),
    bar("W7", Free, 0.7, &["tokio"]),
    bar("W8", Free, 0.6, &["futures"]),
    bar("W8s", Free, 0.3, &["futures"]),
    bar("W9", Free, 0.8, &["tokio"]),
    bar("W9", Free, 1.0, &["monoio"]),
    bar("W9/1k", Free, 0.8, &["tokio"]),
    bar("W9/1k", Free, 1.0, &["monoio"]),
    bar("W9/1M", Free, 0.8, &["tokio"]),
    bar("W9/1M", Free, 1.0, &["monoio"]),
    bar("W9f", Free, 0.8, TIMERS),
    bar("W9l", Free, 1.0, &["async-io"]),
    spread("W9/growth", 2.0),
    bar("W10", Free, 1.0, &["async-executor"]),
    bar("W10/64", Free, 1.0, &["async-executor"]),
    bar("W11", Free, 1.03, &["ideal"]),
    bar("W11s", Free, 1.05, &["tokio"]),
    // Neither wake-ups nor CPU time: the ideal is 0.
    bar("W12", Free, 1.0, &["ideal"]),
    cpu("W12", Free, 1.0, &["ideal"]),
    bar("W13", Free, 2.0, &["alone"]),
    bar("W13/idle", Free, 2.0, &["alone"]),
    bar("W13/line", Free, 2.0, &["10 wait"]),
    bar("W13/next", Free, 2.0, &["10 wait"]),
    bar("W14", Free, 1.0, &["2 x cores + 1"]),
    bar("W14/100us", Free, 1.0, &["2 x cores + 1"]),
    bar("W14/10us", Free, 1.0, &["2 x cores + 1"]),
    // Beside a few threads a core the system lets the ticker in at once, but for one tick in a hundred: that one is from
    // 50 microseconds to 3 milliseconds late, so that a median of it says little below a factor of two.
    bar("W14/late", Free, 1.5, &["1 x cores"]),
    bar("W14/late99", Free, 2.0, &["2 x cores + 1"]),
    bar("W15", Free, 1.0, &["5 MB"]),
    bar("W15/calls", Free, 1.0, &["1 MB"]),
    bar("W16/trip", Same, 1.1, FOREIGN),
    bar("W16/trip", Split, 1.1, FOREIGN),
    // A loop that spins in vain has 1.2 to 1.4 where the peer has 70 to 80 %.
    mean("W16", 1.15, &["futures-lite"]),
    bar("W17", Free, 0.2, &["a call each"]),
    bar("W17", Free, 0.8, SEQUENCES),
    bar("W18a", Free, 0.9, BRIDGES),
    bar("W18b", Free, 0.9, &["futures", "tokio", "moro"]),
    bar("PY/asyncify", Free, 1.0 / 30.0, &["asyncer"]),
    bar("PY/syncify", Free, 1.0 / 30.0, &["asyncer"]),
    bar("PY/loop", Free, 1.0 / 1000.0, &["asyncer"]),
    bar("PY/gather", Free, 1.0 / 300.0, &["asyncer"]),
];

/// The placements that a row's bars name; of a row without bars, `free`.
pub fn placements(row: &str) -> Vec<Placement> {
    let mut placements = Vec::new();
    for bar in BARS.iter().filter(|bar| bar.row == row) {
        if !placements.contains(&bar.placement) {
            placements.push(bar.placement);
        }
    }
    if placements.is_empty() {
        placements.push(Free);
    }
    placements
}

#[cfg(test)]
mod tests {
    use super::BARS;
    use crate::rows;

    #[test]
    fn each_bar_is_that_of_a_row() {
        let rows = rows::all();
        for bar in BARS {
            assert!(rows.iter().any(|row| row.id == bar.row), "{}", bar.row);
        }
    }
}
