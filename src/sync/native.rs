//! The version for programs: std's atomics and threads, the locks of parking_lot or of std.

pub(crate) use std::sync::atomic::{
    AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence,
};
pub(crate) use std::thread::{Thread, ThreadId, available_parallelism};
pub(crate) use std::thread_local;

use std::io;
use std::time::Instant;

/// How many items of a sequence are handed over at once.
pub(crate) const BATCH: usize = 128;

#[cfg(feature = "parking_lot")]
mod locks {
    pub(crate) use parking_lot::{Mutex, MutexGuard};
    use std::time::Instant;

    #[derive(Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    impl Condvar {
        pub(crate) fn wait<'a, T>(&self, mut guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(&mut guard);
            guard
        }

        /// The flag says that the deadline came first. `_lock` is for the model, which takes the lock again.
        pub(crate) fn wait_until<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            _lock: &'a Mutex<T>,
            deadline: Instant,
        ) -> (MutexGuard<'a, T>, bool) {
            let timed_out = self.0.wait_until(&mut guard, deadline).timed_out();
            (guard, timed_out)
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }
}

#[cfg(not(feature = "parking_lot"))]
mod locks {
    use std::sync::PoisonError;
    use std::time::Instant;

    pub(crate) use std::sync::MutexGuard;

    /// std's lock without poisoning. No user code runs under a lock of this crate, so a panic can't leave a value
    /// half-changed.
    #[derive(Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Default)]
    pub(crate) struct Condvar(std::sync::Condvar);

    impl Condvar {
        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        /// The flag says that the deadline came first.
        pub(crate) fn wait_until<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _lock: &'a Mutex<T>,
            deadline: Instant,
        ) -> (MutexGuard<'a, T>, bool) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // A sleep of no time may take 50 microseconds. parking_lot checks before, too.
                return (guard, true);
            }
            let (guard, result) = self
                .0
                .wait_timeout(guard, left)
                .unwrap_or_else(PoisonError::into_inner);
            (guard, result.timed_out())
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }
    }
}

pub(crate) use locks::*;

/// The clock of the timers.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Yields the processor again and again until `done`, or until `deadline`, which is soon.
pub(crate) fn spin(deadline: Instant, mut done: impl FnMut() -> bool) -> bool {
    while !done() {
        if now() >= deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Keeps the processor until `done`, or until `deadline`, which is very soon.
pub(crate) fn busy_wait(deadline: Instant, mut done: impl FnMut() -> bool) -> bool {
    while !done() {
        if now() >= deadline {
            return false;
        }
        std::hint::spin_loop();
    }
    true
}

pub(crate) fn current_thread() -> ThreadId {
    this_thread().id()
}

pub(crate) fn this_thread() -> Thread {
    std::thread::current()
}

/// Starts a thread that isn't joined. If the system refuses it, returns the system's error.
pub(crate) fn start_thread(
    name: String,
    stack_size: Option<usize>,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let mut builder = std::thread::Builder::new().name(name);
    if let Some(bytes) = stack_size {
        builder = builder.stack_size(bytes);
    }
    builder.spawn(body).map(drop)
}

/// Only a model can fail.
pub(crate) fn model_has_failed() -> bool {
    false
}

/// `lazy_static! { static ref NAME: Type = make(); }`, the same in both versions.
macro_rules! lazy_static {
    (static ref $name:ident: $type:ty = $make:expr;) => {
        static $name: std::sync::LazyLock<$type> = std::sync::LazyLock::new(|| $make);
    };
}
pub(crate) use lazy_static;
