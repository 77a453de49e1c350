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

/// Gives `run` a loop, which ends when that returns or panics.
pub(crate) fn with_loop<T>(run: impl FnOnce(&mut EventLoop) -> T) -> T {
    // Taken, not borrowed: it may run on a thread whose loop runs it, if that isn't running just now.
    let kept = KEPT.try_with(Cell::take).ok().flatten();
    let mut event_loop = kept.unwrap_or_default();
    let output = run(&mut event_loop);
    if event_loop.is_as_new() {
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.set(Some(event_loop)));
    }
    output
}
