//! What goes along with every call: a [`Context`], from where a call is submitted to where it runs.
//!
//! The rule: a context is inherited and never flows back. It is in force while what it came with runs, is polled, or is
//! dropped, and at no other time.
//!
//! ```text
//!   Context::run, wrap       makes a context the current one of this thread, for the time of a closure or of a poll
//!     Inherited::current     a hop: a call or a task takes the current context along, and what `carry` captures
//!       Bound                there: each poll, job and drop runs in it
//! ```
//!
//! If no context is in use, a hop is a look at one thread-local.

pub(crate) mod bound;
pub(crate) mod inherited;

use crate::context::bound::Bound;
use crate::context::inherited::{Inherited, Wrapper};
use crate::sync::{Arc, thread_local, unwind_safe};
use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::iter;
use std::mem::{self, ManuallyDrop};

/// What goes along with every call, from async code to blocking code and back: a request's id, a tenant, a tracing span.
///
/// A context is an immutable list of values, each found by its type. [`with`](Self::with) makes a longer one.
/// [`run`](Self::run) and [`wrap`](Self::wrap) make it the current one while a closure runs or a future is polled. A clone
/// is another reference to the same list.
///
/// A call takes the current context along where it is submitted, and a task where it is spawned:
/// [`asyncify`](crate::asyncify) at the first poll, [`spawn_blocking`](crate::spawn_blocking),
/// [`run_in_executor`](crate::Handle::run_in_executor), [`spawn`](fn@crate::spawn), [`Handle::spawn`](crate::Handle::spawn),
/// [`call_soon`](crate::Handle::call_soon), [`block_on`](crate::Handle::block_on) and [`syncify`](crate::syncify), also on a
/// temporary loop. So does a child of a [`scope`](crate::scope()). The future of [`run`](crate::run) or
/// [`run_until`](crate::EventLoop::run_until) is polled in the context of the caller. What is polled in place, such as the
/// futures of a [`gather`](crate::gather), is in the context of the future around it.
///
/// The context is in force while a job runs or a task is polled, and while their function or future is dropped. (A result
/// that is dropped unread is dropped in the context of the code that drops it.) Nothing flows back: a job or a task may
/// run code in another context, and its caller sees nothing of that. A task that was spawned without a context runs, and is
/// dropped, without one. If a loop runs inside [`Context::run`](Self::run), its main future has that context; tasks spawned
/// elsewhere don't. A thread of `std::thread::spawn` inherits nothing: call `context.run(..)` there, with a clone.
///
/// Dropping a context drops the values that no other context and no call or task shares.
///
/// ```
/// use footbridge::{asyncify, context::Context, run, syncify};
///
/// #[derive(Debug, PartialEq)]
/// struct RequestId(u32);
///
/// fn id() -> u32 {
///     Context::current().get::<RequestId>().map_or(0, |id| id.0)
/// }
///
/// let job = || (id(), syncify(async || id())().unwrap());
/// let seen = Context::default().with(RequestId(7)).run(|| run(async { asyncify(job)().await }));
/// assert_eq!(seen, (7, 7)); // on the worker, and back on the loop
/// assert_eq!(id(), 0);
/// ```
#[derive(Clone, Default)]
#[must_use = "a context does nothing until something runs in it"]
pub struct Context(Option<Arc<[Entry]>>);

#[derive(Clone)]
enum Entry {
    Value(Arc<dyn Any + Send + Sync>),
    Capture(Arc<dyn Fn() -> Wrapper + Send + Sync>),
}

impl Entry {
    fn is_value<T: Any>(&self) -> bool {
        matches!(self, Self::Value(value) if value.is::<T>())
    }
}

thread_local! {
    // Never dropped: it is empty when the thread ends, and the destructors of other thread-locals may still look at it. A
    // value with a drop would be registered at the first use, and each use would ask whether it is.
    static CURRENT: ManuallyDrop<RefCell<Context>> = const { ManuallyDrop::new(RefCell::new(Context(None))) };
}

impl Context {
    /// The current context. Empty if there is none.
    ///
    /// ```
    /// use footbridge::context::Context;
    ///
    /// assert!(Context::current().get::<u32>().is_none());
    /// Context::current().with(7_u32).run(|| assert_eq!(*Context::current().get::<u32>().unwrap(), 7));
    /// ```
    #[inline]
    pub fn current() -> Self {
        CURRENT
            .try_with(|current| current.borrow().clone())
            .unwrap_or_default()
    }

    /// A context that has `value` as well. It takes the place of a value of the same type.
    ///
    /// The value's type is its key. So give it a type of its own: a `struct RequestId(u32)`, not a `u32`.
    ///
    /// ```
    /// use footbridge::context::Context;
    ///
    /// let outer = Context::default().with("a name").with(1_u32);
    /// let inner = outer.with(2_u32);
    /// assert_eq!((*outer.get::<u32>().unwrap(), *inner.get::<u32>().unwrap()), (1, 2));
    /// assert_eq!(*inner.get::<&str>().unwrap(), "a name");
    /// ```
    pub fn with<T: Send + Sync + 'static>(&self, value: T) -> Self {
        let others = self.entries().iter().filter(|entry| !entry.is_value::<T>());
        let value = Entry::Value(Arc::new(value));
        Self(Some(others.cloned().chain(iter::once(value)).collect()))
    }

    /// The value of this type. It stays alive as long as the `Arc`, also when no context has it any more.
    ///
    /// ```
    /// use footbridge::context::Context;
    ///
    /// struct Tenant(&'static str);
    /// let context = Context::default().with(Tenant("north"));
    /// assert_eq!(context.get::<Tenant>().unwrap().0, "north");
    /// assert!(context.get::<&str>().is_none()); // another type
    /// ```
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.entries().iter().find_map(|entry| match entry {
            Entry::Value(value) if value.is::<T>() => value.clone().downcast().ok(),
            _ => None,
        })
    }

    /// Runs `f` in this context, on this thread, and returns what it returns. Then the context that was current before is
    /// current again, also if `f` panics.
    ///
    /// A future that `f` only makes, and another call polls, isn't in this context: [`wrap`](Self::wrap) it.
    ///
    /// In an empty context `f`, and what it calls, sees nothing of the contexts around it.
    ///
    /// ```
    /// use footbridge::{context::Context, run, spawn};
    ///
    /// let seen = || Context::current().get::<u32>().is_some();
    /// let context = Context::default().with(7_u32);
    /// context.run(|| {
    ///     run(async {
    ///         let inherits = spawn(async move { seen() });
    ///         let starts_anew = Context::default().run(|| spawn(async move { seen() }));
    ///         assert!(inherits.await.unwrap() && !starts_anew.await.unwrap());
    ///     });
    /// });
    /// ```
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        f()
    }

    /// A future that is polled in this context, and dropped in it. It works on any executor, and on any thread if `future`
    /// is `Send`.
    ///
    /// What [`carry`](Self::carry) captures is captured now. The future is boxed.
    ///
    /// ```
    /// use footbridge::{asyncify, context::Context, run};
    ///
    /// let job = || *Context::current().get::<u32>().unwrap();
    /// let seven = Context::default().with(7_u32).wrap(async move { asyncify(job)().await });
    /// assert_eq!(run(seven), 7);
    /// ```
    pub fn wrap<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        let inherited = self.run(|| Inherited::of(self.clone()));
        let mut bound = Bound::new(Box::pin(future), Some(inherited));
        poll_fn(move |context| bound.with(|future| future.as_mut().poll(context)))
    }

    /// A context that takes along what other crates keep in thread-locals, such as the current span of `tracing`.
    ///
    /// `capture` is called at each hop: on the thread that submits a call, spawns a task or [wraps](Self::wrap) a future,
    /// at that moment. What it returns, the wrapper, goes along with that call or task. There it is called around each job
    /// and each poll, and around the drop of a function or a future that is dropped before its end. The wrapper must call
    /// its argument, `step`, once: `step` runs the job or the poll.
    ///
    /// A capture that itself submits a call or spawns a task is called again for that, and so on, until the stack overflows.
    /// If it has to, it does so in `Context::default().run(..)`.
    ///
    /// With `tracing`, the capture is
    /// `|| { let span = Span::current(); move |step: &mut dyn FnMut()| span.in_scope(step) }`.
    /// With a thread-local of one's own:
    ///
    /// ```
    /// use footbridge::{asyncify, context::Context, run};
    /// use std::cell::Cell;
    ///
    /// thread_local!(static LOCALE: Cell<&'static str> = const { Cell::new("en") });
    ///
    /// let context = Context::default().carry(|| {
    ///     let locale = LOCALE.get();
    ///     move |step: &mut dyn FnMut()| {
    ///         let before = LOCALE.replace(locale);
    ///         step();
    ///         LOCALE.set(before);
    ///     }
    /// });
    /// LOCALE.set("fr");
    /// let job = || LOCALE.get();
    /// assert_eq!(context.run(|| run(async { asyncify(job)().await })), "fr");
    /// assert_eq!(run(async { asyncify(job)().await }), "en"); // the worker's own
    /// ```
    ///
    /// The current context is already in force when the wrapper is called. Of several wrappers, that of the first `carry` is
    /// the outermost. [`run`](Self::run) stays on its thread, so it captures nothing and wraps nothing.
    ///
    /// A panic of the job or the poll doesn't unwind through the wrapper: `step` returns, and the panic goes on after the
    /// wrapper. If the wrapper calls `step` again, the second call does nothing.
    ///
    /// # Panics
    /// If `capture` panics, the hop does: `spawn`, say, or the first poll of a call. If the wrapper panics, or returns
    /// without having called `step`, the job or the task panics, and says so. (If it doesn't call `step` around a drop, the
    /// value is dropped when it returns, in the context all the same.)
    pub fn carry<C, W>(&self, capture: C) -> Self
    where
        C: Fn() -> W + Send + Sync + 'static,
        W: Fn(&mut dyn FnMut()) + Send + 'static,
    {
        let capture = Entry::Capture(Arc::new(move || Box::new(capture())));
        let entries = self.entries().iter().cloned();
        Self(Some(entries.chain(iter::once(capture)).collect()))
    }

    fn entries(&self) -> &[Entry] {
        self.0.as_deref().unwrap_or_default()
    }

    fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Makes this context the current one until the guard is dropped.
    pub(crate) fn enter(&self) -> Option<Entered> {
        let before = CURRENT.try_with(|current| {
            if self.is_empty() && current.borrow().is_empty() {
                return None;
            }
            Some(Entered(current.replace(self.clone())))
        });
        before.ok().flatten()
    }

    /// Makes the empty context the current one until the guard is dropped. `None`: it is already.
    #[inline]
    pub(crate) fn leave() -> Option<Entered> {
        let left = CURRENT.try_with(|current| {
            let is_empty = current.borrow().is_empty();
            (!is_empty).then(|| Entered(current.take()))
        });
        left.ok().flatten()
    }
}

/// A guard. Its drop brings back the context that was current before.
#[must_use]
pub(crate) struct Entered(Context);

impl Entered {
    /// Brings that back earlier, until the new guard is dropped.
    pub(crate) fn bring_back(&self) -> Option<Self> {
        self.0.enter()
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let before = mem::take(&mut self.0);
        let left = CURRENT.try_with(|current| current.replace(before));
        drop(left); // Outside of the borrow, because it may run user code.
    }
}

unwind_safe!(Context);

/// The number of values, and of `carry`s.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_capture = |entry: &&Entry| matches!(entry, Entry::Capture(_));
        let captures = self.entries().iter().filter(is_capture).count();
        f.debug_struct("Context")
            .field("values", &(self.entries().len() - captures))
            .field("carries", &captures)
            .finish()
    }
}
