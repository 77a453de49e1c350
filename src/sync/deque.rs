//! The deques of crossbeam's names, each a queue under a lock: for builds without crossbeam-deque,
//! and for the model, which can see into these and not into those.

#[cfg(not(footbridge_loom))]
use super::Mutex;
use super::{Arc, AtomicUsize, Ordering};
use std::collections::VecDeque;
#[cfg(footbridge_loom)]
use std::sync::Mutex;

/// What a look into a queue found.
pub(crate) enum Steal<T> {
    Empty,
    Success(T),
    /// Never made here, where a lock is waited for; crossbeam's queues ask for another try.
    #[allow(dead_code, reason = "the callers are written for both kinds of queue")]
    Retry,
}

struct Queue<T> {
    items: Mutex<VecDeque<T>>,
    // Written under the lock and read without it, so it may be out of date: as with crossbeam's
    // queues, who has to know for sure says so with a fence.
    len: AtomicUsize,
}

#[cfg(not(footbridge_loom))]
impl<T> Queue<T> {
    fn add(&self, _: usize, add: impl FnOnce(&mut VecDeque<T>)) {
        self.take(add);
    }

    fn take<R>(&self, take: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let mut items = self.items.lock();
        let result = take(&mut items);
        self.len.store(items.len(), Ordering::Relaxed);
        result
    }
}

/// No stronger than crossbeam's: who takes a job sees what its pusher saw, and the pushers before; who pushes
/// sees nothing of what others have taken. The lock is std's, which loom takes for no step and no order.
#[cfg(footbridge_loom)]
impl<T> Queue<T> {
    fn add(&self, how_many: usize, add: impl FnOnce(&mut VecDeque<T>)) {
        self.len.fetch_add(how_many, Ordering::AcqRel);
        add(&mut self.items.lock().unwrap());
    }

    fn take<R>(&self, take: impl FnOnce(&mut VecDeque<T>) -> R) -> R {
        let (result, taken) = {
            let mut items = self.items.lock().unwrap();
            let before = items.len();
            (take(&mut items), before - items.len())
        };
        self.len.fetch_sub(taken, Ordering::Acquire);
        result
    }
}

impl<T> Queue<T> {
    fn new() -> Self {
        Self {
            items: Mutex::new(VecDeque::new()),
            len: AtomicUsize::new(0),
        }
    }

    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    fn steal(&self) -> Steal<T> {
        if self.len() == 0 {
            return Steal::Empty;
        }
        match self.take(VecDeque::pop_front) {
            Some(item) => Steal::Success(item),
            None => Steal::Empty,
        }
    }
}

impl<T> Queue<T> {
    /// The first item, with up to half of the items moved to `to`, but no more than `limit` in all.
    fn steal_batch(&self, to: &Queue<T>, limit: usize) -> Steal<T> {
        if self.len() == 0 || std::ptr::eq(self, to) {
            return self.steal();
        }
        let mut batch = self.take(|items| {
            let wanted = items.len().div_ceil(2).min(limit);
            items.drain(..wanted).collect::<VecDeque<_>>()
        });
        let Some(first) = batch.pop_front() else {
            return Steal::Empty;
        };
        if !batch.is_empty() {
            to.add(batch.len(), |items| items.append(&mut batch));
        }
        Steal::Success(first)
    }
}

/// The queue that every thread may push to.
pub(crate) struct Injector<T>(Queue<T>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(Queue::new())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.add(1, |items| items.push_back(item));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.steal()
    }

    pub(crate) fn steal_batch_with_limit_and_pop(
        &self,
        local: &Local<T>,
        limit: usize,
    ) -> Steal<T> {
        self.0.steal_batch(&local.0, limit)
    }
}

/// One worker's own queue.
pub(crate) struct Local<T>(Arc<Queue<T>>);

impl<T> Local<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Arc::new(Queue::new()))
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.clone())
    }

    pub(crate) fn push(&self, item: T) {
        self.0.add(1, |items| items.push_back(item));
    }

    pub(crate) fn pop(&self) -> Option<T> {
        match self.0.steal() {
            Steal::Success(item) => Some(item),
            _ => None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
}

/// The other workers' way into a worker's queue.
pub(crate) struct Stealer<T>(Arc<Queue<T>>);

impl<T> Stealer<T> {
    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.steal()
    }

    pub(crate) fn steal_batch_with_limit_and_pop(
        &self,
        local: &Local<T>,
        limit: usize,
    ) -> Steal<T> {
        self.0.steal_batch(&local.0, limit)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
