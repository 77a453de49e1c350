//! Takes one optimisation after the other out of a copy of the crate, runs the tests that don't need it, and measures the
//! rows that it is for, in turn with the crate as it is.
//!
//! ```text
//! cargo run --release -p benches --bin ablations                      all of `ablations.txt`; writes ABLATIONS.md
//! cargo run --release -p benches --bin ablations -- --only batch      those with one of these words in their name or file
//! cargo run --release -p benches --bin ablations -- --smoke           one, two short rounds of each row, and not all tests: for CI
//! cargo run --release -p benches --bin ablations -- --every-row ..    the same on all rows: what else does it change?
//! ```

mod report;
mod rounds;
mod rows;

use benches::{bars, bytes};
use edits::{CRATE, Copy, Entry, checkout, parse};
use report::{Found, Report};
use rounds::{Effort, Spec};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: bytes::Counting = bytes::Counting;

const LIST: &str = "benches/ablations.txt";

const KEYS: [&str; 5] = ["for", "lines", "row", "fails", "smoke"];

fn read_list() -> io::Result<Vec<Entry>> {
    let list = fs::read_to_string(checkout().join(LIST))?;
    Ok(parse(&list, "ablation", &KEYS))
}

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if rounds::child(&arguments).is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    let every_row = arguments
        .first()
        .is_some_and(|first| first == "--every-row");
    let mut ablations = read_list()?;
    let mut effort = Effort::FULL;
    match arguments[usize::from(every_row)..].split_first() {
        None => {}
        Some((option, [])) if option == "--smoke" => {
            ablations.retain(|ablation| ablation.one("smoke").is_some());
            effort = Effort::SMOKE;
        }
        Some((option, words)) if option == "--only" => {
            ablations.retain(|ablation| ablation.has_one_of(words));
        }
        _ => {
            eprintln!("usage: ablations [--every-row] [--smoke | --only WORDS]");
            return Ok(ExitCode::FAILURE);
        }
    }
    eprintln!("without an edit");
    let lab = Lab::new(effort)?;
    if let Some(how) = lab.test(&[])? {
        eprintln!("{how}");
        return Ok(ExitCode::FAILURE);
    }
    let mut report = Report::default();
    for ablation in &ablations {
        eprintln!("{}", ablation.name);
        let specs = if every_row {
            all_specs()
        } else {
            specs(ablation)
        };
        let found = lab.copy.with(ablation, || lab.without(ablation, &specs))?;
        report.add(ablation, found.and_then(|found| found));
    }
    println!("{}", report.table());
    if arguments.is_empty() {
        report.write(&checkout().join("benches/ABLATIONS.md"))?;
    }
    Ok(if report.wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The rows that an entry names.
fn specs(ablation: &Entry) -> Vec<Spec> {
    ablation.all("row").filter_map(Spec::parse).collect()
}

/// One is nothing at all, and one is of processes that `compare` starts.
const NOT_COMPARED: [&str; 2] = ["W12", "W16"];

/// All rows that ours takes part in, in each of their placements.
fn all_specs() -> Vec<Spec> {
    let rows = rows::all().into_iter();
    let possible = rows.filter(|row| !NOT_COMPARED.contains(&row.id) && (row.lacks)().is_none());
    let placed = possible.flat_map(|row| {
        bars::placements(row.id)
            .into_iter()
            .map(move |at| (row.id, at))
    });
    let words = placed.map(|(row, placement)| format!("{row} {placement}"));
    words.filter_map(|words| Spec::parse(&words)).collect()
}

/// The copy, and the programs that were built of it.
struct Lab {
    copy: Copy,
    programs: [PathBuf; 2],
    effort: Effort,
}

impl Lab {
    /// Builds the crate as it is.
    fn new(effort: Effort) -> io::Result<Self> {
        let target = checkout().join("target");
        let scratch = target.join("ablations");
        let lab = Self {
            copy: Copy::new(&CRATE, scratch.join("copy"), target)?,
            programs: ["unedited", "edited"].map(|name| scratch.join(name)),
            effort,
        };
        lab.build(&lab.programs[0])?.map_err(io::Error::other)?;
        Ok(lab)
    }

    /// Called with the edit made. The rows, and the tests that fail.
    fn without(&self, ablation: &Entry, specs: &[Spec]) -> io::Result<Result<Found, String>> {
        let shown_by = ablation.tests("fails");
        let shows: Vec<_> = shown_by.iter().flat_map(|tests| &tests.words).collect();
        if let Some(how) = self.test(&shows)? {
            return Ok(Err(how));
        }
        let mut failed = Vec::new();
        for tests in shown_by {
            let file = tests.file.clone();
            match self.copy.test(&[tests])? {
                Ok(Some(how)) => failed.push(format!("{file}: {}", how.trim_start_matches("by "))),
                Ok(None) => return Ok(Err(format!("what is to fail of {file} passes"))),
                Err(errors) => return Ok(Err(errors)),
            }
        }
        if let Err(errors) = self.build(&self.programs[1])? {
            return Ok(Err(errors));
        }
        let compare = |spec| rounds::compare(spec, &self.programs, self.effort);
        let rows: Result<_, String> = specs.iter().map(compare).collect();
        Ok(rows.map(|rows| Found { rows, failed }))
    }

    /// All tests but those with one of these words in their name. What failed, if any did.
    fn test(&self, skipped: &[&String]) -> io::Result<Option<String>> {
        let skips = skipped.iter().flat_map(|word| ["--skip", word.as_str()]);
        if !self.effort.all_tests {
            return Ok(None);
        }
        let mut command = self.copy.cargo(&["test", "--tests", "--quiet", "--"]);
        let output = command.args(skips).env("RUST_BACKTRACE", "0").output()?;
        if output.status.success() {
            return Ok(None);
        }
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let mut lines = said.lines();
        let line = lines.find(|line| line.contains("panicked at") || line.starts_with("error"));
        Ok(Some(format!("its tests fail: {}", line.unwrap_or(&said))))
    }

    /// This program, of the copy. What the compiler says, if it doesn't build.
    fn build(&self, program: &Path) -> io::Result<Result<(), String>> {
        let build = ["build", "--release", "--quiet", "-p", "benches"];
        let output = self
            .copy
            .cargo(&build)
            .args(["--bin", "ablations"])
            .output()?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        fs::copy(self.copy.target().join("release/ablations"), program)?;
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ablation_finds_its_text_and_its_rows_and_its_tests() {
        let wrong: Vec<_> = read_list().unwrap().iter().filter_map(stale).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    fn stale(ablation: &Entry) -> Option<String> {
        let rows = ablation.all("row").count();
        let tests = ablation.tests("fails");
        let is_counted = ablation
            .one("lines")
            .is_some_and(|lines| lines.parse::<u32>().is_ok());
        let why = match ablation.apply(&checkout()) {
            Err(why) => why,
            Ok(_) if rows + tests.len() == 0 => "neither a row nor a test is to show it".to_owned(),
            Ok(_) if specs(ablation).len() < rows => "one of its rows isn't there".to_owned(),
            Ok(_) if !is_counted || ablation.one("for").is_none() => {
                "its lines or its use aren't said".to_owned()
            }
            Ok(_) => tests.iter().find_map(|tests| tests.unknown(&checkout()))?,
        };
        Some(format!("{}: {why}", ablation.name))
    }
}
