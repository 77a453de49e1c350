//! Rounds: all peers of a row in turn, again and again, without those rounds in which other processes were busy.

use crate::lap::{Lap, Peer};
use crate::place::{Placement, Placer};
use crate::rows::Row;
use std::time::{Duration, Instant};

/// Thrown away: caches, pools and branch predictors are cold.
const WARM_UP: usize = 2;

/// What other processes may use of the machine during a round, in cores.
const QUIET: f64 = 0.1;

/// What the rounds of one row in one placement gave.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    /// For each peer its laps, one for each round that counts.
    pub laps: Vec<(String, Vec<Lap>)>,
    /// The peers that can't run here, and why.
    pub left_out: Vec<(String, String)>,
    /// How many rounds were thrown away because others were busy.
    pub discarded: usize,
    /// There weren't enough quiet rounds, so the noisy ones count as well.
    pub noisy: bool,
}

/// Runs `wanted` rounds, or as many as `budget` has room for, but two at the least.
pub fn rounds(row: &Row, placement: Placement, wanted: usize, budget: Duration) -> Rounds {
    let begin = Instant::now();
    let placer = Placer::new(placement);
    let all = (row.peers)().into_iter();
    let (lacking, mut peers): (Vec<Peer>, Vec<Peer>) = all.partition(|peer| peer.lack.is_some());
    let left_out = lacking
        .into_iter()
        .map(|peer| (peer.name.into(), peer.lack.unwrap_or_default()))
        .collect();
    if !row.exact {
        for _ in 0..WARM_UP {
            round(&mut peers, &placer, 0);
        }
    }
    let (mut quiet, mut noisy) = (Vec::new(), Vec::new());
    let most = if row.exact { wanted } else { 2 * wanted };
    while quiet.len() < wanted && quiet.len() + noisy.len() < most {
        let done = quiet.len() + noisy.len();
        if done >= 2.min(wanted) && begin.elapsed() > budget {
            break;
        }
        let watch = Watch::start();
        let laps = round(&mut peers, &placer, done);
        if row.exact || watch.was_quiet() {
            quiet.push(laps);
        } else {
            noisy.push(laps);
        }
    }
    let enough = quiet.len() >= wanted.div_ceil(3).min(quiet.len() + noisy.len());
    let (kept, discarded) = if enough {
        (quiet, noisy.len())
    } else {
        quiet.append(&mut noisy);
        (quiet, 0)
    };
    let mut laps: Vec<(String, Vec<Lap>)> = peers
        .iter()
        .map(|peer| (peer.name.into(), Vec::new()))
        .collect();
    for round in kept {
        for (all, lap) in laps.iter_mut().zip(round) {
            all.1.push(lap);
        }
    }
    Rounds {
        laps,
        left_out,
        discarded,
        noisy: !enough,
    }
}

/// Each peer once, and another one first each time.
fn round(peers: &mut [Peer], placer: &Placer, number: usize) -> Vec<Lap> {
    let mut laps = vec![None; peers.len()];
    for turn in 0..peers.len() {
        let index = (turn + number) % peers.len();
        placer.place();
        laps[index] = Some((peers[index].lap)());
    }
    laps.into_iter().flatten().collect()
}

/// How much CPU time others use while this exists.
struct Watch {
    begin: Instant,
    all: u64,
    own: u64,
}

/// In which the kernel counts: `USER_HZ`, the same on every architecture that Rust has.
const TICK: Duration = Duration::from_millis(10);

impl Watch {
    fn start() -> Self {
        Self {
            begin: Instant::now(),
            all: busy_ticks(),
            own: own_ticks(),
        }
    }

    /// A tick more is let pass, since both counts are in whole ones.
    fn was_quiet(&self) -> bool {
        let all = busy_ticks() - self.all;
        let own = own_ticks() - self.own;
        let others = TICK * all.saturating_sub(own) as u32;
        others <= self.begin.elapsed().mul_f64(QUIET) + TICK
    }
}

/// Of all cores: user, nice, system, irq, softirq, and what the host of a virtual machine took away.
fn busy_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").expect("Linux has /proc/stat");
    let fields: Vec<u64> = fields(stat.lines().next().unwrap_or_default());
    [0, 1, 2, 5, 6, 7]
        .iter()
        .filter_map(|&at| fields.get(at))
        .sum()
}

/// Of this process and of the children that it has waited for: user and system time.
fn own_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has /proc/self/stat");
    // The name of the program is in parentheses, and may hold anything.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = fields(after_name);
    // The state isn't a number and so isn't among them.
    fields[10..14].iter().sum()
}

fn fields(line: &str) -> Vec<u64> {
    line.split_whitespace()
        .filter_map(|field| field.parse::<i64>().ok())
        .map(|field| field.max(0) as u64)
        .collect()
}
