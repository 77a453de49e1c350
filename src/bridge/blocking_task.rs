//! The caller's side of a job: waits for it, cancels it, lets go of it, or goes away. How the job gets to its pool is in
//! `submission`.

use crate::bridge::call;
use crate::bridge::deadlock::{self, RecordedWait, WaitTracker};
use crate::bridge::detached::Detached;
use crate::bridge::job::TypedJob;
use crate::bridge::job_error::JobError;
use crate::bridge::large_job;
use crate::bridge::limiter::Limiter;
use crate::bridge::report::shown;
use crate::bridge::submission::Submission;
use crate::event_loop::current::{self, refuse_loop_thread};
use crate::event_loop::handle::Handle;
use crate::observe::event::{self, Slice};
use crate::pool::thread_retry::{JoinListener, RETRY_PAUSE};
use crate::pool::{Pool, wait};
use crate::sync::{Arc, unwind_safe, waker};
use std::cell::Cell;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A call that runs on a worker thread. Await it, or [`join`](Self::join) it from a thread that runs no loop. It is
/// `Send`, so a job may also return the calls that it has made.
///
/// Dropping it cancels the call. If the function hasn't begun, it never runs, and what it captured is dropped at once. If
/// it runs already, it can't be stopped. It can ask [`check_cancelled`](crate::check_cancelled). If it waits for an async
/// function, that is dropped. When it returns, the worker drops its result. To let it run instead,
/// [`detach`](Self::detach) it.
/// (A [`JoinHandle`](crate::JoinHandle) differs: if it is dropped, its task runs on.)
///
/// A cancelled call frees what it captured. Its empty job, of 130 to 300 bytes, stays in the queue, and is counted there,
/// until a thread takes it. While all threads are busy, a million cancelled calls hold up to 300 MB.
///
/// A call may capture or return a call, and that one a third. The drop of the first call drops the whole chain. At most
/// sixteen drops nest. Deeper values are put on a list, which the sixteenth drop empties before it returns. So a long chain
/// needs no more stack. Results of tasks that are
/// [`JoinHandle`](crate::JoinHandle)s are dropped in the same way. Other nested values are dropped as usual, on the
/// stack.
///
/// # Panics
/// If the function panics, awaiting the call panics with the same payload. If the pool refuses the job, because the pool was
/// shut down or the system refused it a thread, awaiting panics with the reason. A poll after that panics too. Under
/// `panic = "abort"` each of these ends the process, also the refusal of a thread.
///
/// ```
/// use std::sync::mpsc;
///
/// let pool = footbridge::Pool::builder().max_threads(1).build();
/// let (go, wait) = mpsc::channel();
/// let first = pool.spawn_blocking(move || wait.recv().unwrap());
/// let second = pool.spawn_blocking(|| unreachable!("the only thread is busy"));
/// drop(second);
/// go.send("on").unwrap();
/// assert_eq!(first.join(), "on");
/// ```
#[must_use = "dropping a BlockingTask cancels the call; await it, join it or detach it"]
pub struct BlockingTask<R> {
    /// `None` after the result was taken, or after `detach`.
    job: Option<Arc<dyn TypedJob<R>>>,
    submission: Submission,
}

impl<R: Send + 'static> BlockingTask<R> {
    /// A call whose first poll submits the job.
    pub(crate) fn unsubmitted<F>(
        f: F,
        pool: Option<&Pool>,
        limiter: Option<&Limiter>,
        at: &'static Location<'static>,
    ) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
    {
        Self {
            job: Some(large_job::new_job(f, at, None, false)),
            submission: Submission::not_yet(pool, limiter),
        }
    }

    #[track_caller]
    pub(super) fn submitted<F>(f: F, pool: Option<&Pool>, home: Option<Handle>) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let in_permit_scope = call::permit_holder().is_some();
        let mut job = large_job::new_job(f, Location::caller(), home, in_permit_scope);
        let submission = Submission::at_once(&mut job, pool);
        Self {
            job: Some(job),
            submission,
        }
    }

    /// Lets the call run on by itself, and drops its result. If the call was never polled, it is submitted now, or as
    /// soon as its limiter has a token for it.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (done, wait) = mpsc::channel();
    /// footbridge::spawn_blocking(move || done.send(())).detach();
    /// wait.recv().unwrap();
    /// ```
    pub fn detach(mut self) {
        let Some(job) = &mut self.job else {
            return;
        };
        job.detach();
        // No call waits for a detached job, so it isn't nested in the current call.
        self.submission.begin(job, Handle::try_current(), false);
        if let Submission::Submitted(_) = self.submission {
            // Emptied without a cancel: the drop of `self` would cancel the job.
            self.job = None;
            return;
        }
        let detached = Arc::new(Detached::default());
        let waker = waker(detached.clone());
        detached.go_on(Box::new(move || {
            let Some(job) = &mut self.job else {
                return Poll::Ready(());
            };
            let submitted = self
                .submission
                .advance(job, &mut Context::from_waker(&waker));
            if submitted.is_ready() {
                self.job = None;
            }
            submitted
        }));
    }
}

impl<R> BlockingTask<R> {
    fn poll_job(
        &mut self,
        context: &mut Context<'_>,
        is_own_waker: bool,
    ) -> Poll<Result<R, JobError>> {
        let known = deadlock::known(context.waker());
        let context = &mut Context::from_waker(known.as_ref().unwrap_or(context.waker()));
        let Some(job) = &mut self.job else {
            panic!(
                "a BlockingTask was polled after it had given its result; await it once, and keep that"
            );
        };
        if self.submission.advance(job, context).is_pending() {
            return Poll::Pending;
        }
        let result = job.poll(context, is_own_waker);
        if result.is_ready() {
            current::forget_job();
            self.job = None;
        } else {
            current::await_job(job.call_state().submitted_at());
            if known.is_some() {
                deadlock::note(RecordedWait::Call(job.clone().into_call()));
            }
        }
        result
    }

    pub(crate) fn poll_outcome(&mut self, context: &mut Context<'_>) -> Poll<Result<R, JobError>> {
        let is_own_waker = current::is_own_waker(context.waker());
        self.poll_job(context, is_own_waker)
    }

    /// Waits for the call like `await`, but if the function panicked, or if the pool refused the job, gives the reason as a
    /// [`JobError`]. Dropping what it returns cancels the call.
    ///
    /// A host that is built with `panic = "abort"` learns in this way that the system refused a thread.
    ///
    /// # Panics
    /// If the call waits for a token of a [`Limiter`] that [can never come](Limiter#deadlocks).
    ///
    /// ```
    /// use footbridge::{asyncify, run};
    ///
    /// let divide = asyncify(|a: u32, b: u32| a / b);
    /// let outcomes = run(async { [divide(6, 3).outcome().await, divide(6, 0).outcome().await] });
    /// assert_eq!(outcomes[0].as_ref().ok(), Some(&2));
    /// assert!(outcomes[1].as_ref().unwrap_err().is_panic());
    /// ```
    pub fn outcome(mut self) -> impl Future<Output = Result<R, JobError>> {
        poll_fn(move |context| self.poll_outcome(context))
    }

    /// Tells the job at once that it isn't wanted any more, and waits until its thread is free. Gives the result, if the
    /// function returned one, and `None` if the function never began, or if the call has given its result already.
    ///
    /// In the job, [`check_cancelled`](crate::check_cancelled) says it, and an async function that it waits for is dropped.
    /// If the function hasn't begun, what it captured is dropped at once. Dropping what `cancel` returns waits no longer:
    /// the job's result is dropped on its thread.
    ///
    /// # Panics
    /// When what it returns is awaited: with the function's own panic.
    ///
    /// ```
    /// use footbridge::{check_cancelled, run, spawn_blocking};
    ///
    /// let (tell, told) = std::sync::mpsc::sync_channel(0);
    /// let job = spawn_blocking(move || {
    ///     let mut steps = 0;
    ///     while check_cancelled().is_ok() {
    ///         let _ = tell.send("a step");
    ///         steps += 1;
    ///     }
    ///     steps
    /// });
    /// told.recv().unwrap(); // it has begun
    /// let cancel = job.cancel();
    /// drop(told);
    /// assert!(run(cancel).unwrap() >= 1);
    /// ```
    pub fn cancel(mut self) -> impl Future<Output = Option<R>> {
        let mut has_begun = self.tell();
        poll_fn(move |context| {
            if !has_begun {
                return Poll::Ready(None);
            }
            let outcome = ready!(self.poll_outcome(context));
            has_begun = false;
            Poll::Ready(match outcome {
                Ok(result) => Some(result),
                Err(error) if error.is_refused() => None,
                Err(error) => error.raise(),
            })
        })
    }

    /// Tells the job that it isn't wanted any more. `false`: it never began, and the call is over.
    pub(crate) fn tell(&mut self) -> bool {
        let Some(job) = &self.job else {
            return false;
        };
        if job.tell() {
            return true;
        }
        self.job = None;
        // If the call waits for a token, it leaves the line.
        self.submission = Submission::NotYet(None);
        false
    }

    /// Whether the call is over. If it is, awaiting it gives its result at once.
    ///
    /// ```
    /// let job = footbridge::spawn_blocking(|| 42);
    /// while !job.is_finished() {
    ///     std::thread::yield_now(); // draws a frame, say
    /// }
    /// assert_eq!(job.join(), 42); // at once
    /// ```
    pub fn is_finished(&self) -> bool {
        self.job.as_ref().is_none_or(|job| job.is_finished())
    }

    /// Blocks this thread until the call is over, and returns its result. If a job calls it, the job releases its slot in
    /// the pool while it waits.
    ///
    /// If the caller of that job goes away, the wait goes on, because `join` has no error to return. After `join`,
    /// [`check_cancelled`](crate::check_cancelled) tells. To end the wait with a cancel, await the call in
    /// [`syncify`](crate::syncify).
    ///
    /// # Panics
    /// - If this thread runs a loop.
    /// - If this thread owns the job's loop, and that loop hasn't ended. The job may need it. Await the call there
    ///   instead.
    /// - If awaiting the call panics.
    ///
    /// ```
    /// assert_eq!(footbridge::spawn_blocking(|| 6 * 7).join(), 42);
    /// ```
    #[track_caller]
    pub fn join(mut self) -> R {
        let home = self.job.as_ref().and_then(|job| job.call_state().home());
        let home = home.filter(|home| !home.is_closed());
        refuse_loop_thread("BlockingTask::join", home.map(|home| home.inbox.owner()));
        let _wait = event::slice(|| Slice::Wait("join"));
        if let Some(job) = &mut self.job {
            let in_permit_scope = call::permit_holder().is_some();
            (self.submission).begin(job, Handle::try_current(), in_permit_scope);
        }
        let patience = Cell::new(None);
        let mut watch = WaitTracker::new(call::permit_holder(), false);
        let home = self.job.as_ref().and_then(|job| job.call_state().home());
        let registry = self.submission.registry(home).clone();
        let mut listener = None;
        let poll = |context: &mut Context<'_>| {
            let result = match &mut watch {
                Some(watch) => watch.poll_blocked(context, |context| self.poll_job(context, true)),
                None => self.poll_job(context, true),
            };
            if result.is_pending() {
                listener
                    .get_or_insert_with(|| JoinListener::new(&registry, context.waker().clone()));
                let is_refused = registry.refusals.is_any();
                if is_refused {
                    registry.retry_refused();
                }
                patience.set(is_refused.then_some(RETRY_PAUSE));
            }
            result
        };
        let spin_time = registry.settings.spin_time;
        let result = wait::block_on_patiently(spin_time, &patience, shown("join", poll));
        result.unwrap_or_else(|error| error.raise())
    }
}

impl<R> Future for BlockingTask<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let outcome = self.get_mut().poll_outcome(context);
        outcome.map(|result| result.unwrap_or_else(|error| error.raise()))
    }
}

impl<R> Drop for BlockingTask<R> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            current::forget_job();
            job.cancel();
        }
    }
}

unwind_safe!(BlockingTask<R>);

impl<R> fmt::Debug for BlockingTask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingTask")
            .field("finished", &self.is_finished())
            .finish()
    }
}
