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
//! A *loop* polls *tasks*, which are futures, on one thread. A *pool* has *workers*, which are threads, and
//! they run *jobs*, which are blocking functions.
//!
//! What it promises:
//! - **Nesting never deadlocks**, at any depth and any size of the pool: a worker that waits gives its
//!   place back for as long as it waits. (It keeps its thread; [`max_parked`](PoolBuilder::max_parked) bounds those.)
//! - **Everybody who waits gets an answer**: a loop that has ended, a pool that was shut down, a thread that
//!   the system refused, a caller who has gone away are typed errors, or panics that say so where the
//!   signature leaves no room for an error. What still waits for ever: for a loop that nobody runs, for a
//!   function that never returns, for a token whose holder waits for it in a way that [`Limiter`] can't see, for a
//!   queued job where [`max_threads`](PoolBuilder::max_threads) running ones wait for it outside of this crate (in a channel).
//! - **The async function runs on its own loop** and need not be `Send`. What travels is a closure.
//! - **No `unsafe`**; and its machines are explored by [loom](https://docs.rs/loom), as the code that uses them can be.
//!
//! # The two bridges
//! A call of `asyncify(f)` is submitted when it is first polled; [`spawn_blocking`] submits a job at once, and
//! [`gather`] waits for many:
//!
//! ```
//! # use footbridge::{asyncify, gather, run};
//! let lengths = run(async {
//!     let length = asyncify(|text: String| text.len());
//!     gather(["one", "three"].map(|text| length(text.to_string()))).await
//! });
//! assert_eq!(lengths, [3, 5]);
//! ```
//!
//! `syncify(g)` says with a [`SyncifyError`] why it couldn't be served. Where there is no loop to go to, it runs
//! `g` on a temporary one if [it is told to](Syncify::raise_sync_error): so one blocking function serves async
//! and sync programs. A panic crosses either bridge to whoever waits.
//!
//! # The loop
//! [`run`] runs a future on a fresh loop on this thread; [`spawn`] adds tasks to it, [`time`] has its timers. A
//! [`Handle`] reaches a loop from any thread:
//!
//! ```
//! # use footbridge::{Handle, run, spawn, time};
//! # use std::{rc::Rc, thread, time::Duration};
//! run(async {
//!     let text = Rc::new("not `Send`");
//!     let task = spawn(async move {
//!         time::sleep(Duration::from_millis(1)).await;
//!         text.len()
//!     });
//!     let handle = Handle::current();
//!     thread::spawn(move || handle.call_soon(|| println!("on the loop's thread, if it still turns")));
//!     assert_eq!(task.await.unwrap(), 10);
//! });
//! ```
//!
//! An [`EventLoop`] of one's own can be run in pieces, or by the main loop of a host: a game, a window, a plugin.
//!
//! # The pool
//! Jobs run on the [global](Pool::global) pool, or on one that a loop or a call names. It starts threads
//! when jobs need them: jobs that compute are run by about as many as there are processors, jobs that block get a
//! thread each, up to [`max_threads`](PoolBuilder::max_threads). A [`Limiter`] bounds how many calls of a kind run at once:
//!
//! ```
//! # use footbridge::{Asyncify, Limiter, gather, run};
//! # fn query(id: u32) -> u32 { id }
//! let query = Asyncify::new().limiter(&Limiter::new(8)).wrap(query); // there are eight connections
//! let rows = run(async { gather((0..100).map(|id| query(id))).await });
//! assert_eq!(rows.len(), 100);
//! ```
//!
//! Work for the processor wants as many tokens as there are cores.
//!
//! # Cancellation
//! Dropping a future cancels its call. A job that hasn't begun never runs; one that has can't be stopped,
//! but finds out with [`check_cancelled`], and an async function that it waits for is dropped. So end the job's waits
//! in [`syncify`], [`Handle::block_on`] and [`JoinHandle::join`], with an error. A [`run`] in the job, and a
//! [`BlockingTask::join`], go on to their end, since they have no error to give: ask [`check_cancelled`] after them.
//!
//! ```
//! # use footbridge::{check_cancelled, spawn_blocking};
//! let (tell, told) = std::sync::mpsc::sync_channel(0);
//! let job = spawn_blocking(move || {
//!     while check_cancelled().is_ok() {
//!         tell.send("a step").unwrap();
//!     }
//! });
//! told.recv().unwrap(); // it has begun
//! drop(job); // or a `time::timeout` around it that is up
//! assert!(told.iter().count() <= 1); // at most the step that it was about to make
//! ```
//!
//! A *task* is cancelled by [`JoinHandle::abort`], or by the end of its loop; dropping its handle lets it run on.
//!
//! # What it is not
//! It has no I/O of its own: bring blocking I/O, or a reactor that runs on a thread of its own. A loop
//! has one thread; a computation to be split over the cores belongs on a pool made for that. Functions,
//! arguments and results cross threads, so they are `Send` and `'static`. A thread can't be stopped: a job that
//! never returns keeps its place for ever. In a program that runs on tokio, `asyncify` works, and tokio's own
//! bridges are at hand. [`coming_from`] has other libraries' calls, tokio's among them, and what each is here.
//!
//! # How it is built
//! ```text
//!   asyncify · syncify · gather                                 the doors
//!   block_on · run · kept · event_loop_builder                  a loop for a while, or for one's own
//!   event_loop · spawner · tasks · time                         a loop as it turns, and beside it,
//!   blocking_task · detached · pool · shutdown                  knowing nothing of it, a pool:
//!   worker · crew · own · idle · growth · job · large           its threads and what they run,
//!   refusal · retry                                             and what becomes of jobs where there is no thread
//!   call · limiter · waits                                      where a job comes from, what bounds it, who waits
//!   handle · queue                                              a loop seen from anywhere
//!   inbox · ready · task                                        what others post, what comes next
//!   parker · backoff · place · join · discard · slab · timers
//!   sync                                                        the one door to shared memory
//! ```
//! A module uses its neighbours and what stands below it. Two pairs know each other: crew and own, call and waits.
//! [`how_it_works`] follows a call of each bridge through them. With `--cfg footbridge_loom`, `sync` is made of
//! loom's types, and everything above it, the code of this crate's users included, can be explored: see
//! [`model_checking`].
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
mod growth;
mod idle;
mod job;
mod large;
mod own;
mod pool;
mod refusal;
mod retry;
mod shutdown;
mod worker;

mod call;
mod limiter;
mod waits;

mod handle;
mod queue;
mod ready;

mod inbox;
mod task;

mod backoff;
mod discard;
mod join;
mod parker;
mod place;
mod slab;
mod timers;

mod sync;

#[cfg(all(test, not(footbridge_loom)))]
mod spins;

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
#[doc = include_str!("../docs/how-it-works.md")]
pub mod how_it_works {}

#[cfg(doc)]
#[doc = include_str!("../docs/model-checking.md")]
pub mod model_checking {}

#[cfg(doc)]
#[doc = include_str!("../docs/coming-from.md")]
pub mod coming_from {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
