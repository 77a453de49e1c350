//! Takes one optimisation after the other out of a copy of the crate, and measures the rows that it is for, in turn with the
//! crate as it is. All are built first, so that nothing else runs while the rows are measured.
//!
//! ```text
//! cargo run --release -p benches --bin ablations                      all of `ablations.txt`; writes ABLATIONS.md
//! cargo run --release -p benches --bin ablations -- --only batch      those with one of these words in their name or file
//! cargo run --release -p benches --bin ablations -- --smoke           one, two short rounds of each row: for CI
//! cargo run --release -p benches --bin ablations -- --every-row ..    the same on all rows: what else does it change?
//! cargo run --release -p benches --bin ablations -- --tests ..        instead: do the tests that don't need it pass without it?
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
    let (what, rest) = match arguments.split_first() {
        Some((first, rest)) if first == "--every-row" => (What::EveryRow, rest),
        Some((first, rest)) if first == "--tests" => (What::Tests, rest),
        _ => (What::Rows, arguments.as_slice()),
    };
    let mut ablations = read_list()?;
    let mut effort = Effort::FULL;
    match rest.split_first() {
        None => {}
        Some((option, [])) if option == "--smoke" => {
            ablations.retain(|ablation| ablation.one("smoke").is_some());
            effort = Effort::SMOKE;
        }
        Some((option, words)) if option == "--only" => {
            ablations.retain(|ablation| ablation.has_one_of(words));
        }
        _ => {
            eprintln!("usage: ablations [--every-row | --tests] [--smoke | --only WORDS]");
            return Ok(ExitCode::FAILURE);
        }
    }
    let lab = Lab::new(effort)?;
    if what == What::Tests {
        return lab.test_all(&ablations);
    }
    let report = lab.measure(&ablations, what)?;
    println!("{}", report.table());
    if arguments.is_empty() {
        report.write(&checkout().join("benches/ABLATIONS.md"))?;
    }
    Ok(exit_code(report.wrong))
}

fn exit_code(wrong: usize) -> ExitCode {
    ExitCode::from(u8::from(wrong > 0))
}

/// What is done with each optimisation taken out.
#[derive(Clone, Copy, PartialEq)]
enum What {
    /// The rows and the tests that its entry names.
    Rows,
    EveryRow,
    /// All tests but those that its entry names.
    Tests,
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

/// The copy that is edited, and where the programs are kept that were built of it.
struct Lab {
    copy: Copy,
    programs: PathBuf,
    effort: Effort,
}

impl Lab {
    fn new(effort: Effort) -> io::Result<Self> {
        let target = checkout().join("target");
        let scratch = target.join("ablations");
        let programs = scratch.join("programs");
        fs::create_dir_all(&programs)?;
        Ok(Self {
            copy: Copy::new(&CRATE, scratch.join("copy"), target)?,
            programs,
            effort,
        })
    }

    /// Builds the crate as it is and without each optimisation, and then measures.
    fn measure(&self, ablations: &[Entry], what: What) -> io::Result<Report> {
        eprintln!("built: the crate as it is");
        let unedited = self.programs.join("unedited");
        self.build(&unedited)?.map_err(io::Error::other)?;
        let mut built = Vec::new();
        for (number, ablation) in ablations.iter().enumerate() {
            eprintln!("built without: {}", ablation.name);
            let edited = self.programs.join(number.to_string());
            let tested = || self.build_and_test(ablation, &edited);
            let tested = self.copy.with(ablation, tested)?.and_then(|tested| tested);
            built.push((ablation, edited, tested));
        }
        eprintln!("measured from here on: nothing else should run");
        let mut report = Report::default();
        for (ablation, edited, tested) in built {
            let specs = match what {
                What::EveryRow => all_specs(),
                _ => specs(ablation),
            };
            let programs = [unedited.clone(), edited];
            let compare = |spec| rounds::compare(spec, &programs, self.effort);
            let found = tested.and_then(|failed| {
                let rows: Result<_, String> = specs.iter().map(compare).collect();
                Ok(Found {
                    rows: rows?,
                    failed,
                })
            });
            report.add(ablation, found);
        }
        Ok(report)
    }

    /// Called with the edit made. The tests that fail.
    fn build_and_test(
        &self,
        ablation: &Entry,
        program: &Path,
    ) -> io::Result<Result<Vec<String>, String>> {
        if let Err(errors) = self.build(program)? {
            return Ok(Err(errors));
        }
        let mut failed = Vec::new();
        for tests in ablation.tests("fails") {
            let file = tests.file.clone();
            match self.copy.test(&[tests])? {
                Ok(Some(how)) => failed.push(format!("{file}: {}", how.trim_start_matches("by "))),
                Ok(None) => return Ok(Err(format!("what is to fail of {file} passes"))),
                Err(errors) => return Ok(Err(errors)),
            }
        }
        Ok(Ok(failed))
    }

    /// Runs all tests but those that are to fail, without each optimisation.
    fn test_all(&self, ablations: &[Entry]) -> io::Result<ExitCode> {
        let mut wrong = 0;
        for ablation in ablations {
            let result = self.copy.with(ablation, || self.test(ablation))?;
            let said = match result {
                Ok(None) => "the tests pass".to_owned(),
                Ok(Some(why)) | Err(why) => {
                    wrong += 1;
                    why
                }
            };
            println!("without: {}: {said}", ablation.name);
        }
        Ok(exit_code(wrong))
    }

    /// What failed, if anything did that isn't named.
    fn test(&self, ablation: &Entry) -> io::Result<Option<String>> {
        let to_fail = ablation.tests("fails");
        let words = to_fail.iter().flat_map(|tests| &tests.words);
        let skips = words.flat_map(|word| ["--skip", word.as_str()]);
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
            .args(["--bin", "ablations", "--features", "alone"])
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
