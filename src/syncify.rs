//! Async -> blocking: `syncify(g)(args)` runs `g` on the loop that this job came from, and waits for it.
//!
//! Which loop, and whether there is one at all, is decided by the thread:
//!
//! ```text
//!                                              raise_sync_error(true)   raise_sync_error(false)
//!   a thread that runs a loop                  OnLoopThread             OnLoopThread
//!   a worker, in a job of a loop's             that loop                that loop
//!   a worker, in a job of no loop's            NotOnWorkerThread        a temporary loop, here
//!   any other thread                           NotOnWorkerThread        a temporary loop, here
//! ```

use crate::cancel::{Call, current_call, enter_call};
use crate::event_loop::EventLoop;
use crate::handle::Handle;
use crate::join::JoinError;
use crate::parker;
use crate::place;
use crate::queue;
use crate::sync::{Arc, current_thread};
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};

/// Makes a blocking function of an async one: calling it, in a job on a worker thread, runs `g` on the event
/// loop that the job came from and waits for its result.
///
/// `g` may be an `async fn`, an async closure, or any function of up to eight arguments that returns
/// something to await. It is called on the loop's thread, so its future need not be `Send`; its
/// arguments and its result are. While the job waits, its place in the pool is free for others, so
/// that calls may be nested to any depth on a pool of any size. A panic of `g` is passed on.
///
/// # Errors
/// The call says what kept it from giving a result: [`SyncifyError`]. For a program that may have no
/// loop, see [`Syncify::raise_sync_error`].
///
/// ```
/// use footbridge::{asyncify, run, syncify};
///
/// async fn do_async_work(name: String) -> String {
///     footbridge::yield_now().await;
///     format!("Hello, {name}")
/// }
///
/// fn do_sync_work(name: &str) -> String {
///     syncify(do_async_work)(name.to_string()).unwrap()
/// }
///
/// let message = run(async { asyncify(do_sync_work)("World").await });
/// assert_eq!(message, "Hello, World");
/// ```
pub fn syncify<F, Args>(g: F) -> F::Blocking
where
    F: AsyncFunction<Args>,
{
    Syncify::new().wrap(g)
}

/// [`syncify`] with options.
///
/// ```
/// use footbridge::{Syncify, SyncifyError, syncify};
///
/// async fn answer() -> u32 { 42 }
///
/// // A plain thread, without any loop:
/// assert_eq!(syncify(answer)(), Err(SyncifyError::NotOnWorkerThread));
/// assert_eq!(Syncify::new().raise_sync_error(false).wrap(answer)(), Ok(42));
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Syncify {
    raise_sync_error: bool,
    on: Option<Handle>,
}

impl Default for Syncify {
    fn default() -> Self {
        Self {
            raise_sync_error: true,
            on: None,
        }
    }
}

impl Syncify {
    /// Without options, the same as [`syncify`].
    pub fn new() -> Self {
        Self::default()
    }

    /// With `false`, a call where there is no loop to go to runs a temporary one on this thread,
    /// instead of saying `NotOnWorkerThread`. The same blocking function then works in an async
    /// program and in one without. A worker whose loop has ended still gets `LoopClosed`.
    ///
    /// A temporary loop costs nanoseconds, but what runs on it ends with the call: to share anything
    /// among many awaits, put them into one async function.
    pub fn raise_sync_error(mut self, raise: bool) -> Self {
        self.raise_sync_error = raise;
        self
    }

    /// Has the calls run on the loop of `handle`, from whichever thread that doesn't run a loop.
    pub fn on(mut self, handle: &Handle) -> Self {
        self.on = Some(handle.clone());
        self
    }

    /// Makes a blocking function of `g`, as [`syncify`] does.
    pub fn wrap<F, Args>(&self, g: F) -> F::Blocking
    where
        F: AsyncFunction<Args>,
    {
        g.into_blocking(self.clone())
    }

    fn call<M, F>(&self, make: M) -> Result<F::Output, SyncifyError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: IntoFuture + 'static,
        F::Output: Send + 'static,
    {
        if queue::is_running() {
            return Err(SyncifyError::OnLoopThread);
        }
        match self.on.clone().or_else(Handle::try_current) {
            Some(home) => home.wait_for(make),
            None if self.raise_sync_error => Err(SyncifyError::NotOnWorkerThread),
            None => run_here(make),
        }
    }
}

/// On a loop of its own, which ends with it.
fn run_here<M, F>(make: M) -> Result<F::Output, SyncifyError>
where
    M: FnOnce() -> F + 'static,
    F: IntoFuture + 'static,
    F::Output: Send + 'static,
{
    let Some(call) = current_call() else {
        return Ok(EventLoop::new().run_until(async { make().await }));
    };
    // In a job, whose caller may go away: then the future is dropped, here.
    let mut event_loop = EventLoop::new();
    let task = event_loop.spawn(async { make().await });
    if call.scope().begin_wait(task.cell.clone()).is_err() {
        return Err(SyncifyError::Cancelled);
    }
    let result = event_loop.run_until(task);
    call.scope().end_wait();
    drop(event_loop);
    finish(result)
}

fn finish<T>(result: Result<T, JoinError>) -> Result<T, SyncifyError> {
    match result {
        Ok(value) => Ok(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) if error.is_loop_closed() => Err(SyncifyError::LoopClosed),
        Err(_) => Err(SyncifyError::Cancelled),
    }
}

impl Handle {
    /// Runs a future on the loop, from a thread that runs none, and waits for its result: the one-shot
    /// form of [`syncify`]. `make` is called on the loop's thread; the future that it returns never
    /// leaves it, and need not be `Send`. A panic of either is passed on.
    ///
    /// A job that calls it gives its place in the pool back for as long as it waits. A loop that exists
    /// but isn't being run keeps the call until it is.
    ///
    /// # Errors
    /// [`SyncifyError`]: on a loop's thread, where the loop has ended or ends meanwhile, or where the
    /// caller of this job goes away.
    ///
    /// ```
    /// use footbridge::{Handle, SyncifyError, run};
    ///
    /// run(async {
    ///     let handle = Handle::current();
    ///     assert_eq!(handle.block_on(|| async {}), Err(SyncifyError::OnLoopThread));
    ///     let job = footbridge::spawn_blocking(move || handle.block_on(|| async { 42 }));
    ///     assert_eq!(job.await, Ok(42));
    /// });
    /// ```
    pub fn block_on<M, F>(&self, make: M) -> Result<F::Output, SyncifyError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.wait_for(make)
    }

    fn wait_for<M, F>(&self, make: M) -> Result<F::Output, SyncifyError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: IntoFuture + 'static,
        F::Output: Send + 'static,
    {
        if queue::is_running() || self.inbox.owner() == current_thread() {
            return Err(SyncifyError::OnLoopThread);
        }
        if self.is_closed() {
            return Err(SyncifyError::LoopClosed);
        }
        let _away = place::leave_bounded().ok_or(SyncifyError::PoolExhausted)?;
        let Some(call) = current_call() else {
            let task = self.spawn(|| make().into_future());
            return finish(parker::block_on(|context| task.cell.poll(context)));
        };
        if call.scope().is_gone() {
            return Err(SyncifyError::Cancelled);
        }
        let on_behalf_of = call.clone();
        let task = self.spawn(move || polled_for(on_behalf_of, make));
        // From here on whoever cancels the job finds the task, or the job finds itself cancelled.
        if call.scope().begin_wait(task.cell.clone()).is_err() {
            task.abort();
        }
        let result = parker::block_on(|context| task.cell.poll(context));
        call.scope().end_wait();
        finish(result)
    }
}

/// The future of `make`, polled as a part of `call`: what it calls in its turn is nested in that.
fn polled_for<M, F>(call: Arc<dyn Call>, make: M) -> impl Future<Output = F::Output>
where
    M: FnOnce() -> F,
    F: IntoFuture,
{
    let mut future = {
        let _call = enter_call(Some(call.clone()));
        Box::pin(make().into_future())
    };
    poll_fn(move |context| {
        let _call = enter_call(Some(call.clone()));
        future.as_mut().poll(context)
    })
}

/// Why a blocking call of an async function gave no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncifyError {
    /// This thread isn't a worker with a job of an event loop's, so there is no loop to go to.
    NotOnWorkerThread,
    /// This thread runs an event loop, or owns the one that was to be waited for: waiting would stop it.
    OnLoopThread,
    /// The loop that the job came from has ended, or ended before the call did.
    LoopClosed,
    /// The caller of this job has gone away, or the task was aborted. The async function is gone by now.
    Cancelled,
    /// As many jobs of the pool wait already as [`max_parked`](crate::PoolBuilder::max_parked) says.
    PoolExhausted,
}

impl fmt::Display for SyncifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnWorkerThread => {
                "not on a worker thread of an event loop: call it from a function run with asyncify, \
                 name a loop with Syncify::on, or allow a temporary one with raise_sync_error(false)"
            }
            Self::OnLoopThread => {
                "this thread runs an event loop, which would stop while it waits: await the async function"
            }
            Self::LoopClosed => "the event loop that was to run the async function has ended",
            Self::Cancelled => "the call was cancelled: its caller has gone away, or its task was aborted",
            Self::PoolExhausted => "as many jobs of the pool are waiting already as its max_parked allows",
        })
    }
}

impl std::error::Error for SyncifyError {}

/// An async function that can be called on another thread: implemented for functions and closures of
/// up to eight arguments whose result can be awaited. `Args` is the tuple of the arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be called on an event loop's thread",
    label = "not an async function that can be sent to its loop",
    note = "`syncify` takes an async function or closure of up to 8 arguments that is `Clone + Send + 'static`, \
            and so are its arguments and its result `Send + 'static`; its future need not be `Send`",
    note = "annotate the arguments of a closure: `syncify(async |n: u32| n + 1)`"
)]
pub trait AsyncFunction<Args>: sealed::AsyncFunction<Args> {
    /// The blocking function: the same arguments, and a `Result` of what awaiting gives.
    type Blocking;

    #[doc(hidden)]
    fn into_blocking(self, options: Syncify) -> Self::Blocking;
}

mod sealed {
    pub trait AsyncFunction<Args> {}
}

macro_rules! async_function {
    ($($Arg:ident),*) => {
        impl<Fun, Fut, $($Arg),*> sealed::AsyncFunction<($($Arg,)*)> for Fun
        where
            Fun: FnOnce($($Arg),*) -> Fut + Clone + Send + 'static,
            Fut: IntoFuture + 'static,
            Fut::Output: Send + 'static,
            $($Arg: Send + 'static,)*
        {
        }

        impl<Fun, Fut, $($Arg),*> AsyncFunction<($($Arg,)*)> for Fun
        where
            Fun: FnOnce($($Arg),*) -> Fut + Clone + Send + 'static,
            Fut: IntoFuture + 'static,
            Fut::Output: Send + 'static,
            $($Arg: Send + 'static,)*
        {
            type Blocking = Box<dyn Fn($($Arg),*) -> Result<Fut::Output, SyncifyError> + Send>;

            #[allow(non_snake_case, reason = "a parameter has the name of its type")]
            fn into_blocking(self, options: Syncify) -> Self::Blocking {
                Box::new(move |$($Arg),*| {
                    let g = self.clone();
                    options.call(move || g($($Arg),*))
                })
            }
        }
    };
}

async_function!();
async_function!(A);
async_function!(A, B);
async_function!(A, B, C);
async_function!(A, B, C, D);
async_function!(A, B, C, D, E);
async_function!(A, B, C, D, E, G);
async_function!(A, B, C, D, E, G, H);
async_function!(A, B, C, D, E, G, H, I);
