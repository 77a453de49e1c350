//! A token bucket for async code: it holds so many tokens, and is given one more each time an interval has passed.
//!
//! An `Rc`, so it belongs to one loop's thread and needs no lock. Blocking code, on another thread, has the loop ask
//! for it, with `syncify(take)(tokens)`: `take` is an async function that finds the bucket in a thread-local of the
//! loop's thread.

use footbridge::time::sleep;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Bounds how often something is done. Cloning it gives another handle to the same bucket.
#[derive(Debug, Clone)]
pub struct TokenBucket {
    size: u32,
    interval: Duration,
    // When it will be, or was, full: this one figure says how many tokens there are at any time.
    full_at: Rc<Cell<Instant>>,
}

impl TokenBucket {
    /// A bucket that is full with `size` tokens, and is given one more each time `interval` has passed.
    pub fn new(size: u32, interval: Duration) -> Self {
        let full_at = Rc::new(Cell::new(Instant::now()));
        Self {
            size,
            interval,
            full_at,
        }
    }

    /// Waits for so many tokens, be they more than it holds at once. They are taken at the first poll, in the order of
    /// asking, and are gone also if the wait is dropped.
    ///
    /// # Panics
    /// When polled where no footbridge loop runs.
    pub async fn take(&self, tokens: u32) {
        let now = Instant::now();
        let full_at = self.full_at.get().max(now) + self.interval * tokens;
        self.full_at.set(full_at);
        sleep((full_at - now).saturating_sub(self.interval * self.size)).await;
    }
}
