//! A scope: futures that run together, borrow what lives around them, and end together.
//!
//! They live in the future of the scope, which polls those that were woken. So none outlives what it borrows, and the
//! compiler can check it: nothing here relies on a destructor.
//!
//! The future of the scope holds a [`Scope`] and the children, which borrow it. The `Scope` itself leads to them by a weak
//! reference only. If it owned them, it would be dropped while it is borrowed, which the compiler refuses.

pub(crate) mod child;
pub(crate) mod gather;
mod running;
mod woken;

use crate::bridge::spawn_blocking::spawn_blocking;
use crate::context::bound::Bound;
use crate::context::inherited::Inherited;
use crate::scope::child::Child;
use crate::scope::running::{Running, ScopeState};
use crate::sync::panics::drop_quietly;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::rc::{Rc, Weak};

/// Runs `body`, which may spawn children, and waits for all of them. Returns what `body` returns.
///
/// The body is an async closure, `async |s| { .. }`. (With `|s| async move { .. }` the compiler says
/// "type annotations needed", E0282.)
///
/// The children need be neither `'static` nor `Send`: they are polled within the future of the scope, on whichever executor
/// polls that. They may borrow what lives outside the scope, mutably too, and may spawn further children. What the body
/// itself declares they can't borrow, since it is gone when the body returns: declare it before the scope, or move it in.
///
/// A scope polls only what was woken before the poll began, so children that wake themselves starve nothing beside the
/// scope. While the scope isn't polled, its children aren't, either.
///
/// What ends it before all are done:
/// - A **panic** of the body or of a child. The others are taken down, and the scope panics with it. A later panic is only
///   reported by the panic hook.
/// - An **error**: the first `Err` of a child of [`try_spawn`](Scope::try_spawn). The scope returns it. If the body
///   returns an `Err` and has called `try_spawn`, the scope ends with that `Err`. (In other scopes an `Err` is a value as
///   any other, and the scope waits for its children.)
/// - [`finish`](Scope::finish), from the body or a child. For a deadline, a child sleeps and then calls it:
///   [an example](crate::coming_from#a-group-with-a-deadline).
///
/// Then futures are dropped, in the order in which they were spawned. The functions of
/// [`spawn_blocking`](Scope::spawn_blocking) that haven't begun never run. Those that have begun are *told*:
/// their [`check_cancelled`](crate::check_cancelled) gives an error from then on, and an async function that they wait for
/// is dropped. The scope waits until their threads are free. What they return is dropped, an `Err` too. A panic of theirs
/// wins over a value or an error, which would hide that they didn't clean up.
///
/// Dropping the scope's future, as a [`timeout`](crate::time::timeout) around it does, drops all children. Those functions
/// are told, and nothing waits for them.
///
/// If the value that the scope returns borrows something, all that the children borrow stays borrowed as long as that value.
///
/// The poll of an inner scope runs within that of the outer one, so each level of nesting takes stack: about 1 kB, and 3 kB
/// without optimisation.
///
/// # Panics
/// If the body or a child panics, with that panic.
///
/// ```
/// use footbridge::{asyncify, run, scope};
///
/// let (text, mut length) = (String::from("borrowed"), 0);
/// let upper = run(scope(async |s| {
///     s.spawn(async { length = text.len() });
///     let upper = s.spawn(asyncify(|text: String| text.to_uppercase())(text.clone()));
///     upper.await
/// }));
/// assert_eq!((upper.as_str(), length), ("BORROWED", 8));
/// ```
///
/// The first error of a child of `try_spawn` ends it:
///
/// ```
/// use footbridge::{run, scope};
/// use std::future::pending;
///
/// async fn parse(text: &str) -> Result<u32, String> {
///     text.parse().map_err(|_| format!("{text} is no number"))
/// }
///
/// let sum = run(scope(async |s| {
///     let numbers = ["1", "two"].map(|text| s.try_spawn(parse(text)));
///     s.spawn(pending::<()>()); // it is dropped
///     let mut sum = 0;
///     for number in numbers {
///         sum += number.await;
///     }
///     Ok(sum)
/// }));
/// assert_eq!(sum, Err("two is no number".to_string()));
/// ```
pub async fn scope<'env, F, T>(body: F) -> T
where
    F: for<'scope> AsyncFnOnce(&'scope Scope<'scope, 'env, T>) -> T,
{
    let mut scope = Scope {
        state: Weak::new(),
        scope: PhantomData,
        env: PhantomData,
    };
    let state = Rc::new(ScopeState::new());
    scope.state = Rc::downgrade(&state);
    let scope = &scope;
    let mut running = Running::new(state);
    let ended = |value| {
        scope.state().body_ended(value);
        None::<()>
    };
    let body = Bound::new(Box::pin(body(scope)), None);
    running.state.add(Some(body), None, ended);
    poll_fn(|context| running.poll(context)).await
}

/// Spawns the children of a [`scope`](scope()).
///
/// `'scope` is the lifetime of the scope, and `'env` is the lifetime of what the children may borrow.
pub struct Scope<'scope, 'env: 'scope, T> {
    state: Weak<ScopeState<'scope, T>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope, T> Scope<'scope, '_, T> {
    fn state(&self) -> Rc<ScopeState<'scope, T>> {
        match self.state.upgrade() {
            Some(state) => state,
            None => {
                unreachable!("what calls this lives in the scope's future, and so does the state")
            }
        }
    }

    /// Runs a future in this scope, beside the body. It is first polled when the scope is polled next; children that are
    /// spawned earlier come earlier.
    ///
    /// The child inherits the current [`Context`](crate::context::Context). If the scope is ending, the future is dropped at
    /// once, and the child never has a value.
    ///
    /// ```
    /// use footbridge::{run, scope};
    ///
    /// let mut words = vec!["one", "two"];
    /// run(scope(async |s| {
    ///     s.spawn(async { words.push("three") });
    /// }));
    /// assert_eq!(words.len(), 3);
    /// ```
    pub fn spawn<F>(&'scope self, future: F) -> Child<'scope, F::Output>
    where
        F: Future + 'scope,
        F::Output: 'scope,
    {
        self.spawn_with(future, Some)
    }

    fn spawn_with<F, R>(
        &'scope self,
        future: F,
        value_of: impl Fn(F::Output) -> Option<R> + 'scope,
    ) -> Child<'scope, R>
    where
        F: Future + 'scope,
        R: 'scope,
    {
        let state = self.state();
        let bound = if state.is_ending() {
            drop_quietly(future);
            None
        } else {
            // The scope may be polled in another context than that of the code that spawns.
            let inherited = Inherited::current_or_empty();
            Some(Bound::new(Box::pin(future), Some(inherited)))
        };
        let cell = state.add(bound, None, value_of);
        Child { cell }
    }

    /// Runs `f` on a worker thread, as [`spawn_blocking`](crate::spawn_blocking()) does. The scope doesn't end before `f`
    /// has returned, unless the scope's future is dropped.
    ///
    /// If the scope ends early, `f` is told ([`check_cancelled`](crate::check_cancelled)) and waited for. To let go of it
    /// instead, spawn the call itself: `s.spawn(asyncify(f)())`. If the scope is ending already, `f` is dropped at once.
    ///
    /// `f` may not borrow: the scope's future can be dropped, and then nothing waits for the thread.
    ///
    /// If the pool refuses `f`, because it was shut down or the system refused it a thread, the scope panics as if `f` had.
    /// (Under `panic = "abort"` that ends the process.) To have the refusal as a value, spawn the
    /// [`outcome`](crate::BlockingTask::outcome) of a call.
    ///
    /// To have an `Err` of `f` end the scope: `s.try_spawn(s.spawn_blocking(f))`. [`try_spawn`](Self::try_spawn) has an
    /// example.
    ///
    /// ```
    /// use footbridge::{check_cancelled, run, scope};
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// static CLEANED_UP: AtomicBool = AtomicBool::new(false);
    /// let value = run(scope(async |s| {
    ///     s.spawn_blocking(|| {
    ///         while check_cancelled().is_ok() {
    ///             std::thread::yield_now(); // a step of some work
    ///         }
    ///         CLEANED_UP.store(true, Ordering::Relaxed);
    ///     });
    ///     s.finish(7);
    ///     std::future::pending().await
    /// }));
    /// assert_eq!(value, 7);
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&'scope self, f: F) -> Child<'scope, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        let state = self.state();
        let job = if state.is_ending() {
            drop_quietly(f);
            None
        } else {
            Some(Bound::new(Box::pin(spawn_blocking(f)), None))
        };
        let cell = state.add(job, Some(|job| job.tell()), Some);
        Child { cell }
    }

    /// Ends the scope with this value. The body and the children are taken down: a caller that is one of them runs on until
    /// its next `await`. If the scope is ending already, the value is dropped.
    ///
    /// ```
    /// use footbridge::{run, scope, yield_now};
    /// use std::future::pending;
    ///
    /// let first = run(scope(async |s| {
    ///     for n in [3, 1, 2] {
    ///         s.spawn(async move {
    ///             for _ in 0..n {
    ///                 yield_now().await;
    ///             }
    ///             s.finish(n);
    ///         });
    ///     }
    ///     pending().await
    /// }));
    /// assert_eq!(first, 1);
    /// ```
    pub fn finish(&self, value: T) {
        self.state().finish(value);
    }
}

impl<'scope, V: 'scope, E: 'scope> Scope<'scope, '_, Result<V, E>> {
    /// Like [`spawn`](Self::spawn), but if the future gives an `Err`, the scope ends with it. The child's value is that of
    /// the `Ok`.
    ///
    /// The body of such a scope returns a `Result`, `Ok(..)` at its end. From the first `try_spawn` on, an `Err` that the
    /// body returns ends the scope, too. All children have the error type of the body: `map_err` makes it of another one.
    ///
    /// For blocking functions, `try_spawn` what [`spawn_blocking`](Self::spawn_blocking) returns:
    ///
    /// ```
    /// use footbridge::{run, scope};
    ///
    /// fn read(path: &str) -> Result<String, String> { // blocks
    ///     Err(format!("{path} isn't there"))
    /// }
    ///
    /// let config = run(scope(async |s| {
    ///     let port = s.try_spawn(async { "80".parse::<u16>().map_err(|error| error.to_string()) });
    ///     let name = s.try_spawn(s.spawn_blocking(|| read("name.txt")));
    ///     Ok((name.await, port.await))
    /// }));
    /// assert_eq!(config, Err("name.txt isn't there".to_string()));
    /// ```
    pub fn try_spawn<F, U>(&'scope self, future: F) -> Child<'scope, U>
    where
        F: Future<Output = Result<U, E>> + 'scope,
        U: 'scope,
    {
        self.state().end_at(Result::is_err);
        self.spawn_with(future, |result| match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.finish(Err(error));
                None
            }
        })
    }
}

impl<T> fmt::Debug for Scope<'_, '_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Scope")
            .field("living", &state.living())
            .field("ending", &state.is_ending())
            .finish()
    }
}
