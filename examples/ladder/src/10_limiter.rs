//! At most so many at once: there are *permits*, and a call waits until it has one. A permit that is given back goes to the
//! first in line, which is woken, and takes it when it is polled next.
//!
//! The rule: a permit is never lost. The first in line may have been given the permit and be dropped before it is polled
//! again. Then it passes the permit on.

use super::parker::{Parker, block_on};
use crate::watchdog::{ends, hangs};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

#[derive(Clone)]
pub struct Limiter(Arc<Mutex<Permits>>);

struct Permits {
    free: usize,
    /// By number. One that isn't here any more has been given a permit.
    line: BTreeMap<u64, Waker>,
    next_number: u64,
}

/// Dropping it gives it back.
pub struct Permit(Limiter);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.give_back();
    }
}

impl Limiter {
    pub fn new(permits: usize) -> Self {
        let line = BTreeMap::new();
        Self(Arc::new(Mutex::new(Permits {
            free: permits,
            line,
            next_number: 0,
        })))
    }

    fn give_back(&self) {
        let mut permits = self.0.lock().unwrap();
        let first = permits.line.pop_first();
        permits.free += usize::from(first.is_none());
        drop(permits);
        if let Some((_, waker)) = first {
            waker.wake();
        }
    }

    /// What one writes first.
    fn acquire_hopefully(&self) -> Acquire {
        Acquire {
            limiter: self.clone(),
            number: None,
        }
    }

    pub async fn acquire(&self) -> Permit {
        let mut acquire = PassesOn(self.acquire_hopefully());
        (&mut acquire.0).await
    }
}

struct Acquire {
    limiter: Limiter,
    number: Option<u64>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Permit> {
        let limiter = self.limiter.clone();
        let mut permits = limiter.0.lock().unwrap();
        let number = match self.number {
            Some(number) if !permits.line.contains_key(&number) => {
                self.number = None;
                return Poll::Ready(Permit(limiter.clone()));
            }
            Some(number) => number,
            None if permits.free > 0 => {
                permits.free -= 1;
                return Poll::Ready(Permit(limiter.clone()));
            }
            None => permits.next_number,
        };
        permits.next_number = permits.next_number.max(number + 1);
        permits.line.insert(number, context.waker().clone());
        self.number = Some(number);
        Poll::Pending
    }
}

struct PassesOn(Acquire);

impl Drop for PassesOn {
    fn drop(&mut self) {
        let Acquire { limiter, number } = &self.0;
        let Some(number) = number else { return };
        let waits = limiter.0.lock().unwrap().line.remove(number).is_some();
        if !waits {
            limiter.give_back();
        }
    }
}

// What fails without it, and no longer fails with it.

/// The only permit is given to one that waits, and that is dropped. Then another one asks.
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

// For real: `src/bridge/limiter.rs` and `src/bridge/acquire.rs`. They add a number of permits that can be changed, and an
// error for a wait that can never end. No waker is cloned or dropped under the lock.
