//! The limiter: which call gets a token, and when.
#![cfg(not(footbridge_loom))]

mod common;

use common::{foreign_block_on, ms, poll_once, until, watched};
use footbridge::{Acquire, Asyncify, Limiter, Permit, Pool, gather, run};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// Polls `acquire` once, which has to find no token.
fn in_line(limiter: &Limiter) -> Acquire {
    let mut acquire = limiter.acquire();
    assert!(poll_once(&mut acquire).is_pending());
    acquire
}

fn granted(acquire: &mut Acquire) -> Option<Permit> {
    match poll_once(acquire) {
        Poll::Ready(permit) => Some(permit),
        Poll::Pending => None,
    }
}

// L3, L15
#[test]
fn it_says_how_many_tokens_there_are_taken_and_left() {
    watched(|| {
        let limiter = Limiter::new(3);
        let permit = foreign_block_on(limiter.acquire());
        let figures = || {
            (
                limiter.total_tokens(),
                limiter.borrowed_tokens(),
                limiter.available_tokens(),
            )
        };
        assert_eq!(figures(), (3, 1, 2));
        drop(permit);
        assert_eq!(figures(), (3, 0, 3));
    });
}

// A16, L2
#[test]
fn never_more_calls_run_than_there_are_tokens() {
    watched(|| {
        let pool = Pool::builder().build();
        let limiter = Limiter::new(3);
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let call = Asyncify::new().pool(&pool).limiter(&limiter).wrap({
            let most = most.clone();
            move || {
                most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                thread::sleep(ms(2)); // work
                now.fetch_sub(1, SeqCst);
            }
        });
        run(async { gather((0..30).map(|_| call())).await });
        assert_eq!(most.load(SeqCst), 3);
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

// L5
#[test]
fn tokens_go_to_the_calls_that_wait_in_the_order_of_their_asking() {
    watched(|| {
        let limiter = Limiter::new(1);
        let mut permit = limiter.try_acquire();
        let mut line: Vec<_> = (0..5).map(|_| in_line(&limiter)).collect();
        while !line.is_empty() {
            drop(permit.take());
            assert!(line[1..].iter_mut().all(|later| granted(later).is_none()));
            permit = granted(&mut line.remove(0));
            assert!(permit.is_some());
        }
    });
}

// L6, L7
#[test]
fn nobody_can_take_a_token_that_is_on_its_way_to_the_first_in_line() {
    watched(|| {
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire();
        let mut first = in_line(&limiter);
        drop(permit);
        assert!(limiter.try_acquire().is_none(), "no barging");
        let _late = in_line(&limiter);
        assert!(granted(&mut first).is_some());
    });
}

// L11
#[test]
fn raising_the_total_serves_as_many_as_now_fit() {
    watched(|| {
        let limiter = Limiter::new(0);
        let mut line: Vec<_> = (0..4).map(|_| in_line(&limiter)).collect();
        limiter.set_total_tokens(2);
        let permits: Vec<_> = line.iter_mut().map(granted).collect();
        assert_eq!(
            permits.iter().map(Option::is_some).collect::<Vec<_>>(),
            [true, true, false, false]
        );
    });
}

// L12, L13, U2
#[test]
fn lowering_the_total_takes_nothing_away_and_raising_it_again_gives_no_token_too_many() {
    watched(|| {
        let limiter = Limiter::new(2);
        let mut permits = [limiter.try_acquire(), limiter.try_acquire()];
        let mut waiting = in_line(&limiter);
        limiter.set_total_tokens(1);
        assert_eq!(
            (limiter.borrowed_tokens(), limiter.available_tokens()),
            (2, -1)
        );
        limiter.set_total_tokens(2);
        assert!(granted(&mut waiting).is_none());
        assert_eq!(limiter.borrowed_tokens(), 2);
        limiter.set_total_tokens(1);
        permits[0] = None;
        assert!(granted(&mut waiting).is_none(), "one is borrowed of one");
        permits[1] = None;
        assert!(granted(&mut waiting).is_some());
    });
}

// L14
#[test]
fn no_tokens_and_endlessly_many_are_both_legal() {
    watched(|| {
        assert!(Limiter::new(0).try_acquire().is_none());
        let endless = Limiter::new(usize::MAX);
        let permits: Vec<_> = (0..100).map(|_| endless.try_acquire().unwrap()).collect();
        assert_eq!(endless.borrowed_tokens(), permits.len());
        assert!(endless.available_tokens() > 0);
    });
}

// L16
#[test]
fn a_waiter_that_is_dropped_loses_no_token_whether_it_was_granted_one_or_not() {
    watched(|| {
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire();
        let (queued, granted_unseen, mut last) =
            (in_line(&limiter), in_line(&limiter), in_line(&limiter));
        drop(queued);
        drop(permit);
        assert_eq!(
            limiter.borrowed_tokens(),
            1,
            "it is the second one's, which doesn't know"
        );
        drop(granted_unseen);
        let permit = granted(&mut last);
        assert!(permit.is_some());
        drop(permit);
        assert_eq!(limiter.available_tokens(), 1);
    });
}

// A16: on other executors, and from other threads
#[test]
fn a_waiter_on_another_thread_is_woken() {
    watched(|| {
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire().unwrap();
        let waiter = thread::spawn({
            let limiter = limiter.clone();
            move || drop(foreign_block_on(limiter.acquire()))
        });
        until(|| format!("{limiter:?}").contains("waiting: 1"));
        drop(permit);
        waiter.join().unwrap();
        assert_eq!(limiter.available_tokens(), 1);
    });
}

// A16
#[test]
fn a_detached_call_is_submitted_when_its_token_comes() {
    watched(|| {
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire().unwrap();
        let ran = Arc::new(AtomicUsize::new(0));
        let call = Asyncify::new().limiter(&limiter).wrap({
            let ran = ran.clone();
            move || ran.fetch_add(1, SeqCst)
        });
        (0..3).for_each(|_| call().detach());
        assert_eq!(ran.load(SeqCst), 0);
        drop(permit);
        until(|| ran.load(SeqCst) == 3 && limiter.borrowed_tokens() == 0);
    });
}

// L11
#[test]
fn raising_the_total_serves_all_of_a_long_line_in_its_order() {
    watched(|| {
        let limiter = Limiter::new(0);
        let mut line: Vec<_> = (0..1000).map(|_| in_line(&limiter)).collect();
        limiter.set_total_tokens(990);
        assert_eq!(limiter.borrowed_tokens(), 990);
        let permits: Vec<_> = line.iter_mut().map_while(granted).collect();
        assert_eq!(permits.len(), 990);
        assert!(line[990..].iter_mut().all(|it| granted(it).is_none()));
    });
}

/// A waker whose target does something when the last waker of it is gone.
struct OnDrop<F: FnMut() + Send>(Mutex<F>);

impl<F: FnMut() + Send> Wake for OnDrop<F> {
    fn wake(self: Arc<Self>) {}
}

impl<F: FnMut() + Send> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0.get_mut().unwrap())();
    }
}

// No code of a user's runs under the lock
#[test]
fn a_waker_may_ask_the_limiter_when_it_is_dropped_in_whichever_way_it_is() {
    watched(|| {
        let limiter = Limiter::new(1);
        let dropped = Arc::new(AtomicUsize::new(0));
        let poll = |acquire: &mut Acquire| {
            let (asked, dropped) = (limiter.clone(), dropped.clone());
            let waker = Waker::from(Arc::new(OnDrop(Mutex::new(move || {
                assert_eq!(asked.total_tokens(), 1);
                dropped.fetch_add(1, SeqCst);
            }))));
            Pin::new(acquire).poll(&mut Context::from_waker(&waker))
        };
        let permit = poll(&mut limiter.acquire()); // at once
        let (mut served, mut given_up) = (limiter.acquire(), limiter.acquire());
        assert!(poll(&mut served).is_pending() && poll(&mut given_up).is_pending());
        assert!(poll(&mut served).is_pending()); // instead of the one before
        drop(given_up);
        drop(permit);
        assert!(poll(&mut served).is_ready());
        assert_eq!(dropped.load(SeqCst), 5);
    });
}

// Within one process, and the quickest of several: what disturbs one is not in all
#[test]
fn with_fewer_tokens_a_release_costs_no_more_beside_a_long_line_than_beside_a_short_one() {
    fn quickest_releases(waiting: usize) -> Duration {
        let releases = || {
            let limiter = Limiter::new(500);
            let permits: Vec<_> = (0..500).map(|_| limiter.try_acquire()).collect();
            let _line: Vec<_> = (0..waiting).map(|_| in_line(&limiter)).collect();
            limiter.set_total_tokens(0);
            let start = Instant::now();
            drop(permits);
            start.elapsed()
        };
        (0..5).map(|_| releases()).min().unwrap()
    }
    watched(|| {
        let (short, long) = (quickest_releases(10), quickest_releases(20_000));
        assert!(long < 20 * short, "{short:?}, {long:?}"); // 1,000 times as long, if each is looked at
    });
}
