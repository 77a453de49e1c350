//! What one hop takes along: the context that was current there, and what its `carry`s have captured.
//!
//! The rule: the code that runs in it runs exactly once, and its panic is passed on after the wrappers have returned.

use crate::context::{Context, Entry};
use crate::sync::panics::{Payload, catch_panic, drop_quietly};
use std::mem;
use std::panic::resume_unwind;

/// What a `capture` returns.
pub(super) type Wrapper = Box<dyn Fn(&mut dyn FnMut()) + Send>;

/// In a box, so that what holds one is little larger. `None`: the empty context.
pub struct Inherited(Option<Box<Snapshot>>);

#[derive(Default)]
struct Snapshot {
    context: Context,
    wrappers: Vec<Wrapper>,
}

impl Inherited {
    /// What a hop takes along that is made here and now. `None`: there is no context.
    ///
    /// # Panics
    /// With the panic of a capture.
    #[inline]
    pub(crate) fn current() -> Option<Self> {
        let context = Context::current();
        (!context.is_empty()).then(|| Self::of(context))
    }

    /// As [`current`](Self::current), for what runs or is dropped where another context may be in force: the empty
    /// context is taken along, too.
    #[inline]
    pub(crate) fn current_or_empty() -> Self {
        Self::current().unwrap_or(Self::EMPTY)
    }

    pub(crate) const EMPTY: Self = Self(None);

    /// As [`current`](Self::current), for a context that is the current one.
    #[cold]
    pub(super) fn of(context: Context) -> Self {
        let capture = |entry: &Entry| match entry {
            Entry::Capture(capture) => Some(capture()),
            Entry::Value(_) => None,
        };
        // Made before the captures are called. If one of them panics, the wrappers made so far are dropped quietly.
        let mut inherited = Self(Some(Box::default()));
        if let Some(snapshot) = &mut inherited.0 {
            snapshot.context = context;
            let captured = snapshot.context.entries().iter().filter_map(capture);
            snapshot.wrappers.extend(captured);
        }
        inherited
    }

    /// Runs user code in the context, with the wrappers around it. `None`: a wrapper hasn't called its step. Then the code
    /// is dropped in the context.
    pub(super) fn try_run<T>(&self, code: impl FnOnce() -> T) -> Option<T> {
        let Some(snapshot) = &self.0 else {
            let _left = Context::leave();
            return Some(code());
        };
        let _entered = snapshot.context.enter();
        let (mut code, mut result) = (Some(code), None);
        let wrapped = snapshot.call(&mut || {
            if let Some(code) = code.take() {
                result = Some(catch_panic(code));
            }
        });
        if code.is_some() {
            // Quietly, because a wrapper may have panicked: a panic of the drop in an unwind would abort the process.
            drop_quietly(code);
        }
        let value = match result.transpose() {
            Ok(value) => value,
            // The first panic is the one that is passed on.
            Err(payload) => {
                drop_quietly(wrapped);
                resume_unwind(payload)
            }
        };
        if let Err(payload) = wrapped {
            drop_quietly(value);
            resume_unwind(payload);
        }
        value
    }

    /// As [`try_run`](Self::try_run).
    ///
    /// # Panics
    /// If a wrapper hasn't called its step.
    pub(super) fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        self.try_run(code).unwrap_or_else(|| no_step())
    }
}

impl Snapshot {
    /// `Err`: a wrapper has panicked.
    fn call(&self, step: &mut dyn FnMut()) -> Result<(), Payload> {
        catch_panic(|| call_wrapped(&self.wrappers, step))
    }
}

#[cold]
fn no_step() -> ! {
    panic!(
        "a wrapper that was given to Context::carry returned without calling its step, which was to run a job or to \
         poll a future: call it once"
    )
}

/// The first wrapper is the outermost.
fn call_wrapped(wrappers: &[Wrapper], step: &mut dyn FnMut()) {
    match wrappers.split_first() {
        Some((outermost, others)) => outermost(&mut || call_wrapped(others, step)),
        None => step(),
    }
}

/// A task or a job may end anywhere. So a panic in the drop of a wrapper, or of a context's value, ends here.
impl Drop for Snapshot {
    fn drop(&mut self) {
        self.wrappers.drain(..).for_each(drop_quietly);
        drop_quietly(mem::take(&mut self.context));
    }
}
