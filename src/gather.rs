//! Waits for many futures at once, and polls only those that were woken.

use crate::join::discard;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, impl_wake, waker_ref};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Awaits all `futures` at once; their results come in the order of the futures, whichever is ready
/// first. Of none, it is ready with an empty `Vec`.
///
/// They are of one type, as those that the same function gives. Different ones are boxed, or awaited with the macro
/// `join!` of the crate `futures`.
///
/// Polls a future only when it was woken, so a wake-up costs the same among ten thousand as among ten. Dropping it
/// drops the futures: a [`BlockingTask`](crate::BlockingTask) among them is cancelled, a task behind a
/// [`JoinHandle`](crate::JoinHandle) runs on. To wait for all of them, failures included, gather `JoinHandle`s, whose
/// results are `Result`s. Works on any executor. (A gather of gathers is a future within a future: each level is polled and
/// dropped within the one above, on its stack.)
///
/// # Panics
/// With the panic of a future, at once; and when polled after it has given its results.
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
    let woken = Arc::new(Woken(Mutex::default()));
    // From the beginning, for its drop: the iterator, which is a user's, may panic on the way.
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
            ticket: Arc::new(Ticket {
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
    // Woken, and not polled yet: all of them at first. Else not empty only while polling, or after a child's panic.
    due: VecDeque<usize>,
    woken: Arc<Woken>,
}

struct Child<F: Future> {
    state: State<F>,
    ticket: Arc<Ticket>,
}

enum State<F: Future> {
    Pending(Pin<Box<F>>),
    Ready(F::Output),
    Taken,
}

// The futures are boxed, and nothing else is pinned.
impl<F: Future> Unpin for Gather<F> {}

/// The children that were woken, in that order.
struct Woken(Mutex<Queue>);

#[derive(Default)]
struct Queue {
    queue: Vec<usize>,
    parent: Option<Waker>,
}

/// The target of one child's wakers.
struct Ticket {
    // In the queue, and so not to be put there again.
    queued: AtomicBool,
    index: usize,
    woken: Arc<Woken>,
}

impl Ticket {
    fn wake(self: &Arc<Self>) {
        // Pairs with the swap in `poll`: what was written before a wake that finds `queued` set is
        // visible to the poll that follows.
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut woken = self.woken.0.lock();
        woken.queue.push(self.index);
        let parent = woken.parent.take();
        drop(woken);
        if let Some(parent) = parent {
            parent.wake();
        }
    }
}

impl_wake!(Ticket);

impl<F: Future> Future for Gather<F> {
    type Output = Vec<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let waker = context.waker().clone();
        {
            let mut woken = this.woken.0.lock();
            this.due.extend(woken.queue.drain(..));
            let old = woken.parent.replace(waker);
            drop(woken);
            discard(old);
        }
        while let Some(index) = this.due.pop_front() {
            let Child { state, ticket } = &mut this.children[index];
            ticket.queued.swap(false, Ordering::AcqRel); // Pairs with the swap in `Ticket::wake`.
            let State::Pending(future) = state else {
                continue;
            };
            let waker = waker_ref(ticket);
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                let done = std::mem::replace(state, State::Ready(output));
                discard(done);
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
        // A child's waker may live on, somewhere.
        let parent = self.woken.0.lock().parent.take();
        discard(parent);
        // One by one: of two that panic in one go the second one would end the process.
        self.children.drain(..).for_each(discard);
    }
}

impl<F: Future> fmt::Debug for Gather<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather")
            .field("pending", &self.pending)
            .finish_non_exhaustive()
    }
}
