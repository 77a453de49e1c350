//! An async sequence for blocking code: its async side is a task on the job's loop.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *not begun* | the first `next` | *running*: the task is spawned |
//! | *running* | the task gives `None` or panics, and all items are taken | *over* |
//! | *not begun* or *running* | a wait is refused or cancelled: an error, once | *over* |
//! | *running* | the iterator is dropped | the task is aborted |

use crate::bridge::block_on::{finish, refuse_wait, spawn_for, wait_nested};
use crate::bridge::call::current_call;
use crate::bridge::report::shown;
use crate::bridge::run::yield_now;
use crate::bridge::syncify_error::SyncifyError;
use crate::event_loop::current;
use crate::event_loop::handle::Handle;
use crate::event_loop::join_error::JoinError;
use crate::event_loop::send_join_handle::SendJoinHandle;
use crate::observe::event::{self, Slice};
use crate::pool::{slot, wait};
use crate::sequences::channel::{Channel, Receiver};
use crate::sync::{Arc, BATCH};
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::panic::Location;
use std::task::Context;

/// Makes a blocking iterator of an async sequence, for a job on a worker thread: the counterpart of
/// [`asyncify_iter`](crate::asyncify_iter).
///
/// The first `next` calls `make` on the loop that the job came from. What it returns is called there for one item after the
/// other, until it gives `None`, by a task of that loop. It need not be `Send`, and keeps what it needs between calls. The
/// task runs ahead of the iterator by up to two buffers of 128 items, and lets other tasks go on after each buffer. While
/// the job waits, its slot in the pool is free for other jobs.
///
/// Dropping the iterator ends the task: its loop drops what `make` has made. So does the end of the job, if the job owns the
/// iterator.
///
/// # Errors
/// As an item, once, and then the iterator is over: the [`SyncifyError`] that [`syncify`](crate::syncify) would give there.
///
/// # Panics
/// `next` does, with the panic of `make` or of what it returned, after the items before it.
///
/// ```
/// use footbridge::{SyncifyError, asyncify, run, syncify_iter, yield_now};
///
/// fn sum() -> Result<u32, SyncifyError> {
///     let numbers = syncify_iter(|| {
///         let mut left = 1..=4; // a connection, the pages of a listing
///         async move || {
///             yield_now().await;
///             left.next()
///         }
///     });
///     numbers.sum()
/// }
/// assert_eq!(run(async { asyncify(sum)().await }), Ok(10));
/// assert_eq!(sum(), Err(SyncifyError::NotOnWorkerThread)); // here is no loop
/// ```
#[track_caller]
pub fn syncify_iter<T, M, G>(make: M) -> impl FusedIterator<Item = Result<T, SyncifyError>>
where
    M: FnOnce() -> G + Send + 'static,
    G: AsyncFnMut() -> Option<T> + 'static,
    T: Send + 'static,
{
    let send = async |channel: Arc<Channel<T>>| {
        let mut next = make();
        let mut in_a_row = 0;
        while let Some(item) = next().await {
            let mut item = Some(item);
            let sent = poll_fn(|context| channel.poll_send(&mut item, context)).await;
            if sent.is_err() {
                return;
            }
            in_a_row += 1;
            if in_a_row == BATCH {
                // If the job takes each item at once, a send never waits, and the task would keep the loop for itself.
                in_a_row = 0;
                yield_now().await;
            }
        }
    };
    AsyncItems::NotBegun(send, Location::caller())
}

enum AsyncItems<T: Send + 'static, S> {
    /// What sends, and where it was asked for.
    NotBegun(S, &'static Location<'static>),
    Running(AsyncSide<T>),
    Over,
}

/// The task, and what it sends.
struct AsyncSide<T: Send + 'static> {
    home: Handle,
    task: SendJoinHandle<()>,
    receiver: Receiver<T, Result<(), JoinError>>,
}

impl<T: Send + 'static> Drop for AsyncSide<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T, S> AsyncItems<T, S>
where
    T: Send + 'static,
    S: AsyncFnOnce(Arc<Channel<T>>) + Send + 'static,
{
    /// Waits for the next item, or for the end of the task.
    fn wait(&mut self) -> Result<Option<T>, SyncifyError> {
        let mut side = match std::mem::replace(self, Self::Over) {
            Self::NotBegun(send, at) => begin(send, at)?,
            Self::Running(side) => side,
            Self::Over => return Ok(None),
        };
        refuse_wait(&side.home)?;
        let _slot = slot::try_release().ok_or(SyncifyError::PoolExhausted)?;
        let _wait = event::slice(|| Slice::Wait("syncify_iter"));
        let AsyncSide { task, receiver, .. } = &mut side;
        let poll = |context: &mut Context<'_>| {
            receiver.poll_next(context, |context| task.cell.poll(context))
        };
        let next = match current_call() {
            Some(call) => wait_nested(&call, task, shown("next", poll)),
            None => wait::block_on(poll),
        };
        match next {
            Ok(item) => {
                *self = Self::Running(side);
                Ok(Some(item))
            }
            Err(end) => finish(end).map(|()| None),
        }
    }
}

/// Spawns the task.
fn begin<T, S>(send: S, at: &'static Location<'static>) -> Result<AsyncSide<T>, SyncifyError>
where
    T: Send + 'static,
    S: AsyncFnOnce(Arc<Channel<T>>) + Send + 'static,
{
    if current::is_running() {
        return Err(SyncifyError::OnLoopThread);
    }
    let home = Handle::try_current().ok_or(SyncifyError::NotOnWorkerThread)?;
    refuse_wait(&home)?;
    let channel = Arc::new(Channel::new());
    let receiver = Receiver::new(channel.clone());
    let task = match current_call() {
        Some(call) => spawn_for(&call, &home, at, false, move || send(channel))?,
        None => unreachable!("a thread without a loop has one by its job"),
    };
    Ok(AsyncSide {
        home,
        task,
        receiver,
    })
}

impl<T, S> Iterator for AsyncItems<T, S>
where
    T: Send + 'static,
    S: AsyncFnOnce(Arc<Channel<T>>) + Send + 'static,
{
    type Item = Result<T, SyncifyError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Self::Running(side) = self {
            if let Some(item) = side.receiver.try_next() {
                return Some(Ok(item));
            }
        }
        self.wait().transpose()
    }
}

impl<T, S> FusedIterator for AsyncItems<T, S>
where
    T: Send + 'static,
    S: AsyncFnOnce(Arc<Channel<T>>) + Send + 'static,
{
}
