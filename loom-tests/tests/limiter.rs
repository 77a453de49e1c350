//! Tokens are asked for, handed over, given back, and their number is changed.

use footbridge::{Asyncify, Limiter, Pool};
use loom_tests::internals::block_on;
use loom_tests::{Data, explore, explore_within, spawn};
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

fn acquire(limiter: &Limiter) -> footbridge::Permit {
    let mut acquire = pin!(limiter.acquire());
    block_on(|context| acquire.as_mut().poll(context))
}

#[test]
fn one_token_is_held_by_one_at_a_time() {
    explore(|| {
        let limiter = Limiter::new(1);
        let inside = Data::default();
        for _ in 0..2 {
            let (limiter, inside) = (limiter.clone(), inside.clone());
            spawn(move || {
                let _permit = acquire(&limiter);
                assert_eq!(inside.get(), 0);
                inside.set(1);
                inside.set(0);
            });
        }
    });
}

#[test]
fn a_token_handed_to_an_acquire_that_is_dropped_goes_to_the_next() {
    explore(|| {
        let limiter = Limiter::new(1);
        let held = limiter.try_acquire();
        let mut given_up = Box::pin(limiter.acquire());
        let polled = given_up
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        let next = limiter.clone();
        let waiting = spawn(move || drop(acquire(&next)));
        let giving_up = spawn(move || drop(given_up));
        drop(held);
        waiting.join().unwrap();
        giving_up.join().unwrap();
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

#[test]
fn a_raise_against_a_release_lets_everybody_in() {
    explore(|| {
        let limiter = Limiter::new(1);
        let held = limiter.try_acquire();
        let waiting = limiter.clone();
        let waiting = spawn(move || {
            let first = acquire(&waiting);
            let second = acquire(&waiting);
            drop((first, second));
        });
        let raising = limiter.clone();
        let raising = spawn(move || raising.set_total_tokens(2));
        drop(held);
        waiting.join().unwrap();
        raising.join().unwrap();
        assert_eq!(limiter.available_tokens(), 2);
    });
}

#[test]
fn who_asks_against_a_release_is_let_in() {
    explore(|| {
        let limiter = Limiter::new(1);
        let held = limiter.try_acquire();
        let data = Data::default();
        let (other, seen) = (limiter.clone(), data.clone());
        let waiting = spawn(move || {
            let _permit = acquire(&other);
            assert_eq!(seen.get(), 1);
        });
        data.set(1);
        drop(held);
        waiting.join().unwrap();
    });
}

#[test]
fn a_detached_call_in_line_against_the_release_is_submitted() {
    explore_within(3, || {
        let pool = Pool::builder().max_threads(1).build();
        let limiter = Limiter::new(1);
        let held = limiter.try_acquire();
        let data = Data::default();
        let written = data.clone();
        let bounded = Asyncify::new().pool(&pool).limiter(&limiter);
        let call = bounded.wrap(move || written.set(1));
        let releasing = spawn(move || drop(held));
        call().detach();
        // Behind it in line.
        drop(acquire(&limiter));
        assert_eq!(data.get(), 1);
        releasing.join().unwrap();
        pool.shutdown(Duration::MAX).unwrap();
    });
}
