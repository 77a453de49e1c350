//! `Items`: the async side of a blocking iterator or generator.
//!
//! The rule: an item comes before the end of the job that sent it, and a panic of the job after all items.

use crate::bridge::blocking_task::BlockingTask;
use crate::bridge::job_error::JobError;
use crate::sequences::channel::{Channel, Receiver};
use crate::sequences::generator;
use crate::sync::{Arc, BATCH, unwind_safe};
use std::fmt;
use std::future::poll_fn;
use std::panic::Location;
use std::task::{Context, Poll};

/// Runs a blocking iterator on a worker thread, and gives its items to async code. It is submitted at the first
/// [`next`](Items::next).
///
/// The iterator is made, advanced and dropped on the worker, so only what goes there has to be `Send`: a `Vec`, a range, a
/// `File`'s `lines()`. If it borrows, or isn't `Send`, make it there: see [`spawn_generator`](crate::spawn_generator). The
/// worker runs ahead of the consumer by up to two [buffers](crate::Sink::send). An iterator that panics gives the items
/// before, and then its panic.
///
/// ```
/// use footbridge::{asyncify_iter, run};
///
/// let sum = run(async {
///     let mut numbers = asyncify_iter(1..=10); // blocking: the entries of a folder, the rows of a file
///     let mut sum = 0;
///     while let Some(number) = numbers.next().await {
///         sum += number;
///     }
///     sum
/// });
/// assert_eq!(sum, 55);
/// ```
#[track_caller]
pub fn asyncify_iter<I>(iter: I) -> Items<I::Item>
where
    I: IntoIterator + Send + 'static,
    I::Item: Send + 'static,
{
    let channel = Arc::new(Channel::new());
    let job = generator::job(channel.clone(), |sink| {
        for item in iter {
            if sink.send(item).is_err() {
                return;
            }
        }
    });
    Items::new(
        channel,
        BlockingTask::unsubmitted(job, None, None, Location::caller()),
    )
}

/// The items of a blocking iterator or [generator](crate::spawn_generator), for async code. It works on any executor.
///
/// Dropping it cancels the job: [`send`](crate::Sink::send) and [`check_cancelled`](crate::check_cancelled) say so there,
/// and an async function that the job waits for is dropped. The job drops its iterator on its own thread. If it hasn't
/// begun, it never runs, and what it captured is dropped at once. Items that were sent and not taken are dropped with the
/// `Items`.
///
/// A loop over items that are all there lets other tasks go on after every two buffers.
///
/// In one line it is a `Stream`, with the crate `futures` or `futures-lite`:
///
/// ```
/// # mod futures { pub mod stream { pub use std::future::poll_fn; } }
/// let mut items = footbridge::asyncify_iter(["a", "b"]);
/// let stream = futures::stream::poll_fn(move |context| items.poll_next(context));
/// ```
///
/// Bytes are better read as bytes: `blocking::Unblock`, of the crate `blocking`, makes an `AsyncRead` of a reader.
#[must_use = "dropping the Items cancels what makes them"]
pub struct Items<T> {
    /// Dropped first: the job is cancelled before a send is refused. `None` after the end.
    task: Option<BlockingTask<()>>,
    receiver: Receiver<T, Result<(), JobError>>,
    /// How many items there were since the consumer waited last.
    in_a_row: usize,
}

impl<T> Items<T> {
    pub(super) fn new(channel: Arc<Channel<T>>, task: BlockingTask<()>) -> Self {
        Self {
            task: Some(task),
            receiver: Receiver::new(channel),
            in_a_row: 0,
        }
    }

    /// The next item. `None`: there are no more. Dropping the future loses nothing.
    ///
    /// # Panics
    /// With the panic of the iterator or generator, after the items before it. If the pool can't run it, with the reason.
    /// After that it is `None`.
    ///
    /// ```
    /// # footbridge::run(async {
    /// let mut items = footbridge::asyncify_iter(vec!['a', 'b']);
    /// assert_eq!(items.next().await, Some('a'));
    /// assert_eq!(items.next().await, Some('b'));
    /// assert_eq!(items.next().await, None);
    /// assert_eq!(items.next().await, None);
    /// # });
    /// ```
    pub async fn next(&mut self) -> Option<T> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// The next item, for a stream or a future of your own. [`Items`] has an example.
    ///
    /// # Panics
    /// As [`next`](Self::next).
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(task) = &mut self.task else {
            return Poll::Ready(None);
        };
        if self.in_a_row == 2 * BATCH {
            self.in_a_row = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let next = self
            .receiver
            .poll_next(context, |context| task.poll_outcome(context));
        match next {
            Poll::Pending => {
                self.in_a_row = 0;
                Poll::Pending
            }
            Poll::Ready(Ok(item)) => {
                self.in_a_row += 1;
                Poll::Ready(Some(item))
            }
            Poll::Ready(Err(end)) => {
                self.task = None;
                match end {
                    Ok(()) => Poll::Ready(None),
                    Err(error) => error.raise(),
                }
            }
        }
    }
}

unwind_safe!(Items<T>);

// No item is pinned.
impl<T> Unpin for Items<T> {}

impl<T> fmt::Debug for Items<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items")
            .field("ended", &self.task.is_none())
            .finish()
    }
}
