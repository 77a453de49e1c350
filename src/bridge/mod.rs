//! The bridges between blocking and async code.

pub(crate) mod acquire;
pub(crate) mod asyncify;
pub(crate) mod block_on;
pub(crate) mod blocking_task;
pub(crate) mod call;
pub(crate) mod call_state;
pub(crate) mod cancel;
pub(crate) mod deadlock;
pub(crate) mod detached;
pub(crate) mod job;
pub(crate) mod job_error;
pub(crate) mod large_job;
pub(crate) mod limiter;
pub(crate) mod report;
pub(crate) mod retry_timer;
pub(crate) mod run;
pub(crate) mod shutdown;
pub(crate) mod spawn_blocking;
mod submission;
pub(crate) mod syncify;
pub(crate) mod syncify_error;

#[cfg(all(test, not(footbridge_loom)))]
mod spin_tests;
