//! Both bridges, from end to end: the real loop, the real pool.

use footbridge::{
    Asyncify, EventLoop, Handle, Pool, Syncify, SyncifyError, asyncify, gather, run, syncify,
    yield_now,
};
use loom_tests::{Data, Flag, Guard, elsewhere, explore, explore_within, spawn, woken_by};
use std::future::{Future, pending, poll_fn};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Runs `main` on a loop whose pool has one thread, and ends both.
fn run_with_one_worker<F: Future>(main: impl FnOnce(Pool) -> F) -> F::Output {
    let pool = Pool::builder()
        .max_threads(1)
        .keep_alive(Duration::MAX)
        .build();
    let mut event_loop = EventLoop::builder().pool(&pool).build();
    let output = event_loop.run_until(main(pool.clone()));
    drop(event_loop);
    pool.shutdown(Duration::MAX).unwrap();
    output
}

// Threads: the loop's thread, which falls asleep; the worker, which ends the job.
// Decided by: the job's lock (`Job::poll`, `Job::finish`): the result is seen, or the waker is. Then the inbox's lock
// (`Inbox::sleep`, `Inbox::post`).
// Mutant: a job's result is there and its waiter is not woken.
#[test]
fn what_a_blocking_function_did_is_there_after_the_await() {
    explore(|| {
        let data = Data::default();
        let written = data.clone();
        run_with_one_worker(async |_| {
            asyncify(move || written.set(1))().await;
            assert_eq!(data.get(), 1);
        });
    });
}

// Threads: the loop's thread; a worker of the global pool.
// Decided by: the locks of the job and of the inbox, as in the model above.
// Mutant: none of its own. It adds the global pool, which is made anew in each interleaving and ends with it.
#[test]
fn the_default_pool_lives_and_ends_within_the_model() {
    explore(|| {
        assert_eq!(run(async { asyncify(|| 7)().await }), 7);
    });
}

// Threads: a worker, which waits in `syncify`; the loop's thread, which runs the async function.
// Decided by: the cell's lock (`JoinCell::poll`, `JoinCell::complete`): the worker sees the result, or its waker is called.
// Mutant: a completion just before a poll takes the lock is not seen.
#[test]
fn an_async_function_runs_at_home_and_its_result_comes_back() {
    explore_within(3, || {
        let data = Data::default();
        let written = data.clone();
        run_with_one_worker(async |_| {
            asyncify(move || {
                let at_home = written.clone();
                let add = async move |n: usize| {
                    at_home.set(1);
                    yield_now().await;
                    n + 1
                };
                assert_eq!(syncify(add)(1), Ok(2));
                assert_eq!(written.get(), 1);
            })()
            .await;
        });
    });
}

// Threads: the one worker, whose job begins to wait in `syncify`; the loop's thread, which submits the nested call.
// Decided by: the lock of `Threads`: `Registry::release_slot` makes the worker inactive and updates the flags of `Awake`, so
// the submitter doesn't find the pool full.
// Mutant: a released slot is not free for others.
#[test]
fn a_call_nested_in_a_call_finds_a_thread_in_a_pool_of_one() {
    explore_within(2, || {
        run_with_one_worker(async |_| {
            let inner = || asyncify(|| 7)();
            assert_eq!(asyncify(move || syncify(inner)())().await, Ok(7));
        });
    });
}

// Threads: the one worker, whose job begins to wait; the loop's thread, which submits while the pool is full.
// Decided by: the lock of `Threads`: `Registry::release_slot` makes the worker inactive and updates the flags of `Awake`.
// Its own look, or a submit that follows, has a thread woken or started for what is queued.
// Mutant: a released slot is not free for others.
#[test]
fn a_job_queued_before_the_worker_waits_for_it_is_run() {
    explore_within(2, || {
        run_with_one_worker(async |pool| {
            let handle = Handle::current();
            let inner = pool.clone();
            let first = pool.spawn_blocking(move || {
                let pool = inner.clone();
                handle.block_on(async move || pool.spawn_blocking(|| 7).await)
            });
            let second = footbridge::spawn_blocking(|| ());
            assert_eq!(first.await, Ok(7));
            second.await;
        });
    });
}

// Threads: the one worker, whose job begins to wait; the loop's thread, which submits another.
// Decided by: the fences of `Awake::fence_and_read` and `Registry::release_slot`: the submitter sees the free slot, or the
// worker sees the job.
// Mutant: a worker releases its slot and looks without a fence.
#[test]
fn a_job_submitted_as_the_worker_begins_to_wait_gets_its_slot() {
    explore_within(2, || {
        run_with_one_worker(async |_| {
            let handle = Handle::current();
            let waits = footbridge::spawn_blocking(move || handle.block_on(pending::<()>));
            assert_eq!(footbridge::spawn_blocking(|| 7).await, 7);
            drop(waits);
        });
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

// Threads: a worker, which begins to wait for the loop; the loop's thread, which ends it.
// Decided by: the inbox's lock: `Inbox::post` comes before `Inbox::close`, and the closure is dropped or has become a task
// that is, or it is refused. Each of the three answers the cell (`RemoteSpawn` and `Task`, in their drops).
// Mutant: a post to a closed loop is left in its inbox.
#[test]
fn a_worker_that_waits_is_answered_when_the_loop_ends() {
    explore_within(3, || {
        let (gone, wrong) = (Data::default(), Data::default());
        let (guard, answered) = (Guard(gone.clone()), wrong.clone());
        run_with_one_worker(async |_| {
            let job = footbridge::spawn_blocking(move || {
                let waits = async move || {
                    let _guard = &guard;
                    pending::<()>().await;
                };
                let answer = Handle::current().block_on(waits);
                answered.set((answer != Err(SyncifyError::LoopClosed)).into());
            });
            yield_now().await;
            job.detach();
        });
        assert_eq!(gone.get(), 1);
        assert_eq!(wrong.get(), 0);
    });
}

// Threads: a worker, whose job begins to wait; the loop's thread, which drops the call.
// Decided by: the lock of the links: `CallState::cancel` finds the task's cell, or `CallState::begin_wait` finds that the
// caller has gone.
// Mutant: a cancel sets its flag after the lock.
#[test]
fn a_worker_whose_caller_goes_away_is_answered_wherever_it_waits() {
    explore_within(3, || {
        run_with_one_worker(async |_| {
            let (gone, over, wrong) = (Data::default(), Flag::default(), Data::default());
            let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
            let (guard, bell) = (Guard(gone.clone()), Bell(over.clone(), waker));
            let answered = wrong.clone();
            let job = footbridge::spawn_blocking(move || {
                let _bell = bell;
                let waits = async move || {
                    let _guard = &guard;
                    pending::<()>().await;
                };
                let answer = Handle::current().block_on(waits);
                answered.set((answer != Err(SyncifyError::Cancelled)).into());
            });
            yield_now().await;
            drop(job);
            // Not the end of the loop is to answer it.
            poll_fn(|_| match over.is_raised() {
                true => Poll::Ready(()),
                false => Poll::Pending,
            })
            .await;
            assert_eq!((gone.get(), wrong.get()), (1, 0));
        });
    });
}

// Threads: a worker, whose job begins to wait in `SendJoinHandle::join`; the caller, which drops the call.
// Decided by: the lock of the links: `CallState::cancel` finds the thread's waker, or `CallState::begin_wait` finds that the
// caller has gone.
// Mutant: a cancel doesn't wake the thread that waits for a task.
#[test]
fn a_worker_whose_caller_goes_away_waits_no_longer_for_a_task() {
    explore_within(3, || {
        let event_loop = EventLoop::new();
        let task = event_loop.spawn(pending::<()>()).into_send();
        let pool = Pool::builder()
            .max_threads(1)
            .keep_alive(Duration::MAX)
            .build();
        let wrong = Data::default();
        let answered = wrong.clone();
        let job = pool.spawn_blocking(move || {
            answered.set((!task.join().unwrap_err().is_cancelled()).into());
        });
        drop(job);
        // Not the end of the loop is to answer it.
        pool.shutdown(Duration::MAX).unwrap();
        assert_eq!(wrong.get(), 0);
        drop(event_loop);
    });
}

// Threads: a worker, whose job runs a temporary loop; the caller, which drops the call.
// Decided by: the lock of the links: `CallState::cancel` finds the temporary loop's task, or `CallState::begin_wait` in
// `run_here` finds that the caller has gone.
// Mutant: a temporary loop can't be found by the cancel of its job.
#[test]
fn a_temporary_loop_whose_caller_goes_away_ends() {
    explore_within(3, || {
        let pool = Pool::builder()
            .max_threads(1)
            .keep_alive(Duration::MAX)
            .build();
        let wrong = Data::default();
        let answered = wrong.clone();
        let job = pool.spawn_blocking(move || {
            let here = Syncify::new().raise_sync_error(false);
            let answer = here.wrap(pending::<()>)();
            answered.set((answer != Err(SyncifyError::Cancelled)).into());
        });
        drop(job);
        pool.shutdown(Duration::MAX).unwrap();
        assert_eq!(wrong.get(), 0);
    });
}

// Threads: a thread that shuts the pool down; a worker, whose job begins to wait for a loop; the thread that ends the loop.
// Decided by: the lock of `Threads`: `Threads::is_shut_down_for` counts a parked thread too, until `Threads::remove`.
// Mutant: a thread that waits in a shutdown is not told that another one has ended.
#[test]
fn a_shutdown_against_a_worker_that_waits_for_a_loop_waits_for_it() {
    explore_within(3, || {
        let pool = Pool::builder()
            .max_threads(1)
            .keep_alive(Duration::MAX)
            .build();
        let event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let data = Data::default();
        let (begun, ended) = (data.clone(), data.clone());
        let job = pool.spawn_blocking(move || {
            begun.add(1);
            let answer = handle.block_on(pending::<()>);
            ended.add((answer == Err(SyncifyError::LoopClosed)).into());
        });
        job.detach();
        let ending = spawn(move || pool.shutdown(Duration::MAX).unwrap());
        drop(event_loop);
        ending.join().unwrap();
        assert_ne!(data.get(), 1);
    });
}

// Threads: a worker, which ends a job that holds a token; the loop's thread, which sees the result.
// Decided by: `Job::finish`: it gives the permit back (`CallState::end`) before it clears `is_ending` under the job's lock.
// Mutant: a job's permit goes back after its result.
#[test]
fn a_limiters_token_is_free_when_the_result_is_seen() {
    explore_within(3, || {
        run_with_one_worker(async |pool| {
            let limiter = footbridge::Limiter::new(1);
            let bounded = Asyncify::new().pool(&pool).limiter(&limiter);
            let one = bounded.wrap(|| 1);
            let sum = gather([one(), one()]).await;
            assert_eq!(sum, [1, 1]);
            assert_eq!(limiter.borrowed_tokens(), 0);
        });
    });
}

// Threads: a thread in `Handle::block_on`; the loop's thread, which runs the loop for a moment and ends it.
// Decided by: the inbox's lock (`Inbox::post`, `Inbox::close`), then the cell's (`JoinCell::poll`, `JoinCell::complete`).
// Mutant: a completion just before a poll takes the lock is not seen.
#[test]
fn a_thread_that_blocks_on_a_loop_gets_its_value_or_hears_that_it_ended() {
    explore(|| {
        let event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let data = Data::default();
        let written = data.clone();
        let other = spawn(move || {
            let made = handle.block_on(async move || written.set(1));
            match made {
                Ok(()) => assert_eq!(data.get(), 1),
                Err(why) => assert_eq!(why, SyncifyError::LoopClosed),
            }
        });
        let mut event_loop = event_loop;
        event_loop.run_until(yield_now());
        drop(event_loop);
        other.join().unwrap();
    });
}

// Threads: two wakers, of a gathered future each; the loop's thread, which polls the gather.
// Decided by: the lock of `WokenQueue`: `WokenQueue::begin_poll` takes what was woken and leaves the parent's waker in one
// step, so a later `ChildWaker::wake` finds that.
// Mutant: a gather takes what was woken one lock before it leaves its waker.
#[test]
fn of_two_futures_gathered_and_woken_at_once_both_are_polled() {
    explore_within(3, || {
        let data = Data::default();
        let written = [data.clone(), data.clone()];
        run(gather(
            written.map(|written| elsewhere(move || written.add(1))),
        ));
        assert_eq!(data.get(), 2);
    });
}

// Threads: two wakers of one gathered future; the loop's thread, which polls it.
// Decided by: the swaps of `queued` in `ChildWaker::wake` and `ChildWaker::begin`: what came before a wake that finds it set is
// seen by the poll after the other swap.
// Mutant: a gathered future's flag is taken with a relaxed swap.
#[test]
fn of_two_wakes_of_one_gathered_future_neither_is_lost() {
    explore_within(3, || {
        run(gather([woken_by(2)]));
    });
}

// Threads: the loop's thread, in a shutdown; a worker, whose job begins to wait for that loop.
// Decided by: the lock of `Threads`: `Registry::release_slot` counts the worker as parked and wakes the shutdown, which
// compares the counts under that lock.
// Mutant: a thread that waits in a shutdown is not told that a worker begins to wait.
#[test]
fn a_shutdown_on_a_loops_thread_ends_though_a_job_waits_for_that_loop() {
    explore_within(3, || {
        let pool = Pool::builder().max_threads(1).build();
        run(async {
            let handle = Handle::current();
            let job = pool.spawn_blocking(move || handle.block_on(pending::<()>));
            job.detach();
            let _ = pool.shutdown(Duration::MAX);
        });
    });
}
