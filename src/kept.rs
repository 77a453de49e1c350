//! A loop for a while: what a thread keeps of the last one for the next one, so that it costs nanoseconds and
//! allocates nothing.
//!
//! The rule: only a loop that nobody can tell from a new one is kept.

use crate::event_loop::EventLoop;
use crate::sync::{model_has_failed, thread_local};
use std::cell::Cell;
use std::mem;

thread_local! {
    static KEPT: Cell<Kept> = const { Cell::new(Kept(None)) };
}

#[derive(Default)]
struct Kept(Option<Box<EventLoop>>);

impl Drop for Kept {
    fn drop(&mut self) {
        if model_has_failed() {
            mem::forget(self.0.take());
        }
    }
}

/// A loop as good as a new one.
pub(crate) fn take() -> Box<EventLoop> {
    let mut kept = KEPT.try_with(Cell::take).unwrap_or_default();
    kept.0.take().unwrap_or_default()
}

/// It has ended, or ends here, if somebody could tell that it is used again.
pub(crate) fn keep(event_loop: Box<EventLoop>) {
    if event_loop.is_as_new() {
        event_loop.give_back();
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(Kept(Some(event_loop))));
    }
}
