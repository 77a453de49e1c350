//! How a scope ends: by a panic, an error, `finish` or a drop, and what becomes of its children then.
#![cfg(not(footbridge_loom))]

mod common;

use common::{
    Grenade, Guard, Logs, me, ms, panic_of, poll_once, thrown_by, turns, until_set, was_reported,
    watched,
};
use footbridge::{
    EventLoop, Pool, Scope, SyncifyError, asyncify, check_cancelled, run, scope, spawn, syncify,
    yield_now,
};
use std::cell::{Cell, OnceCell, RefCell};
use std::future::{pending, poll_fn, ready};
use std::panic::panic_any;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};

// T8, T10, decision 8
#[test]
fn the_first_panic_drops_the_others_and_the_scope_panics_with_its_payload() {
    watched(|| {
        let log = RefCell::new(Vec::new());
        let payload = thrown_by(|| {
            run(scope(async |s| {
                let log = &log;
                s.spawn(async move {
                    let _logs = Logs(log, "a sibling");
                    pending::<()>().await;
                });
                s.spawn(async {
                    turns(2).await;
                    panic_any(7_u8);
                });
                let _logs = Logs(log, "the body");
                pending::<()>().await;
            }))
        });
        assert_eq!(payload.downcast_ref(), Some(&7_u8));
        assert_eq!(log.into_inner(), ["the body", "a sibling"]);
    });
}

// T9
#[test]
fn a_panic_of_the_body_drops_the_children() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let payload = thrown_by(|| {
            run(scope(async |s| {
                let guard = Guard(drops);
                s.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                yield_now().await;
                panic_any(8_u8);
            }))
        });
        assert_eq!(payload.downcast_ref(), Some(&8_u8));
        assert_eq!(dropped.try_recv(), Ok(me()));
    });
}

// T10, decision 8
#[test]
fn of_two_panics_the_first_is_passed_on_and_the_later_one_is_reported_by_the_hook() {
    watched(|| {
        assert!(!was_reported("a later panic"));
        let pool = Pool::builder().build();
        let payload = panic_of(|| {
            EventLoop::builder()
                .pool(&pool)
                .build()
                .run_until(scope(async |s| {
                    let (begun, has_begun) = mpsc::channel();
                    s.spawn_blocking(move || {
                        begun.send(()).unwrap();
                        common::until(|| check_cancelled().is_err());
                        panic!("a later panic")
                    });
                    has_begun.recv().unwrap();
                    s.spawn(async { panic!("the first panic") });
                }))
        });
        assert_eq!(payload, "the first panic");
        assert!(was_reported("a later panic"), "and its job was waited for");
    });
}

// T8, T6
#[test]
fn the_first_error_of_a_tried_child_ends_the_scope_with_it() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let result: Result<u32, String> = run(scope(async |s| {
            let guard = Guard(drops);
            s.spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            });
            let good = s.try_spawn(async { Ok(1) });
            let late = s.try_spawn(async {
                turns(9).await;
                Err::<(), _>("too late".to_string())
            });
            let bad = s.try_spawn(async {
                yield_now().await;
                Err::<u32, _>("the first".to_string())
            });
            assert_eq!(good.await, 1);
            late.await;
            Ok(bad.await)
        }));
        assert_eq!(result, Err("the first".to_string()));
        assert_eq!(dropped.try_recv(), Ok(me()));
        let all: Result<u32, String> = run(scope(async |s| Ok(s.try_spawn(async { Ok(7) }).await)));
        assert_eq!(all, Ok(7));
    });
}

// T9
#[test]
fn an_error_of_the_body_ends_a_scope_that_tries_and_is_a_value_in_another() {
    watched(|| {
        let log = RefCell::new(Vec::new());
        let child = async |name| {
            let _logs = Logs(&log, name);
            turns(3).await;
            log.borrow_mut().push("and was done");
        };
        let tries: Result<(), u8> = run(scope(async |s| {
            s.spawn(child("the first"));
            s.try_spawn(async { Ok(()) });
            turns(2).await;
            Err(1)
        }));
        assert_eq!((tries, log.take()), (Err(1), vec!["the first"]));
        let waits: Result<(), u8> = run(scope(async |s| {
            s.spawn(child("the second"));
            Err(2)
        }));
        assert_eq!(
            (waits, log.take()),
            (Err(2), vec!["and was done", "the second"])
        );
    });
}

// T15
#[test]
fn finish_ends_the_scope_with_its_value_and_takes_the_others_down() {
    watched(|| {
        let log = RefCell::new(Vec::new());
        let value = run(scope(async |s| {
            let log = &log;
            s.spawn(async move {
                let _logs = Logs(log, "a sibling");
                pending::<()>().await;
            });
            s.spawn(async move {
                yield_now().await;
                s.finish("the first");
                s.finish("the second");
                log.borrow_mut().push("it runs on");
                yield_now().await;
                unreachable!("to its next await");
            });
            "of the body"
        }));
        assert_eq!(value, "the first");
        assert_eq!(log.into_inner(), ["it runs on", "a sibling"]);
    });
}

// T11, X3: the job is told, waited for, and what it has done by then is seen
#[test]
fn a_scope_that_is_finished_tells_its_blocking_children_and_waits_until_their_threads_are_free() {
    watched(|| {
        run(async {
            let log = Arc::new(AtomicUsize::new(0));
            let value = scope(async |s| {
                for _ in 0..3 {
                    let (begun, has_begun) = mpsc::channel();
                    let log = log.clone();
                    s.spawn_blocking(move || {
                        begun.send(()).unwrap();
                        common::until(|| check_cancelled().is_err());
                        log.fetch_add(1, SeqCst);
                    });
                    has_begun.recv().unwrap();
                }
                s.finish(7);
                pending().await
            });
            assert_eq!(value.await, 7);
            assert_eq!(log.load(SeqCst), 3);
        });
    });
}

// T11, X5
#[test]
fn a_call_of_asyncify_that_is_a_child_is_let_go_of() {
    watched(|| {
        let (open, gate) = mpsc::channel::<()>();
        let (ended, has_ended) = mpsc::channel();
        run(scope(async |s| {
            let (begun, has_begun) = mpsc::channel();
            let wait = move |gate: mpsc::Receiver<()>| {
                begun.send(()).unwrap();
                gate.recv().unwrap_err();
                ended.send(check_cancelled().is_err()).unwrap();
            };
            let mut call = asyncify(wait)(gate);
            assert!(poll_once(&mut call).is_pending());
            s.spawn(call);
            has_begun.recv().unwrap();
            s.finish(());
            pending().await
        }));
        assert!(has_ended.try_recv().is_err(), "nothing waited for it");
        drop(open);
        assert_eq!(has_ended.recv(), Ok(true));
    });
}

// X4
#[test]
fn a_panic_of_a_job_that_is_waited_for_wins_over_the_scopes_value() {
    watched(|| {
        let text = panic_of(|| {
            run(scope(async |s| {
                let (begun, has_begun) = mpsc::channel();
                s.spawn_blocking(move || {
                    begun.send(()).unwrap();
                    common::until(|| check_cancelled().is_err());
                    panic!("while it was waited for")
                });
                has_begun.recv().unwrap();
                s.finish(7);
                pending().await
            }))
        });
        assert_eq!(text, "while it was waited for");
    });
}

// X1
#[test]
fn a_job_that_has_not_begun_when_the_scope_ends_never_runs_and_is_not_waited_for() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let first = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap_err();
        });
        has_begun.recv().unwrap();
        let (drops, dropped) = mpsc::channel();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        event_loop.run_until(scope(async |s| {
            let guard = Guard(drops);
            s.spawn_blocking(move || {
                let _guard = guard;
                unreachable!("the one thread is busy")
            });
            s.finish(());
            pending().await
        }));
        assert_eq!(dropped.try_recv(), Ok(me()));
        drop(open);
        first.join();
    });
}

// X6
#[test]
fn an_async_function_that_a_blocking_child_waits_for_is_dropped_when_the_scope_ends() {
    watched(|| {
        run(async {
            let (drops, dropped) = mpsc::channel();
            let (answer, answered) = mpsc::channel();
            let waits = Arc::new(AtomicBool::new(false));
            let waiting = waits.clone();
            scope(async |s| {
                s.spawn_blocking(move || {
                    let wait = move |guard: Guard| {
                        let waiting = waiting.clone();
                        async move {
                            let _guard = guard;
                            waiting.store(true, SeqCst);
                            pending::<()>().await;
                        }
                    };
                    answer.send(syncify(wait)(Guard(drops))).unwrap();
                });
                until_set(&waits).await;
                s.finish(());
                pending().await
            })
            .await;
            assert_eq!(dropped.try_recv(), Ok(me()));
            assert_eq!(answered.try_recv(), Ok(Err(SyncifyError::Cancelled)));
        });
    });
}

// T16, X8, decision 1
#[test]
fn a_scope_that_is_dropped_drops_its_children_in_order_tells_its_jobs_and_waits_for_nothing() {
    watched(|| {
        let log = RefCell::new(Vec::new());
        let (open, gate) = mpsc::channel::<()>();
        let (told, tells) = mpsc::channel();
        {
            let mut dropped = Box::pin(scope(async |s| {
                let _body = Logs(&log, "the body");
                let (begun, has_begun) = mpsc::channel();
                s.spawn_blocking(move || {
                    begun.send(()).unwrap();
                    gate.recv().unwrap_err();
                    told.send(check_cancelled().is_err()).unwrap();
                });
                has_begun.recv().unwrap();
                let first = s.spawn(ready(()));
                for name in ["a", "b", "c"] {
                    let logs = Logs(&log, name);
                    s.spawn(async move {
                        let _logs = logs;
                        pending::<()>().await;
                    });
                }
                first.await; // Its key is used again.
                let last = Logs(&log, "d");
                s.spawn(async move {
                    let _last = last;
                    pending::<()>().await;
                });
                pending::<()>().await;
            }));
            for _ in 0..4 {
                assert!(poll_once(&mut dropped).is_pending());
            }
        }
        assert_eq!(log.into_inner(), ["the body", "a", "b", "c", "d"]);
        drop(open);
        assert_eq!(tells.recv(), Ok(true));
    });
}

#[test]
fn a_scope_that_was_never_polled_calls_nothing() {
    watched(|| {
        let mut called = false;
        drop(scope(async |_: &Scope<'_, '_, ()>| called = true));
        assert!(!called);
    });
}

// X3: the scope waits for the thread of a job that was aborted
#[test]
fn an_aborted_job_is_told_and_its_thread_waited_for_while_the_scope_goes_on() {
    watched(|| {
        let ended = Arc::new(AtomicBool::new(false));
        let (set, turned) = (ended.clone(), Cell::new(false));
        run(scope(async |s| {
            let (begun, has_begun) = mpsc::channel();
            let (open, gate) = mpsc::channel::<()>();
            let job = s.spawn_blocking(move || {
                begun.send(()).unwrap();
                common::until(|| check_cancelled().is_err());
                gate.recv().unwrap_err();
                set.store(true, SeqCst);
            });
            has_begun.recv().unwrap();
            job.abort();
            s.spawn(async {
                turns(3).await;
                turned.set(true);
                drop(open);
            });
        }));
        assert!(turned.get() && ended.load(SeqCst));
    });
}

// Decision 8: panics in drops
#[test]
fn a_panic_in_the_drop_of_a_child_ends_there_and_takes_no_other_along() {
    watched(|| {
        let bombs = async || {
            let _grenade = Grenade;
            pending::<()>().await;
        };
        let log = RefCell::new(Vec::new());
        let value = run(scope(async |s| {
            s.spawn(bombs());
            let log = &log;
            s.spawn(async move {
                let _logs = Logs(log, "the next");
                pending::<()>().await;
            });
            let done = s.spawn(poll_fn({
                let grenade = Grenade;
                move |_| {
                    let _grenade = &grenade;
                    Poll::Ready("its value")
                }
            }));
            assert_eq!(done.await, "its value");
            s.spawn(async { Grenade }); // a value that nobody takes
            turns(2).await;
            s.spawn(bombs()).abort();
            s.finish(7);
            let _grenade = Grenade;
            pending().await
        }));
        assert_eq!((value, log.take()), (7, vec!["the next"]));
        let thrown = thrown_by(|| {
            run(scope(async |s| {
                s.spawn(bombs());
                yield_now().await;
                let _grenade = Grenade;
                panic_any(9_u8);
            }))
        });
        assert_eq!(thrown.downcast_ref(), Some(&9_u8));
        let mut dropped = Box::pin(scope(async |s| {
            s.spawn(bombs());
            s.spawn(bombs()).await;
        }));
        assert!(poll_once(&mut dropped).is_pending());
        assert!(poll_once(&mut dropped).is_pending());
        drop(dropped);
    });
}

// T12
#[test]
fn what_a_drop_spawns_into_an_ending_scope_is_dropped_at_once_and_never_runs() {
    struct Spawns<'scope, 'env>(
        &'scope Scope<'scope, 'env, u8>,
        &'scope RefCell<Vec<&'static str>>,
    );
    impl Drop for Spawns<'_, '_> {
        fn drop(&mut self) {
            let (s, log) = (self.0, self.1);
            let logs = Logs(log, "spawned");
            let late = s.spawn(async move {
                let _logs = logs;
                unreachable!("it never runs");
            });
            assert!(!late.is_finished());
            s.spawn(pending::<()>()).abort();
            s.spawn_blocking(|| unreachable!("nor does a job"));
            s.finish(9);
            log.borrow_mut().push("the end of the drop");
        }
    }
    watched(|| {
        let log = RefCell::new(Vec::new());
        let ends = async |s: &Scope<'_, '_, u8>| s.finish(7);
        let value = run(scope(async |s| {
            let spawns = Spawns(s, &log);
            s.spawn(async move {
                let _spawns = spawns;
                pending::<()>().await;
            });
            yield_now().await;
            ends(s).await;
            pending().await
        }));
        assert_eq!(value, 7);
        assert_eq!(log.take(), ["spawned", "the end of the drop"]);
        // The same where the scope is dropped from outside.
        let mut dropped = Box::pin(scope(async |s| {
            let _spawns = Spawns(s, &log);
            pending().await
        }));
        assert!(poll_once(&mut dropped).is_pending());
        drop(dropped);
        assert_eq!(log.take(), ["spawned", "the end of the drop"]);
    });
}

#[test]
fn a_scope_as_a_task_that_is_aborted_drops_its_children() {
    watched(|| {
        run(async {
            let (drops, dropped) = mpsc::channel();
            let guard = Guard(drops);
            let task = spawn(scope(async |s| {
                s.spawn(async move {
                    let _guard = guard;
                    pending::<()>().await;
                });
                pending::<()>().await;
            }));
            turns(3).await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
            assert_eq!(dropped.try_recv(), Ok(me()));
        });
    });
}

#[test]
fn a_scope_and_children_that_are_forgotten_do_no_harm() {
    watched(|| {
        let kept = RefCell::new(None::<Waker>);
        let number = Rc::new(Cell::new(0));
        let own = number.clone();
        let mut forgotten = Box::pin(scope(async |s| {
            std::mem::forget(s.spawn(async { own.set(1) }));
            s.spawn(poll_fn(|context| {
                *kept.borrow_mut() = Some(context.waker().clone());
                Poll::<()>::Pending
            }));
        }));
        for _ in 0..3 {
            assert!(poll_once(&mut forgotten).is_pending());
        }
        std::mem::forget(forgotten);
        kept.take().unwrap().wake();
        assert_eq!(number.get(), 1);
        // What a forgotten handle's child holds, goes with the scope.
        let (drops, dropped) = mpsc::channel();
        run(scope(async |s| {
            std::mem::forget(s.spawn(async {
                let _guard = Guard(drops);
                pending::<()>().await;
            }));
            turns(2).await;
            s.finish(());
            pending().await
        }));
        assert!(dropped.try_recv().is_ok());
    });
}

#[test]
fn a_childs_waker_that_outlives_the_scope_keeps_nothing_of_the_scopes_waker() {
    struct Parent(Guard);
    impl std::task::Wake for Parent {
        fn wake(self: Arc<Self>) {
            let _ = &self.0;
        }
    }
    watched(|| {
        let child = OnceCell::new();
        let (drops, dropped) = mpsc::channel();
        let waker = Waker::from(Arc::new(Parent(Guard(drops))));
        let mut all = Box::pin(scope(async |_| {
            poll_fn(|context| {
                let _ = child.set(context.waker().clone());
                Poll::<()>::Pending
            })
            .await;
        }));
        assert!(
            all.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        drop(waker);
        drop(all);
        assert!(dropped.try_recv().is_ok());
        child.get().unwrap().wake_by_ref();
    });
}

#[test]
fn a_job_that_the_pool_refuses_ends_the_scope_with_the_panic_that_says_so() {
    watched(|| {
        let pool = Pool::builder().build();
        pool.shutdown(ms(1)).unwrap();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        let text = panic_of(|| {
            event_loop.run_until(scope(async |s| {
                s.spawn_blocking(|| ());
                pending::<()>().await;
            }))
        });
        assert!(
            text.contains("has been shut down") && text.contains(file!()),
            "{text}"
        );
    });
}
