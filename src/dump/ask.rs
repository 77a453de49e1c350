//! Asks all loops, pools and limiters what they do.
//!
//! All questions are posted before the first answer is waited for.

use crate::bridge::report::{LimiterReport, limiters};
use crate::event_loop::report::{LOOPS, LoopNote, LoopReport, ask, report_here};
use crate::event_loop::scheduler::Inbox;
use crate::observe::pulse::Step;
use crate::pool::report::{PoolReport, pools};
use crate::sync::parker::{Parker, Woken};
use crate::sync::{Arc, Mutex, Ordering, Weak, current_thread, name_of};
use std::time::Instant;

#[derive(Default)]
pub(super) struct Reports {
    pub(super) loops: Vec<LoopState>,
    pub(super) pools: Vec<PoolReport>,
    pub(super) limiters: Vec<LimiterReport>,
}

pub(super) struct LoopState {
    /// An address that no other living loop has.
    pub(super) address: usize,
    pub(super) thread: String,
    pub(super) status: LoopStatus,
}

pub(super) enum LoopStatus {
    Described(LoopReport),
    /// No thread has run it.
    NotRun,
    /// It hasn't answered, and a thread runs it: for so long at least. What runs, and what the thread does, if that is known.
    Blocked(Option<Step>),
}

/// Where the loops leave their answers.
struct Answers {
    /// With the loops' addresses. `None`: the loop has ended before it answered.
    reports: Mutex<Vec<(usize, Option<LoopReport>)>>,
    parker: Parker,
}

/// A loop's answer. Its drop gives it.
struct Answer {
    /// The dump may have ended before.
    to: Weak<Answers>,
    address: usize,
    report: Option<LoopReport>,
}

impl Answer {
    fn give(mut self, report: LoopReport) {
        self.report = Some(report);
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(answers) = self.to.upgrade() {
            let answer = (self.address, self.report.take());
            answers.reports.lock().push(answer);
            answers.parker.unpark();
        }
    }
}

pub(super) fn all(deadline: Option<Instant>) -> Reports {
    if cfg!(footbridge_loom) {
        // What lives may be another model's, which runs on another thread just now.
        return Reports::default();
    }
    let answers = Arc::new(Answers {
        reports: Mutex::new(Vec::new()),
        parker: Parker::new(),
    });
    let mut loops = Vec::new();
    let mut asked = 0;
    for (inbox, note) in LOOPS.all() {
        let is_run = inbox.is_run.load(Ordering::Relaxed);
        let is_shown = is_run || !inbox.is_temporary.load(Ordering::Relaxed);
        if !is_shown {
            continue;
        }
        let here = report_here(&inbox);
        // This thread can't run another loop meanwhile.
        let can_answer = here.is_none() && inbox.owner() != current_thread();
        if can_answer {
            let answer = Answer {
                to: Arc::downgrade(&answers),
                address: address(&inbox),
                report: None,
            };
            ask(&inbox, move |report| answer.give(report));
            asked += 1;
        } else if inbox.is_closed() {
            continue;
        }
        loops.push((inbox, note, here));
    }
    while answers.reports.lock().len() < asked {
        if answers.parker.park(deadline) == Woken::TimedOut {
            break;
        }
    }
    let mut reports = std::mem::take(&mut *answers.reports.lock());
    let loops = loops.into_iter().filter_map(|(inbox, note, here)| {
        let address = address(&inbox);
        let answered = reports.iter().position(|(from, _)| *from == address);
        let answer = answered.map(|index| reports.swap_remove(index).1);
        Some(LoopState {
            address,
            thread: name_of(&note.thread),
            status: match here.map(Some).or(answer) {
                Some(answer) => LoopStatus::Described(answer?),
                None => silent(&inbox, &note),
            },
        })
    });
    Reports {
        loops: loops.collect(),
        pools: pools(),
        limiters: limiters(),
    }
}

/// An address that no other living loop has.
fn address(inbox: &Arc<Inbox>) -> usize {
    Arc::as_ptr(inbox).addr()
}

/// A loop that hasn't answered.
fn silent(inbox: &Inbox, note: &LoopNote) -> LoopStatus {
    if !inbox.is_run.load(Ordering::Relaxed) {
        return LoopStatus::NotRun;
    }
    let pulse = note.pulse.as_ref().and_then(|pulse| pulse.upgrade());
    LoopStatus::Blocked(pulse.and_then(|pulse| pulse.step()))
}
