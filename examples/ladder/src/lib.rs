//! From a `block_on` that spins to a small footbridge, in thirteen stages. The chapter `docs/ladder.md` walks them up.
//!
//! ```text
//! cargo run -p ladder 5      runs stage 5
//! cargo run -p ladder mine   runs yours
//! ```
//!
//! Each file is a stage. Its `main` shows what fails without it, and then that it doesn't with it. A stage uses those
//! below it, and where it changes one it has the new version.

pub mod watchdog;

/// Locks and atomics. `on_loom` has the other set.
mod world {
    pub use std::sync::atomic::{AtomicBool, AtomicUsize, fence};
    pub use std::sync::{Condvar, Mutex};
}

pub mod on_loom;

#[path = "09_cancel.rs"]
pub mod cancel;
#[path = "05_inbox.rs"]
pub mod inbox;
#[path = "03_join.rs"]
pub mod join;
#[path = "10_limiter.rs"]
pub mod limiter;
#[path = "02_line.rs"]
pub mod line;
pub mod mine;
#[path = "01_parker.rs"]
pub mod parker;
#[path = "07_pool.rs"]
pub mod pool;
#[path = "12_scope.rs"]
pub mod scope;

pub mod small;
#[path = "00_spin.rs"]
pub mod spin;
#[path = "11_stealing.rs"]
pub mod stealing;
#[path = "08_syncify.rs"]
pub mod syncify;
#[path = "04_timers.rs"]
pub mod timers;
#[path = "06_worker.rs"]
pub mod worker;
