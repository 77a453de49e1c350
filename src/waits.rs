//! Which call waits for which, as far as that is certain, and the look for a wait that can never end.
//!
//! ```text
//!   a call ---> a call that has begun, until that has ended
//!          ---> a place in a limiter's line, until it is served ---> the calls that hold the limiter's tokens
//! ```
//!
//! The rule: a wait is noted only while nothing but what is noted can end it, apart from a cancel or more tokens. A
//! thread in `BlockingTask::join` waits for that call alone. One in `syncify` waits for a future; that one is polled
//! with a waker of its own, a `Relay`, and a wait of ours in there is noted and leaves the waker behind the relay. If
//! the relay has no clone after the poll, nothing else can wake the future: no timer, no channel, no other future
//! beside the wait.
//!
//! The look goes from a call to what it waits for, and locks one thing at a time. That is enough. Of all that it has
//! seen wait, something would have to go on first: a place is served only after a holder seen before has ended, and a
//! holder that was seen waiting has not ended and goes on only after what it waits for. So if all of it was seen waiting,
//! nothing has gone on. And each wait is noted before the look that it causes: of several threads that close a circle
//! at once, the last to note sees the whole circle.

use crate::call::Call;
use crate::join::{discard, wake};
use crate::sync::{
    Arc, AtomicBool, Mutex, Ordering, impl_wake, lazy_static, thread_local, waker_ref,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What a call waits for.
#[derive(Clone)]
pub(crate) enum Wait {
    Call(Arc<dyn Call>),
    Token {
        source: Arc<dyn TokenSource>,
        place: u64,
    },
}

/// A limiter, as seen by what waits for its tokens and by what holds them.
pub trait TokenSource: Send + Sync {
    /// A call that holds a token has noted a wait. Its number, for `remove_waiting`.
    fn add_waiting(&self, holder: Arc<dyn Call>) -> u64;
    fn remove_waiting(&self, number: u64);
    /// The calls that hold the tokens, if each token is held by a call that has noted a wait.
    fn waiting_holders(&self) -> Option<Vec<Arc<dyn Call>>>;
    /// Whether the place is neither served, nor given up, nor told.
    fn is_waiting(&self, place: u64) -> bool;
    /// The wait at this place can never end: the calls that hold the tokens, `held`, wait for it.
    /// With the waker to call.
    #[must_use]
    fn tell(&self, place: u64, held: Vec<&'static Location<'static>>) -> Option<Waker>;
}

/// The target of the wakers of a future that a call waits for.
struct Relay {
    outer: Waker,
    woken: AtomicBool,
}

impl Relay {
    fn wake(self: &Arc<Self>) {
        // Before the waker is dropped: `Arc::get_mut` finds this one gone only after that, and then sees the store.
        self.woken.store(true, Ordering::Relaxed);
        self.outer.wake_by_ref();
    }
}

impl_wake!(Relay);

/// A poll of what a call waits for.
struct Polled {
    waker: Waker,
    relay: usize,
    waits: Vec<Wait>,
}

thread_local! {
    static POLLED: RefCell<Option<Polled>> = const { RefCell::new(None) };
}

/// For a wait of ours that is polled with `waker`: the waker to leave, if the wait is to be noted. It is one of ours.
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

/// What is being polled waits for this, with the waker that is `known`.
pub(crate) fn note(wait: Wait) {
    let _ = POLLED.try_with(|polled| {
        if let Some(polled) = &mut *polled.borrow_mut() {
            polled.waits.push(wait);
        }
    });
}

/// The waits that are polled on this thread are noted until this is dropped.
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

    fn noted(&self) -> Vec<Wait> {
        let take = |polled: &mut Polled| std::mem::take(&mut polled.waits);
        let noted = POLLED.try_with(|polled| polled.borrow_mut().as_mut().map(take));
        noted.ok().flatten().unwrap_or_default()
    }
}

impl Drop for Noting {
    fn drop(&mut self) {
        let ended = POLLED.try_with(|current| current.replace(self.0.take()));
        discard(ended);
    }
}

/// What a call waits for, as its thread or the loop polls that. The call waits as long as this exists, for what the last
/// poll has noted.
pub(crate) struct Watch {
    call: Arc<dyn Call>,
    /// A cancel of the call ends the wait.
    until_cancelled: bool,
    relay: Option<Arc<Relay>>,
    // The limiter whose token the call holds, if it does, and the call's number there.
    noted: Option<Option<(Arc<dyn TokenSource>, u64)>>,
}

impl Watch {
    /// Only for a call that holds a token, or that is nested in one that does: no other wait needs to be looked for.
    pub(crate) fn new(call: Option<Arc<dyn Call>>, until_cancelled: bool) -> Option<Self> {
        Some(Self {
            call: call.filter(|call| call.scope().is_bounded())?,
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

    /// Polls a future whose other wakers, if it has any, lead to the relay.
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
        // Unshared, and not woken before the last clone went.
        let unshared = Arc::get_mut(&mut relay);
        let is_alone = unshared.is_some_and(|relay| !relay.woken.load(Ordering::Relaxed));
        self.relay = Some(relay);
        self.note(polled.is_pending() && is_alone, waits);
        polled
    }

    fn note(&mut self, is_certain: bool, waits: Vec<Wait>) {
        if !is_certain || waits.is_empty() {
            return discard(waits);
        }
        let source = self.call.scope().set_waits(waits, self.until_cancelled);
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
        discard(self.call.scope().take_waits());
        if let Some((source, number)) = source {
            source.remove_waiting(number);
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The same future, polled as what a call waits for.
pub(crate) async fn watched<F>(mut watch: Watch, mut future: Pin<Box<F>>) -> F::Output
where
    F: Future + ?Sized,
{
    poll_fn(|context| watch.poll_future(context, |context| future.as_mut().poll(context))).await
}

/// Looks whether a call that has noted its wait can ever go on, and if not, ends what it waits for, or something on the
/// way from that back to the call, with a panic.
///
/// Only if all that it waits for waits for it in turn. Else what can't end is told by a look of its own, and this call may
/// go on after that.
pub(crate) fn look(call: &Arc<dyn Call>) {
    lazy_static! {
        static ref TELLING: Mutex<()> = Mutex::new(());
    }
    // Without the lock: nearly always something goes on.
    if Seen::from(call).circle().is_none() {
        return;
    }
    // Again, since another thread may have told one of the circle, which is enough.
    let mut seen = Seen::from(call);
    let telling = TELLING.lock();
    let told = seen.circle().and_then(|(source, place)| {
        let limiter = Arc::as_ptr(&source).addr();
        let holds = |call: &&Arc<dyn Call>| call.scope().holds_token_of(limiter);
        let holders = seen.calls.iter().filter(holds);
        let held = holders.map(|call| call.scope().submitted_at()).collect();
        source.tell(place, held)
    });
    drop(telling);
    if let Some(waker) = told {
        wake(waker);
    }
}

/// Calls and lines, each with a number, and which leads to which.
#[derive(Default)]
struct Seen {
    numbers: BTreeMap<usize, usize>,
    edges: Vec<(usize, usize)>,
    calls: Vec<Arc<dyn Call>>,
}

impl Seen {
    fn from(call: &Arc<dyn Call>) -> Self {
        let mut seen = Self::default();
        seen.call(call.clone());
        seen
    }

    /// The first place in a line on a circle that the call is on, if nothing of it can go on.
    fn circle(&mut self) -> Option<(Arc<dyn TokenSource>, u64)> {
        let first = self.see_all()?;
        self.all_lead_to_the_first().then_some(first)
    }

    fn number(&mut self, address: usize) -> (usize, bool) {
        let next = self.numbers.len();
        let number = *self.numbers.entry(address).or_insert(next);
        (number, number == next)
    }

    fn call(&mut self, call: Arc<dyn Call>) -> usize {
        let (number, is_new) = self.number(std::ptr::from_ref(call.scope()).addr());
        if is_new {
            self.calls.push(call);
        }
        number
    }

    /// Sees all that the call leads to, and gives the first place among it. None if something of it may go on.
    fn see_all(&mut self) -> Option<(Arc<dyn TokenSource>, u64)> {
        let mut first = None;
        let mut next = 0;
        while let Some(call) = self.calls.get(next).cloned() {
            next += 1;
            let waits = call.scope().waits();
            let from = self.call(call);
            if waits.is_empty() {
                return None;
            }
            for wait in waits {
                let to = match wait {
                    Wait::Call(call) => self.call(call),
                    Wait::Token { source, place } => {
                        let to = self.source(&source)?;
                        // After its holders were asked for: served since then, it would show.
                        if !source.is_waiting(place) {
                            return None;
                        }
                        first.get_or_insert((source, place));
                        to
                    }
                };
                self.edges.push((from, to));
            }
        }
        first
    }

    fn source(&mut self, source: &Arc<dyn TokenSource>) -> Option<usize> {
        let (number, is_new) = self.number(Arc::as_ptr(source).addr());
        if is_new {
            for holder in source.waiting_holders()? {
                let holder = self.call(holder);
                self.edges.push((number, holder));
            }
        }
        Some(number)
    }

    fn all_lead_to_the_first(&self) -> bool {
        let mut sources = vec![Vec::new(); self.numbers.len()];
        for &(from, to) in &self.edges {
            sources[to].push(from);
        }
        let mut leads = vec![false; self.numbers.len()];
        let mut left = vec![0];
        while let Some(number) = left.pop() {
            for &source in &sources[number] {
                if !std::mem::replace(&mut leads[source], true) {
                    left.push(source);
                }
            }
        }
        leads.iter().all(|&leads| leads)
    }
}
