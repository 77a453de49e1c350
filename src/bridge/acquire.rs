//! The wait for a token of a limiter.

use crate::bridge::deadlock::{self, RecordedWait};
use crate::bridge::limiter::{Limiter, Permit};
use crate::sync::panics::drop_quietly;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What [`Limiter::acquire`] returns. If it is polled after it has given its permit, it panics.
///
/// If it is dropped, it leaves the line:
///
/// ```
/// use footbridge::{Limiter, run, time::timeout};
/// use std::time::Duration;
///
/// let limiter = Limiter::new(1);
/// let permit = limiter.try_acquire();
/// assert!(run(timeout(Duration::from_millis(1), limiter.acquire())).is_err());
/// drop(permit);
/// assert!(limiter.try_acquire().is_some(), "nobody waits any more");
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct Acquire {
    pub(super) limiter: Limiter,
    pub(super) state: AcquireState,
}

pub(super) enum AcquireState {
    /// Not in line yet.
    New,
    /// In line at this place, or granted a token. If it is granted, the place is no longer in the limiter's line.
    Waiting(u64),
    Done,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        // Cloned before the lock is taken, because the clone may run user code.
        let known = deadlock::known(context.waker());
        let is_known = known.is_some();
        let waker = known.unwrap_or_else(|| context.waker().clone());
        let waiting = match self.state {
            AcquireState::New => self.limiter.shared.lock().enqueue(waker),
            AcquireState::Waiting(place) => self.poll_again(place, waker),
            AcquireState::Done => panic!(
                "an Acquire was polled after it had given its permit; ask Limiter::acquire for each"
            ),
        };
        match waiting {
            Ok(place) => {
                self.state = AcquireState::Waiting(place);
                if is_known {
                    let source = self.limiter.shared.clone();
                    deadlock::note(RecordedWait::Token { source, place });
                }
                Poll::Pending
            }
            Err(unused) => {
                self.state = AcquireState::Done;
                let permit = self.limiter.permit();
                drop_quietly(unused);
                Poll::Ready(permit)
            }
        }
    }
}

impl Acquire {
    /// Keeps the place in line with the new waker. If a token has been granted, gives that waker back.
    ///
    /// # Panics
    /// If the wait was found never to end.
    fn poll_again(&mut self, place: u64, waker: Waker) -> Result<u64, Waker> {
        let mut state = self.limiter.shared.lock();
        let Some(waiting) = state.waiting.get_mut(&place) else {
            return Err(waker);
        };
        let old = std::mem::replace(&mut waiting.waker, waker);
        let held = waiting.held_by.take();
        let total = state.total;
        drop(state);
        drop_quietly(old);
        if let Some(held) = held {
            drop(std::mem::replace(self, self.limiter.acquire())); // leaves the line
            panic_of_deadlock(&held, total);
        }
        Ok(place)
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let AcquireState::Waiting(place) = self.state else {
            return;
        };
        let waiting = self.limiter.shared.lock().waiting.remove(&place);
        let waker = waiting.map(|waiting| waiting.waker);
        if waker.is_none() {
            // A token had been granted. It goes to the next in line.
            self.limiter.release();
        }
        drop_quietly(waker);
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("limiter", &self.limiter)
            .finish()
    }
}

/// The calls that hold the tokens wait for this one, directly or through others.
fn panic_of_deadlock(held: &[&Location<'_>], total: usize) -> ! {
    let places: Vec<_> = held.iter().map(ToString::to_string).collect();
    panic!(
        "deadlock: this call asks for a token of a limiter of {total} whose tokens are all held \
         by calls that wait for this one; give nested calls a limiter of their own, or \
         this one more tokens. Those held were asked for at {}",
        places.join(", ")
    );
}
