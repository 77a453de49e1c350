//! The seam for what watches a program: which code a loop runs just now, and where that was spawned.
//!
//! A loop tells of each step: the poll of a task or of the main future, a callback, a drop. If nothing watches, a step costs
//! one check. A task keeps the place where it was spawned as a [`Site`](sites::Site), in bits that its entry has to spare.
//!
//! ```text
//!   the loop's thread                                  the monitor's thread
//!   begin_step, end_step ---> Pulse: one word ---------> a look now and then ---> the hook of `on_blocked`
//!   falls asleep, wakes  ---> Pulse: `is_awake` -------> sleeps for good if no loop is awake
//! ```

pub(crate) mod blocked;
mod chrome;
pub(crate) mod event;
mod log;
#[cfg(not(footbridge_loom))]
pub(crate) mod monitor;
#[cfg_attr(
    footbridge_loom,
    allow(dead_code, reason = "no loop is watched in a model")
)]
pub(crate) mod pulse;
#[cfg_attr(
    footbridge_loom,
    allow(dead_code, reason = "no loop is watched in a model")
)]
pub(crate) mod sites;
mod svg;
mod timeline;
pub mod trace;
pub(crate) mod wait_graph;

#[cfg(not(footbridge_loom))]
pub(crate) use monitor::watch;

/// No loop is watched in a model. The monitor's looks would be choices without end.
#[cfg(footbridge_loom)]
pub(crate) fn watch(
    _asked: Option<(std::time::Duration, blocked::BlockedHook)>,
) -> Option<crate::sync::Arc<pulse::Pulse>> {
    None
}
