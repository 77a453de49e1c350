//! What a loop knows of each task that hasn't ended or whose outcome wasn't taken: what waits for it, and how it ended.
//!
//! The loop's own handles find a task here by its key. No other thread does, so there are no locks and no atomics.
//!
//! | phase of a task | what ends the phase |
//! | --- | --- |
//! | *running* | the task ends, or its handle is polled |
//! | *awaited*, by a task or a [`Waiter`] | the task ends, or its handle is dropped: then it is *running* |
//! | *ended*, with an outcome | the handle is polled or dropped: then the key is vacant |
//!
//! If the task has no handle of the loop's own, the outcome is for the waiter, or is dropped. The key is vacant at once.
//!
//! The rule: no user code runs in here. What is to be woken or dropped is returned.

use crate::event_loop::join_cell::ErasedCell;
use crate::event_loop::slab::Slab;
use crate::event_loop::task::Outcome;
use crate::sync::Arc;
use std::task::Waker;

#[derive(Default)]
pub(crate) struct Joins {
    entries: Slab<JoinEntry>,
    waiters: Slab<Waiter>,
    outcomes: Slab<Outcome>,
}

/// Eight bytes: there are as many as there are tasks.
struct JoinEntry {
    phase: Phase,
    /// The key of the waiting task, of the waiter, or of the outcome.
    link: u32,
    /// A handle of the loop's own refers to this entry. The handle's key stays valid until it is dropped or has the outcome.
    has_handle: bool,
    /// The task is to be dropped instead of polled.
    aborted: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// Awaited by a task of the same loop, or by its main future. Its waker isn't cloned, which would cost two atomic
    /// operations. If that task ends and the handle lives on, a later task with its key may be polled once in vain.
    AwaitedByTask,
    Awaited,
    Ended,
}

/// What waits for a task from outside of the loop's own tasks.
pub(crate) enum Waiter {
    Waker(Waker),
    /// The cell of a handle that may be on another thread. It gets the outcome.
    Cell(Arc<dyn ErasedCell>),
}

/// What is left to be done after a task has ended.
pub(crate) enum Ended {
    /// Nothing: the outcome is kept for the handle.
    Kept,
    /// Kept, and the task with this key is to be woken.
    WakeTask(u32),
    Wake(Waker),
    Complete(Arc<dyn ErasedCell>, Outcome),
    /// To be dropped: the handle is gone.
    Unwanted(Outcome),
}

fn entry(entries: &mut Slab<JoinEntry>, key: u32) -> &mut JoinEntry {
    match entries.get_mut(key) {
        Some(entry) => entry,
        None => unreachable!("a task has its key until it has ended and its handle is gone"),
    }
}

impl Joins {
    /// A new task. Returns its key.
    pub(crate) fn insert(&mut self, has_handle: bool) -> u32 {
        self.entries.insert(JoinEntry {
            phase: Phase::Running,
            link: 0,
            has_handle,
            aborted: false,
        })
    }

    pub(crate) fn has_ended(&self, key: u32) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.phase == Phase::Ended)
    }

    /// The outcome, if the task has ended. Then the key is vacant.
    pub(crate) fn take_outcome(&mut self, key: u32) -> Option<Outcome> {
        let entry = entry(&mut self.entries, key);
        if entry.phase != Phase::Ended {
            return None;
        }
        let link = entry.link;
        self.entries.remove(key);
        self.outcomes.remove(link)
    }

    /// The task with the key `waiting` waits for the one with `key`, which hasn't ended. Returns the former waiter.
    pub(crate) fn await_by_task(&mut self, key: u32, waiting: u32) -> Option<Waiter> {
        self.set_phase(key, Phase::AwaitedByTask, waiting)
    }

    /// As [`await_by_task`](Self::await_by_task), for another waiter.
    pub(crate) fn await_by(&mut self, key: u32, waiter: Waiter) -> Option<Waiter> {
        let link = self.waiters.insert(waiter);
        self.set_phase(key, Phase::Awaited, link)
    }

    fn set_phase(&mut self, key: u32, phase: Phase, link: u32) -> Option<Waiter> {
        let entry = entry(&mut self.entries, key);
        let former = (entry.phase == Phase::Awaited).then_some(entry.link);
        (entry.phase, entry.link) = (phase, link);
        self.waiters.remove(former?)
    }

    /// The handle goes, and with it what it waited for: the waiter or the outcome.
    pub(crate) fn detach(&mut self, key: u32) -> (Option<Waiter>, Option<Outcome>) {
        if let Some(outcome) = self.take_outcome(key) {
            return (None, Some(outcome));
        }
        entry(&mut self.entries, key).has_handle = false;
        (self.set_phase(key, Phase::Running, 0), None)
    }

    /// The task has ended, and its future is gone.
    pub(crate) fn end(&mut self, key: u32, outcome: Outcome) -> Ended {
        let entry = entry(&mut self.entries, key);
        let (phase, link) = (entry.phase, entry.link);
        if entry.has_handle {
            entry.phase = Phase::Ended;
            entry.link = self.outcomes.insert(outcome);
            return match phase {
                Phase::AwaitedByTask => Ended::WakeTask(link),
                Phase::Awaited => match self.waiters.remove(link) {
                    Some(Waiter::Waker(waker)) => Ended::Wake(waker),
                    _ => unreachable!("a cell waits for a task without a handle of the loop's own"),
                },
                Phase::Running | Phase::Ended => Ended::Kept,
            };
        }
        self.entries.remove(key);
        match phase {
            Phase::Awaited => match self.waiters.remove(link) {
                Some(Waiter::Cell(cell)) => Ended::Complete(cell, outcome),
                _ => unreachable!("without a handle, only a cell waits"),
            },
            _ => Ended::Unwanted(outcome),
        }
    }

    /// Marks the task, unless it has ended. `true`: the loop has to drop it.
    pub(crate) fn abort(&mut self, key: u32) -> bool {
        let entry = entry(&mut self.entries, key);
        entry.phase != Phase::Ended && !std::mem::replace(&mut entry.aborted, true)
    }

    /// As [`abort`](Self::abort), for the cell's task. By now, the key may be another task's.
    pub(crate) fn abort_for(&mut self, key: u32, cell: &Arc<dyn ErasedCell>) -> bool {
        let entry = self.entries.get(key);
        let entry = entry.filter(|entry| entry.phase == Phase::Awaited);
        match entry.and_then(|entry| self.waiters.get(entry.link)) {
            Some(Waiter::Cell(waiting)) => Arc::ptr_eq(waiting, cell) && self.abort(key),
            _ => false,
        }
    }

    /// Whether the task with this key is to be dropped. `false` for a vacant key.
    pub(crate) fn is_aborted(&self, key: u32) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.aborted)
    }
}
