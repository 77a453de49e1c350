//! Asks the system whether a thread wants a processor. Linux answers through `/proc`. A query takes about 3 microseconds.

use std::sync::OnceLock;

/// Names a thread to the system. Empty until the thread has called `set_current`.
#[derive(Default)]
pub(crate) struct SystemThread(OnceLock<Box<str>>);

impl SystemThread {
    /// Stores the name of the current thread.
    pub(crate) fn set_current(&self) {
        if let Ok(path) = std::fs::read_link("/proc/thread-self") {
            // "PID/task/TID"
            let _ = self.0.set(format!("/proc/{}/stat", path.display()).into());
        }
    }

    /// Whether the thread runs or waits for a processor. `false`: it sleeps. `None`: the system doesn't say.
    pub(crate) fn wants_processor(&self) -> Option<bool> {
        let path = self.0.get()?;
        // The read may fail, for example for want of a file descriptor. If that counted as asleep, more threads would start.
        let is_running = |stat: Vec<u8>| state(&stat) == Some(b'R');
        Some(std::fs::read(&**path).map_or(true, is_running))
    }
}

/// The letter after the thread's name. The name is in parentheses, and may contain some.
fn state(stat: &[u8]) -> Option<u8> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(end + 2).copied()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_state_is_found_behind_a_name_with_parentheses() {
        assert_eq!(super::state(b"7 (a) R (b) S 1 7"), Some(b'S'));
        assert_eq!(super::state(b"7 (footbridge-0) R 1 7"), Some(b'R'));
        assert_eq!(super::state(b""), None);
        assert_eq!(super::state(b"7 (cut)"), None);
    }
}
