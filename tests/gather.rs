//! `gather` and `run_in_executor`: many at once.
#![cfg(not(footbridge_loom))]

mod common;

use common::{
    Guard, me, ms, panic_of, poll_once, thrown_by, until, until_set, was_reported, watched,
};
use footbridge::time::sleep;
use footbridge::{Handle, Pool, gather, run, spawn, spawn_blocking, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn, ready};
use std::panic::panic_any;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

// G1
#[test]
fn run_in_executor_submits_at_once() {
    watched(|| {
        run(async {
            let (ran, has_run) = mpsc::channel();
            let job = Handle::current().run_in_executor(None, move || ran.send(()).unwrap());
            // Neither has it been polled, nor does the loop turn meanwhile.
            has_run.recv().unwrap();
            job.await;
        })
    });
}

// G1, decision 5
#[test]
fn a_job_of_run_in_executor_belongs_to_the_handles_loop_whatever_thread_asks() {
    watched(|| {
        run(async {
            let handle = Handle::current();
            let foreign = thread::spawn(move || {
                handle.run_in_executor(None, || footbridge::syncify(async || me())())
            });
            assert_eq!(foreign.join().unwrap().await, Ok(me()));
        })
    });
}

// G2, decision 16
#[test]
fn results_come_in_the_order_of_the_futures_whatever_ends_first() {
    watched(|| {
        let ended = Rc::new(RefCell::new(Vec::new()));
        let results = run(gather([3, 1, 2].map(|n| {
            let ended = ended.clone();
            async move {
                for _ in 0..n {
                    yield_now().await;
                }
                ended.borrow_mut().push(n);
                n
            }
        })));
        assert_eq!(results, [3, 1, 2]);
        assert_eq!(*ended.borrow(), [1, 2, 3], "they ended in another order");
    });
}

// G3, A7
#[test]
fn ten_blocking_calls_at_once_take_much_less_than_their_sum() {
    watched(|| {
        let start = Instant::now();
        let results = run(async {
            let handle = Handle::current();
            gather((0..10).map(|n| {
                handle.run_in_executor(None, move || {
                    thread::sleep(ms(100));
                    n
                })
            }))
            .await
        });
        assert_eq!(results, (0..10).collect::<Vec<_>>());
        assert!(
            start.elapsed() < ms(700),
            "{:?}, and the sum is 1 s",
            start.elapsed()
        );
    });
}

// G3
#[test]
fn with_fewer_threads_than_calls_they_come_in_waves() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        let start = Instant::now();
        run(async { gather((0..6).map(|_| pool.spawn_blocking(|| thread::sleep(ms(20))))).await });
        assert!(start.elapsed() >= ms(60));
    });
}

// G4
#[test]
fn the_first_panic_is_passed_on_at_once_and_spawned_siblings_run_on() {
    watched(|| {
        let (ran_on, has_run_on) = mpsc::channel();
        let open = Arc::new(AtomicBool::new(false));
        let opened = open.clone();
        run(async move {
            let sibling = spawn(async move {
                until_set(&opened).await;
                ran_on.send(()).unwrap();
            });
            let both: [Pin<Box<dyn Future<Output = ()>>>; 2] = [
                Box::pin(async { sibling.await.unwrap() }),
                Box::pin(async { panic_any(7_u8) }),
            ];
            let failed = spawn(gather(both)).await.unwrap_err();
            assert_eq!(failed.into_panic().downcast_ref(), Some(&7_u8));
            open.store(true, SeqCst);
            while has_run_on.try_recv().is_err() {
                yield_now().await;
            }
        });
    });
}

// G5, G9, decision 16
#[test]
fn gathering_join_handles_waits_for_all_and_puts_failures_in_their_places() {
    watched(|| {
        run(async {
            let aborted = spawn(pending::<u32>());
            aborted.abort();
            let panics = spawn(async { panic!("in the second place") });
            let last = spawn(async {
                sleep(ms(2)).await;
                4
            });
            let results = gather([spawn(async { 1 }), panics, aborted, last]).await;
            assert_eq!(results[0].as_ref().ok(), Some(&1));
            let second = results[1].as_ref().unwrap_err();
            assert!(second.is_panic() && second.to_string().contains("in the second place"));
            assert!(results[2].as_ref().unwrap_err().is_cancelled());
            assert_eq!(results[3].as_ref().ok(), Some(&4));
        })
    });
}

// G6
#[test]
fn gathering_nothing_is_ready_at_once_with_an_empty_vec() {
    watched(|| {
        let mut none = gather(Vec::<std::future::Ready<u8>>::new());
        assert_eq!(poll_once(&mut none), Poll::Ready(vec![]));
    });
}

// G8, decision 1
#[test]
fn dropping_a_gather_drops_its_futures_and_cancels_calls_among_them() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (drops, dropped) = mpsc::channel();
        let (told, tells) = mpsc::channel();
        let guard = Guard(drops);
        let runs = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            told.send(footbridge::check_cancelled()).unwrap();
        });
        let queued = pool.spawn_blocking(move || drop(guard));
        let mut both = gather([runs, queued]);
        has_begun.recv().unwrap();
        assert!(poll_once(&mut both).is_pending());
        drop(both);
        assert_eq!(
            dropped.try_recv(),
            Ok(me()),
            "the queued one is gone at once"
        );
        open.send(()).unwrap();
        assert!(tells.recv().unwrap().is_err(), "the running one is told");
    });
}

// G10, decision 8
#[test]
fn one_panic_surfaces_the_first_and_a_later_one_is_dropped_after_it_was_reported() {
    watched(|| {
        assert!(!was_reported("the later panic"));
        let pool = Pool::builder().max_threads(2).build();
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let later = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            panic!("the later panic")
        });
        has_begun.recv().unwrap();
        let first = pool.spawn_blocking(|| panic!("the first panic"));
        assert_eq!(panic_of(|| run(gather([later, first]))), "the first panic");
        open.send(()).unwrap();
        pool.shutdown(ms(20_000)).unwrap();
        assert!(was_reported("the later panic"));
    });
}

// Decision 8, W13
#[test]
fn a_panic_that_nobody_waits_for_any_more_is_dropped_on_its_worker() {
    watched(|| {
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (drops, dropped) = mpsc::channel();
        let job = spawn_blocking(move || {
            begun.send(me()).unwrap();
            gate.recv().unwrap();
            panic_any(Guard(drops))
        });
        let worker = has_begun.recv().unwrap();
        drop::<footbridge::BlockingTask<()>>(job);
        open.send(()).unwrap();
        assert_eq!(dropped.recv(), Ok(worker));
    });
}

// Decision 8, G10
#[test]
fn two_panics_at_once_abort_nothing() {
    watched(|| {
        let payload = thrown_by(|| {
            run(gather((0..5_u8).map(|n| async move {
                let _grenade = common::Grenade;
                panic_any(n)
            })))
        });
        assert_eq!(payload.downcast_ref(), Some(&0_u8));
    });
}

// Decision 16
#[test]
fn only_what_was_woken_is_polled() {
    watched(|| {
        let polls = Rc::new(RefCell::new([0; 100]));
        let wakers: Rc<RefCell<Vec<Option<Waker>>>> = Rc::new(RefCell::new(vec![None; 100]));
        let done = Rc::new(Cell::new(false));
        let mut all = gather((0..100).map(|n| {
            let (polls, wakers, done) = (polls.clone(), wakers.clone(), done.clone());
            poll_fn(move |context| {
                polls.borrow_mut()[n] += 1;
                wakers.borrow_mut()[n] = Some(context.waker().clone());
                if done.get() {
                    Poll::Ready(n)
                } else {
                    Poll::Pending
                }
            })
        }));
        let wake = |n: usize| wakers.borrow()[n].clone().unwrap().wake();
        assert!(poll_once(&mut all).is_pending());
        assert!(poll_once(&mut all).is_pending(), "no child was woken");
        assert!(polls.borrow().iter().all(|polls| *polls == 1));
        wake(42);
        wake(42);
        assert!(poll_once(&mut all).is_pending());
        assert_eq!(
            (polls.borrow()[42], polls.borrow().iter().sum::<u32>()),
            (2, 101)
        );
        done.set(true);
        (0..100).for_each(wake);
        assert_eq!(poll_once(&mut all), Poll::Ready((0..100).collect()));
    });
}

#[test]
fn a_future_that_is_done_is_dropped_before_the_others_are() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let guard = Guard(drops);
        let both: [Pin<Box<dyn Future<Output = ()>>>; 2] =
            [Box::pin(async move { drop(guard) }), Box::pin(pending())];
        let mut both = gather(both);
        assert!(poll_once(&mut both).is_pending());
        assert!(dropped.try_recv().is_ok());
        assert_eq!(run(gather([ready(1), ready(2)])), [1, 2]);
    });
}

// Decision 16
#[test]
fn those_that_were_woken_are_polled_in_the_order_of_their_waking() {
    watched(|| {
        let polled = RefCell::new(Vec::new());
        let wakers = RefCell::new(vec![Waker::noop().clone(); 5]);
        let mut all = gather((0..5).map(|n| {
            let (polled, wakers) = (&polled, &wakers);
            poll_fn(move |context| {
                polled.borrow_mut().push(n);
                wakers.borrow_mut()[n] = context.waker().clone();
                Poll::<()>::Pending
            })
        }));
        assert!(poll_once(&mut all).is_pending());
        assert_eq!(polled.take(), [0, 1, 2, 3, 4]);
        for n in [3, 0, 4, 1] {
            wakers.borrow()[n].wake_by_ref();
        }
        assert!(poll_once(&mut all).is_pending());
        assert_eq!(polled.take(), [3, 0, 4, 1]);
    });
}

// Decision 16
#[test]
fn those_that_were_due_when_one_panicked_are_polled_the_next_time() {
    watched(|| {
        let polled = RefCell::new(Vec::new());
        let mut all = gather((0..4).map(|n| {
            let polled = &polled;
            poll_fn(move |_| {
                polled.borrow_mut().push(n);
                match n {
                    1 => panic!("the second"),
                    _ => Poll::<()>::Pending,
                }
            })
        }));
        assert_eq!(panic_of(|| poll_once(&mut all)), "the second");
        assert_eq!(polled.take(), [0, 1]);
        assert!(poll_once(&mut all).is_pending());
        assert_eq!(polled.take(), [2, 3]);
    });
}

#[test]
fn a_waker_may_wake_the_gathers_futures_where_it_is_dropped() {
    struct Wakes(Waker);
    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for Wakes {
        fn drop(&mut self) {
            self.0.wake_by_ref();
        }
    }
    watched(|| {
        let child = RefCell::new(Waker::noop().clone());
        let mut all = gather([poll_fn(|context| {
            *child.borrow_mut() = context.waker().clone();
            Poll::<()>::Pending
        })]);
        for _ in 0..3 {
            let waker = Waker::from(Arc::new(Wakes(child.borrow().clone())));
            let polled = Pin::new(&mut all).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        }
        assert!(poll_once(&mut all).is_pending());
    });
}

// G4, X8: a call among them that runs, runs on
#[test]
fn a_running_call_next_to_one_that_panics_runs_on() {
    watched(|| {
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let ended = Arc::new(AtomicBool::new(false));
        let mark = ended.clone();
        let runs = spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            mark.store(true, SeqCst);
        });
        has_begun.recv().unwrap();
        panic_of(|| run(gather([runs, spawn_blocking(|| panic!("at once"))])));
        assert!(!ended.load(SeqCst), "gather didn't wait for it");
        open.send(()).unwrap();
        until(|| ended.load(SeqCst));
    });
}

// G12
#[test]
fn next_gives_the_results_as_they_come_with_the_index_of_their_futures_and_then_none() {
    watched(|| {
        run(async {
            let mut all = gather([2_u8, 0, 1].map(async |n| {
                for _ in 0..n {
                    yield_now().await;
                }
                10 * n
            }));
            let mut came = Vec::new();
            while let Some(next) = all.next().await {
                came.push(next);
            }
            assert_eq!(came, [(1, 0), (2, 10), (0, 20)]);
            assert_eq!(all.next().await, None, "and it stays so");
            assert_eq!(all.await, [0; 0]);
        });
    });
}

#[test]
fn a_next_that_is_dropped_loses_nothing_and_the_gather_gives_what_next_has_not() {
    watched(|| {
        let open = Cell::new(false);
        let mut all = gather((0..4).map(|n| {
            let open = &open;
            poll_fn(move |context| {
                if n % 2 == 0 || open.get() {
                    return Poll::Ready(n);
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
        }));
        assert_eq!(poll_once(&mut all.next()), Poll::Ready(Some((0, 0))));
        assert_eq!(poll_once(&mut all.next()), Poll::Ready(Some((2, 2))));
        assert_eq!(poll_once(&mut all.next()), Poll::Pending, "dropped");
        open.set(true);
        assert_eq!(poll_once(&mut all.next()), Poll::Ready(Some((3, 3))));
        assert_eq!(poll_once(&mut all), Poll::Ready(vec![1]));
    });
}

#[test]
fn next_gives_first_what_came_while_the_gather_itself_was_polled() {
    watched(|| {
        let mut all = gather([3_u8, 0, 9, 0].map(|n| {
            let mut left = n;
            poll_fn(move |context| {
                if left == 0 {
                    return Poll::Ready(n);
                }
                left -= 1;
                context.waker().wake_by_ref();
                Poll::Pending
            })
        }));
        assert!(poll_once(&mut all).is_pending());
        assert_eq!(poll_once(&mut all.next()), Poll::Ready(Some((1, 0))));
        for _ in 0..3 {
            assert!(poll_once(&mut all).is_pending());
        }
        assert_eq!(poll_once(&mut all.next()), Poll::Ready(Some((0, 3))));
        assert_eq!(poll_once(&mut all.next()), Poll::Ready(Some((3, 0))));
        assert!(poll_once(&mut all.next()).is_pending());
        assert_eq!(run(all), [9]);
    });
}

// Decision 16
#[test]
fn a_future_that_wakes_itself_is_polled_once_for_each_poll_of_next() {
    watched(|| {
        let polls = Cell::new(0);
        let mut all = gather([poll_fn(|context| {
            polls.set(polls.get() + 1);
            context.waker().wake_by_ref();
            Poll::<()>::Pending
        })]);
        for n in 1..4 {
            assert!(poll_once(&mut all.next()).is_pending());
            assert_eq!(polls.get(), n);
        }
    });
}

#[test]
fn awaiting_a_gather_again_panics_and_says_so() {
    watched(|| {
        let mut all = gather([ready(1)]);
        assert_eq!(poll_once(&mut all), Poll::Ready(vec![1]));
        let text = panic_of(|| poll_once(&mut all));
        assert!(text.contains("await it once"), "{text}");
    });
}
