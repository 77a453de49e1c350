//! All locks, atomics, threads, deques, wakers and the clock. The rest of the crate takes them from here.
//!
//! The rule: no other folder names `std::sync`, `std::thread`, parking_lot, crossbeam or loom. So one switch selects them
//! for the whole crate:
//!
//! ```text
//!                     locks         deques            atomics, threads
//!   default           parking_lot   crossbeam-deque   std
//!   without features  std           deque.rs          std
//!   footbridge_loom   loom          deque.rs          loom
//! ```
//!
//! `Arc` is always std's, because `Waker` needs it. loom doesn't see its counts.
//! If other data relies on the order of a count, a comment there says why it may, as in `Scheduler::is_pristine`.

// `OnceLock` is std's in models too: what it holds is the same in each iteration.
pub(crate) use std::sync::{Arc, OnceLock, Weak};

pub(crate) mod backoff;
pub(crate) mod hint;
pub(crate) mod panics;
pub(crate) mod parker;

#[cfg(footbridge_loom)]
mod columns;
#[cfg(any(footbridge_loom, not(feature = "crossbeam-deque")))]
mod deque;
#[cfg(footbridge_loom)]
mod interleaving;
#[cfg(footbridge_loom)]
pub mod logged;
#[cfg(footbridge_loom)]
mod model;
#[cfg(not(footbridge_loom))]
mod native;
#[cfg(not(footbridge_loom))]
mod system_calls;
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

pub(crate) fn current_thread_name() -> String {
    name_of(&this_thread())
}

/// The name of a thread, or its number if it has no name.
pub(crate) fn name_of(thread: &Thread) -> String {
    let name = thread.name().map(String::from);
    name.unwrap_or_else(|| format!("{:?}", thread.id()))
}

/// A number that no other call gives. The atomic is std's in models too, because only equality of numbers matters.
pub(crate) fn unique_number() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// No user code runs under a lock of this crate, so a panic leaves nothing half-changed. This macro states it for a type,
/// because the kind of lock inside decides whether the compiler finds it out.
macro_rules! unwind_safe {
    ($type:ident $(<$param:ident>)?) => {
        impl $(<$param>)? std::panic::UnwindSafe for $type $(<$param>)? {}
        impl $(<$param>)? std::panic::RefUnwindSafe for $type $(<$param>)? {}
    };
}
pub(crate) use unwind_safe;
