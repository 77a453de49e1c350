//! `run` and `yield_now`.

use crate::bridge::call::current_call;
use crate::bridge::deadlock::{WaitTracker, watched};
use crate::event_loop::loop_cache;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::Poll;

/// Runs `main` on a fresh event loop on this thread, and returns what it returns.
///
/// Tasks that are left when `main` is done are dropped on this thread, in the order in which they were spawned. Jobs on
/// worker threads are not waited for: await what has to be done. ([`Pool::shutdown`](crate::Pool::shutdown), of a pool of
/// your own, waits for those that have begun.)
///
/// If the caller of a job goes away, a `run` in that job goes on: it returns what `main` returns and nothing else. `main`
/// can ask [`check_cancelled`](crate::check_cancelled). To drop an async function in that case, use
/// [`Syncify::raise_sync_error(false)`](crate::Syncify::raise_sync_error). It also runs the function on a loop here, if
/// there is no other.
///
/// # Panics
/// If an event loop runs on this thread already. `main` isn't polled then. If `main` panics, its panic is passed on once
/// the loop has ended.
///
/// ```
/// assert_eq!(footbridge::run(async { 1 + 1 }), 2);
/// ```
#[track_caller]
pub fn run<F: Future>(main: F) -> F::Output {
    let mut event_loop = loop_cache::take();
    let what = "footbridge::run";
    let output = match WaitTracker::new(current_call(), false) {
        // As one type for all main futures: few run in a job that holds a token.
        Some(watch) => {
            let main: Pin<Box<dyn Future<Output = F::Output> + '_>> = Box::pin(main);
            event_loop.enter(watched(watch, main), what, Location::caller())
        }
        None => event_loop.enter(main, what, Location::caller()),
    };
    loop_cache::keep(event_loop);
    output
}

/// Lets everything else that is ready run once. Works on any executor.
///
/// ```
/// footbridge::run(async {
///     let task = footbridge::spawn(async { "ran" });
///     assert!(!task.is_finished());
///     footbridge::yield_now().await;
///     assert!(task.is_finished());
/// });
/// ```
pub fn yield_now() -> impl Future<Output = ()> {
    let mut yielded = false;
    poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
