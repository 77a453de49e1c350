//! `Blocked`: what the hook of [`on_blocked`](crate::EventLoopBuilder::on_blocked) is told. And the setting of the
//! environment, which has every loop watched.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// Called when a loop is blocked.
pub(crate) type BlockedHook = Box<dyn Fn(&Blocked) + Send + Sync>;

/// A loop is blocked: a poll, a callback or a drop on it has run for long.
///
/// Its text is one line:
///
/// ```
/// use footbridge::{EventLoop, spawn};
/// use std::{sync::mpsc, time::Duration};
///
/// let (tell, told) = mpsc::channel();
/// let mut event_loop = EventLoop::builder()
///     .on_blocked(Duration::from_millis(5), move |blocked| { let _ = tell.send(blocked.clone()); })
///     .build();
/// let blocked = event_loop.run_until(async {
///     spawn(async move { told.recv().unwrap() }).await.unwrap() // blocks the loop's thread until that is told
/// });
/// assert_eq!((blocked.spawned_at.file(), blocked.over), (file!(), false));
/// // "thread main: the loop has been blocked for 5.07 ms by what was spawned at src/main.rs:10:5 (in futex)"
/// assert!(blocked.to_string().contains(&format!("by what was spawned at {}", blocked.spawned_at)));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Blocked {
    /// The line that spawned what blocks: the call of `spawn`, `call_soon`, `run`, `run_until`, `block_on` or `syncify`. Of a
    /// waker that a timer calls, the call that runs the loop: `run`, `run_until` or `tick`.
    /// (In a program with thousands of such lines, some have a line of this crate instead.)
    pub spawned_at: &'static Location<'static>,
    /// The name of the loop's thread, or its number if it has no name.
    pub thread: String,
    /// How long it has blocked so far. A look at each quarter of the time that was asked for measures it: it is exact to
    /// such a quarter.
    pub so_far: Duration,
    /// What the thread does just now, as far as the system tells: `computing`, or the system call that it is in, such as
    /// `in futex` for a lock. On Linux only. `None` if it is over.
    pub doing: Option<String>,
    /// It is over: the loop goes on.
    pub over: bool,
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let has_been = if self.over { "was" } else { "has been" };
        write!(
            f,
            "thread {}: the loop {has_been} blocked for ",
            self.thread
        )?;
        f.write_str(&seconds(self.so_far))?;
        write!(f, " by what was spawned at {}", self.spawned_at)?;
        match &self.doing {
            Some(doing) => write!(f, " ({doing})"),
            None => Ok(()),
        }
    }
}

/// In milliseconds, or in seconds.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 0.1 {
        format!("{:.2} ms", seconds * 1000.0)
    } else {
        format!("{seconds:.2} s")
    }
}

/// What `FOOTBRIDGE_BLOCKED` asks for: how long a step may take. It is read once.
#[cfg(not(footbridge_loom))]
pub(super) fn asked_by_environment() -> Option<Duration> {
    use crate::sync::OnceLock;
    use std::io::Write;
    static ASKED: OnceLock<Option<Duration>> = OnceLock::new();
    *ASKED.get_or_init(|| {
        let text = std::env::var_os("FOOTBRIDGE_BLOCKED")?;
        let text = text.to_string_lossy();
        let after = duration_of(&text);
        if after.is_none() {
            // If stderr can't be written to, `eprintln` would panic, and so would the call that makes the loop.
            let _ = writeln!(
                std::io::stderr(),
                "footbridge: FOOTBRIDGE_BLOCKED={text} is no time, and no loop is watched: write 100ms, or 1s"
            );
        }
        after
    })
}

/// A whole number and its unit: `s`, `ms` or `us`.
#[cfg(not(footbridge_loom))]
fn duration_of(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let number = digits.parse().ok()?;
    match text[digits.len()..].trim_start() {
        "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "us" => Some(Duration::from_micros(number)),
        _ => None,
    }
}

#[cfg(all(test, not(footbridge_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_whole_number_and_a_unit() {
        assert_eq!(duration_of("100ms"), Some(Duration::from_millis(100)));
        assert_eq!(duration_of(" 2 s "), Some(Duration::from_secs(2)));
        assert_eq!(duration_of("250us"), Some(Duration::from_micros(250)));
        for text in ["", "ms", "100", "1.5s", "-1ms", "1 hour", "1ms2"] {
            assert_eq!(duration_of(text), None, "{text}");
        }
    }

    #[test]
    fn the_text_says_the_thread_the_time_the_line_and_what_the_thread_does() {
        let spawned_at = Location::caller();
        let mut blocked = Blocked {
            spawned_at,
            thread: "main".into(),
            so_far: Duration::from_millis(204),
            doing: Some("in futex".into()),
            over: false,
        };
        let text = format!(
            "thread main: the loop has been blocked for 0.20 s by what was spawned at {spawned_at} (in futex)"
        );
        assert_eq!(blocked.to_string(), text);
        (blocked.so_far, blocked.doing, blocked.over) = (Duration::from_millis(20), None, true);
        let text = format!(
            "thread main: the loop was blocked for 20.00 ms by what was spawned at {spawned_at}"
        );
        assert_eq!(blocked.to_string(), text);
    }
}
