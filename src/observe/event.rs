//! What a recording is made of: slices of a thread's time, arrows between them, the lives of tasks.
//!
//! The functions here are called at the places where a turn, a step, a job or a wait begins and ends. If nothing records, each
//! costs one check. What is in a slice is on the same thread, and begins and ends within it.

use crate::observe::log;
use std::panic::Location;

/// A part of a thread's time.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Slice {
    /// A loop runs what was ready.
    Turn,
    /// A loop polls, calls or drops what was spawned there.
    Step(&'static Location<'static>),
    /// A thread gives a job to a pool, or starts a thread for it.
    Submit(&'static Location<'static>),
    /// A worker runs a job that was submitted there.
    Job(&'static Location<'static>),
    /// A thread hands something to a loop, there.
    Post(&'static Location<'static>),
    /// A thread waits in the call of this name.
    Wait(&'static str),
}

/// Why something happens after something else, on another thread as a rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Arrow {
    /// From the submit to the job.
    Submit,
    /// From the end of the job to what takes its result.
    Result,
    /// From the post to the step that it caused.
    Post,
    /// From the end of a task to what takes its result.
    Answer,
}

/// The address of a loop, and a task's key there. After the task's end another task may have them.
pub(crate) type TaskAddress = (usize, u32);

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Begin(Slice),
    End,
    /// An arrow leaves the innermost slice. The number is that of the other end.
    From(Arrow, usize),
    To(Arrow, usize),
    Spawned(TaskAddress, &'static Location<'static>),
    Ended(TaskAddress),
}

/// Whether anything records.
#[inline]
pub(crate) fn is_on() -> bool {
    log::is_on()
}

/// A guard: its drop ends the slice.
#[must_use]
pub(crate) struct OpenSlice(bool);

impl Drop for OpenSlice {
    fn drop(&mut self) {
        if self.0 {
            log::push(Event::End);
        }
    }
}

/// Begins a slice, which must end on this thread.
#[inline]
pub(crate) fn slice(slice: impl FnOnce() -> Slice) -> OpenSlice {
    let is_on = log::is_on();
    if is_on {
        log::push(Event::Begin(slice()));
    }
    OpenSlice(is_on)
}

/// An arrow begins here. `number` is one that its other end has too, and no other arrow of this kind meanwhile.
#[inline]
pub(crate) fn arrow_from(arrow: Arrow, number: impl FnOnce() -> usize) {
    if log::is_on() {
        log::push(Event::From(arrow, number()));
    }
}

/// The arrow ends here.
#[inline]
pub(crate) fn arrow_to(arrow: Arrow, number: impl FnOnce() -> usize) {
    if log::is_on() {
        log::push(Event::To(arrow, number()));
    }
}

#[inline]
pub(crate) fn task_spawned(task: impl FnOnce() -> TaskAddress, at: &'static Location<'static>) {
    if log::is_on() {
        log::push(Event::Spawned(task(), at));
    }
}

#[inline]
pub(crate) fn task_ended(task: impl FnOnce() -> TaskAddress) {
    if log::is_on() {
        log::push(Event::Ended(task()));
    }
}

/// A post to a loop, from this thread.
pub(crate) struct Posted(usize);

impl Posted {
    /// The slice lasts until the post is made.
    #[inline]
    pub(crate) fn begin(at: &'static Location<'static>) -> (OpenSlice, Self) {
        let open = slice(|| Slice::Post(at));
        let number = if open.0 { log::next_post() } else { 0 };
        if open.0 {
            log::push(Event::From(Arrow::Post, number));
        }
        (open, Self(number))
    }

    /// The loop's step has begun.
    #[inline]
    pub(crate) fn arrives(&self) {
        if self.0 > 0 {
            arrow_to(Arrow::Post, || self.0);
        }
    }
}
