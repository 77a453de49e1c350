//! Applies each of the small wrong edits in `mutants.txt` to a copy of the crate, and runs the models that
//! have to notice it.
//!
//! ```text
//! cargo run --bin mutants                  all of them
//! cargo run --bin mutants -- --only fence  those with one of these words in their name or file
//! cargo run --bin mutants -- --smoke       a handful, for CI
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// For the models of one mutant, which take a minute at the most. More is a hang.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Default)]
struct Mutant {
    name: String,
    file: String,
    /// Test files, each with the models to run of it, all if none is named.
    by: Vec<Models>,
    argued: bool,
    smoke: bool,
    find: Vec<String>,
    replace: Vec<String>,
}

/// A test file, and words of the names of models.
#[derive(Clone)]
struct Models {
    file: String,
    words: Vec<String>,
}

fn parse(list: &str) -> Vec<Mutant> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for line in list.lines() {
        let Some(first) = line.chars().next() else {
            continue;
        };
        if first == '#' {
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        if key == "mutant" {
            mutants.push(Mutant::default());
        }
        let mutant = mutants.last_mut().expect("a line before the first mutant");
        let code = || line[1..].trim().to_owned();
        match (first, key, value.trim()) {
            (' ', ..) => {
                mutant.find.push(code());
                mutant.replace.push(code());
            }
            ('-', ..) => mutant.find.push(code()),
            ('+', ..) => mutant.replace.push(code()),
            (_, "mutant", name) => name.clone_into(&mut mutant.name),
            (_, "file", file) => file.clone_into(&mut mutant.file),
            (_, "by", models) => {
                let mut words = models.split(' ').map(str::to_owned);
                let file = words.next().unwrap_or_default();
                let words = words.collect();
                mutant.by.push(Models { file, words });
            }
            (_, "argued", _) => mutant.argued = true,
            (_, "smoke", _) => mutant.smoke = true,
            _ => panic!("not understood: {line}"),
        }
    }
    mutants
}

impl Mutant {
    /// The text with the edit made. Lines are compared without their indentation.
    fn apply(&self, text: &str) -> Result<String, String> {
        let lines: Vec<&str> = text.lines().collect();
        let is_here = |at: &usize| {
            let here = lines[*at..].iter().zip(&self.find);
            here.clone().count() == self.find.len() && here.into_iter().all(|(a, b)| a.trim() == b)
        };
        let places: Vec<_> = (0..lines.len()).filter(is_here).collect();
        let [place] = places[..] else {
            let times = places.len();
            return Err(format!("its text is found {times} times, not once"));
        };
        let replace = self.replace.iter().map(String::as_str);
        let after = &lines[place + self.find.len()..];
        let edited: Vec<_> = lines[..place]
            .iter()
            .copied()
            .chain(replace)
            .chain(after.iter().copied())
            .collect();
        Ok(edited.join("\n") + "\n")
    }
}

/// This package, as cargo says.
fn package() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR")
        .expect("to be called by cargo")
        .into()
}

/// The copy that is edited, and where it is built.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    fn new() -> io::Result<Self> {
        let package = package();
        let scratch = package.join("target").join("mutants");
        let own_target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        let copy = Self {
            root: scratch.join("copy"),
            target: own_target.map_or_else(|| Ok(scratch.join("target")), std::path::absolute)?,
        };
        if copy.root.exists() {
            fs::remove_dir_all(&copy.root)?;
        }
        let checkout = package.parent().expect("the crate is the folder above");
        let wanted = [
            "src",
            "docs",
            "Cargo.toml",
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
    fn build(&self, test: &str) -> io::Result<Result<PathBuf, String>> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["test", "--no-run", "--test", test])
            .current_dir(self.root.join("loom-tests"))
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

    /// Runs models until one fails. Who killed the mutant, or else the compiler's errors.
    fn test(&self, models: &Models) -> io::Result<Result<Option<String>, String>> {
        let program = match self.build(&models.file)? {
            Ok(program) => program,
            Err(errors) => return Ok(Err(errors)),
        };
        let mut child = Command::new(program)
            .args(&models.words)
            .current_dir(self.root.join("loom-tests"))
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
        let deadline = Instant::now() + LIMIT;
        let failed = loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
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
        Ok(Ok(match failed {
            None if status.success() => None,
            // Loom can't always go on from a panic: a second one follows, which aborts.
            None => {
                let model = panics.join().ok().flatten();
                let model = model.unwrap_or_else(|| models.file.clone());
                Some(format!("by {model} (abort)"))
            }
            failed => failed,
        }))
    }

    fn test_all(&self, by: &[Models]) -> io::Result<Result<Option<String>, String>> {
        for models in by {
            let result = self.test(models)?;
            if !matches!(result, Ok(None)) {
                return Ok(result);
            }
        }
        Ok(Ok(None))
    }
}

/// The model that this line says panicked.
fn panicked(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix("thread '")?.split_once('\'')?;
    rest.contains("panicked").then(|| name.to_owned())
}

/// By reading and writing: a copy shall be newer than what was built of an earlier one.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().expect("it is below the copy's root"))?;
        return fs::write(to, fs::read(from)?);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Every test file that is needed, once, with all the models that are.
fn needed(mutants: &[Mutant]) -> Vec<Models> {
    let mut files: BTreeMap<&str, Option<Vec<String>>> = BTreeMap::new();
    for models in mutants.iter().flat_map(|mutant| &mutant.by) {
        let words = files.entry(&models.file).or_insert_with(|| Some(vec![]));
        match models.words.is_empty() {
            true => *words = None,
            false => words
                .iter_mut()
                .for_each(|all| all.extend(models.words.clone())),
        }
    }
    let models = |(file, words): (&str, Option<Vec<String>>)| Models {
        file: file.to_owned(),
        words: words.unwrap_or_default(),
    };
    files.into_iter().map(models).collect()
}

fn main() -> io::Result<ExitCode> {
    let mut mutants = parse(&fs::read_to_string(package().join("mutants.txt"))?);
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        None => {}
        Some((option, [])) if option == "--smoke" => mutants.retain(|mutant| mutant.smoke),
        Some((option, words)) if option == "--only" => mutants.retain(|mutant| {
            let is_in = |word: &String| mutant.name.contains(word) || mutant.file.contains(word);
            words.iter().any(is_in)
        }),
        _ => {
            eprintln!("usage: mutants [--smoke | --only WORDS]");
            return Ok(ExitCode::FAILURE);
        }
    }
    let copy = Copy::new()?;
    for models in needed(&mutants) {
        eprintln!("without an edit: {}", models.file);
        match copy.test(&models)? {
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
        let package = package();
        let list = fs::read_to_string(package.join("mutants.txt")).unwrap();
        let mutants = parse(&list);
        assert!(mutants.len() >= 40);
        let wrong = mutants.iter().filter_map(|mutant| {
            let text = fs::read_to_string(package.join("../src").join(&mutant.file)).unwrap();
            let why = match mutant.apply(&text) {
                Ok(edited) if edited == text => "it changes nothing".to_owned(),
                Ok(_) if mutant.by.is_empty() => "nobody is to kill it".to_owned(),
                Ok(_) => return None,
                Err(why) => why,
            };
            Some(format!("{}: {why}", mutant.name))
        });
        let wrong: Vec<_> = wrong.collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
