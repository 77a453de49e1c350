//! A future that isn't ready knows best when to poll it again. So each poll hands it a *waker*: a function that it may
//! keep, and call from any thread, and that says "poll me again". Until then the thread can sleep.
//!
//! The thread sleeps in a *parker*. The rule: an `unpark` is never lost. If it comes before the `park`, the parker keeps
//! a *token*, and the `park` returns at once.

use super::world::{Condvar, Mutex};
use crate::watchdog::{ends, hangs};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
pub struct Parker {
    pub(crate) token: Mutex<bool>,
    pub(crate) condvar: Condvar,
}

impl Parker {
    pub fn park(&self) {
        let mut token = self.token.lock().unwrap();
        while !*token {
            token = self.condvar.wait(token).unwrap();
        }
        *token = false;
    }

    pub fn unpark(&self) {
        *self.token.lock().unwrap() = true;
        self.condvar.notify_one();
    }
}

/// A waker is a reference-counted value with this method.
impl Wake for Parker {
    fn wake(self: Arc<Self>) {
        self.unpark();
    }
}

/// Polls `future` on this thread, and sleeps in between.
pub fn block_on<F: Future>(park: fn(&Parker), future: F) -> F::Output {
    let mut future = pin!(future);
    let parker = Arc::new(Parker::default());
    let waker = Waker::from(parker.clone());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        park(&parker);
    }
}

/// Is woken before the thread can park: in its own first poll.
pub async fn yield_now() {
    let mut yielded = false;
    let once = |context: &mut Context<'_>| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    };
    poll_fn(once).await
}

// What fails without it, and no longer fails with it.

impl Parker {
    /// What one writes first: a condition variable remembers nothing, so this sleeps however often it was notified before.
    fn park_without_token(&self) {
        let token = self.token.lock().unwrap();
        drop(self.condvar.wait(token).unwrap());
    }
}

pub fn main() {
    let hung = hangs(|| block_on(Parker::park_without_token, yield_now()));
    println!("woken before it parks, without a token: hangs = {hung}");
    ends(|| block_on(Parker::park, yield_now()));
    println!("with a token: it ends");
}

// For real: `src/sync/parker.rs`. It adds deadlines, a state that tells whether the owner sleeps, so that only a sleeper is
// notified, and a short spin before the sleep. How long a spin is worth it, `src/sync/backoff.rs` learns.
