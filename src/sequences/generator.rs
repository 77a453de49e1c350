//! A generator: a blocking function on a worker that sends items to async code.
//!
//! The rule: a generator keeps its thread for as long as it runs, but not its slot. So what it iterates may borrow and need
//! not be `Send`, and while the consumer is behind, the slot is free for other jobs.

use crate::bridge::cancel::Cancelled;
use crate::bridge::report::shown;
use crate::bridge::spawn_blocking::spawn_blocking;
use crate::observe::event::{self, Slice};
use crate::pool::wait;
use crate::sequences::channel::Channel;
use crate::sequences::items::Items;
use crate::sync::Arc;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::task::Context;

/// Runs `generate` on a worker thread, at once, and gives what it [sends](Sink::send) to async code.
///
/// The function has its thread to itself, so what it iterates may borrow, and need not be `Send`: the rows of a statement,
/// the lines of a locked file. Only the items cross threads. What the function returns is dropped. To tell an error, send it
/// as the last item. [`asyncify_iter`](crate::asyncify_iter) is for an iterator that is at hand.
///
/// The job goes where that of [`spawn_blocking`](crate::spawn_blocking) would: to the pool of the current loop, or to the
/// global one. If the function panics, its panic is passed on after the items that were sent before.
///
/// ```
/// use footbridge::{run, spawn_generator};
/// use std::io::BufRead;
///
/// let lengths = run(async {
///     let mut lines = spawn_generator(|sink| {
///         let text = String::from("one\nthree"); // a locked stdin, a file
///         for line in text.as_bytes().lines() {
///             if sink.send(line).is_err() {
///                 return; // nothing wants the rest
///             }
///         }
///     });
///     let mut lengths = Vec::new();
///     while let Some(line) = lines.next().await {
///         lengths.push(line.unwrap().len());
///     }
///     lengths
/// });
/// assert_eq!(lengths, [3, 5]);
/// ```
#[track_caller]
pub fn spawn_generator<T, R, F>(generate: F) -> Items<T>
where
    F: FnOnce(&Sink<T>) -> R + Send + 'static,
    T: Send + 'static,
    R: 'static,
{
    let channel = Arc::new(Channel::new());
    let job = job(channel.clone(), generate);
    Items::new(channel, spawn_blocking(job))
}

/// The job of a generator.
pub(super) fn job<T, R, F>(channel: Arc<Channel<T>>, generate: F) -> impl FnOnce() + Send
where
    F: FnOnce(&Sink<T>) -> R + Send + 'static,
    T: Send + 'static,
    R: 'static,
{
    move || {
        let sink = Sink {
            channel,
            _not_sync: PhantomData,
        };
        drop(generate(&sink));
    }
}

/// Where a [generator](spawn_generator) sends its items. It stays on the generator's thread.
pub struct Sink<T> {
    channel: Arc<Channel<T>>,
    /// One thread sends.
    _not_sync: PhantomData<Cell<()>>,
}

impl<T> Sink<T> {
    /// Sends an item. If the consumer is more than a buffer behind, blocks until it has taken what was sent. Meanwhile the
    /// job's slot in the pool is released. A buffer is 128 items, and so many more are with the consumer.
    ///
    /// # Errors
    /// [`Cancelled`], if the [`Items`] were dropped. The item is dropped. [`check_cancelled`](crate::check_cancelled) says
    /// the same, for a generator that sends rarely.
    ///
    /// ```
    /// use footbridge::{Cancelled, run, spawn_generator};
    /// use std::sync::mpsc;
    ///
    /// let (tell, told) = mpsc::channel();
    /// run(async move {
    ///     let mut numbers = spawn_generator(move |sink| {
    ///         let error = (0..).find_map(|n: u64| sink.send(n).err());
    ///         tell.send(error).unwrap();
    ///     });
    ///     assert_eq!(numbers.next().await, Some(0));
    /// }); // the rest is dropped
    /// assert!(matches!(told.recv(), Ok(Some(Cancelled { .. }))));
    /// ```
    pub fn send(&self, item: T) -> Result<(), Cancelled> {
        let mut item = Some(item);
        let mut slice = None;
        let poll = |context: &mut Context<'_>| {
            let sent = self.channel.poll_send(&mut item, context);
            if sent.is_pending() {
                slice.get_or_insert_with(|| event::slice(|| Slice::Wait("send")));
            }
            sent
        };
        wait::block_on(shown("send", poll))
    }
}

impl<T> fmt::Debug for Sink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").finish_non_exhaustive()
    }
}
