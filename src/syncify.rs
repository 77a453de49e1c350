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
//!   ... with `on(&handle)`                     the handle's loop        the handle's loop
//! ```
//!
//! A loop that has ended is `LoopClosed` in both columns: nobody falls back to another one.

use crate::block_on::{SyncifyError, run_here, wait_for};
use crate::handle::Handle;
use crate::queue;
use std::future::IntoFuture;

/// Makes a blocking function of an async one: calling it, in a job on a worker thread, runs `g` on the event
/// loop that the job came from and waits for its result.
///
/// `g` may be an `async fn`, an async closure, or any function of up to eight arguments that returns
/// something to await. It is called on the loop's thread, so its future need not be `Send`; its
/// arguments and its result are. While the job waits, its place in the pool is free for others, so
/// that calls may be nested to any depth on a pool of any size.
///
/// What travels is `g` and its arguments, so `Send` and `'static` is asked of what `g` captures and of those
/// (a `String`, not a `&str` of your own); its future may then use whatever it likes on the loop's thread. What is
/// there and can't travel, it finds in a thread-local. Wrap where you call, inside the job: `syncify(g)` does nothing
/// but box `g`, and what it returns can't be cloned, so that a closure for `asyncify` can't capture it. To tell the loop something without waiting, there is
/// [`Handle::call_soon`](crate::Handle::call_soon).
///
/// What `g` captures is cloned for each call. A closure that captures what can't be cloned, a channel's receiver say, and
/// is called once, goes to [`Handle::block_on`](crate::Handle::block_on), or takes that as an argument:
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
/// The call says what kept it from giving a result: [`SyncifyError`]. For a program that may have no
/// loop, see [`Syncify::raise_sync_error`]. `?` passes it on in a function that returns `io::Result`, too.
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

    /// With `false`, a call where there is no loop to go to runs a temporary one on this thread,
    /// instead of saying `NotOnWorkerThread`. The same blocking function then works in an async
    /// program and in one without. A worker whose loop has ended still gets `LoopClosed`.
    ///
    /// A temporary loop costs nanoseconds, but what runs on it ends with the call: to share anything
    /// among many awaits, put them into one async function.
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

    /// Has the calls run on the loop of `handle`, from whichever thread that doesn't run a loop.
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
            Some(home) => wait_for(&home, make),
            None if self.raise_sync_error => Err(SyncifyError::NotOnWorkerThread),
            None => run_here(make),
        }
    }
}

/// An async function that can be called on another thread: implemented for functions and closures of
/// up to eight arguments whose result can be awaited. `Args` is the tuple of the arguments.
///
/// For a wrapper of one's own around whatever function:
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
    /// The blocking function: `Box<dyn Fn(A, ..) -> Result<R, SyncifyError> + Send>`, of the same arguments and
    /// the result of awaiting. Neither `Clone` nor `Sync`: wrap once for each owner.
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
    fn into_blocking(self, options: Syncify) -> Self::Blocking;
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
async_function!(A, B, C, D, E, F);
async_function!(A, B, C, D, E, F, G);
async_function!(A, B, C, D, E, F, G, H);
