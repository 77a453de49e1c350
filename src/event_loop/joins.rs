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
//! But if the key is in the ready queue, it isn't vacant until the loop takes it from there. Else that entry would count as
//! a wake of a later task.
//!
//! The rule: no user code runs in here. What is to be woken or dropped is returned.

use crate::event_loop::join_cell::ErasedCell;
use crate::event_loop::slab::Slab;
use crate::event_loop::task::Outcome;
use crate::observe::sites::Site;
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
    /// The key of the waiting task, of the waiter, or of the outcome.
    link: u32,
    /// Where the task was spawned. [`Site::UNLISTED`] before it was found pending.
    site: Site,
    phase: JoinPhase,
    flags: u8,
}

/// A handle of the loop's own refers to this entry. The handle's key stays valid until it is dropped or has the outcome.
const HAS_HANDLE: u8 = 1;
/// The task is to be dropped instead of polled.
const ABORTED: u8 = 2;
/// The task has ended though it was woken: its key is still in the ready queue.
const IS_QUEUED: u8 = 4;

impl JoinEntry {
    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u8) {
        self.flags |= flag;
    }

    fn clear(&mut self, flag: u8) {
        self.flags &= !flag;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum JoinPhase {
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

/// What waits for a task, seen from outside.
pub(crate) enum JoinWait<'a> {
    Task(u32),
    Waiter(&'a Waiter),
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
            link: 0,
            site: Site::UNLISTED,
            phase: JoinPhase::Running,
            flags: if has_handle { HAS_HANDLE } else { 0 },
        })
    }

    /// The task was found pending.
    pub(crate) fn set_site(&mut self, key: u32, site: Site) {
        entry(&mut self.entries, key).site = site;
    }

    /// The tasks that were found pending and haven't ended, with their sites.
    pub(crate) fn pending(&self) -> impl Iterator<Item = (u32, Site)> {
        let entries = self.entries.entries();
        let pending = entries
            .filter(|(_, entry)| entry.phase != JoinPhase::Ended && entry.site != Site::UNLISTED);
        pending.map(|(key, entry)| (key, entry.site))
    }

    /// What waits for which task, by the task's key.
    pub(crate) fn awaited(&self) -> impl Iterator<Item = (JoinWait<'_>, u32)> {
        self.entries.entries().filter_map(|(key, entry)| {
            let waits = match entry.phase {
                JoinPhase::AwaitedByTask => JoinWait::Task(entry.link),
                JoinPhase::Awaited => JoinWait::Waiter(self.waiters.get(entry.link)?),
                JoinPhase::Running | JoinPhase::Ended => return None,
            };
            Some((waits, key))
        })
    }

    pub(crate) fn has_ended(&self, key: u32) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.phase == JoinPhase::Ended)
    }

    /// The outcome, if the task has ended. Then the key is vacant.
    pub(crate) fn take_outcome(&mut self, key: u32) -> Option<Outcome> {
        let entry = entry(&mut self.entries, key);
        if entry.phase != JoinPhase::Ended {
            return None;
        }
        let link = entry.link;
        if entry.is(IS_QUEUED) {
            entry.clear(HAS_HANDLE);
        } else {
            self.entries.remove(key);
        }
        self.outcomes.remove(link)
    }

    /// The task with the key `waiting` waits for the one with `key`, which hasn't ended. Returns the former waiter.
    pub(crate) fn await_by_task(&mut self, key: u32, waiting: u32) -> Option<Waiter> {
        self.set_phase(key, JoinPhase::AwaitedByTask, waiting)
    }

    /// As [`await_by_task`](Self::await_by_task), for another waiter.
    pub(crate) fn await_by(&mut self, key: u32, waiter: Waiter) -> Option<Waiter> {
        let link = self.waiters.insert(waiter);
        self.set_phase(key, JoinPhase::Awaited, link)
    }

    fn set_phase(&mut self, key: u32, phase: JoinPhase, link: u32) -> Option<Waiter> {
        let entry = entry(&mut self.entries, key);
        let former = (entry.phase == JoinPhase::Awaited).then_some(entry.link);
        (entry.phase, entry.link) = (phase, link);
        self.waiters.remove(former?)
    }

    /// The handle goes, and with it what it waited for: the waiter or the outcome.
    pub(crate) fn detach(&mut self, key: u32) -> (Option<Waiter>, Option<Outcome>) {
        if let Some(outcome) = self.take_outcome(key) {
            return (None, Some(outcome));
        }
        entry(&mut self.entries, key).clear(HAS_HANDLE);
        (self.set_phase(key, JoinPhase::Running, 0), None)
    }

    /// The task has ended, and its future is gone.
    pub(crate) fn end(&mut self, key: u32, outcome: Outcome) -> Ended {
        let entry = entry(&mut self.entries, key);
        let (phase, link) = (entry.phase, entry.link);
        if entry.is(HAS_HANDLE) {
            entry.phase = JoinPhase::Ended;
            entry.link = self.outcomes.insert(outcome);
            return match phase {
                JoinPhase::AwaitedByTask => Ended::WakeTask(link),
                JoinPhase::Awaited => match self.waiters.remove(link) {
                    Some(Waiter::Waker(waker)) => Ended::Wake(waker),
                    _ => unreachable!("a cell waits for a task without a handle of the loop's own"),
                },
                JoinPhase::Running | JoinPhase::Ended => Ended::Kept,
            };
        }
        if entry.is(IS_QUEUED) {
            entry.phase = JoinPhase::Ended;
        } else {
            self.entries.remove(key);
        }
        match phase {
            JoinPhase::Awaited => match self.waiters.remove(link) {
                Some(Waiter::Cell(cell)) => Ended::Complete(cell, outcome),
                _ => unreachable!("without a handle, only a cell waits"),
            },
            _ => Ended::Unwanted(outcome),
        }
    }

    /// The task ends, and its key is still in the ready queue. The key isn't vacant before [`unqueue`](Self::unqueue).
    pub(crate) fn keep_queued(&mut self, key: u32) {
        entry(&mut self.entries, key).set(IS_QUEUED);
    }

    /// The loop has taken the key of a task that has ended from the ready queue.
    pub(crate) fn unqueue(&mut self, key: u32) {
        let entry = entry(&mut self.entries, key);
        entry.clear(IS_QUEUED);
        if !entry.is(HAS_HANDLE) {
            self.entries.remove(key);
        }
    }

    /// Marks the task, unless it has ended. `true`: the loop has to drop it.
    pub(crate) fn abort(&mut self, key: u32) -> bool {
        let entry = entry(&mut self.entries, key);
        let is_first = entry.phase != JoinPhase::Ended && !entry.is(ABORTED);
        entry.set(ABORTED);
        is_first
    }

    /// Whether the task is to be dropped. An abort on another thread may not have reached the loop yet. So the cell is
    /// asked, too.
    pub(crate) fn is_aborted(&self, key: u32) -> bool {
        let Some(entry) = self.entries.get(key) else {
            return false;
        };
        let waiter = match entry.phase {
            JoinPhase::Awaited => self.waiters.get(entry.link),
            _ => None,
        };
        entry.is(ABORTED) || matches!(waiter, Some(Waiter::Cell(cell)) if cell.is_aborted())
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, Joins, Waiter};
    use std::task::Waker;

    impl Joins {
        fn is_empty(&self) -> bool {
            self.entries.len() + self.waiters.len() + self.outcomes.len() == 0
        }

        /// The task ends. `is_queued`: it was woken, and the loop finds its key in the ready queue later.
        fn end_task(&mut self, key: u32, is_queued: bool) -> Ended {
            if is_queued {
                self.keep_queued(key);
            }
            self.end(key, Box::new(()))
        }
    }

    #[test]
    fn nothing_is_left_of_a_task_that_has_ended_and_whose_handle_is_gone() {
        for is_queued in [false, true] {
            let mut joins = Joins::default();
            let taken = joins.insert(true);
            let dropped = joins.insert(true);
            let detached = joins.insert(true);
            assert!(joins.await_by_task(taken, dropped).is_none());
            assert!(joins.detach(detached).1.is_none());
            assert!(
                matches!(joins.end_task(taken, is_queued), Ended::WakeTask(key) if key == dropped)
            );
            assert!(matches!(joins.end_task(dropped, is_queued), Ended::Kept));
            assert!(matches!(
                joins.end_task(detached, is_queued),
                Ended::Unwanted(_)
            ));
            assert!(joins.take_outcome(taken).is_some());
            assert!(joins.detach(dropped).1.is_some());
            for key in [taken, dropped, detached].into_iter().filter(|_| is_queued) {
                assert!(!joins.is_empty(), "the key is in the ready queue");
                joins.unqueue(key);
            }
            assert!(joins.is_empty());
        }
    }

    #[test]
    fn a_key_that_the_loop_finds_in_the_ready_queue_is_still_its_handles() {
        let mut joins = Joins::default();
        let key = joins.insert(true);
        joins.end_task(key, true);
        joins.unqueue(key);
        assert!(joins.take_outcome(key).is_some());
        assert!(joins.is_empty());
    }

    #[test]
    fn a_handle_has_one_waiter_and_gives_the_former_back() {
        let mut joins = Joins::default();
        let key = joins.insert(true);
        let waiter = || Waiter::Waker(Waker::noop().clone());
        assert!(joins.await_by(key, waiter()).is_none());
        assert!(joins.await_by(key, waiter()).is_some());
        assert!(joins.await_by_task(key, key).is_some());
        assert!(joins.await_by(key, waiter()).is_none());
        assert!(joins.detach(key).0.is_some());
        joins.end_task(key, false);
        assert!(joins.is_empty());
    }
}
