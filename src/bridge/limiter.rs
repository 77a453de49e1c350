//! A limiter gives out a number of tokens, first come, first served.
//!
//! The rule: if an [`Acquire`] is in line, a returned token goes to the first one. A later `Acquire` can't take it. So an
//! `Acquire` that was in line and is no longer in `waiting` has been granted a token.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *new* | polled: a token is free, and no `Acquire` is in line | *done*: it gives the `Permit` |
//! | *new* | polled: no token is free, or an `Acquire` is in line | *in line* |
//! | *in line* | it is first, and a token is given back | *granted* |
//! | *in line* | dropped | it leaves the line |
//! | *granted* | polled | *done*: it gives the `Permit` |
//! | *granted* | dropped | the token goes to the next in line |

use crate::bridge::acquire::{Acquire, AcquireState};
use crate::bridge::call::Call;
use crate::bridge::call_state::AnyPermit;
use crate::bridge::deadlock::{TokenSource, look};
use crate::bridge::report::LIMITERS;
use crate::sync::panics::{drop_quietly, wake_all};
use crate::sync::{Arc, Mutex, unique_number, unwind_safe};
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::task::Waker;

/// Bounds how many things are done at once: jobs of [`Asyncify::limiter`](crate::Asyncify::limiter), or anything that
/// holds a [`Permit`].
///
/// # Deadlocks
/// A job that holds a token may ask for another one, and so may the calls that it makes. If each token is held by a call
/// that waits for the asking call, directly or through others, the asking call would wait for ever. It panics instead.
/// The same holds for several calls that each hold a token and wait for each other's, of one limiter or of several.
///
/// The panic comes only if nothing else that was begun can end the wait. If there is a `timeout` around the call, or if
/// anything else is awaited beside it, the call keeps waiting. (A cancel from outside, the end of the loop, and more
/// [tokens](Self::set_total_tokens) could still end the wait. They don't prevent the panic.)
///
/// Not every deadlock is found. These waits are seen:
/// - A [`join`](crate::BlockingTask::join) of the call.
/// - Awaiting the call, or an [`acquire`](Self::acquire), in the async function of a [`syncify`](crate::syncify) or
///   [`block_on`](crate::Handle::block_on), or in the main future of a [`run`](crate::run).
///
/// These are not seen, and the call waits for ever:
/// - A task that is spawned and awaited.
/// - Several calls in a [`gather`](crate::gather), and the children of a [`scope`](crate::scope()).
/// - The items of a sequence, in both directions: what it waits for may be more than its job wants.
/// - An executor that isn't this crate's.
/// - A job that was submitted outside of every call that holds a token.
/// - A token held by a [`Permit`] of yours and not by a call.
///
/// In these cases, have more tokens than jobs that hold one and ask for another, or give the nested calls a limiter of
/// their own.
///
/// # A future that isn't polled keeps its place
/// A token is granted to the first in line, whether or not that future is polled just then. While it isn't, it holds up all
/// behind it. This strikes where a task begins to wait for a token, turns to something else, and there waits for the same
/// limiter: in the branch of a `select` whose other future is kept, or between two calls of
/// [`Gather::next`](crate::Gather::next). Drop what waits, or have it polled by a task or a [`scope`](crate::scope()) of its
/// own.
///
/// ```
/// use footbridge::{Limiter, run, time::timeout};
/// use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};
///
/// run(async {
///     let limiter = Limiter::new(1);
///     let permit = limiter.acquire().await;
///     let mut first = limiter.acquire();
///     poll_fn(|context| {
///         let _ = Pin::new(&mut first).poll(context); // as a `select` does
///         Poll::Ready(())
///     })
///     .await;
///     drop(permit); // The token is granted to `first`.
///     let second = timeout(Duration::from_millis(1), limiter.acquire());
///     assert!(second.await.is_err(), "it waits for what isn't polled");
///     drop(first);
///     limiter.acquire().await;
/// });
/// ```
///
/// # Wakers
/// Returned tokens are passed on by calling the wakers of those that wait, one after the other, on the thread that
/// returns them. If such a waker returns tokens, that thread calls their wakers later. So a waker must not wait until
/// another waiter of a limiter has gone on. (The wakers of all common executors only queue a task.)
///
/// A clone is another handle to the same tokens. Dropping the handles takes no token away, and no place in line. Works on
/// any executor.
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
    pub(super) shared: Arc<Mutex<LimiterState>>,
}

pub(super) struct LimiterState {
    /// Its number among the limiters that dumps know.
    number: usize,
    pub(super) total: usize,
    pub(super) borrowed: usize,
    /// The line, by place.
    pub(super) waiting: BTreeMap<u64, QueuedAcquire>,
    next_place: u64,
    /// The calls that hold a token and have recorded what they wait for.
    waiting_holders: BTreeMap<u64, Arc<dyn Call>>,
    next_holder: u64,
}

pub(super) struct QueuedAcquire {
    pub(super) waker: Waker,
    /// Set if the wait can never end: where the calls were asked for that hold the tokens and wait for this one.
    pub(super) held_by: Option<Vec<&'static Location<'static>>>,
}

impl LimiterState {
    /// Takes a place in line for `waker`. If it takes a token instead, gives the waker back.
    pub(super) fn enqueue(&mut self, waker: Waker) -> Result<u64, Waker> {
        if self.borrowed < self.total && self.waiting.is_empty() {
            self.borrowed += 1;
            return Err(waker);
        }
        let place = self.next_place;
        self.next_place += 1;
        let held_by = None;
        self.waiting.insert(place, QueuedAcquire { waker, held_by });
        Ok(place)
    }

    /// Grants free tokens to the first in line, at most `BATCH`, so that other threads don't wait long for the lock.
    /// Returns `true` if that was all.
    #[must_use]
    fn grant(&mut self, granted: &mut Vec<Waker>) -> bool {
        for _ in 0..BATCH {
            if self.borrowed >= self.total {
                return true;
            }
            let Some((_, QueuedAcquire { waker, .. })) = self.waiting.pop_first() else {
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

    /// A call to begin the search for a deadlock with. A lower number of tokens may have caused one.
    fn suspect(&self) -> Option<Arc<dyn Call>> {
        if self.waiting.is_empty() || !self.all_wait() {
            return None;
        }
        let (_, holder) = self.waiting_holders.first_key_value()?;
        Some(holder.clone())
    }
}

impl Drop for LimiterState {
    fn drop(&mut self) {
        LIMITERS.forget(self.number);
    }
}

/// How many tokens are granted under one lock.
const BATCH: usize = 64;

/// The holders that wait are counted against the tokens. Only if they hold all tokens, the search for a deadlock goes on.
impl TokenSource for Mutex<LimiterState> {
    fn add_waiting(&self, holder: Arc<dyn Call>) -> u64 {
        let mut state = self.lock();
        let number = state.next_holder;
        state.next_holder += 1;
        state.waiting_holders.insert(number, holder);
        number
    }

    fn remove_waiting(&self, number: u64) {
        let removed = self.lock().waiting_holders.remove(&number);
        drop_quietly(removed);
    }

    fn waiting_holders(&self) -> Option<Vec<Arc<dyn Call>>> {
        let state = self.lock();
        let all_wait = state.all_wait();
        all_wait.then(|| state.waiting_holders.values().cloned().collect())
    }

    fn is_waiting(&self, place: u64) -> bool {
        let state = self.lock();
        let waiting = state.waiting.get(&place);
        waiting.is_some_and(|waiting| waiting.held_by.is_none())
    }

    fn tell(&self, place: u64, held: Vec<&'static Location<'static>>) -> Option<Waker> {
        let mut state = self.lock();
        let waiting = state.waiting.get_mut(&place)?;
        waiting.held_by = Some(held);
        Some(std::mem::replace(&mut waiting.waker, Waker::noop().clone()))
    }
}

impl Limiter {
    /// A limiter of `total` tokens, from 0 (every call waits until there are more) to `usize::MAX` (no limit).
    /// [`Limiter`] has an example.
    pub fn new(total: usize) -> Self {
        let number = unique_number();
        let shared = Arc::new(Mutex::new(LimiterState {
            number,
            total,
            borrowed: 0,
            waiting: BTreeMap::new(),
            next_place: 0,
            waiting_holders: BTreeMap::new(),
            next_holder: 0,
        }));
        LIMITERS.add(number, &shared, ());
        Self { shared }
    }

    /// Waits for a token. Tokens are given in the order of the first polls. Dropping the future in any state loses no
    /// token.
    ///
    /// # Panics
    /// If the wait could never end, because every token is held by a call that waits for this one. [Not every such
    /// deadlock](Self#deadlocks) is found. The text names where those calls were asked for.
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
            state: AcquireState::New,
        }
    }

    /// Takes a token, if one is free and no call waits for it.
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

    /// Changes the number of tokens. If there are more, calls that wait get them at once. If there are fewer, no call
    /// loses its token, and none gets one until enough have been given back.
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

    /// How many tokens are left: the total less those taken. It is below zero after the total was lowered, and at most
    /// `isize::MAX`. [`Limiter`] has an example.
    pub fn available_tokens(&self) -> isize {
        let state = self.shared.lock();
        let signed = |tokens| isize::try_from(tokens).unwrap_or(isize::MAX);
        signed(state.total) - signed(state.borrowed)
    }

    /// An address that no other living limiter has.
    pub(crate) fn address(&self) -> usize {
        Arc::as_ptr(&self.shared).addr()
    }

    pub(super) fn permit(&self) -> Permit {
        Permit {
            limiter: self.clone(),
        }
    }

    pub(super) fn release(&self) {
        self.change(|state| {
            debug_assert!(state.borrowed > 0, "a token was given back twice");
            state.borrowed -= 1;
        });
    }

    /// Changes how many tokens are free, and grants those to the first in line.
    fn change(&self, change: impl FnOnce(&mut LimiterState)) {
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

/// A token of a [`Limiter`]. Its drop gives the token back.
///
/// A permit may move into a job:
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

impl AnyPermit for Permit {
    fn source(&self) -> Arc<dyn TokenSource> {
        self.limiter.shared.clone()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.release();
    }
}
