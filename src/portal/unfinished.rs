//! Why a portal didn't end as it should.

use std::fmt;

/// What was left of a [`Portal`](crate::Portal) when [`stop`](crate::Portal::stop) returned.
/// [`Portal::stop`](crate::Portal::stop) has an example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished(Reason);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    Aborted(usize),
    Blocked,
    OwnThread,
}

impl Unfinished {
    pub(super) const BLOCKED: Self = Self(Reason::Blocked);
    pub(super) const OWN_THREAD: Self = Self(Reason::OwnThread);

    pub(super) fn aborted(tasks: usize) -> Self {
        Self(Reason::Aborted(tasks))
    }

    /// The number of tasks aborted at the deadline. A call of [`block_on`](crate::Handle::block_on) or
    /// [`syncify`](crate::syncify) that waits counts as a task. It is 0 in the other two cases: the portal's thread is
    /// blocked, or called `stop` itself.
    pub fn tasks(&self) -> usize {
        match self.0 {
            Reason::Aborted(tasks) => tasks,
            Reason::Blocked | Reason::OwnThread => 0,
        }
    }

    /// Whether the portal's thread is blocked, by a task or by the drop of one, and was left to itself. It aborts the tasks
    /// that are left when it goes on. Another [`stop`](crate::Portal::stop) waits for it again.
    ///
    /// ```
    /// use footbridge::Portal;
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let portal = Portal::start()?;
    /// let (go, wait) = mpsc::channel::<()>();
    /// portal.handle().call_soon(move || { let _ = wait.recv(); }); // blocks the loop
    /// let left = portal.stop(Duration::ZERO).unwrap_err();
    /// assert!(left.is_blocked());
    /// drop(go);
    /// assert_eq!(portal.stop(Duration::MAX), Ok(()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_blocked(&self) -> bool {
        self.0 == Reason::Blocked
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reason::Aborted(tasks) => {
                write!(
                    f,
                    "{tasks} task(s) of the portal hadn't ended by the deadline, and were aborted"
                )
            }
            Reason::Blocked => f.write_str(
                "a task blocks the portal's thread, which was left to itself: \
                 let the task run blocking code with asyncify",
            ),
            Reason::OwnThread => f.write_str(
                "a portal's own thread can't wait for the portal's end: \
                 call stop from another thread or in a job, or drop the portal",
            ),
        }
    }
}

impl std::error::Error for Unfinished {}
