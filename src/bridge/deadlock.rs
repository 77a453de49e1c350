//! Finds calls that wait for each other in a circle.
//!
//! ```text
//!   a call ---> a call that has begun, until that has ended
//!          ---> a place in a limiter's line, until it is served ---> the calls that hold the limiter's tokens
//! ```
//!
//! The rule: a wait is recorded only if nothing but the recorded waits can end it, apart from a cancel or more tokens.
//!
//! A thread in `BlockingTask::join` waits for that call alone. `syncify` polls a future with its own waker, the `Relay`.
//! A recorded wait keeps the waker behind the relay. If a poll leaves no clone of the relay, nothing else can wake the
//! future: no timer, no channel, and no other future beside the wait.
//!
//! The search follows the recorded waits into a [`WaitGraph`], where a [dump](crate::dump()) looks for deadlocks too. It
//! locks one object at a time. This is enough. A place in a line is served only after a holder has ended, and a holder that
//! waits ends only after its own wait. So if all of it was seen waiting, nothing has gone on. A wait is recorded before the
//! search for it begins. If several threads close a circle, the last search sees all of it.

use crate::bridge::call::Call;
use crate::observe::wait_graph::WaitGraph;
use crate::sync::panics::{drop_quietly, wake};
use crate::sync::{
    Arc, AtomicBool, Mutex, Ordering, impl_wake, lazy_static, thread_local, waker_ref,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A recorded wait of a call.
#[derive(Clone)]
pub(crate) enum RecordedWait {
    Call(Arc<dyn Call>),
    Token {
        source: Arc<dyn TokenSource>,
        place: u64,
    },
}

/// A limiter, as seen by the calls that wait for its tokens or hold them.
pub trait TokenSource: Send + Sync {
    /// A call that holds a token has recorded a wait. Returns its number, for `remove_waiting`.
    fn add_waiting(&self, holder: Arc<dyn Call>) -> u64;
    fn remove_waiting(&self, number: u64);
    /// The calls that hold the tokens, if each token is held by a call that has recorded a wait.
    fn waiting_holders(&self) -> Option<Vec<Arc<dyn Call>>>;
    /// Whether the place is still in line, and `tell` wasn't called for it.
    fn is_waiting(&self, place: u64) -> bool;
    /// The wait at this place can never end: the calls asked for at `held` hold the tokens, and wait for it. Returns the
    /// waker to call.
    #[must_use]
    fn tell(&self, place: u64, held: Vec<&'static Location<'static>>) -> Option<Waker>;
}

/// The target of the wakers of a future that a call waits for. It passes a wake on to `outer`.
struct Relay {
    outer: Waker,
    woken: AtomicBool,
}

impl Relay {
    fn wake(self: &Arc<Self>) {
        // Before the clone of the relay is dropped. If `Arc::get_mut` finds that clone gone, it sees this store.
        self.woken.store(true, Ordering::Relaxed);
        self.outer.wake_by_ref();
    }
}

impl_wake!(Relay);

/// The current poll of what a call waits for.
struct Polled {
    waker: Waker,
    relay: usize,
    waits: Vec<RecordedWait>,
}

thread_local! {
    static POLLED: RefCell<Option<Polled>> = const { RefCell::new(None) };
}

/// For a wait that is polled with `waker`: the waker to keep, if the wait is to be recorded. It is one of this crate.
pub(crate) fn known(waker: &Waker) -> Option<Waker> {
    let at = waker.data().addr();
    let known = POLLED.try_with(|polled| {
        let polled = polled.borrow();
        let polled = polled.as_ref()?;
        let is_known = polled.relay == at || polled.waker.will_wake(waker);
        is_known.then(|| polled.waker.clone())
    });
    known.ok().flatten()
}

/// Records a wait of the current poll. The wait keeps the waker that `known` returned.
pub(crate) fn note(wait: RecordedWait) {
    let _ = POLLED.try_with(|polled| {
        if let Some(polled) = &mut *polled.borrow_mut() {
            polled.waits.push(wait);
        }
    });
}

/// While this guard exists, the waits that this thread polls are recorded.
struct Noting(Option<Polled>);

impl Noting {
    fn begin(waker: Waker, relay: usize) -> Self {
        let waits = Vec::new();
        let polled = Polled {
            waker,
            relay,
            waits,
        };
        let before = POLLED.try_with(|current| current.replace(Some(polled)));
        Self(before.ok().flatten())
    }

    fn noted(&self) -> Vec<RecordedWait> {
        let take = |polled: &mut Polled| std::mem::take(&mut polled.waits);
        let noted = POLLED.try_with(|polled| polled.borrow_mut().as_mut().map(take));
        noted.ok().flatten().unwrap_or_default()
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        let ended = POLLED.try_with(|current| current.replace(self.0.take()));
        drop_quietly(ended);
    }
}

/// What a call waits for, as its thread or the loop polls it. While this exists, the call waits for what the last poll
/// has recorded.
pub(crate) struct WaitTracker {
    call: Arc<dyn Call>,
    /// A cancel of the call ends the wait.
    until_cancelled: bool,
    relay: Option<Arc<Relay>>,
    // If the call holds a token: its limiter, and the call's number there.
    noted: Option<Option<(Arc<dyn TokenSource>, u64)>>,
}

impl WaitTracker {
    /// Only for a call that holds a token, or that is nested in one that does. Other waits can't be part of a deadlock of
    /// tokens.
    pub(crate) fn new(call: Option<Arc<dyn Call>>, until_cancelled: bool) -> Option<Self> {
        Some(Self {
            call: call.filter(|call| call.call_state().in_permit_scope())?,
            until_cancelled,
            relay: None,
            noted: None,
        })
    }

    /// Polls the only thing that this thread blocks for.
    pub(crate) fn poll_blocked<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.forget();
        let waker = context.waker().clone();
        let noting = Noting::begin(waker, context.waker().data().addr());
        let polled = poll(context);
        let waits = noting.noted();
        drop(noting);
        self.note(polled.is_pending(), waits);
        polled
    }

    /// Polls a future. Its wakers, apart from those of recorded waits, lead to the relay.
    pub(crate) fn poll_future<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.forget();
        let outer = context.waker();
        let relay = self.relay.take();
        let relay = relay.filter(|relay| relay.outer.will_wake(outer));
        let mut relay = relay.unwrap_or_else(|| {
            Arc::new(Relay {
                outer: outer.clone(),
                woken: AtomicBool::new(false),
            })
        });
        relay.woken.store(false, Ordering::Relaxed); // A wake before this led to this poll, or to a later one.
        let noting = Noting::begin(outer.clone(), Arc::as_ptr(&relay).addr());
        let polled = {
            let waker = waker_ref(&relay);
            poll(&mut Context::from_waker(&waker))
        };
        let waits = noting.noted();
        drop(noting);
        // No clone of the relay is left, and none was woken before it was dropped.
        let unshared = Arc::get_mut(&mut relay);
        let is_alone = unshared.is_some_and(|relay| !relay.woken.load(Ordering::Relaxed));
        self.relay = Some(relay);
        self.note(polled.is_pending() && is_alone, waits);
        polled
    }

    fn note(&mut self, is_certain: bool, waits: Vec<RecordedWait>) {
        if !is_certain || waits.is_empty() {
            return drop_quietly(waits);
        }
        let source = self
            .call
            .call_state()
            .set_waits(waits, self.until_cancelled);
        let numbered = |source: Arc<dyn TokenSource>| {
            let number = source.add_waiting(self.call.clone());
            (source, number)
        };
        self.noted = Some(source.map(numbered));
        look(&self.call);
    }

    fn forget(&mut self) {
        let Some(source) = self.noted.take() else {
            return;
        };
        drop_quietly(self.call.call_state().take_waits());
        if let Some((source, number)) = source {
            source.remove_waiting(number);
        }
    }
}

impl Drop for WaitTracker {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The same future, polled as what a call waits for.
pub(crate) async fn watched<F>(mut watch: WaitTracker, mut future: Pin<Box<F>>) -> F::Output
where
    F: Future + ?Sized,
{
    poll_fn(|context| watch.poll_future(context, |context| future.as_mut().poll(context))).await
}

/// Searches for a deadlock of a call that has recorded its wait. If the call can never go on, one wait on a circle
/// through the call ends with a panic.
///
/// The search needs all that the call waits for to wait for the call. If something of it doesn't, the search of another
/// call ends that wait, and this call may go on after it.
pub(crate) fn look(call: &Arc<dyn Call>) {
    lazy_static! {
        static ref TELLING: Mutex<()> = Mutex::new(());
    }
    // The search is under the lock too: another thread may have ended a wait of the circle, which is enough.
    let mut seen = Seen::from(call);
    let telling = TELLING.lock();
    let told = seen.circle().and_then(|(source, place)| {
        let limiter = Arc::as_ptr(&source).addr();
        let holds = |call: &&Arc<dyn Call>| call.call_state().held_limiter() == Some(limiter);
        let holders = seen.calls.iter().filter(holds);
        let held = holders
            .map(|call| call.call_state().submitted_at())
            .collect();
        source.tell(place, held)
    });
    drop(telling);
    if let Some(waker) = told {
        wake(waker);
    }
}

/// Calls and lines with a number each, and what they wait for. Each has recorded all its waits, so none is open.
#[derive(Default)]
struct Seen {
    numbers: BTreeMap<usize, usize>,
    graph: WaitGraph,
    calls: Vec<Arc<dyn Call>>,
    /// Kept, so that nothing is dropped during the search.
    waits: Vec<RecordedWait>,
}

impl Seen {
    fn from(call: &Arc<dyn Call>) -> Self {
        let mut seen = Self::default();
        seen.call(call.clone());
        seen
    }

    /// The first place in a line on a circle through the call, if no call of it can go on.
    fn circle(&mut self) -> Option<(Arc<dyn TokenSource>, u64)> {
        let first = self.see_all()?;
        self.graph.is_one_knot().then_some(first)
    }

    fn number(&mut self, address: usize) -> (usize, bool) {
        match self.numbers.entry(address) {
            Entry::Occupied(entry) => (*entry.get(), false),
            Entry::Vacant(entry) => (*entry.insert(self.graph.add()), true),
        }
    }

    fn call(&mut self, call: Arc<dyn Call>) -> usize {
        let (number, is_new) = self.number(std::ptr::from_ref(call.call_state()).addr());
        if is_new {
            self.calls.push(call);
        }
        number
    }

    /// Visits all that the call leads to. Returns the first place among it, or `None` if some call may go on.
    fn see_all(&mut self) -> Option<(Arc<dyn TokenSource>, u64)> {
        let mut first = None;
        let mut next = 0;
        while let Some(call) = self.calls.get(next).cloned() {
            next += 1;
            let first_wait = self.waits.len();
            self.waits.extend(call.call_state().waits());
            let from = self.call(call);
            if self.waits.len() == first_wait {
                return None;
            }
            for index in first_wait..self.waits.len() {
                let to = match self.waits[index].clone() {
                    RecordedWait::Call(call) => self.call(call),
                    RecordedWait::Token { source, place } => {
                        let to = self.source(&source)?;
                        // After the query of the holders: if the place was served since, this shows it.
                        if !source.is_waiting(place) {
                            return None;
                        }
                        first.get_or_insert((source, place));
                        to
                    }
                };
                self.graph.add_wait(from, to);
            }
        }
        first
    }

    fn source(&mut self, source: &Arc<dyn TokenSource>) -> Option<usize> {
        let (number, is_new) = self.number(Arc::as_ptr(source).addr());
        if is_new {
            for holder in source.waiting_holders()? {
                let holder = self.call(holder);
                self.graph.add_wait(number, holder);
            }
        }
        Some(number)
    }
}
