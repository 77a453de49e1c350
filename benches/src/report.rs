//! What the rounds of a row come to: medians, ratios, and whether the bar is met.

use crate::bars::{BARS, Bar, Of};
use crate::lap::Lap;
use crate::measure::Rounds;
use crate::place::Placement;
use crate::rows::Row;
use std::fmt::Write as _;

pub const OURS: &str = "footbridge";

/// One row in one placement.
pub struct Outcome {
    pub id: &'static str,
    pub work: &'static str,
    pub unit: &'static str,
    pub placement: Placement,
    pub peers: Vec<Figures>,
    /// The peers that can't run here, and why.
    pub left_out: Vec<(String, String)>,
    pub rounds: usize,
    pub discarded: usize,
    pub noisy: bool,
}

/// One peer's.
pub struct Figures {
    pub name: String,
    pub median: f64,
    pub mean: f64,
    pub minimum: f64,
    pub p90: f64,
    pub cpu: f64,
}

impl Figures {
    fn new(name: &str, laps: &[Lap]) -> Self {
        let sorted = |of: fn(&Lap) -> f64| {
            let mut values: Vec<f64> = laps.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let at =
            |values: &[f64], part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
        let values = sorted(|lap| lap.value);
        Self {
            name: name.into(),
            median: at(&values, 0.5),
            mean: values.iter().sum::<f64>() / values.len() as f64,
            minimum: at(&values, 0.0),
            p90: at(&values, 0.9),
            cpu: at(&sorted(|lap| lap.cpu), 0.5),
        }
    }
}

/// How a bar was met.
pub struct Verdict {
    pub bar: &'static Bar,
    pub ratio: f64,
}

impl Verdict {
    pub fn passed(&self) -> bool {
        self.ratio <= self.bar.factor
    }

    pub fn is_of_value(&self) -> bool {
        self.bar.of == Of::Value
    }

    pub fn word(&self) -> &'static str {
        if self.passed() {
            "pass"
        } else {
            "short of the bar"
        }
    }

    /// What is asked for: `<= 0.6 x the best of tokio, futures`.
    pub fn asked(&self) -> String {
        let factor = digits(self.bar.factor);
        let what = match self.bar.of {
            Of::Value => "",
            Of::Cpu => "CPU ",
            Of::Mean => "mean ",
            Of::Spread => return format!("the largest <= {factor} x the smallest"),
        };
        let best = if self.bar.peers.len() > 1 {
            "the best of "
        } else {
            ""
        };
        format!("{what}<= {factor} x {best}{}", self.bar.peers.join(", "))
    }
}

impl Outcome {
    pub fn new(row: &Row, placement: Placement, rounds: &Rounds) -> Self {
        Self {
            id: row.id,
            work: row.work,
            unit: row.unit,
            placement,
            peers: rounds
                .laps
                .iter()
                .map(|(name, laps)| Figures::new(name, laps))
                .collect(),
            left_out: rounds.left_out.clone(),
            rounds: rounds.laps.first().map_or(0, |(_, laps)| laps.len()),
            discarded: rounds.discarded,
            noisy: rounds.noisy,
        }
    }

    /// `None` where all are ours, of different sizes.
    pub fn ours(&self) -> Option<&Figures> {
        self.peers.iter().find(|peer| peer.name == OURS)
    }

    /// Ours over theirs, by the row's value.
    pub fn ratio(&self, peer: &Figures) -> Option<f64> {
        let ours = self.ours().filter(|ours| ours.name != peer.name)?;
        (peer.median > 0.0).then(|| over(ours.median, peer.median))
    }

    /// No bar is judged by peers of which none can run here.
    pub fn verdicts(&self) -> Vec<Verdict> {
        let is_left_out = |peer: &&str| self.left_out.iter().any(|(name, _)| name == peer);
        BARS.iter()
            .filter(|bar| bar.row == self.id && bar.placement == self.placement)
            .filter(|bar| bar.peers.is_empty() || !bar.peers.iter().all(is_left_out))
            .map(|bar| Verdict {
                bar,
                ratio: self.of(bar),
            })
            .collect()
    }

    fn of(&self, bar: &Bar) -> f64 {
        let value = |peer: &Figures| match bar.of {
            Of::Cpu => peer.cpu,
            Of::Mean => peer.mean,
            Of::Value | Of::Spread => peer.median,
        };
        if bar.of == Of::Spread {
            let largest = self.peers.iter().map(value).fold(f64::NAN, f64::max);
            let smallest = self.peers.iter().map(value).fold(f64::NAN, f64::min);
            return over(largest, smallest);
        }
        let is_compared = |peer: &&Figures| bar.peers.contains(&peer.name.as_str());
        // Without those that it compares, there is no ratio, and no bar met.
        let best = self
            .peers
            .iter()
            .filter(is_compared)
            .map(value)
            .fold(f64::NAN, f64::min);
        self.ours().map_or(f64::NAN, |ours| over(value(ours), best))
    }

    /// `21`, or `21 noisy`, where too few of them were quiet.
    pub fn rounds_text(&self) -> String {
        format!("{}{}", self.rounds, if self.noisy { " noisy" } else { "" })
    }

    /// As it is printed.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<8} {} [{}], {}: {} rounds{}\n  {:<16} {:>10} {:>10} {:>10} {:>10}  ours over theirs\n",
            self.id,
            self.work,
            self.unit,
            self.placement,
            self.rounds,
            match (self.noisy, self.discarded) {
                (true, _) => ", noisy: others were busy during most of them, and all count".into(),
                (false, 0) => String::new(),
                (false, discarded) => format!(", {discarded} noisy ones discarded"),
            },
            "",
            "median",
            "min",
            "p90",
            "CPU ns"
        );
        for peer in &self.peers {
            let numbers = [peer.median, peer.minimum, peer.p90, peer.cpu].map(number);
            let ratio = self.ratio(peer);
            let ratio = ratio.map_or(String::new(), number);
            let [median, minimum, p90, cpu] = numbers;
            let line = format!(
                "  {:<16} {median:>10} {minimum:>10} {p90:>10} {cpu:>10}  {ratio}",
                peer.name
            );
            let _ = writeln!(text, "{}", line.trim_end());
        }
        for (name, lack) in &self.left_out {
            let _ = writeln!(text, "  {name:<16} left out: {lack}");
        }
        for verdict in self.verdicts() {
            let _ = writeln!(
                text,
                "  {}: {}, asked {}",
                verdict.word(),
                number(verdict.ratio),
                verdict.asked()
            );
        }
        text
    }
}

/// A factor, without digits that say nothing.
fn digits(factor: f64) -> String {
    let digits = format!("{factor:.4}");
    digits.trim_end_matches('0').trim_end_matches('.').into()
}

/// Nothing at all is as good as it gets, even beside nothing at all.
fn over(ours: f64, theirs: f64) -> f64 {
    if ours == 0.0 && theirs == 0.0 {
        0.0
    } else {
        ours / theirs
    }
}

/// Three digits or more, and no false precision; a dash for what wasn't measured.
pub fn number(value: f64) -> String {
    match value {
        v if v.is_nan() => "-".into(),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 1.0 => format!("{v:.2}"),
        v if v >= 0.01 => format!("{v:.3}"),
        0.0 => "0".into(),
        v => format!("{v:.5}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Verdict};
    use crate::lap::Lap;
    use crate::measure::Rounds;
    use crate::place::Placement;
    use crate::rows;

    /// A row's outcome, where each peer takes the same in all three rounds but the last.
    fn outcome(id: &str, peers: &[(&str, f64)]) -> Outcome {
        let laps = |&(name, value)| (name, [value, value, value * 100.0]);
        let peers: Vec<_> = peers.iter().map(laps).collect();
        outcome_of(id, &peers)
    }

    fn outcome_of(id: &str, peers: &[(&str, [f64; 3])]) -> Outcome {
        let all = rows::all();
        let row = all.iter().find(|row| row.id == id).unwrap();
        let lap = |value| Lap { value, cpu: value };
        let rounds = Rounds {
            laps: peers
                .iter()
                .map(|&(name, laps)| (name.into(), laps.map(lap).into()))
                .collect(),
            ..Rounds::default()
        };
        Outcome::new(row, Placement::Free, &rounds)
    }

    #[test]
    fn a_bar_is_about_the_median_beside_that_of_the_best_of_its_peers() {
        let peers = [
            ("footbridge", 60.0),
            ("tokio", 300.0),
            ("async-executor", 100.0),
            ("futures", 200.0),
        ];
        let verdict = &outcome("W4t", &peers).verdicts()[0];
        assert_eq!((verdict.ratio, verdict.passed()), (0.6, true));
    }

    #[test]
    fn a_bar_without_its_peers_or_without_ours_is_not_met() {
        for peers in [[("footbridge", 1.0)], [("tokio", 1.0)]] {
            assert!(!outcome("W1", &peers).verdicts()[0].passed());
        }
    }

    #[test]
    fn a_bar_is_judged_by_the_peers_that_can_run_here_and_by_nothing_if_none_can() {
        let peers = [
            ("footbridge", 60.0),
            ("tokio", 100.0),
            ("async-executor", 100.0),
        ];
        let mut outcome = outcome("W1", &peers);
        assert_eq!(outcome.verdicts().len(), 2);
        outcome.left_out = vec![("monoio".into(), "no ring".into())];
        let asked: Vec<String> = outcome.verdicts().iter().map(Verdict::asked).collect();
        assert_eq!(asked, ["<= 0.45 x async-executor"]);
    }

    #[test]
    fn where_the_values_have_two_modes_the_bar_is_about_their_mean() {
        let laps = [
            ("footbridge", [1.0, 1.0, 7.0]),
            ("futures-lite", [1.0, 1.0, 4.0]),
        ];
        assert_eq!(outcome_of("W16", &laps).verdicts()[0].ratio, 1.5);
    }

    #[test]
    fn growth_is_the_largest_over_the_smallest_in_whatever_order() {
        let outcome = outcome("W9/growth", &[("1k", 20.0), ("10k", 10.0), ("1M", 21.0)]);
        let verdict = &outcome.verdicts()[0];
        assert_eq!((verdict.ratio, verdict.passed()), (2.1, false));
    }

    #[test]
    fn nothing_at_all_meets_a_bar_whose_ideal_is_nothing_and_anything_else_does_not() {
        for (ours, met) in [(0.0, true), (1.0, false)] {
            let outcome = outcome("W12", &[("footbridge", ours), ("ideal", 0.0)]);
            assert!(
                outcome
                    .verdicts()
                    .iter()
                    .all(|verdict| verdict.passed() == met)
            );
        }
    }
}
