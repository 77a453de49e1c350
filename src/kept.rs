//! A loop for a while: what a thread keeps of the last one for the next one, so that it costs nanoseconds and
//! allocates nothing.
//!
//! The rule: only a loop that nobody can tell from a new one is kept.

use crate::event_loop::EventLoop;
use crate::sync::thread_local;
use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Option<Box<EventLoop>>> = const { Cell::new(None) };
}

/// A loop as good as a new one.
pub(crate) fn take() -> Box<EventLoop> {
    let kept = KEPT.try_with(Cell::take).ok().flatten();
    kept.unwrap_or_default()
}

/// It has ended, or ends here, if somebody could tell that it is used again.
pub(crate) fn keep(event_loop: Box<EventLoop>) {
    if event_loop.is_as_new() {
        event_loop.give_back();
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(Some(event_loop)));
    }
}
