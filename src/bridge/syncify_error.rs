//! Why a blocking call of an async function gave no result, and what to do instead.

use crate::bridge::cancel::Cancelled;
use std::fmt;
use std::io;

/// Why a blocking call of an async function gave no result.
///
/// ```
/// use footbridge::{SyncifyError, asyncify, run, syncify};
/// use std::io;
///
/// async fn fetch() -> io::Result<String> { Ok("text".into()) }
///
/// // The first `?` is for a call without an answer, the second for an error in the answer.
/// fn length() -> io::Result<usize> {
///     let text = syncify(fetch)()??;
///     Ok(text.len())
/// }
/// assert_eq!(run(async { asyncify(length)().await })?, 4);
/// let error = length().unwrap_err(); // here is no loop
/// assert!(error.get_ref().unwrap().is::<SyncifyError>());
/// # Ok::<(), io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SyncifyError {
    /// This thread runs no job that belongs to an event loop, so there is no loop to run the function on.
    ///
    /// ```
    /// use footbridge::{SyncifyError, spawn_blocking, syncify};
    ///
    /// assert_eq!(syncify(async || 1)(), Err(SyncifyError::NotOnWorkerThread));
    /// // A worker, but the job was submitted where there was no loop.
    /// let job = spawn_blocking(|| syncify(async || 1)());
    /// assert_eq!(job.join(), Err(SyncifyError::NotOnWorkerThread));
    /// ```
    NotOnWorkerThread,
    /// This thread runs an event loop, or owns the loop that the call needs. The wait would stop that loop.
    ///
    /// ```
    /// use footbridge::{SyncifyError, run, syncify};
    ///
    /// async fn answer() -> u32 { 42 }
    /// run(async {
    ///     assert_eq!(syncify(answer)(), Err(SyncifyError::OnLoopThread));
    ///     assert_eq!(answer().await, 42); // await it instead
    /// });
    /// ```
    OnLoopThread,
    /// The loop that the job belongs to, or that was named, has ended, or ended before the call did.
    ///
    /// ```
    /// use footbridge::{Handle, SyncifyError, run, syncify};
    ///
    /// let ended = run(async { Handle::current() });
    /// let late = ended.run_in_executor(None, || syncify(async || 42)());
    /// assert_eq!(late.join(), Err(SyncifyError::LoopClosed));
    /// ```
    LoopClosed,
    /// The caller of this job has gone away, or the task was aborted. The async function is already gone.
    ///
    /// ```
    /// use footbridge::{SyncifyError, run, spawn_blocking, syncify};
    /// use std::{future::pending, sync::mpsc};
    ///
    /// let (tell, told) = mpsc::channel();
    /// run(async {
    ///     let (begun, has_begun) = mpsc::channel();
    ///     let job = spawn_blocking(move || {
    ///         begun.send(()).unwrap();
    ///         tell.send(syncify(pending::<()>)()).unwrap(); // waits for ever, if it were let
    ///     });
    ///     has_begun.recv().unwrap();
    ///     drop(job);
    ///     assert_eq!(spawn_blocking(move || told.recv().unwrap()).await, Err(SyncifyError::Cancelled));
    /// });
    /// ```
    Cancelled,
    /// As many jobs of the pool wait already as [`max_parked`](crate::PoolBuilder::max_parked) allows. It has an example.
    PoolExhausted,
}

impl fmt::Display for SyncifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOnWorkerThread => {
                "not on a worker thread of an event loop: call it from a function run with asyncify, \
                 name a loop with Syncify::on, or allow a temporary one with raise_sync_error(false)"
            }
            Self::OnLoopThread => {
                "this thread runs or owns the event loop that would have to turn while it waits: await the async \
                 function, or run the loop with EventLoop::run_until"
            }
            Self::LoopClosed => {
                "the event loop that was to run the async function has ended: await the job before `run` returns, \
                 or name a loop that goes on with Syncify::on"
            }
            Self::Cancelled => {
                "the call was cancelled, for its caller has gone away or its task was aborted: clean up and return"
            }
            Self::PoolExhausted => {
                "as many jobs of the pool are waiting already as its max_parked allows: nest less deeply, or raise \
                 PoolBuilder::max_parked"
            }
        })
    }
}

impl std::error::Error for SyncifyError {}

/// An error of the kind `Other`.
impl From<SyncifyError> for io::Error {
    fn from(error: SyncifyError) -> Self {
        Self::other(error)
    }
}

/// With it, `check_cancelled()?` works in functions that return `SyncifyError`.
impl From<Cancelled> for SyncifyError {
    fn from(_: Cancelled) -> Self {
        Self::Cancelled
    }
}
