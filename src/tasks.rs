//! Where a loop keeps the tasks that have been polled and aren't done: each in a place whose number is
//! its key. A place is used again once its task is gone and its key is in no queue.

use crate::queue::Ticket;
use crate::sync::Arc;
use crate::task::Task;

#[derive(Default)]
pub(crate) struct Tasks {
    places: Vec<Option<Kept>>,
    vacant: Vec<usize>,
    spawned: u64,
}

pub(crate) struct Kept {
    /// Empty: it has ended, and its key is still in the queue.
    pub(crate) task: Option<Task>,
    pub(crate) ticket: Arc<Ticket>,
    // In the order of spawning.
    number: u64,
}

impl Tasks {
    pub(crate) fn insert(&mut self, task: Task, ticket: Arc<Ticket>) -> usize {
        let key = self.vacant.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[key] = Some(Kept {
            task: Some(task),
            ticket,
            number: self.spawned,
        });
        self.spawned += 1;
        key
    }

    pub(crate) fn get(&mut self, key: usize) -> Option<&mut Kept> {
        self.places.get_mut(key)?.as_mut()
    }

    pub(crate) fn remove(&mut self, key: usize) -> Arc<Ticket> {
        let Some(kept) = self.places[key].take() else {
            unreachable!("a key is removed once, by the turn that it is in the queue for")
        };
        self.vacant.push(key);
        // A burst that is over gives its memory back.
        if self.vacant.len() == self.places.len() && self.places.len() > 1024 {
            *self = Self {
                spawned: self.spawned,
                ..Self::default()
            };
        }
        kept.ticket
    }

    /// Takes them all, in the order in which they were spawned.
    pub(crate) fn take_in_order(&mut self) -> impl Iterator<Item = Kept> + use<> {
        let mut kept: Vec<_> = std::mem::take(&mut self.places)
            .into_iter()
            .flatten()
            .collect();
        kept.sort_unstable_by_key(|kept| kept.number);
        kept.into_iter()
    }
}
