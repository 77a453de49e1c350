//! Applies each of the small wrong edits in a list to a copy of the crate, and runs the models that have to notice
//! it, or the tests.
//!
//! ```text
//! cargo run --bin mutants                  all of `mutants.txt`, on the models
//! cargo run --bin mutants -- --only fence  those with one of these words in their name or file
//! cargo run --bin mutants -- --smoke       a handful, for CI
//! cargo run --bin mutants -- --tests ..    the same with `../tests/mutants.txt`, on the crate's tests
//! ```

use edits::{CRATE, Copy, Entry, Suite, checkout, needed, parse};
use std::fs;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// A list of mutants, a path in the checkout, and the tests that have to notice them.
struct Mutants {
    list: &'static str,
    suite: &'static Suite,
}

/// A model takes a minute at the most.
const MODELS: Mutants = Mutants {
    list: "loom-tests/mutants.txt",
    suite: &Suite {
        package: "loom-tests",
        flags: "--cfg\x1ffootbridge_loom",
        limit: Duration::from_secs(300),
    },
};

const TESTS: Mutants = Mutants {
    list: "tests/mutants.txt",
    suite: &CRATE,
};

impl Mutants {
    fn read(&self) -> io::Result<Vec<Entry>> {
        let list = fs::read_to_string(checkout().join(self.list))?;
        Ok(parse(&list, "mutant", &["by", "argued", "smoke"]))
    }
}

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (list, arguments) = match arguments.split_first() {
        Some((option, rest)) if option == "--tests" => (&TESTS, rest),
        _ => (&MODELS, &arguments[..]),
    };
    let mut mutants = list.read()?;
    match arguments.split_first() {
        None => {}
        Some((option, [])) if option == "--smoke" => {
            mutants.retain(|mutant| mutant.one("smoke").is_some());
        }
        Some((option, words)) if option == "--only" => {
            mutants.retain(|mutant| mutant.has_one_of(words));
        }
        _ => {
            eprintln!("usage: mutants [--tests] [--smoke | --only WORDS]");
            return Ok(ExitCode::FAILURE);
        }
    }
    let scratch = checkout().join("loom-tests/target/mutants");
    let copy = Copy::new(list.suite, scratch.join("copy"), scratch.join("target"))?;
    for tests in needed(mutants.iter().flat_map(|mutant| mutant.tests("by"))) {
        eprintln!("without an edit: {}", tests.file);
        match copy.test(&[tests])? {
            Ok(None) => {}
            Ok(Some(how)) => {
                eprintln!("fails without an edit, {how}");
                return Ok(ExitCode::FAILURE);
            }
            Err(errors) => {
                eprintln!("{errors}");
                return Ok(ExitCode::FAILURE);
            }
        }
    }
    let (mut killed, mut argued, mut wrong) = (0, 0, 0);
    println!("| mutant | file | result | seconds |\n| --- | --- | --- | --- |");
    for mutant in &mutants {
        let start = Instant::now();
        let is_argued = mutant.one("argued").is_some();
        let result = copy.with(mutant, || copy.test(&mutant.tests("by")))?;
        let result = match result.and_then(|result| result) {
            Ok(Some(how)) if !is_argued => {
                killed += 1;
                format!("killed {how}")
            }
            Ok(Some(how)) => {
                wrong += 1;
                format!("KILLED {how}, though argued")
            }
            Ok(None) if is_argued => {
                argued += 1;
                "survived, argued".to_owned()
            }
            Ok(None) => {
                wrong += 1;
                "SURVIVED".to_owned()
            }
            Err(why) => {
                wrong += 1;
                let line = why.lines().find(|line| line.starts_with("error"));
                format!("ERROR: {}", line.unwrap_or(&why))
            }
        };
        let seconds = start.elapsed().as_secs();
        let (name, files) = (&mutant.name, mutant.files().join(", "));
        println!("| {name} | {files} | {result} | {seconds} |");
        io::stdout().flush()?;
    }
    let all = mutants.len();
    println!("\n{all} mutants: {killed} killed, {argued} argued, {wrong} survived");
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mutant_finds_its_text_once() {
        let wrong: Vec<_> = [MODELS, TESTS].iter().flat_map(stale).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    fn stale(list: &Mutants) -> Vec<String> {
        let mutants = list.read().unwrap();
        assert!(mutants.len() >= 30);
        let package = checkout().join(list.suite.package);
        let wrong = mutants.iter().filter_map(|mutant| {
            let by = mutant.tests("by");
            let why = match mutant.apply(&checkout()) {
                Err(why) => why,
                Ok(_) if by.is_empty() => "nothing is to kill it".to_owned(),
                Ok(_) => by.iter().find_map(|tests| tests.unknown(&package))?,
            };
            Some(format!("{}: {}: {why}", list.list, mutant.name))
        });
        wrong.collect()
    }
}
