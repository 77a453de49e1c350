//! A terminal with the program in it: a pty, and a screen that understands what is written there.
//!
//! The rule: the screen is looked at between two frames only. The program marks where each begins and ends, and
//! what comes in between is held back until it is complete.

use portable_pty::{Child, CommandBuilder, PtyPair, PtySize, native_pty_system};
use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

/// For how long anything may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(120);

const BEGIN: &[u8] = b"\x1b[?2026h";
const END: &[u8] = b"\x1b[?2026l";

pub struct Session {
    pty: PtyPair,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn Write + Send>,
    seen: Arc<(Mutex<Seen>, Condvar)>,
    /// How the terminal was set before the program came.
    settings: String,
}

struct Seen {
    parser: vt100::Parser,
    frames: usize,
    most_running: usize,
}

/// A job's line on the screen.
#[derive(Debug)]
pub struct Bar {
    pub is_selected: bool,
    pub job: usize,
    pub length: usize,
    pub percent: usize,
    pub state: String,
}

/// All that are on the screen.
pub fn bars(screen: &vt100::Screen) -> Vec<Bar> {
    let (_, columns) = screen.size();
    let bar = |line: String| {
        let mut words = line.split_whitespace().peekable();
        let is_selected = words.next_if_eq(&">").is_some();
        Some(Bar {
            is_selected,
            job: words.next()?.parse().ok()?,
            length: words.next()?.chars().filter(|c| "█░".contains(*c)).count(),
            percent: words.next()?.strip_suffix('%')?.parse().ok()?,
            state: words.next()?.to_owned(),
        })
    };
    screen.rows(0, columns).filter_map(bar).collect()
}

/// How many of them say that they run.
pub fn running(screen: &vt100::Screen) -> usize {
    let bars = bars(screen);
    bars.iter().filter(|bar| bar.state == "running").count()
}

impl Session {
    pub fn start() -> Self {
        let (rows, columns) = (24, 80);
        let pty = native_pty_system().openpty(size(rows, columns)).unwrap();
        let settings = settings(&pty);
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_tui"));
        command.env("TERM", "xterm-256color");
        let child = pty.slave.spawn_command(command).unwrap();
        let keys = pty.master.take_writer().unwrap();
        let output = pty.master.try_clone_reader().unwrap();
        let seen = Seen {
            parser: vt100::Parser::new(rows, columns, 0),
            frames: 0,
            most_running: 0,
        };
        let seen = Arc::new((Mutex::new(seen), Condvar::new()));
        let watched = seen.clone();
        thread::spawn(move || watch(output, &watched));
        Self {
            pty,
            child,
            keys,
            seen,
            settings,
        }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    pub fn resize(&mut self, rows: u16, columns: u16) {
        self.seen().parser.set_size(rows, columns);
        self.pty.master.resize(size(rows, columns)).unwrap();
    }

    pub fn look<R>(&self, at: impl FnOnce(&vt100::Screen) -> R) -> R {
        at(self.seen().parser.screen())
    }

    /// Waits until the screen shows it.
    #[track_caller]
    pub fn until(&self, what: &str, mut is_so: impl FnMut(&vt100::Screen) -> bool) {
        let hasnt_come = |seen: &mut Seen| !is_so(seen.parser.screen());
        let (_, changed) = &*self.seen;
        let (seen, wait) = changed
            .wait_timeout_while(self.seen(), PATIENCE, hasnt_come)
            .unwrap();
        let contents = seen.parser.screen().contents();
        drop(seen);
        assert!(!wait.timed_out(), "never seen: {what}\n{contents}");
    }

    /// How many frames have been drawn.
    pub fn frames(&self) -> usize {
        self.seen().frames
    }

    /// How many jobs were shown to run at once, of all frames in that with the most.
    pub fn most_running(&self) -> usize {
        self.seen().most_running
    }

    /// Waits until the program has ended. Whether it did so without an error.
    pub fn exit(&mut self) -> bool {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            assert!(start.elapsed() < PATIENCE, "the program doesn't end");
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn is_taken_over(&self) -> bool {
        self.look(vt100::Screen::alternate_screen) && settings(&self.pty) != self.settings
    }

    /// Waits until the terminal is as it was before.
    #[track_caller]
    pub fn until_given_back(&self) {
        self.until("the screen and the cursor of before", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        assert_eq!(settings(&self.pty), self.settings);
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.0.lock().unwrap()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Of a test that failed; else it has ended by itself.
        let _ = self.child.kill();
    }
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize {
        rows,
        cols,
        ..PtySize::default()
    }
}

/// Whether it echoes, gives its input line by line, and so on.
fn settings(pty: &PtyPair) -> String {
    format!("{:?}", pty.master.get_termios().unwrap())
}

/// Has the screen show what the program writes, frame by frame.
fn watch(mut output: impl Read, (seen, changed): &(Mutex<Seen>, Condvar)) {
    let mut held = Vec::new();
    let mut chunk = [0; 4096];
    // The test keeps the terminal open, so this ends with the test.
    while let Ok(length @ 1..) = output.read(&mut chunk) {
        held.extend(&chunk[..length]);
        let mut seen = seen.lock().unwrap();
        while let Some(end) = find(&held, END) {
            let frame: Vec<_> = held.drain(..end + END.len()).collect();
            seen.parser.process(&frame);
            seen.frames += 1;
            seen.most_running = seen.most_running.max(running(seen.parser.screen()));
            changed.notify_all();
        }
        if find(&held, BEGIN).is_none() {
            // Not of a frame, unless it is the first bytes of the mark.
            let may_begin = |&first: &usize| held.ends_with(&BEGIN[..first]);
            let first = (1..BEGIN.len()).rev().find(may_begin).unwrap_or(0);
            let rest: Vec<_> = held.drain(..held.len() - first).collect();
            seen.parser.process(&rest);
            changed.notify_all();
        }
    }
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}
