//! If the system refuses a thread while jobs are queued, the pool asks again after each [`RETRY_PAUSE`].
//!
//! The pool's threads may all wait for those jobs, so others have to ask, until a thread is there or no job needs it:
//! - threads that wait in `join` for a job of the pool;
//! - the loops that jobs of the pool belong to: each is registered with its first job.
//!
//! The first refusal after a success wakes both. A later `join` or loop checks by itself. In each pause one attempt is made.

use crate::pool::registry::Registry;
use crate::pool::threads::Demand;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, Weak, now};
use std::collections::BTreeMap;
use std::task::Waker;
use std::time::{Duration, Instant};

/// How often the pool asks for a refused thread again.
pub(crate) const RETRY_PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Refusals {
    /// A thread was refused with jobs queued, and none has started since. Set under the lock of `Threads`. A new thread
    /// clears it, and then scans the queues. If a further thread is refused for what it finds, it sets the flag again.
    is_refused: AtomicBool,
    /// How often `is_refused` was set. It tells which timer of a loop is valid.
    count: AtomicUsize,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    joining: BTreeMap<u64, Waker>,
    next: u64,
    /// By address. While the entry exists, no other loop gets the address.
    loops: BTreeMap<usize, LoopListener>,
    /// At this number of loops, those that have ended are removed.
    sweep_at: usize,
    last_attempt: Option<Instant>,
}

struct LoopListener {
    target: Weak<dyn RefusalListener>,
    /// The last refusal that the loop was told of.
    told: usize,
}

/// A loop as the pool sees it.
pub(crate) trait RefusalListener: Send + Sync {
    /// Calls [`Registry::retry_refused`] after each [`RETRY_PAUSE`], while [`Refusals::is`] returns `true`.
    fn retry_later(&self, registry: &Arc<Registry>, refusal: usize);
}

const FEW: usize = 16;

impl Refusals {
    pub(crate) fn new() -> Self {
        Self {
            is_refused: AtomicBool::new(false),
            count: AtomicUsize::new(0),
            listeners: Mutex::new(Listeners {
                sweep_at: FEW,
                ..Listeners::default()
            }),
        }
    }

    /// Whether jobs wait for a refused thread. A hint: each attempt checks again under the lock.
    pub(crate) fn is_any(&self) -> bool {
        self.is_refused.load(Ordering::Relaxed)
    }

    /// Whether this refusal is the last one, and jobs wait for its thread.
    pub(crate) fn is(&self, refusal: usize) -> bool {
        self.is_any() && self.count.load(Ordering::Relaxed) == refusal
    }

    /// A thread has started.
    pub(super) fn clear(&self) {
        if self.is_any() {
            self.is_refused.store(false, Ordering::Relaxed);
        }
    }

    /// Called under the lock of `Threads`. Whether the listeners have to be told, after its release.
    #[must_use]
    pub(super) fn set(&self) -> bool {
        let is_first = !self.is_refused.swap(true, Ordering::Relaxed);
        if is_first {
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        is_first
    }
}

impl Registry {
    /// Tells the threads in `join` and the loops that a thread was refused.
    pub(super) fn tell_of_refusal(self: &Arc<Self>) {
        let refusal = self.refusals.count.load(Ordering::Relaxed);
        let mut listeners = self.refusals.listeners.lock();
        listeners.last_attempt = Some(now());
        let wakers: Vec<_> = listeners.joining.values().cloned().collect();
        let mut loops = Vec::new();
        for listener in listeners.loops.values_mut() {
            listener.told = refusal;
            loops.extend(listener.target.upgrade());
        }
        drop(listeners);
        wakers.into_iter().for_each(Waker::wake);
        for event_loop in loops {
            event_loop.retry_later(self, refusal);
        }
    }

    /// A job of this loop was submitted. The loop is told of refusals, and of one that came before.
    pub(crate) fn listen_for_refusals(
        self: &Arc<Self>,
        listener: &Arc<impl RefusalListener + 'static>,
    ) {
        let address = Arc::as_ptr(listener).addr();
        let refusals = &self.refusals;
        let refusal = refusals.count.load(Ordering::Relaxed);
        let mut listeners = refusals.listeners.lock();
        if listeners.loops.len() >= listeners.sweep_at {
            listeners
                .loops
                .retain(|_, listener| listener.target.strong_count() > 0);
            listeners.sweep_at = FEW + 2 * listeners.loops.len();
        }
        let entry = listeners.loops.entry(address);
        let entry = entry.or_insert_with(|| {
            let target: Weak<dyn RefusalListener> = Arc::downgrade(listener) as Weak<_>;
            LoopListener { target, told: 0 }
        });
        let is_news = refusals.is_any() && entry.told != refusal;
        entry.told = refusal;
        drop(listeners);
        if is_news {
            listener.retry_later(self, refusal);
        }
    }

    /// If jobs still wait for a thread, and no attempt was made in this pause, asks the system again.
    pub(crate) fn retry_refused(self: &Arc<Self>) {
        let mut listeners = self.refusals.listeners.lock();
        let now = now();
        let before = listeners.last_attempt;
        if before.is_some_and(|before| now.saturating_duration_since(before) < RETRY_PAUSE) {
            return;
        }
        listeners.last_attempt = Some(now);
        drop(listeners);
        let threads = self.threads.lock();
        if self.has_jobs(&threads) {
            self.wake_or_start(threads, Demand::Job);
        } else {
            self.refusals.clear();
        }
    }
}

/// While it exists, a refusal wakes its thread.
#[must_use]
pub(crate) struct JoinListener {
    registry: Arc<Registry>,
    number: u64,
}

impl JoinListener {
    /// `waker` wakes a parker of this crate. Call it before the last check of [`Refusals::is_any`].
    pub(crate) fn new(registry: &Arc<Registry>, waker: Waker) -> Self {
        let mut listeners = registry.refusals.listeners.lock();
        let number = listeners.next;
        listeners.next += 1;
        listeners.joining.insert(number, waker);
        drop(listeners);
        Self {
            registry: registry.clone(),
            number,
        }
    }
}

impl Drop for JoinListener {
    fn drop(&mut self) {
        let mut listeners = self.registry.refusals.listeners.lock();
        let waker = listeners.joining.remove(&self.number);
        drop(listeners);
        drop(waker);
    }
}
