//! The stages once more, on loom's locks and atomics in place of std's. So a model runs the very text of a stage.

mod world {
    pub use loom::sync::atomic::{AtomicBool, AtomicUsize, fence};
    pub use loom::sync::{Condvar, Mutex};
}

#[path = "05_inbox.rs"]
pub mod inbox;
#[path = "03_join.rs"]
pub mod join;
#[path = "02_line.rs"]
pub mod line;
#[path = "01_parker.rs"]
pub mod parker;
#[path = "11_stealing.rs"]
pub mod stealing;
#[path = "04_timers.rs"]
pub mod timers;
