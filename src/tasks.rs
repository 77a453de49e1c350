//! Where a loop keeps the tasks that have been polled and aren't done: each in a place whose number is
//! its key. A place is used again once its task is gone and its key is in no queue.

use crate::queue::{Inbox, NOWHERE, Ticket};
use crate::slab::Slab;
use crate::sync::Arc;
use crate::task::Task;

#[derive(Default)]
pub(crate) struct Tasks {
    places: Slab<Kept>,
    spawned: u64,
    // Tickets that nobody holds a waker of: an allocation saved for the next task.
    spare: Vec<Arc<Ticket>>,
}

/// How many tickets a loop keeps for tasks to come.
const SPARE_TICKETS: usize = 64;

pub(crate) struct Kept {
    /// Empty: it has ended, and its key is still in the queue.
    pub(crate) task: Option<Task>,
    pub(crate) ticket: Arc<Ticket>,
    // In the order of spawning.
    number: u64,
}

impl Tasks {
    pub(crate) fn insert(&mut self, task: Task, ticket: Arc<Ticket>) -> (usize, &Kept) {
        let number = self.spawned;
        self.spawned += 1;
        let (key, kept) = self.places.insert(Kept {
            task: Some(task),
            ticket,
            number,
        });
        (key, kept)
    }

    pub(crate) fn get(&mut self, key: usize) -> Option<&mut Kept> {
        self.places.get_mut(key)
    }

    pub(crate) fn remove(&mut self, key: usize) -> Arc<Ticket> {
        match self.places.remove(key) {
            Some(kept) => kept.ticket,
            None => unreachable!("a key is removed once, by the turn that it is in the queue for"),
        }
    }

    /// None of the places is taken.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.len() == 0
    }

    /// How many tickets are kept for tasks to come.
    pub(crate) fn spare(&self) -> usize {
        self.spare.len()
    }

    /// A ticket for a task that isn't kept yet.
    pub(crate) fn new_ticket(&mut self, inbox: &Arc<Inbox>) -> Arc<Ticket> {
        let spare = self.spare.pop();
        spare.unwrap_or_else(|| Arc::new(Ticket::new(inbox.clone(), NOWHERE)))
    }

    /// Keeps the ticket of a task that has ended for another one, if no waker of it is left anywhere.
    pub(crate) fn recycle(&mut self, mut ticket: Arc<Ticket>) {
        let Some(unshared) = Arc::get_mut(&mut ticket) else {
            return;
        };
        unshared.reset();
        if self.spare.len() < SPARE_TICKETS {
            self.spare.push(ticket);
        }
    }

    /// Takes them all, in the order in which they were spawned.
    pub(crate) fn take_in_order(&mut self) -> impl Iterator<Item = Kept> + use<> {
        let mut kept: Vec<_> = std::mem::take(&mut self.places).into_values().collect();
        kept.sort_unstable_by_key(|kept| kept.number);
        kept.into_iter()
    }
}
