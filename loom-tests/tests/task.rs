//! A task is woken, ends, is aborted, and loses its loop.

use footbridge::{EventLoop, Handle, run, yield_now};
use loom_tests::{Data, Guard, elsewhere, explore, explore_within, spawn, woken_by};
use std::future::{pending, poll_fn};
use std::task::{Context, Poll};

// Threads: the loop's thread, which polls the main future; a thread that wakes it meanwhile.
// Decided by: the inbox's lock: `TaskWaker::wake` posts, and the loop sees the post or is unparked (`Inbox::sleep`).
// Mutant: a main future has no key.
#[test]
fn a_main_future_woken_while_it_runs_is_polled_again() {
    explore(|| run(woken_by(1)));
}

// Threads: the loop's thread, which polls a task for the first time; a thread that wakes it meanwhile.
// Decided by: the inbox's lock: the loop takes the post of `TaskWaker::wake` after the poll, and queues the task's key.
// Mutant: a task waker is not told its task's key.
#[test]
fn a_task_woken_while_it_runs_is_polled_again() {
    explore(|| {
        run(async {
            footbridge::spawn(woken_by(1)).await.unwrap();
        });
    });
}

// Threads: the loop's thread, whose task yields after it was woken; the thread that woke it.
// Decided by: `TaskWaker::begin_poll`, which clears `scheduled` before the poll, so that a wake within it queues the task.
// Mutant: a poll says that it begins when it is over.
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

// Threads: two wakers of the main future; the loop's thread, which takes it from the inbox.
// Decided by: the swaps of `posted` in `TaskWaker::wake` and `TaskWaker::taken_from_inbox`: what the waker that finds it set
// has written is seen by the poll after the other swap.
// Mutant: a wake sets its task waker's posted flag with a relaxed swap.
#[test]
fn of_two_wakers_at_once_neither_is_lost() {
    explore_within(3, || run(woken_by(2)));
}

// Threads: two wakers of a task; the loop's thread, which takes it from the inbox.
// Decided by: the swaps of `posted` in `TaskWaker::wake` and `TaskWaker::taken_from_inbox`, as for a main future.
// Mutant: the posted flag of a task waker from the inbox is cleared with a relaxed swap.
#[test]
fn of_two_wakers_of_a_task_neither_is_lost() {
    explore_within(2, || {
        run(async {
            footbridge::spawn(woken_by(2)).await.unwrap();
        });
    });
}

// Threads: the loop's thread, whose task ends and is followed by another; a late waker of the first.
// Decided by: `TaskWaker::end`: from then on, a wake queues nothing. `TaskSlab::recycle` uses a task waker again only if no
// other reference to it is left.
// Mutant: a task waker that others refer to is used again.
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
                assert!(!std::mem::replace(&mut polled, true), "it was not woken");
                Poll::<()>::Pending
            }));
            yield_now().await;
            yield_now().await;
            assert!(!next.is_finished());
        });
    });
}

// Threads: the loop's thread, whose task wakes itself in its last poll; a thread that spawns a task meanwhile.
// Decided by: the inbox's lock: the post comes before or after the turn that takes the ended task's key from the ready queue.
// Only then `Joins::unqueue` makes that key vacant.
// Mutant: an ended task's key is used again though it is queued.
#[test]
fn a_wake_of_a_last_poll_is_no_wake_of_the_task_that_gets_the_place() {
    explore(|| {
        let polls = Data::default();
        let counted = polls.clone();
        run(async {
            footbridge::spawn(poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::Ready(())
            }));
            let handle = Handle::current();
            elsewhere(move || {
                let next = move |_: &mut Context<'_>| -> Poll<()> {
                    counted.add(1);
                    Poll::Pending
                };
                handle.spawn(move || poll_fn(next));
            })
            .await;
            yield_now().await;
        });
        assert_eq!(polls.get(), 1);
    });
}

// Threads: the loop's thread; a thread that wakes the task; a thread that aborts it, and waits for its end.
// Decided by: the inbox's lock: the wake's post is before the abort's or after it; `EventLoop::end_unready`, which drops the
// future before the cell says that the task has ended.
// Mutant: a task is over before its future is gone.
#[test]
fn a_wake_against_an_abort_ends_the_task_once_and_its_future_before_that_is_known() {
    explore_within(3, || {
        run(async {
            let dropped = Data::default();
            let guard = Guard(dropped.clone());
            let task = footbridge::spawn(async move {
                let _guard = guard;
                elsewhere(|| ()).await;
            })
            .into_send();
            elsewhere(move || {
                task.abort();
                let _ = task.join();
                assert_eq!(dropped.get(), 1);
            })
            .await;
        });
    });
}

// Threads: a thread that aborts a task; the loop's thread, which polls the task for the first time, or sleeps.
// Decided by: the inbox's lock: the post of the abort is before the task's first poll, during it, or wakes the loop.
// Mutant: an abort in the inbox is dropped.
#[test]
fn an_abort_from_another_thread_finds_the_task_unpolled_waiting_or_asleep() {
    explore(|| {
        run(async {
            let task = footbridge::spawn(pending::<()>()).into_send();
            elsewhere(move || {
                task.abort();
                assert!(task.join().unwrap_err().is_cancelled());
            })
            .await;
        });
    });
}

// Threads: a thread that spawns on the loop, and aborts; the loop's thread, which makes the task.
// Decided by: the cell's lock: `aborted` is seen by `RemoteSpawn::make_task` or `Joins::is_aborted`, or the abort finds the key
// that `attach` has set.
// Mutant: a task's first poll doesn't ask the cell for an abort.
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

// Threads: a thread that aborts a task, and waits for its end; the loop's thread, whose task completes.
// Decided by: the cell's lock: `JoinCell::abort` finds the cell complete and changes nothing, or the loop takes the abort from
// its inbox before it polls the task again.
// Mutant: a task is called complete before its result is there.
#[test]
fn an_abort_against_completion_loses_neither_the_value_nor_the_answer() {
    explore_within(3, || {
        run(async {
            let data = Data::default();
            let written = data.clone();
            let task = footbridge::spawn(async move {
                yield_now().await;
                written.set(1);
            })
            .into_send();
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

// Threads: a late waker of a main future; the loop's thread, which has ended the loop or caches it.
// Decided by: the inbox's lock: `Inbox::post` comes before `Inbox::close`, and the post is dropped with the loop, or it is
// refused.
// Mutant: none of its own. It adds that such a wake returns, on a loop that is about to end or has ended.
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

// Threads: a thread that joins a task; the loop's thread, which completes it.
// Decided by: the cell's lock: `JoinCell::complete` finds the waker that `JoinCell::poll` left, or `poll` finds the result.
// Mutant: a completion just before a poll takes the lock is not seen.
#[test]
fn a_join_against_completion_gets_the_value_and_what_was_written_before_it() {
    explore(|| {
        let data = Data::default();
        let mut event_loop = EventLoop::new();
        let written = data.clone();
        let task = event_loop
            .spawn(async move {
                written.set(1);
                7
            })
            .into_send();
        let joining = spawn(move || {
            assert_eq!(task.join().unwrap(), 7);
            assert_eq!(data.get(), 1);
        });
        event_loop.run_until(yield_now());
        joining.join().unwrap();
    });
}

// Threads: a thread that joins a task; the loop's thread, which ends the loop.
// Decided by: `EventLoop::end_unready`: it drops the future before it leaves the answer under the cell's lock.
// Mutant: a task is over before its future is gone.
#[test]
fn a_join_against_the_end_of_the_loop_is_answered_after_the_future_is_gone() {
    explore(|| {
        let dropped = Data::default();
        let event_loop = EventLoop::new();
        let guard = Guard(dropped.clone());
        let task = event_loop
            .spawn(async move {
                let _guard = guard;
                pending::<()>().await;
            })
            .into_send();
        let joining = spawn(move || {
            assert!(task.join().unwrap_err().is_cancelled());
            assert_eq!(dropped.get(), 1);
        });
        drop(event_loop);
        joining.join().unwrap();
    });
}

// Threads: a thread that spawns on the loop, and joins; the loop's thread, which makes one turn and ends the loop.
// Decided by: the inbox's lock: `Inbox::post` is before the turn, or between the turn and `Inbox::close`, or refused. The
// closure's drop answers the cell (`RemoteSpawn`).
// Mutant: a post to a closed loop is left in its inbox.
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

// Threads: a thread that asks `is_finished`; the loop's thread, which completes the task.
// Decided by: the cell's lock: `JoinCell::complete` stores the result under it, and `JoinCell::is_complete` asks under it.
// Mutant: a task is called complete before it is.
#[test]
fn a_thread_that_is_told_that_a_task_is_finished_sees_what_it_wrote() {
    explore(|| {
        let data = Data::default();
        let written = data.clone();
        let mut event_loop = EventLoop::new();
        let task = event_loop.spawn(async move { written.set(1) }).into_send();
        let asking = spawn(move || {
            if task.is_finished() {
                assert_eq!(data.get(), 1);
            }
        });
        event_loop.tick();
        asking.join().unwrap();
    });
}

// Threads: a thread that aborts a task late; the loop's thread, which has ended it, and spawned the next with its key.
// Decided by: `JoinCell::key`, which the loop calls when it takes the abort: by then, the cell of an ended task has no key.
// Mutant: an abort is for the task that has the key by then.
#[test]
fn a_task_with_the_key_of_another_is_not_aborted_with_that() {
    explore_within(3, || {
        run(async {
            let first = footbridge::spawn(elsewhere(|| ())).into_send();
            let aborting = spawn(move || first.abort());
            yield_now().await;
            yield_now().await;
            // By now, the first has ended, is to be aborted, or both.
            let second = footbridge::spawn(async {
                yield_now().await;
                7
            })
            .into_send();
            aborting.join().unwrap();
            assert_eq!(second.await.unwrap(), 7);
        });
    });
}

// Threads: a thread that aborts a task and drops its handle; the loop's thread, which polls the task for the first time.
// Decided by: the inbox's lock: the post of the abort holds the cell, so the loop still finds the task by it.
// Mutant: an abort in the inbox is dropped.
#[test]
fn a_task_that_is_aborted_and_let_go_of_in_its_first_poll_is_dropped() {
    explore(|| {
        let dropped = Data::default();
        let guard = Guard(dropped.clone());
        run(async {
            let task = footbridge::spawn(async move {
                let _guard = guard;
                pending::<()>().await
            })
            .into_send();
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
