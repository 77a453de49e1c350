//! A footbridge between blocking and async code.

#![forbid(unsafe_code)]

// From the doors down to the ground; each module uses only what stands below it.
mod asyncify;
mod gather;
mod syncify;

mod blocking_task;

mod event_loop;
mod pool;

mod crew;
mod idle;
mod job;
mod spawner;
mod tasks;
mod worker;

mod handle;
mod queue;

mod cancel;
mod inbox;
mod limiter;
mod task;

mod join;
mod parker;
mod place;
mod timers;

mod sync;

pub mod time;

pub use asyncify::{Asyncify, BlockingFn, asyncify};
pub use blocking_task::{BlockingTask, spawn_blocking};
pub use cancel::{Cancelled, check_cancelled};
pub use event_loop::{EventLoop, EventLoopBuilder, run, yield_now};
pub use gather::{Gather, gather};
pub use handle::{Handle, JoinHandle};
pub use join::JoinError;
pub use limiter::{Acquire, Limiter, Permit};
pub use pool::{Pool, PoolBuilder, PoolStats, RunningJob, StillRunning};
pub use spawner::{LocalSpawner, spawn};
pub use syncify::{AsyncFunction, Syncify, SyncifyError, syncify};
