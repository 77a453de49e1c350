//! Blocking -> async: `asyncify(f)(args).await` runs `f` on a worker thread.
//!
//! Rust has no bound for functions of any number of arguments. So a trait has the tuple of the arguments as its
//! parameter, and an implementation for each length. The compiler infers the tuple from the function.

use crate::bridge::blocking_task::BlockingTask;
use crate::bridge::limiter::Limiter;
use crate::pool::Pool;
use std::panic::Location;

/// Makes an async function of a blocking one: a call of it, when awaited, runs `f` on a worker thread, so that the event
/// loop keeps turning.
///
/// `f` may be any function or closure of up to eight arguments that can cross threads. It is cloned for each call, so one
/// `asyncify(f)` serves any number of calls, also at once. If `f` can't be cloned, use
/// [`spawn_blocking`](crate::spawn_blocking), or pass the value as an argument. If `f` is an async function, the call
/// gives its future, and nothing of it runs.
///
/// The first poll of the call submits the job. Before that, nothing runs. If `f` panics, the `await` panics. If the call
/// is dropped, it is cancelled, as [`BlockingTask`] says. Works on any executor. On a loop of this crate, `f` may call
/// back with [`syncify`](crate::syncify).
///
/// If an argument is a reference, it has to be `'static`, as `"World"` is. For other references, wrap a closure that owns
/// the value: `asyncify(|dir: PathBuf| walk(&dir))`.
///
/// ```
/// use footbridge::{asyncify, run};
/// use std::{thread, time::Duration};
///
/// fn do_sync_work(name: &str) -> String {
///     thread::sleep(Duration::from_millis(1));
///     format!("Hello, {name}")
/// }
///
/// let message = run(async { asyncify(do_sync_work)("World").await });
/// assert_eq!(message, "Hello, World");
/// ```
///
/// A wrong argument is an error at the call:
///
/// ```compile_fail,E0308
/// # use footbridge::{asyncify, run};
/// fn do_sync_work(name: &'static str) -> String { name.into() }
/// run(async { asyncify(do_sync_work)(42).await });
/// ```
#[track_caller]
pub fn asyncify<F, Args>(f: F) -> F::Async
where
    F: BlockingFn<Args>,
{
    Asyncify::new().wrap(f)
}

/// [`asyncify`] with options: on which pool, and bounded by which limiter.
///
/// ```
/// use footbridge::{Asyncify, Limiter, Pool, run};
///
/// let pool = Pool::builder().max_threads(2).build();
/// let one_at_a_time = Limiter::new(1);
/// let bounded = Asyncify::new().pool(&pool).limiter(&one_at_a_time);
/// let length = bounded.wrap(|text: &str| text.len());
/// assert_eq!(run(async { length("four").await }), 4);
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Asyncify {
    pool: Option<Pool>,
    limiter: Option<Limiter>,
}

impl Asyncify {
    /// Without options, the same as [`asyncify`]. [`Asyncify`] has an example.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs the calls on `pool`, instead of the current loop's pool or the global one.
    ///
    /// ```
    /// use footbridge::{Asyncify, Pool, run};
    ///
    /// let disk = Pool::builder().thread_name("disk").build();
    /// let name = Asyncify::new().pool(&disk).wrap(|| std::thread::current().name().map(String::from));
    /// assert_eq!(run(async { name().await }).as_deref(), Some("disk-0"));
    /// ```
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// Each call waits for a token of `limiter` before it is submitted. The job gives the token back when it ends, even
    /// if the call is dropped before.
    ///
    /// If calls that wait for this call hold all tokens, its `await` panics instead of waiting for ever. [Not every such
    /// deadlock](Limiter#deadlocks) is found.
    ///
    /// ```
    /// use footbridge::{Asyncify, Limiter, gather, run};
    ///
    /// let two = Limiter::new(2);
    /// let seen_by_job = two.clone();
    /// let job = Asyncify::new().limiter(&two).wrap(move |_n: u32| seen_by_job.borrowed_tokens());
    /// let at_once = run(async { gather((0..10).map(|n| job(n))).await });
    /// assert!(at_once.iter().all(|&jobs| jobs <= 2));
    /// ```
    pub fn limiter(mut self, limiter: &Limiter) -> Self {
        self.limiter = Some(limiter.clone());
        self
    }

    /// Makes an async function of `f`, as [`asyncify`] does. One set of options wraps any number of functions.
    ///
    /// Messages name the line of this call. If the enclosing function is `#[track_caller]`, they name the line that calls
    /// it.
    ///
    /// ```
    /// use footbridge::{Asyncify, Limiter, run};
    /// use std::{env, fs};
    ///
    /// let on_disk = Asyncify::new().limiter(&Limiter::new(4));
    /// let (write, remove) = (on_disk.wrap(fs::write::<_, &str>), on_disk.wrap(fs::remove_file));
    /// let path = env::temp_dir().join(format!("footbridge-{}", std::process::id()));
    /// run(async {
    ///     write(path.clone(), "text").await?;
    ///     remove(path).await
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn wrap<F, Args>(&self, f: F) -> F::Async
    where
        F: BlockingFn<Args>,
    {
        f.into_async(self.clone(), Location::caller())
    }
}

/// A blocking function that can be called on another thread: implemented for functions and closures of up to eight
/// arguments. `Args` is the tuple of the arguments.
///
/// To write your own wrapper for any function:
///
/// ```
/// use footbridge::{Asyncify, BlockingFn, Limiter, run};
/// use std::sync::LazyLock;
///
/// static DISK: LazyLock<Limiter> = LazyLock::new(|| Limiter::new(4));
///
/// fn on_disk<F: BlockingFn<Args>, Args>(f: F) -> F::Async {
///     Asyncify::new().limiter(&DISK).wrap(f)
/// }
/// assert_eq!(run(async { on_disk(str::len)("four").await }), 4);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be run on a worker thread",
    label = "not a blocking function that can cross threads",
    note = "`asyncify` takes a function or closure of up to 8 arguments that is `Clone + Send + 'static`, \
            and so are its arguments and its result `Send + 'static`: no `Rc`, no `RefCell` behind a \
            reference, no `Box<dyn Error>` without `+ Send + Sync`, no borrow of a local variable",
    note = "annotate the arguments of a closure: `asyncify(|n: u32| n + 1)`"
)]
pub trait BlockingFn<Args>: sealed::Sealed<Args> {
    /// The async function: `Box<dyn Fn(A, ..) -> BlockingTask<R> + Send>`, with the same arguments and the same result.
    /// It is neither `Clone` nor `Sync`: wrap once for each owner.
    ///
    /// ```
    /// use footbridge::{BlockingTask, asyncify, run};
    ///
    /// struct Client {
    ///     get: Box<dyn Fn(u32) -> BlockingTask<String> + Send>,
    /// }
    /// let client = Client { get: asyncify(|page: u32| format!("page {page}")) };
    /// assert_eq!(run(async { (client.get)(7).await }), "page 7");
    /// ```
    type Async;

    #[doc(hidden)]
    fn into_async(self, options: Asyncify, at: &'static Location<'static>) -> Self::Async;
}

mod sealed {
    pub trait Sealed<Args> {}
}

macro_rules! blocking_fn {
    ($($Arg:ident),*) => {
        impl<Fun, Ret, $($Arg),*> sealed::Sealed<($($Arg,)*)> for Fun
        where
            Fun: FnOnce($($Arg),*) -> Ret + Clone + Send + 'static,
            Ret: Send + 'static,
            $($Arg: Send + 'static,)*
        {
        }

        impl<Fun, Ret, $($Arg),*> BlockingFn<($($Arg,)*)> for Fun
        where
            Fun: FnOnce($($Arg),*) -> Ret + Clone + Send + 'static,
            Ret: Send + 'static,
            $($Arg: Send + 'static,)*
        {
            type Async = Box<dyn Fn($($Arg),*) -> BlockingTask<Ret> + Send>;

            #[allow(non_snake_case, reason = "a parameter has the name of its type")]
            fn into_async(self, options: Asyncify, at: &'static Location<'static>) -> Self::Async {
                Box::new(move |$($Arg),*| {
                    let f = self.clone();
                    let (pool, limiter) = (options.pool.as_ref(), options.limiter.as_ref());
                    BlockingTask::unsubmitted(move || f($($Arg),*), pool, limiter, at)
                })
            }
        }
    };
}

blocking_fn!();
blocking_fn!(A);
blocking_fn!(A, B);
blocking_fn!(A, B, C);
blocking_fn!(A, B, C, D);
blocking_fn!(A, B, C, D, E);
blocking_fn!(A, B, C, D, E, F);
blocking_fn!(A, B, C, D, E, F, G);
blocking_fn!(A, B, C, D, E, F, G, H);
