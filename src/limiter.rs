//! A limiter hands out so many tokens at once, first come, first served.
//!
//! The rule: a token that is given back while somebody waits goes straight to the first in line; nobody
//! who comes later can take it in between. So who waits is in `waiting`, and who isn't there any
//! more has been given a token:
//!
//! ```text
//!          no token free, or others wait            first in line
//!   asking -------------------------------> waiting ---------------> granted ---> Permit
//!      |                                       | dropped                | dropped
//!      +--- a token is free ---> Permit        +---> leaves the line    +---> the next in line
//! ```

use crate::call::{Call, Held};
use crate::join::{discard, wake_all};
use crate::sync::{Arc, Mutex, unwind_safe};
use crate::waits::{self, TokenSource, Wait, look};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Bounds how many may do something at once: jobs of [`Asyncify::limiter`](crate::Asyncify::limiter),
/// or whatever holds a [`Permit`].
///
/// # Deadlocks
/// A job that holds a token may ask for another one, and so may what it calls. Where each token is held by a call
/// that waits, directly or through others, for the very call that asks, that one would wait for ever: it panics
/// instead. So does one of several that hold a token each and wait for each other's, of this limiter or of several.
///
/// A panic comes only where the wait can't end by itself: a `timeout` around the call, or anything else awaited beside it
/// that may come first, keeps it waiting. (A cancel from outside, the end of the loop, and more
/// [tokens](Self::set_total_tokens) can still come. None of the three is counted on.)
///
/// Not every deadlock is found. These waits are seen: a [`join`](crate::BlockingTask::join) of the call, and awaiting it, or
/// an [`acquire`](Self::acquire), in the async function of a [`syncify`](crate::syncify) or
/// [`block_on`](crate::Handle::block_on) or in the main future of a [`run`](crate::run). These are not, and the call waits for
/// ever: a task that is spawned and awaited, several calls in a [`gather`](crate::gather), an executor that isn't ours, a
/// job that was submitted outside of every call that holds a token, a token held by a [`Permit`] of yours and not by
/// a call. There, see to it that there are more tokens than jobs that hold one and ask for another, or give the
/// nested calls a limiter of their own.
///
/// # Wakers
/// Tokens given back are passed on by calling the wakers of those that wait, one after the other, on the thread
/// that gives back. A waker that gives back tokens in its turn leaves the wakers of these to that thread, for later. So a
/// waker mustn't wait until another waiter of a limiter has gone on. (Those of all common executors only queue a task.)
///
/// Cloning it gives another handle to the same tokens. Dropping the handles takes no token from who
/// holds one or waits for one. Works on any executor.
///
/// ```
/// use footbridge::Limiter;
///
/// let connections = Limiter::new(2);
/// let first = connections.try_acquire().unwrap();
/// let second = connections.try_acquire().unwrap();
/// assert!(connections.try_acquire().is_none());
/// assert_eq!((connections.total_tokens(), connections.borrowed_tokens()), (2, 2));
/// drop(first);
/// assert_eq!(connections.available_tokens(), 1);
/// # drop(second);
/// ```
#[derive(Clone)]
pub struct Limiter {
    shared: Arc<Mutex<State>>,
}

struct State {
    total: usize,
    borrowed: usize,
    waiting: BTreeMap<u64, Waiting>,
    next_in_line: u64,
    /// The calls that hold a token and have noted what they wait for.
    waiting_holders: BTreeMap<u64, Arc<dyn Call>>,
    next_holder: u64,
}

struct Waiting {
    waker: Waker,
    /// This wait can never end: where the calls were asked for that hold the tokens and wait for it.
    told: Option<Vec<&'static Location<'static>>>,
}

impl State {
    /// Gives free tokens to those that wait, some at a time: nobody else needs the lock for long. Whether it was all.
    #[must_use]
    fn grant(&mut self, granted: &mut Vec<Waker>) -> bool {
        for _ in 0..BATCH {
            if self.borrowed >= self.total {
                return true;
            }
            let Some((_, Waiting { waker, .. })) = self.waiting.pop_first() else {
                return true;
            };
            self.borrowed += 1;
            granted.push(waker);
        }
        false
    }

    /// Whether each token is held by a call that waits.
    fn all_wait(&self) -> bool {
        self.borrowed >= self.total && self.borrowed == self.waiting_holders.len()
    }

    /// With which call to begin to look for a wait that can't end any more, now that there are fewer tokens.
    fn suspect(&self) -> Option<Arc<dyn Call>> {
        if self.waiting.is_empty() || !self.all_wait() {
            return None;
        }
        let (_, holder) = self.waiting_holders.first_key_value()?;
        Some(holder.clone())
    }
}

/// So many are given a token in one go.
const BATCH: usize = 64;

/// What a token's holder notes here is counted against the tokens: only where all wait they are looked at.
impl TokenSource for Mutex<State> {
    fn add_waiting(&self, holder: Arc<dyn Call>) -> u64 {
        let mut state = self.lock();
        let number = state.next_holder;
        state.next_holder += 1;
        state.waiting_holders.insert(number, holder);
        number
    }

    fn remove_waiting(&self, number: u64) {
        let removed = self.lock().waiting_holders.remove(&number);
        discard(removed);
    }

    fn waiting_holders(&self) -> Option<Vec<Arc<dyn Call>>> {
        let state = self.lock();
        let all_wait = state.all_wait();
        all_wait.then(|| state.waiting_holders.values().cloned().collect())
    }

    fn is_waiting(&self, place: u64) -> bool {
        let state = self.lock();
        let waiting = state.waiting.get(&place);
        waiting.is_some_and(|waiting| waiting.told.is_none())
    }

    fn tell(&self, place: u64, held: Vec<&'static Location<'static>>) -> Option<Waker> {
        let mut state = self.lock();
        let waiting = state.waiting.get_mut(&place)?;
        waiting.told = Some(held);
        Some(std::mem::replace(&mut waiting.waker, Waker::noop().clone()))
    }
}

impl Limiter {
    /// A limiter of `total` tokens, from 0 (everybody waits until there are more) to `usize::MAX` (no limit).
    /// [`Limiter`] has an example.
    pub fn new(total: usize) -> Self {
        Self {
            shared: Arc::new(Mutex::new(State {
                total,
                borrowed: 0,
                waiting: BTreeMap::new(),
                next_in_line: 0,
                waiting_holders: BTreeMap::new(),
                next_holder: 0,
            })),
        }
    }

    /// Waits for a token, in the order of asking, which is that of the first polls. Dropping the
    /// future in any state loses no token.
    ///
    /// # Panics
    /// Where the wait could never end, since every token is held by a call that waits for this one, as far as
    /// [that can be seen](Self#deadlocks). The text names where those calls were asked for.
    ///
    /// ```
    /// use footbridge::{Limiter, run};
    ///
    /// let limiter = Limiter::new(1);
    /// run(async {
    ///     let _permit = limiter.acquire().await;
    ///     assert_eq!(limiter.borrowed_tokens(), 1);
    /// });
    /// assert_eq!(limiter.borrowed_tokens(), 0);
    /// ```
    pub fn acquire(&self) -> Acquire {
        Acquire {
            limiter: self.clone(),
            line: Line::NotYet,
        }
    }

    /// A token, if one is free and nobody waits for it.
    ///
    /// ```
    /// let limiter = footbridge::Limiter::new(1);
    /// let permit = limiter.try_acquire();
    /// assert!(permit.is_some() && limiter.try_acquire().is_none());
    /// drop(permit); // gives the token back
    /// assert!(limiter.try_acquire().is_some());
    /// ```
    pub fn try_acquire(&self) -> Option<Permit> {
        let mut state = self.shared.lock();
        if state.borrowed >= state.total || !state.waiting.is_empty() {
            return None;
        }
        state.borrowed += 1;
        drop(state);
        Some(self.permit())
    }

    /// Changes how many tokens there are. More of them go to those who wait at once; with fewer
    /// nobody loses his, but nobody is given one until so many have been given back.
    ///
    /// ```
    /// let limiter = footbridge::Limiter::new(1);
    /// let _permit = limiter.try_acquire();
    /// limiter.set_total_tokens(0);
    /// assert_eq!(limiter.available_tokens(), -1);
    /// ```
    pub fn set_total_tokens(&self, total: usize) {
        self.change(|state| state.total = total);
    }

    /// How many tokens there are. [`Limiter`] has an example.
    pub fn total_tokens(&self) -> usize {
        self.shared.lock().total
    }

    /// How many of them are taken. [`Limiter`] has an example.
    pub fn borrowed_tokens(&self) -> usize {
        self.shared.lock().borrowed
    }

    /// How many are left: the total less those taken, so below zero after the total was lowered, and at
    /// most `isize::MAX`. [`Limiter`] has an example.
    pub fn available_tokens(&self) -> isize {
        let state = self.shared.lock();
        let signed = |tokens| isize::try_from(tokens).unwrap_or(isize::MAX);
        signed(state.total) - signed(state.borrowed)
    }

    /// What tells this limiter from others while it lives.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    fn permit(&self) -> Permit {
        Permit {
            limiter: self.clone(),
        }
    }

    fn release(&self) {
        self.change(|state| state.borrowed -= 1);
    }

    /// Changes how many tokens are free, and sees to those that wait.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut granted = Vec::new();
        let mut state = self.shared.lock();
        change(&mut state);
        while !state.grant(&mut granted) {
            drop(state);
            state = self.shared.lock();
        }
        let suspect = state.suspect();
        drop(state);
        wake_all(granted);
        if let Some(suspect) = suspect {
            look(&suspect);
        }
    }
}

/// Always panics: the calls that hold the tokens wait, through however many hops, for this very one.
fn refuse_self_wait(held: &[&Location<'_>], total: usize) -> ! {
    let places: Vec<_> = held.iter().map(ToString::to_string).collect();
    panic!(
        "deadlock: this call asks for a token of a limiter of {total} whose tokens are all held \
         by calls that wait for this one; give nested calls a limiter of their own, or \
         this one more tokens. Those held were asked for at {}",
        places.join(", ")
    );
}

unwind_safe!(Limiter);

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        let (total, borrowed, waiting) = (state.total, state.borrowed, state.waiting.len());
        drop(state); // what it is written to may be a user's
        f.debug_struct("Limiter")
            .field("total_tokens", &total)
            .field("borrowed_tokens", &borrowed)
            .field("waiting", &waiting)
            .finish()
    }
}

/// What [`Limiter::acquire`] returns. Polled after it has given its permit, it panics.
///
/// Dropping it leaves the line:
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
    limiter: Limiter,
    line: Line,
}

enum Line {
    NotYet,
    At(u64),
    Done,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let limiter = self.limiter.clone();
        // Cloned before the lock: what that calls is not ours.
        let known = waits::known(context.waker());
        let is_known = known.is_some();
        let waker = known.unwrap_or_else(|| context.waker().clone());
        let mut state = limiter.shared.lock();
        let place = match self.line {
            Line::NotYet => {
                if state.borrowed < state.total && state.waiting.is_empty() {
                    state.borrowed += 1;
                    drop(state);
                    // A drop that panics mustn't take the token along.
                    discard(waker);
                    self.line = Line::Done;
                    return Poll::Ready(limiter.permit());
                }
                let place = state.next_in_line;
                state.next_in_line += 1;
                let told = None;
                state.waiting.insert(place, Waiting { waker, told });
                drop(state);
                self.line = Line::At(place);
                place
            }
            Line::At(place) => {
                let Some(waiting) = state.waiting.get_mut(&place) else {
                    drop(state);
                    discard(waker);
                    self.line = Line::Done;
                    return Poll::Ready(limiter.permit());
                };
                let old = std::mem::replace(&mut waiting.waker, waker);
                let told = waiting.told.take();
                let total = state.total;
                drop(state);
                discard(old);
                if let Some(held) = told {
                    drop(std::mem::replace(&mut *self, limiter.acquire())); // out of the line
                    refuse_self_wait(&held, total);
                }
                place
            }
            Line::Done => {
                drop(state);
                panic!(
                    "an Acquire was polled after it had given its permit; ask Limiter::acquire for each"
                )
            }
        };
        if is_known {
            let source = limiter.shared.clone();
            waits::note(Wait::Token { source, place });
        }
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Line::At(place) = self.line else { return };
        let waiting = self.limiter.shared.lock().waiting.remove(&place);
        let waker = waiting.map(|waiting| waiting.waker);
        if waker.is_none() {
            // It had been granted: the token goes to the next in line.
            self.limiter.release();
        }
        discard(waker);
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("limiter", &self.limiter)
            .finish()
    }
}

/// A token of a [`Limiter`], given back when this is dropped.
///
/// It may go along with the work:
///
/// ```
/// use footbridge::{Limiter, run, spawn_blocking};
///
/// let limiter = Limiter::new(1);
/// run(async {
///     let permit = limiter.acquire().await;
///     spawn_blocking(move || drop(permit)).detach(); // free when that is through
///     limiter.acquire().await;
/// });
/// ```
#[derive(Debug)]
#[must_use = "dropping a permit gives the token back"]
pub struct Permit {
    limiter: Limiter,
}

impl Held for Permit {
    fn source(&self) -> Arc<dyn TokenSource> {
        self.limiter.shared.clone()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.release();
    }
}
