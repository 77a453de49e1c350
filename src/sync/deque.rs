//! Replacements for crossbeam's deques: queues under a lock. Used without crossbeam-deque, and in models, because loom can't
//! see into crossbeam's. In a model the log of steps says where a queue is used, so callers are tracked.

#[cfg(not(footbridge_loom))]
use super::Mutex;
use super::{Arc, AtomicUsize, Ordering};
use std::collections::VecDeque;
#[cfg(footbridge_loom)]
use std::sync::Mutex;

/// The result of a steal.
pub(crate) enum Steal<T> {
    Empty,
    Success(T),
    /// Never returned here, because a lock is waited for. If crossbeam's queues return it, the caller tries again.
    #[allow(dead_code, reason = "the callers are written for both kinds of queue")]
    Retry,
}

struct LockedQueue<T> {
    items: Mutex<VecDeque<T>>,
    /// Written under the lock and read without it, so it may be out of date. As with crossbeam's queues, a reader that has
    /// to be certain puts a fence before the read.
    len: AtomicUsize,
}

#[cfg(not(footbridge_loom))]
impl<T> LockedQueue<T> {
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

/// No stronger than crossbeam's orderings. A thread that takes a job sees what its pusher saw, and the earlier pushers. A
/// thread that pushes sees nothing of what others have taken. The lock is std's, so loom sees no step and no order in it.
#[cfg(footbridge_loom)]
impl<T> LockedQueue<T> {
    #[track_caller]
    fn add(&self, how_many: usize, add: impl FnOnce(&mut VecDeque<T>)) {
        self.len.fetch_add(how_many, Ordering::AcqRel);
        add(&mut self.items.lock().unwrap());
    }

    #[track_caller]
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

impl<T> LockedQueue<T> {
    fn new() -> Self {
        Self {
            items: Mutex::new(VecDeque::new()),
            len: AtomicUsize::new(0),
        }
    }

    #[track_caller]
    fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    #[track_caller]
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

impl<T> LockedQueue<T> {
    /// Returns the first item. Takes up to half of the items, at most `limit`, and moves the others to `to`.
    #[track_caller]
    fn steal_batch(&self, to: &LockedQueue<T>, limit: usize) -> Steal<T> {
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

/// A queue that every thread may push to.
pub(crate) struct Injector<T>(LockedQueue<T>);

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        Self(LockedQueue::new())
    }

    #[track_caller]
    pub(crate) fn push(&self, item: T) {
        self.0.add(1, |items| items.push_back(item));
    }

    #[track_caller]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    #[track_caller]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    #[track_caller]
    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.steal()
    }

    #[track_caller]
    pub(crate) fn steal_batch_with_limit_and_pop(
        &self,
        local: &Local<T>,
        limit: usize,
    ) -> Steal<T> {
        self.0.steal_batch(&local.0, limit)
    }
}

/// One worker's own queue.
pub(crate) struct Local<T>(Arc<LockedQueue<T>>);

impl<T> Local<T> {
    pub(crate) fn new_fifo() -> Self {
        Self(Arc::new(LockedQueue::new()))
    }

    pub(crate) fn stealer(&self) -> Stealer<T> {
        Stealer(self.0.clone())
    }

    #[track_caller]
    pub(crate) fn push(&self, item: T) {
        self.0.add(1, |items| items.push_back(item));
    }

    #[track_caller]
    pub(crate) fn pop(&self) -> Option<T> {
        match self.0.steal() {
            Steal::Success(item) => Some(item),
            _ => None,
        }
    }

    #[track_caller]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }
}

/// Other workers take jobs from a worker's queue through it.
pub(crate) struct Stealer<T>(Arc<LockedQueue<T>>);

impl<T> Stealer<T> {
    #[track_caller]
    pub(crate) fn steal(&self) -> Steal<T> {
        self.0.steal()
    }

    #[track_caller]
    pub(crate) fn steal_batch_with_limit_and_pop(
        &self,
        local: &Local<T>,
        limit: usize,
    ) -> Steal<T> {
        self.0.steal_batch(&local.0, limit)
    }

    #[track_caller]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    #[track_caller]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
