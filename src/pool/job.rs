//! What the pool knows of a job: it can be run, or refused.

use crate::pool::refusal::Refusal;
use crate::sync::Arc;
use std::panic::Location;

/// A job as the pool sees it.
pub trait Run: Send + Sync {
    /// Runs the job, unless it was cancelled.
    fn run(self: Arc<Self>, runner: &mut dyn Runner);
    /// Completes the job without running it. Its caller gets `why`.
    fn refuse(&self, why: Refusal);
    fn submitted_at(&self) -> &'static Location<'static>;
    /// For a dump.
    fn report(&self) -> JobReport {
        JobReport::default()
    }
}

#[derive(Default)]
pub struct JobReport {
    /// The target of the waker of what waits for the result.
    pub waiter: Option<usize>,
    /// The address of the limiter whose token the job holds.
    pub limiter: Option<usize>,
}

/// A job in a queue.
pub type Queued = Arc<dyn Run>;

/// The address of a job, its number in a recording.
pub(crate) fn address(job: &Queued) -> usize {
    Arc::as_ptr(job).addr()
}

/// The thread that runs a job, as the job sees it.
pub trait Runner {
    /// Called before the job's result becomes visible. From here on the thread counts as searching. So if a caller submits
    /// another job in response to the result, this thread takes it, and no second one is started.
    fn start_searching(&mut self);
    /// Called when the job's result is visible or gone, before user code runs: a waker, or the drop of a hook. It may take
    /// long, so the thread no longer counts as searching.
    fn enter_user_code(&mut self);
}

/// If a job is refused, no thread has to be told.
impl Runner for () {
    fn start_searching(&mut self) {}

    fn enter_user_code(&mut self) {}
}
