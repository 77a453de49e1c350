//! A thread waits for an async function or for a task. The function runs on the job's loop, on a named one,
//! or on a temporary one.
//!
//! The rule: a cancel of the job that waits here is never lost.
//! If `begin_wait` comes first, the cancel finds the wait and ends it. If the cancel comes first, `begin_wait` fails.
//! `syncify` and `block_on` abort the task then, and return `Cancelled` after the future is gone.
//! `SendJoinHandle::join` ends the wait only. The task runs on.

use crate::bridge::call::{Call, current_call, enter_call};
use crate::bridge::call_state::Nested;
use crate::bridge::deadlock::{WaitTracker, watched};
use crate::bridge::report::shown;
use crate::bridge::syncify_error::SyncifyError;
use crate::event_loop::current::{self, refuse_loop_thread};
use crate::event_loop::handle::Handle;
use crate::event_loop::join_error::JoinError;
use crate::event_loop::loop_cache;
use crate::event_loop::scheduler::Inbox;
use crate::event_loop::send_join_handle::SendJoinHandle;
use crate::observe::event::{self, Slice};
use crate::pool::{slot, wait};
use crate::sync::{Arc, current_thread};
use std::cell::Cell;
use std::future::{Future, IntoFuture, poll_fn};
use std::panic::Location;
use std::task::{Context, Poll};

/// Runs the async function on a temporary loop on this thread.
pub(crate) fn run_here<M, F>(
    make: M,
    at: &'static Location<'static>,
) -> Result<F::Output, SyncifyError>
where
    M: FnOnce() -> F + 'static,
    F: IntoFuture + 'static,
    F::Output: Send + 'static,
{
    let mut event_loop = loop_cache::take();
    let Some(call) = current_call() else {
        let output = event_loop.enter(async { make().await }, "syncify", at);
        loop_cache::keep(event_loop);
        return Ok(output);
    };
    // If this thread runs a job, a cancel of that job drops the future on this thread.
    let task = match WaitTracker::new(Some(call.clone()), true) {
        Some(watch) => event_loop
            .spawner()
            .spawn_at(at, watched(watch, Box::pin(async { make().await }))),
        None => event_loop.spawner().spawn_at(at, async { make().await }),
    };
    let task = task.into_send();
    let nested = Nested::Function(task.cell.clone());
    if call.call_state().begin_wait(nested).is_err() {
        return Err(SyncifyError::Cancelled);
    }
    let result = event_loop.enter(task, "syncify", at);
    call.call_state().end_wait();
    loop_cache::keep(event_loop);
    finish(result)
}

/// The result of a task as its caller gets it. A panic is passed on.
pub(crate) fn finish<T>(result: Result<T, JoinError>) -> Result<T, SyncifyError> {
    match result {
        Ok(value) => Ok(value),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(error) if error.is_loop_closed() => Err(SyncifyError::LoopClosed),
        Err(_) => Err(SyncifyError::Cancelled),
    }
}

impl Handle {
    /// Runs a future on the loop, from a thread that runs none, and waits for its result: the one-shot form of
    /// [`syncify`](crate::syncify). `make` is called on the loop's thread. The future that it returns never leaves that
    /// thread, and need not be `Send`. To lend an async function something that moves there with the closure, let the
    /// future own it: `move || async move { g(&key).await }`.
    ///
    /// If a job calls it, the job releases its slot in the pool while it waits. If the loop isn't being run, the call
    /// waits until it is.
    ///
    /// # Errors
    /// With a [`SyncifyError`]:
    /// - If this thread runs a loop, or owns this one.
    /// - If the loop has ended, or ends before the result is there.
    /// - If the caller of this job goes away.
    /// - If `max_parked` jobs of its pool wait already.
    ///
    /// # Panics
    /// With the panic of `make` or of its future.
    ///
    /// ```
    /// use footbridge::{Handle, SyncifyError, run};
    ///
    /// run(async {
    ///     let handle = Handle::current();
    ///     assert_eq!(handle.block_on(|| async {}), Err(SyncifyError::OnLoopThread));
    ///     let job = footbridge::spawn_blocking(move || handle.block_on(|| async { 42 }));
    ///     assert_eq!(job.await, Ok(42));
    /// });
    /// ```
    #[track_caller]
    pub fn block_on<M, F>(&self, make: M) -> Result<F::Output, SyncifyError>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let _wait = event::slice(|| Slice::Wait("block_on"));
        wait_for("block_on", self, make, Location::caller())
    }
}

impl<T: Send + 'static> SendJoinHandle<T> {
    /// Blocks this thread until the task has ended. If a job calls it, the job releases its slot in the pool while it
    /// waits.
    ///
    /// # Errors
    /// - If the task panicked, was aborted, or its loop ended first: the same error as awaiting the handle gives.
    /// - If the caller of this job goes away: the wait ends with an error for which
    ///   [`is_cancelled`](JoinError::is_cancelled) is true. The task is detached and runs on. To end the task with the
    ///   wait, run it with [`syncify`](crate::syncify) or [`Handle::block_on`].
    ///
    /// # Panics
    /// - If this thread runs a loop. Await the handle there.
    /// - If this thread owns the task's loop, and the task hasn't ended: no other thread could run it. Give the handle to
    ///   [`run_until`](crate::EventLoop::run_until) instead.
    ///
    /// ```
    /// use footbridge::{Handle, run, spawn_blocking};
    ///
    /// run(async {
    ///     let job = spawn_blocking(|| {
    ///         let page = Handle::current().spawn(|| async { "page" }); // begins at once
    ///         let title = "title"; // what this thread does meanwhile
    ///         (title, page.join().unwrap())
    ///     });
    ///     assert_eq!(job.await, ("title", "page"));
    /// });
    /// ```
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        // If the task has ended, the thread that owns its loop may take the result.
        refuse_loop_thread("SendJoinHandle::join", self.cell.owner());
        let _wait = event::slice(|| Slice::Wait("join"));
        let Some(call) = current_call() else {
            return wait::block_on(|context| self.cell.poll(context));
        };
        let poll = |context: &mut Context<'_>| {
            let result = self.cell.poll(context);
            let nested = || Nested::Task(context.waker().clone());
            // If the cancel comes later, it wakes this thread. If it came before, `begin_wait` fails.
            if result.is_pending() && call.call_state().begin_wait(nested()).is_err() {
                return Poll::Ready(Err(JoinError::caller_gone()));
            }
            result
        };
        let result = wait::block_on(shown("join", poll));
        call.call_state().end_wait();
        result
    }
}

/// Runs the async function on `home` and waits for it, in the call of the name `what`. The worker's slot is released meanwhile.
pub(crate) fn wait_for<M, F>(
    what: &'static str,
    home: &Handle,
    make: M,
    at: &'static Location<'static>,
) -> Result<F::Output, SyncifyError>
where
    M: FnOnce() -> F + Send + 'static,
    F: IntoFuture + 'static,
    F::Output: Send + 'static,
{
    refuse_wait(home)?;
    let _slot = slot::try_release().ok_or(SyncifyError::PoolExhausted)?;
    let Some(call) = current_call() else {
        let task = home.spawn_by(Inbox::post_call, at, || {
            current::expect_answer(); // This thread may call again soon.
            make().into_future()
        });
        let poll = |context: &mut Context<'_>| task.cell.poll(context);
        let spin_time = home.inbox.spin_time;
        return finish(wait::block_on_patiently(spin_time, &Cell::new(None), poll));
    };
    let task = spawn_for(&call, home, at, true, make)?;
    let poll = |context: &mut Context<'_>| task.cell.poll(context);
    finish(wait_nested(&call, &task, shown(what, poll)))
}

/// Refuses a wait for `home` that could never end.
pub(crate) fn refuse_wait(home: &Handle) -> Result<(), SyncifyError> {
    if current::is_running() {
        return Err(SyncifyError::OnLoopThread);
    }
    if home.inbox.is_closed() {
        return Err(SyncifyError::LoopClosed);
    }
    if home.inbox.owner() == current_thread() {
        return Err(SyncifyError::OnLoopThread);
    }
    Ok(())
}

/// Spawns an async function of the job `call` on `home`. If the job's caller has gone, `make` isn't called. `is_awaited`:
/// the job waits for the function until that has ended, so what the function waits for, the job waits for.
pub(crate) fn spawn_for<M, F>(
    call: &Arc<dyn Call>,
    home: &Handle,
    at: &'static Location<'static>,
    is_awaited: bool,
    make: M,
) -> Result<SendJoinHandle<F::Output>, SyncifyError>
where
    M: FnOnce() -> F + Send + 'static,
    F: IntoFuture + 'static,
    F::Output: Send + 'static,
{
    if call.call_state().is_gone() {
        return Err(SyncifyError::Cancelled);
    }
    let on_behalf_of = call.clone();
    let make = move || polled_for(on_behalf_of, is_awaited, make);
    let is_at_home = call.call_state().home().is_some_and(|own| own.is(home));
    let post = if is_at_home {
        Inbox::post
    } else {
        Inbox::post_call
    };
    Ok(home.spawn_by(post, at, make))
}

/// Blocks the job `call` until `poll` is ready. If the job's caller goes away, the task is aborted, so `poll` has to end
/// with the task.
pub(crate) fn wait_nested<T: Send + 'static, R>(
    call: &Arc<dyn Call>,
    task: &SendJoinHandle<T>,
    poll: impl FnMut(&mut Context<'_>) -> Poll<R>,
) -> R {
    // If the cancel comes later, it finds the task. If it came before, `begin_wait` fails.
    let nested = Nested::Function(task.cell.clone());
    if call.call_state().begin_wait(nested).is_err() {
        task.abort();
    }
    let result = wait::block_on(poll);
    call.call_state().end_wait();
    result
}

/// The future of `make`. While it is polled, `call` is the current call, so calls made in it are nested in `call`.
fn polled_for<M, F>(
    call: Arc<dyn Call>,
    is_awaited: bool,
    make: M,
) -> impl Future<Output = F::Output>
where
    M: FnOnce() -> F,
    F: IntoFuture,
{
    let mut future = {
        let _call = enter_call(Some(call.clone()));
        Box::pin(make().into_future())
    };
    let mut watch = WaitTracker::new(is_awaited.then(|| call.clone()), true);
    poll_fn(move |context| {
        let _call = enter_call(Some(call.clone()));
        match &mut watch {
            Some(watch) => watch.poll_future(context, |context| future.as_mut().poll(context)),
            None => future.as_mut().poll(context),
        }
    })
}
