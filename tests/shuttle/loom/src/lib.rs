//! Stands in for loom: `--cfg footbridge_loom` builds footbridge on what is named here, and these are shuttle's.
//!
//! The rule: only what `src/sync` uses of loom. Where the two differ, it needs no word of it.

pub use shuttle::{lazy_static, sync, thread_local};

pub mod thread {
    pub use shuttle::thread::{Builder, Thread, ThreadId, current, yield_now};

    /// Of a program that has failed shuttle itself ignores whatever more goes wrong. std's would be wrong of
    /// one that hasn't: all threads take turns on one of the system's, so while one of them unwinds, all would.
    pub fn panicking() -> bool {
        false
    }
}
