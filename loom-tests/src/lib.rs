//! How a model is run: through all its interleavings, which are counted.

#[cfg(not(footbridge_loom))]
compile_error!(
    "the models have to be built with --cfg footbridge_loom. The file .cargo/config.toml sets it, if cargo \
     is called in this folder and RUSTFLAGS isn't set, which would replace it"
);

pub use footbridge::internals;
pub use loom::thread::{spawn, yield_now};
pub use std::sync::Arc;

use footbridge::model::{
    AtomicUsize,
    Ordering::{Acquire, Relaxed, Release},
};
use std::future::{Future, poll_fn};
use std::io::Write;
use std::sync::atomic;
use std::task::Poll;
use std::time::Instant;

/// Runs `model` in every interleaving that there is.
pub fn explore(model: impl Fn() + Sync + Send + 'static) {
    search(None, model);
}

/// Runs `model` in every interleaving in which a thread is stopped where it might go on for
/// `preemptions` times at most. Most races need two.
pub fn explore_within(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    search(Some(preemptions), model);
}

fn search(preemptions: Option<usize>, model: impl Fn() + Sync + Send + 'static) {
    // Not loom's: it has to outlive the iterations.
    let count = Arc::new(atomic::AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = preemptions.or(builder.preemption_bound);
    builder.max_branches = 10_000;
    let start = Instant::now();
    let counted = count.clone();
    builder.check(move || {
        counted.fetch_add(1, atomic::Ordering::Relaxed);
        model();
    });
    let count = count.load(atomic::Ordering::Relaxed);
    let seconds = start.elapsed().as_secs_f32();
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    // Past the test harness, which shows nothing of a test that passes.
    let _ = writeln!(
        std::io::stdout(),
        "{count:>9} interleavings, {seconds:>5.1} s: {name}"
    );
    assert!(count > 1, "a model of one interleaving proves nothing");
}

/// Runs `f` on another thread. Ready when that is done, which it says with the waker of the first poll.
pub fn elsewhere(f: impl FnOnce() + Send + 'static) -> impl Future<Output = ()> {
    let done = Flag::default();
    let mut f = Some(f);
    poll_fn(move |context| {
        if let Some(f) = f.take() {
            let (done, waker) = (done.clone(), context.waker().clone());
            spawn(move || {
                f();
                done.raise();
                waker.wake();
            });
        }
        match done.is_raised() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
}

/// Ready when a poll sees what `wakers` threads wrote before they woke it. They start within the first.
pub fn woken_by(wakers: usize) -> impl Future<Output = ()> {
    let data: Vec<Data> = (0..wakers).map(|_| Data::default()).collect();
    let mut started = false;
    poll_fn(move |context| {
        if !std::mem::replace(&mut started, true) {
            for written in data.clone() {
                let waker = context.waker().clone();
                spawn(move || {
                    written.set(1);
                    waker.wake();
                });
            }
        }
        match data.iter().all(|data| data.get() == 1) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
}

/// Data that only the code under test makes visible.
#[derive(Clone, Default)]
pub struct Data(Arc<AtomicUsize>);

impl Data {
    #[track_caller]
    pub fn set(&self, value: usize) {
        self.0.store(value, Relaxed);
    }

    /// The last value, or an older one that this thread may still see.
    #[track_caller]
    pub fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    #[track_caller]
    pub fn add(&self, value: usize) {
        self.0.fetch_add(value, Relaxed);
    }
}

/// Says that something is over. A thread that sees it raised sees what came before; that it *is* seen is for the
/// code under test to see to.
#[derive(Clone, Default)]
pub struct Flag(Arc<AtomicUsize>);

impl Flag {
    #[track_caller]
    pub fn raise(&self) {
        self.0.store(1, Release);
    }

    #[track_caller]
    pub fn is_raised(&self) -> bool {
        self.0.load(Acquire) == 1
    }
}

/// Sets its data when it is dropped.
pub struct Guard(pub Data);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.set(1);
    }
}
