//! The deques of crossbeam's names, each a queue under a lock: for builds without crossbeam-deque,
//! and for the model, which can see into these and not into those.

use super::{Arc, Mutex};
use std::collections::VecDeque;

/// What a look into a queue found.
pub(crate) enum Steal<T> {
    Empty,
    Success(T),
    /// Never made here, where a lock is waited for; crossbeam's queues ask for another try.
    #[allow(dead_code, reason = "the callers are written for both kinds of queue")]
    Retry,
}

/// The queue that every thread may push to.
pub(crate) struct Injector<T>(Mutex<VecDeque<T>>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    pub(crate) fn push(&self, item: T) {
        self.0.lock().push_back(item);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        pop(&self.0)
    }

    pub(crate) fn steal_batch_with_limit_and_pop(
        &self,
        local: &Local<T>,
        limit: usize,
    ) -> Steal<T> {
        let mut batch = {
            let mut queue = self.0.lock();
            let wanted = queue.len().div_ceil(2).min(limit);
            queue.drain(..wanted).collect::<VecDeque<_>>()
        };
        let Some(first) = batch.pop_front() else {
            return Steal::Empty;
        };
        local.0.lock().append(&mut batch);
        Steal::Success(first)
    }
}

/// One worker's own queue.
pub(crate) struct Local<T>(Arc<Mutex<VecDeque<T>>>);

impl<T> Local<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Arc::new(Mutex::new(VecDeque::new())))
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.clone())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.lock().push_back(item);
    }

    pub(crate) fn pop(&self) -> Option<T> {
        self.0.lock().pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// The other workers' way into a worker's queue.
pub(crate) struct Stealer<T>(Arc<Mutex<VecDeque<T>>>);

impl<T> Stealer<T> {
    pub(crate) fn steal(&self) -> Steal<T> {
        pop(&self.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

fn pop<T>(queue: &Mutex<VecDeque<T>>) -> Steal<T> {
    match queue.lock().pop_front() {
        Some(item) => Steal::Success(item),
        None => Steal::Empty,
    }
}
