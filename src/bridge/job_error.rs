//! Why a call gave no result: its function panicked, or the pool never ran it.

use crate::pool::refusal::Refusal;
use crate::sync::panics::{Payload, message};
use crate::sync::{Mutex, unwind_safe};
use std::any::Any;
use std::fmt;
use std::io;
use std::panic::Location;

/// Why a call gave no result: its function panicked, or the pool refused it.
/// [`BlockingTask::outcome`](crate::BlockingTask::outcome) gives it.
///
/// ```
/// use footbridge::{run, spawn_blocking};
///
/// let parse = |text: &'static str| spawn_blocking(move || text.parse::<u32>().unwrap());
/// let error = run(async { parse("seven").outcome().await }).unwrap_err();
/// assert!(error.is_panic());
/// assert!(error.to_string().starts_with("the job panicked: called `Result::unwrap()`"));
/// ```
pub struct JobError(Box<Failure>);

enum Failure {
    /// The lock makes it `Sync`.
    Panic(Mutex<Payload>),
    Refused {
        why: Refusal,
        submitted_at: &'static Location<'static>,
    },
}

impl JobError {
    pub(crate) fn panic(payload: Payload) -> Self {
        Self(Box::new(Failure::Panic(Mutex::new(payload))))
    }

    pub(crate) fn refused(why: Refusal, submitted_at: &'static Location<'static>) -> Self {
        Self(Box::new(Failure::Refused { why, submitted_at }))
    }

    /// Passes the panic on. If the job was refused, panics with the reason.
    pub(crate) fn raise(self) -> ! {
        match *self.0 {
            Failure::Panic(payload) => std::panic::resume_unwind(payload.into_inner()),
            Failure::Refused { .. } => panic!("{self}"),
        }
    }

    /// Whether the function panicked. [`JobError`] has an example.
    pub fn is_panic(&self) -> bool {
        matches!(*self.0, Failure::Panic(_))
    }

    /// Whether the pool refused the job, so that the function never ran: the pool was shut down, or the system refused it a
    /// thread.
    ///
    /// ```
    /// use footbridge::{Pool, run};
    /// use std::time::Duration;
    ///
    /// let pool = Pool::builder().build();
    /// pool.shutdown(Duration::from_secs(1)).unwrap();
    /// let job = pool.spawn_blocking(|| unreachable!());
    /// assert!(run(job.outcome()).unwrap_err().is_refused());
    /// ```
    pub fn is_refused(&self) -> bool {
        !self.is_panic()
    }

    /// The payload of the function's panic, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    /// If the function didn't panic: ask [`is_panic`](Self::is_panic) first.
    ///
    /// ```
    /// let job = footbridge::spawn_blocking(|| std::panic::panic_any(42));
    /// let thrown = footbridge::run(job.outcome()).unwrap_err().into_panic();
    /// assert_eq!(thrown.downcast_ref(), Some(&42));
    /// ```
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        match *self.0 {
            Failure::Panic(payload) => payload.into_inner(),
            Failure::Refused { .. } => panic!(
                "JobError::into_panic: the job was refused, it didn't panic; ask is_panic first"
            ),
        }
    }
}

unwind_safe!(JobError);

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self.0 {
            Failure::Panic(_) => "JobError::Panic(..)",
            Failure::Refused { .. } => "JobError::Refused(..)",
        })
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Failure::Panic(payload) => {
                // Written without the lock, because the formatter may run user code.
                let message = message(&**payload.lock()).map(str::to_owned);
                match message {
                    Some(message) => write!(f, "the job panicked: {message}"),
                    None => f.write_str("the job panicked"),
                }
            }
            Failure::Refused { why, submitted_at } => write!(
                f,
                "the job submitted, or wrapped, at {submitted_at} was never run: {why}"
            ),
        }
    }
}

impl std::error::Error for JobError {}

/// Of the kind `Other`.
impl From<JobError> for io::Error {
    fn from(error: JobError) -> Self {
        Self::other(error)
    }
}
