//! A row on two builds of the crate in turn: each lap of a build in a process of its own, round by round.

use crate::rows;
use benches::lap::Lap;
use benches::place::{Placement, Placer};
use benches::report::OURS;
use benches::rows::Row;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is measured: a row in a placement, and its value or its CPU time.
pub struct Spec {
    row: Row,
    placement: Placement,
    of_cpu: bool,
}

impl Spec {
    /// `W6`, `W5 split`, `W5 free cpu`. `None`: there is no such row, or not in such a placement.
    pub fn parse(words: &str) -> Option<Self> {
        let mut words = words.split(' ');
        let id = words.next()?;
        Some(Self {
            row: rows::all().into_iter().find(|row| row.id == id)?,
            placement: words.next().unwrap_or("free").parse().ok()?,
            of_cpu: match words.next() {
                None => false,
                Some("cpu") => true,
                Some(_) => return None,
            },
        })
    }

    fn name(&self) -> String {
        let placement = match self.placement {
            Placement::Free => String::new(),
            placement => format!(" {placement}"),
        };
        let of = if self.of_cpu { ", CPU time" } else { "" };
        format!("{}{placement}{of}", self.row.id)
    }
}

#[derive(Clone, Copy)]
pub struct Effort {
    rounds: usize,
    /// For the laps of one process.
    budget: Duration,
}

impl Effort {
    pub const FULL: Self = Self {
        rounds: 9,
        budget: Duration::from_millis(400),
    };
    pub const SMOKE: Self = Self {
        rounds: 2,
        budget: Duration::from_millis(50),
    };
}

/// The edited build's value over that of the unedited one, for each round, in ascending order.
pub struct Ratios {
    pub row: String,
    ratios: Vec<f64>,
}

impl Ratios {
    pub fn median(&self) -> f64 {
        median(&self.ratios)
    }

    pub fn range(&self) -> (f64, f64) {
        let ends = self.ratios.first().zip(self.ratios.last());
        ends.map_or((f64::NAN, f64::NAN), |(first, last)| (*first, *last))
    }
}

/// Runs the two programs in turn, another one first in each round.
pub fn compare(spec: &Spec, programs: &[PathBuf; 2], effort: Effort) -> Result<Ratios, String> {
    let mut ratios = Vec::new();
    for round in 0..effort.rounds {
        let mut values = [0.0; 2];
        for which in [round % 2, (round + 1) % 2] {
            let laps = run(&programs[which], spec, effort);
            values[which] = laps.map_err(|why| format!("{}: {why}", spec.name()))?;
        }
        let [unedited, edited] = values;
        let ratio = edited / unedited;
        // Nothing is as much as nothing.
        ratios.push(if values == [0.0, 0.0] { 1.0 } else { ratio });
    }
    ratios.sort_by(f64::total_cmp);
    let row = spec.name();
    Ok(Ratios { row, ratios })
}

const CHILD: &str = "--laps-of";

/// The median of the laps of one process.
fn run(program: &Path, spec: &Spec, effort: Effort) -> io::Result<f64> {
    let output = Command::new(program)
        .arg(CHILD)
        .args([spec.row.id, &spec.placement.to_string()])
        .arg(effort.budget.as_millis().to_string())
        .envs(spec.row.env.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let lap = |line: &str| {
        let (value, cpu) = line.split_once(' ')?;
        let of = if spec.of_cpu { cpu } else { value };
        of.parse().ok()
    };
    let laps: Option<Vec<f64>> = said.lines().map(lap).collect();
    match laps {
        Some(mut laps) if output.status.success() && !laps.is_empty() => {
            laps.sort_by(f64::total_cmp);
            Ok(median(&laps))
        }
        _ => Err(io::Error::other(format!("ended with {}", output.status))),
    }
}

fn median(sorted: &[f64]) -> f64 {
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// What the process of [`run`] does: prints what each lap of ours took, for as long as the budget says. `None`: these are
/// not its arguments.
pub fn child(arguments: &[String]) -> Option<()> {
    let [option, id, placement, budget] = arguments else {
        return None;
    };
    let spec = Spec::parse(&format!("{id} {placement}")).filter(|_| option == CHILD)?;
    let budget = Duration::from_millis(budget.parse().ok()?);
    let placer = Placer::new(spec.placement);
    let mut peers = (spec.row.peers)();
    let mut ours = peers.drain(..).find(|peer| peer.name == OURS)?;
    let mut lap = || {
        placer.place();
        (ours.lap)()
    };
    if !spec.row.exact {
        lap();
    }
    let begin = Instant::now();
    loop {
        let Lap { value, cpu } = lap();
        println!("{value} {cpu}");
        if spec.row.exact || begin.elapsed() > budget {
            return Some(());
        }
    }
}
