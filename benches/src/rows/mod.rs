//! The rows: each is one kind of work, and the peers that do it.
//!
//! A row's peers are made in a process of their own, for each placement a fresh one; there they run in turn. To add a
//! row: write its lap in the file of its theme, list it in that file's `rows`, and its bars in `bars`.

use crate::lap::{Lap, Peer, repeated};

mod bridges;
mod bursts;
mod crowd;
mod gather;
mod idle;
mod memory;
pub mod pairs;
mod pool;
mod python;
mod sequences;
mod tasks;
mod temporary;
mod timers;
mod wakes;

pub struct Row {
    /// What it is chosen by. `W1` chooses `W1/growth` as well.
    pub id: &'static str,
    pub work: &'static str,
    pub unit: &'static str,
    pub peers: fn() -> Vec<Peer>,
    /// Rounds that count, if nothing else is said.
    pub rounds: usize,
    /// No time is measured, so the first round counts, and other load doesn't matter.
    pub exact: bool,
    /// Why it can't be run on this machine, if it can't.
    pub lacks: fn() -> Option<String>,
    /// The environment of its process.
    pub env: &'static [(&'static str, &'static str)],
}

impl Row {
    const fn new(
        id: &'static str,
        work: &'static str,
        unit: &'static str,
        peers: fn() -> Vec<Peer>,
    ) -> Self {
        Self {
            id,
            work,
            unit,
            peers,
            rounds: 21,
            exact: false,
            lacks: || None,
            env: &[],
        }
    }
}

pub fn all() -> Vec<Row> {
    let themes = [
        tasks::rows(),
        wakes::rows(),
        pairs::rows(),
        bridges::rows(),
        pool::rows(),
        gather::rows(),
        crowd::rows(),
        bursts::rows(),
        temporary::rows(),
        timers::rows(),
        memory::rows(),
        idle::rows(),
        sequences::rows(),
        python::rows(),
    ];
    themes.into_iter().flatten().collect()
}

/// Ours at four sizes; the small ones several times in each lap.
fn growth(lap: fn(usize) -> Box<dyn FnMut() -> Lap>) -> Vec<Peer> {
    const LARGEST: usize = 1_000_000;
    [
        ("1k", 1000),
        ("10k", 10_000),
        ("100k", 100_000),
        ("1M", LARGEST),
    ]
    .into_iter()
    .map(|(name, size)| Peer::new(name, repeated((LARGEST / 10 / size).max(1), lap(size))))
    .collect()
}
