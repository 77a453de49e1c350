//! A job: a blocking function on its way through a worker, and its result until it is taken.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *waiting* | a worker takes the function | *running* |
//! | *waiting* | the caller goes: the function is dropped at once | *gone* |
//! | *waiting* | the pool refuses it | *failed*; if it is detached, *gone* |
//! | *waiting* | the caller detaches it | *waiting*, detached |
//! | *waiting*, detached | a worker takes the function | *unwanted* |
//! | *running* | the function returns or panics | *done* or *failed* |
//! | *running* | the caller goes, or detaches it | *unwanted* |
//! | *running* | the caller tells it to stop, and waits | *running*; it sees that its caller is gone |
//! | *unwanted* | the function returns or panics: the worker drops the result | *gone* |
//! | *done* or *failed* | the caller takes the result, goes, or detaches it | *gone* |
//!
//! The rule: before the result can be seen, the function, what it captured and the permit are gone.
//!
//! The function, the result and the waker share one allocation, unless one is large (`large_job`). In a burst,
//! allocating the jobs takes most of the time, so a job is small.

use crate::bridge::call::{Call, enter_call};
use crate::bridge::call_state::{CallState, HeldPermit};
use crate::bridge::job_error::JobError;
use crate::context;
use crate::context::bound::Bound;
use crate::context::inherited::Inherited;
use crate::event_loop::handle::Handle;
use crate::observe::event::{self, Arrow};
use crate::pool::job::{JobReport, Queued, Run, Runner};
use crate::pool::refusal::Refusal;
use crate::sync::panics::{catch_panic, drop_nested, drop_quietly, wake};
use crate::sync::{Arc, Mutex, MutexGuard};
use std::panic::Location;
use std::task::{Context, Poll, Waker};

pub struct Job<F, R> {
    state: Mutex<JobState<F, R>>,
    call_state: CallState,
}

struct JobState<F, R> {
    phase: Phase<F, R>,
    waiter: Option<Waker>,
    /// `waiter` is a waker of this crate, so waking it doesn't block. Set with `waiter`.
    is_own_waker: bool,
    /// The result is stored but hidden, until the worker has given the permit back. The worker sets and clears it.
    is_ending: bool,
}

enum Phase<F, R> {
    /// If `unwanted`, the job is detached, and its result is dropped.
    Waiting {
        f: F,
        unwanted: bool,
    },
    Running,
    Unwanted,
    Done(R),
    Failed(JobError),
    Gone,
}

impl<F, R> JobState<F, R> {
    fn is_finished(&self) -> bool {
        !self.is_ending && matches!(self.phase, Phase::Done(_) | Phase::Failed(_) | Phase::Gone)
    }

    /// Takes the function. `None` if the job was cancelled or refused.
    fn take_function(&mut self) -> Option<F> {
        match std::mem::replace(&mut self.phase, Phase::Running) {
            Phase::Waiting { f, unwanted } => {
                if unwanted {
                    self.phase = Phase::Unwanted;
                }
                Some(f)
            }
            other => {
                self.phase = other;
                None
            }
        }
    }
}

/// A job as its caller sees it.
pub trait TypedJob<R>: Call {
    /// `is_own_waker`: the waker wakes a loop or a parker of this crate.
    ///
    /// # Panics
    /// If the result was given already.
    fn poll(&self, context: &mut Context<'_>, is_own_waker: bool) -> Poll<Result<R, JobError>>;
}

impl<F, R> Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    pub fn new(f: F, submitted_at: &'static Location<'static>) -> Self {
        let unwanted = false;
        Self {
            state: Mutex::new(JobState {
                phase: Phase::Waiting { f, unwanted },
                waiter: None,
                is_own_waker: false,
                is_ending: false,
            }),
            call_state: CallState::new(submitted_at),
        }
    }

    /// As [`TypedJob::poll`].
    pub(crate) fn poll_result(
        &self,
        context: &mut Context<'_>,
        is_own_waker: bool,
    ) -> Poll<Result<R, JobError>> {
        let mut new = None;
        let phase = loop {
            let mut state = self.state.lock();
            if state.is_finished() {
                break std::mem::replace(&mut state.phase, Phase::Gone);
            }
            if new.is_some() {
                let old = std::mem::replace(&mut state.waiter, new);
                state.is_own_waker = is_own_waker;
                drop(state);
                drop_quietly(old);
                return Poll::Pending;
            }
            drop(state);
            // Outside the lock, because the clone may run user code.
            new = Some(context.waker().clone());
        };
        event::arrow_to(Arrow::Result, || std::ptr::from_ref(self).addr());
        // If the drop of the new waker panics, the result is kept.
        drop_quietly(new);
        match phase {
            Phase::Done(value) => Poll::Ready(Ok(value)),
            Phase::Failed(error) => Poll::Ready(Err(error)),
            _ => panic!(
                "a BlockingTask was polled after it had given its result; await it once, and keep that"
            ),
        }
    }

    /// Takes the function, and the context for it.
    fn take_function(&self) -> Option<Bound<F>> {
        let f = self.state.lock().take_function()?;
        Some(Bound::new(f, self.call_state.take_context()))
    }

    /// Gives the result to the caller. The function and the permit are gone before that, and if no job is queued, the
    /// thread counts as searching.
    fn finish(&self, result: Result<R, JobError>, runner: &mut dyn Runner) {
        event::arrow_from(Arrow::Result, || std::ptr::from_ref(self).addr());
        let mut state = self.state.lock();
        if let Phase::Unwanted = state.phase {
            state.phase = Phase::Gone;
            drop(state);
            // The result is dropped before the permit is given back, because the drop keeps this thread busy.
            drop_quietly(result);
            return self.call_state.end();
        }
        state.phase = match result {
            Ok(value) => Phase::Done(value),
            Err(error) => Phase::Failed(error),
        };
        // Stored before the permit is given back, and hidden until after. A cancel in between finds the result, and drops it
        // on the caller's thread. So this thread drops nothing of the user's once the permit is free.
        state.is_ending = true;
        drop(state);
        self.call_state.end();
        runner.start_searching();
        let mut state = self.state.lock();
        state.is_ending = false;
        let (waiter, is_own_waker) = (state.waiter.take(), state.is_own_waker);
        drop(state);
        if let Some(waiter) = waiter {
            if !is_own_waker {
                runner.enter_user_code();
            }
            wake(waiter);
        }
    }

    /// The caller goes while no thread runs the job. Drops what the job holds: the function or the result.
    fn empty(&self, mut state: MutexGuard<'_, JobState<F, R>>) {
        let waiter = state.waiter.take();
        let held = std::mem::replace(&mut state.phase, Phase::Gone);
        drop(state);
        // If the job waits, no thread runs it. Its permit and its waker are dropped here, after the function.
        let is_waiting = matches!(held, Phase::Waiting { .. });
        let mut links = if is_waiting {
            self.call_state.take_links()
        } else {
            None
        };
        let context = links.as_mut().and_then(|links| links.take_context());
        // The caller's context is in force here. A function that came without one is dropped without it.
        let context = context.or(is_waiting.then_some(Inherited::EMPTY));
        let has_end = links.is_some() || waiter.is_some();
        let end = has_end.then_some(move || {
            drop_quietly(links);
            drop_quietly(waiter);
        });
        let held = Bound::new(held, context);
        drop_nested(held, end);
    }
}

impl<F, R> Run for Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn run(self: Arc<Self>, runner: &mut dyn Runner) {
        let Some(f) = self.take_function() else {
            return;
        };
        let result = {
            let _call = enter_call(Some(self.clone()));
            catch_panic(|| f.release(|f| f()).0).map_err(JobError::panic)
        };
        self.finish(result, runner);
        // This may be the last reference to the loop. Then its drop runs user code: the drop of the host's hook.
        if self.call_state.home().is_some_and(Handle::has_hook) {
            runner.enter_user_code();
        }
    }

    fn refuse(&self, why: Refusal) {
        let Some(f) = self.take_function() else {
            return;
        };
        let left = context::Context::leave(); // As in `empty`.
        drop_quietly(f);
        drop(left);
        let error = JobError::refused(why, self.call_state.submitted_at());
        self.finish(Err(error), &mut ());
    }

    fn submitted_at(&self) -> &'static Location<'static> {
        self.call_state.submitted_at()
    }

    fn report(&self) -> JobReport {
        let waiter = |state: &JobState<F, R>| Some(state.waiter.as_ref()?.data().addr());
        let waiter = waiter(&self.state.lock());
        let limiter = self.call_state.held_limiter();
        JobReport { waiter, limiter }
    }
}

impl<F, R> TypedJob<R> for Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn poll(&self, context: &mut Context<'_>, is_own_waker: bool) -> Poll<Result<R, JobError>> {
        self.poll_result(context, is_own_waker)
    }
}

impl<F, R> Call for Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    fn call_state(&self) -> &CallState {
        &self.call_state
    }

    fn set_origin(&mut self, home: Option<Handle>, in_permit_scope: bool) {
        self.call_state.set_origin(home, in_permit_scope);
    }

    fn set_permit(&mut self, permit: HeldPermit) {
        self.call_state.set_permit(permit);
    }

    fn set_context(&mut self, context: Inherited) {
        self.call_state.set_context(context);
    }

    fn is_finished(&self) -> bool {
        self.state.lock().is_finished()
    }

    fn cancel(&self) {
        let mut state = self.state.lock();
        if let Phase::Running = state.phase {
            state.phase = Phase::Unwanted;
            let waiter = state.waiter.take();
            drop(state);
            self.call_state.cancel();
            return drop_quietly(waiter);
        }
        self.empty(state);
    }

    fn tell(&self) -> bool {
        let state = self.state.lock();
        match state.phase {
            Phase::Waiting { .. } => {
                self.empty(state);
                false
            }
            Phase::Running => {
                drop(state);
                self.call_state.cancel();
                true
            }
            _ => true,
        }
    }

    fn detach(&self) {
        let mut state = self.state.lock();
        let waiter = state.waiter.take();
        match std::mem::replace(&mut state.phase, Phase::Gone) {
            Phase::Running => {
                state.phase = Phase::Unwanted;
                drop(state);
            }
            Phase::Waiting { f, .. } => {
                let unwanted = true;
                state.phase = Phase::Waiting { f, unwanted };
                drop(state);
            }
            held => {
                drop(state);
                drop_quietly(held);
            }
        }
        drop_quietly(waiter);
    }

    fn into_queued(self: Arc<Self>) -> Queued {
        self
    }

    fn into_call(self: Arc<Self>) -> Arc<dyn Call> {
        self
    }
}
