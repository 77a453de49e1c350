//! Takes one optimisation after the other out of a copy of the crate, runs the tests that don't need it, and measures the
//! rows that it is for, in turn with the crate as it is.
//!
//! ```text
//! cargo run --release -p benches --bin ablations                      all of `ablations.txt`; writes ABLATIONS.md
//! cargo run --release -p benches --bin ablations -- --only batch      those with one of these words in their name or file
//! cargo run --release -p benches --bin ablations -- --smoke           a few, and two short rounds of each row: for CI
//! cargo run --release -p benches --bin ablations -- --every-row ..    the same on all rows: what else does it change?
//! ```

mod report;
mod rounds;
mod rows;

use benches::{bars, bytes};
use edits::{CRATE, Copy, Entry, checkout, needed, parse};
use report::{Found, Report};
use rounds::{Effort, Spec};
use std::fs;
use std::io;
use std::path::PathBuf;
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
    let lab = Lab::new(effort)?;
    lab.check_unedited(&ablations)?;
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

/// All rows that ours takes part in, in each of their placements.
fn all_specs() -> Vec<Spec> {
    let rows = rows::all().into_iter();
    let possible = rows.filter(|row| row.id != "W12" && (row.lacks)().is_none());
    let placed = possible.flat_map(|row| {
        bars::placements(row.id)
            .into_iter()
            .map(move |at| (row.id, at))
    });
    let words = placed.map(|(row, placement)| format!("{row} {placement}"));
    words.filter_map(|words| Spec::parse(&words)).collect()
}

/// The copy, and the program of the crate as it is.
struct Lab {
    copy: Copy,
    scratch: PathBuf,
    effort: Effort,
}

impl Lab {
    fn new(effort: Effort) -> io::Result<Self> {
        let scratch = checkout().join("target/ablations");
        let copy = Copy::new(&CRATE, &scratch)?;
        Ok(Self {
            copy,
            scratch,
            effort,
        })
    }

    /// Builds the crate as it is. Its tests pass, also those that fail without an optimisation.
    fn check_unedited(&self, ablations: &[Entry]) -> io::Result<()> {
        eprintln!("without an edit");
        self.build("unedited")?.map_err(io::Error::other)?;
        if let Some(how) = self.test(&[])? {
            return Err(io::Error::other(format!("without an edit: {how}")));
        }
        let shown_by = needed(
            ablations
                .iter()
                .flat_map(|ablation| ablation.tests("fails")),
        );
        match self.copy.test(&shown_by)? {
            Ok(None) => Ok(()),
            Ok(Some(how)) => Err(io::Error::other(format!("fails without an edit, {how}"))),
            Err(errors) => Err(io::Error::other(errors)),
        }
    }

    /// Called with the edit made. The rows, and the tests that fail.
    fn without(&self, ablation: &Entry, specs: &[Spec]) -> io::Result<Result<Found, String>> {
        let shown_by = ablation.tests("fails");
        let own: Vec<_> = shown_by
            .iter()
            .flat_map(|tests| tests.words.clone())
            .collect();
        if let Some(how) = self.test(&own)? {
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
        if let Err(errors) = self.build("edited")? {
            return Ok(Err(errors));
        }
        let programs = ["unedited", "edited"].map(|name| self.scratch.join(name));
        let rows = specs
            .iter()
            .map(|spec| rounds::compare(spec, &programs, self.effort));
        let rows = rows.collect::<io::Result<_>>()?;
        Ok(Ok(Found { rows, failed }))
    }

    /// All tests but those with one of these words in their name. What failed, if any did.
    fn test(&self, skipped: &[String]) -> io::Result<Option<String>> {
        let skips = skipped.iter().flat_map(|word| ["--skip", word.as_str()]);
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
    fn build(&self, name: &str) -> io::Result<Result<(), String>> {
        let build = [
            "build",
            "--release",
            "--quiet",
            "-p",
            "benches",
            "--bin",
            "ablations",
        ];
        let output = self.copy.cargo(&build).output()?;
        if !output.status.success() {
            return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
        }
        fs::copy(
            self.copy.target().join("release/ablations"),
            self.scratch.join(name),
        )
        .map(drop)?;
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
