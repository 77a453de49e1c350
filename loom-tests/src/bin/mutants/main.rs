//! Applies each of the small wrong edits in a list to a copy of the crate, and runs the models that have to notice
//! it, or the tests.
//!
//! ```text
//! cargo run --bin mutants                  all of `mutants.txt`, on the models
//! cargo run --bin mutants -- --only fence  those with one of these words in their name or file
//! cargo run --bin mutants -- --smoke       a handful, for CI
//! cargo run --bin mutants -- --tests ..    the same with `../tests/mutants.txt`, on the crate's tests
//! ```

mod list;

use list::{Tests, needed, parse};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// A list of mutants, and the package whose tests have to notice them. Both are paths in the checkout.
struct Suite {
    list: &'static str,
    package: &'static str,
    /// As in `CARGO_ENCODED_RUSTFLAGS`.
    flags: &'static str,
    /// For the tests in one file that one mutant names. More is a hang.
    limit: Duration,
}

/// A model takes a minute at the most.
const MODELS: Suite = Suite {
    list: "loom-tests/mutants.txt",
    package: "loom-tests",
    flags: "--cfg\x1ffootbridge_loom",
    limit: Duration::from_secs(300),
};

/// A file takes a second or two, alone on two cores. A third of what a test's own watchdog waits for.
const TESTS: Suite = Suite {
    list: "tests/mutants.txt",
    package: ".",
    flags: "",
    limit: Duration::from_secs(10),
};

/// The folder above this package, which cargo tells.
fn checkout() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("to be called by cargo");
    Path::new(&package)
        .parent()
        .expect("it is in the checkout")
        .into()
}

/// The copy that is edited, and where it is built.
struct Copy {
    suite: &'static Suite,
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new(suite: &'static Suite) -> io::Result<Self> {
        let checkout = checkout();
        let scratch = checkout.join("loom-tests/target/mutants");
        let own_target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let copy = Self {
            suite,
            root: scratch.join("copy"),
            target: own_target.map_or_else(|| Ok(scratch.join("target")), std::path::absolute)?,
        };
        if copy.root.exists() {
            fs::remove_dir_all(&copy.root)?;
        }
        let wanted = [
            "src",
            "docs",
            "tests",
            "Cargo.toml",
            "Cargo.lock",
            "README.md",
            "loom-tests/tests",
            "loom-tests/src/lib.rs",
            "loom-tests/.cargo",
            "loom-tests/Cargo.toml",
            "loom-tests/Cargo.lock",
        ];
        for name in wanted {
            copy_all(&checkout.join(name), &copy.root.join(name))?;
        }
        // Its members aren't here.
        let manifest = copy.root.join("Cargo.toml");
        let text = fs::read_to_string(&manifest)?;
        let members = |line: &&str| !line.starts_with("members");
        let alone: Vec<_> = text.lines().filter(members).collect();
        fs::write(&manifest, alone.join("\n") + "\n")?;
        Ok(copy)
    }

    /// Builds a test file. The program that was made, or what the compiler says.
    fn build(&self, file: &str) -> io::Result<Result<PathBuf, String>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target: &[&str] = match file {
            "lib" => &["--lib"],
            _ => &["--test", file],
        };
        let output = Command::new(cargo)
            .args(["test", "--no-run"])
            .args(target)
            .current_dir(self.root.join(self.suite.package))
            .env("CARGO_ENCODED_RUSTFLAGS", self.suite.flags)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_TEST_DEBUG", "0")
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let program = said.lines().find_map(|line| {
            let (_, path) = line.trim().strip_prefix("Executable ")?.split_once('(')?;
            path.strip_suffix(')')
        });
        Ok(match program {
            Some(path) if output.status.success() => Ok(path.into()),
            _ => Err(said.into_owned()),
        })
    }

    /// Runs tests until one fails. What killed the mutant, or else the compiler's errors.
    fn test(&self, tests: &Tests) -> io::Result<Result<Option<String>, String>> {
        let program = match self.build(&tests.file)? {
            Ok(program) => program,
            Err(errors) => return Ok(Err(errors)),
        };
        let mut child = Command::new(program)
            .args(&tests.words)
            .current_dir(self.root.join(self.suite.package))
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let panics = BufReader::new(child.stderr.take().expect("it is piped"));
        let panics = thread::spawn(move || {
            let lines = panics.lines().map_while(Result::ok);
            lines.filter_map(|line| panicked(&line)).last()
        });
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let (send, lines) = mpsc::channel();
        thread::spawn(move || {
            let lines = output.lines().map_while(Result::ok);
            lines.for_each(|line| drop(send.send(line)));
        });
        let deadline = Instant::now() + self.suite.limit;
        let mut none = false;
        let failed = loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    none |= line == "running 0 tests";
                    if let Some(test) = line.trim_end().strip_suffix("FAILED") {
                        let test = test.trim_start_matches("test ").trim_end_matches(" ... ");
                        break Some(format!("by {test}"));
                    }
                }
                Err(RecvTimeoutError::Timeout) => break Some("as a hang".to_owned()),
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        if failed.is_some() {
            // It may have ended by itself. The rest of its models needn't run.
            let _ = child.kill();
        }
        let status = child.wait()?;
        if none {
            let words = tests.words.join(" ");
            return Ok(Err(format!(
                "no test of {} has {words} in its name",
                tests.file
            )));
        }
        Ok(Ok(match failed {
            None if status.success() => None,
            // Loom can't always go on from a panic: a second one follows, which aborts. So may the crate's own.
            None => {
                let test = panics.join().ok().flatten();
                let test = test.unwrap_or_else(|| tests.file.clone());
                Some(format!("by {test} (abort)"))
            }
            failed => failed,
        }))
    }

    fn test_all(&self, by: &[Tests]) -> io::Result<Result<Option<String>, String>> {
        for tests in by {
            let result = self.test(tests)?;
            if !matches!(result, Ok(None)) {
                return Ok(result);
            }
        }
        Ok(Ok(None))
    }
}

/// The test that this line says panicked.
fn panicked(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix("thread '")?.split_once('\'')?;
    rest.contains("panicked").then(|| name.to_owned())
}

/// By reading and writing: a copy shall be newer than what was built of an earlier one. Without the packages
/// below the crate.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().expect("it is below the copy's root"))?;
        return fs::write(to, fs::read(from)?);
    }
    if from.join("Cargo.toml").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

fn main() -> io::Result<ExitCode> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (suite, arguments) = match arguments.split_first() {
        Some((option, rest)) if option == "--tests" => (&TESTS, rest),
        _ => (&MODELS, &arguments[..]),
    };
    let mut mutants = parse(&fs::read_to_string(checkout().join(suite.list))?);
    match arguments.split_first() {
        None => {}
        Some((option, [])) if option == "--smoke" => mutants.retain(|mutant| mutant.smoke),
        Some((option, words)) if option == "--only" => mutants.retain(|mutant| {
            let is_in = |word: &String| mutant.name.contains(word) || mutant.file.contains(word);
            words.iter().any(is_in)
        }),
        _ => {
            eprintln!("usage: mutants [--tests] [--smoke | --only WORDS]");
            return Ok(ExitCode::FAILURE);
        }
    }
    let copy = Copy::new(suite)?;
    for tests in needed(&mutants) {
        eprintln!("without an edit: {}", tests.file);
        match copy.test(&tests)? {
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
        let path = copy.root.join("src").join(&mutant.file);
        let text = fs::read_to_string(&path)?;
        let result = match mutant.apply(&text) {
            Ok(edited) => {
                fs::write(&path, edited)?;
                let result = copy.test_all(&mutant.by);
                fs::write(&path, text)?;
                result?
            }
            Err(stale) => Err(stale),
        };
        let result = match result {
            Ok(Some(how)) if !mutant.argued => {
                killed += 1;
                format!("killed {how}")
            }
            Ok(Some(how)) => {
                wrong += 1;
                format!("KILLED {how}, though argued")
            }
            Ok(None) if mutant.argued => {
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
        let (name, file) = (&mutant.name, &mutant.file);
        println!("| {name} | {file} | {result} | {seconds} |");
        io::stdout().flush()?;
    }
    let all = mutants.len();
    println!("\n{all} mutants: {killed} killed, {argued} argued, {wrong} survived");
    Ok(match wrong {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
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

    fn stale(suite: &Suite) -> Vec<String> {
        let checkout = checkout();
        let mutants = parse(&fs::read_to_string(checkout.join(suite.list)).unwrap());
        assert!(mutants.len() >= 30);
        let wrong = mutants.iter().filter_map(|mutant| {
            let text = fs::read_to_string(checkout.join("src").join(&mutant.file));
            let why = match text.map(|text| (mutant.apply(&text), text)) {
                Err(_) => "its file isn't there".to_owned(),
                Ok((Ok(edited), text)) if edited == text => "it changes nothing".to_owned(),
                Ok((Err(why), _)) => why,
                Ok(_) if mutant.by.is_empty() => "nothing is to kill it".to_owned(),
                Ok(_) => mutant.by.iter().find_map(|tests| unknown(suite, tests))?,
            };
            Some(format!("{}: {}: {why}", suite.list, mutant.name))
        });
        wrong.collect()
    }

    /// Which of these tests isn't there. Of those in `src` only the pass itself can tell.
    fn unknown(suite: &Suite, tests: &Tests) -> Option<String> {
        if tests.file == "lib" {
            return None;
        }
        let path = checkout()
            .join(suite.package)
            .join("tests")
            .join(&tests.file);
        let Ok(text) = fs::read_to_string(path.with_extension("rs")) else {
            return Some(format!("there is no test file {}", tests.file));
        };
        let names: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("fn "))
            .collect();
        let word = tests
            .words
            .iter()
            .find(|word| !names.iter().any(|name| name.contains(*word)));
        word.map(|word| format!("no test of {} has {word} in its name", tests.file))
    }
}
