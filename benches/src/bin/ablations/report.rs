//! The table: for each optimisation what it costs, and what is lost without it.

use crate::rounds::Ratios;
use benches::report::number;
use edits::Entry;
use std::fmt::Write as _;
use std::path::Path;
use std::{fs, io, thread};

#[derive(Default)]
pub struct Report {
    lines: String,
    /// Entries that are stale, that don't build, or whose tests don't do as the list says.
    pub wrong: usize,
}

/// What was found of an entry: its rows, and the tests that fail without it.
pub struct Found {
    pub rows: Vec<Ratios>,
    pub failed: Vec<String>,
}

const HEAD: &str = "| optimisation | file | lines | row, or test | without it | rounds | what it is for |\n\
                    | --- | --- | ---: | --- | ---: | --- | --- |\n";

impl Report {
    pub fn add(&mut self, ablation: &Entry, found: Result<Found, String>) {
        let shown = match found {
            Ok(found) => found.shown(),
            Err(why) => {
                self.wrong += 1;
                let line = why.lines().find(|line| line.starts_with("error"));
                vec![[
                    line.unwrap_or(&why).to_owned(),
                    "ERROR".to_owned(),
                    String::new(),
                ]]
            }
        };
        let mut first = [
            ablation.name.clone(),
            ablation.files().join(", "),
            ablation.one("lines").unwrap_or_default().to_owned(),
        ];
        let mut what = ablation.one("for").unwrap_or_default();
        for [row, factor, rounds] in shown {
            let [name, files, lines] = &first;
            let line =
                format!("| {name} | {files} | {lines} | {row} | {factor} | {rounds} | {what} |");
            eprintln!("{line}");
            let _ = writeln!(self.lines, "{line}");
            // Said once for each entry.
            (first, what) = (Default::default(), "");
        }
    }

    pub fn table(&self) -> String {
        format!("{HEAD}{}", self.lines)
    }

    pub fn write(&self, path: &Path) -> io::Result<()> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let text = format!(
            "# Ablations\n\n\
             What each optimisation is worth: the time (bytes, threads) of a row without it, as a multiple of that with it. \
             Written by `cargo run --release -p benches --bin ablations`, on {cores} cores. [README.md](README.md) says how.\n\n\
             {}",
            self.table()
        );
        fs::write(path, text)
    }
}

impl Found {
    /// Row, factor, and the range of the rounds.
    fn shown(&self) -> Vec<[String; 3]> {
        let rows = self.rows.iter().map(|ratios| {
            let (least, most) = ratios.range();
            let range = format!("{} to {}", number(least), number(most));
            [ratios.row.clone(), number(ratios.median()), range]
        });
        let tests = self.failed.iter();
        let tests = tests.map(|test| [test.clone(), "fails".to_owned(), String::new()]);
        rows.chain(tests).collect()
    }
}
