//! Asks all loops, pools and limiters what they do.
//!
//! Pools and limiters are read first: a question wakes a loop, and its thread may be a pool's. All questions are posted
//! before the first answer is waited for. While a dump waits, it keeps no loop alive.

use crate::bridge::report::{LimiterReport, limiters};
use crate::event_loop::report::{Answers, LOOPS, LoopNote, LoopReport, ask, report_here};
use crate::event_loop::scheduler::Inbox;
use crate::observe::pulse::{Step, Word};
use crate::pool::report::{PoolReport, pools};
use crate::sync::{Arc, Ordering, Weak, current_thread, name_of};
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
    Described(Arc<LoopReport>),
    /// No thread runs it.
    NotRun,
    /// It hasn't answered, and a thread runs it. What has run since it was asked, and what the thread does, if that is known.
    Blocked(Option<Step>),
    /// It hasn't answered, and other things than when it was asked have run since.
    Busy,
    /// It is being dropped. What is being dropped just now, if that is known.
    Ending(Option<Step>),
}

/// The loops for which `is_asked` returns `true` have until the deadline to answer.
pub(super) fn all(deadline: Option<Instant>, is_asked: impl Fn(usize) -> bool) -> Reports {
    if cfg!(footbridge_loom) {
        // What lives may be another model's, which runs on another thread just now.
        return Reports::default();
    }
    let (pools, limiters) = (pools(), limiters());
    let answers = Arc::new(Answers::new());
    let mut loops = Vec::new();
    let mut asked = 0;
    for (inbox, note) in LOOPS.all() {
        if !is_shown(&inbox) || !is_asked(address(&inbox)) {
            continue;
        }
        let here = report_here(&inbox).map(|report| LoopStatus::Described(Arc::new(report)));
        let is_run = inbox.is_run.load(Ordering::Relaxed);
        let known = here.or((!is_run).then_some(LoopStatus::NotRun));
        // This thread can't run another loop meanwhile.
        let can_answer = known.is_none() && inbox.owner() != current_thread();
        if can_answer {
            ask(&inbox, &answers);
            asked += 1;
        }
        let asked_at = note.pulse.as_ref().and_then(Weak::upgrade);
        let asked_at = asked_at.map(|pulse| pulse.word());
        loops.push((Arc::downgrade(&inbox), note, known, asked_at));
    }
    let mut reports = answers.wait(asked, deadline);
    let loops = loops
        .into_iter()
        .filter_map(|(inbox, note, known, asked_at)| {
            let address = inbox.as_ptr().addr();
            let answer = reports.remove(&address).map(LoopStatus::Described);
            Some(LoopState {
                address,
                thread: name_of(&note.thread),
                status: known
                    .or(answer)
                    .or_else(|| silent(&inbox, &note, asked_at))?,
            })
        });
    Reports {
        loops: loops.collect(),
        pools,
        limiters,
    }
}

/// An address that no other living loop has.
fn address(inbox: &Arc<Inbox>) -> usize {
    Arc::as_ptr(inbox).addr()
}

/// A loop is shown until its end is over. One that is kept for the next `run` is shown only while it is run.
fn is_shown(inbox: &Inbox) -> bool {
    let is_kept = inbox.is_temporary.load(Ordering::Relaxed);
    inbox.is_run.load(Ordering::Relaxed) || !is_kept && !inbox.is_closed()
}

/// A loop that hasn't answered. `None`: it has ended.
fn silent(inbox: &Weak<Inbox>, note: &LoopNote, asked_at: Option<Word>) -> Option<LoopStatus> {
    let inbox = inbox.upgrade().filter(|inbox| is_shown(inbox))?;
    if !inbox.is_run.load(Ordering::Relaxed) {
        return Some(LoopStatus::NotRun);
    }
    let pulse = note.pulse.as_ref().and_then(Weak::upgrade);
    let step = pulse.as_ref().and_then(|pulse| pulse.step());
    Some(if inbox.is_closed() {
        LoopStatus::Ending(step)
    } else if pulse.map(|pulse| pulse.word()) != asked_at {
        LoopStatus::Busy
    } else {
        LoopStatus::Blocked(step)
    })
}
