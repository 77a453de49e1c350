//! The tasks that have been polled and aren't done, by the keys that [`Joins`](crate::event_loop::joins::Joins) gave them.
//! It is apart from that table because a task is polled in its place, and what it calls may change that table.

use crate::event_loop::scheduler::Inbox;
use crate::event_loop::table::Table;
use crate::event_loop::task::Task;
use crate::event_loop::task_waker::{NO_KEY, TaskWaker};
use crate::observe::sites::{SITE_BITS, Site};
use crate::sync::Arc;

#[derive(Default)]
pub(crate) struct TaskSlab {
    entries: Table<TaskEntry>,
    polled: u64,
    /// Task wakers without a task and without a reference elsewhere: each saves the next task an allocation.
    spare: Vec<Arc<TaskWaker>>,
}

/// A loop keeps at most so many task wakers for later tasks.
const SPARE_TASK_WAKERS: usize = 64;

pub(crate) struct TaskEntry {
    pub(crate) task: Task,
    pub(crate) task_waker: Arc<TaskWaker>,
    /// Orders the tasks for the loop's end. The lowest bits are the site that spawned the task.
    number_and_site: u64,
}

impl TaskEntry {
    /// A number that no other task of the loop has.
    pub(crate) fn number(&self) -> u64 {
        self.number_and_site >> SITE_BITS
    }

    /// Where the task was spawned.
    pub(crate) fn site(&self) -> Site {
        Site::from_bits(self.number_and_site as usize)
    }
}

impl TaskSlab {
    pub(crate) fn insert(&mut self, key: u32, task: Task, task_waker: Arc<TaskWaker>, site: Site) {
        let number_and_site = self.polled << SITE_BITS | u64::from(site.bits());
        self.polled += 1;
        let entry = TaskEntry {
            task,
            task_waker,
            number_and_site,
        };
        self.entries.insert(key, entry);
    }

    pub(crate) fn get(&mut self, key: u32) -> Option<&mut TaskEntry> {
        self.entries.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: u32) -> Option<TaskEntry> {
        self.entries.remove(key)
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, &TaskEntry)> {
        self.entries.entries()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of task wakers kept for later tasks.
    pub(crate) fn spare(&self) -> usize {
        self.spare.len()
    }

    /// A task waker for a new task.
    pub(crate) fn new_task_waker(&mut self, key: u32, inbox: &Arc<Inbox>) -> Arc<TaskWaker> {
        let spare = self.spare.pop();
        let task_waker = spare.unwrap_or_else(|| Arc::new(TaskWaker::new(inbox.clone(), NO_KEY)));
        task_waker.set_key(key);
        task_waker
    }

    /// Called after [`TaskWaker::end`]. If no other reference to the task waker is left, keeps it for a later task.
    pub(crate) fn recycle(&mut self, mut task_waker: Arc<TaskWaker>) {
        // `get_mut` tells whether this is the last reference.
        if self.spare.len() < SPARE_TASK_WAKERS && Arc::get_mut(&mut task_waker).is_some() {
            self.spare.push(task_waker);
        }
    }

    /// Takes all entries, in the order of their first polls.
    pub(crate) fn take_in_order(&mut self) -> impl Iterator<Item = (u32, TaskEntry)> + use<> {
        let mut entries: Vec<_> = std::mem::take(&mut self.entries).into_entries().collect();
        entries.sort_unstable_by_key(|(_, entry)| entry.number_and_site);
        entries.into_iter()
    }
}
