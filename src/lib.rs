//! A footbridge between blocking and async code.
//!
//! ```text
//! asyncify(f)(args).await -> R                          run blocking f on a worker thread
//! syncify(g)(args) -> Result<T, SyncifyError>           in such an f: run async g on the loop, and wait for it
//! run(future) -> T                                      a loop on this thread, until the future is ready
//! spawn(future) -> JoinHandle<T>                        a task on the current loop; it need not be Send
//! spawn_blocking(f) -> BlockingTask<R>                  submit f at once; await the result, or .join()
//! Handle::current().spawn(|| future), .block_on(..)     the same loop, reached from any thread
//! Portal::start() -> io::Result<Portal>                 a loop on a thread of its own: portal.handle(), portal.stop(timeout)
//! Pool::builder().max_threads(n).build()                worker threads of one's own
//! spawn_generator(|sink| ..) -> Items<T>                items.next().await; asyncify_iter(iter), syncify_iter(make)
//! gather(futures).await -> Vec<T>, time::timeout(..)    wait for many; give up after a time
//! scope(async |s| { s.spawn(future); .. }).await -> T   tasks that borrow, and end together
//! context::Context::current().with(value).run(|| ..)    values that go along with every call in there
//! ```
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
//! A *loop* polls *tasks*, which are futures, on one thread. A *pool* has *workers*, which are threads. They run *jobs*,
//! which are blocking functions.
//!
//! What it promises:
//! - **Nesting never deadlocks**, at any depth and any size of the pool: a worker that waits doesn't count against
//!   [`max_threads`](PoolBuilder::max_threads). (It keeps its thread, and [`max_parked`](PoolBuilder::max_parked) bounds
//!   how many wait.)
//! - **Every wait gets an answer**, with four exceptions (below). If a loop has ended, a pool was shut down, the system
//!   refused a thread, or a caller has gone away, the wait ends with a typed error. If the signature has no error, it ends
//!   with a panic that says so. These waits may never end:
//!   - for a loop that isn't run;
//!   - for a function that never returns;
//!   - for a token, in a deadlock that [`Limiter`] can't see;
//!   - for a queued job, if [`max_threads`](PoolBuilder::max_threads) running jobs wait for it outside of this crate (in a
//!     channel).
//! - **The async function runs on its own loop** and need not be `Send`. Only a closure moves between the threads.
//! - **No `unsafe`.** [loom](https://docs.rs/loom) explores the state machines. It can also explore code that uses this
//!   crate.
//!
//! # The two bridges
//! The first poll of a call of `asyncify(f)` submits it. [`spawn_blocking`] submits a job at once, and [`gather`] waits
//! for many:
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
//! If `syncify(g)` gives no result, a [`SyncifyError`] says why. If there is no loop to go to, it runs `g` on a temporary
//! one, if [that is allowed](Syncify::raise_sync_error). So one blocking function serves async and sync programs. A panic
//! crosses either bridge to the code that waits.
//!
//! # The loop
//! [`run`] runs a future on a fresh loop on this thread. [`spawn`] adds tasks to it, and [`time`] has its timers. A
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
//! An [`EventLoop`] of your own can be run in pieces, or by the main loop of a host: a game, a window, a plugin. In a
//! program that is mainly sync, a [`Portal`] is a loop on a thread of its own: its handle serves all other threads, and what
//! the calls share lives on that thread. (A temporary loop serves one call, and shares nothing.)
//!
//! ```
//! # use footbridge::Portal;
//! # use std::{sync::LazyLock, time::Duration};
//! static PORTAL: LazyLock<Portal> = LazyLock::new(|| Portal::start().unwrap());
//!
//! let answer = PORTAL.handle().block_on(|| async { 6 * 7 }); // on any thread that runs no loop
//! assert_eq!(answer, Ok(42));
//! PORTAL.stop(Duration::from_secs(5)).unwrap(); // refuses calls, lets tasks end, and aborts those that don't
//! ```
//!
//! # The pool
//! Jobs run on the [global](Pool::global) pool, or on one that a loop or a call names. A pool starts threads when jobs
//! need them. Jobs that compute start at most twice as many threads as there are processors, and one. Jobs that block get
//! a thread each, up to [`max_threads`](PoolBuilder::max_threads). A [`Limiter`] bounds how many calls of a kind run at once:
//!
//! ```
//! # use footbridge::{Asyncify, Limiter, gather, run};
//! # fn query(id: u32) -> u32 { id }
//! let query = Asyncify::new().limiter(&Limiter::new(8)).wrap(query); // there are eight connections
//! let rows = run(async { gather((0..100).map(|id| query(id))).await });
//! assert_eq!(rows.len(), 100);
//! ```
//!
//! For jobs that compute, use as many tokens as there are cores.
//!
//! # Sequences
//! [`asyncify_iter`] runs a blocking iterator on a worker, and gives its items to async code: the rows of a query, the
//! entries of a folder. If the iterator borrows, or isn't `Send`, [`spawn_generator`] makes and runs it there. A million
//! small items cost far less than as many calls, because the items that are there are handed over at once:
//!
//! ```
//! # use footbridge::{run, spawn_generator};
//! let total = run(async {
//!     let mut words = spawn_generator(|sink| {
//!         let text = String::from("the generator keeps its thread, so it may borrow");
//!         text.split(' ').try_for_each(|word| sink.send(word.len()))
//!     });
//!     let mut total = 0;
//!     while let Some(length) = words.next().await {
//!         total += length;
//!     }
//!     total
//! });
//! assert_eq!(total, 40);
//! ```
//!
//! A generator whose consumer is behind waits, and its slot in the pool is free meanwhile. Dropping the [`Items`] cancels
//! it. [`syncify_iter`] is the way back: a job iterates what async code on its loop gives. For bytes, the crate `blocking`
//! has an `AsyncRead` of a blocking reader, `Unblock`.
//!
//! # Cancellation
//! Dropping a future cancels its call. A job that hasn't begun never runs. A job that has begun can't be stopped, but can
//! ask [`check_cancelled`], and an async function that it waits for is dropped. If the caller goes away, the job's waits
//! in [`syncify`], [`Handle::block_on`] and [`SendJoinHandle::join`] end with an error. A [`run`] in the job, and a
//! [`BlockingTask::join`], go on to their end, because they have no error to give: ask [`check_cancelled`] after them.
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
//! A *task* is cancelled by [`JoinHandle::abort`], or by the end of its loop. If its handle is dropped, it runs on.
//!
//! # Groups of tasks
//! The children of a [`scope`](scope()) run beside its body, and may borrow what lives outside. The scope ends when all
//! have. An error of a child of [`try_spawn`](Scope::try_spawn) ends it early, and so does a panic. When it returns,
//! nothing of it is left: futures are dropped, and the threads of its blocking functions are free. If its future is dropped
//! instead, by a [`timeout`](time::timeout) say, the functions are told and nothing waits for them. A deadline that waits
//! for them is a child: [an example](coming_from#a-group-with-a-deadline).
//!
//! ```
//! # use footbridge::{check_cancelled, run, scope};
//! # use std::{thread, time::Duration};
//! fn fetch(source: &str) -> Result<usize, String> { // blocks
//!     # for _ in 0..if source == "slow" { 1000 } else { 1 } {
//!     #     thread::sleep(Duration::from_millis(1));
//!     #     check_cancelled().map_err(|_| source)?;
//!     # }
//!     if source == "broken" { Err(format!("{source} doesn't answer")) } else { Ok(source.len()) }
//! }
//! async fn fetch_all(sources: &[&'static str]) -> Result<usize, String> {
//!     scope(async |s| {
//!         let jobs = sources.iter().map(|&source| s.spawn_blocking(move || fetch(source)));
//!         let children: Vec<_> = jobs.map(|job| s.try_spawn(job)).collect();
//!         let mut sum = 0;
//!         for child in children {
//!             sum += child.await;
//!         }
//!         Ok(sum)
//!     }).await
//! }
//! assert_eq!(run(fetch_all(&["a", "bc"])), Ok(3));
//! assert_eq!(run(fetch_all(&["slow", "broken"])), Err("broken doesn't answer".into()));
//! ```
//!
//! A child is a future of the scope. To have a task that outlives what spawns it, [`spawn`] it on the loop. For many futures
//! of one type, [`gather`] is less to write: it gives their results in order, or [as they come](Gather::next).
//!
//! To end one call and wait for its thread, [`cancel`](BlockingTask::cancel) it. To have its panic as a value, ask for its
//! [`outcome`](BlockingTask::outcome).
//!
//! # Context
//! A [`Context`](context::Context) goes along with every call and every task: a request's id, a tenant. It is there in the
//! blocking job, and in the async code that the job calls. Nothing flows back. It also
//! [carries](context::Context::carry) what other crates keep in thread-locals, such as the current span of `tracing`.
//!
//! ```
//! # use footbridge::{asyncify, context::Context, run, spawn, syncify};
//! struct RequestId(u32);
//! let id = || Context::current().get::<RequestId>().unwrap().0;
//! let job = move || syncify(async move || id())().unwrap(); // to a worker, and back to the loop
//! let request = async move { (spawn(async move { id() }).await.unwrap(), asyncify(job)().await) };
//! let seen = Context::default().with(RequestId(7)).run(|| run(request));
//! assert_eq!(seen, (7, 7));
//! ```
//!
//! # When it stalls
//! A task that blocks stops all others on its loop. Start the program with `FOOTBRIDGE_BLOCKED=100ms` in its environment,
//! and it prints which line spawned what blocks a loop for longer than that, while it does:
//!
//! ```text
//! footbridge: thread main: the loop has been blocked for 0.10 s by what was spawned at src/main.rs:144:17 (in futex)
//! ```
//!
//! The line is that of the `spawn`, `call_soon` or `run`. What blocks is in that future, in what it calls, or in the drop of
//! something that it holds. If several things do, the end of the line tells them apart: `in futex` waits for a lock or a
//! channel, `in clock_nanosleep` sleeps, `in read` waits for a file or a socket, `computing` computes, or waits for a
//! processor on a busy machine. Each of these belongs in [`asyncify`] or [`spawn_blocking`]. But if it waits for a lock that a
//! job holds, that job holds the lock for too long. A recording shows which job runs beside that poll. For the line that
//! blocks, attach a debugger while it does: `gdb -p PID -batch -ex bt` prints the stack of the main thread.
//! [`EventLoopBuilder::on_blocked`] tells a hook the same. What each thread does in between, and what waited for what, is
//! in a recording: see [`trace`].
//!
//! A program that hangs has nothing that runs, so its recording says little. [`dump`](dump()) says what each task, job and
//! thread waits for, and which of these waits can never end:
//!
//! ```text
//! loop on thread main: 1 task
//!   the main future, entered at src/main.rs:31:5, waits for a job submitted at src/main.rs:20:47
//! pool footbridge: 1 of at most 512 threads, none idle, no job queued
//!   footbridge-0 has run a job submitted at src/main.rs:20:47 for 2.10 s, and is parked in join for 2.10 s
//! ```
//!
//! `examples/dump_on_signal` prints a dump on `kill -QUIT`.
//!
//! # What it is not
//! It has no I/O of its own: bring blocking I/O, or a reactor that runs on its own thread. A loop has one thread: to split
//! a computation over the cores, use a pool made for that. What runs on a worker crosses threads with its arguments and
//! results, so they are `Send` and `'static`. A thread can't be stopped: if a job never returns, it keeps its thread for
//! ever. In a program that runs on tokio, `asyncify` works, and so do tokio's own bridges. [`coming_from`] lists calls of
//! other libraries, such as tokio, and their equivalents here. It also says [which call gives which
//! error](coming_from#which-error).
//!
//! # How it is built
//! Each folder uses only itself and the folders below it:
//!
//! ```text
//! scope/        many futures in one
//!     child  running                                a future that a scope polls, and its handle; the scope's polls, and its end
//!     gather  woken                                 a wait for many; which futures were woken
//! sequences/    a blocking iterator for async code, and an async one for blocking code
//!     generator  items  syncify_iter                what sends on a worker; what async code gets; the way back
//!     channel                                       the buffer between the two sides
//! portal/       a loop on a thread of its own
//!     builder  unfinished                           its settings and its start; why it didn't end as it should
//!     thread  life                                  what its thread does; its phases, and the waits for them
//! dump/         what the whole process does, and what waits for what
//!     ask  picture  text                            what loops, pools and limiters say; put together; as lines
//! bridge/       where blocking and async code meet
//!     asyncify  syncify                             the two bridges
//!     run  block_on  syncify_error                  a thread waits for an async function; why it gets no result
//!     spawn_blocking  blocking_task                 the caller's side of a job
//!     submission  detached                          its way to its pool; the same for a call that was detached
//!     job  job_error  large_job                     a function on its way through a worker; its result, or why there is none
//!     call  call_state  cancel                      the current call; its loop and its caller; what tells that the caller went
//!     limiter  acquire  deadlock                    tokens and permits; the wait for one; waits that can never end
//!     shutdown  retry_timer                         what the pool leaves to code that knows of loops
//!     report                                        what calls and limiters say for a dump
//! event_loop/   tasks and timers on one thread
//!     builder  turn  loop_cache                     a loop's settings; a turn, which polls; the loop that `run` uses again
//!     spawner  handle  remote_spawn                 spawning from the loop's own thread, and from others
//!     time                                          sleep and timeout
//!     current  scheduler                            the loop that this thread runs; what a loop does next
//!     ready_queue  timers  inbox                    the order of ready tasks; timers; posts
//!     task_slab  slab  table                        the tables of tasks and timers
//!     watched  report                               a loop that is watched; what a loop says for a dump
//!     task  task_waker                              a future on the loop; what a wake does
//!     joins  join_handle  join_error                how a task's result gets to what waits for it on the loop's thread
//!     join_cell  send_join_handle                   and to what waits for it on another thread
//! pool/         worker threads
//!     builder  shutdown                             a pool's settings, and its end
//!     worker  sleep  watch  steal                   a worker runs jobs, sleeps and retires, watches the queues, takes jobs
//!     growth  start  thread_retry                   whether more threads are started; starting one; when that was refused
//!     registry  threads  awake                      the shared queues; which thread does what; which will look for jobs
//!     slot  wait  worker_context                    a worker that waits releases its slot; the wait itself; its thread-local
//!     job  refusal                                  what the pool knows of a job, and why it may not run it
//!     report                                        what a pool says for a dump
//! context/      what goes along with every call
//!     inherited  bound                              what a hop takes along; a function or a future in its context
//! observe/      what a program does, shown
//!     blocked  monitor  pulse                       what blocks a loop; the thread that watches; what a loop tells it
//!     sites                                         lines of the source, as numbers
//!     trace  event  log                             a recording; what it is made of; where threads keep that
//!     timeline  chrome  svg                         slices and arrows, put together and written
//!     wait_graph                                    what waits for what, and the circles in it
//! sync/         the one door to shared memory
//!     native  model  deque  wake                    std, parking_lot and crossbeam-deque; or loom
//!     hint                                          what only a dump reads
//!     interleaving  columns  logged                 what the threads of a model did, printed if it fails
//!     thread_state  system_calls                    what the system says about a thread
//!     parker  backoff  panics                       sleeping, spinning before it, users' code that may panic
//! ```
//!
//! [`ladder`] climbs from a `block_on` of ten lines to a small version of this, in thirteen programs that run.
//! [`how_it_works`] follows a call of each bridge through the folders. With `--cfg footbridge_loom`, `sync` is made of
//! loom's types. Then loom can explore all folders above it, and code that uses this crate: see [`model_checking`].
//!
//! # Features
//! `parking_lot`, `crossbeam-deque` and `futures-task` are on by default. Each uses the crate of that name: its locks,
//! its deques, or its borrowed wakers and `Spawn` traits. Without a feature, that part is built on std alone.

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

// From top to bottom: a folder uses only itself and the folders below it.
mod portal;
mod scope;
mod sequences;

mod dump;

mod bridge;
pub mod context;
mod event_loop;
mod observe;
mod pool;
mod sync;

pub use bridge::acquire::Acquire;
pub use bridge::asyncify::{Asyncify, BlockingFn, asyncify};
pub use bridge::blocking_task::BlockingTask;
pub use bridge::cancel::{Cancelled, check_cancelled};
pub use bridge::job_error::JobError;
pub use bridge::limiter::{Limiter, Permit};
pub use bridge::run::{run, yield_now};
pub use bridge::spawn_blocking::spawn_blocking;
pub use bridge::syncify::{AsyncFunction, Syncify, syncify};
pub use bridge::syncify_error::SyncifyError;
pub use dump::{Cycle, Dump, Party, Wait, dump};
pub use event_loop::EventLoop;
pub use event_loop::builder::EventLoopBuilder;
pub use event_loop::handle::Handle;
pub use event_loop::join_error::JoinError;
pub use event_loop::join_handle::JoinHandle;
pub use event_loop::send_join_handle::SendJoinHandle;
pub use event_loop::spawner::{LocalSpawner, spawn};
pub use event_loop::time;
pub use observe::blocked::Blocked;
pub use observe::trace;
pub use pool::builder::PoolBuilder;
pub use pool::shutdown::{RunningJob, StillRunning};
pub use pool::{Pool, PoolStats};
pub use portal::Portal;
pub use portal::builder::PortalBuilder;
pub use portal::unfinished::Unfinished;
pub use scope::child::Child;
pub use scope::gather::{Gather, gather};
pub use scope::{Scope, scope};
pub use sequences::generator::{Sink, spawn_generator};
pub use sequences::items::{Items, asyncify_iter};
pub use sequences::syncify_iter::syncify_iter;

#[cfg(footbridge_loom)]
#[doc(hidden)]
pub mod internals;
#[cfg(footbridge_loom)]
pub use sync::logged as model;

#[cfg(doc)]
#[doc = include_str!("../docs/embedding.md")]
pub mod embedding {}

#[cfg(doc)]
#[doc = include_str!("../docs/how-it-works.md")]
pub mod how_it_works {}

#[cfg(doc)]
#[doc = include_str!("../docs/ladder.md")]
pub mod ladder {}

#[cfg(doc)]
#[doc = include_str!("../docs/model-checking.md")]
pub mod model_checking {}

#[cfg(doc)]
#[doc = include_str!("../docs/coming-from.md")]
pub mod coming_from {}

#[cfg(doc)]
#[doc = include_str!("../docs/stability.md")]
pub mod stability {}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
