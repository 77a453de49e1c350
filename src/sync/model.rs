//! The face that loom explores: every lock, atomic and thread is loom's. In `tests/shuttle` it is shuttle
//! that goes by loom's name.
//!
//! Two things differ from the face that programs run on. A timeout is a choice of the model: in one
//! branch of the search the notification comes first, in another one the deadline, and where nobody
//! is left to notify, the deadline. And the clock stands still: only
//! `EventLoop::enter` counts a timeout that fired as time passed.

pub use loom::sync::MutexGuard;
pub use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
pub(crate) use loom::thread::ThreadId;

use std::io;
use std::num::NonZeroUsize;
use std::sync::{LazyLock, atomic};
use std::time::Instant;

/// `std::thread_local!` in loom's older grammar, which has no `const` initialisers.
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

    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
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
    // std's, so that loom doesn't take it for a step.
    timeouts: atomic::AtomicUsize,
}

/// So often a wait may be over at any moment.
const SUDDEN_TIMEOUTS: usize = 2;

impl Condvar {
    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.condvar
            .wait(guard)
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Loom's own timeouts never fire. This lets the lock go and takes it again: whoever notifies comes
    /// in between, or before, or later. After some times it lets the others go first, which explores
    /// less, but lets whoever sleeps in a loop make room.
    ///
    /// Always says that the deadline came first: who was notified finds that out from what the lock
    /// holds, and has to look there anyway.
    pub(crate) fn wait_until<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        lock: &'a Mutex<T>,
        _deadline: Instant,
    ) -> (MutexGuard<'a, T>, bool) {
        drop(guard);
        if self.timeouts.fetch_add(1, atomic::Ordering::Relaxed) >= SUDDEN_TIMEOUTS {
            loom::thread::yield_now();
        }
        (lock.lock(), true)
    }

    pub(crate) fn notify_one(&self) {
        self.condvar.notify_one();
    }
}

/// One moment for all time.
pub(crate) fn now() -> Instant {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    *START
}

/// Not in a model: it would only repeat what sleeping explores.
pub(crate) fn spin(_deadline: Instant, _done: impl FnMut() -> bool) -> bool {
    false
}

pub(crate) use spin as busy_wait;

pub(crate) fn current_thread() -> ThreadId {
    loom::thread::current().id()
}

pub(crate) fn start_thread(
    name: String,
    stack_size: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    // As any system does: so a model can have its threads refused.
    if stack_size == Some(usize::MAX) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    loom::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map(drop)
}

/// A job of a model's is taken to be blocked, so that growing is explored.
#[derive(Default)]
pub(crate) struct SystemThread(());

impl SystemThread {
    pub(crate) fn set_current(&self) {}

    pub(crate) fn wants_processor(&self) -> Option<bool> {
        Some(false)
    }
}

/// Two, as few as make a difference: a model has five threads at most.
pub(crate) fn available_parallelism() -> io::Result<NonZeroUsize> {
    Ok(NonZeroUsize::MIN.saturating_add(1))
}

/// A model that fails drops its global pool, and what its threads keep, when loom is no more: nothing of it can be
/// touched, there is nobody to be told, and a second panic would hide what the first one said.
pub(crate) fn model_has_failed() -> bool {
    loom::thread::panicking()
}

/// `lazy_static! { static ref NAME: Type = make(); }`, for all faces alike.
macro_rules! lazy_static {
    (static ref $name:ident: $type:ty = $make:expr;) => {
        loom::lazy_static! { static ref $name: $type = $make; }
    };
}
pub(crate) use lazy_static;
