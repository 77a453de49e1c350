//! A scope, whose children are woken and whose jobs end on other threads.

use footbridge::{EventLoop, Pool, run, scope};
use loom_tests::{Data, Guard, elsewhere, explore_within, woken_by};
use std::future::{Future, pending};
use std::time::Duration;

/// Runs `main` on a loop whose pool has one thread, and ends both.
fn run_with_one_worker<F: Future>(main: F) -> F::Output {
    let pool = Pool::builder().max_threads(1).keep_alive(Duration::MAX);
    let pool = pool.build();
    let mut event_loop = EventLoop::builder().pool(&pool).build();
    let output = event_loop.run_until(main);
    drop(event_loop);
    pool.shutdown(Duration::MAX).unwrap();
    output
}

// Threads: two wakers, of a child each; the loop's thread, which polls the scope.
// Decided by: the lock of `WokenQueue`: `WokenQueue::begin_poll` takes what was woken and leaves the parent's waker in one
// step, so a later `ChildWaker::wake` finds that.
// Mutant: a gather takes what was woken one lock before it leaves its waker.
#[test]
fn of_two_children_woken_at_once_both_are_polled() {
    explore_within(3, || {
        let data = Data::default();
        let written = [data.clone(), data.clone()];
        run(scope(async |s| {
            for written in written {
                s.spawn(elsewhere(move || written.add(1)));
            }
        }));
        assert_eq!(data.get(), 2);
    });
}

// Threads: two wakers of one child; the loop's thread, which polls it.
// Decided by: the swaps of `queued` in `ChildWaker::wake` and `ChildWaker::begin`: what came before a wake that finds it set
// is seen by the poll after the other swap.
// Mutant: a scope clears the mark of a child after its poll.
#[test]
fn of_two_wakes_of_one_child_neither_is_lost() {
    explore_within(3, || {
        run(scope(async |s| {
            s.spawn(woken_by(2));
        }));
    });
}

// Threads: a worker, which runs the child's function; the loop's thread, which finishes the scope.
// Decided by: the job's lock: `Job::tell` takes the function, or `Job::run` does, and then the scope is woken by its end.
// Mutant: a scope that ends doesn't wait for its jobs.
#[test]
fn a_scope_that_is_finished_ends_when_its_job_has_or_the_job_never_runs() {
    explore_within(2, || {
        let (begun, gone) = (Data::default(), Data::default());
        let (begin, guard) = (begun.clone(), Guard(gone.clone()));
        let seen = run_with_one_worker(async {
            let value = scope(async |s| {
                s.spawn_blocking(move || {
                    begin.set(1);
                    drop(guard);
                });
                s.finish(7);
                pending().await
            });
            (value.await, gone.get(), begun.get())
        });
        assert_eq!(seen, (7, 1, begun.get()));
    });
}

// Threads: a worker, which ends the child's function; the loop's thread, which polls the scope and falls asleep.
// Decided by: the job's lock: the result is seen, or the child's waker is. Then that of `WokenQueue`: the wake finds the
// scope's waker.
// Mutant: a gathered future that is woken doesn't wake the gather.
#[test]
fn what_a_blocking_child_did_is_there_when_the_scope_ends() {
    explore_within(2, || {
        let data = Data::default();
        let written = data.clone();
        run_with_one_worker(async {
            scope(async |s| {
                s.spawn_blocking(move || written.set(1));
            })
            .await;
            assert_eq!(data.get(), 1);
        });
    });
}
