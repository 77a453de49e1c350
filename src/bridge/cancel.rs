//! How a job learns that its caller has gone.

use crate::bridge::call;
use std::fmt;
use std::io;

/// Inside a job: has the caller gone away? A long job asks now and then, and stops.
///
/// The caller is gone once the future of the call has been dropped, or once it was
/// [told](crate::BlockingTask::cancel) to cancel the job. Outside a job there is no caller, and the result is
/// `Ok`. The same holds on a thread that the job has started itself. The cost is a thread-local and one atomic load.
/// `check_cancelled()?` also works in a function that returns `io::Result`.
///
/// If the caller goes away, waits in [`syncify`](crate::syncify), [`Handle::block_on`](crate::Handle::block_on) and
/// [`SendJoinHandle::join`](crate::SendJoinHandle::join) end with an error. A
/// [`BlockingTask::join`](crate::BlockingTask::join) and a [`run`](crate::run) go on to their end: ask after them.
///
/// A job that blocks elsewhere, in a channel's `recv()` or in a read, isn't interrupted. Call `recv_timeout` or a read with
/// a timeout in a loop, and ask in between. Or end what it waits for from outside: drop the sender, shut the socket down.
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
    if call::is_caller_gone() {
        Err(Cancelled(()))
    } else {
        Ok(())
    }
}

/// The caller of this job has gone away. The job's result will be dropped.
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

/// An error of the kind `Other`. After `Interrupted`, code that tries again would go on.
impl From<Cancelled> for io::Error {
    fn from(cancelled: Cancelled) -> Self {
        Self::other(cancelled)
    }
}
