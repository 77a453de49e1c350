//! Tokens are asked for, handed over, given back, and their number is changed.

use footbridge::{Asyncify, Limiter, Pool, run};
use loom_tests::internals::{Call, HeldPermit, Job, Run, block_on};
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

// Threads: two threads that ask for the one token, and give it back.
// Decided by: the limiter's lock: `LimiterState::enqueue` and `LimiterState::grant` compare and count in one step.
// Mutant: a grant doesn't count the token as taken.
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

// Threads: a thread that gives the token back; one that drops an `Acquire` in line; one that asks for the token.
// Decided by: the limiter's lock: the drop of `Acquire` finds its place in line, or the token granted, and passes it on.
// Mutant: a token that was granted to a dropped acquire is lost.
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

// Threads: a thread that gives the token back; one that raises the total; one that asks for two tokens.
// Decided by: the limiter's lock in `Limiter::change`, which changes the numbers and grants in one step.
// Mutant: a raise lets nothing in.
#[test]
fn a_raise_against_a_release_lets_all_in() {
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

// Threads: a thread that gives the token back; one that asks for it.
// Decided by: the limiter's lock: `LimiterState::enqueue` finds the token free, or `Limiter::release` grants it to the place
// in line.
// Mutant: an acquire gets in line one lock after it found no token.
#[test]
fn an_acquire_against_a_release_is_let_in() {
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

// Threads: a thread that gives the token back, and so wakes the call; the one that detaches it; a worker.
// Decided by: the lock of `Waiting`: `Detached::wake` takes the call, or leaves `woken`, which `Detached::go_on` finds.
// Mutant: a detached call that is woken while it is taken further stays where it is.
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
    job.set_permit(HeldPermit::new(0, own.try_acquire().unwrap()));
    Arc::new(job)
}

// Threads: a worker, whose job holds the token and joins a call; the worker of that call, which gets in line for the token.
// Decided by: the order in `WaitTracker::note`: each wait is noted before its `look`, so the second of the two sees both.
// Mutant: the look comes before the wait is noted.
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

// Threads: two threads, whose jobs hold a token each and ask for the other's.
// Decided by: the lock `TELLING` in `look`: the second look finds that the first has told (`TokenSource::is_waiting`).
// Mutant: two looks tell at once.
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

// Threads: a thread, whose job waits for its own token; one, whose job waits behind it.
// Decided by: `Seen::all_lead_to_the_first` in `look`: what waits for a circle and is not on it is not told.
// Mutant: a wait that leads to a circle is told, though nothing of that waits for it.
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

// Threads: a thread that gives a token back; one that lowers the total; a worker, whose job holds a token and asks for one.
// Decided by: `LimiterState::suspect` under the limiter's lock in `Limiter::change`: the last of the three looks.
// Mutant: with fewer tokens no look follows when one is given back.
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
