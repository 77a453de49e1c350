//! The order in which ready tasks run: first in, first out. But a task that wakes itself goes behind all that is due by
//! the next turn.
//!
//! Most entries are keys of woken tasks, so an entry is 16 bytes and `Copy`. New tasks and callbacks wait in side queues, in
//! the same order. Without the side queues an entry has 40 bytes and a drop, and a turn costs a third more.

use crate::event_loop::task::Task;
use crate::sync::panics::drop_quietly;
use std::collections::VecDeque;

/// A callback from another thread. If it returns a task, the loop polls that at once: the callback waited in the queue
/// already.
pub(crate) type Callback = Box<dyn FnOnce() -> Option<Task> + Send>;

/// An entry of the ready queue.
#[derive(Clone, Copy)]
pub(crate) enum ReadyEntry {
    /// The task with this key, or the main future.
    Woken(usize),
    /// The new task that [`ReadyQueue::take_spawned`] gives.
    Spawned,
    /// The callback that [`ReadyQueue::take_callback`] gives.
    Callback,
}

#[derive(Default)]
pub(crate) struct ReadyQueue {
    entries: VecDeque<ReadyEntry>,
    /// Keys of tasks that woke themselves while they were polled.
    yielded: VecDeque<ReadyEntry>,
    spawned: VecDeque<Task>,
    callbacks: VecDeque<Callback>,
}

/// A buffer with room for more entries than this is freed when it is empty.
pub(super) const SMALL: usize = 1024;

impl ReadyQueue {
    pub(crate) fn push_woken(&mut self, key: usize) {
        self.entries.push_back(ReadyEntry::Woken(key));
    }

    /// For a task that wakes itself while it is polled.
    pub(crate) fn push_yielded(&mut self, key: usize) {
        self.yielded.push_back(ReadyEntry::Woken(key));
    }

    /// Moves the tasks that yielded in the last turn behind all other entries.
    pub(crate) fn begin_turn(&mut self) {
        if self.yielded.is_empty() {
            return;
        }
        if self.entries.is_empty() {
            std::mem::swap(&mut self.entries, &mut self.yielded);
        } else {
            self.entries.append(&mut self.yielded);
        }
    }

    /// Removes a key. The search begins at the back, because the key is new.
    pub(crate) fn remove_woken(&mut self, key: usize) {
        let is_this =
            |entry: &ReadyEntry| matches!(entry, ReadyEntry::Woken(woken) if *woken == key);
        for entries in [&mut self.yielded, &mut self.entries] {
            if let Some(index) = entries.iter().rposition(is_this) {
                entries.remove(index);
                return;
            }
        }
    }

    pub(crate) fn push_spawned(&mut self, task: Task) {
        self.spawned.push_back(task);
        self.entries.push_back(ReadyEntry::Spawned);
    }

    pub(crate) fn push_callback(&mut self, call: Callback) {
        self.callbacks.push_back(call);
        self.entries.push_back(ReadyEntry::Callback);
    }

    pub(crate) fn pop(&mut self) -> Option<ReadyEntry> {
        self.entries.pop_front()
    }

    pub(crate) fn take_spawned(&mut self) -> Option<Task> {
        self.spawned.pop_front()
    }

    pub(crate) fn take_callback(&mut self) -> Option<Callback> {
        self.callbacks.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.yielded.len()
    }

    /// Called while the queue is empty. If a buffer is large, replaces all buffers by new ones. A fresh buffer grows faster
    /// than a shrunk one.
    pub(crate) fn shrink(&mut self) {
        if self.entries.capacity().max(self.yielded.capacity()) > SMALL {
            *self = Self::default();
        }
    }

    /// Drops everything, in order.
    pub(crate) fn drop_all(mut self) {
        for entry in self.entries {
            match entry {
                ReadyEntry::Woken(_) => {}
                ReadyEntry::Spawned => drop_quietly(self.spawned.pop_front()),
                ReadyEntry::Callback => drop_quietly(self.callbacks.pop_front()),
            }
        }
    }
}
