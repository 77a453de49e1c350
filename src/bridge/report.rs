//! What calls and limiters say for a [dump](crate::dump()).

use crate::bridge::call::current_call;
use crate::bridge::limiter::LimiterState;
use crate::pool::report::park;
use crate::sync::hint::Living;
use crate::sync::{Arc, Mutex};
use std::task::{Context, Poll};

/// All limiters that haven't been dropped.
pub(super) static LIMITERS: Living<Mutex<LimiterState>> = Living::new();

pub(crate) struct LimiterReport {
    /// An address that no other living limiter has.
    pub(crate) address: usize,
    pub(crate) total: usize,
    pub(crate) borrowed: usize,
    /// The line: each place, which is never given again, and the target of the waker that waits there.
    pub(crate) line: Vec<(u64, usize)>,
}

pub(crate) fn limiters() -> Vec<LimiterReport> {
    let report = |(shared, ()): (Arc<Mutex<LimiterState>>, ())| {
        let state = shared.lock();
        LimiterReport {
            address: Arc::as_ptr(&shared).addr(),
            total: state.total,
            borrowed: state.borrowed,
            line: state
                .waiting
                .iter()
                .map(|(place, waiting)| (*place, waiting.waker.data().addr()))
                .collect(),
        }
    };
    LIMITERS.all().into_iter().map(report).collect()
}

/// Polls what the current call waits for in the call of this name. From the first pending poll on, a dump says so.
pub(crate) fn shown<T>(
    what: &'static str,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> impl FnMut(&mut Context<'_>) -> Poll<T> {
    let mut parked = None;
    move |context| {
        let polled = poll(context);
        if polled.is_pending() && parked.is_none() {
            let job = || Some(current_call()?.into_queued());
            parked = park(what, context.waker(), job);
        }
        polled
    }
}
