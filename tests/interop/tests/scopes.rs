//! `scope` on other people's executors, and calls that are cancelled and waited for.

#[path = "../../common/mod.rs"]
mod common;
mod worlds;

use common::{panic_of, until, watched};
use footbridge::{Asyncify, Pool, asyncify, check_cancelled, gather, scope, yield_now};
use futures::channel::{mpsc, oneshot};
use futures::{FutureExt, SinkExt, StreamExt};
use std::cell::{Cell, RefCell};
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use worlds::{EXECUTORS_HERE, on_every_executor, on_every_executor_here};

// T1, T13, T20, decision 19
#[test]
fn children_borrow_and_wait_for_one_another_on_any_executor() {
    on_every_executor_here(|| async {
        let (text, log) = (String::from("borrowed"), RefCell::new(Vec::new()));
        let shared = Rc::new(Cell::new(0));
        let length = scope(async |s| {
            let (mut sender, mut receiver) = mpsc::channel(1);
            let (log, shared) = (&log, &shared);
            s.spawn(async move {
                for n in 0..5 {
                    sender.send(n).await.unwrap();
                }
            });
            s.spawn(async move {
                while let Some(n) = receiver.next().await {
                    s.spawn(async move { shared.set(shared.get() + n) });
                    log.borrow_mut().push(n);
                }
            });
            s.spawn(asyncify(|text: String| text.len())(text.clone()))
                .await
        });
        assert_eq!(length.await, 8);
        assert_eq!((shared.get(), log.into_inner()), (10, vec![0, 1, 2, 3, 4]));
    });
}

// T8, T11, X3
#[test]
fn an_error_ends_the_scope_and_its_jobs_are_told_and_waited_for_on_any_executor() {
    on_every_executor_here(|| async {
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let result: Result<(), &str> = scope(async |s| {
            let (begun, has_begun) = oneshot::channel();
            s.spawn_blocking(move || {
                begun.send(()).unwrap();
                until(|| check_cancelled().is_err());
                end.store(true, SeqCst);
            });
            has_begun.await.unwrap();
            s.try_spawn(async {
                yield_now().await;
                Err::<(), _>("the first")
            });
            pending().await
        })
        .await;
        assert_eq!(result, Err("the first"));
        assert!(ended.load(SeqCst));
    });
}

// T10, decision 8
#[test]
fn a_childs_panic_leaves_the_executor_that_runs_the_scope() {
    for (name, drive) in EXECUTORS_HERE {
        println!("on {name}");
        let text = watched(move || {
            panic_of(|| {
                drive(Box::pin(scope(async |s| {
                    s.spawn(async { panic!("of the child") });
                    pending::<()>().await;
                })))
            })
        });
        assert_eq!(text, "of the child");
    }
}

// X3, decision 2
#[test]
fn a_call_is_cancelled_and_waited_for_and_its_failure_is_a_value_on_any_executor() {
    on_every_executor(|| async {
        let pool = Pool::builder().build();
        let (begun, has_begun) = oneshot::channel();
        let job = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            until(|| check_cancelled().is_err());
            7
        });
        has_begun.await.unwrap();
        assert_eq!(job.cancel().await, Some(7));
        let divide = Asyncify::new().pool(&pool).wrap(|a: u32, b: u32| a / b);
        assert!(divide(1, 0).outcome().await.unwrap_err().is_panic());
        let mut both = gather([divide(6, 3), divide(6, 2)]);
        let (first, second) = (both.next().await.unwrap(), both.next().await.unwrap());
        assert_eq!(first.1 + second.1, 5);
        assert_eq!(both.next().now_or_never(), Some(None));
    });
}
