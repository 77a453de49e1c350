//! `scope`: children that borrow, and when they are polled.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Grenade, Guard, Logs, foreign_block_on, me, ms, panic_of, poll_once, turns, watched};
use footbridge::context::Context as Inherits;
use footbridge::time::{sleep, timeout};
use footbridge::{Child, Scope, gather, run, scope, yield_now};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;

/// Polls a scope once, with a waker that does nothing.
fn poll_scope<F: Future>(scope: Pin<&mut F>) -> Poll<F::Output> {
    scope.poll(&mut Context::from_waker(Waker::noop()))
}

// T1, T5, T18
#[test]
fn a_scope_ends_when_its_body_and_its_children_have_and_every_value_is_there() {
    watched(|| {
        let log = RefCell::new(Vec::new());
        let value = run(scope(async |s| {
            for n in [3, 1, 2] {
                let log = &log;
                s.spawn(async move {
                    turns(n).await;
                    log.borrow_mut().push(n);
                });
            }
            let child = s.spawn(async {
                yield_now().await;
                "of the child"
            });
            assert!(!child.is_finished());
            turns(3).await;
            assert!(child.is_finished());
            (child.await, "of the body")
        }));
        assert_eq!(value, ("of the child", "of the body"));
        assert_eq!(log.into_inner(), [1, 2, 3]);
        assert_eq!(run(scope(async |_| 7)), 7, "without children");
    });
}

// T2, T3
#[test]
fn spawning_runs_nothing_and_children_start_in_the_order_of_their_spawning() {
    watched(|| {
        let log = RefCell::new(Vec::new());
        run(scope(async |s| {
            for n in 0..5 {
                let log = &log;
                s.spawn(async move { log.borrow_mut().push(n) });
            }
            assert!(log.borrow().is_empty());
        }));
        assert_eq!(log.into_inner(), [0, 1, 2, 3, 4]);
    });
}

// Decision 19
#[test]
fn children_borrow_what_lives_outside_also_mutably_and_what_they_share_need_not_be_send() {
    watched(|| {
        let text = String::from("borrowed");
        let shared = Rc::new(Cell::new(0));
        let (mut count, mut words) = (0, Vec::new());
        run(scope(async |s| {
            s.spawn(async { count += text.len() });
            s.spawn(async {
                shared.set(1);
                yield_now().await;
                words.push(text.as_str());
            });
        }));
        assert_eq!((count, words), (8, vec!["borrowed"]));
        let first: &str = run(scope(async |s| s.spawn(async { &text[..3] }).await));
        assert_eq!(first, "bor");
        assert_eq!(shared.get(), 1);
    });
}

// T13
#[test]
fn a_child_spawns_children_and_the_scope_waits_for_those_too() {
    fn count_down<'scope>(
        s: &'scope Scope<'scope, '_, ()>,
        n: u32,
        count: &'scope Cell<u32>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'scope>> {
        Box::pin(async move {
            yield_now().await;
            count.set(count.get() + 1);
            for _ in 0..n {
                s.spawn(count_down(s, n - 1, count));
            }
        })
    }
    watched(|| {
        let count = Cell::new(0);
        run(scope(async |s| {
            s.spawn(count_down(s, 3, &count));
        }));
        assert_eq!(count.get(), 1 + 3 + 3 * 2 + 3 * 2);
    });
}

// Decision 16, for scopes
#[test]
fn only_what_was_woken_is_polled_and_what_wakes_itself_once_for_each_poll_of_the_scope() {
    watched(|| {
        let polls = RefCell::new([0; 10]);
        let wakers = RefCell::new(vec![Waker::noop().clone(); 10]);
        let done = Cell::new(false);
        let mut all = pin!(scope(async |s| {
            for n in 0..10 {
                let (polls, wakers, done) = (&polls, &wakers, &done);
                s.spawn(poll_fn(move |context| {
                    polls.borrow_mut()[n] += 1;
                    wakers.borrow_mut()[n] = context.waker().clone();
                    if n == 9 {
                        context.waker().wake_by_ref();
                    }
                    match done.get() {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                }));
            }
        }));
        for _ in 0..3 {
            assert!(poll_scope(all.as_mut()).is_pending());
        }
        assert_eq!(*polls.borrow(), [1, 1, 1, 1, 1, 1, 1, 1, 1, 2]);
        let wake = |n: usize| wakers.borrow()[n].wake_by_ref();
        wake(4);
        wake(4);
        assert!(poll_scope(all.as_mut()).is_pending());
        assert_eq!(*polls.borrow(), [1, 1, 1, 1, 2, 1, 1, 1, 1, 3]);
        done.set(true);
        (0..10).for_each(wake);
        assert!(poll_scope(all.as_mut()).is_ready());
        (0..10).for_each(wake); // What has ended, is woken in vain.
    });
}

// T3
#[test]
fn what_spawns_without_end_and_what_wakes_itself_without_end_starve_no_timer_around_the_scope() {
    fn endless<'scope>(
        s: &'scope Scope<'scope, '_, ()>,
    ) -> Pin<Box<dyn Future<Output = ()> + 'scope>> {
        Box::pin(async move {
            s.spawn(endless(s));
        })
    }
    watched(|| {
        run(async {
            let group = scope(async |s| {
                s.spawn(endless(s));
                for _ in 0..100 {
                    s.spawn(async {
                        loop {
                            yield_now().await;
                        }
                    });
                }
            });
            assert!(timeout(ms(2), group).await.is_err());
        });
    });
}

// Decision 19: a stale wake of what has ended is nobody else's
#[test]
fn a_wake_of_a_child_that_has_ended_polls_no_other() {
    watched(|| {
        let (polls, old) = (Cell::new(0), OnceCell::new());
        let mut all = pin!(scope(async |s| {
            let first = s.spawn(poll_fn(|context| {
                context.waker().wake_by_ref(); // It is queued when it ends.
                let _ = old.set(context.waker().clone());
                Poll::Ready(())
            }));
            first.await;
            s.spawn(poll_fn(|_| {
                polls.set(polls.get() + 1);
                Poll::<()>::Pending
            }));
        }));
        for _ in 0..6 {
            assert!(poll_scope(all.as_mut()).is_pending());
            if let Some(old) = old.get() {
                old.wake_by_ref();
            }
        }
        assert_eq!(polls.get(), 1);
    });
}

// Decision 19: nor is its key, while it is queued
#[test]
fn a_child_that_is_spawned_after_one_that_ended_while_it_was_woken_is_polled_once() {
    watched(|| {
        let polls = Cell::new(0);
        let mut all = pin!(scope(async |s| {
            s.spawn(poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::Ready(())
            }));
            s.spawn(async {
                s.spawn(poll_fn(|_| {
                    polls.set(polls.get() + 1);
                    Poll::<()>::Pending
                }));
            });
            pending::<()>().await; // It keeps its key.
        }));
        for _ in 0..6 {
            assert!(poll_scope(all.as_mut()).is_pending());
        }
        assert_eq!(polls.get(), 1);
    });
}

// T18, X15
#[test]
fn an_aborted_child_is_dropped_at_once_and_never_polled_again() {
    watched(|| {
        run(scope(async |s| {
            let (drops, dropped) = mpsc::channel();
            let guard = Guard(drops.clone());
            let unpolled = s.spawn(async move {
                let _guard = guard;
                unreachable!("aborted before its first poll")
            });
            unpolled.abort() as ();
            assert_eq!(dropped.try_recv(), Ok(me()));
            let guard = Guard(drops);
            let waits = s.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            turns(2).await;
            assert!(dropped.try_recv().is_err());
            waits.abort();
            assert_eq!(dropped.try_recv(), Ok(me()));
            s.spawn(async { 7 }).abort();
        }));
    });
}

#[test]
fn a_child_that_aborts_itself_is_dropped_when_it_is_pending_next() {
    watched(|| {
        let log = RefCell::new(Vec::new());
        let log = &log;
        // The handle is kept by the child itself.
        run(scope(async |s| {
            let own = Rc::new(RefCell::new(None::<Child<'_, ()>>));
            let mine = own.clone();
            let child = s.spawn(async move {
                let _logs = Logs(log, "dropped");
                yield_now().await;
                mine.take().unwrap().abort();
                log.borrow_mut().push("it runs on");
                yield_now().await;
                log.borrow_mut().push("no further");
            });
            *own.borrow_mut() = Some(child);
        }));
        assert_eq!(log.take(), ["it runs on", "dropped"]);
    });
}

#[test]
fn a_child_whose_handle_is_dropped_runs_on_and_its_value_is_dropped_when_it_comes() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        run(scope(async |s| {
            drop(s.spawn(async {
                turns(2).await;
                Guard(drops)
            }));
            turns(2).await;
            assert!(dropped.try_recv().is_err());
            turns(2).await;
            assert!(
                dropped.try_recv().is_ok(),
                "not only at the end of the scope"
            );
        }));
    });
}

#[test]
fn a_childs_future_is_gone_before_its_value_is_seen() {
    watched(|| {
        run(scope(async |s| {
            let (drops, dropped) = mpsc::channel();
            let guard = Guard(drops);
            let mut child = s.spawn(poll_fn(move |_| {
                let _guard = &guard;
                Poll::Ready(7)
            }));
            assert_eq!((&mut child).await, 7);
            assert_eq!(dropped.try_recv(), Ok(me()));
            drop(child);
        }));
    });
}

#[test]
fn a_child_that_is_polled_after_its_value_was_given_says_so() {
    watched(|| {
        run(scope(async |s| {
            let mut child = s.spawn(async { 7 });
            assert_eq!((&mut child).await, 7);
            assert!(child.is_finished());
            let text = panic_of(|| poll_once(&mut child));
            assert!(text.contains("await it once"), "{text}");
        }));
    });
}

#[test]
fn children_may_abort_one_another_from_their_drops() {
    struct Aborts<'scope>(Option<Child<'scope, ()>>);
    impl Drop for Aborts<'_> {
        fn drop(&mut self) {
            self.0.take().into_iter().for_each(Child::abort);
        }
    }
    watched(|| {
        let log = RefCell::new(Vec::new());
        run(scope(async |s| {
            let log = &log;
            let last = s.spawn(async move {
                let _logs = Logs(log, "the last");
                pending::<()>().await;
            });
            let aborts = Aborts(Some(last));
            let first = s.spawn(async move {
                let _logs = Logs(log, "the first");
                let _aborts = aborts;
                pending::<()>().await;
            });
            turns(2).await;
            first.abort();
            assert_eq!(log.take(), ["the last", "the first"]);
        }));
    });
}

// T20
#[test]
fn a_scope_runs_on_an_executor_that_is_not_ours_and_wakes_come_from_any_thread() {
    watched(|| {
        let sum = foreign_block_on(scope(async |s| {
            let numbers: Vec<_> = (1..=4).map(|n| s.spawn_blocking(move || n)).collect();
            let later = s.spawn(async {
                let waker = Arc::new(std::sync::Mutex::new(None::<Waker>));
                let (set, woken) = (Arc::new(AtomicBool::new(false)), waker.clone());
                let done = set.clone();
                let thread = thread::spawn(move || {
                    common::until(|| woken.lock().unwrap().is_some());
                    done.store(true, SeqCst);
                    woken.lock().unwrap().take().unwrap().wake();
                });
                poll_fn(|context| {
                    *waker.lock().unwrap() = Some(context.waker().clone());
                    match set.load(SeqCst) {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    }
                })
                .await;
                thread.join().unwrap();
                10
            });
            let mut sum = later.await;
            for number in numbers {
                sum += number.await;
            }
            sum
        }));
        assert_eq!(sum, 20);
    });
}

#[test]
fn scopes_nest_and_a_panic_of_the_inner_one_is_one_of_the_outer_ones_child() {
    watched(|| {
        let total = Cell::new(0);
        run(scope(async |outer| {
            for n in 1..=3 {
                let total = &total;
                outer.spawn(async move {
                    let sum = scope(async |inner| {
                        let twice = inner.spawn(async move { 2 * n });
                        inner.spawn(async { total.set(total.get() + n) });
                        twice.await
                    });
                    let sum = sum.await;
                    total.set(total.get() + sum);
                });
            }
        }));
        assert_eq!(total.get(), 18);
        let text = panic_of(|| {
            run(scope(async |outer| {
                outer.spawn(scope(async |inner| {
                    inner.spawn(async { panic!("from within") });
                    pending::<()>().await;
                }));
                pending::<()>().await;
            }))
        });
        assert_eq!(text, "from within");
    });
}

#[test]
fn children_are_awaited_in_a_gather_and_beside_timers() {
    watched(|| {
        let values = run(scope(async |s| {
            let children: Vec<_> = [2, 1]
                .map(|n| {
                    s.spawn(async move {
                        sleep(ms(n)).await;
                        n
                    })
                })
                .into();
            gather(children).await
        }));
        assert_eq!(values, [2, 1]);
    });
}

// C9, decision 20
#[test]
fn a_child_inherits_the_context_that_it_was_spawned_in_and_is_dropped_in_it() {
    struct Seen<'a>(&'a RefCell<Vec<u32>>);
    impl Drop for Seen<'_> {
        fn drop(&mut self) {
            let number = Inherits::current().get::<u32>();
            self.0.borrow_mut().push(*number.unwrap());
        }
    }
    watched(|| {
        let seen = RefCell::new(Vec::new());
        let outer = Inherits::default().with(1_u32);
        let all = scope(async |s| {
            let here = Seen(&seen);
            let inherits = s.spawn(async move {
                yield_now().await;
                drop(here);
            });
            inherits.await;
            let other = Inherits::default().with(2_u32);
            let (here, inner) = (Seen(&seen), Seen(&seen));
            let child = other.run(|| {
                s.spawn(async move {
                    drop(here);
                    let _inner = inner;
                    pending::<()>().await;
                })
            });
            turns(2).await;
            child.abort();
            s.finish(());
        });
        outer.run(|| run(all));
        assert_eq!(seen.into_inner(), [1, 2, 2]);
    });
}

// C9
#[test]
fn a_child_that_was_spawned_without_a_context_sees_nothing_of_its_scopes() {
    struct Seen<'a>(&'a RefCell<Vec<Option<u32>>>);
    fn number() -> Option<u32> {
        Inherits::current().get::<u32>().map(|number| *number)
    }
    impl Drop for Seen<'_> {
        fn drop(&mut self) {
            self.0.borrow_mut().push(number());
        }
    }
    watched(|| {
        let seen = RefCell::new(Vec::new());
        let all = scope(async |s| {
            let (seen, lets_go) = (&seen, Inherits::default());
            let first = lets_go.run(|| s.spawn(async { s.spawn(async { number() }).await }));
            assert_eq!((first.await, number()), (None, Some(1)));
            for context in [&lets_go, &Inherits::current()] {
                let held = Seen(seen);
                context.run(|| {
                    s.spawn(async move {
                        let _held = held;
                        pending::<()>().await;
                    })
                });
            }
            turns(2).await;
            s.finish(());
        });
        Inherits::default().with(1_u32).run(|| run(all));
        assert_eq!(seen.into_inner(), [None, Some(1)]);
    });
}

// T12, decision 8
#[test]
fn a_panic_in_the_drop_of_what_comes_too_late_changes_nothing_of_the_scopes_end() {
    watched(|| {
        let value = run(scope(async |s| {
            s.finish(7);
            let (future, job) = (Grenade, Grenade);
            s.spawn(async move { drop(future) });
            s.spawn_blocking(move || drop(job));
            8
        }));
        assert_eq!(value, 7);
    });
}
