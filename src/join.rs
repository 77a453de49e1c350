//! The cell in which one side leaves a result and the other one finds it.
//!
//! ```text
//!            complete                take
//!   Pending -----------> Complete -----------> Taken
//!    waiter: who to wake
//!    task:   whom to tell of an abort
//! ```
//!
//! The rule: the first result stays. A cell is completed exactly once; who comes later (a loop that
//! ends over a task that has just finished) changes nothing.

pub(crate) use crate::discard::{Payload, contain, discard};

use crate::discard::discard_nested;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, thread_local, unwind_safe};
use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::task::{Context, Poll, Waker};

/// Calls a waker, which may be of anybody's make: what it throws ends here, since whoever calls it
/// has others to serve.
pub(crate) fn wake(waker: Waker) {
    if let Err(payload) = contain(|| waker.wake()) {
        discard(payload);
    }
}

/// Calls many wakers. What a waker does may wake others by this in its turn: those are called when it is
/// done, lest the stack grow with the line. (So a waker that waits for one of those waits for ever.)
pub(crate) fn wake_all(wakers: Vec<Waker>) {
    thread_local! {
        static TO_WAKE: RefCell<Option<VecDeque<Waker>>> = const { RefCell::new(None) };
    }
    // They stay here where the thread ends, and the thread-local is gone.
    let mut wakers = VecDeque::from(wakers);
    let left_to_outer = TO_WAKE.try_with(|to_wake| match &mut *to_wake.borrow_mut() {
        Some(outer) => {
            outer.append(&mut wakers);
            true
        }
        none => {
            *none = Some(std::mem::take(&mut wakers));
            false
        }
    });
    if left_to_outer.unwrap_or(false) {
        return;
    }
    loop {
        let next = TO_WAKE.try_with(|to_wake| {
            let mut to_wake = to_wake.borrow_mut();
            let next = to_wake.as_mut().and_then(VecDeque::pop_front);
            if next.is_none() {
                *to_wake = None;
            }
            next
        });
        let Some(waker) = next.unwrap_or_else(|_| wakers.pop_front()) else {
            return;
        };
        wake(waker);
    }
}

/// Why a task has no value: it panicked, it was aborted, or its loop ended first. Or why a job that waited for one
/// gets none: the job's caller has gone away.
///
/// ```
/// footbridge::run(async {
///     let task = footbridge::spawn(async { if true { panic!("no luck") } });
///     let error = task.await.unwrap_err();
///     assert!(error.is_panic());
///     assert_eq!(error.to_string(), "the task panicked: no luck");
/// });
/// ```
pub struct JoinError(Why);

enum Why {
    // The lock makes it `Sync`; nobody else ever holds it.
    Panic(Mutex<Payload>),
    Aborted,
    LoopClosed,
    CallerGone,
}

impl JoinError {
    pub(crate) fn panic(payload: Payload) -> Self {
        Self(Why::Panic(Mutex::new(payload)))
    }

    pub(crate) const fn aborted() -> Self {
        Self(Why::Aborted)
    }

    pub(crate) const fn loop_closed() -> Self {
        Self(Why::LoopClosed)
    }

    pub(crate) const fn caller_gone() -> Self {
        Self(Why::CallerGone)
    }

    pub(crate) fn is_loop_closed(&self) -> bool {
        matches!(self.0, Why::LoopClosed)
    }

    /// Whether the task panicked. [`JoinError`] has an example.
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Why::Panic(_))
    }

    /// Whether the task was aborted, or dropped because its loop ended; or nobody waits for it any more, because the
    /// caller of the job that did has gone away.
    /// [`JoinHandle::abort`](crate::JoinHandle::abort) has an example.
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// What the task's panic threw, to pass on with [`std::panic::resume_unwind`].
    ///
    /// # Panics
    /// If the task didn't panic: ask [`is_panic`](Self::is_panic) first.
    ///
    /// ```
    /// footbridge::run(async {
    ///     let task = footbridge::spawn(async { std::panic::panic_any(42) });
    ///     let thrown = task.await.unwrap_err().into_panic();
    ///     assert_eq!(thrown.downcast_ref(), Some(&42));
    /// });
    /// ```
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match self.0 {
            Why::Panic(payload) => payload.into_inner(),
            _ => panic!(
                "JoinError::into_panic: the task was cancelled, it didn't panic; ask is_panic first"
            ),
        }
    }
}

unwind_safe!(JoinError);

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Why::Panic(_) => "JoinError::Panic(..)",
            Why::Aborted => "JoinError::Aborted",
            Why::LoopClosed => "JoinError::LoopClosed",
            Why::CallerGone => "JoinError::CallerGone",
        })
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Why::Panic(payload) => {
                // Not under the lock: what it is written to may be a user's.
                let message = message(&**payload.lock()).map(str::to_owned);
                match message {
                    Some(message) => write!(f, "the task panicked: {message}"),
                    None => f.write_str("the task panicked"),
                }
            }
            Why::Aborted => f.write_str("the task was aborted"),
            Why::LoopClosed => {
                f.write_str("the task was dropped when its event loop ended; await it before that")
            }
            Why::CallerGone => f.write_str(
                "the caller of the job that waited for the task has gone away: return; the task runs on",
            ),
        }
    }
}

impl std::error::Error for JoinError {}

/// Of the kind `Other`.
impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error)
    }
}

/// The text of a panic, where it was thrown with one.
fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

pub(crate) struct JoinCell<T> {
    state: Mutex<State<T>>,
    // A waiter has been there. For who polls.
    awaited: AtomicBool,
    aborted: AtomicBool,
    // Written under the lock; those who only ask don't take it.
    complete: AtomicBool,
    // Known where the cell is made, which only a result that is 'static has.
    discard_result: fn(Result<T, JoinError>),
}

enum State<T> {
    Pending {
        waiter: Option<Waker>,
        task: Option<Arc<dyn Abort>>,
    },
    Complete(Result<T, JoinError>),
    Taken,
}

impl<T> JoinCell<T> {
    pub(crate) fn new() -> Self
    where
        T: 'static,
    {
        Self {
            state: Mutex::new(State::Pending {
                waiter: None,
                task: None,
            }),
            awaited: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
            complete: AtomicBool::new(false),
            discard_result: |result| discard_nested(result, None::<fn()>),
        }
    }

    /// Leaves the result and wakes who waits for it.
    pub(crate) fn complete(&self, result: Result<T, JoinError>) {
        let mut state = self.state.lock();
        let State::Pending { waiter, task } = &mut *state else {
            drop(state);
            return (self.discard_result)(result);
        };
        let (waiter, task) = (waiter.take(), task.take());
        *state = State::Complete(result);
        self.complete.store(true, Ordering::Release); // Pairs with the load in `is_complete`.
        drop(state);
        drop(task);
        if let Some(waiter) = waiter {
            wake(waiter);
        }
    }

    /// The result, once; or a promise to wake `context`'s waker, and nobody else's, when it comes.
    ///
    /// # Panics
    /// When the result has been taken already.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        if !self.is_complete() {
            // Wakers are cloned and dropped outside the lock: both may be a user's code.
            let new = context.waker().clone();
            self.awaited.store(true, Ordering::Relaxed); // For `forget_waiter`, of the same handle.
            let mut state = self.state.lock();
            if let State::Pending { waiter, .. } = &mut *state {
                let old = waiter.replace(new);
                drop(state);
                discard(old);
                return Poll::Pending;
            }
            // It has been completed just now, with nobody there to be woken.
            drop(state);
            discard(new);
        }
        let state = std::mem::replace(&mut *self.state.lock(), State::Taken);
        match state {
            State::Complete(result) => Poll::Ready(result),
            _ => panic!(
                "a JoinHandle was polled after it had given its result; await it once, and keep that"
            ),
        }
    }

    /// Nobody waits any more: the task, which may run on for long, keeps nothing of who did.
    pub(crate) fn forget_waiter(&self) {
        if !self.awaited.load(Ordering::Relaxed) || self.is_complete() {
            return;
        }
        let mut state = self.state.lock();
        let waiter = match &mut *state {
            State::Pending { waiter, .. } => waiter.take(),
            _ => None,
        };
        drop(state);
        discard(waiter);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.complete.load(Ordering::Acquire) // Pairs with the store in `complete`.
    }
}

/// A result that nobody has taken may be dropped by whichever side goes last, in the middle of anything.
impl<T> Drop for JoinCell<T> {
    fn drop(&mut self) {
        match std::mem::replace(self.state.get_mut(), State::Taken) {
            State::Complete(result) => (self.discard_result)(result),
            other => discard(other),
        }
    }
}

/// Tells a loop to drop one of its tasks.
pub(crate) trait Abort: Send + Sync {
    fn abort(self: Arc<Self>);
}

/// A cell whose type of result has been forgotten: what a loop knows of its tasks', and a job of
/// the call that it waits for.
pub(crate) trait Erased: Any {
    /// Asks for the task to be dropped. Its loop does that, and then completes the cell.
    fn abort(&self);
    /// Whether an abort came before `watch`.
    fn is_aborted(&self) -> bool;
    fn is_complete(&self) -> bool;
    /// Whom to tell of an abort; `false` if the abort was there first.
    fn watch(&self, task: Option<Arc<dyn Abort>>) -> bool;
    fn fail(&self, error: JoinError);
    fn as_any(&self) -> &dyn Any;
}

impl<T: 'static> Erased for JoinCell<T> {
    fn abort(&self) {
        let mut state = self.state.lock();
        let State::Pending { task, .. } = &mut *state else {
            return;
        };
        // For who asks before he watches: `watch` finds it by the lock.
        self.aborted.store(true, Ordering::Relaxed);
        let task = task.take();
        drop(state);
        if let Some(task) = task {
            task.abort();
        }
    }

    fn is_aborted(&self) -> bool {
        self.aborted.load(Ordering::Relaxed)
    }

    fn is_complete(&self) -> bool {
        self.is_complete()
    }

    fn watch(&self, new: Option<Arc<dyn Abort>>) -> bool {
        let mut state = self.state.lock();
        let old = match &mut *state {
            State::Pending { task, .. } if !self.is_aborted() => std::mem::replace(task, new),
            _ => {
                drop(state);
                return false;
            }
        };
        drop(state);
        drop(old);
        true
    }

    fn fail(&self, error: JoinError) {
        self.complete(Err(error));
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
