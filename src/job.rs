//! A job: a blocking function on its way through a worker, in one allocation.
//!
//! ```text
//!            pick up            f returns or panics          taken
//!   Waiting ---------> Running --------------------> Done ---------> Gone
//!      |  | detached      | detached, or the caller goes away         ^
//!      |  +-------------> Unwanted --- f returns: the result -------->|
//!      | the caller goes away:               is dropped there         |
//!      |   f is dropped then and there                                |
//!      +--------------------------------------------------------------+
//! ```
//!
//! The rule: the function, what it captured and the token it held are gone before the result can be seen.
//! Small on purpose: who submits a hundred thousand jobs waits for their memory more than for anything else.

use crate::call::{Call, Scope, Token, enter_call};
use crate::discard::discard_nested;
use crate::handle::Handle;
use crate::join::{Payload, contain, discard, wake};
use crate::refusal::Refusal;
use crate::sync::{Arc, Mutex};
use std::panic::Location;
use std::task::{Context, Poll, Waker};

pub struct Job<F, R> {
    state: Mutex<State<F, R>>,
    scope: Scope,
}

struct State<F, R> {
    stage: Stage<F, R>,
    waiter: Option<Waker>,
    // The waiter leads to a loop or a parker of ours, which doesn't keep who calls it.
    is_quick: bool,
    // Done, and not to be seen yet: what the job holds besides is given back.
    is_ending: bool,
}

enum Stage<F, R> {
    // Unwanted: detached. It shall run, and nobody wants its result.
    Waiting { f: F, unwanted: bool },
    Running,
    Unwanted,
    Done(R),
    Failed(Box<Failure>),
    Gone,
}

impl<F, R> State<F, R> {
    fn is_finished(&self) -> bool {
        !self.is_ending && matches!(self.stage, Stage::Done(_) | Stage::Failed(_) | Stage::Gone)
    }

    /// The function, unless the job has been cancelled and it is gone.
    fn pick_up(&mut self) -> Option<F> {
        match std::mem::replace(&mut self.stage, Stage::Running) {
            Stage::Waiting { f, unwanted } => {
                if unwanted {
                    self.stage = Stage::Unwanted;
                }
                Some(f)
            }
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

    fn withdraw(&mut self, _done: bool) {}
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
    /// Not yet, after all: code that isn't ours runs first, and may take long. `done`: the result has been seen.
    fn withdraw(&mut self, done: bool);
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
pub trait Outcome<R>: Called {
    /// `is_quick` says that the waker leads to a loop or a parker of ours.
    ///
    /// # Panics
    /// With the job's own panic, or saying why it was refused, or that the result was given already.
    fn poll(&self, context: &mut Context<'_>, is_quick: bool) -> Poll<R>;
}

/// The same, but for the result.
pub trait Called: Run + Call {
    /// Says where it comes from. Before it is submitted.
    fn set_origin(&mut self, home: Option<Handle>, parent: Option<Arc<dyn Call>>);
    /// Gives it the token that it holds until it is done. Before it is submitted.
    fn set_token(&mut self, token: Token);
    fn is_finished(&self) -> bool;
    /// The caller goes away.
    fn cancel(&self);
    /// It shall run, and nobody wants its result.
    fn disown(&self);
    fn into_queued(self: Arc<Self>) -> Queued;
    fn into_call(self: Arc<Self>) -> Arc<dyn Call>;
}

impl<F, R> Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    pub fn new(f: F, submitted_at: &'static Location<'static>) -> Self {
        let unwanted = false;
        Self {
            state: Mutex::new(State {
                stage: Stage::Waiting { f, unwanted },
                waiter: None,
                is_quick: false,
                is_ending: false,
            }),
            scope: Scope::new(submitted_at),
        }
    }

    /// As [`Outcome::poll`].
    pub(crate) fn poll_result(&self, context: &mut Context<'_>, is_quick: bool) -> Poll<R> {
        let mut new = None;
        let stage = loop {
            let mut state = self.state.lock();
            if state.is_finished() {
                break std::mem::replace(&mut state.stage, Stage::Gone);
            }
            if new.is_some() {
                let old = std::mem::replace(&mut state.waiter, new);
                state.is_quick = is_quick;
                drop(state);
                discard(old);
                return Poll::Pending;
            }
            drop(state);
            // Outside the lock: it may be code of a user's.
            new = Some(context.waker().clone());
        };
        // Done meanwhile. A drop that panics mustn't take the result along.
        discard(new);
        match stage {
            Stage::Done(value) => Poll::Ready(value),
            Stage::Failed(failure) => match *failure {
                Failure::Panic(payload) => std::panic::resume_unwind(payload),
                Failure::Refused(why) => panic!(
                    "the job submitted, or wrapped, at {} was never run: {why}",
                    self.scope.submitted_at()
                ),
            },
            _ => panic!(
                "a BlockingTask was polled after it had given its result; await it once, and keep that"
            ),
        }
    }

    /// Gives the result to whoever wants it. Everything else that the job held goes before that, and the
    /// thread is offered.
    fn deliver(&self, result: Result<R, Failure>, runner: &mut dyn Runner) {
        let is_tied = self.scope.is_tied();
        if !is_tied {
            runner.offer();
        }
        let mut state = self.state.lock();
        if let Stage::Unwanted = state.stage {
            state.stage = Stage::Gone;
            drop(state);
            if !is_tied {
                runner.withdraw(false);
            }
            // Before the token: that is free when the thread is really free.
            discard(result);
            return self.scope.end();
        }
        state.stage = match result {
            Ok(value) => Stage::Done(value),
            Err(failure) => Stage::Failed(Box::new(failure)),
        };
        if is_tied {
            // A caller who goes away now drops the result himself.
            state.is_ending = true;
            drop(state);
            self.scope.end();
            runner.offer();
            state = self.state.lock();
            state.is_ending = false;
        }
        let (waiter, is_quick) = (state.waiter.take(), state.is_quick);
        drop(state);
        if let Some(waiter) = waiter {
            if !is_quick {
                runner.withdraw(true);
            }
            wake(waiter);
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
        let Some(f) = self.state.lock().pick_up() else {
            return;
        };
        let result = {
            let _call = enter_call(Some(self.clone()));
            contain(f).map_err(Failure::Panic)
        };
        self.deliver(result, runner);
        // The job may be the last that holds its loop, and with it the host's hook, whose drop is code of a user's.
        if self.scope.home().is_some_and(Handle::has_hook) {
            runner.withdraw(true);
        }
    }

    fn refuse(&self, why: Refusal) {
        let Some(f) = self.state.lock().pick_up() else {
            return;
        };
        discard(f);
        self.deliver(Err(Failure::Refused(why)), &mut ());
    }

    fn submitted_at(&self) -> &'static Location<'static> {
        self.scope.submitted_at()
    }
}

impl<F, R> Outcome<R> for Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn poll(&self, context: &mut Context<'_>, is_quick: bool) -> Poll<R> {
        self.poll_result(context, is_quick)
    }
}

impl<F, R> Called for Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn set_origin(&mut self, home: Option<Handle>, parent: Option<Arc<dyn Call>>) {
        self.scope.set_origin(home, parent);
    }

    fn set_token(&mut self, token: Token) {
        self.scope.set_token(token);
    }

    fn is_finished(&self) -> bool {
        self.state.lock().is_finished()
    }

    fn cancel(&self) {
        let mut state = self.state.lock();
        let waiter = state.waiter.take();
        let held = match std::mem::replace(&mut state.stage, Stage::Gone) {
            Stage::Running => {
                state.stage = Stage::Unwanted;
                drop(state);
                self.scope.cancel();
                return discard(waiter);
            }
            held => held,
        };
        drop(state);
        // Nobody will run it, so what it holds besides goes from here: after the function, and what that captured.
        let is_waiting = matches!(held, Stage::Waiting { .. });
        let ties = if is_waiting {
            self.scope.take_ties()
        } else {
            None
        };
        let has_end = ties.is_some() || waiter.is_some();
        let end = has_end.then_some(move || {
            discard(ties);
            discard(waiter);
        });
        discard_nested(held, end);
    }

    fn disown(&self) {
        self.scope.orphan();
        let mut state = self.state.lock();
        let waiter = state.waiter.take();
        match std::mem::replace(&mut state.stage, Stage::Gone) {
            Stage::Running => {
                state.stage = Stage::Unwanted;
                drop(state);
            }
            Stage::Waiting { f, .. } => {
                let unwanted = true;
                state.stage = Stage::Waiting { f, unwanted };
                drop(state);
            }
            held => {
                drop(state);
                discard(held);
            }
        }
        discard(waiter);
    }

    fn into_queued(self: Arc<Self>) -> Queued {
        self
    }

    fn into_call(self: Arc<Self>) -> Arc<dyn Call> {
        self
    }
}
