//! The table of the tasks that have been polled and aren't done. Each has a key.
//!
//! The rule: a key is reused only after its task has ended and no queue holds the key.

use crate::event_loop::scheduler::Inbox;
use crate::event_loop::slab::Slab;
use crate::event_loop::task::Task;
use crate::event_loop::task_waker::{NO_KEY, TaskWaker};
use crate::sync::Arc;

#[derive(Default)]
pub(crate) struct TaskSlab {
    entries: Slab<TaskEntry>,
    spawned: u64,
    /// Task wakers without a task and without a reference elsewhere: each saves the next task an allocation.
    spare: Vec<Arc<TaskWaker>>,
}

/// A loop keeps at most so many task wakers for later tasks.
const SPARE_TASK_WAKERS: usize = 64;

pub(crate) struct TaskEntry {
    /// `None` if the task has ended and its key is still in the ready queue.
    pub(crate) task: Option<Task>,
    pub(crate) task_waker: Arc<TaskWaker>,
    /// Orders the tasks for the loop's end.
    number: u64,
}

impl TaskSlab {
    pub(crate) fn insert(&mut self, task: Task, task_waker: Arc<TaskWaker>) -> (usize, &TaskEntry) {
        let number = self.spawned;
        self.spawned += 1;
        let (key, entry) = self.entries.insert(TaskEntry {
            task: Some(task),
            task_waker,
            number,
        });
        (key, entry)
    }

    pub(crate) fn get(&mut self, key: usize) -> Option<&mut TaskEntry> {
        self.entries.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: usize) -> Arc<TaskWaker> {
        match self.entries.remove(key) {
            Some(entry) => entry.task_waker,
            None => {
                unreachable!("a key is removed once, by the turn that it is in the ready queue for")
            }
        }
    }

    /// Whether the table has no task.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.len() == 0
    }

    /// The number of task wakers kept for later tasks.
    pub(crate) fn spare(&self) -> usize {
        self.spare.len()
    }

    /// A task waker for a new task.
    pub(crate) fn new_task_waker(&mut self, inbox: &Arc<Inbox>) -> Arc<TaskWaker> {
        let spare = self.spare.pop();
        spare.unwrap_or_else(|| Arc::new(TaskWaker::new(inbox.clone(), NO_KEY)))
    }

    /// If no other reference to the task waker is left, keeps it for a later task.
    pub(crate) fn recycle(&mut self, mut task_waker: Arc<TaskWaker>) {
        let Some(unshared) = Arc::get_mut(&mut task_waker) else {
            return;
        };
        unshared.reset();
        if self.spare.len() < SPARE_TASK_WAKERS {
            self.spare.push(task_waker);
        }
    }

    /// Takes all entries, in the order of their first polls.
    pub(crate) fn take_in_order(&mut self) -> impl Iterator<Item = TaskEntry> + use<> {
        let mut entries: Vec<_> = std::mem::take(&mut self.entries).into_values().collect();
        entries.sort_unstable_by_key(|entry| entry.number);
        entries.into_iter()
    }
}
