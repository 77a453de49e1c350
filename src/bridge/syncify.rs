//! Async -> blocking: `syncify(g)(args)` runs `g` on the loop that this job came from, and waits for it.
//!
//! The thread decides which loop, and whether there is one:
//!
//! ```text
//!                                              raise_sync_error(true)   raise_sync_error(false)
//!   a thread that runs a loop                  OnLoopThread             OnLoopThread
//!   a worker, in a job with a loop             that loop                that loop
//!   a worker, in a job without a loop          NotOnWorkerThread        a temporary loop, here
//!   any other thread                           NotOnWorkerThread        a temporary loop, here
//!   ... with `on(&handle)`                     the handle's loop        the handle's loop
//! ```
//!
//! If the loop has ended, the result is `LoopClosed` in both columns. No other loop takes the call.

use crate::bridge::block_on::{run_here, wait_for};
use crate::bridge::syncify_error::SyncifyError;
use crate::event_loop::current;
use crate::event_loop::handle::Handle;
use crate::observe::event::{self, Slice};
use std::future::IntoFuture;
use std::panic::Location;

/// Makes a blocking function of an async one: a call of it, in a job on a worker thread, runs `g` on the event loop that
/// the job came from and waits for its result.
///
/// `g` may be an `async fn`, an async closure, or any function of up to eight arguments that returns something to await.
/// It is called on the loop's thread, so the future need not be `Send`. The arguments and the result are `Send`. While
/// the job waits, its slot in the pool is free for other jobs, so calls may be nested to any depth on a pool of any size.
///
/// `g` and its arguments move to the loop's thread, so what `g` captures and the arguments are `Send + 'static` (a
/// `String`, not a `&str` of your own). The future stays on the loop's thread and may use anything there. A thread-local
/// holds what can't move.
///
/// Call `syncify(g)` inside the job. It only boxes `g`. Its result isn't `Clone`, so a closure for `asyncify` can't
/// capture it. To tell the loop something without waiting, use [`Handle::call_soon`](crate::Handle::call_soon).
///
/// `g` is cloned for each call, with what it captures. If a closure captures what can't be cloned, a channel's receiver
/// say, and is called once, use [`Handle::block_on`](crate::Handle::block_on), or pass the value as an argument:
///
/// ```
/// use footbridge::{Handle, run, spawn_blocking, syncify};
/// use std::sync::mpsc::{self, Receiver};
///
/// let (first, second) = (mpsc::channel::<u32>().1, mpsc::channel::<u32>().1);
/// let job = move || {
///     let there = Handle::current().block_on(move || async move { first.try_recv().is_err() });
///     let as_argument = syncify(async |second: Receiver<u32>| second.try_recv().is_err())(second);
///     (there, as_argument)
/// };
/// assert_eq!(run(async { spawn_blocking(job).await }), (Ok(true), Ok(true)));
/// ```
///
/// # Errors
/// If the call can't give a result, [`SyncifyError`] says why. For a program that may have no loop, see
/// [`Syncify::raise_sync_error`]. `?` also passes the error on in a function that returns `io::Result`.
///
/// # Panics
/// With the panic of `g` or of its future.
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
///
/// Jobs that report how far they are:
///
/// ```
/// use footbridge::{asyncify, gather, run, syncify};
/// use std::cell::Cell;
///
/// thread_local!(static DONE: Cell<u32> = const { Cell::new(0) }); // the loop's thread counts
///
/// fn job(_n: u32) {
///     syncify(async || DONE.set(DONE.get() + 1))().unwrap();
/// }
/// run(async {
///     gather((0..3).map(|n| asyncify(job)(n))).await;
///     assert_eq!(DONE.get(), 3);
/// });
/// ```
#[track_caller]
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
    /// Without options, the same as [`syncify`]. [`Syncify`] has an example.
    pub fn new() -> Self {
        Self::default()
    }

    /// With `false`, if there is no loop to go to, a call runs a temporary one on this thread, instead of returning
    /// `NotOnWorkerThread`. The same blocking function then works in an async program and in one without. If a worker's
    /// loop has ended, the call still returns `LoopClosed`.
    ///
    /// A temporary loop costs nanoseconds. When the call returns, the temporary loop and its tasks end. To share state
    /// among awaits, put them into one async function.
    ///
    /// ```
    /// use footbridge::{Syncify, SyncifyError, asyncify, run};
    ///
    /// fn answer() -> Result<u32, SyncifyError> {
    ///     Syncify::new().raise_sync_error(false).wrap(async || 42)()
    /// }
    /// assert_eq!(answer(), Ok(42)); // on a loop for this call
    /// assert_eq!(run(async { asyncify(answer)().await }), Ok(42)); // on the loop of the caller
    /// ```
    pub fn raise_sync_error(mut self, raise: bool) -> Self {
        self.raise_sync_error = raise;
        self
    }

    /// Runs the calls on the loop of `handle`. The calling thread must not run a loop.
    ///
    /// ```
    /// use footbridge::{Handle, Syncify, run, spawn_blocking};
    ///
    /// run(async {
    ///     let double = Syncify::new().on(&Handle::current()).wrap(async |n: u32| 2 * n);
    ///     let thread = std::thread::spawn(move || double(21)); // no worker of ours
    ///     assert_eq!(spawn_blocking(|| thread.join().unwrap()).await, Ok(42));
    /// });
    /// ```
    pub fn on(mut self, handle: &Handle) -> Self {
        self.on = Some(handle.clone());
        self
    }

    /// Makes a blocking function of `g`, as [`syncify`] does. [`Syncify`] has an example.
    #[track_caller]
    pub fn wrap<F, Args>(&self, g: F) -> F::Blocking
    where
        F: AsyncFunction<Args>,
    {
        g.into_blocking(self.clone(), Location::caller())
    }

    fn call<M, F>(&self, make: M, at: &'static Location<'static>) -> Result<F::Output, SyncifyError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: IntoFuture + 'static,
        F::Output: Send + 'static,
    {
        if current::is_running() {
            return Err(SyncifyError::OnLoopThread);
        }
        let _wait = event::slice(|| Slice::Wait("syncify"));
        match self.on.clone().or_else(Handle::try_current) {
            Some(home) => wait_for("syncify", &home, make, at),
            None if self.raise_sync_error => Err(SyncifyError::NotOnWorkerThread),
            None => run_here(make, at),
        }
    }
}

/// An async function that can be called on another thread: implemented for functions and closures of up to eight
/// arguments whose result can be awaited. `Args` is the tuple of the arguments.
///
/// To write your own wrapper for any function:
///
/// ```
/// use footbridge::{AsyncFunction, Syncify};
///
/// fn lenient<F: AsyncFunction<Args>, Args>(g: F) -> F::Blocking {
///     Syncify::new().raise_sync_error(false).wrap(g)
/// }
/// assert_eq!(lenient(async |n: u32| 2 * n)(21), Ok(42));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be called on an event loop's thread",
    label = "not an async function that can be sent to its loop",
    note = "`syncify` takes an async function or closure of up to 8 arguments that is `Clone + Send + 'static`, \
            and so are its arguments and its result `Send + 'static`; its future need not be `Send`",
    note = "annotate the arguments of a closure: `syncify(async |n: u32| n + 1)`",
    note = "what lives on the loop's thread and isn't `Send`, an `Rc` say, is reached there: from a thread-local"
)]
pub trait AsyncFunction<Args>: sealed::Sealed<Args> {
    /// The blocking function: `Box<dyn Fn(A, ..) -> Result<R, SyncifyError> + Send>`, with the same arguments and the
    /// result of awaiting. It is neither `Clone` nor `Sync`: wrap once for each owner.
    ///
    /// ```
    /// use footbridge::{Syncify, SyncifyError};
    ///
    /// struct Client {
    ///     get: Box<dyn Fn(u32) -> Result<String, SyncifyError> + Send>,
    /// }
    /// let get = async |page: u32| format!("page {page}");
    /// let client = Client { get: Syncify::new().raise_sync_error(false).wrap(get) };
    /// assert_eq!((client.get)(7).unwrap(), "page 7");
    /// ```
    type Blocking;

    #[doc(hidden)]
    fn into_blocking(self, options: Syncify, at: &'static Location<'static>) -> Self::Blocking;
}

mod sealed {
    pub trait Sealed<Args> {}
}

macro_rules! async_function {
    ($($Arg:ident),*) => {
        impl<Fun, Fut, $($Arg),*> sealed::Sealed<($($Arg,)*)> for Fun
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
            fn into_blocking(self, options: Syncify, at: &'static Location<'static>) -> Self::Blocking {
                Box::new(move |$($Arg),*| {
                    let g = self.clone();
                    options.call(move || g($($Arg),*), at)
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
async_function!(A, B, C, D, E, F);
async_function!(A, B, C, D, E, F, G);
async_function!(A, B, C, D, E, F, G, H);
