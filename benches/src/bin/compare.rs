//! Runs rows, each in each of its placements in a process of its own, and prints how it went.
//!
//!     cargo run --release -p benches --bin compare [--pin same|split|free] [--rounds N] [--write] [ids]
//!
//! All rows with nothing else said, or `--write`, leave `RESULTS.md` and `results.svg` in this package's folder.
//! `cargo run --release -p benches --no-default-features --bin compare` measures footbridge without its default features.
//!
//! A fresh process has fresh pools and its own affinity. It is this program once more, called with `--child`; what it
//! measures it prints as lines that this one reads. With `--pair` it is one of the many that row W16 starts.

use benches::measure::{self, Rounds};
use benches::place::{Placement, Placer};
use benches::report::Outcome;
use benches::results;
use benches::rows::{self, Row};
use benches::{bars, bytes, lap::Lap};
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: bytes::Counting = bytes::Counting;

/// For one row in one placement: so all of them stay below ten minutes.
const BUDGET: Duration = Duration::from_secs(15);

#[derive(Default)]
struct Options {
    ids: Vec<String>,
    pin: Option<Placement>,
    rounds: Option<usize>,
    write: bool,
    child: bool,
    pair: Option<String>,
}

impl Options {
    fn parse() -> Result<Self, String> {
        let mut options = Self::default();
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--pin" => options.pin = Some(value()?.parse()?),
                "--rounds" => match value()?.parse() {
                    Ok(rounds) if rounds > 0 => options.rounds = Some(rounds),
                    _ => return Err("--rounds needs a number, from 1".into()),
                },
                "--write" => options.write = true,
                "--child" => options.child = true,
                "--pair" => options.pair = Some(value()?),
                id if !id.starts_with('-') => options.ids.push(id.into()),
                other => {
                    return Err(format!(
                        "{other} is no option: --pin, --rounds, --write, or ids of rows"
                    ));
                }
            }
        }
        Ok(options)
    }

    /// All rows, each as it is meant to be: then the results are written without being told.
    fn is_whole(&self) -> bool {
        let whole = self.ids.is_empty() && self.pin.is_none() && self.rounds.is_none();
        whole && cfg!(feature = "footbridge-default")
    }

    /// The rows chosen; all of them if none is named.
    fn rows(&self) -> Result<Vec<Row>, String> {
        let all = rows::all();
        let is_meant = |row: &Row, id: &String| {
            row.id == id
                || row
                    .id
                    .strip_prefix(id.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        for id in &self.ids {
            if !all.iter().any(|row| is_meant(row, id)) {
                let known: Vec<&str> = all.iter().map(|row| row.id).collect();
                return Err(format!("there is no row {id}: {}", known.join(" ")));
            }
        }
        let chosen = all
            .into_iter()
            .filter(|row| self.ids.is_empty() || self.ids.iter().any(|id| is_meant(row, id)));
        Ok(chosen.collect())
    }
}

fn main() -> ExitCode {
    let done = Options::parse().and_then(|options| {
        if let Some(loop_name) = &options.pair {
            let lap = rows::pairs::one_process(loop_name).ok_or("no such loop")?;
            println!("{} {}", lap.value, lap.cpu);
            Ok(())
        } else if options.child {
            child(&options)
        } else {
            parent(&options)
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("compare: {message}");
            ExitCode::FAILURE
        }
    }
}

fn parent(options: &Options) -> Result<(), String> {
    if !cfg!(feature = "footbridge-default") {
        println!("footbridge without its default features\n");
    }
    let (mut outcomes, mut left_out) = (Vec::new(), Vec::new());
    let mut leave_out = |row: &Row, why: &str| {
        let line = format!("{:<8} left out: {why}", row.id);
        println!("{line}\n");
        left_out.push(line);
    };
    for row in options.rows()? {
        if let Some(lack) = (row.lacks)() {
            leave_out(&row, &lack);
            continue;
        }
        let placements = match options.pin {
            Some(placement) => vec![placement],
            None => bars::placements(row.id),
        };
        for placement in placements {
            if !Placer::is_possible(placement) {
                leave_out(&row, &format!("{placement} needs two cores"));
                continue;
            }
            let most = if row.exact { row.rounds } else { usize::MAX };
            let wanted = options.rounds.unwrap_or(row.rounds).min(most);
            let rounds = run_child(&row, placement, wanted)?;
            let outcome = Outcome::new(&row, placement, &rounds);
            println!("{}", outcome.text());
            outcomes.push(outcome);
        }
    }
    let (met, bars) = outcomes
        .iter()
        .flat_map(Outcome::verdicts)
        .fold((0, 0), |(met, bars), verdict| {
            (met + usize::from(verdict.passed()), bars + 1)
        });
    println!("{met} of {bars} bars met");
    if options.write || options.is_whole() {
        results::write(&outcomes, &left_out).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn run_child(row: &Row, placement: Placement, rounds: usize) -> Result<Rounds, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args([
            "--child",
            row.id,
            "--pin",
            &placement.to_string(),
            "--rounds",
            &rounds.to_string(),
        ])
        .envs(row.env.iter().copied())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(format!("{} ended with {}", row.id, output.status));
    }
    read(&String::from_utf8_lossy(&output.stdout))
        .ok_or(format!("{} printed what can't be read", row.id))
}

/// The rounds of one row; what it prints is for [`read`].
fn child(options: &Options) -> Result<(), String> {
    let rows = options.rows()?;
    let row = rows
        .iter()
        .find(|row| options.ids == [row.id])
        .ok_or("no such row")?;
    let placement = options.pin.unwrap_or(Placement::Free);
    let rounds = measure::rounds(row, placement, options.rounds.unwrap_or(row.rounds), BUDGET);
    println!("discarded\t{}\nnoisy\t{}", rounds.discarded, rounds.noisy);
    for (name, lack) in rounds.left_out {
        println!("left out\t{name}\t{}", lack.replace(['\t', '\n'], " "));
    }
    for (name, laps) in rounds.laps {
        let laps: Vec<String> = laps
            .iter()
            .map(|lap| format!("{}:{}", lap.value, lap.cpu))
            .collect();
        println!("peer\t{name}\t{}", laps.join(" "));
    }
    Ok(())
}

fn read(lines: &str) -> Option<Rounds> {
    let mut rounds = Rounds::default();
    for line in lines.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["discarded", count] => rounds.discarded = count.parse().ok()?,
            ["noisy", noisy] => rounds.noisy = noisy.parse().ok()?,
            ["left out", name, lack] => rounds.left_out.push((name.into(), lack.into())),
            ["peer", name, laps] => {
                let laps: Option<Vec<Lap>> = laps.split(' ').map(read_lap).collect();
                rounds.laps.push((name.into(), laps?));
            }
            _ => return None,
        }
    }
    (!rounds.laps.is_empty()).then_some(rounds)
}

fn read_lap(lap: &str) -> Option<Lap> {
    let (value, cpu) = lap.split_once(':')?;
    Some(Lap {
        value: value.parse().ok()?,
        cpu: cpu.parse().ok()?,
    })
}
