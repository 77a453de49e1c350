//! A cache of one value, which blocking code loads when it is first asked for. Any number of jobs may
//! ask at once; a value loaded twice is a pity, a value that was never loaded is a bug.
//!
//! Both versions are here: the first one is wrong, and only a model shows it.

#[cfg(footbridge_loom)]
use footbridge::model::{AtomicBool, AtomicUsize, Ordering};
#[cfg(not(footbridge_loom))]
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

pub struct Cache {
    filled: AtomicBool,
    value: AtomicUsize,
    publish: Ordering,
    observe: Ordering,
}

impl Cache {
    /// Wrong: nothing says that a thread that sees `filled` sees `value` too.
    pub fn wrong() -> Self {
        Self::with(Ordering::Relaxed, Ordering::Relaxed)
    }

    pub fn right() -> Self {
        Self::with(Ordering::Release, Ordering::Acquire)
    }

    fn with(publish: Ordering, observe: Ordering) -> Self {
        Self {
            filled: AtomicBool::new(false),
            value: AtomicUsize::new(0),
            publish,
            observe,
        }
    }

    /// Blocking code, for `asyncify`.
    pub fn get(&self, load: impl Fn() -> usize) -> usize {
        if !self.filled.load(self.observe) {
            self.value.store(load(), Ordering::Relaxed);
            self.filled.store(true, self.publish);
        }
        self.value.load(Ordering::Relaxed)
    }
}
