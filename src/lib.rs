//! A footbridge between blocking and async code.
//!
//! [`asyncify`] takes a blocking function and gives back an async one, which runs it on a worker thread
//! while the event loop keeps turning. [`syncify`] takes an async function and gives back a blocking
//! one, which runs it on the event loop that the worker's job came from, and waits for it.
//!
//! ```
//! use footbridge::{asyncify, run, syncify};
//!
//! async fn fetch(name: String) -> String {
//!     footbridge::yield_now().await; // any async code; it need not be `Send`
//!     format!("Hello, {name}")
//! }
//!
//! fn work(name: &str) -> String {
//!     syncify(fetch)(name.to_string()).unwrap() // blocks this worker, not the loop
//! }
//!
//! let message = run(async { asyncify(work)("World").await });
//! assert_eq!(message, "Hello, World");
//! ```
//!
//! What it promises:
//! - **Nesting never deadlocks**, at any depth and any size of the pool: a worker that waits gives its
//!   place back for as long as it waits. (It keeps its thread; [`max_parked`](PoolBuilder::max_parked) bounds those.)
//! - **Everybody who waits gets an answer**: a loop that has ended, a pool that was shut down, a thread that
//!   the system refused, a caller who has gone away are typed errors, or panics that say so where the
//!   signature leaves no room for an error. What still waits for ever: for a loop that nobody runs, for a
//!   function that never returns, for a token whose holder waits for it.
//! - **The async function runs on its own loop** and need not be `Send`. What travels is a closure.
//! - **No `unsafe`**; and its machines are explored by [loom](https://docs.rs/loom), as the code that uses them can be.
//!
//! # The loop
//! [`run`] runs a future on a fresh loop on this thread; [`spawn`] adds tasks to it, [`time`] has its timers.
//! An [`EventLoop`] of one's own can be run in pieces, or by the main loop of a host. A [`Handle`]
//! reaches a loop from any thread.
//!
//! # The pool
//! Jobs run on the [global](Pool::global) pool, or on one that a loop or a call names. It starts threads
//! when jobs need them: a burst of short jobs is run by a few, jobs that block get a thread each, up to
//! [`max_threads`](PoolBuilder::max_threads). A [`Limiter`] bounds how many calls of a kind run at once.
//!
//! # Cancellation
//! Dropping a future cancels its call. A job that hasn't begun never runs; one that has can't be stopped,
//! but finds out with [`check_cancelled`], and an async function that it waits for is dropped.
//!
//! # What it is not
//! It has no I/O of its own: bring blocking I/O, or a reactor that runs on a thread of its own. A loop
//! has one thread; work that needs the processor belongs on the pool, or on one made for that. A thread
//! can't be stopped: a job that never returns keeps its place for ever.
//!
//! # How it is built
//! ```text
//!   asyncify · syncify · gather                                 the doors
//!   block_on · run · kept · event_loop_builder                  a loop for a while, or for one's own
//!   event_loop · spawner · tasks · time                         a loop as it turns, and beside it,
//!   blocking_task · detached · pool · shutdown                  knowing nothing of it, a pool:
//!   worker · crew · own · idle · job · refusal                  its threads and what they run
//!   call · limiter                                              where a job comes from, and what bounds it
//!   handle · queue                                              a loop seen from anywhere
//!   inbox · task
//!   parker · place · join · timers
//!   sync                                                        the one door to shared memory
//! ```
//! A module uses its neighbours and what stands below it, and nothing goes round in a circle. With
//! `--cfg footbridge_loom`, `sync` is made of loom's types, and everything above it, the code of this
//! crate's users included, can be explored: see [`model_checking`].
//!
//! # Features
//! `parking_lot`, `crossbeam-deque` and `futures-task`, all on by default, each bring the crate of that
//! name: its locks, its deques, its borrowed wakers and the `Spawn` traits. Without them the same is
//! built on std alone.

#![forbid(unsafe_code)]
#![cfg_attr(
    footbridge_loom,
    allow(
        missing_docs,
        missing_debug_implementations,
        clippy::new_without_default,
        reason = "`internals`"
    )
)]

// From the doors down to the ground.
mod asyncify;
mod gather;
mod syncify;

mod block_on;
mod event_loop_builder;
mod kept;
mod run;

mod event_loop;
mod spawner;
mod tasks;
pub mod time;

mod blocking_task;
mod crew;
mod detached;
mod idle;
mod job;
mod own;
mod pool;
mod refusal;
mod shutdown;
mod worker;

mod call;
mod limiter;

mod handle;
mod queue;

mod inbox;
mod task;

mod join;
mod parker;
mod place;
mod timers;

mod sync;

pub use asyncify::{Asyncify, BlockingFn, asyncify};
pub use block_on::SyncifyError;
pub use blocking_task::{BlockingTask, spawn_blocking};
pub use call::{Cancelled, check_cancelled};
pub use event_loop::EventLoop;
pub use event_loop_builder::EventLoopBuilder;
pub use gather::{Gather, gather};
pub use handle::{Handle, JoinHandle};
pub use join::JoinError;
pub use limiter::{Acquire, Limiter, Permit};
pub use pool::{Pool, PoolBuilder, PoolStats};
pub use run::{run, yield_now};
pub use shutdown::{RunningJob, StillRunning};
pub use spawner::{LocalSpawner, spawn};
pub use syncify::{AsyncFunction, Syncify, syncify};

#[cfg(footbridge_loom)]
#[doc(hidden)]
pub mod internals;

#[cfg(doc)]
#[doc = include_str!("../docs/model-checking.md")]
pub mod model_checking {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
