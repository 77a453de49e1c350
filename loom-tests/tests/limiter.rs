//! Tokens are asked for, handed over, given back, and their number is changed.

use footbridge::{Asyncify, Limiter, Pool, run};
use loom_tests::internals::{Called, Job, Run, Token, block_on};
use loom_tests::{Arc, Data, explore, explore_within, spawn};
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
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

/// Gets in line, on a loop of its own, and is done when it is woken: served, or told that it never can be, and still in
/// line. Whether it was told. (Polled again it would panic then, and a panic that unwinds isn't for models.)
fn is_told_in_line(limiter: &Limiter) -> bool {
    let mut acquire = pin!(limiter.acquire());
    let mut asked = false;
    run(poll_fn(|context| {
        match std::mem::replace(&mut asked, true) {
            false => acquire.as_mut().poll(context).map(drop),
            true => Poll::Ready(()),
        }
    }));
    !format!("{limiter:?}").contains("waiting: 0")
}

/// A job that asks for a token of `asked`, holds one of `own`, and counts when it is told.
fn asks(own: &Limiter, asked: &Limiter, told: &Data) -> Arc<impl Run + 'static> {
    let (asked, told) = (asked.clone(), told.clone());
    let f = move || told.add(is_told_in_line(&asked).into());
    let mut job = Job::new(f, Location::caller());
    job.set_token(Token::new(0, own.try_acquire().unwrap()));
    Arc::new(job)
}

#[test]
fn a_holder_that_begins_to_wait_against_the_call_that_gets_in_line_is_a_deadlock_found() {
    explore_within(2, || {
        let pool = Pool::builder().max_threads(1).build();
        let (limiter, inner) = (Limiter::new(1), pool.clone());
        let asked = limiter.clone();
        let bounded = Asyncify::new().pool(&pool).limiter(&limiter);
        let holder = bounded.wrap(move || {
            let asked = asked.clone();
            inner.spawn_blocking(move || is_told_in_line(&asked)).join()
        });
        assert!(holder().join());
        pool.shutdown(Duration::MAX).unwrap();
    });
}

#[test]
fn of_two_that_begin_to_wait_for_each_other_one_is_told() {
    explore_within(3, || {
        let (one, other, told) = (Limiter::new(1), Limiter::new(1), Data::default());
        let (first, second) = (asks(&one, &other, &told), asks(&other, &one, &told));
        let first = spawn(move || first.run(&mut ()));
        second.run(&mut ());
        first.join().unwrap();
        assert_eq!(told.get(), 1);
    });
}

#[test]
fn a_wait_behind_a_circle_is_served_and_not_told() {
    explore_within(3, || {
        let (limiter, other) = (Limiter::new(1), Limiter::new(1));
        let (told, wrong) = (Data::default(), Data::default());
        let circle = asks(&limiter, &limiter, &told);
        let behind = asks(&other, &limiter, &wrong);
        let circle = spawn(move || circle.run(&mut ()));
        behind.run(&mut ());
        circle.join().unwrap();
        assert_eq!((told.get(), wrong.get()), (1, 0));
    });
}

#[test]
fn a_release_against_a_lowering_tells_the_wait_that_can_never_end() {
    explore_within(2, || {
        let pool = Pool::builder().max_threads(1).build();
        let limiter = Limiter::new(2);
        let held = limiter.try_acquire();
        let asked = limiter.clone();
        let bounded = Asyncify::new().pool(&pool).limiter(&limiter);
        bounded.wrap(move || is_told_in_line(&asked))().detach();
        let lowering = limiter.clone();
        let lowering = spawn(move || lowering.set_total_tokens(1));
        drop(held);
        lowering.join().unwrap();
        pool.shutdown(Duration::MAX).unwrap();
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}
