//! Other threads post to a loop: that is awake, falls asleep, is closing, or belongs to a host.

use footbridge::{EventLoop, Handle, run, yield_now};
use loom_tests::internals::Parker;
use loom_tests::{Arc, Data, Guard, elsewhere, explore, explore_within, spawn};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};
use std::time::Duration;

/// Ready when `calls` of them were made on the loop; `post` gets a way to make one.
fn until_called(calls: usize, post: impl Fn(Handle, Waker)) -> impl Future<Output = ()> {
    let mut started = false;
    poll_fn(move |context| {
        if !std::mem::replace(&mut started, true) {
            CALLS.with(|called| called.set(0));
            post(Handle::current(), context.waker().clone());
        }
        match CALLS.with(Cell::get) == calls {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
}

loom::thread_local! { static CALLS: Cell<usize> = Cell::new(0); }

fn called(by: &Waker) {
    CALLS.with(|called| called.set(called.get() + 1));
    by.wake_by_ref();
}

// Threads: a thread that posts; the loop's thread, which falls asleep.
// Decided by: the inbox's lock: `Inbox::sleep` looks and sets `asleep` in one step, `Inbox::post` pushes and takes `asleep`
// in one.
// Mutant: the loop falls asleep without a look under the lock.
#[test]
fn a_post_against_the_loops_falling_asleep_is_carried_out() {
    explore(|| {
        run(until_called(1, |handle, waker| {
            let data = Data::default();
            spawn(move || {
                data.set(1);
                handle.call_soon(move || {
                    assert_eq!(data.get(), 1);
                    called(&waker);
                });
            });
        }));
    });
}

// Threads: two threads that post; the loop's thread, which takes posts and falls asleep.
// Decided by: the inbox's lock: `Inbox::take` clears the hint `posted` and takes all posts in one step; `Inbox::sleep` looks
// at the posts themselves.
// Mutant: the hint that there are posts is cleared after they were taken.
#[test]
fn of_two_posters_at_once_both_are_heard() {
    explore(|| {
        run(until_called(2, |handle, waker| {
            for _ in 0..2 {
                let (handle, waker) = (handle.clone(), waker.clone());
                spawn(move || handle.call_soon(move || called(&waker)));
            }
        }));
    });
}

// Threads: a thread that posts; a thread that wakes a task; the loop's thread, which takes posts and falls asleep.
// Decided by: the inbox's lock, through which both go (`Inbox::post`, `Inbox::take`, `Inbox::sleep`).
// Mutant: the loop falls asleep without a look under the lock.
#[test]
fn a_post_and_a_wake_at_once_are_both_heard() {
    explore(|| {
        run(async {
            let task = footbridge::spawn(elsewhere(|| ()));
            until_called(1, |handle, waker| {
                spawn(move || handle.call_soon(move || called(&waker)));
            })
            .await;
            task.await.unwrap();
        });
    });
}

// Threads: a thread that posts; the loop's thread, which makes one turn and ends the loop.
// Decided by: the inbox's lock: `Inbox::post` comes before `Inbox::close`, which gives the post back to be dropped, or is
// refused.
// Mutant: none of its own. It adds that a post of which `call_soon` says that it was refused is not run, and is dropped.
#[test]
fn a_post_against_the_loops_closing_is_seen_or_refused() {
    explore(|| {
        let event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let (ran, gone) = (Data::default(), Data::default());
        let post = {
            let (ran, guard) = (ran.clone(), Guard(gone.clone()));
            move || {
                handle.call_soon(move || {
                    ran.set(1);
                    drop(guard);
                })
            }
        };
        let poster = spawn(post);
        let mut event_loop = event_loop;
        event_loop.tick();
        drop(event_loop);
        let queued = poster.join().unwrap();
        assert!(queued || ran.get() == 0);
        assert_eq!(gone.get(), 1);
    });
}

// Threads: two threads that wait for the loop; the loop's thread, which ends it.
// Decided by: the inbox's lock: `Inbox::close` sets `closed` and takes the posts in one step.
// Mutant: a close takes the posts one lock before it closes.
#[test]
fn a_wait_for_a_task_on_a_closing_loop_is_answered() {
    explore_within(4, || {
        let event_loop = EventLoop::new();
        for _ in 0..2 {
            let handle = event_loop.handle();
            spawn(move || handle.block_on(async || ()));
        }
        drop(event_loop);
    });
}

// Threads: a thread that posts twice; the loop's thread, which takes the posts in one turn or in two.
// Decided by: the inbox's lock: `Inbox::post` pushes at the end, `Inbox::take` swaps the whole list.
// Mutant: the hint that there are posts is cleared after they were taken.
#[test]
fn what_one_thread_posts_is_done_in_its_order() {
    explore(|| {
        run(until_called(2, |handle, waker| {
            spawn(move || {
                for number in 0..2 {
                    let waker = waker.clone();
                    handle.call_soon(move || {
                        CALLS.with(|called| assert_eq!(called.get(), number));
                        called(&waker);
                    });
                }
            });
        }));
    });
}

// Threads: two threads that post; the host's thread, which ticks.
// Decided by: the swaps of `host_told` in `Inbox::tell_host` and `Inbox::begin_tick`, which comes before the tick looks: the
// post that finds it set is seen by that tick.
// Mutant: a tick looks first and takes the host's flag then.
#[test]
fn a_host_that_was_told_finds_the_post_in_its_next_tick() {
    explore_within(4, || {
        let parker = Arc::new(Parker::new());
        let hook = parker.clone();
        let mut event_loop = EventLoop::builder().on_wake(move || hook.unpark()).build();
        let done = Data::default();
        for _ in 0..2 {
            let (handle, done) = (event_loop.handle(), done.clone());
            spawn(move || handle.call_soon(move || done.add(1)));
        }
        // Unasked: a host may have reasons of its own.
        event_loop.tick();
        while done.get() < 2 {
            let _ = parker.park(None);
            event_loop.tick();
        }
    });
}

// Threads: the loop's thread, which sleeps until a deadline; a thread that wakes the future before, at or after that.
// Decided by: the parker's lock (`Parker::park`, `Parker::unpark`) and the inbox's: the deadline, or the post is seen.
// Mutant: none of its own. It adds that a wait that ends in time sees what was written before the wake.
#[test]
fn a_timeout_against_a_wake_ends_one_way_or_the_other() {
    explore(|| {
        run(async {
            let data = Data::default();
            let written = data.clone();
            let woken = elsewhere(move || written.set(1));
            let ended = footbridge::time::timeout(Duration::from_secs(1), woken).await;
            assert!(ended.is_err() || data.get() == 1);
        });
    });
}

// Threads: the loop's thread, which sleeps until a deadline; a thread that posts meanwhile.
// Decided by: `EventLoop::begin_turn`, which wakes the timers that are due whichever of the two has ended the park.
// Mutant: a timer that is due wakes nothing.
#[test]
fn a_sleep_ends_while_another_thread_posts_and_after() {
    explore(|| {
        run(async {
            let handle = Handle::current();
            let posting = spawn(move || handle.call_soon(|| ()));
            footbridge::time::sleep(Duration::from_secs(1)).await;
            posting.join().unwrap();
            footbridge::time::sleep(Duration::from_secs(1)).await;
        });
    });
}

// Threads: a thread that posts to a loop and lets go of it; the loop's thread, which caches the loop or doesn't.
// Decided by: `Scheduler::is_pristine`: the count of the inbox's `Arc`, then a look at the posts under its lock.
// Mutant: a loop is kept though another thread can still post to it.
#[test]
fn a_post_to_a_loop_that_has_ended_is_nothing_to_the_next_one_on_its_thread() {
    explore(|| {
        let (ran_by, let_go) = (Data::default(), Data::default());
        let by = ran_by.clone();
        let posting = run(async {
            CALLS.with(|loops| loops.set(1));
            let (handle, without) = (Handle::current(), let_go.clone());
            let posting = spawn(move || {
                handle.call_soon(move || by.set(CALLS.with(Cell::get)));
                drop(handle);
                without.set(1);
            });
            // Loom doesn't see which thread holds an `Arc`: so it is shown a step before which the thread may let go.
            let_go.get();
            posting
        });
        run(async {
            CALLS.with(|loops| loops.set(2));
            for _ in 0..3 {
                yield_now().await;
            }
        });
        posting.join().unwrap();
        assert_ne!(ran_by.get(), 2);
    });
}

// Threads: a late waker of a main future; the loop's thread, which caches the loop or doesn't, and runs the next one.
// Decided by: `Scheduler::is_pristine`, which counts the references to the main future's `TaskWaker`.
// Mutant: a loop is kept though its main future can still be woken.
#[test]
fn a_wake_of_a_main_future_that_has_ended_is_nothing_to_the_next_one_on_its_thread() {
    explore_within(3, || {
        let waking = run(poll_fn(|context| {
            let late = context.waker().clone();
            Poll::Ready(spawn(move || late.wake()))
        }));
        let sleeping = footbridge::time::sleep(Duration::from_secs(1));
        let mut sleeping = std::pin::pin!(sleeping);
        let mut polls = 0;
        run(poll_fn(|context| {
            polls += 1;
            sleeping.as_mut().poll(context)
        }));
        assert_eq!(polls, 2, "only the timer woke it");
        waking.join().unwrap();
    });
}

// Threads: a late waker of a main future; the loop's thread, which ticks.
// Decided by: `TaskWaker::end_main`: the key is `NO_KEY` from then on, so `TaskWaker::schedule` queues nothing.
// Mutant: a main future that has ended is still woken.
#[test]
fn a_wake_of_a_main_future_that_has_ended_is_nothing_to_a_tick() {
    explore(|| {
        let mut event_loop = EventLoop::new();
        let waking = event_loop.run_until(poll_fn(|context| {
            let late = context.waker().clone();
            Poll::Ready(spawn(move || late.wake()))
        }));
        assert!(!event_loop.tick());
        waking.join().unwrap();
        assert!(!event_loop.tick());
    });
}

// Threads: a late waker of a main future; the loop's thread, which runs the next one with a task before it in the queue.
// Decided by: `TaskWaker::begin_main`, which clears the `scheduled` that the late wake has set.
// Mutant: a main future begins as the one before it was left.
#[test]
fn a_main_future_behind_a_task_is_polled_after_a_late_wake_of_another() {
    explore(|| {
        let mut event_loop = EventLoop::new();
        let waking = event_loop.run_until(poll_fn(|context| {
            let late = context.waker().clone();
            Poll::Ready(spawn(move || late.wake()))
        }));
        event_loop.tick();
        event_loop.spawn(async {});
        event_loop.run_until(async {});
        waking.join().unwrap();
    });
}
