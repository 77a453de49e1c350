//! The loom version: every lock, atomic and thread is loom's. In `tests/shuttle` the crate named loom is shuttle.
//!
//! In the model, a timed wait ends by notification or by timeout, and both are explored. If no thread can notify, it times
//! out. The clock of a thread stands still until that thread has waited for a deadline.

pub use super::logged::{AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence};
pub use loom::sync::MutexGuard;
pub(crate) use loom::thread::{Thread, ThreadId};

use super::interleaving::{Action, log, step};
use std::cell::Cell;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{LazyLock, atomic};
use std::time::Instant;

/// One: so a model of two items has a full buffer.
pub(crate) const BATCH: usize = 1;

/// `std::thread_local!` for loom, which has no `const` initialisers.
macro_rules! local_of_thread {
    ($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = const { $init:expr };) => {
        loom::thread_local! { $(#[$attr])* $vis static $name: $type = $init; }
    };
    ($(#[$attr:meta])* $vis:vis static $name:ident: $type:ty = $init:expr;) => {
        loom::thread_local! { $(#[$attr])* $vis static $name: $type = $init; }
    };
}
pub(crate) use local_of_thread as thread_local;

#[derive(Default)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        let guard = step(self, || self.0.lock(), |_| Action::Step(None, None));
        guard.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.0
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn into_inner(self) -> T {
        self.0
            .into_inner()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[derive(Default)]
pub(crate) struct Condvar {
    condvar: loom::sync::Condvar,
    // std's, so that loom sees no step in it.
    timeouts: atomic::AtomicUsize,
}

/// How many waits may time out at any moment.
const SUDDEN_TIMEOUTS: usize = 2;

impl Condvar {
    #[track_caller]
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        log(self, Action::Call(" sleeps"));
        let guard = step(
            self,
            || self.condvar.wait(guard),
            |_| Action::Call(" wakes"),
        );
        guard.unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Loom's own timeouts never fire. So this releases the lock and takes it again. A notification comes before, in
    /// between, or later. After `SUDDEN_TIMEOUTS` waits it lets the other threads go first. That explores less, but a thread
    /// that sleeps in a loop then lets others run.
    ///
    /// Always returns that the deadline came first. A notified thread has to check the state under the lock anyway.
    #[track_caller]
    pub(crate) fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        lock: &'a Mutex<T>,
        deadline: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        reach(deadline);
        drop(guard);
        if self.timeouts.fetch_add(1, atomic::Ordering::Relaxed) >= SUDDEN_TIMEOUTS {
            loom::thread::yield_now();
        }
        let guard = step(self, || lock.0.lock(), |_| Action::Call(" times out"));
        let guard = guard.unwrap_or_else(|poisoned| poisoned.into_inner());
        (guard, true)
    }

    #[track_caller]
    pub(crate) fn notify_one(&self) {
        step(self, || self.condvar.notify_one(), |()| Action::Call(""));
    }
}

loom::thread_local! {
    // The latest deadline that this thread has waited for.
    static REACHED: Cell<Option<Instant>> = Cell::new(None);
}

/// The latest deadline that this thread has waited for. If there is none, always the same moment.
pub(crate) fn now() -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let reached = REACHED.try_with(Cell::get).ok().flatten();
    reached.unwrap_or(*START)
}

fn reach(deadline: Instant) {
    let latest = now().max(deadline);
    let _ = REACHED.try_with(|reached| reached.set(Some(latest)));
}

/// A model doesn't spin: that would only repeat what sleeping explores.
pub(crate) fn spin(_deadline: Instant, _done: impl FnMut() -> bool) -> bool {
    false
}

/// Like `spin`, but moves the clock to the deadline.
pub(crate) fn busy_wait(deadline: Instant, _done: impl FnMut() -> bool) -> bool {
    reach(deadline);
    false
}

pub(crate) fn current_thread() -> ThreadId {
    this_thread().id()
}

pub(crate) fn this_thread() -> Thread {
    loom::thread::current()
}

#[track_caller]
pub(crate) fn start_thread(
    name: String,
    stack_size: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    // Any system refuses this size. So a model can have its threads refused.
    if stack_size == Some(usize::MAX) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    log(&name, Action::Start(name.clone()));
    loom::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map(drop)
}

/// In a model, every job counts as blocked, so that growth is explored.
#[derive(Default)]
pub(crate) struct SystemThread(());

impl SystemThread {
    pub(crate) fn set_current(&self) {}

    pub(crate) fn wants_processor(&self) -> Option<bool> {
        Some(false)
    }

    pub(crate) fn doing(&self) -> Option<String> {
        None
    }
}

/// Two: the least number that makes a difference. A model has at most five threads.
pub(crate) fn available_parallelism() -> io::Result<NonZeroUsize> {
    Ok(NonZeroUsize::MIN.saturating_add(1))
}

/// If a model fails, its global pool and its thread-locals are dropped after loom has ended. Nothing in them can be used
/// then, and a second panic would hide the message of the first.
pub(crate) fn model_has_failed() -> bool {
    loom::thread::panicking()
}

/// `lazy_static! { static ref NAME: Type = make(); }`, the same in both versions.
macro_rules! lazy_static {
    (static ref $name:ident: $type:ty = $make:expr;) => {
        loom::lazy_static! { static ref $name: $type = $make; }
    };
}
pub(crate) use lazy_static;
