//! The order in which ready tasks run: first in, first out. But a task that wakes itself goes behind all that is due by
//! the next turn.
//!
//! Most entries are keys of woken tasks, so an entry is 8 bytes and `Copy`. New tasks and callbacks wait in side queues, in
//! the same order. Without the side queues an entry has 24 bytes and a drop.

use crate::event_loop::scheduler::Scheduler;
use crate::event_loop::task::NewTask;
use crate::event_loop::task_slab::TaskSlab;
use crate::sync::panics::drop_quietly;
use std::collections::VecDeque;

/// A callback from another thread. If it returns a task and its key, the loop polls that at once: the callback waited in the
/// queue already.
pub(crate) type Callback = Box<dyn FnOnce(&Scheduler, &TaskSlab) -> Option<(u32, NewTask)> + Send>;

/// An entry of the ready queue.
#[derive(Clone, Copy)]
pub(crate) enum ReadyEntry {
    /// The task with this key, or the main future.
    Woken(u32),
    /// The new task that [`ReadyQueue::take_spawned`] gives, and its key.
    Spawned(u32),
    /// The task with this key is to be dropped.
    Aborted(u32),
    /// The callback that [`ReadyQueue::take_callback`] gives.
    Callback,
}

#[derive(Default)]
pub(crate) struct ReadyQueue {
    entries: VecDeque<ReadyEntry>,
    /// Keys of tasks that are to be dropped.
    aborted: VecDeque<u32>,
    /// Tasks that woke themselves while they were polled. All are `Woken`; the type is that of `entries`, for `append`.
    yielded: VecDeque<ReadyEntry>,
    spawned: VecDeque<NewTask>,
    callbacks: VecDeque<Callback>,
}

/// A buffer with room for more entries than this is freed when it is empty.
const SMALL: usize = 1024;

impl ReadyQueue {
    pub(crate) fn push_woken(&mut self, key: u32) {
        self.entries.push_back(ReadyEntry::Woken(key));
    }

    /// For a task that wakes itself while it is polled.
    pub(crate) fn push_yielded(&mut self, key: u32) {
        self.yielded.push_back(ReadyEntry::Woken(key));
    }

    /// Moves the tasks that yielded in the last turn behind all other entries.
    #[inline]
    pub(crate) fn begin_turn(&mut self) {
        // Most turns have none. Without the check, a short turn takes an eighth longer.
        if !self.yielded.is_empty() {
            self.entries.append(&mut self.yielded);
        }
    }

    /// Removes a key. The search begins at the back, because the key is new.
    pub(crate) fn remove_woken(&mut self, key: u32) {
        let is_this =
            |entry: &ReadyEntry| matches!(entry, ReadyEntry::Woken(woken) if *woken == key);
        for entries in [&mut self.yielded, &mut self.entries] {
            if let Some(index) = entries.iter().rposition(is_this) {
                entries.remove(index);
                return;
            }
        }
    }

    pub(crate) fn push_spawned(&mut self, key: u32, task: NewTask) {
        self.spawned.push_back(task);
        self.entries.push_back(ReadyEntry::Spawned(key));
    }

    pub(crate) fn push_aborted(&mut self, key: u32) {
        self.aborted.push_back(key);
    }

    pub(crate) fn push_callback(&mut self, call: Callback) {
        self.callbacks.push_back(call);
        self.entries.push_back(ReadyEntry::Callback);
    }

    /// The next entry. Aborts go before all else, so an aborted task isn't polled again, and don't count as `due`. Else
    /// counts `due` down, and ends at 0.
    #[inline]
    pub(crate) fn pop(&mut self, due: &mut usize) -> Option<ReadyEntry> {
        if let Some(key) = self.aborted.pop_front() {
            return Some(ReadyEntry::Aborted(key));
        }
        *due = due.checked_sub(1)?;
        self.entries.pop_front()
    }

    /// How many entries a turn that begins now has to run, beside the aborts.
    #[inline]
    pub(crate) fn due(&self) -> usize {
        self.entries.len() + self.yielded.len()
    }

    pub(crate) fn take_spawned(&mut self) -> Option<NewTask> {
        let task = self.spawned.pop_front();
        if self.spawned.is_empty() && self.spawned.capacity() > SMALL {
            self.spawned = VecDeque::new(); // After a burst, the tasks may live for long.
        }
        task
    }

    pub(crate) fn spawned_count(&self) -> usize {
        self.spawned.len()
    }

    /// The keys of the woken tasks.
    pub(crate) fn woken_keys(&self) -> impl Iterator<Item = u32> {
        let entries = self.entries.iter().chain(&self.yielded);
        entries.filter_map(|entry| match entry {
            ReadyEntry::Woken(key) => Some(*key),
            _ => None,
        })
    }

    /// The tasks that haven't been polled, and their keys.
    pub(crate) fn spawned(&self) -> impl Iterator<Item = (u32, &NewTask)> {
        let keys = self.entries.iter().filter_map(|entry| match entry {
            ReadyEntry::Spawned(key) => Some(*key),
            _ => None,
        });
        keys.zip(&self.spawned)
    }

    pub(crate) fn take_callback(&mut self) -> Option<Callback> {
        self.callbacks.pop_front()
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.due() + self.aborted.len()
    }

    /// Called while the queue is empty. If a buffer is large, replaces all buffers by new ones. A fresh buffer grows faster
    /// than a shrunk one.
    pub(crate) fn shrink(&mut self) {
        let entries = self.entries.capacity().max(self.yielded.capacity());
        if entries.max(self.aborted.capacity()) > SMALL {
            *self = Self::default();
        }
    }

    /// Drops everything, in order. `drop_task` gets the tasks.
    pub(crate) fn drop_all(mut self, mut drop_task: impl FnMut(u32, NewTask)) {
        for entry in self.entries {
            match entry {
                ReadyEntry::Woken(_) | ReadyEntry::Aborted(_) => {}
                ReadyEntry::Spawned(key) => {
                    if let Some(task) = self.spawned.pop_front() {
                        drop_task(key, task);
                    }
                }
                ReadyEntry::Callback => drop_quietly(self.callbacks.pop_front()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadyEntry, ReadyQueue, SMALL};
    use crate::event_loop::task;
    use std::panic::Location;

    #[test]
    fn after_a_burst_the_buffers_are_small_again() {
        let mut ready = ReadyQueue::default();
        let spawn = |ready: &mut ReadyQueue| {
            ready.push_spawned(0, task::new(async {}, Location::caller()));
        };
        for _ in 0..2 * SMALL {
            spawn(&mut ready);
        }
        while ready.take_spawned().is_some() {}
        assert!(ready.spawned.capacity() <= SMALL);
        let mut due = ready.due();
        while let Some(entry) = ready.pop(&mut due) {
            assert!(matches!(entry, ReadyEntry::Spawned(0)));
        }
        assert!(ready.entries.capacity() >= 2 * SMALL);
        ready.shrink();
        assert!(ready.entries.capacity() <= SMALL);
        spawn(&mut ready);
        assert!(ready.take_spawned().is_some());
        let small = ready.spawned.capacity();
        assert!(small > 0, "a small buffer is kept");
    }
}
