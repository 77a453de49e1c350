//! What the system says of a thread: whether it wants a processor. Linux says it in `/proc`, in some 3 microseconds.

use std::sync::OnceLock;

/// Names a thread to the system, once that thread has said which it is.
#[derive(Default)]
pub(crate) struct SystemThread(OnceLock<Box<str>>);

impl SystemThread {
    /// This thread is the one.
    pub(crate) fn set_current(&self) {
        if let Ok(path) = std::fs::read_link("/proc/thread-self") {
            // "PID/task/TID"
            let _ = self.0.set(format!("/proc/{}/stat", path.display()).into());
        }
    }

    /// Whether it runs, or waits for a processor; `false`: it sleeps. `None`: the system doesn't say.
    pub(crate) fn wants_processor(&self) -> Option<bool> {
        let stat = std::fs::read(&**self.0.get()?).ok()?;
        state(&stat).map(|state| state == b'R')
    }
}

/// The letter after the thread's name, which is in parentheses and may hold some itself.
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
