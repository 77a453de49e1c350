//! Single steps of the pool's threads against each other, from a state that is set up by hand, since the whole
//! pool takes too many steps to come to it.

use footbridge::{EventLoop, Pool};
use loom_tests::internals::{self, Call, Job, Parker, Queued, Role, Searcher, TypedJob, block_on};
use loom_tests::{Arc, Data, explore, explore_within, spawn, yield_now};
use std::panic::Location;
use std::task::Poll;
use std::time::Duration;

/// Of threads that stay until the pool is shut down.
fn pool_of(threads: usize) -> Pool {
    Pool::builder()
        .max_threads(threads)
        .keep_alive(Duration::MAX)
        .build()
}

fn end(pool: &Pool) {
    pool.shutdown(Duration::MAX).unwrap();
    assert!(internals::is_nobody_awake(pool));
}

fn job(f: impl FnOnce() + Send + 'static) -> Queued {
    Arc::new(Job::new(f, Location::caller()))
}

fn park(parker: Arc<Parker>) -> Queued {
    job(move || {
        let _ = parker.park(None);
    })
}

// Threads: a watcher, which lies down; a submitter, which leaves its job to it; a thread that takes the job before that.
// Decided by: the fences of `Awake::fence_and_read` and `Worker::lie_down`: the submitter sees the watch ended, or the
// watcher sees the job and watches on.
// Mutant: a watcher lies down and looks without a fence.
#[test]
fn a_job_left_to_a_watcher_that_lies_down_is_run() {
    explore_within(1, || {
        let pool = pool_of(2);
        let parker = Arc::new(Parker::new());
        let (other, waker) = (pool.clone(), parker.clone());
        internals::queue(&pool, job(|| ()));
        internals::start_worker(&pool, Role::Watch);
        spawn(move || {
            // With a job before it, it is left to the watcher.
            other.spawn_blocking(move || waker.unpark()).detach();
        });
        if let Some(job) = internals::take(&pool) {
            job.run(&mut ());
        }
        let _ = parker.park(None);
        end(&pool);
    });
}

// Threads: a busy worker, which pushes into its own queue; one that falls asleep; one that searches, and begins a job.
// Decided by: the flag `local_jobs`: fence A in `Awake::announce_local_jobs`, fence B in `Worker::rest` after the clear;
// `Worker::stop_searching` relies on the flag.
// Mutant: the local-jobs flag is cleared after the fence.
#[test]
fn a_job_in_a_busy_threads_own_queue_is_seen_by_the_one_that_falls_asleep_or_searches() {
    explore_within(2, || {
        let pool = pool_of(3);
        let parker = Arc::new(Parker::new());
        let (other, waker) = (pool.clone(), parker.clone());
        let mut searcher = Searcher::new(&pool);
        internals::start_worker(&pool, Role::Search);
        let busy = spawn(move || {
            let busy = internals::be_busy(&other);
            other.spawn_blocking(move || waker.unpark()).detach();
            busy
        });
        yield_now();
        searcher.run(park(parker));
        drop((searcher, busy.join()));
        end(&pool);
    });
}

// Threads: a worker that takes a batch, and waits in its first job; a searching thread, which begins a job.
// Decided by: the flag `local_jobs`, which `Worker::stop_searching` sets for the batch before the worker is out of `Awake`:
// the thread that stops searching last sees it, and wakes or starts one more.
// Mutant: a worker that takes a batch doesn't announce it.
#[test]
fn the_rest_of_a_batch_is_seen_by_a_searching_thread() {
    explore_within(1, || {
        let pool = pool_of(3);
        let parkers = [Arc::new(Parker::new()), Arc::new(Parker::new())];
        let [first, third] = parkers.clone();
        // The first job shows that jobs are short. Of the next three two are a batch.
        internals::queue(&pool, job(|| ()));
        internals::queue(&pool, park(first));
        let last = job(move || parkers.iter().for_each(|parker| parker.unpark()));
        internals::queue(&pool, last);
        internals::queue(&pool, park(third));
        let mut searcher = Searcher::new(&pool);
        internals::start_worker(&pool, Role::Search);
        yield_now();
        if let Some(job) = internals::take(&pool) {
            searcher.run(job);
        }
        drop(searcher);
        end(&pool);
    });
}

// Threads: a submitter, which takes no lock since the pool is full; a thread that shuts the pool down.
// Decided by: the fences of `Awake::fence_and_read` and `Registry::close`: the submitter sees `closed`, or the shutdown sees
// the job.
// Mutant: a close drains the queues without a fence.
#[test]
fn a_submit_to_a_full_pool_against_its_shutdown_is_answered() {
    explore(|| {
        let pool = pool_of(1);
        let busy = internals::be_busy(&pool);
        let other = pool.clone();
        let submitting = spawn(move || other.spawn_blocking(|| ()).detach());
        let _ = pool.shutdown(Duration::ZERO);
        submitting.join().unwrap();
        assert_eq!(pool.stats().queued, 0);
        drop(busy);
    });
}

// Threads: a submitter of a lone job; a watcher.
// Decided by: `Registry::submit`, for which a watch is not enough where the queues were empty: `Registry::wake_or_start` has
// a thread search at once.
// Mutant: a watcher is enough for a lone job.
#[test]
fn a_lone_job_is_not_left_to_the_watcher() {
    explore_within(2, || {
        let pool = pool_of(2);
        internals::start_worker(&pool, Role::Watch);
        pool.spawn_blocking(|| ()).detach();
        assert!(internals::is_seen_to(&pool));
        end(&pool);
    });
}

// Threads: a worker whose wait is over; the thread that took its slot, and falls asleep.
// Decided by: the lock of `Threads`: `Registry::reacquire_slot` makes the worker active and sets the flags of `Awake` in one
// step.
// Mutant: a worker that has its slot back doesn't update the flags.
#[test]
fn a_worker_that_goes_on_says_so() {
    explore_within(2, || {
        let pool = pool_of(1);
        let inner = pool.clone();
        let outer = pool.spawn_blocking(move || {
            inner.spawn_blocking(|| ()).join();
            internals::are_flags_right(&inner)
        });
        assert!(outer.join());
        end(&pool);
    });
}

/// Part of a hook of a user's, which waits for a job when it is dropped.
struct Waits(Pool, Arc<Parker>);

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.spawn_blocking(|| ()).join();
        self.1.unpark();
    }
}

// Threads: the one worker and the job's caller, of which the last to drop the job drops a hook that waits for another job.
// Decided by: `Runner::enter_user_code` at the end of `Job::run`: the worker doesn't count as searching while the hook goes.
// Its wait releases the slot (`slot::release` in `wait::block_on`).
// Mutant: a worker counts as searching while a host's hook goes with its job.
#[test]
fn a_worker_that_waits_when_its_job_is_done_releases_its_slot() {
    explore_within(2, || {
        let pool = pool_of(1);
        let parker = Arc::new(Parker::new());
        let waits = Waits(pool.clone(), parker.clone());
        let event_loop = EventLoop::builder()
            .on_wake(move || {
                let _ = &waits;
            })
            .build();
        let mut job = Job::new(|| (), Location::caller());
        job.set_origin(Some(event_loop.handle()), false);
        let job = Arc::new(job);
        internals::queue(&pool, job.clone());
        internals::start_worker(&pool, Role::Search);
        // What is left of the loop goes with the last handle to the job, here or on the worker.
        drop(event_loop);
        block_on(|context| Poll::Ready(job.poll(context, true).is_ready()));
        drop(job);
        let _ = parker.park(None);
        end(&pool);
    });
}

// Threads: a thread that starts a watcher, which is refused; a submitter, which may choose that for its lone job.
// Decided by: the lock of `Threads`: `Registry::see_to_refused` asks there whether the thread still is the watcher, or
// counts as searching since then.
// Mutant: a watcher that the system refuses was counted as searching.
#[test]
fn a_watcher_that_the_system_refuses_leaves_no_job_behind() {
    explore(|| {
        let pool = Pool::builder().thread_stack_size(usize::MAX).build();
        let other = pool.clone();
        let watcher = spawn(move || internals::start_worker(&other, Role::Watch));
        pool.spawn_blocking(|| ()).detach();
        watcher.join().unwrap();
        assert_eq!(pool.stats().queued, 0);
        assert!(internals::is_nobody_awake(&pool));
    });
}

// Threads: a thread that starts a searching one, which is refused; a submitter, which counts on that.
// Decided by: the fences of `Awake::fence_and_read` and `Registry::see_to_refused`: the submitter sees that no thread
// searches, or the refused start sees the job.
// Mutant: a refused start looks into the queues without a fence.
#[test]
fn a_searching_thread_that_the_system_refuses_leaves_no_job_behind() {
    explore(|| {
        let pool = Pool::builder().thread_stack_size(usize::MAX).build();
        let other = pool.clone();
        let searcher = spawn(move || internals::start_worker(&other, Role::Search));
        pool.spawn_blocking(|| ()).detach();
        searcher.join().unwrap();
        assert_eq!(pool.stats().queued, 0);
        assert!(internals::is_nobody_awake(&pool));
    });
}

// Threads: a submitter, between the two steps of a shutdown; the thread that shuts down; a watcher, which lies down.
// Decided by: `Threads::closed`, under the lock: the watcher asks for it in `Registry::is_worth_watching`, and leaves the
// job to the submitter or to the shutdown, which answer it.
// Mutant: a watcher that lies down doesn't ask for a close.
#[test]
fn a_pool_that_says_it_is_shut_down_runs_nothing_more() {
    explore_within(2, || {
        let pool = pool_of(2);
        let over = Data::default();
        let (other, is_over) = (pool.clone(), over.clone());
        let late = Data::default();
        let is_late = late.clone();
        internals::start_worker(&pool, Role::Watch);
        let submitting = spawn(move || {
            other
                .spawn_blocking(move || is_late.set(is_over.get()))
                .detach();
        });
        if pool.shutdown(Duration::ZERO).is_ok() {
            over.set(1);
        }
        submitting.join().unwrap();
        end(&pool);
        assert_eq!(late.get(), 0, "a job has begun after the end");
    });
}

struct Unparks(Arc<Parker>);

impl Drop for Unparks {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

// Threads: a worker with a batch on its way to its own queue; a thread that shuts the pool down, and scans meanwhile.
// Decided by: the fences of `Worker::stop_searching` and `Registry::close`: the worker with the batch sees `closed`, and
// answers it (`Registry::refuse_all`), or the scan sees the batch.
// Mutant: a worker that takes a batch doesn't ask for a close.
#[test]
fn a_shutdown_answers_jobs_that_are_on_their_way_to_a_workers_own_queue() {
    explore_within(2, || {
        let pool = pool_of(1);
        let parker = Arc::new(Parker::new());
        let answered = Unparks(parker.clone());
        // One that shows that jobs are short. The worker takes the next two at once; the one waits for the other to be run
        // or refused.
        let first = job(move || {
            let _ = parker.park(None);
        });
        let second = job(move || drop(answered));
        for job in [job(|| ()), first, second, job(|| ())] {
            internals::queue(&pool, job);
        }
        internals::start_worker(&pool, Role::Search);
        yield_now(); // the first job is run before the shutdown, or it is not
        end(&pool);
    });
}

// Threads: a worker whose job begins to wait, and which gives its own queue back; a thread that shuts the pool down.
// Decided by: the lock of `Threads`: `Registry::return_batch` moves a job, and `Registry::take_all` scans, under it.
// Mutant: what a worker gives back as it begins to wait is on its way without the lock.
#[test]
fn a_shutdown_answers_jobs_that_a_worker_gives_back_as_it_begins_to_wait() {
    explore_within(2, || {
        let pool = pool_of(1);
        let other = pool.clone();
        let worker = spawn(move || {
            let mut worker = Searcher::new(&other);
            worker.run(job(move || {
                other.spawn_blocking(|| ()).detach();
                let mut waits = true;
                block_on(|context| {
                    context.waker().wake_by_ref();
                    match std::mem::take(&mut waits) {
                        true => Poll::Pending,
                        false => Poll::Ready(()),
                    }
                });
            }));
        });
        let _ = pool.shutdown(Duration::ZERO);
        worker.join().unwrap();
        // One more shutdown would answer what the first has missed.
        while pool.stats().threads > 0 {
            yield_now();
        }
        assert_eq!(pool.stats().queued, 0);
    });
}
