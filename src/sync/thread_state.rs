//! Asks the system whether a thread wants a processor, and what it does. Linux answers through `/proc`. A query takes
//! 3 to 10 microseconds.

use super::system_calls;
use std::fs::File;
use std::io::{self, Read as _};
use std::sync::OnceLock;

/// What is asked for stands at the beginning of the file. One read takes it: `fs::read` makes six, as it doesn't know the length.
const BEGINNING: usize = 256;

/// Names a thread to the system. Empty until the thread has called `set_current`.
#[derive(Default)]
pub(crate) struct SystemThread(OnceLock<Box<str>>);

impl SystemThread {
    /// Stores the name of the current thread.
    pub(crate) fn set_current(&self) {
        if let Ok(path) = std::fs::read_link("/proc/thread-self") {
            // "PID/task/TID"
            let _ = self.0.set(format!("/proc/{}/", path.display()).into());
        }
    }

    /// The beginning of a file about the thread.
    fn read(&self, file: &str) -> Option<io::Result<Vec<u8>>> {
        let folder = self.0.get()?;
        let read = || {
            let mut beginning = vec![0; BEGINNING];
            let length = File::open(format!("{folder}{file}"))?.read(&mut beginning)?;
            beginning.truncate(length);
            Ok(beginning)
        };
        Some(read())
    }

    /// Whether the thread runs or waits for a processor. `false`: it sleeps. `None`: the system doesn't say.
    pub(crate) fn wants_processor(&self) -> Option<bool> {
        // The read may fail, for example for want of a file descriptor. If that counted as asleep, more threads would start.
        let is_running = |stat: Vec<u8>| state(&stat) == Some(b'R');
        Some(self.read("stat")?.map_or(true, is_running))
    }

    /// What the thread does just now, in a few words. `None`: the system doesn't say.
    pub(crate) fn doing(&self) -> Option<String> {
        doing(&String::from_utf8(self.read("syscall")?.ok()?).ok()?)
    }
}

/// The letter after the thread's name. The name is in parentheses, and may contain some.
fn state(stat: &[u8]) -> Option<u8> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    stat.get(end + 2).copied()
}

/// What the text of the system says: the number of a system call and its arguments, or that there is none.
fn doing(text: &str) -> Option<String> {
    match text.split_whitespace().next()? {
        "running" => Some("computing".into()),
        "-1" => Some("waiting in the kernel, in no system call".into()),
        number => match system_calls::name_of(number.parse().ok()?) {
            Some(name) => Some(format!("in {name}")),
            None => Some(format!("in system call {number}")),
        },
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_a_thread_does_is_read_off_the_number_of_its_system_call() {
        let doing = |text| super::doing(text);
        assert_eq!(doing("running\n").as_deref(), Some("computing"));
        let other = doing("9999 0x0 0x0 0x0 0x0 0x0 0x0 0x7ffd 0x7f12\n");
        assert_eq!(other.as_deref(), Some("in system call 9999"));
        assert!(doing("-1 0x7ffd 0x7f12\n").is_some());
        assert_eq!((doing(""), doing("unknown")), (None, None));
    }

    #[test]
    fn the_state_is_found_behind_a_name_with_parentheses() {
        assert_eq!(super::state(b"7 (a) R (b) S 1 7"), Some(b'S'));
        assert_eq!(super::state(b"7 (footbridge-0) R 1 7"), Some(b'R'));
        assert_eq!(super::state(b""), None);
        assert_eq!(super::state(b"7 (cut)"), None);
    }
}
