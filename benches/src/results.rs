//! The files that a run of all rows leaves: `RESULTS.md`, and `results.svg` for the README.

use crate::report::{Outcome, number};
use crate::svg;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{fs, io};

const FOLDER: &str = env!("CARGO_MANIFEST_DIR");
const BY_HAND: &str = "<!-- by hand from here -->";

/// What is below the line that says so is written by hand, and stays.
pub fn write(outcomes: &[Outcome], left_out: &[String]) -> io::Result<()> {
    let machine = machine();
    let table = Path::new(FOLDER).join("RESULTS.md");
    let before = fs::read_to_string(&table).unwrap_or_default();
    let text = with_notes(&tables(outcomes, left_out, &machine), &before);
    fs::write(table, text)?;
    let picture = svg::picture(outcomes, &machine);
    fs::write(Path::new(FOLDER).join("results.svg"), picture)
}

/// The new tables, and the notes of the file that was there before.
fn with_notes(tables: &str, before: &str) -> String {
    let notes = before
        .split_once(BY_HAND)
        .map_or("\n\n## Notes\n", |(_, notes)| notes);
    format!("{tables}\n{BY_HAND}{notes}")
}

fn tables(outcomes: &[Outcome], left_out: &[String], machine: &str) -> String {
    let mut text = format!(
        "# Results\n\nWritten by `cargo run --release -p benches --bin compare`. {machine}. What the rows are and how \
         they are measured is said in [README.md](README.md).\n\n\
         ## The bars\n\n\
         Ours over theirs, by the medians of the rounds of one run; W16 by the means.\n\n\
         | row | work | placement | ratio | asked | |\n| --- | --- | --- | ---: | --- | --- |\n"
    );
    for outcome in outcomes {
        for verdict in outcome.verdicts() {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} |",
                outcome.id,
                outcome.work,
                outcome.placement,
                number(verdict.ratio),
                verdict.asked(),
                verdict.word()
            );
        }
    }
    text.push_str(
        "\n## The figures\n\nThe CPU time is that of the whole process, in ns.\n\n\
         | row | placement | | median | min | p90 | CPU | ours over theirs | rounds |\n\
         | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    for outcome in outcomes {
        let mut first = [
            format!("{} [{}]", outcome.id, outcome.unit),
            outcome.placement.to_string(),
            outcome.rounds_text(),
        ];
        for peer in &outcome.peers {
            let [id, placement, rounds] = &mut first;
            let [median, minimum, p90, cpu] =
                [peer.median, peer.minimum, peer.p90, peer.cpu].map(number);
            let ratio = outcome.ratio(peer).map_or(String::new(), number);
            let _ = writeln!(
                text,
                "| {id} | {placement} | {} | {median} | {minimum} | {p90} | {cpu} | {ratio} | {rounds} |",
                peer.name
            );
            // Said once for each row.
            first = Default::default();
        }
        for (name, lack) in &outcome.left_out {
            let _ = writeln!(text, "|  |  | {name} | left out: {lack} |  |  |  |  |  |");
        }
    }
    for left_out in left_out {
        let _ = write!(text, "\n{left_out}\n");
    }
    text
}

/// On what, with what, and when.
fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown processor", |model| {
        model.trim_start_matches([' ', '\t', ':'])
    });
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = said("rustc", &["--version"]);
    let date = said("date", &["-u", "+%Y-%m-%d"]);
    // The build's own hash says nothing here, nor does the name of a kernel's build.
    let rustc = rustc.split(" (").next().unwrap_or_default();
    let kernel = kernel.split('-').next().unwrap_or_default().trim();
    let features = if cfg!(feature = "footbridge-default") {
        ""
    } else {
        ", footbridge without its default features"
    };
    format!("{model}, {cores} cores, Linux {kernel}, {rustc}, {date}{features}")
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().into()
    })
}

#[cfg(test)]
mod tests {
    use super::{BY_HAND, with_notes};

    #[test]
    fn what_was_written_by_hand_is_still_there_after_the_tables_are_written_again() {
        let first = with_notes("one", "");
        assert!(first.starts_with("one\n") && first.contains("## Notes"));
        let edited = format!("{first}W8 is odd.\n");
        let second = with_notes("two", &edited);
        assert_eq!(second, edited.replacen("one", "two", 1));
        assert_eq!(second.matches(BY_HAND).count(), 1);
    }
}
