//! Sequences over the bridge. In a model a buffer is one item, so two items fill both sides.

use footbridge::{
    EventLoop, Pool, SyncifyError, asyncify, spawn_generator, syncify, syncify_iter, yield_now,
};
use loom_tests::{Data, Flag, Guard, explore_within};
use std::future::{Future, pending, poll_fn};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Runs `main` on a loop whose pool has one thread, and ends both.
fn run_with_one_worker<F: Future>(main: impl FnOnce() -> F) -> F::Output {
    let pool = Pool::builder()
        .max_threads(1)
        .keep_alive(Duration::MAX)
        .build();
    let mut event_loop = EventLoop::builder().pool(&pool).build();
    let output = event_loop.run_until(main());
    drop(event_loop);
    pool.shutdown(Duration::MAX).unwrap();
    output
}

// Threads: the worker, whose generator sends until there is no room; the loop's thread, which takes.
// Decided by: the channel's lock (`poll_send`, `poll_item`, `take`): a side sees what the other left, or leaves its waker.
// Mutants: a receiver that waits is not woken; a sender that waits for room is not woken; an item between the two looks of a
// receiver is not seen.
#[test]
fn items_arrive_in_order_and_with_what_was_written_before_them() {
    explore_within(2, || {
        run_with_one_worker(async || {
            let data = Data::default();
            let written = data.clone();
            let mut items = spawn_generator(move |sink| {
                for n in 1..=3 {
                    written.set(n);
                    sink.send(n).unwrap();
                }
            });
            for n in 1..=3 {
                assert_eq!(items.next().await, Some(n));
                assert!(data.get() >= n);
            }
            assert_eq!(items.next().await, None);
        });
    });
}

// Threads: the worker, whose generator sends its last item and ends; the loop's thread, which polls.
// Decided by: the job's lock, after the channel's. A receiver that finds no item, and then the end, looks once more.
// Mutant: an item that comes just before the end is lost.
#[test]
fn the_last_item_against_the_end_of_the_generator_is_not_lost() {
    explore_within(3, || {
        run_with_one_worker(async || {
            let mut items = spawn_generator(|sink| sink.send(7));
            assert_eq!(items.next().await, Some(7));
            assert_eq!(items.next().await, None);
        });
    });
}

// Threads: the worker, whose generator finds the buffer full; the loop's thread, which drops the items.
// Decided by: the channel's lock (`poll_send`, `close`): the send sees that it is closed, or the drop sees its waker.
// Mutants: a drop of the items doesn't wake the sender; a closed channel takes items.
#[test]
fn a_send_without_room_against_the_drop_of_the_items_is_refused() {
    explore_within(3, || {
        let (data, gone) = (Data::default(), Data::default());
        let (refused, guard) = (data.clone(), Guard(gone.clone()));
        run_with_one_worker(async || {
            let items = spawn_generator(move |sink| {
                let _iterator = guard;
                while sink.send(()).is_ok() {}
                refused.set(1);
            });
            poll_fn(|_| Poll::Ready(())).await;
            drop(items);
        });
        assert!(
            data.get() == 1 || gone.get() == 1,
            "it was refused, or it never began"
        );
        assert_eq!(gone.get(), 1);
    });
}

// Threads: the worker, whose generator waits for an async function; the loop's thread, which drops the items.
// Decided by: the lock of the call's links, as for any job: `begin_wait` or the cancel is first.
// Mutant: none of its own. It adds that the items cancel their job.
#[test]
fn a_generator_that_waits_in_syncify_against_the_drop_of_the_items_is_cancelled() {
    explore_within(2, || {
        let data = Data::default();
        let told = data.clone();
        run_with_one_worker(async || {
            let mut items = spawn_generator(move |sink| {
                sink.send(()).unwrap();
                let ended = syncify(pending::<()>)();
                assert!(matches!(
                    ended,
                    Err(SyncifyError::Cancelled | SyncifyError::LoopClosed)
                ));
                told.set(1);
            });
            assert_eq!(items.next().await, Some(()));
            drop(items);
        });
        assert_eq!(data.get(), 1);
    });
}

// Threads: the worker, which waits for an item; the loop's thread, whose task sends one, ends, or finds no room.
// Decided by: the channel's lock, and that of the task's cell.
// Mutants: as for the first two models.
#[test]
fn an_async_sequence_arrives_whole_though_its_task_runs_ahead() {
    explore_within(2, || {
        run_with_one_worker(async || {
            let job = asyncify(|| {
                let numbers = syncify_iter(|| {
                    let mut left = 1..=3;
                    async move || left.next()
                });
                numbers.collect::<Result<Vec<_>, _>>()
            });
            assert_eq!(job().await, Ok(vec![1, 2, 3]));
        });
    });
}

// Threads: the worker, which waits for an item; the loop's thread, whose task sends nothing, and where the caller goes.
// Decided by: the lock of the call's links (`begin_wait`, `CallState::cancel`); then the loop completes the task's cell.
// Mutant: the wait for an item is not among what a cancel ends.
#[test]
fn a_job_that_waits_for_an_item_against_the_going_of_its_caller_is_answered() {
    explore_within(2, || {
        let data = Data::default();
        let told = data.clone();
        run_with_one_worker(async || {
            let over = Flag::default();
            let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
            let bell = Bell(over.clone(), waker);
            let mut job = Box::pin(asyncify(move |_: Bell| {
                let mut items = syncify_iter(|| async || pending::<Option<()>>().await);
                let is_told = items.next() == Some(Err(SyncifyError::Cancelled));
                told.set(if is_told && items.next().is_none() {
                    1
                } else {
                    2
                });
            })(bell));
            let polled = poll_fn(|context| Poll::Ready(job.as_mut().poll(context)));
            assert!(polled.await.is_pending());
            yield_now().await;
            drop(job);
            // The loop goes on until the job is over, or was dropped unrun.
            poll_fn(|_| match over.is_raised() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
        });
        assert_ne!(data.get(), 2);
    });
}

/// Says, when it is dropped, that a job is over, whether it was run or not.
struct Bell(Flag, Waker);

impl Drop for Bell {
    fn drop(&mut self) {
        self.0.raise();
        self.1.wake_by_ref();
    }
}
