//! Blocks a thread until something is ready. It polls, and sleeps between polls. A worker releases its slot meanwhile.

use crate::pool::{slot, worker_context};
use crate::sync::parker::Parker;
use crate::sync::{Arc, now, thread_local, waker};
use std::cell::Cell;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Blocks this thread until `poll` is ready.
///
/// A worker spins for its pool's spin time before it sleeps. A thread outside all pools doesn't spin.
pub fn block_on<T>(poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    block_on_patiently(Duration::ZERO, &Cell::new(None), poll)
}

/// Like [`block_on`], but a thread outside all pools spins for `spin_time`. If no wake-up comes within `patience`, it polls
/// again. `poll` may set `patience`.
pub(crate) fn block_on_patiently<T>(
    spin_time: Duration,
    patience: &Cell<Option<Duration>>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> T {
    thread_local! {
        static CACHED: Cell<Option<(Arc<Parker>, Waker)>> = const { Cell::new(None) };
    }
    // Taken, not borrowed: `poll` may block too.
    let cached = CACHED.try_with(Cell::take).ok().flatten();
    let (parker, waker) = cached.unwrap_or_else(|| {
        let parker = Arc::new(Parker::new());
        (parker.clone(), waker(parker))
    });
    let mut context = Context::from_waker(&waker);
    let mut value = poll(&mut context);
    if value.is_pending() {
        let _slot = slot::release();
        let spin_time = worker_context::spin_time().unwrap_or(spin_time);
        while value.is_pending() {
            let deadline = patience
                .get()
                .and_then(|patience| now().checked_add(patience));
            let _ = parker.spin_then_park(spin_time, deadline, || ());
            value = poll(&mut context);
        }
    }
    // If the thread ends, the thread-local may be gone.
    let _ = CACHED.try_with(|cached| cached.set(Some((parker, waker))));
    match value {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("the wait has just ended"),
    }
}
