//! `Handle`: reaches a loop from any thread.
//!
//! The rule: a future never leaves the thread that made it. A [`Handle`] sends a closure to its loop. The closure makes the
//! future there, so the future needn't be `Send`.

use crate::context::bound::Bound;
use crate::context::inherited::Inherited;
use crate::event_loop::join_cell::JoinCell;
use crate::event_loop::remote_spawn::RemoteSpawn;
use crate::event_loop::scheduler::{Inbox, Post, Scheduler};
use crate::event_loop::send_join_handle::SendJoinHandle;
use crate::event_loop::task_slab::TaskSlab;
use crate::observe::event::Posted;
use crate::observe::sites::Site;
use crate::sync::{Arc, unwind_safe};
use std::fmt;
use std::future::Future;
use std::panic::Location;

/// Reaches an event loop from anywhere: any thread may spawn on it, call into it or wait for it.
///
/// Dropping a handle does nothing to the loop. Holding one doesn't keep the loop from ending. If the loop has ended, or its
/// [`Portal`](crate::Portal) is being stopped, it refuses calls, as each method says.
///
/// ```
/// use footbridge::Handle;
///
/// let answer = footbridge::run(async {
///     let handle = Handle::current();
///     let thread = std::thread::spawn(move || handle.block_on(|| async { 6 * 7 }));
///     // The loop has to turn for the thread to be answered.
///     footbridge::spawn_blocking(move || thread.join().unwrap()).await
/// });
/// assert_eq!(answer, Ok(42));
/// ```
#[derive(Clone)]
pub struct Handle {
    pub(crate) inbox: Arc<Inbox>,
}

impl Handle {
    /// The loop calls `make` on its own thread and runs the future that it returns. The closure moves to that thread. The
    /// future stays there and need not be `Send`.
    ///
    /// If the loop has ended, or ends before the task, the task is dropped, and its [`SendJoinHandle`] says that it was
    /// cancelled. If that or an [abort](SendJoinHandle::abort) comes before the loop's next turn, `make` is not
    /// called. If `make` panics, the panic is the task's.
    ///
    /// ```
    /// footbridge::run(async {
    ///     let handle = footbridge::Handle::current();
    ///     let task = std::thread::spawn(move || handle.spawn(|| async { "made on the loop" }));
    ///     assert_eq!(task.join().unwrap().await.unwrap(), "made on the loop");
    /// });
    /// ```
    #[track_caller]
    pub fn spawn<M, F>(&self, make: M) -> SendJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_by(Inbox::post_call, Location::caller(), make)
    }

    /// As [`spawn`](Self::spawn). The task counts as spawned at this place. `post` is [`Inbox::post_call`]; for a wait of
    /// the loop's own job it is [`Inbox::post`]: that belongs to what runs already, so only a loop that has ended refuses
    /// it.
    pub(crate) fn spawn_by<M, F>(
        &self,
        post: impl FnOnce(&Inbox, Post) -> Result<(), Post>,
        spawned_at: &'static Location<'static>,
        make: M,
    ) -> SendJoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let make = Bound::new(make, Inherited::current());
        let cell = Arc::new(JoinCell::new(self.inbox.clone()));
        let remote_spawn = RemoteSpawn(Some((cell.clone(), make)));
        // If the loop refuses the closure, it is dropped here. Its drop completes the cell.
        let (_post, posted) = Posted::begin(spawned_at);
        let make_task = move |scheduler: &Scheduler, _: &TaskSlab| {
            scheduler.begin_step(|| Site::of(spawned_at));
            posted.arrives();
            remote_spawn.make_task(scheduler, spawned_at)
        };
        let _ = post(&self.inbox, Post::Callback(Box::new(make_task)));
        SendJoinHandle { cell }
    }

    /// The loop calls `f` on its own thread, after what was asked of it before. `false`: the loop has ended, and `f` has
    /// been dropped.
    ///
    /// `true`: `f` was queued. If the loop ends before its next turn, `f` is dropped unrun. If `f` panics, the panic hook
    /// reports it, and the loop goes on.
    ///
    /// ```
    /// use footbridge::{Handle, run};
    ///
    /// let handle = run(async { Handle::current() });
    /// assert!(!handle.call_soon(|| ()), "that loop has ended");
    /// ```
    #[track_caller]
    pub fn call_soon<F>(&self, f: F) -> bool
    where
        F: FnOnce() + Send + 'static,
    {
        let f = Bound::new(f, Inherited::current());
        let spawned_at = Location::caller();
        let (_post, posted) = Posted::begin(spawned_at);
        let call = move |scheduler: &Scheduler, _: &TaskSlab| {
            scheduler.begin_step(|| Site::of(spawned_at));
            posted.arrives();
            f.release(|f| f());
            None
        };
        self.inbox.post_call(Post::Callback(Box::new(call))).is_ok()
    }

    /// Whether the loop has ended, or refuses calls from here because its [`Portal`](crate::Portal) is being stopped. This
    /// never changes back.
    ///
    /// ```
    /// let handle = footbridge::run(async { footbridge::Handle::current() });
    /// assert!(handle.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.inbox.refuses_call()
    }

    /// Whether this is the same loop.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inbox, &other.inbox)
    }

    pub(crate) fn has_hook(&self) -> bool {
        self.inbox.has_hook()
    }
}

unwind_safe!(Handle);

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("closed", &self.is_closed())
            .finish()
    }
}

#[cfg(feature = "futures-task")]
impl futures_task::Spawn for Handle {
    #[track_caller]
    fn spawn_obj(
        &self,
        future: futures_task::FutureObj<'static, ()>,
    ) -> Result<(), futures_task::SpawnError> {
        self.status()?;
        drop(self.spawn(move || future));
        Ok(())
    }

    fn status(&self) -> Result<(), futures_task::SpawnError> {
        if self.is_closed() {
            Err(futures_task::SpawnError::shutdown())
        } else {
            Ok(())
        }
    }
}
