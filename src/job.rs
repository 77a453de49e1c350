//! A job: a blocking function on its way through a worker, in one allocation.
//!
//! ```text
//!            pick up            f returns or panics    token free, thread offered  taken
//!   Waiting ---------> Running -----------------> Settling -----------> Done ---------> Gone
//!      |  | detached      | detached, or the caller goes away                             ^
//!      |  +-------------> Unwanted --- f returns: the result is dropped there ----------->|
//!      | the caller goes away: f is dropped then and there                                |
//!      +----------------------------------------------------------------------------------+
//! ```
//!
//! The rule: the function, what it captured and the token it held are gone before the result can be seen.

use crate::cancel::{Call, Scope, enter_call};
use crate::handle::{Handle, set_home};
use crate::join::{Payload, contain, discard, wake};
use crate::limiter::Permit;
use crate::refusal::Refusal;
use crate::sync::{Arc, Mutex};
use std::panic::Location;
use std::task::{Context, Poll, Waker};

pub struct Job<F, R> {
    state: Mutex<State<F, R>>,
    scope: Scope,
    submitted_at: &'static Location<'static>,
}

struct State<F, R> {
    stage: Stage<F, R>,
    waiter: Option<Waiter>,
    home: Option<Handle>,
    permit: Option<Permit>,
    // Detached: it shall run, and nobody wants its result.
    unwanted: bool,
}

struct Waiter {
    waker: Waker,
    // It leads to a loop or a parker of ours, which doesn't keep who calls it.
    is_quick: bool,
}

enum Stage<F, R> {
    Waiting(F),
    Running,
    Unwanted,
    Settling(Result<R, Failure>),
    Done(Result<R, Failure>),
    Gone,
}

impl<F, R> State<F, R> {
    /// The function, unless the job has been cancelled and it is gone.
    fn pick_up(&mut self) -> Option<F> {
        let picked_up = match self.unwanted {
            true => Stage::Unwanted,
            false => Stage::Running,
        };
        match std::mem::replace(&mut self.stage, picked_up) {
            Stage::Waiting(f) => Some(f),
            other => {
                self.stage = other;
                None
            }
        }
    }
}

/// For who answers a job without running it.
impl Runner for () {
    fn offer(&mut self) {}

    fn withdraw(&mut self) {}
}

/// Why a job has no result.
pub(crate) enum Failure {
    Panic(Payload),
    Refused(Refusal),
}

/// The thread that runs a job, as the job sees it.
pub trait Runner {
    /// The job is as good as done: whoever sees its result may count on this thread.
    fn offer(&mut self);
    /// Not yet, after all: code that isn't ours runs first, and may take long.
    fn withdraw(&mut self);
}

/// A job as the pool sees it.
pub trait Run: Send + Sync {
    /// Runs it, unless it has been cancelled.
    fn run(self: Arc<Self>, runner: &mut dyn Runner);
    /// Answers it without running it.
    fn refuse(&self, why: Refusal);
    fn submitted_at(&self) -> &'static Location<'static>;
}

/// A job in a queue.
pub type Queued = Arc<dyn Run>;

/// A job as its caller sees it.
pub trait Outcome<R>: Run + Call {
    /// Sets the loop that it belongs to.
    fn prepare(&self, home: Option<Handle>);
    /// Gives it the token that it holds until it is done.
    fn set_permit(&self, permit: Permit);
    /// `is_quick` says that the waker leads to a loop or a parker of ours.
    ///
    /// # Panics
    /// With the job's own panic, or saying why it was refused, or that the result was given already.
    fn poll(&self, context: &mut Context<'_>, is_quick: bool) -> Poll<R>;
    fn is_finished(&self) -> bool;
    /// The loop that it belongs to.
    fn home(&self) -> Option<Handle>;
    /// The caller goes away.
    fn cancel(&self);
    /// It shall run, and nobody wants its result.
    fn disown(&self);
    fn into_queued(self: Arc<Self>) -> Queued;
}

impl<F, R> Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    pub fn new(f: F, submitted_at: &'static Location<'static>) -> Self {
        Self {
            state: Mutex::new(State {
                stage: Stage::Waiting(f),
                waiter: None,
                home: None,
                permit: None,
                unwanted: false,
            }),
            scope: Scope::default(),
            submitted_at,
        }
    }

    /// Gives the result to whoever wants it. Everything else that the job held goes before that; the
    /// thread is offered in between, unless it is to call a waker of a stranger's.
    fn deliver(&self, result: Result<R, Failure>, permit: Option<Permit>, runner: &mut dyn Runner) {
        let mut state = self.state.lock();
        let unwanted = matches!(state.stage, Stage::Unwanted);
        let (result, home) = if unwanted {
            state.stage = Stage::Gone;
            (Some(result), state.home.take())
        } else {
            state.stage = Stage::Settling(result);
            (None, None)
        };
        let quick = state.waiter.as_ref().is_none_or(|waiter| waiter.is_quick);
        drop(state);
        discard(result);
        // The last handle to a loop may take a hook of a user's with it.
        discard(home);
        self.scope.end();
        drop(permit);
        if quick {
            runner.offer();
        }
        let mut state = self.state.lock();
        // Unless the caller has gone away just now, and taken it.
        if let Stage::Settling(_) = state.stage {
            if let Stage::Settling(result) = std::mem::replace(&mut state.stage, Stage::Gone) {
                state.stage = Stage::Done(result);
            }
            let waiter = state.waiter.take();
            drop(state);
            if let Some(waiter) = waiter {
                if !waiter.is_quick {
                    runner.withdraw();
                }
                wake(waiter.waker);
            }
        }
    }
}

impl<F, R> Call for Job<F, R>
where
    F: Send,
    R: Send,
{
    fn scope(&self) -> &Scope {
        &self.scope
    }
}

impl<F, R> Run for Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn run(self: Arc<Self>, runner: &mut dyn Runner) {
        let mut state = self.state.lock();
        let Some(f) = state.pick_up() else { return };
        let (home, permit) = (state.home.clone(), state.permit.take());
        drop(state);
        let result = {
            let before = set_home(home);
            let _call = enter_call(Some(self.clone()));
            let result = contain(f).map_err(Failure::Panic);
            discard(set_home(before));
            result
        };
        self.deliver(result, permit, runner);
    }

    fn refuse(&self, why: Refusal) {
        let mut state = self.state.lock();
        let Some(f) = state.pick_up() else { return };
        let permit = state.permit.take();
        drop(state);
        discard(f);
        self.deliver(Err(Failure::Refused(why)), permit, &mut ());
    }

    fn submitted_at(&self) -> &'static Location<'static> {
        self.submitted_at
    }
}

impl<F, R> Outcome<R> for Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn prepare(&self, home: Option<Handle>) {
        self.state.lock().home = home;
    }

    fn set_permit(&self, permit: Permit) {
        self.state.lock().permit = Some(permit);
    }

    fn poll(&self, context: &mut Context<'_>, is_quick: bool) -> Poll<R> {
        // Cloned outside the lock: it may be code of a user's.
        let waker = context.waker().clone();
        let mut state = self.state.lock();
        match state.stage {
            Stage::Done(_) => {}
            Stage::Gone => {
                drop(state);
                panic!(
                    "a BlockingTask was polled after it had given its result; await it once, and keep that"
                );
            }
            _ => {
                let old = state.waiter.replace(Waiter { waker, is_quick });
                drop(state);
                drop(old);
                return Poll::Pending;
            }
        }
        let Stage::Done(result) = std::mem::replace(&mut state.stage, Stage::Gone) else {
            unreachable!("matched above, under the same lock")
        };
        drop(state);
        match result {
            Ok(value) => Poll::Ready(value),
            Err(Failure::Panic(payload)) => std::panic::resume_unwind(payload),
            Err(Failure::Refused(why)) => {
                panic!(
                    "the job submitted, or wrapped, at {} was never run: {why}",
                    self.submitted_at
                )
            }
        }
    }

    fn home(&self) -> Option<Handle> {
        self.state.lock().home.clone()
    }

    fn is_finished(&self) -> bool {
        matches!(self.state.lock().stage, Stage::Done(_) | Stage::Gone)
    }

    fn cancel(&self) {
        let mut state = self.state.lock();
        let waiter = state.waiter.take();
        match std::mem::replace(&mut state.stage, Stage::Gone) {
            Stage::Running => {
                state.stage = Stage::Unwanted;
                drop(state);
                self.scope.cancel();
            }
            Stage::Waiting(f) => {
                let kept = (state.home.take(), state.permit.take());
                drop(state);
                discard(f);
                self.scope.end();
                discard(kept);
            }
            Stage::Settling(result) | Stage::Done(result) => {
                drop(state);
                discard(result);
            }
            Stage::Unwanted | Stage::Gone => drop(state),
        }
        drop(waiter);
    }

    fn disown(&self) {
        self.scope.orphan();
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.stage, Stage::Gone) {
            Stage::Running => state.stage = Stage::Unwanted,
            Stage::Waiting(f) => {
                state.stage = Stage::Waiting(f);
                state.unwanted = true;
            }
            Stage::Settling(result) | Stage::Done(result) => {
                drop(state);
                discard(result);
            }
            Stage::Unwanted | Stage::Gone => {}
        }
    }

    fn into_queued(self: Arc<Self>) -> Queued {
        self
    }
}
