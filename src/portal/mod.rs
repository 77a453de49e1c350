//! A portal: a loop on a thread of its own, for programs that are mainly sync.
//!
//! The rule: only `stop` waits, and only until its deadline. The drop of a portal sends a signal, wherever it is dropped.
//!
//! A stop has two parts. [`Inbox::refuse_calls`](crate::event_loop::inbox::Inbox::refuse_calls) comes first: then the
//! loop has all the calls that it will get. So when its thread learns of the stop, one turn more shows all tasks.

pub(crate) mod builder;
mod life;
mod thread;
pub(crate) mod unfinished;

use crate::event_loop::handle::Handle;
use crate::portal::life::Life;
use crate::portal::unfinished::Unfinished;
use crate::sync::{Arc, current_thread, now, unwind_safe};
use std::fmt;
use std::time::{Duration, Instant};

/// An event loop on a thread of its own, for programs that are mainly sync. Its [`handle`](Self::handle) runs async code
/// there from any thread. What the calls share, a cache or a connection, lives on that thread: in a `thread_local!`, which
/// the calls find there, or in a task, to which they send. Two portals don't share it.
///
/// A call that fails, or panics, ends nothing but itself. The portal's thread doesn't keep the process from ending, so a
/// `static` portal is fine:
///
/// ```
/// use footbridge::{Portal, gather, time::sleep};
/// use std::{sync::LazyLock, thread, time::Duration};
///
/// static PORTAL: LazyLock<Portal> = LazyLock::new(|| Portal::start().expect("a thread for the portal"));
///
/// async fn fetch(n: u64) -> u64 {
///     sleep(Duration::from_millis(n)).await;
///     n
/// }
/// // A plain thread waits for three async calls at once.
/// let thread = thread::spawn(|| PORTAL.handle().block_on(|| gather([3, 1, 2].map(fetch))));
/// assert_eq!(thread.join().unwrap(), Ok(vec![3, 1, 2]));
/// ```
///
/// Dropping the portal aborts its tasks, as [`stop(Duration::ZERO)`](Self::stop) does, but doesn't wait. So it may be
/// dropped anywhere: in async code, in a job, in a task of its own.
pub struct Portal {
    handle: Handle,
    life: Arc<Life>,
}

/// How long after its deadline a stop waits for the portal's thread, before it calls the thread blocked.
const GRACE: Duration = Duration::from_secs(1);

impl Portal {
    /// Reaches the portal's loop, also after the portal is gone. Once a [`stop`](Self::stop) has begun, it refuses calls.
    ///
    /// ```
    /// use footbridge::{Portal, SyncifyError};
    /// use std::time::Duration;
    ///
    /// let portal = Portal::start()?;
    /// let handle = portal.handle().clone();
    /// let task = handle.spawn(|| async { 6 * 7 }); // to wait at once: `block_on`
    /// assert_eq!(task.join().unwrap(), 42);
    /// portal.stop(Duration::from_secs(5)).unwrap();
    /// assert_eq!(handle.block_on(|| async { 6 * 7 }), Err(SyncifyError::LoopClosed));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Ends the portal: from now on its loop refuses calls, and the tasks that it has may end. After `timeout`, those that
    /// are left are aborted. Waits until the loop is gone. With `Duration::MAX`, tasks have as long as they take. If
    /// `timeout` is zero, the loop makes one more turn, in which it polls the calls that it already has.
    ///
    /// While the portal's tasks end, they may still spawn tasks, and their jobs may still call
    /// [`syncify`](crate::syncify) and [`Handle::block_on`]. Any other call is refused: `block_on` returns
    /// [`LoopClosed`](crate::SyncifyError::LoopClosed), and [`Handle::spawn`] a task that was cancelled. Jobs that no task
    /// awaits run on, as after [`run`](crate::run).
    ///
    /// Jobs that other threads submit with [`Handle::run_in_executor`] are the portal's, too, and aren't refused. If they
    /// keep it busy with their `syncify` calls, a stop without a deadline waits as long as they come.
    ///
    /// It blocks this thread. If a job calls it, the job releases its slot in the pool meanwhile. Several threads may stop a
    /// portal at once, and again later. The earliest deadline holds for all of them, and all get the same answer. The
    /// portal's thread counts as ended when its loop is gone: destructors of its thread-locals may still run.
    ///
    /// # Errors
    /// [`Unfinished`], which says why:
    /// - Tasks were aborted, and how many.
    /// - A task, or the drop of one, blocks the portal's thread. A second after the deadline, the thread is left to itself.
    ///   The other tasks are aborted when it goes on.
    /// - This is the portal's own thread, which can't wait for itself. Nothing is stopped then.
    ///
    /// ```
    /// use footbridge::Portal;
    /// use std::{future::pending, time::Duration};
    ///
    /// let portal = Portal::start()?;
    /// let endless = portal.handle().spawn(pending::<()>);
    /// let left = portal.stop(Duration::from_millis(10)).unwrap_err();
    /// assert_eq!((left.tasks(), left.is_blocked()), (1, false));
    /// assert!(endless.join().unwrap_err().is_cancelled());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stop(&self, timeout: Duration) -> Result<(), Unfinished> {
        if self.handle.inbox.owner() == current_thread() {
            return Err(Unfinished::OWN_THREAD);
        }
        let deadline = now().checked_add(timeout);
        self.signal(deadline);
        let patience = deadline.and_then(|deadline| deadline.checked_add(GRACE));
        match self.life.wait_for_end(patience) {
            Some(0) => Ok(()),
            Some(aborted) => Err(Unfinished::aborted(aborted)),
            None => Err(Unfinished::BLOCKED),
        }
    }

    /// Tells the portal's thread to end by `deadline`.
    fn signal(&self, deadline: Option<Instant>) {
        let inbox = &self.handle.inbox;
        inbox.refuse_calls();
        self.life.stop_by(deadline);
        inbox.wake();
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.signal(Some(now()));
    }
}

unwind_safe!(Portal);

impl fmt::Debug for Portal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Portal")
            .field("closed", &self.handle.is_closed())
            .finish()
    }
}
