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

use crate::call::tokens_held_by_ancestors;
use crate::join::{discard, wake_all};
use crate::sync::{Arc, Mutex, unwind_safe};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Bounds how many may do something at once: jobs of [`Asyncify::limiter`](crate::Asyncify::limiter),
/// or whatever holds a [`Permit`].
///
/// A call that could only wait for itself, because the calls that it is nested in hold the tokens, panics
/// instead. (A call is nested in the job that makes it, until it is detached.) Two that wait for each other can't be
/// seen, nor can a job that waits for a task which asks: where a job that holds a token may ask for another, see
/// to it that there are more tokens than such jobs, or give the nested calls a limiter of their own.
/// And a [`Permit`] belongs to no call: who awaits a bounded call while holding the last one waits for ever.
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
}

struct Waiting {
    waker: Waker,
    /// How many tokens the calls hold that it is nested in.
    held: usize,
}

/// Whether nobody else gives one back, to whoever is nested in the calls that hold those `held`.
fn is_left_to(held: usize, borrowed: usize, total: usize) -> bool {
    held > 0 && held >= borrowed && borrowed >= total
}

impl State {
    /// Gives free tokens to those who wait. They are woken by the caller, when the lock is free.
    #[must_use]
    fn grant(&mut self) -> Vec<Waker> {
        let (borrowed, total) = (self.borrowed, self.total);
        if borrowed >= total {
            // There are fewer than there were: who waits may wait for himself now, and looks.
            let alone = self
                .waiting
                .values_mut()
                .filter(|waiting| is_left_to(waiting.held, borrowed, total));
            let take = |waiting: &mut Waiting| {
                std::mem::replace(&mut waiting.waker, Waker::noop().clone())
            };
            return alone.map(take).collect();
        }
        let mut granted = Vec::new();
        while self.borrowed < self.total {
            let Some((_, Waiting { waker, .. })) = self.waiting.pop_first() else {
                break;
            };
            self.borrowed += 1;
            granted.push(waker);
        }
        granted
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
            })),
        }
    }

    /// Waits for a token, in the order of asking, which is that of the first polls. Dropping the
    /// future in any state loses no token.
    ///
    /// # Panics
    /// When polled by code that could only wait for itself: if every token that is taken is held by
    /// calls that this one is nested in. The text names where those were asked for.
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
        let mut state = self.shared.lock();
        state.total = total;
        let granted = state.grant();
        drop(state);
        wake_all(granted);
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
        let mut state = self.shared.lock();
        state.borrowed -= 1;
        let granted = state.grant();
        drop(state);
        wake_all(granted);
    }
}

/// Always panics: whoever might give a token back waits, through however many hops, for this very call.
fn refuse_self_wait(held: &[&Location<'_>], total: usize) -> ! {
    let places: Vec<_> = held.iter().map(ToString::to_string).collect();
    panic!(
        "deadlock: this call asks for a token of a limiter of {total} whose tokens are all held \
         by calls that it is nested in; give nested calls a limiter of their own, or \
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
        match self.line {
            Line::NotYet => {
                // Looked up and cloned before the lock: what the one locks and the other calls is not ours.
                let held = tokens_held_by_ancestors(limiter.address());
                let waker = context.waker().clone();
                let mut state = limiter.shared.lock();
                if state.borrowed < state.total && state.waiting.is_empty() {
                    state.borrowed += 1;
                    drop(state);
                    // A drop that panics mustn't take the token along.
                    discard(waker);
                    self.line = Line::Done;
                    return Poll::Ready(limiter.permit());
                }
                let (borrowed, total) = (state.borrowed, state.total);
                if is_left_to(held.len(), borrowed, total) {
                    drop(state);
                    discard(waker);
                    refuse_self_wait(&held, total);
                }
                let place = state.next_in_line;
                state.next_in_line += 1;
                let held = held.len();
                state.waiting.insert(place, Waiting { waker, held });
                drop(state);
                self.line = Line::At(place);
                Poll::Pending
            }
            Line::At(place) => {
                let held = tokens_held_by_ancestors(limiter.address());
                let waker = context.waker().clone();
                let mut state = limiter.shared.lock();
                let Some(waiting) = state.waiting.get_mut(&place) else {
                    drop(state);
                    discard(waker);
                    self.line = Line::Done;
                    return Poll::Ready(limiter.permit());
                };
                let new = Waiting {
                    waker,
                    held: held.len(),
                };
                let old = std::mem::replace(waiting, new).waker;
                let (borrowed, total) = (state.borrowed, state.total);
                drop(state);
                discard(old);
                if is_left_to(held.len(), borrowed, total) {
                    drop(std::mem::replace(&mut *self, limiter.acquire())); // out of the line
                    refuse_self_wait(&held, total);
                }
                Poll::Pending
            }
            Line::Done => panic!(
                "an Acquire was polled after it had given its permit; ask Limiter::acquire for each"
            ),
        }
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

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.release();
    }
}
