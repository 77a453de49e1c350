//! What is called a deadlock: a wait for a token that can never end, since each token is held by a call that waits for
//! it. And what isn't: a wait that anything else can still end. (Decision 3)
#![cfg(not(footbridge_loom))]

mod common;

use common::{ms, panic_of, poll_once, text_of, until, watched};
use footbridge::time::timeout;
use footbridge::{
    Asyncify, BlockingTask, EventLoop, JoinHandle, Limiter, Pool, Syncify, gather, run, spawn,
    spawn_blocking, syncify, yield_now,
};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::Poll;

fn are_waiting(limiter: &Limiter, count: usize) -> bool {
    format!("{limiter:?}").contains(&format!("waiting: {count} "))
}

/// A call of `job` that holds a token of `limiter`.
fn holding<R: Send + 'static>(
    limiter: &Limiter,
    job: impl FnOnce() -> R + Send + 'static,
) -> BlockingTask<R> {
    let job = Arc::new(Mutex::new(Some(job)));
    let bounded = Asyncify::new().limiter(limiter);
    bounded.wrap(move || job.lock().unwrap().take().unwrap()())()
}

/// What became of a job: its result, or the text of its panic.
fn outcome<R>(job: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(job)).map_err(|payload| text_of(&*payload))
}

fn await_token(limiter: &Limiter) {
    let call = holding(limiter, || ());
    syncify(async |call: BlockingTask<()>| call.await)(call).unwrap();
}

#[test]
fn a_token_whose_holder_waits_for_nobody_is_worth_waiting_for_though_the_holder_made_the_call() {
    watched(|| {
        let limiter = Limiter::new(1);
        let shared = limiter.clone();
        let holder = holding(&limiter, move || {
            let asked = shared.clone();
            let nested = spawn_blocking(move || run(async { drop(asked.acquire().await) }));
            until(|| are_waiting(&shared, 1) || nested.is_finished());
            nested
        });
        run(async { holder.await.await });
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

#[test]
fn a_wait_that_a_timeout_ends_is_not_a_deadlock() {
    watched(|| {
        let limiter = Limiter::new(1);
        let asked = limiter.clone();
        let holder = holding(&limiter, move || {
            syncify(async move || timeout(ms(1), holding(&asked, || ())).await.is_err())()
        });
        assert_eq!(run(holder), Ok(true));
    });
}

#[test]
fn a_wait_that_another_future_beside_it_ends_is_not_a_deadlock() {
    watched(|| {
        let limiter = Limiter::new(1);
        let asked = limiter.clone();
        let holder = holding(&limiter, move || {
            let shared = asked.clone();
            syncify(async move || {
                let told = spawn_blocking(move || until(|| are_waiting(&shared, 1)));
                let (mut told, mut call) = (told, holding(&asked, || ()));
                poll_fn(|context| {
                    let called = Pin::new(&mut call).poll(context);
                    assert!(called.is_pending());
                    Pin::new(&mut told).poll(context)
                })
                .await;
            })()
        });
        assert_eq!(run(holder), Ok(()));
    });
}

#[test]
fn a_wait_given_up_by_a_future_that_has_woken_itself_is_not_a_deadlock() {
    watched(|| {
        let limiter = Limiter::new(1);
        let asked = limiter.clone();
        let holder = holding(&limiter, move || {
            syncify(async move || {
                let mut call = holding(&asked, || ());
                let mut yielding = pin!(yield_now());
                poll_fn(|context| {
                    assert!(Pin::new(&mut call).poll(context).is_pending());
                    yielding.as_mut().poll(context)
                })
                .await;
            })()
        });
        assert_eq!(run(holder), Ok(()));
    });
}

#[test]
fn a_wait_that_a_task_beside_it_ends_is_not_a_deadlock() {
    watched(|| {
        let limiter = Limiter::new(1);
        let asked = limiter.clone();
        let holder = holding(&limiter, move || {
            run(async move {
                let mut call = holding(&asked, || ());
                let mut task = spawn(yield_now());
                poll_fn(|context| {
                    assert!(Pin::new(&mut call).poll(context).is_pending());
                    Pin::new(&mut task).poll(context).map(Result::unwrap)
                })
                .await;
            })
        });
        run(holder);
    });
}

#[test]
fn a_holder_that_runs_on_is_waited_for_by_the_call_of_one_that_waits() {
    watched(|| {
        let limiter = Limiter::new(2);
        let (open, gate) = mpsc::channel();
        let asked = limiter.clone();
        run(async {
            let mut runs = holding(&limiter, move || gate.recv().unwrap());
            assert!(poll_once(&mut runs).is_pending());
            let waits = spawn(holding(&limiter, move || await_token(&asked)));
            let shared = limiter.clone();
            spawn_blocking(move || until(|| are_waiting(&shared, 1))).await;
            open.send(()).unwrap();
            runs.await;
            waits.await.unwrap();
        });
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

#[test]
fn a_holder_that_begins_to_wait_after_the_call_got_in_line_is_told_by_its_panic() {
    watched(|| {
        let limiter = Limiter::new(1);
        let shared = limiter.clone();
        let (still_waits, waited) = mpsc::channel();
        let holder = holding(&limiter, move || {
            let asked = shared.clone();
            let nested = spawn_blocking(move || await_token(&asked));
            until(|| are_waiting(&shared, 1) || nested.is_finished());
            still_waits.send(!nested.is_finished()).unwrap();
            nested.join();
        });
        let text = panic_of(|| run(holder));
        assert!(text.starts_with("deadlock"), "{text}");
        assert_eq!(waited.recv(), Ok(true), "no call waited for it till then");
        until(|| limiter.borrowed_tokens() == 0);
    });
}

#[test]
fn a_deadlock_is_found_through_each_way_to_wait() {
    type Way = fn(&Limiter);
    let ways: [Way; 8] = [
        |limiter| await_token(limiter),
        |limiter| holding(limiter, || ()).join(),
        |limiter| run(holding(limiter, || ())),
        |limiter| drop(run(limiter.acquire())),
        |limiter| {
            let call = holding(limiter, || ());
            let here = Syncify::new().raise_sync_error(false);
            here.wrap(async |call: BlockingTask<()>| call.await)(call).unwrap();
        },
        // That it was woken before doesn't count.
        |limiter| {
            let call = holding(limiter, || ());
            let yields = async |call: BlockingTask<()>| {
                yield_now().await;
                call.await;
            };
            syncify(yields)(call).unwrap();
        },
        // What is made where the function is made, and where it is polled, is nested in the call.
        |limiter| {
            let limiter = limiter.clone();
            syncify(move || spawn_blocking(move || await_token(&limiter)))().unwrap();
        },
        |limiter| {
            let limiter = limiter.clone();
            syncify(async move || spawn_blocking(move || await_token(&limiter)).await)().unwrap();
        },
    ];
    for (number, way) in ways.into_iter().enumerate() {
        watched(move || {
            let limiter = Limiter::new(1);
            for is_of_a_loop in [true, false] {
                let asked = limiter.clone();
                let holder = holding(&limiter, move || outcome(|| way(&asked)));
                let told = if is_of_a_loop {
                    run(holder)
                } else {
                    holder.join()
                };
                let text = told.unwrap_err();
                // Without a loop, `syncify` refuses.
                let refused = !is_of_a_loop && text.contains("NotOnWorkerThread");
                assert!(refused || text.starts_with("deadlock"), "{number}: {text}");
                until(|| limiter.borrowed_tokens() == 0);
            }
        });
    }
}

#[test]
fn of_two_that_wait_for_each_others_tokens_one_is_told_and_the_other_goes_on() {
    watched(|| {
        for _ in 0..100 {
            let limiters = [Limiter::new(1), Limiter::new(1)];
            let both_hold = Arc::new(Barrier::new(2));
            let holder = |own: usize| {
                let (other, both_hold) = (limiters[1 - own].clone(), both_hold.clone());
                holding(&limiters[own], move || {
                    both_hold.wait();
                    outcome(|| await_token(&other))
                })
            };
            let outcomes = run(gather([holder(0), holder(1)]));
            let told: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().err()).collect();
            let [text] = told[..] else {
                panic!("{outcomes:?}")
            };
            assert!(text.starts_with("deadlock"), "{text}");
            // Of the limiter's one token, and not of the other's.
            assert_eq!(text.matches("deadlocks.rs:").count(), 1, "{text}");
        }
    });
}

#[test]
fn of_many_holders_that_ask_for_one_token_more_one_is_told_and_the_others_go_on() {
    watched(|| {
        for _ in 0..20 {
            let limiter = Limiter::new(8);
            let all_hold = Arc::new(Barrier::new(8));
            let holders = (0..8).map(|_| {
                let (asked, all_hold) = (limiter.clone(), all_hold.clone());
                holding(&limiter, move || {
                    all_hold.wait();
                    outcome(|| await_token(&asked))
                })
            });
            let outcomes = run(gather(holders));
            assert_eq!(outcomes.iter().filter(|it| it.is_err()).count(), 1);
        }
    });
}

#[test]
fn a_call_in_line_behind_a_deadlock_is_served_when_that_is_over() {
    watched(|| {
        let (limiter, other) = (Limiter::new(1), Limiter::new(1));
        let (open, gate) = mpsc::channel();
        run(async {
            let asked = limiter.clone();
            let in_circle = spawn(holding(&limiter, move || {
                gate.recv().unwrap();
                outcome(|| await_token(&asked))
            }));
            yield_now().await;
            let asked = limiter.clone();
            // It holds a token too, and waits; but nothing in the circle waits for it.
            let behind = spawn(holding(&other, move || outcome(|| await_token(&asked))));
            let shared = limiter.clone();
            spawn_blocking(move || until(|| are_waiting(&shared, 1))).await;
            open.send(()).unwrap();
            assert!(in_circle.await.unwrap().is_err());
            assert_eq!(behind.await.unwrap(), Ok(()));
        });
    });
}

/// A call that holds a token and waits for another one.
fn waits_in_line(limiter: &Limiter) -> JoinHandle<Result<(), String>> {
    let asked = limiter.clone();
    spawn(holding(limiter, move || outcome(|| await_token(&asked))))
}

#[test]
fn with_fewer_tokens_a_wait_becomes_a_deadlock_when_the_last_other_one_is_given_back() {
    watched(|| {
        let limiter = Limiter::new(3);
        for fewer in [0, 1] {
            limiter.set_total_tokens(3);
            let mut strangers = vec![limiter.try_acquire(), limiter.try_acquire()];
            run(async {
                let mut holder = waits_in_line(&limiter);
                let shared = limiter.clone();
                spawn_blocking(move || until(|| are_waiting(&shared, 1))).await;
                limiter.set_total_tokens(fewer);
                strangers.pop();
                for _ in 0..100 {
                    yield_now().await;
                }
                assert!(!holder.is_finished(), "a stranger may give one back");
                assert!(poll_once(&mut holder).is_pending());
                strangers.pop();
                assert!(holder.await.unwrap().unwrap_err().starts_with("deadlock"));
            });
            assert_eq!(limiter.borrowed_tokens(), 0);
            assert!(are_waiting(&limiter, 0));
        }
    });
}

#[test]
fn a_limiter_without_tokens_holds_up_and_is_not_a_deadlock() {
    watched(|| {
        let (limiter, other) = (Limiter::new(0), Limiter::new(1));
        run(async {
            let asked = limiter.clone();
            let holder = spawn(holding(&other, move || outcome(|| await_token(&asked))));
            let shared = limiter.clone();
            spawn_blocking(move || until(|| are_waiting(&shared, 1))).await;
            limiter.set_total_tokens(1);
            assert_eq!(holder.await.unwrap(), Ok(()));
        });
    });
}

#[test]
fn a_wait_that_was_told_is_out_of_line_though_its_future_lives_on_and_may_ask_anew() {
    watched(|| {
        let limiter = Limiter::new(1);
        let asked = limiter.clone();
        let holder = holding(&limiter, move || {
            run(async {
                let mut acquire = asked.acquire();
                let text = poll_fn(|context| {
                    let polled = outcome(|| Pin::new(&mut acquire).poll(context));
                    polled.map_or_else(Poll::Ready, |it| it.map(|_| unreachable!()))
                })
                .await;
                assert!(text.starts_with("deadlock"), "{text}");
                assert!(are_waiting(&asked, 0));
                asked.set_total_tokens(2);
                drop(acquire.await);
            });
        });
        run(holder);
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

#[test]
fn a_call_whose_caller_is_gone_is_not_taken_to_wait_before_its_loop_has_turned() {
    watched(|| {
        let (limiter, other) = (Limiter::new(1), Limiter::new(1));
        let mut event_loop = EventLoop::new();
        let (open, gate) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let asked = limiter.clone();
        let mut second = holding(&other, move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            outcome(|| drop(run(asked.acquire())))
        });
        assert!(poll_once(&mut second).is_pending());
        has_begun.recv().unwrap();
        let asked = other.clone();
        let mut first = holding(&limiter, move || {
            syncify(async move || drop(asked.acquire().await))().unwrap_err()
        });
        assert!(
            event_loop
                .run_until(async { poll_once(&mut first) })
                .is_pending()
        );
        while !are_waiting(&other, 1) {
            event_loop.tick();
        }
        drop(first); // its function is to be dropped, when the loop turns
        open.send(()).unwrap();
        until(|| are_waiting(&limiter, 1) || second.is_finished());
        assert!(!second.is_finished());
        until(|| {
            event_loop.tick();
            second.is_finished()
        });
        assert_eq!(second.join(), Ok(()));
    });
}

#[test]
fn jobs_that_ask_in_one_order_are_never_told_of_a_deadlock() {
    // Each holds a token of a limiter and asks for one of the next one, in one way or another.
    fn descend(limiters: &[Limiter], number: usize) {
        let Some((limiter, others)) = limiters.split_first() else {
            return;
        };
        let others = others.to_vec();
        let call = holding(limiter, move || descend(&others, number / 3));
        match number % 3 {
            0 => call.join(),
            1 => run(call),
            _ => drop(syncify(async |call: BlockingTask<()>| call.await)(call)),
        }
    }
    watched(|| {
        let pool = Pool::builder().max_threads(16).build();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        let limiters: Vec<_> = [3, 2, 1, 1].map(Limiter::new).into();
        let jobs = (0..600).map(|number| {
            let limiters = limiters.clone();
            pool.spawn_blocking(move || descend(&limiters, number))
        });
        event_loop.run_until(async { gather(jobs).await });
        assert!(
            limiters
                .iter()
                .all(|it| it.borrowed_tokens() == 0 && are_waiting(it, 0))
        );
    });
}
