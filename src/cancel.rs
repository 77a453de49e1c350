//! What a call knows of its caller: whether he has gone away, and which calls it is nested in.
//!
//! The rule: that the caller is gone, and that the job waits for a nested call, stand under one
//! lock. Between two of them a job could begin to wait after it had been looked for, and for ever.

use crate::join::Erased;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, thread_local};
use std::cell::RefCell;
use std::fmt;
use std::panic::Location;

/// The part of a job that its nested calls, and its caller, share.
#[derive(Default)]
pub struct Scope {
    // Written under the lock; those who only ask don't take it.
    gone: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nested: Option<Nested>,
    parent: Option<Arc<dyn Call>>,
    token: Option<Token>,
}

/// The async function that a job waits for: its task is aborted if the job's caller goes away.
pub(crate) type Nested = Arc<dyn Erased + Send + Sync>;

/// A limiter's token that a job holds: which limiter's (its address), and where it was asked for.
#[derive(Clone, Copy)]
pub(crate) struct Token {
    pub(crate) limiter: usize,
    pub(crate) taken_at: &'static Location<'static>,
}

/// A job, as seen by what is nested in it.
pub trait Call: Send + Sync {
    fn scope(&self) -> &Scope;
}

impl Scope {
    /// The caller has gone away.
    pub(crate) fn cancel(&self) {
        let mut state = self.state.lock();
        self.gone.store(true, Ordering::Release); // Pairs with the load in `is_gone`.
        let nested = state.nested.take();
        drop(state);
        if let Some(nested) = nested {
            nested.abort();
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire) // Pairs with the store in `cancel`.
    }

    /// The job is about to wait for `nested`. Refused, if the caller is gone.
    pub(crate) fn begin_wait(&self, nested: Nested) -> Result<(), Cancelled> {
        let mut state = self.state.lock();
        if self.is_gone() {
            drop(state);
            drop(nested);
            return Err(Cancelled(()));
        }
        state.nested = Some(nested);
        Ok(())
    }

    pub(crate) fn end_wait(&self) {
        let nested = self.state.lock().nested.take();
        drop(nested);
    }

    /// Nobody waits for this call on behalf of another one any more.
    pub(crate) fn orphan(&self) {
        let parent = self.state.lock().parent.take();
        drop(parent);
    }

    /// It is done: it holds no token, and keeps no ancestor.
    pub(crate) fn end(&self) {
        self.set_ancestry(None, None);
    }

    /// Says which call this one is made on behalf of, and what token it holds.
    pub(crate) fn set_ancestry(&self, parent: Option<Arc<dyn Call>>, token: Option<Token>) {
        let mut state = self.state.lock();
        state.token = token;
        let old = std::mem::replace(&mut state.parent, parent);
        drop(state);
        drop(old);
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

/// Makes `call` the current one until the guard is dropped.
pub(crate) fn enter_call(call: Option<Arc<dyn Call>>) -> impl Drop {
    struct Restore(Option<Arc<dyn Call>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            let left = CALL.with(|call| call.replace(self.0.take()));
            drop(left);
        }
    }
    Restore(CALL.with(|current| current.replace(call)))
}

/// The tokens of `limiter` that the current call and those that it is nested in hold.
pub(crate) fn tokens_held_by_ancestors(limiter: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut call = current_call();
    while let Some(this) = call {
        let state = this.scope().state.lock();
        tokens.extend(state.token.filter(|token| token.limiter == limiter));
        call = state.parent.clone();
    }
    tokens
}

/// Inside a job: has the caller gone away? A job that takes long asks now and then, and stops.
///
/// The caller is gone once the future of the call has been dropped. Outside a job nobody can have
/// gone away, and the answer is `Ok`. Cheap: a thread-local and one atomic load. In a function that returns
/// `io::Result`, `.map_err(io::Error::other)?` passes it on.
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
