//! The cached loop: a thread keeps the loop of its last `run` for the next one. This saves four allocations and some 180 ns
//! of 200.
//!
//! The rule: only an unused loop is cached: it has no task, timer, post, handle or waker.

use crate::event_loop::EventLoop;
use crate::sync::{Ordering, model_has_failed, thread_local};
use std::cell::Cell;
use std::mem;

thread_local! {
    static CACHED: Cell<CachedLoop> = const { Cell::new(CachedLoop(None)) };
}

#[derive(Default)]
struct CachedLoop(Option<Box<EventLoop>>);

impl Drop for CachedLoop {
    fn drop(&mut self) {
        if model_has_failed() {
            mem::forget(self.0.take());
        }
    }
}

/// Takes the cached loop, or makes one.
pub(crate) fn take() -> Box<EventLoop> {
    let mut entry = CACHED.try_with(Cell::take).unwrap_or_default();
    entry.0.take().unwrap_or_else(new_loop)
}

#[cold]
fn new_loop() -> Box<EventLoop> {
    let event_loop = Box::<EventLoop>::default();
    let inbox = &event_loop.scheduler.inbox;
    inbox.is_temporary.store(true, Ordering::Relaxed); // For dumps, without an order.
    event_loop
}

/// If the loop is as good as new, keeps it for the next [`take`]. Else drops it.
pub(crate) fn keep(event_loop: Box<EventLoop>) {
    if event_loop.is_pristine() {
        event_loop.shrink();
        // If the thread ends, the thread-local may be gone. Then the loop is dropped.
        let _ = CACHED.try_with(|entry| entry.set(CachedLoop(Some(event_loop))));
    }
}
