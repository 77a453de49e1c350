//! Which children of a future were woken: what [`gather`](crate::gather) and [`scope`](crate::scope()) have in common.
//!
//! The rule: a child is polled only when it was woken, and a poll of the parent polls only what was woken before it. A
//! wake costs the same however many children there are.
//!
//! ```text
//!                  begin_poll                          begin
//!   WokenQueue  ---------------->  due, the parent's  ---------->  the child is polled
//!       ^                                                          |
//!       +----------------  wake, unless it is queued  <------------+
//! ```
//!
//! `queued` says that the child's key is in the queue or due. The wake that sets it pushes the key, and the poll clears it.

use crate::sync::panics::{drop_quietly, wake};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, impl_wake};
use std::collections::VecDeque;
use std::task::Waker;

/// The keys of the children that were woken, in that order.
#[derive(Default)]
pub(super) struct WokenQueue(Mutex<WokenKeys>);

#[derive(Default)]
struct WokenKeys {
    keys: VecDeque<u32>,
    /// Wakes the parent. Taken by the first wake after a poll.
    parent: Option<Waker>,
}

impl WokenQueue {
    /// Begins a poll of the parent: all children that were woken become due. A wake from here on wakes the parent.
    pub(super) fn begin_poll(&self, due: &mut VecDeque<u32>, parent: &Waker) {
        let parent = parent.clone();
        let mut woken = self.0.lock();
        if due.is_empty() {
            std::mem::swap(due, &mut woken.keys);
        } else {
            due.append(&mut woken.keys);
        }
        let old = woken.parent.replace(parent);
        drop(woken);
        drop_quietly(old);
    }

    /// Makes a child due, and wakes the parent.
    pub(super) fn push(&self, key: u32) {
        let mut woken = self.0.lock();
        woken.keys.push_back(key);
        let parent = woken.parent.take();
        drop(woken);
        parent.into_iter().for_each(wake);
    }

    /// The parent is gone. A child's waker may outlive it.
    pub(super) fn close(&self) {
        let parent = self.0.lock().parent.take();
        drop_quietly(parent);
    }
}

/// The target of one child's wakers.
pub(super) struct ChildWaker {
    queued: AtomicBool,
    key: u32,
    queue: Arc<WokenQueue>,
}

impl ChildWaker {
    /// For a child that counts as woken. The caller makes its key due.
    pub(super) fn new(key: u32, queue: &Arc<WokenQueue>) -> Arc<Self> {
        Arc::new(Self {
            queued: AtomicBool::new(true),
            key,
            queue: queue.clone(),
        })
    }

    /// Begins a poll of the child. A wake from here on causes one more.
    pub(super) fn begin(&self) {
        self.queued.swap(false, Ordering::AcqRel); // Pairs with the swap in `wake`.
    }

    /// The child has ended: from here on, a wake does nothing. `true`: its key is still queued or due.
    #[must_use]
    pub(super) fn end(&self) -> bool {
        self.queued.swap(true, Ordering::AcqRel)
    }

    pub(super) fn key(&self) -> u32 {
        self.key
    }

    pub(super) fn wake(self: &Arc<Self>) {
        // Pairs with the swap in `begin`: if a wake finds `queued` set, what was written before it is visible to the poll
        // that follows.
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.push(self.key);
        }
    }
}

impl_wake!(ChildWaker);
