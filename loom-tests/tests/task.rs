//! A task is woken, ends, is aborted, and loses its loop.

use footbridge::{EventLoop, Handle, run, yield_now};
use loom_tests::{Data, Guard, elsewhere, explore, explore_within, spawn, woken_by};
use std::future::{pending, poll_fn};
use std::task::Poll;

#[test]
fn a_main_future_woken_while_it_runs_is_polled_again() {
    explore(|| run(woken_by(1)));
}

#[test]
fn a_task_woken_while_it_runs_is_polled_again() {
    explore(|| {
        run(async {
            footbridge::spawn(woken_by(1)).await.unwrap();
        });
    });
}

#[test]
fn a_task_that_wakes_itself_in_a_later_poll_is_polled_again() {
    explore(|| {
        run(async {
            let task = async {
                elsewhere(|| ()).await;
                yield_now().await;
                yield_now().await;
            };
            footbridge::spawn(task).await.unwrap();
        });
    });
}

#[test]
fn of_two_wakers_at_once_neither_is_lost() {
    explore_within(3, || run(woken_by(2)));
}

#[test]
fn of_two_wakers_of_a_task_neither_is_lost() {
    explore_within(2, || {
        run(async {
            footbridge::spawn(woken_by(2)).await.unwrap();
        });
    });
}

#[test]
fn a_wake_as_the_task_completes_is_no_wake_of_the_next_one() {
    explore_within(3, || {
        run(async {
            let mut polls = 0;
            footbridge::spawn(poll_fn(move |context| {
                polls += 1;
                if polls == 1 {
                    let late = context.waker().clone();
                    spawn(move || late.wake());
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Ready(())
            }))
            .await
            .unwrap();
            let mut polled = false;
            let next = footbridge::spawn(poll_fn(move |_| {
                assert!(!std::mem::replace(&mut polled, true), "nobody woke it");
                Poll::<()>::Pending
            }));
            yield_now().await;
            yield_now().await;
            assert!(!next.is_finished());
        });
    });
}

#[test]
fn a_wake_of_a_last_poll_is_no_wake_of_the_task_that_gets_the_place() {
    explore(|| {
        run(async {
            let first = footbridge::spawn(async {
                elsewhere(|| ()).await;
                let mut polled = false;
                let next = footbridge::spawn(poll_fn(move |_| {
                    assert!(!std::mem::replace(&mut polled, true), "nobody woke it");
                    Poll::<()>::Pending
                }));
                // Behind that task in the queue, this one has ended when its turn comes.
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    Poll::Ready(())
                })
                .await;
                [next]
            });
            let [next] = first.await.unwrap();
            yield_now().await;
            assert!(!next.is_finished());
        });
    });
}

#[test]
fn a_wake_against_an_abort_ends_the_task_once_and_its_future_before_that_is_known() {
    explore_within(3, || {
        run(async {
            let dropped = Data::default();
            let guard = Guard(dropped.clone());
            let task = footbridge::spawn(async move {
                let _guard = guard;
                elsewhere(|| ()).await;
            });
            elsewhere(move || {
                task.abort();
                let _ = task.join();
                assert_eq!(dropped.get(), 1);
            })
            .await;
        });
    });
}

#[test]
fn an_abort_from_another_thread_finds_the_task_unpolled_waiting_or_asleep() {
    explore(|| {
        run(async {
            let task = footbridge::spawn(pending::<()>());
            elsewhere(move || {
                task.abort();
                assert!(task.join().unwrap_err().is_cancelled());
            })
            .await;
        });
    });
}

#[test]
fn an_abort_of_what_was_spawned_from_another_thread_is_answered() {
    explore_within(4, || {
        run(async {
            let handle = Handle::current();
            elsewhere(move || {
                let task = handle.spawn(pending::<()>);
                task.abort();
                assert!(task.join().unwrap_err().is_cancelled());
            })
            .await;
        });
    });
}

#[test]
fn an_abort_against_completion_loses_neither_the_value_nor_the_answer() {
    explore_within(3, || {
        run(async {
            let data = Data::default();
            let written = data.clone();
            let task = footbridge::spawn(async move {
                yield_now().await;
                written.set(1);
            });
            elsewhere(move || {
                task.abort();
                if task.join().is_ok() {
                    assert_eq!(data.get(), 1);
                }
            })
            .await;
        });
    });
}

#[test]
fn a_wake_after_the_loop_has_ended_does_nothing() {
    explore(|| {
        let data = Data::default();
        let written = data.clone();
        let late = run(poll_fn(|context| {
            let waker = context.waker().clone();
            let written = written.clone();
            Poll::Ready(spawn(move || {
                written.set(1);
                waker.wake();
            }))
        }));
        late.join().unwrap();
        assert_eq!(data.get(), 1);
    });
}

#[test]
fn a_join_against_completion_gets_the_value_and_what_was_written_before_it() {
    explore(|| {
        let data = Data::default();
        let mut event_loop = EventLoop::new();
        let written = data.clone();
        let task = event_loop.spawn(async move {
            written.set(1);
            7
        });
        let joining = spawn(move || {
            assert_eq!(task.join().unwrap(), 7);
            assert_eq!(data.get(), 1);
        });
        event_loop.run_until(yield_now());
        joining.join().unwrap();
    });
}

#[test]
fn a_join_against_the_end_of_the_loop_is_answered_after_the_future_is_gone() {
    explore(|| {
        let dropped = Data::default();
        let event_loop = EventLoop::new();
        let guard = Guard(dropped.clone());
        let task = event_loop.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        let joining = spawn(move || {
            assert!(task.join().unwrap_err().is_cancelled());
            assert_eq!(dropped.get(), 1);
        });
        drop(event_loop);
        joining.join().unwrap();
    });
}

#[test]
fn a_task_spawned_from_another_thread_runs_or_is_refused_and_is_answered_either_way() {
    explore(|| {
        let event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let other = spawn(move || {
            let data = Data::default();
            let guard = Guard(data.clone());
            let task = handle.spawn(move || async move { drop(guard) });
            let _ = task.join();
            assert_eq!(data.get(), 1);
        });
        let mut event_loop = event_loop;
        event_loop.tick();
        drop(event_loop);
        other.join().unwrap();
    });
}

#[test]
fn who_asks_and_hears_that_a_task_is_finished_sees_what_it_wrote() {
    explore(|| {
        let data = Data::default();
        let written = data.clone();
        let mut event_loop = EventLoop::new();
        let task = event_loop.spawn(async move { written.set(1) });
        let asking = spawn(move || {
            if task.is_finished() {
                assert_eq!(data.get(), 1);
            }
        });
        event_loop.tick();
        asking.join().unwrap();
    });
}

#[test]
fn a_task_spawned_where_another_was_aborted_runs() {
    explore_within(3, || {
        run(async {
            let first = footbridge::spawn(pending::<()>());
            let aborting = spawn(move || first.abort());
            yield_now().await;
            yield_now().await;
            aborting.join().unwrap();
            yield_now().await;
            let second = footbridge::spawn(async {
                yield_now().await;
                7
            });
            assert_eq!(second.await.unwrap(), 7);
        });
    });
}

#[test]
fn a_task_that_is_aborted_and_let_go_of_in_its_first_poll_is_dropped() {
    explore(|| {
        let dropped = Data::default();
        let guard = Guard(dropped.clone());
        run(async {
            let task = footbridge::spawn(async move {
                let _guard = guard;
                pending::<()>().await
            });
            elsewhere(move || {
                task.abort();
                drop(task);
            })
            .await;
            yield_now().await;
            yield_now().await;
            assert_eq!(dropped.get(), 1);
        });
    });
}
