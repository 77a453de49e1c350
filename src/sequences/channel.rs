//! The buffer between the two sides of a sequence. One thread sends, another one receives.
//!
//! ```text
//!   send:  one by one                  receive:  all there is, with one lock
//!
//!            [ items: up to BATCH ]  --------->  [ batch: up to BATCH ]  --->  one by one
//! ```
//!
//! | the items are | the sender | the receiver |
//! | --- | --- | --- |
//! | none | sends; if the receiver waits, wakes it | waits |
//! | some | sends | takes all |
//! | `BATCH` | waits | takes all, and wakes the sender: it has room for a whole batch, and as much is left to receive |
//! | closed: the receiver is gone | is refused | |
//!
//! The rule: that a side finds it has to wait, and that it leaves its waker, are one step under the lock.

use crate::bridge::cancel::Cancelled;
use crate::sync::panics::{drop_quietly, wake};
use crate::sync::{Arc, BATCH, Mutex};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker, ready};

pub(super) struct Channel<T>(Mutex<ChannelState<T>>);

struct ChannelState<T> {
    items: VecDeque<T>,
    /// Waits for room. Only while the items are `BATCH`.
    sender: Option<Waker>,
    /// Waits for an item. Only while there is none.
    receiver: Option<Waker>,
    closed: bool,
}

impl<T> Channel<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(ChannelState {
            items: VecDeque::new(),
            sender: None,
            receiver: None,
            closed: false,
        }))
    }

    /// Sends the item, and leaves `None` in its place. If there is no room, the waker of `context` is called when there is.
    pub(super) fn poll_send(
        &self,
        item: &mut Option<T>,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Cancelled>> {
        let mut new = None;
        loop {
            let mut state = self.0.lock();
            if state.closed {
                drop(state);
                drop_quietly(new);
                return Poll::Ready(Err(Cancelled(())));
            }
            if state.items.len() < BATCH {
                state.items.extend(item.take());
                let receiver = state.receiver.take();
                drop(state);
                drop_quietly(new);
                if let Some(receiver) = receiver {
                    wake(receiver);
                }
                return Poll::Ready(Ok(()));
            }
            if new.is_some() {
                let old = std::mem::replace(&mut state.sender, new);
                drop(state);
                drop_quietly(old);
                return Poll::Pending;
            }
            drop(state);
            // Outside the lock, because the clone may run user code.
            new = Some(context.waker().clone());
        }
    }

    /// Swaps the items with `batch`, which is empty. `false`: there were none.
    fn take(&self, batch: &mut VecDeque<T>) -> bool {
        let mut state = self.0.lock();
        if state.items.is_empty() {
            return false;
        }
        std::mem::swap(&mut state.items, batch);
        let sender = state.sender.take();
        drop(state);
        if let Some(sender) = sender {
            wake(sender);
        }
        true
    }

    /// Leaves the waker of `context` for the next item. `Ready`: there is one already.
    fn poll_item(&self, context: &mut Context<'_>) -> Poll<()> {
        let new = context.waker().clone();
        let mut state = self.0.lock();
        let (old, polled) = if state.items.is_empty() {
            (state.receiver.replace(new), Poll::Pending)
        } else {
            (Some(new), Poll::Ready(()))
        };
        drop(state);
        drop_quietly(old);
        polled
    }

    /// The receiver goes: drops what was sent, and refuses what comes.
    fn close(&self) {
        let mut state = self.0.lock();
        state.closed = true;
        let items = std::mem::take(&mut state.items);
        let (sender, receiver) = (state.sender.take(), state.receiver.take());
        drop(state);
        if let Some(sender) = sender {
            wake(sender);
        }
        drop_quietly(receiver);
        items.into_iter().for_each(drop_quietly);
    }
}

/// The receiving side. `E` tells how the sending side has ended.
pub(super) struct Receiver<T, E> {
    channel: Arc<Channel<T>>,
    batch: VecDeque<T>,
    end: Option<E>,
}

impl<T, E> Receiver<T, E> {
    pub(super) fn new(channel: Arc<Channel<T>>) -> Self {
        Self {
            channel,
            batch: VecDeque::new(),
            end: None,
        }
    }

    /// The next item that is there already.
    pub(super) fn try_next(&mut self) -> Option<T> {
        if self.batch.is_empty() {
            self.channel.take(&mut self.batch);
        }
        self.batch.pop_front()
    }

    /// The next item, or how the sending side has ended: after all items, and once. `poll_end` is ready when nothing is
    /// sent any more.
    pub(super) fn poll_next(
        &mut self,
        context: &mut Context<'_>,
        poll_end: impl FnOnce(&mut Context<'_>) -> Poll<E>,
    ) -> Poll<Result<T, E>> {
        if let Some(item) = self.try_next() {
            return Poll::Ready(Ok(item));
        }
        if self.end.is_none() && self.channel.poll_item(context).is_pending() {
            self.end = Some(ready!(poll_end(context)));
        }
        // An item may have come since the first look, also before the end.
        match (self.try_next(), self.end.take()) {
            (Some(item), end) => {
                self.end = end;
                Poll::Ready(Ok(item))
            }
            (None, Some(end)) => Poll::Ready(Err(end)),
            (None, None) => unreachable!("only this side takes items"),
        }
    }
}

impl<T, E> Drop for Receiver<T, E> {
    fn drop(&mut self) {
        self.channel.close();
        // One by one: if two drops panic at once, the second panic ends the process.
        self.batch.drain(..).for_each(drop_quietly);
        drop_quietly(self.end.take());
    }
}
