//! A dump: what each loop, pool and limiter of the process does just now, and what waits for what.
//!
//! ```text
//!   dump ---> all pools and limiters          read under their locks, one after the other
//!        ---> all loops, by a post            each describes its own tables; one that doesn't answer is blocked
//!        ---> Picture                         the reports, put together by the wakers that they keep
//!        ---> text                            lines, with what is alike counted
//! ```
//!
//! The rule: a dump polls nothing, calls no user code, and holds no lock while it waits.

mod ask;
mod picture;
mod text;

use crate::sync::now;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::Location;
use std::time::Duration;

/// Says what each loop, pool and limiter of the process does just now, and what waits for what. For a program that hangs: call
/// it from any thread, on a signal say, and print what it returns.
///
/// Each loop that a thread runs is asked to describe itself, on that thread. If one doesn't answer within `patience`, the dump
/// says so: it is blocked. A loop that no thread runs just now isn't asked, as its [host](crate::EventLoopBuilder::on_wake)
/// isn't called. If a blocked loop is watched, by [`on_blocked`](crate::EventLoopBuilder::on_blocked) or by
/// `FOOTBRIDGE_BLOCKED`, the dump also says which line spawned what blocks it. `patience` is for all loops together,
/// and may be spent twice if there is a deadlock. With zero, only the loop of this thread answers for sure.
///
/// No future is polled for it, and nothing is recorded for it beforehand that would cost anything. So some things stay unknown.
/// They are shown as *something else*:
///
/// - what a task waits for through a waker that isn't the loop's own: a channel, a future of a [`gather`](crate::gather()), a
///   child of a [`scope`](crate::scope());
/// - of a loop whose task calls `dump` itself: all but timers and tasks of the same loop;
/// - what a task waits for that is polled for a job which holds a token, in [`syncify`](crate::syncify()) or
///   [`block_on`](crate::Handle::block_on);
/// - what a job waits for that runs a loop of its own, in [`run`](crate::run()) or
///   [`run_until`](crate::EventLoop::run_until), or that waits in [`shutdown`](crate::Pool::shutdown);
/// - what a thread waits for outside of this crate. On Linux, the name of the system call is shown.
///
/// Threads that are neither of a pool nor of a loop aren't shown. So a circle through one of these things isn't found, or isn't
/// called a deadlock.
///
/// A dump isn't taken at one moment: first pools and limiters are read, then the loops answer. A [`Cycle`] that is called a
/// deadlock was found twice, each wait in it the same. With [`Duration::MAX`], a dump never returns if a loop doesn't answer.
///
/// Under `--cfg footbridge_loom` a dump is empty.
///
/// ```
/// use footbridge::{Handle, dump, run, spawn, spawn_blocking};
/// use std::{future::pending, time::Duration};
///
/// let text = run(async {
///     spawn(pending::<()>());
///     spawn_blocking(|| dump(Duration::from_secs(1)).to_string()).await
/// });
/// // loop on thread main: 2 tasks
/// //   the main future, entered at src/main.rs:4:12, waits for a job submitted at src/main.rs:6:5
/// //   a task spawned at src/main.rs:5:5 waits for something else
/// // pool footbridge: 1 of at most 512 threads, none idle, no job queued
/// //   footbridge-0 has run a job submitted at src/main.rs:6:5 for 0.03 ms (computing)
/// assert!(text.contains("waits for a job submitted at"));
/// ```
#[must_use = "a dump does nothing but say what it has seen"]
pub fn dump(patience: Duration) -> Dump {
    let deadline = now().checked_add(patience);
    let picture = picture::Picture::of(ask::all(deadline, |_| true));
    let mut dump = Dump {
        lines: text::lines(&picture),
        waits: picture.waits(),
        cycles: picture.cycles(),
    };
    if dump.cycles.iter().any(|cycle| cycle.is_deadlock) {
        // The parts of a picture are from different moments. If the second one has the same knot, each wait in it was there
        // throughout, so at the moment of each part.
        let deadline = now().checked_add(patience);
        let again = picture::Picture::of(ask::all(deadline, |of| picture.describes(of)));
        let knots = again.knots();
        for cycle in &mut dump.cycles {
            cycle.is_deadlock &= knots.contains(&cycle.identity);
        }
    }
    dump
}

/// What [`dump`](crate::dump()) has seen. Its text has a line for each thing that runs or waits. Things of one place that do
/// the same share a line.
///
/// ```
/// let dump = footbridge::dump(std::time::Duration::from_millis(100));
/// eprintln!("{dump}");
/// assert!(dump.cycles().iter().all(|cycle| !cycle.is_deadlock));
/// ```
#[derive(Debug, Clone)]
pub struct Dump {
    lines: Vec<String>,
    waits: Vec<Wait>,
    cycles: Vec<Cycle>,
}

impl Dump {
    /// What waits for what. [`Wait`] has an example.
    pub fn waits(&self) -> &[Wait] {
        &self.waits
    }

    /// What waits for itself through others. [`Cycle`] has an example.
    pub fn cycles(&self) -> &[Cycle] {
        &self.cycles
    }
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        for cycle in &self.cycles {
            writeln!(f, "{cycle}")?;
        }
        Ok(())
    }
}

/// So many things that are alike wait for the same thing.
///
/// ```
/// use footbridge::{Party, dump, run, spawn, spawn_blocking, time::sleep};
/// use std::time::Duration;
///
/// let dump = run(async {
///     for _ in 0..3 {
///         spawn(sleep(Duration::MAX));
///     }
///     spawn_blocking(|| dump(Duration::from_secs(1))).await
/// });
/// let sleeping = dump.waits().iter().find(|wait| wait.on == Party::Timer).unwrap();
/// assert_eq!(sleeping.count, 3);
/// assert!(sleeping.to_string().ends_with(", which waits for a timer"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// What waits.
    pub from: Party,
    /// What it waits for.
    pub on: Party,
    /// How many wait like this, from 1.
    pub count: usize,
}

impl Wait {
    fn verb(&self) -> &'static str {
        match self.from {
            Party::Limiter { .. } => "has given a token to",
            _ => "waits for",
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, on, count } = self;
        if *count == 1 {
            write!(f, "{from} {} {on}", self.verb())
        } else {
            write!(f, "{count} times {from}, which {} {on}", self.verb())
        }
    }
}

/// What waits, or is waited for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Party {
    /// A task of a loop. In a program with more than 4,000 places that spawn, some have a place in this crate instead.
    #[non_exhaustive]
    Task {
        /// The line that spawned it.
        spawned_at: &'static Location<'static>,
        /// The name of its loop's thread, or its number if it has no name.
        thread: String,
    },
    /// The main future of a loop.
    #[non_exhaustive]
    Main {
        /// The call of [`run`](crate::run) or [`run_until`](crate::EventLoop::run_until).
        entered_at: &'static Location<'static>,
        /// As that of a task.
        thread: String,
    },
    /// A job.
    #[non_exhaustive]
    Job {
        /// The line that submitted it, or that wrapped its function.
        submitted_at: &'static Location<'static>,
    },
    /// The tokens of a limiter.
    #[non_exhaustive]
    Limiter {
        /// How many tokens it has.
        total: usize,
    },
    /// A timer.
    Timer,
    /// What a dump doesn't know.
    Other,
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Task { spawned_at, .. } => write!(f, "a task spawned at {spawned_at}"),
            Self::Main { entered_at, .. } => write!(f, "the main future entered at {entered_at}"),
            Self::Job { submitted_at } => write!(f, "a job submitted at {submitted_at}"),
            Self::Limiter { total } => write!(f, "a limiter of {total}"),
            Self::Timer => f.write_str("a timer"),
            Self::Other => f.write_str("something else"),
        }
    }
}

/// Waits that lead from a thing back to itself.
///
/// ```
/// use footbridge::{JoinHandle, dump, run, spawn, spawn_blocking, yield_now};
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// let dump = run(async {
///     let own: Rc<Cell<Option<JoinHandle<()>>>> = Rc::default();
///     let handle = own.clone();
///     own.set(Some(spawn(async move {
///         yield_now().await;
///         let task = handle.take();
///         let _ = task.unwrap().await; // waits for itself
///     })));
///     yield_now().await;
///     yield_now().await;
///     spawn_blocking(|| dump(Duration::from_secs(1))).await
/// });
/// let [cycle] = dump.cycles() else { panic!("{dump}") };
/// assert!(cycle.is_deadlock);
/// // deadlock: a task spawned at src/main.rs:7:20 waits for a task spawned at src/main.rs:7:20
/// println!("{cycle}");
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cycle {
    /// The waits, each beginning where another one ends. Those that are alike are one, with their count.
    pub waits: Vec<Wait>,
    /// Nothing that was begun can end these waits: each of them is all that its thing waits for, and nothing else has a waker
    /// of it. A cancel from outside, an abort, the end of a loop and more tokens could still end them.
    pub is_deadlock: bool,
    identity: BTreeSet<picture::WaitId>,
}

/// The text of a cycle has at most so many waits.
const MOST_WAITS: usize = 100;

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_deadlock {
            "deadlock: "
        } else {
            "a circle, which something else may end: "
        })?;
        let mut before: Option<&Party> = None;
        for wait in self.waits.iter().take(MOST_WAITS) {
            match before {
                Some(before) if *before == wait.from && wait.count == 1 => {
                    write!(f, ", which {} {}", wait.verb(), wait.on)?;
                }
                Some(_) => write!(f, "; {wait}")?,
                None => write!(f, "{wait}")?,
            }
            before = Some(&wait.on);
        }
        match self.waits.len().saturating_sub(MOST_WAITS) {
            0 => Ok(()),
            more => write!(f, "; and {more} waits more"),
        }
    }
}
