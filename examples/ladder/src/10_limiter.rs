//! At most so many at once: there are *tokens*, and a call waits until it has one. A token that is given back goes to the
//! first in line, which is woken, and takes it when it is polled next.
//!
//! The rule: a token is never lost. The first in line may have been given the token and be dropped before it is polled
//! again. Then it passes the token on.

use super::parker::{Parker, block_on};
use crate::watchdog::{ends, hangs};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

#[derive(Clone)]
pub struct Limiter(Arc<Mutex<Tokens>>);

struct Tokens {
    free: usize,
    /// By place in line. A place that isn't here any more has been given a token.
    line: BTreeMap<u64, Waker>,
    next_place: u64,
}

/// A token. Dropping it gives the token back.
pub struct Permit(Limiter);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Limiter {
    pub fn new(tokens: usize) -> Self {
        let line = BTreeMap::new();
        Self(Arc::new(Mutex::new(Tokens {
            free: tokens,
            line,
            next_place: 0,
        })))
    }

    fn give_back(&self) {
        let mut tokens = self.0.lock().unwrap();
        let first = tokens.line.pop_first();
        tokens.free += usize::from(first.is_none());
        drop(tokens);
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// What one writes first.
    fn acquire_hopefully(&self) -> Acquire {
        Acquire {
            limiter: self.clone(),
            place: None,
        }
    }

    pub async fn acquire(&self) -> Permit {
        let mut acquire = PassesOn(self.acquire_hopefully());
        (&mut acquire.0).await
    }
}

struct Acquire {
    limiter: Limiter,
    place: Option<u64>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let limiter = self.limiter.clone();
        let mut tokens = limiter.0.lock().unwrap();
        let place = match self.place {
            Some(place) if !tokens.line.contains_key(&place) => {
                self.place = None;
                return Poll::Ready(Permit(limiter.clone()));
            }
            Some(place) => place,
            None if tokens.free > 0 => {
                tokens.free -= 1;
                return Poll::Ready(Permit(limiter.clone()));
            }
            None => tokens.next_place,
        };
        tokens.next_place = tokens.next_place.max(place + 1);
        tokens.line.insert(place, context.waker().clone());
        self.place = Some(place);
        Poll::Pending
    }
}

struct PassesOn(Acquire);

impl Drop for PassesOn {
    fn drop(&mut self) {
        let Acquire { limiter, place } = &self.0;
        let Some(place) = place else { return };
        let waits = limiter.0.lock().unwrap().line.remove(place).is_some();
        if !waits {
            limiter.give_back();
        }
    }
}

// What fails without it, and no longer fails with it.

/// The only token is given to one that waits, and that is dropped. Then another one asks.
fn given_and_dropped(acquire: impl AsyncFnOnce(Limiter) -> Permit) {
    let limiter = Limiter::new(1);
    let permit = block_on(Parker::park, limiter.acquire());
    let mut waits = Box::pin(acquire(limiter.clone()));
    let polled = waits.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending());
    drop(permit);
    drop(waits);
    block_on(Parker::park, limiter.acquire());
}

pub fn main() {
    let hung =
        hangs(|| given_and_dropped(async |limiter: Limiter| limiter.acquire_hopefully().await));
    println!("given to one that is dropped: the next one hangs = {hung}");
    ends(|| given_and_dropped(async |limiter: Limiter| limiter.acquire().await));
    println!("passed on: the next one has it");
}

// For real: `src/bridge/limiter.rs` and `src/bridge/acquire.rs`. They add a number of tokens that can be changed, and an
// error for a wait that can never end. No waker is cloned or dropped under the lock.
