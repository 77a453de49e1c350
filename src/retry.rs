//! A thread that the system has refused is asked for again, though all of the pool's threads may be stuck: by the threads
//! that wait in `join`, and by the loops that its jobs belong to.
//!
//! The rule: a refusal that leaves jobs behind is told to those that sleep, and they ask again every [`PAUSE`] until a
//! thread is there, or no job is left for it.

use crate::crew::Crew;
use crate::handle::Handle;
use crate::queue::{self, Post};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, impl_wake, now, waker};
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::Duration;

pub(crate) const PAUSE: Duration = Duration::from_millis(10);

/// The threads that wait in `join` for a job of a pool.
#[derive(Default)]
pub(crate) struct Joining {
    wakers: Mutex<Wakers>,
    /// A loop has a timer for it. Written by those that set one and by that timer.
    on_loop: AtomicBool,
}

#[derive(Default)]
struct Wakers {
    by_number: BTreeMap<u64, Waker>,
    next: u64,
}

impl Joining {
    /// They look again. For a refusal, without a lock.
    pub(crate) fn wake_all(&self) {
        let wakers: Vec<_> = self.wakers.lock().by_number.values().cloned().collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// A thread is woken if the system refuses its pool a thread, until this is dropped.
#[must_use]
pub(crate) struct Joins {
    crew: Arc<Crew>,
    number: u64,
}

impl Joins {
    /// `waker` is of a parker of ours. Before the last look whether the pool has been refused a thread.
    pub(crate) fn new(crew: &Arc<Crew>, waker: Waker) -> Self {
        let mut wakers = crew.joining.wakers.lock();
        let number = wakers.next;
        wakers.next += 1;
        wakers.by_number.insert(number, waker);
        drop(wakers);
        Self {
            crew: crew.clone(),
            number,
        }
    }
}

impl Drop for Joins {
    fn drop(&mut self) {
        let mut wakers = self.crew.joining.wakers.lock();
        let waker = wakers.by_number.remove(&self.number);
        drop(wakers);
        drop(waker);
    }
}

/// The target of a loop's timer.
struct Retry(Arc<Crew>);

impl Retry {
    fn wake(self: &Arc<Self>) {
        self.0.retry_refused();
        self.set_timer();
    }

    fn set_timer(self: &Arc<Self>) {
        let Some(queue) = queue::running().filter(|_| self.0.is_refused()) else {
            return;
        };
        let waker = waker(self.clone());
        let _ = queue.timers.borrow_mut().insert(now() + PAUSE, waker);
    }
}

impl_wake!(Retry);

impl Drop for Retry {
    fn drop(&mut self) {
        self.0.joining.on_loop.store(false, Ordering::Relaxed);
    }
}

/// Has the loop ask again, if no other one does. The job that was refused a thread belongs to it, so it most likely turns.
pub(crate) fn on_loop(crew: &Arc<Crew>, home: &Handle) {
    if crew.is_refused() && !crew.joining.on_loop.swap(true, Ordering::Relaxed) {
        let retry = Arc::new(Retry(crew.clone()));
        let set_timer = move || {
            retry.set_timer();
            None
        };
        let _ = home.inbox.post(Post::Call(Box::new(set_timer)));
    }
}
