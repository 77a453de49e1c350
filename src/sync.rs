//! The one door to shared memory: locks, atomics, threads, deques, wakers and the clock.
//!
//! The rule: nothing above this file names `std::sync`, `std::thread`, parking_lot, crossbeam or
//! loom. So one switch, here, decides what the whole crate stands on:
//!
//! ```text
//!                     locks         deques            atomics, threads
//!   default           parking_lot   crossbeam-deque   std
//!   without features  std           deque.rs          std
//!   footbridge_loom   loom          deque.rs          loom
//! ```
//!
//! `Arc` is std's under all three, loom included: `Waker` can only be made of std's `Arc`. What it counts is
//! memory, and no order that other data relies on; `Queue::is_as_new`, which asks for the counts, says why it may.

pub(crate) use std::sync::Arc;

#[cfg(any(footbridge_loom, not(feature = "crossbeam-deque")))]
mod deque;
#[cfg(footbridge_loom)]
mod model;
#[cfg(not(footbridge_loom))]
mod native;
#[cfg(not(footbridge_loom))]
mod thread_state;
mod wake;

#[cfg(footbridge_loom)]
pub use model::*;
#[cfg(not(footbridge_loom))]
pub(crate) use native::*;
#[cfg(not(footbridge_loom))]
pub(crate) use thread_state::SystemThread;

#[cfg(all(not(footbridge_loom), feature = "crossbeam-deque"))]
pub(crate) use crossbeam_deque::{Injector, Steal, Stealer, Worker as Local};
#[cfg(any(footbridge_loom, not(feature = "crossbeam-deque")))]
pub(crate) use deque::{Injector, Local, Steal, Stealer};

pub(crate) use wake::{impl_wake, waker, waker_ref};

/// No code of a user's runs under a lock of ours, so a panic leaves nothing half-changed. Said of a type
/// here, since whether the compiler finds it out depends on whose lock is inside.
macro_rules! unwind_safe {
    ($type:ident $(<$param:ident>)?) => {
        impl $(<$param>)? std::panic::UnwindSafe for $type $(<$param>)? {}
        impl $(<$param>)? std::panic::RefUnwindSafe for $type $(<$param>)? {}
    };
}
pub(crate) use unwind_safe;
