//! The picture that the README shows: what a user does, and how far ahead of the best peer ours is, or behind it.
//!
//! A line for each of the rows named here, from the one furthest ahead to the one furthest behind. Its bar goes from the
//! best peer to ours, and its colour says which of the two is better. The dots are the other peers. Whether what is asked
//! for in `bars` is met isn't in it: that is in `RESULTS.md`, with all the figures.

use crate::place::Placement::{self, Free};
use crate::report::Outcome;
use std::fmt::Write as _;

/// The rows of the picture, in the words of a user.
const LINES: &[(&str, Placement, &str)] = &[
    ("W5", Free, "call a blocking function and await it"),
    ("W7", Free, "call an async function from a worker"),
    ("W18a", Free, "await 100,000 blocking calls together"),
    ("W6", Free, "run 100,000 short jobs on the pool"),
    ("W11s", Free, "500 sleeps of 1 ms on 40 new threads"),
    ("W14", Free, "threads that 1,000 computing jobs start"),
    ("W8", Free, "make a loop, run a future, end the loop"),
    ("W1", Free, "spawn 100,000 tasks and await them"),
    ("W1s", Free, "spawn a task and await it"),
    ("W2", Free, "let the other tasks go first"),
    ("W3", Free, "wake another task"),
    ("W9", Free, "make a timer and drop it"),
    ("W9f", Free, "fire a timer"),
    ("W10", Free, "memory of a task that waits"),
];

/// What is compared with. The other peers of a row are limits, or do less work.
const CRATES: &[&str] = &[
    "tokio",
    "async-executor",
    "futures",
    "monoio",
    "glommio",
    "compio",
    "blocking",
    "threadpool",
    "rayon",
    "async-io",
];

/// No further from the best peer than that, in either direction, is about equal.
const EQUAL: f64 = 1.1;

const WIDTH: f64 = 900.0;
const MARGIN: f64 = 16.0;
const TOP: f64 = 84.0;
const LINE: f64 = 26.0;
/// Where our own figure ends, and where the scale is.
const FIGURE_END: f64 = 350.0;
const SCALE: std::ops::Range<f64> = 368.0..676.0;
const VERDICT_AT: f64 = 688.0;
/// The scale goes from so many decades behind the best peer to so many ahead.
const DECADES: f64 = 2.0;

const STYLE: &str = "
  text { font: 13px system-ui, sans-serif; fill: #1f2328 }
  .title { font: 600 16px system-ui, sans-serif } .small { font-size: 11px } .faint { fill: #59636e }
  .page { fill: #ffffff } .grid { stroke: #d1d9e0 } .best { stroke: #59636e } .peer { fill: #8c959f; stroke: #ffffff }
  .ahead { fill: #1a7f37 } .equal { fill: #0969da } .behind { fill: #bc4c00 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .faint { fill: #9198a1 }
    .page { fill: #0d1117 } .grid { stroke: #3d444d } .best { stroke: #9198a1 } .peer { fill: #656c76; stroke: #0d1117 }
    .ahead { fill: #3fb950 } .equal { fill: #58a6ff } .behind { fill: #f0883e }
  }
";

/// One line of the picture.
struct Line {
    words: &'static str,
    /// Ours, with its unit.
    figure: String,
    /// The best peer over ours: more than 1 is ahead.
    ahead: f64,
    /// The best peer over each of the others.
    others: Vec<f64>,
    verdict: String,
}

impl Line {
    /// `None` where the row wasn't run, or there is nothing to compare with.
    fn new(
        &(id, placement, words): &(&str, Placement, &'static str),
        outcomes: &[Outcome],
    ) -> Option<Self> {
        let outcome = outcomes
            .iter()
            .find(|outcome| outcome.id == id && outcome.placement == placement)?;
        let ours = outcome.ours()?.median;
        let mut peers: Vec<_> = outcome
            .peers
            .iter()
            .filter(|peer| CRATES.contains(&peer.name.as_str()))
            .collect();
        peers.sort_by(|one, other| one.median.total_cmp(&other.median));
        let (best, others) = peers.split_first()?;
        let ahead = best.median / ours;
        Some(Self {
            words,
            figure: figure(ours, outcome.unit),
            ahead,
            others: others
                .iter()
                .map(|peer| best.median / peer.median)
                .collect(),
            verdict: verdict(ahead, outcome.unit, &best.name),
        })
    }

    fn class(&self) -> &'static str {
        match self.ahead {
            ahead if ahead > EQUAL => "ahead",
            ahead if ahead < 1.0 / EQUAL => "behind",
            _ => "equal",
        }
    }
}

/// Three digits at the most, where they say something.
fn figure(value: f64, unit: &str) -> String {
    let unit = unit.split('/').next().unwrap_or_default();
    let (value, unit) = match unit {
        "ns" if value >= 1e6 => (value / 1e6, "ms"),
        "ns" if value >= 1e3 => (value / 1e3, "\u{b5}s"),
        unit => (value, unit),
    };
    let digits = usize::from(value < 10.0 && value.fract() > 0.0);
    format!("{value:.digits$} {unit}")
}

fn verdict(ahead: f64, unit: &str, peer: &str) -> String {
    let [better, worse, equal] = match unit {
        "threads" => ["fewer than", "more than", "about as many as"],
        unit if unit.starts_with("bytes") => ["less than", "more than", "about as much as"],
        _ => ["faster than", "slower than", "about as fast as"],
    };
    let times = |factor: f64| format!("{factor:.*} x", usize::from(factor < 9.95));
    if ahead > EQUAL {
        format!("{} {better} {peer}", times(ahead))
    } else if ahead < 1.0 / EQUAL {
        format!("{} {worse} {peer}", times(1.0 / ahead))
    } else {
        format!("{equal} {peer}")
    }
}

pub fn picture(outcomes: &[Outcome], caption: &str) -> String {
    let lines = LINES.iter().filter_map(|line| Line::new(line, outcomes));
    let mut lines: Vec<Line> = lines.collect();
    lines.sort_by(|one, other| other.ahead.total_cmp(&one.ahead));
    let bottom = TOP + LINE * lines.len() as f64;
    let height = bottom + MARGIN;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"28\">Footbridge beside the best of its peers, on the same work</text>\n\
         <text class=\"small faint\" x=\"{MARGIN}\" y=\"46\">Times are for each call, job or task. \
         The dots are the other peers. {}</text>\n",
        escape(caption)
    );
    let scale = [
        (0.01, "100 x behind"),
        (0.1, "10 x"),
        (1.0, "best peer"),
        (10.0, "10 x"),
        (100.0, "100 x ahead"),
    ];
    for (ahead, label) in scale {
        let class = if ahead == 1.0 { "best" } else { "grid" };
        let x = at(ahead);
        let _ = writeln!(
            picture,
            "<text class=\"small faint\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\
             <line class=\"{class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{bottom}\"/>",
            TOP - 14.0,
            TOP - 8.0,
        );
    }
    for (number, line) in lines.iter().enumerate() {
        draw(&mut picture, line, TOP + LINE * number as f64);
    }
    picture.push_str("</svg>\n");
    picture
}

fn draw(picture: &mut String, line: &Line, top: f64) {
    let (baseline, middle) = (top + 17.0, top + LINE / 2.0);
    let class = line.class();
    let _ = writeln!(
        picture,
        "<text x=\"{MARGIN}\" y=\"{baseline}\">{}</text>\
         <text class=\"faint\" x=\"{FIGURE_END}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>\
         <text class=\"{class}\" x=\"{VERDICT_AT}\" y=\"{baseline}\">{}</text>",
        escape(line.words),
        escape(&line.figure),
        escape(&line.verdict),
    );
    // One that is equal has hardly any length, but is to be seen.
    let (one, ours) = (at(1.0), at(line.ahead));
    let (x, width) = (one.min(ours) - 1.5, (ours - one).abs() + 3.0);
    let _ = writeln!(
        picture,
        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{width:.1}\" height=\"12\" rx=\"1.5\"/>",
        middle - 6.0
    );
    // Over the bar, which may have passed some of them.
    for &other in &line.others {
        let x = at(other);
        let _ = writeln!(
            picture,
            "<circle class=\"peer\" cx=\"{x:.1}\" cy=\"{middle}\" r=\"3\"/>"
        );
    }
}

/// Where on the scale. What goes beyond it is at its end.
fn at(ahead: f64) -> f64 {
    let decades = ahead.log10().clamp(-DECADES, DECADES);
    SCALE.start + (SCALE.end - SCALE.start) * (decades + DECADES) / (2.0 * DECADES)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{LINES, Line, picture};
    use crate::lap::Lap;
    use crate::measure::Rounds;
    use crate::place::Placement::Free;
    use crate::report::Outcome;
    use crate::{bars, rows};

    fn outcome(id: &str, peers: &[(&str, f64)]) -> Outcome {
        let all = rows::all();
        let row = all.iter().find(|row| row.id == id).unwrap();
        let laps = |value| vec![Lap { value, cpu: value }];
        let peers = peers.iter();
        let rounds = Rounds {
            laps: peers
                .map(|&(name, value)| (name.into(), laps(value)))
                .collect(),
            ..Rounds::default()
        };
        Outcome::new(row, Free, &rounds)
    }

    fn line(id: &str, peers: &[(&str, f64)]) -> Line {
        let line = LINES.iter().find(|line| line.0 == id).unwrap();
        Line::new(line, &[outcome(id, peers)]).unwrap()
    }

    #[test]
    fn each_line_is_a_row_that_a_run_of_all_rows_makes() {
        for (id, placement, _) in LINES {
            assert!(rows::all().iter().any(|row| row.id == *id), "{id}");
            assert!(bars::placements(id).contains(placement), "{id}");
        }
    }

    #[test]
    fn a_line_says_how_far_ahead_of_the_best_peer_ours_is_or_how_far_behind_it() {
        for (ours, class, said) in [
            (10.0, "ahead", "8.0 x faster than rayon"),
            (75.0, "equal", "about as fast as rayon"),
            (85.0, "equal", "about as fast as rayon"),
            (160.0, "behind", "2.0 x slower than rayon"),
        ] {
            let line = line(
                "W5",
                &[("footbridge", ours), ("tokio", 200.0), ("rayon", 80.0)],
            );
            assert_eq!((line.class(), line.verdict.as_str()), (class, said));
        }
    }

    #[test]
    fn what_is_less_is_better_of_memory_and_of_threads_too() {
        let waiting = [("footbridge", 50.0), ("tokio", 100.0)];
        assert_eq!(line("W10", &waiting).verdict, "2.0 x less than tokio");
        let started = [("footbridge", 3.0), ("tokio", 300.0)];
        assert_eq!(line("W14", &started).verdict, "100 x fewer than tokio");
    }

    #[test]
    fn a_limit_is_no_peer_nor_is_a_crate_that_does_less_work() {
        let peers = [("footbridge", 2.0), ("2 x cores + 1", 1.0), ("tokio", 4.0)];
        assert_eq!(line("W14", &peers).verdict, "2.0 x fewer than tokio");
        let peers = [("footbridge", 2.0), ("rayon, counted", 1.0), ("rayon", 4.0)];
        assert_eq!(line("W6", &peers).verdict, "2.0 x faster than rayon");
    }

    #[test]
    fn the_line_furthest_ahead_comes_first_and_a_row_that_was_not_run_is_not_there() {
        let behind = outcome("W5", &[("footbridge", 4.0), ("tokio", 2.0)]);
        let ahead = outcome("W7", &[("footbridge", 2.0), ("tokio", 4.0)]);
        let picture = picture(&[behind, ahead], "");
        let place = |verdict| picture.find(verdict).unwrap();
        assert!(place("2.0 x faster than tokio") < place("2.0 x slower than tokio"));
        assert!(!picture.contains("memory"));
    }
}
