//! A recording in the Trace Event Format, which Perfetto and chrome://tracing open.
//!
//! What each of the two asks for: times in microseconds; thread numbers from 1; the names of threads without a time; slices
//! of a thread that nest; an arrow's ends with one id, category and name, each at a time within its slice, the later one in the file
//! with `"bp":"e"`.

use crate::observe::timeline::Timeline;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

pub(super) fn write(timeline: &Timeline, mut to: impl Write) -> io::Result<()> {
    writeln!(
        to,
        "{{\"displayTimeUnit\":\"ms\",\"otherData\":{{\"lost_events\":\"{}\"}},\"traceEvents\":[",
        timeline.lost
    )?;
    write!(
        to,
        "{{\"ph\":\"M\",\"pid\":1,\"tid\":1,\"name\":\"process_name\",\"args\":{{\"name\":\"footbridge\"}}}}"
    )?;
    for (thread, name) in timeline.threads.iter().enumerate() {
        write!(
            to,
            ",\n{{\"ph\":\"M\",\"pid\":1,\"tid\":{},\"name\":\"thread_name\",\"args\":{{\"name\":{}}}}}",
            thread + 1,
            Quoted(name)
        )?;
    }
    for slice in &timeline.slices {
        write!(
            to,
            ",\n{{\"ph\":\"X\",\"pid\":1,\"tid\":{},\"ts\":{},\"dur\":{},\"cat\":\"{}\",\"name\":{}",
            slice.thread + 1,
            Micros(slice.begin),
            Micros(slice.end - slice.begin),
            slice.slice.kind(),
            Quoted(&slice.slice.to_string())
        )?;
        if let Some(queued) = slice.queued {
            write!(to, ",\"args\":{{\"queued_us\":{}}}", Micros(queued))?;
        }
        write!(to, "}}")?;
    }
    for (number, arrow) in timeline.arrows.iter().enumerate() {
        let ends = [
            (&arrow.from, "\"ph\":\"s\""),
            (&arrow.to, "\"ph\":\"f\",\"bp\":\"e\""),
        ];
        for (end, phase) in ends {
            write!(
                to,
                ",\n{{{phase},\"pid\":1,\"tid\":{},\"ts\":{},\"id\":{},\"cat\":\"arrow\",\"name\":\"{}\"}}",
                timeline.slices[end.slice].thread + 1,
                Micros(end.at),
                number + 1,
                arrow.arrow.name()
            )?;
        }
    }
    for (number, life) in timeline.lives.iter().enumerate() {
        for ((thread, at), phase) in [(life.begin, "b"), (life.end, "e")] {
            write!(
                to,
                ",\n{{\"ph\":\"{phase}\",\"pid\":1,\"tid\":{},\"ts\":{},\"id\":{},\"cat\":\"task\",\"name\":{}}}",
                thread + 1,
                Micros(at),
                number + 1,
                Quoted(&format!("task {}", life.spawned_at))
            )?;
        }
    }
    to.write_all(b"\n]}\n")?;
    to.flush()
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
