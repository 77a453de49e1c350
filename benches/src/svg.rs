//! The picture: for each row and placement one bar for each peer, on a logarithmic scale.
//!
//! 1 is the best of the peers that the row's bars compare with: to the left of it is faster, to the right slower. A
//! tick shows where ours has to end. What goes beyond the scale is cut off, and has its number all the same.

use crate::place::Placement;
use crate::report::{OURS, Outcome, number};
use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const COLUMN: f64 = WIDTH / 2.0;
const MARGIN: f64 = 12.0;
/// Where the names end and the scale begins, within a column, and how long the scale is.
const SCALE_AT: f64 = 128.0;
const SCALE: f64 = 268.0;
const LINE: f64 = 14.0;
const GAP: f64 = 12.0;
/// The scale goes from so many decades below 1 to so many above.
const DECADES: f64 = 2.0;

const STYLE: &str = "
  text { font: 11px system-ui, sans-serif; fill: #24292f }
  .head { font-weight: 600 } .title { font: 600 15px system-ui, sans-serif } .faint { fill: #57606a }
  .page { fill: #ffffff } .theirs { fill: #a3adb8 } .ours { fill: #0f7b6c } .short { fill: #c2570c }
  .grid { stroke: #d0d7de } .one { stroke: #57606a } .asked { stroke: #24292f; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .faint { fill: #9aa4af } .page { fill: #0d1117 } .theirs { fill: #57606a }
    .ours { fill: #2fb6a0 } .short { fill: #f0883e } .grid { stroke: #30363d } .one { stroke: #9aa4af }
    .asked { stroke: #e6edf3 }
  }
";

/// One row in one placement, ready to be drawn.
struct Group {
    /// With its placement, unless it is left to the system.
    id: String,
    work: String,
    /// Name, ratio to the best peer.
    peers: Vec<(String, f64)>,
    /// Where ours has to end, the strictest of the bars on its time.
    asked: f64,
    passed: bool,
}

impl Group {
    /// `None` where there is no peer to compare with.
    fn new(outcome: &Outcome) -> Option<Self> {
        let verdicts = outcome.verdicts();
        let is_compared = |name: &str| {
            verdicts
                .iter()
                .any(|verdict| verdict.bar.peers.contains(&name))
        };
        let compared = outcome.peers.iter().filter(|peer| is_compared(&peer.name));
        let best = compared
            .map(|peer| peer.median)
            .fold(f64::INFINITY, f64::min);
        let ours = outcome.ours()?.median / best;
        if !ours.is_finite() || ours <= 0.0 {
            return None;
        }
        let asked = verdicts.iter().filter(|verdict| verdict.is_of_value());
        Some(Self {
            id: match outcome.placement {
                Placement::Free => outcome.id.into(),
                placement => format!("{} {placement}", outcome.id),
            },
            work: outcome.work.replace('`', ""),
            peers: outcome
                .peers
                .iter()
                .map(|peer| (peer.name.clone(), peer.median / best))
                .collect(),
            // Ours would have to be smaller or might be larger by what is left to the factor.
            asked: asked
                .map(|verdict| ours * verdict.bar.factor / verdict.ratio)
                .fold(f64::INFINITY, f64::min),
            passed: verdicts.iter().all(|verdict| verdict.passed()),
        })
    }

    fn height(&self) -> f64 {
        LINE * (self.peers.len() + 1) as f64 + GAP
    }
}

pub fn picture(outcomes: &[Outcome], caption: &str) -> String {
    let groups: Vec<Group> = outcomes.iter().filter_map(Group::new).collect();
    let top = 70.0;
    let half = groups.iter().map(Group::height).sum::<f64>() / 2.0;
    let (mut body, mut y, mut column, mut bottom) = (String::new(), top, 0.0, top);
    for group in &groups {
        if column == 0.0 && y - top >= half {
            (column, y) = (COLUMN, top);
        }
        draw(&mut body, group, column, y);
        y += group.height();
        bottom = f64::max(bottom, y);
    }
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {bottom:.0}\" \
         width=\"{WIDTH}\" height=\"{bottom:.0}\" role=\"img\">\n<style>{STYLE}</style>\n\
         <rect class=\"page\" width=\"100%\" height=\"100%\"/>\n"
    );
    let _ = writeln!(
        picture,
        "<text class=\"title\" x=\"{MARGIN}\" y=\"24\">Time of each (W10, W15: bytes; W14: threads), as a multiple of the best peer's</text>\n\
         <text class=\"faint\" x=\"{MARGIN}\" y=\"42\">Logarithmic; to the left is faster, and the tick is the bar: \
         where ours has to end. {}</text>",
        escape(caption)
    );
    for column in [0.0, COLUMN] {
        for label in ["0.01", "0.1", "1", "10", "100"] {
            let x = column + at(label.parse().unwrap_or(1.0));
            let _ = writeln!(
                picture,
                "<text class=\"faint\" x=\"{x:.1}\" y=\"62\" text-anchor=\"middle\">{label}</text>"
            );
        }
    }
    picture.push_str(&body);
    picture.push_str("</svg>\n");
    picture
}

fn draw(body: &mut String, group: &Group, column: f64, top: f64) {
    let names_end = column + SCALE_AT - 8.0;
    let (first, last) = (top + LINE, top + LINE * (group.peers.len() + 1) as f64);
    let (verdict, class) = if group.passed {
        ("pass", "ours")
    } else {
        ("short", "short")
    };
    let _ = writeln!(
        body,
        "<text x=\"{:.1}\" y=\"{:.1}\"><tspan class=\"head\">{}</tspan> {}</text>\
         <text class=\"head {class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{verdict}</text>",
        column + MARGIN,
        top + LINE - 5.0,
        escape(&group.id),
        escape(&group.work),
        column + COLUMN - MARGIN,
        top + LINE - 5.0,
    );
    for decade in [-2.0, -1.0, 0.0, 1.0, 2.0] {
        let x = column + at(10f64.powf(decade));
        let class = if decade == 0.0 { "one" } else { "grid" };
        let _ = writeln!(
            body,
            "<line class=\"{class}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{first:.1}\" y2=\"{last:.1}\"/>"
        );
    }
    for (line, (name, ratio)) in group.peers.iter().enumerate() {
        let y = first + LINE * line as f64;
        let (one, end) = (column + at(1.0), column + at(*ratio));
        let class = match (name == OURS, group.passed) {
            (false, _) => "theirs",
            (true, true) => "ours",
            (true, false) => "short",
        };
        // The best peer's bar has no length, but is to be seen.
        let (x, width) = (one.min(end) - 1.0, (end - one).abs() + 2.0);
        // Beside the bar, on the side where no tick is.
        let number_x = one.max(end) + 5.0;
        let _ = writeln!(
            body,
            "<text x=\"{names_end:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" rx=\"1\"/>\
             <text class=\"faint\" x=\"{number_x:.1}\" y=\"{:.1}\">{}</text>",
            y + LINE - 4.0,
            escape(name),
            y + 2.0,
            LINE - 4.0,
            y + LINE - 4.0,
            number(*ratio),
        );
        if name == OURS && group.asked.is_finite() {
            let x = column + at(group.asked);
            let _ = writeln!(
                body,
                "<line class=\"asked\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{y:.1}\" y2=\"{:.1}\"/>",
                y + LINE
            );
        }
    }
}

/// Where on the scale.
fn at(ratio: f64) -> f64 {
    let decades = ratio.log10().clamp(-DECADES, DECADES);
    SCALE_AT + SCALE * (decades + DECADES) / (2.0 * DECADES)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
