//! The copy of the checkout in which the edits are made, and what runs there.

use crate::list::{Entry, Tests};
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The folder above the package that cargo runs.
pub fn checkout() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("to be called by cargo");
    Path::new(&package)
        .parent()
        .expect("it is in the checkout")
        .into()
}

/// A package whose tests are run. Its path is one in the checkout.
pub struct Suite {
    pub package: &'static str,
    /// As in `CARGO_ENCODED_RUSTFLAGS`.
    pub flags: &'static str,
    /// For the tests in one file that one entry names. More is a hang.
    pub limit: Duration,
}

/// The crate's own tests. A file takes a second or two, alone on two cores. A third of what a test's own watchdog waits for.
pub const CRATE: Suite = Suite {
    package: ".",
    flags: "",
    limit: Duration::from_secs(10),
};

/// The copy that is edited, and where it is built.
pub struct Copy {
    suite: &'static Suite,
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    /// Copies the checkout to the folder `root`. It is built in `target`, or where `CARGO_TARGET_DIR` says.
    pub fn new(suite: &'static Suite, root: PathBuf, target: PathBuf) -> io::Result<Self> {
        let own_target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
        if root.exists() {
            fs::remove_dir_all(&root)?;
        }
        copy_all(&checkout(), &root)?;
        Ok(Self {
            suite,
            root,
            target: own_target.map_or(Ok(target), std::path::absolute)?,
        })
    }

    /// Where cargo leaves what it builds.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Makes the edits of an entry, calls `then`, and takes the edits back.
    ///
    /// # Errors
    /// The inner one if the entry is stale. Then `then` isn't called.
    pub fn with<T>(
        &self,
        entry: &Entry,
        then: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<Result<T, String>> {
        let edited = match entry.apply(&self.root) {
            Ok(edited) => edited,
            Err(stale) => return Ok(Err(stale)),
        };
        let mut before = Vec::new();
        for (file, text) in edited {
            let path = self.root.join("src").join(file);
            before.push((path.clone(), fs::read(&path)?));
            fs::write(path, text)?;
        }
        let result = then();
        for (path, text) in before {
            fs::write(path, text)?;
        }
        result.map(Ok)
    }

    /// A command of cargo's, in the suite's package.
    pub fn cargo(&self, arguments: &[&str]) -> Command {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .args(arguments)
            .current_dir(self.root.join(self.suite.package))
            .env("CARGO_ENCODED_RUSTFLAGS", self.suite.flags)
            .env("CARGO_TARGET_DIR", &self.target)
            .env("CARGO_PROFILE_TEST_DEBUG", "0");
        command
    }

    /// Builds a test file. The program that was made, or what the compiler says.
    fn build(&self, file: &str) -> io::Result<Result<PathBuf, String>> {
        let target: &[&str] = match file {
            "lib" => &["--lib"],
            _ => &["--test", file],
        };
        let output = self.cargo(&["test", "--no-run"]).args(target).output()?;
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

    /// Runs tests until one fails, file by file. Which one failed and how, or else the compiler's errors.
    pub fn test(&self, tests: &[Tests]) -> io::Result<Result<Option<String>, String>> {
        for tests in tests {
            let result = self.test_file(tests)?;
            if !matches!(result, Ok(None)) {
                return Ok(result);
            }
        }
        Ok(Ok(None))
    }

    fn test_file(&self, tests: &Tests) -> io::Result<Result<Option<String>, String>> {
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
            // It may have ended by itself. The rest of its tests needn't run.
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
}

/// The test that this line says panicked.
fn panicked(line: &str) -> Option<String> {
    let (name, rest) = line.strip_prefix("thread '")?.split_once('\'')?;
    rest.contains("panicked").then(|| name.to_owned())
}

/// By reading and writing: a copy shall be newer than what was built of an earlier one. Without what was built, and
/// without git's own files.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    if !from.is_dir() {
        fs::create_dir_all(to.parent().expect("it is below the copy's root"))?;
        return fs::write(to, fs::read(from)?);
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != "target" && name != ".git" {
            copy_all(&entry.path(), &to.join(name))?;
        }
    }
    Ok(())
}
