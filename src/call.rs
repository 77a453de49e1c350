//! What a blocking call knows of where it comes from and of what it waits for: the loop it belongs to, whether its
//! caller has gone away, which calls and tokens end its wait.
//!
//! The rule: that the caller is gone, and that the job waits for a nested call, stand under one
//! lock. Between two of them a job could begin to wait after it had been looked for, and for ever.

use crate::handle::Handle;
use crate::join::{Erased, discard, wake};
use crate::queue;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, thread_local};
use crate::waits::{TokenSource, Wait};
use std::cell::RefCell;
use std::fmt;
use std::io;
use std::panic::Location;
use std::task::Waker;

/// The part of a job that its nested calls, and its caller, share.
pub struct Scope {
    home: Option<Handle>,
    submitted_at: &'static Location<'static>,
    // It holds a token, or a call that it is nested in does. Set before it is submitted.
    bounded: bool,
    // Written under the lock; those who only ask don't take it.
    gone: AtomicBool,
    // There are ties, or were. Spares most jobs a lock.
    tied: AtomicBool,
    ties: Mutex<Option<Box<Ties>>>,
}

/// What most jobs have none of.
#[derive(Default)]
pub(crate) struct Ties {
    nested: Option<Nested>,
    parent: Option<Arc<dyn Call>>,
    token: Option<Token>,
    waits: Vec<Wait>,
    // A cancel ends the `waits`.
    until_cancelled: bool,
}

/// What a job waits for that ends if the job's caller goes away.
pub(crate) enum Nested {
    /// An async function: its task is aborted.
    Function(Arc<dyn Erased + Send + Sync>),
    /// A task that the job has not spawned for itself alone: the thread that waits for it is woken, and asks `is_gone`.
    Task(Waker),
}

/// A limiter's token that a job holds, given back when this is dropped.
pub struct Token {
    limiter: usize,
    permit: Box<dyn Held>,
}

/// A permit that a job holds.
pub trait Held: Send {
    /// The limiter that it is of.
    fn source(&self) -> Arc<dyn TokenSource>;
}

impl Token {
    /// `limiter` is the address of the one that the permit is of.
    pub fn new(limiter: usize, permit: impl Held + 'static) -> Self {
        Self {
            limiter,
            permit: Box::new(permit),
        }
    }
}

/// A job, as seen by what is nested in it.
pub trait Call: Send + Sync {
    fn scope(&self) -> &Scope;
}

impl Scope {
    pub(crate) fn new(submitted_at: &'static Location<'static>) -> Self {
        Self {
            home: None,
            submitted_at,
            bounded: false,
            gone: AtomicBool::new(false),
            tied: AtomicBool::new(false),
            ties: Mutex::new(None),
        }
    }

    /// Says which loop this call belongs to, and, if that is a `bounded_call`, which call it is made on behalf of.
    /// Before it is submitted.
    pub(crate) fn set_origin(&mut self, home: Option<Handle>, parent: Option<Arc<dyn Call>>) {
        self.home = home;
        if parent.is_some() {
            self.bounded = true;
            self.tie(|ties| ties.parent = parent);
        }
    }

    /// Gives it a token to hold until it ends. Before it is submitted.
    pub(crate) fn set_token(&mut self, token: Token) {
        self.bounded = true;
        self.tie(|ties| ties.token = Some(token));
    }

    /// Whether there is anything to `end`. For the thread that runs the call, or who has kept it from being run.
    pub(crate) fn is_tied(&self) -> bool {
        self.tied.load(Ordering::Relaxed)
    }

    fn tie(&self, tie: impl FnOnce(&mut Ties)) {
        // Read by the thread that runs the job, which is this one or is given the job after this.
        self.tied.store(true, Ordering::Relaxed);
        tie(self.ties.lock().get_or_insert_default());
    }

    /// The loop that the call belongs to.
    pub(crate) fn home(&self) -> Option<&Handle> {
        self.home.as_ref()
    }

    pub(crate) fn submitted_at(&self) -> &'static Location<'static> {
        self.submitted_at
    }

    /// The caller has gone away.
    pub(crate) fn cancel(&self) {
        let mut ties = self.ties.lock();
        self.gone.store(true, Ordering::Release); // Pairs with the load in `is_gone`.
        let nested = ties.as_mut().and_then(|ties| ties.nested.take());
        drop(ties);
        match nested {
            Some(Nested::Function(task)) => task.abort(),
            Some(Nested::Task(waker)) => wake(waker),
            None => {}
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire) // Pairs with the store in `cancel`.
    }

    /// The job is about to wait for `nested`. Refused, if the caller is gone.
    pub(crate) fn begin_wait(&self, nested: Nested) -> Result<(), Cancelled> {
        self.tied.store(true, Ordering::Relaxed); // As in `tie`.
        let mut ties = self.ties.lock();
        if self.is_gone() {
            drop(ties);
            drop(nested);
            return Err(Cancelled(()));
        }
        let before = ties.get_or_insert_default().nested.replace(nested);
        drop(ties);
        drop(before);
        Ok(())
    }

    pub(crate) fn end_wait(&self) {
        let nested = self
            .ties
            .lock()
            .as_mut()
            .and_then(|ties| ties.nested.take());
        drop(nested);
    }

    /// Whether it holds a token, or a call that it is nested in does.
    pub(crate) fn is_bounded(&self) -> bool {
        self.bounded
    }

    /// Says what the call waits for, and gives the limiter whose token it holds.
    pub(crate) fn set_waits(
        &self,
        waits: Vec<Wait>,
        until_cancelled: bool,
    ) -> Option<Arc<dyn TokenSource>> {
        self.tied.store(true, Ordering::Relaxed); // As in `tie`: the thread that runs the job waits.
        let mut ties = self.ties.lock();
        let ties = ties.get_or_insert_default();
        ties.waits = waits; // There were none.
        ties.until_cancelled = until_cancelled;
        ties.token.as_ref().map(|token| token.permit.source())
    }

    /// It waits for these no longer.
    pub(crate) fn take_waits(&self) -> Vec<Wait> {
        let mut ties = self.ties.lock();
        let waits = ties.as_mut().map(|ties| std::mem::take(&mut ties.waits));
        waits.unwrap_or_default()
    }

    /// What the call waits for, any of which ends its wait, and nothing else does. Empty if that isn't certain.
    pub(crate) fn waits(&self) -> Vec<Wait> {
        let ties = self.ties.lock();
        let ties = ties.as_ref();
        let ties = ties.filter(|ties| !(ties.until_cancelled && self.is_gone()));
        ties.map_or_else(Vec::new, |ties| ties.waits.clone())
    }

    pub(crate) fn holds_token_of(&self, limiter: usize) -> bool {
        let ties = self.ties.lock();
        let token = ties.as_ref().and_then(|ties| ties.token.as_ref());
        token.is_some_and(|token| token.limiter == limiter)
    }

    /// Nobody waits for this call on behalf of another one any more.
    pub(crate) fn orphan(&self) {
        let parent = self
            .ties
            .lock()
            .as_mut()
            .and_then(|ties| ties.parent.take());
        discard(parent);
    }

    /// It is done: it holds no token, and keeps no ancestor.
    pub(crate) fn end(&self) {
        discard(self.take_ties());
    }

    /// What there is to `end`.
    pub(crate) fn take_ties(&self) -> Option<Box<Ties>> {
        self.ties.lock().take()
    }
}

impl Handle {
    /// The current loop: the one that this thread runs, or inside a job the one that submitted it.
    ///
    /// # Panics
    /// Where there is none. [`try_current`](Self::try_current) says `None` instead.
    ///
    /// ```
    /// use footbridge::{Handle, run, spawn_blocking};
    /// use std::thread;
    ///
    /// run(async {
    ///     let where_it_runs = || Handle::current().block_on(|| async { thread::current().id() });
    ///     assert_eq!(spawn_blocking(where_it_runs).await, Ok(thread::current().id()));
    /// });
    /// ```
    #[track_caller]
    pub fn current() -> Self {
        Self::try_current().expect(
            "Handle::current: no event loop here; call it inside footbridge::run, or in a job that \
             a loop has submitted, or ask Handle::try_current",
        )
    }

    /// The current loop, if there is one.
    ///
    /// ```
    /// assert!(footbridge::Handle::try_current().is_none());
    /// ```
    pub fn try_current() -> Option<Self> {
        match queue::running() {
            Some(queue) => Some(Self {
                inbox: queue.inbox.clone(),
            }),
            None => CALL
                .try_with(|call| call.borrow().as_ref()?.scope().home.clone())
                .ok()
                .flatten(),
        }
    }
}

thread_local! {
    // The job that this thread runs, or on whose behalf the loop polls a task.
    static CALL: RefCell<Option<Arc<dyn Call>>> = const { RefCell::new(None) };
}

/// The call that the code on this thread belongs to.
pub(crate) fn current_call() -> Option<Arc<dyn Call>> {
    CALL.try_with(|call| call.borrow().clone()).ok().flatten()
}

/// The same, if it or a call that it is nested in holds a token.
pub(crate) fn bounded_call() -> Option<Arc<dyn Call>> {
    CALL.try_with(|call| {
        let call = call.borrow();
        call.as_ref().filter(|call| call.scope().bounded).cloned()
    })
    .ok()
    .flatten()
}

/// Makes `call` the current one until the guard is dropped.
pub(crate) fn enter_call(call: Option<Arc<dyn Call>>) -> impl Drop {
    struct Restore(Option<Arc<dyn Call>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let left = CALL.try_with(|call| call.replace(self.0.take()));
            drop(left);
        }
    }
    // In a thread that ends, the thread-local may be gone: then nothing there belongs to a call.
    let before = CALL.try_with(|current| current.replace(call));
    Restore(before.ok().flatten())
}

/// Inside a job: has the caller gone away? A job that takes long asks now and then, and stops.
///
/// The caller is gone once the future of the call has been dropped. Outside a job nobody can have
/// gone away, and the answer is `Ok`: nor on a thread that the job has started itself. Cheap: a thread-local and one
/// atomic load. `check_cancelled()?` does in a function that returns `io::Result`, too.
///
/// A job that waits is told where it waits, if that is in [`syncify`](crate::syncify),
/// [`Handle::block_on`](crate::Handle::block_on) or [`JoinHandle::join`](crate::JoinHandle::join). A
/// [`BlockingTask::join`](crate::BlockingTask::join), and a [`run`](crate::run), go on to their end: ask after them.
///
/// # Errors
/// [`Cancelled`], from when the caller is gone until the job ends.
///
/// ```
/// use footbridge::{asyncify, check_cancelled, run};
///
/// fn sum(numbers: Vec<u64>) -> Result<u64, footbridge::Cancelled> {
///     let mut sum = 0;
///     for number in numbers {
///         check_cancelled()?;
///         sum += number;
///     }
///     Ok(sum)
/// }
///
/// assert_eq!(run(async { asyncify(sum)(vec![1, 2, 3]).await }), Ok(6));
/// ```
pub fn check_cancelled() -> Result<(), Cancelled> {
    let gone = CALL.try_with(|call| {
        call.borrow()
            .as_ref()
            .is_some_and(|call| call.scope().is_gone())
    });
    match gone {
        Ok(true) => Err(Cancelled(())),
        _ => Ok(()),
    }
}

/// The caller of this job has gone away: nobody waits for what it returns.
///
/// ```
/// use footbridge::{Cancelled, check_cancelled, spawn_blocking};
/// use std::sync::mpsc;
///
/// let (tell, told) = mpsc::sync_channel(0);
/// let job = spawn_blocking(move || -> Result<(), Cancelled> {
///     loop {
///         let state = check_cancelled();
///         tell.send(state).unwrap();
///         state?;
///     }
/// });
/// assert_eq!(told.recv(), Ok(Ok(()))); // it runs
/// drop(job);
/// assert!(told.iter().any(|state| state.is_err())); // and has been told
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cancelled(pub(crate) ());

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the caller of this job has gone away: return, nobody waits for it")
    }
}

impl std::error::Error for Cancelled {}

/// Of the kind `Other`: who tries again when he is `Interrupted` would go on.
impl From<Cancelled> for io::Error {
    fn from(cancelled: Cancelled) -> Self {
        Self::other(cancelled)
    }
}
