//! The way into async code, and the smallest thing to do in there.

use crate::call::current_call;
use crate::kept;
use crate::waits::{Watch, watched};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Runs `main` on a fresh event loop on this thread, and returns what it returns.
///
/// Tasks that are still there when `main` is done are dropped, on this thread, in the order in which
/// they were spawned. Jobs on worker threads that nobody awaits any more are not waited for: await what has to be
/// done. ([`Pool::shutdown`](crate::Pool::shutdown), of a pool of your own, waits for those that have begun.)
///
/// In a job, `run` isn't ended when the job's caller goes away: it returns what `main` returns and nothing else. `main` finds
/// out with [`check_cancelled`](crate::check_cancelled). An async function that is to be dropped then belongs in
/// [`Syncify::raise_sync_error(false)`](crate::Syncify::raise_sync_error), which runs it on a loop here, too, if there is
/// no other.
///
/// # Panics
/// If an event loop runs on this thread already, before `main` is touched. A panic of `main` is
/// passed on once the loop has ended.
///
/// ```
/// assert_eq!(footbridge::run(async { 1 + 1 }), 2);
/// ```
#[track_caller]
pub fn run<F: Future>(main: F) -> F::Output {
    let mut event_loop = kept::take();
    let what = "footbridge::run";
    let output = match Watch::new(current_call(), false) {
        // As one type for all of them: few are run in a job that holds a limiter's token.
        Some(watch) => {
            let main: Pin<Box<dyn Future<Output = F::Output> + '_>> = Box::pin(main);
            event_loop.enter(watched(watch, main), what)
        }
        None => event_loop.enter(main, what),
    };
    kept::keep(event_loop);
    output
}

/// Lets everything else that is ready have its turn, once. Works on any executor.
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
