//! What a loop has ready, in order.
//!
//! Nearly all of it are keys of tasks that were woken, so the line holds nothing larger: a task that is new and a call
//! stand beside it, each kind in the same order. An entry of 16 bytes that is copied at once, in place of one of 40 that
//! has to be dropped, made a turn cheaper by a quarter.

use crate::join::discard;
use crate::task::Task;
use std::collections::VecDeque;

/// May make a task, which is polled at once: it has waited for its turn as the call.
pub(crate) type Call = Box<dyn FnOnce() -> Option<Task> + Send>;

/// What is next.
#[derive(Clone, Copy)]
pub(crate) enum Entry {
    /// The task's with this key.
    Woken(usize),
    /// The task's that [`Ready::take_spawned`] gives.
    Spawned,
    /// The call's that [`Ready::take_call`] gives.
    Call,
}

#[derive(Default)]
pub(crate) struct Ready {
    entries: VecDeque<Entry>,
    /// Keys of tasks that woke themselves while they were polled: they go behind all that is due by the next turn.
    yielded: VecDeque<Entry>,
    spawned: VecDeque<Task>,
    calls: VecDeque<Call>,
}

/// So many entries have room at all times.
const SMALL: usize = 1024;

impl Ready {
    pub(crate) fn push_woken(&mut self, key: usize) {
        self.entries.push_back(Entry::Woken(key));
    }

    /// Of a task that wakes itself while it is polled.
    pub(crate) fn push_yielded(&mut self, key: usize) {
        self.yielded.push_back(Entry::Woken(key));
    }

    /// What has yielded in the last turn is due in the next one, last.
    pub(crate) fn begin_turn(&mut self) {
        if self.entries.is_empty() {
            std::mem::swap(&mut self.entries, &mut self.yielded);
        } else {
            self.entries.append(&mut self.yielded);
        }
    }

    /// Takes a key out that was pushed not long ago.
    pub(crate) fn remove_woken(&mut self, key: usize) {
        let is_this = |entry: &Entry| matches!(entry, Entry::Woken(woken) if *woken == key);
        for entries in [&mut self.yielded, &mut self.entries] {
            if let Some(index) = entries.iter().rposition(is_this) {
                entries.remove(index);
                return;
            }
        }
    }

    pub(crate) fn push_spawned(&mut self, task: Task) {
        self.spawned.push_back(task);
        self.entries.push_back(Entry::Spawned);
    }

    pub(crate) fn push_call(&mut self, call: Call) {
        self.calls.push_back(call);
        self.entries.push_back(Entry::Call);
    }

    pub(crate) fn pop(&mut self) -> Option<Entry> {
        self.entries.pop_front()
    }

    pub(crate) fn take_spawned(&mut self) -> Option<Task> {
        self.spawned.pop_front()
    }

    pub(crate) fn take_call(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() + self.yielded.len()
    }

    /// Empty, large buffers are given back, and whole: one that is cut down is dearer to grow again than a new one.
    pub(crate) fn give_back(&mut self) {
        if self.entries.capacity().max(self.yielded.capacity()) > SMALL {
            *self = Self::default();
        }
    }

    /// Drops it all, in order.
    pub(crate) fn discard(mut self) {
        for entry in self.entries {
            match entry {
                Entry::Woken(_) => {}
                Entry::Spawned => discard(self.spawned.pop_front()),
                Entry::Call => discard(self.calls.pop_front()),
            }
        }
    }
}
