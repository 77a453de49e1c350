//! A recording as a drawing: a lane for each thread, a rectangle for each slice, an arrow for each cause.
//!
//! It is self-contained: no script, no font of its own, and colours for light and dark.

use crate::observe::timeline::{ArrowEnd, Timeline};
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

/// A drawing of more slices can't be read.
const MOST: usize = 2000;

const WIDTH: f64 = 960.0;
const MARGIN: f64 = 10.0;
/// The height of a row, and of a thread's name.
const ROW: f64 = 18.0;
/// The width of a letter of the labels.
const LETTER: f64 = 6.2;

const STYLE: &str = "\
.trace{font:10px ui-monospace,monospace;fill:#24292f}\
.trace .name{font-weight:bold}\
.trace rect{stroke:#fff;stroke-width:.5}\
.trace .turn{fill:#d0d7de}.trace .poll{fill:#9ecbff}.trace .submit,.trace .post{fill:#c4a7e7}\
.trace .job{fill:#a2d9a1}.trace .wait{fill:#f6d88f}\
.trace path{stroke:#cf222e;fill:none;opacity:.7}.trace marker path{fill:#cf222e;stroke:none}\
@media(prefers-color-scheme:dark){.trace{fill:#e6edf3}.trace rect{stroke:#0d1117}\
.trace .turn{fill:#3d444d}.trace .poll{fill:#1f6feb}.trace .submit,.trace .post{fill:#8957e5}\
.trace .job{fill:#2a8a3e}.trace .wait{fill:#7d6008}.trace path{stroke:#ff7b72}.trace marker path{fill:#ff7b72}}";

struct Drawing<'a> {
    timeline: &'a Timeline,
    /// The top of each thread's lane.
    tops: Vec<f64>,
    /// The span of time that is drawn.
    begin: Duration,
    span: f64,
}

pub(super) fn write(timeline: &Timeline, mut to: impl Write) -> io::Result<()> {
    let slices = timeline.slices.len();
    if slices > MOST {
        let text = format!(
            "a drawing of {slices} slices can't be read, {MOST} at most: record for less time, or use write_chrome"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let mut height = MARGIN;
    let rows = (0..timeline.threads.len()).map(|thread| {
        let of_thread = timeline
            .slices
            .iter()
            .filter(|slice| slice.thread == thread);
        of_thread.map(|slice| slice.depth + 1).max().unwrap_or(0)
    });
    let tops = rows.map(|rows| {
        let top = height + ROW;
        height = top + ROW * rows as f64 + MARGIN;
        top
    });
    let tops = tops.collect();
    let begin = timeline.slices.iter().map(|slice| slice.begin).min();
    let end = timeline.slices.iter().map(|slice| slice.end).max();
    let begin = begin.unwrap_or_default();
    let drawing = Drawing {
        timeline,
        tops,
        begin,
        span: end.map_or(1.0, |end| (end - begin).as_secs_f64().max(1e-9)),
    };
    writeln!(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0} {:.0}\" class=\"trace\">\n<style>{STYLE}</style>",
        WIDTH + 2.0 * MARGIN,
        height + ROW
    )?;
    to.write_all(
        b"<defs><marker id=\"tip\" viewBox=\"0 0 6 6\" refX=\"6\" refY=\"3\" markerWidth=\"6\" markerHeight=\"6\" orient=\"auto\">\
<path d=\"M0 0L6 3L0 6z\"/></marker></defs>\n",
    )?;
    for (name, top) in timeline.threads.iter().zip(&drawing.tops) {
        writeln!(
            to,
            "<text class=\"name\" x=\"{MARGIN}\" y=\"{:.1}\">{}</text>",
            top - 5.0,
            Escaped(name)
        )?;
    }
    drawing.slices(&mut to)?;
    drawing.arrows(&mut to)?;
    let length = Duration::from_secs_f64(drawing.span);
    writeln!(
        to,
        "<text x=\"{MARGIN}\" y=\"{:.1}\">0</text>\n<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{length:.1?}</text>\n</svg>",
        height + 8.0,
        WIDTH + MARGIN,
        height + 8.0
    )?;
    to.flush()
}

impl Drawing<'_> {
    fn x(&self, at: Duration) -> f64 {
        MARGIN + WIDTH * at.saturating_sub(self.begin).as_secs_f64() / self.span
    }

    fn slices(&self, to: &mut impl Write) -> io::Result<()> {
        for slice in &self.timeline.slices {
            let (x, y) = (
                self.x(slice.begin),
                self.tops[slice.thread] + ROW * slice.depth as f64,
            );
            let width = (self.x(slice.end) - x).max(0.5);
            let text = slice.slice.to_string();
            write!(
                to,
                "<rect class=\"{}\" x=\"{x:.2}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{:.1}\"><title>{} ({:.1?}",
                slice.slice.kind(),
                ROW - 1.0,
                Escaped(&text),
                slice.end - slice.begin
            )?;
            if let Some(queued) = slice.queued {
                write!(to, ", queued for {queued:.1?}")?;
            }
            writeln!(to, ")</title></rect>")?;
            // As much of the text as there is room for.
            let room = (width / LETTER) as usize;
            if room > 3 {
                let label: String = text.chars().take(room - 1).collect();
                writeln!(
                    to,
                    "<text x=\"{:.2}\" y=\"{:.1}\" pointer-events=\"none\">{}</text>",
                    x + 3.0,
                    y + 12.0,
                    Escaped(&label)
                )?;
            }
        }
        Ok(())
    }

    fn arrows(&self, to: &mut impl Write) -> io::Result<()> {
        for arrow in &self.timeline.arrows {
            let ((x1, y1), (x2, y2)) = (self.point(arrow.from), self.point(arrow.to));
            writeln!(
                to,
                "<path d=\"M{x1:.2} {y1:.1}L{x2:.2} {y2:.1}\" marker-end=\"url(#tip)\"><title>{}</title></path>",
                arrow.arrow.name()
            )?;
        }
        Ok(())
    }

    fn point(&self, end: ArrowEnd) -> (f64, f64) {
        let slice = &self.timeline.slices[end.slice];
        let y = self.tops[slice.thread] + ROW * (slice.depth as f64 + 0.5);
        (self.x(end.at), y)
    }
}

/// A text of XML.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '&' => f.write_str("&amp;")?,
                control if control < ' ' => f.write_str("?")?,
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}
