//! Waits for many futures at once: for all of them, or for one after the other as they come.
//!
//! | a child is | and | it becomes |
//! | --- | --- | --- |
//! | *pending* | is ready in a poll of the gather | *ready*: its output is kept for the `Vec` |
//! | *pending* | is ready in a poll of `next` | *given* |
//! | *ready* | `next` is polled, or all are ready | *given* |

use crate::scope::woken::{ChildWaker, WokenQueue};
use crate::sync::panics::drop_quietly;
use crate::sync::{Arc, waker_ref};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

/// Awaits all `futures` at once. The results come in the order of the futures, whichever is ready first. Without futures,
/// it is ready with an empty `Vec`. To have them as they come, ask for the [`next`](Gather::next).
///
/// The futures are of one type, as those of one function are. Box futures of different types, or await them with the
/// macro `join!` of the crate `futures`.
///
/// A future is polled only when it was woken, so a wake costs the same among ten thousand as among ten. Dropping the
/// gather drops the futures: a [`BlockingTask`](crate::BlockingTask) among them is cancelled, and a task behind a
/// [`JoinHandle`](crate::JoinHandle) runs on. To wait for all of them, also after a failure, gather `JoinHandle`s, whose
/// results are `Result`s. Works on any executor. (A gather of gathers is a future within a future: each level is polled
/// and dropped within the one above, on its stack.)
///
/// # Panics
/// If a future panics, with its panic, at once. If it is polled after it has given its results.
///
/// ```
/// use footbridge::{asyncify, gather, run};
///
/// let lengths = run(async {
///     let length = asyncify(|text: &str| text.len());
///     gather(["a", "bb", "ccc"].map(|text| length(text))).await
/// });
/// assert_eq!(lengths, [1, 2, 3]);
/// ```
pub fn gather<I>(futures: I) -> Gather<<I::Item as IntoFuture>::IntoFuture>
where
    I: IntoIterator,
    I::Item: IntoFuture,
{
    let woken = Arc::new(WokenQueue::default());
    // Made before the iterator runs. If the iterator, which is user code, panics, the children made so far are dropped
    // quietly.
    let mut gather = Gather {
        children: Vec::new(),
        pending: 0,
        unlooked: 0,
        is_given: false,
        due: VecDeque::new(),
        woken: woken.clone(),
    };
    let children = futures
        .into_iter()
        .zip(0..)
        .map(|(future, key)| GatherChild {
            state: GatherState::Pending(Box::pin(future.into_future())),
            waker: ChildWaker::new(key, &woken),
        });
    gather.children.extend(children);
    gather.pending = gather.children.len();
    gather.due = (0..).take(gather.pending).collect();
    gather
}

/// What [`gather`] returns.
///
/// ```
/// use footbridge::{Gather, JoinHandle, gather, run, spawn};
///
/// fn all(numbers: [u32; 3]) -> Gather<JoinHandle<u32>> {
///     gather(numbers.map(|n| spawn(async move { 100u32.checked_div(n).expect("not by zero") })))
/// }
/// let results = run(async { all([1, 0, 2]).await }); // tasks fail one by one
/// assert!(results[1].as_ref().unwrap_err().is_panic());
/// assert_eq!(results.iter().flatten().sum::<u32>(), 150);
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct Gather<F: Future> {
    children: Vec<GatherChild<F>>,
    pending: usize,
    // `next` has given what was ready before this index.
    unlooked: usize,
    // The `Vec` was given.
    is_given: bool,
    // Woken children that weren't polled yet: at first, all. Later it is empty, except while polling, after a child's panic,
    // and after `next` has found a child ready.
    due: VecDeque<u32>,
    woken: Arc<WokenQueue>,
}

struct GatherChild<F: Future> {
    state: GatherState<F>,
    waker: Arc<ChildWaker>,
}

enum GatherState<F: Future> {
    Pending(Pin<Box<F>>),
    Ready(F::Output),
    Given,
}

// The futures are boxed, and nothing else is pinned.
impl<F: Future> Unpin for Gather<F> {}

impl<F: Future> Gather<F> {
    /// The result of the next future to be ready, and the index of that future. `None` if all results were given.
    ///
    /// Dropping what it returns loses no result. If the gather itself was polled before, the results that had come by then
    /// are given first. Awaiting the gather after some calls of `next` gives the other results, in the order of their
    /// futures.
    ///
    /// Between two calls of `next` nothing is polled. A future that waits in the line of a [`Limiter`](crate::Limiter) keeps
    /// [its place](crate::Limiter#a-future-that-isnt-polled-keeps-its-place) meanwhile.
    ///
    /// # Panics
    /// If a future panics, with its panic.
    ///
    /// ```
    /// use footbridge::{asyncify, gather, run};
    /// use std::{thread, time::Duration};
    ///
    /// run(async {
    ///     let sleep = asyncify(|ms| thread::sleep(Duration::from_millis(ms)));
    ///     let mut naps = gather([50, 1].map(|ms| sleep(ms)));
    ///     while let Some((index, ())) = naps.next().await {
    ///         println!("nap {index} is over"); // nap 1, and then nap 0
    ///     }
    /// });
    /// ```
    #[allow(clippy::should_implement_trait, reason = "it gives a future")]
    pub fn next(&mut self) -> impl Future<Output = Option<(usize, F::Output)>> {
        poll_fn(|context| self.poll_next(context))
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<(usize, F::Output)>> {
        while let Some(child) = self.children.get_mut(self.unlooked) {
            if let Some(output) = child.give() {
                return Poll::Ready(Some((self.unlooked, output)));
            }
            self.unlooked += 1;
        }
        if self.pending == 0 {
            return Poll::Ready(None);
        }
        self.woken.begin_poll(&mut self.due, context.waker());
        match self.poll_due() {
            Some((index, output)) => {
                self.children[index].state = GatherState::Given;
                Poll::Ready(Some((index, output)))
            }
            None => Poll::Pending,
        }
    }

    /// Polls the children that are due, until one is ready.
    fn poll_due(&mut self) -> Option<(usize, F::Output)> {
        while let Some(key) = self.due.pop_front() {
            let index = key as usize;
            let GatherChild { state, waker } = &mut self.children[index];
            waker.begin();
            let GatherState::Pending(future) = state else {
                continue;
            };
            let waker = waker_ref(waker);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                let done = std::mem::replace(state, GatherState::Given);
                drop_quietly(done);
                self.pending -= 1;
                return Some((index, output));
            }
        }
        None
    }
}

impl<F: Future> GatherChild<F> {
    /// The output, if it is there.
    fn give(&mut self) -> Option<F::Output> {
        if let GatherState::Pending(_) = self.state {
            return None;
        }
        match std::mem::replace(&mut self.state, GatherState::Given) {
            GatherState::Ready(output) => Some(output),
            _ => None,
        }
    }
}

impl<F: Future> Future for Gather<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.woken.begin_poll(&mut this.due, context.waker());
        while let Some((index, output)) = this.poll_due() {
            this.children[index].state = GatherState::Ready(output);
            this.unlooked = 0;
        }
        if this.pending > 0 {
            return Poll::Pending;
        }
        assert!(
            !std::mem::replace(&mut this.is_given, true),
            "a Gather was polled after it had given its results; await it once, and keep them"
        );
        let mut outputs = Vec::with_capacity(this.children.len());
        outputs.extend(this.children.iter_mut().filter_map(GatherChild::give));
        Poll::Ready(outputs)
    }
}

impl<F: Future> Drop for Gather<F> {
    fn drop(&mut self) {
        self.woken.close();
        // One by one: if two drops panic at once, the second panic ends the process.
        self.children.drain(..).for_each(drop_quietly);
    }
}

impl<F: Future> fmt::Debug for Gather<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}
