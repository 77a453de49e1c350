//! Waits for many futures at once, and polls only those that were woken.

use crate::sync::panics::drop_quietly;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, impl_wake, waker_ref};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Awaits all `futures` at once. The results come in the order of the futures, whichever is ready first. Without futures,
/// it is ready with an empty `Vec`.
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
    let woken = Arc::new(WokenChildren(Mutex::default()));
    // Made before the iterator runs. If the iterator, which is user code, panics, the children made so far are dropped
    // quietly.
    let mut gather = Gather {
        children: Vec::new(),
        pending: 0,
        due: VecDeque::new(),
        woken: woken.clone(),
    };
    let children = futures
        .into_iter()
        .enumerate()
        .map(|(index, future)| Child {
            state: State::Pending(Box::pin(future.into_future())),
            child_waker: Arc::new(ChildWaker {
                queued: AtomicBool::new(true),
                index,
                woken: woken.clone(),
            }),
        });
    gather.children.extend(children);
    gather.pending = gather.children.len();
    gather.due = (0..gather.pending).collect();
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
    children: Vec<Child<F>>,
    pending: usize,
    // Woken children that weren't polled yet: at first, all. Later it is empty, except while polling and after a child's
    // panic.
    due: VecDeque<usize>,
    woken: Arc<WokenChildren>,
}

struct Child<F: Future> {
    state: State<F>,
    child_waker: Arc<ChildWaker>,
}

enum State<F: Future> {
    Pending(Pin<Box<F>>),
    Ready(F::Output),
    Taken,
}

// The futures are boxed, and nothing else is pinned.
impl<F: Future> Unpin for Gather<F> {}

/// The children that were woken, in that order.
struct WokenChildren(Mutex<WokenQueue>);

#[derive(Default)]
struct WokenQueue {
    keys: Vec<usize>,
    parent: Option<Waker>,
}

/// The target of one child's wakers.
struct ChildWaker {
    // The child is in the queue, and isn't put there again.
    queued: AtomicBool,
    index: usize,
    woken: Arc<WokenChildren>,
}

impl ChildWaker {
    fn wake(self: &Arc<Self>) {
        // Pairs with the swap in `poll`: if a wake finds `queued` set, what was written before it is visible to the poll
        // that follows.
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut woken = self.woken.0.lock();
        woken.keys.push(self.index);
        let parent = woken.parent.take();
        drop(woken);
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl_wake!(ChildWaker);

impl<F: Future> Future for Gather<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let waker = context.waker().clone();
        {
            let mut woken = this.woken.0.lock();
            this.due.extend(woken.keys.drain(..));
            let old = woken.parent.replace(waker);
            drop(woken);
            drop_quietly(old);
        }
        while let Some(index) = this.due.pop_front() {
            let Child { state, child_waker } = &mut this.children[index];
            child_waker.queued.swap(false, Ordering::AcqRel); // Pairs with the swap in `ChildWaker::wake`.
            let State::Pending(future) = state else {
                continue;
            };
            let waker = waker_ref(child_waker);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                let done = std::mem::replace(state, State::Ready(output));
                drop_quietly(done);
                this.pending -= 1;
            }
        }
        if this.pending > 0 {
            return Poll::Pending;
        }
        let outputs = this.children.iter_mut().map(|child| {
            match std::mem::replace(&mut child.state, State::Taken) {
                State::Ready(output) => output,
                _ => panic!("a Gather was polled after it had given its results; await it once, and keep them"),
            }
        });
        Poll::Ready(outputs.collect())
    }
}

impl<F: Future> Drop for Gather<F> {
    fn drop(&mut self) {
        // A child's waker may outlive the gather.
        let parent = self.woken.0.lock().parent.take();
        drop_quietly(parent);
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
