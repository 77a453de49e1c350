//! Why a task gave no result: it panicked, was aborted, or its loop ended.

use crate::sync::panics::{Payload, message};
use crate::sync::{Mutex, unwind_safe};
use std::any::Any;
use std::fmt;
use std::io;

/// Why a task gave no result: it panicked, it was aborted, or its loop ended first. Or why a job that waited for a task
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
    /// The lock makes it `Sync`.
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

    /// Whether the task was aborted, or dropped because its loop ended. Also `true` if the caller of the job that waited for
    /// the task has gone away. [`JoinHandle::abort`](crate::JoinHandle::abort) has an example.
    pub fn is_cancelled(&self) -> bool {
        !self.is_panic()
    }

    /// The payload of the task's panic, for [`std::panic::resume_unwind`].
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
                // Written without the lock, because the formatter may run user code.
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
