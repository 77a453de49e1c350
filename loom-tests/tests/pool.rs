//! Jobs meet workers: that fall asleep, retire, are shut down, wait in their turn, or steal.
//!
//! Each model has a pool of its own and shuts it down, so that no thread is left at its end. They are
//! searched with two or three preemptions; without a bound each takes minutes or longer.

use footbridge::{BlockingTask, Pool};
use loom_tests::internals::Parker;
use loom_tests::{Arc, Data, explore_within, spawn};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Wake, Waker};
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
}

// Threads: a submitter; the last worker, which falls asleep.
// Decided by: the fences of `Awake::fence_and_read` and `Awake::fence_before_scan`: one of the two sees the other's store.
// Mutant: a worker falls asleep and looks without a fence.
#[test]
fn a_submit_against_the_last_workers_falling_asleep_is_run() {
    explore_within(3, || {
        let pool = pool_of(1);
        for round in 1..=2 {
            let data = Data::default();
            let written = data.clone();
            pool.spawn_blocking(move || written.set(round)).join();
            assert_eq!(data.get(), round);
        }
        end(&pool);
    });
}

// Threads: two submitters, which may both find no thread awake; the one thread that the pool may have.
// Decided by: the lock of `Threads`: `Registry::wake_or_start` counts the active threads and adds the new one in one step.
// Mutant: more threads than allowed are woken or started.
#[test]
fn two_submits_at_the_cap_are_both_run_by_its_one_thread() {
    explore_within(2, || {
        let pool = pool_of(1);
        let other = pool.clone();
        let other = spawn(move || other.spawn_blocking(|| 1).join());
        assert_eq!(pool.spawn_blocking(|| 2).join(), 2);
        assert_eq!(other.join().unwrap(), 1);
        assert_eq!(pool.stats().threads, 1);
        end(&pool);
    });
}

// Threads: a submitter, which wakes the last worker; that worker, whose `keep_alive` is over.
// Decided by: the lock of `Threads`: the thread takes itself out of the list of sleepers (`Threads::remove_sleeper` in
// `Worker::sleep`) and ends, or `Threads::choose` has taken it out, and it goes on.
// Mutant: a worker that times out ends though it was woken.
#[test]
fn a_submit_against_the_retirement_of_the_last_worker_is_run() {
    explore_within(3, || {
        let pool = Pool::builder().max_threads(1).keep_alive(Duration::ZERO);
        let pool = pool.build();
        pool.spawn_blocking(|| ()).join();
        pool.spawn_blocking(|| ()).join();
        end(&pool);
    });
}

// Threads: a submitter; a thread that shuts the pool down.
// Decided by: the fences of `Awake::fence_and_read` and `Registry::close`, which sets `closed` before it: the submitter sees
// the flag after its push and answers the job itself, or the shutdown finds the job in the queue.
// Mutant: a submitter doesn't ask for a close after its push.
#[test]
fn a_submit_against_a_shutdown_is_run_or_refused() {
    explore_within(3, || {
        let pool = pool_of(1);
        let other = pool.clone();
        let submitting = spawn(move || other.spawn_blocking(|| ()));
        end(&pool);
        let job = submitting.join().unwrap();
        assert!(job.is_finished());
    });
}

// Threads: a thread that shuts the pool down with two jobs submitted; the worker, which takes them.
// Decided by: the queue: a job is taken by the worker (`Worker::take_shared`) or by `Registry::take_all`, which has it
// refused. The worker's end (`Threads::remove`) wakes the shutdown.
// Mutant: a refused job is not answered.
#[test]
fn a_shutdown_waits_for_what_has_begun_and_answers_the_rest() {
    explore_within(3, || {
        let pool = pool_of(1);
        let data = Data::default();
        let written = data.clone();
        let first = pool.spawn_blocking(move || written.add(1));
        let written = data.clone();
        let second = pool.spawn_blocking(move || written.add(1));
        end(&pool);
        let ran = data.get();
        assert!(first.is_finished() && second.is_finished());
        assert!(ran <= 2);
    });
}

// Threads: a thread that drops the last `Pool`; the worker, which runs the job, or is asleep or about to be.
// Decided by: the lock of `Threads`: `Registry::retire` sets `retiring` and takes the list of idle threads in one step.
// `Worker::sleep` asks for the flag under that lock before each sleep.
// Mutant: a pool that ends doesn't let its threads retire.
#[test]
fn the_last_handle_of_a_pool_dropped_ends_its_threads_and_no_job() {
    explore_within(3, || {
        let pool = pool_of(1);
        let job = pool.spawn_blocking(|| 7);
        drop(pool);
        assert_eq!(job.join(), 7);
    });
}

// Threads: a submitter of two jobs; the worker that begins the first one, which waits for the second.
// Decided by: the fences of `Awake::fence_and_read` and of `Worker::stop_searching`: the submitter finds that no thread
// searches, or the worker finds the second job, and wakes or starts a thread for it.
// Mutant: a worker that stops searching wakes or starts none for the rest.
#[test]
fn two_jobs_at_once_get_a_thread_each() {
    explore_within(2, || {
        let pool = pool_of(2);
        let parker = Arc::new(Parker::new());
        let waker = parker.clone();
        // Not a wait of ours, so the first job keeps its place.
        let first = pool.spawn_blocking(move || {
            let _ = parker.park(None);
        });
        let second = pool.spawn_blocking(move || waker.unpark());
        first.join();
        second.join();
        end(&pool);
    });
}

// Threads: two submitters; the worker that begins the one job, which waits for the other; a worker that falls asleep.
// Decided by: the fences of `Awake::fence_and_read`, `Worker::stop_searching` and `Worker::rest`: a job pushed while the
// only searching thread leaves is seen by that thread, or its submitter finds no thread awake.
// Mutant: a worker that stops searching looks back without a fence.
#[test]
fn two_jobs_of_two_submitters_get_a_thread_each() {
    explore_within(2, || {
        let pool = pool_of(2);
        let parker = Arc::new(Parker::new());
        let (waker, other) = (parker.clone(), pool.clone());
        spawn(move || {
            let second = other.spawn_blocking(move || waker.unpark());
            second.detach();
        });
        let first = pool.spawn_blocking(move || {
            let _ = parker.park(None);
        });
        first.join();
        end(&pool);
    });
}

// Threads: two workers, as many as there are cores, whose jobs wait for the third job; the watcher.
// Decided by: the lock of `Threads`, under which the watcher reads what the others have taken (`Threads::progress`). Where
// that is nothing, it runs the job itself (`Worker::step_in`).
// Mutant: a watcher never steps in.
#[test]
fn jobs_beyond_the_cores_that_wait_for_each_other_get_a_thread_each() {
    explore_within(1, || {
        let pool = pool_of(3);
        let parkers = [Arc::new(Parker::new()), Arc::new(Parker::new())];
        for parker in parkers.clone() {
            let waiting = pool.spawn_blocking(move || {
                let _ = parker.park(None);
            });
            waiting.detach();
        }
        let last = pool.spawn_blocking(move || parkers.iter().for_each(|parker| parker.unpark()));
        last.join();
        end(&pool);
    });
}

/// A waker not of ours, which waits for something itself.
struct Stranger(Parker);

impl Wake for Stranger {
    fn wake(self: Arc<Self>) {
        let _ = self.0.park(None);
    }
}

// Threads: a worker that calls a waker which isn't ours and waits; a submitter of the job that ends that wait.
// Decided by: `Runner::enter_user_code` in `Job::finish`, before the waker is called: the worker takes itself out of
// `Awake`, fences and looks into the queues (`Worker::stop_searching`).
// Mutant: a worker counts as searching while it calls a waker that isn't ours.
#[test]
fn a_worker_whose_caller_has_a_waker_that_waits_is_not_counted_on() {
    explore_within(2, || {
        let pool = pool_of(2);
        let stranger = Arc::new(Stranger(Parker::new()));
        let waker = Waker::from(stranger.clone());
        let mut first = pool.spawn_blocking(|| ());
        let _ = Pin::new(&mut first).poll(&mut Context::from_waker(&waker));
        pool.spawn_blocking(move || stranger.0.unpark()).join();
        drop(first);
        end(&pool);
    });
}

// Threads: the one worker, whose job joins a job in the worker's own queue; the thread that is started for that.
// Decided by: `Registry::release_slot`, under the lock of `Threads`: the own queue's jobs go to the shared one, the worker
// is active no more, and a thread is woken or started.
// Mutant: a worker that releases its slot keeps what its own queue holds.
#[test]
fn a_job_that_joins_another_gives_it_its_place() {
    explore_within(2, || {
        let pool = pool_of(1);
        let inner = pool.clone();
        let outer = pool.spawn_blocking(move || inner.spawn_blocking(|| 7).join());
        assert_eq!(outer.join(), 7);
        end(&pool);
    });
}

// Threads: a submitter of two jobs, the second of which joins the first; the one worker, which may fall asleep in between.
// Decided by: the fences of `Awake::fence_and_read` and `Awake::fence_before_scan`. The one thread runs the jobs in their
// order, so the first is done when it is joined.
// Mutant: a submitter pushes and looks without a fence.
#[test]
fn a_worker_that_waits_against_a_submit_of_the_job_it_waits_for() {
    explore_within(3, || {
        let pool = pool_of(1);
        let job = pool.spawn_blocking(|| 7);
        let outer = pool.spawn_blocking(move || job.join());
        assert_eq!(outer.join(), 7);
        end(&pool);
    });
}

// Threads: a worker with two jobs in its own queue; a second worker, which steals from it.
// Decided by: the queue: `Local::pop` or `Stealer::steal_batch_with_limit_and_pop` takes a job, and not both.
// Mutant: none of its own. It adds that of an owner and a thief one gets a job, and that both jobs are run.
#[test]
fn a_job_taken_by_its_owner_or_a_thief_is_run_once() {
    explore_within(2, || {
        let pool = pool_of(2);
        let data = Data::default();
        let (inner, written) = (pool.clone(), data.clone());
        let outer = pool.spawn_blocking(move || {
            [(); 2].map(|()| {
                let written = written.clone();
                inner.spawn_blocking(move || written.add(1))
            })
        });
        outer.join().into_iter().for_each(BlockingTask::join);
        assert_eq!(data.get(), 2);
        end(&pool);
    });
}

// Threads: a worker whose wait is over and whose job then pushes into its own queue; the thread that took its slot.
// Decided by: the lock of `Threads` in `Worker::rest`: the one of the two that is surplus there gives its own queue's jobs
// back (`Registry::return_batch`) before it sleeps.
// Mutant: a surplus worker sleeps with jobs in its own queue.
#[test]
fn a_worker_that_goes_on_as_its_substitute_starts_leaves_no_job_behind() {
    explore_within(2, || {
        let pool = pool_of(1);
        let inner = pool.clone();
        let outer = pool.spawn_blocking(move || {
            inner.spawn_blocking(|| ()).join();
            inner.spawn_blocking(|| 7)
        });
        let third = pool.spawn_blocking(|| 8);
        assert_eq!(outer.join().join(), 7);
        assert_eq!(third.join(), 8);
        end(&pool);
    });
}

// Threads: two threads that shut the pool down; the worker, which ends.
// Decided by: the lock of `Threads`: each of them is in `shutdown_waiters` before it looks at the count of threads, and
// `Threads::remove` wakes all that are in there.
// Mutant: a thread that waits in a shutdown is not told that another one has ended.
#[test]
fn two_shutdowns_at_once_both_end() {
    explore_within(3, || {
        let pool = pool_of(1);
        pool.spawn_blocking(|| ()).detach();
        let other = pool.clone();
        let other = spawn(move || end(&other));
        end(&pool);
        other.join().unwrap();
    });
}

// Threads: a worker whose job shuts down its own pool; another thread that does the same.
// Decided by: the lock of `Threads`: `Threads::is_shut_down_for` compares the threads that are left with `in_shutdown`, so
// the job waits for none that waits in a shutdown, itself included.
// Mutant: a job in a shutdown is waited for by another one.
#[test]
fn a_job_that_shuts_its_own_pool_down_against_another_that_does() {
    explore_within(3, || {
        let pool = pool_of(1);
        let inner = pool.clone();
        pool.spawn_blocking(move || end(&inner)).detach();
        end(&pool);
    });
}

// Threads: a submitter that writes before its second submit; the worker that runs that job.
// Decided by: the queue that the job goes through (`Injector::push`, `Worker::take_shared`): the thread that takes it sees
// what came before the push.
// Mutant: none of its own. It adds what a submitter wrote, at a worker that is awake already.
#[test]
fn a_job_sees_what_its_submitter_wrote() {
    explore_within(3, || {
        let pool = pool_of(1);
        let (data, first) = (Data::default(), pool.spawn_blocking(|| ()));
        data.set(1);
        let read = data.clone();
        assert_eq!(pool.spawn_blocking(move || read.get()).join(), 1);
        first.join();
        end(&pool);
    });
}

// Threads: a busy worker, which pushes into its own queue the job that it waits for; a second worker, which steals it.
// Decided by: the look of `Worker::scan_all` into the own queues of all active threads, under the lock of `Threads`.
// Mutant: a worker falls asleep without a last look.
#[test]
fn a_job_left_in_the_queue_of_a_busy_worker_is_stolen() {
    explore_within(2, || {
        let pool = pool_of(2);
        let inner = pool.clone();
        let outer = pool.spawn_blocking(move || {
            let parker = Arc::new(Parker::new());
            let waker = parker.clone();
            inner.spawn_blocking(move || waker.unpark()).detach();
            let _ = parker.park(None);
        });
        outer.join();
        end(&pool);
    });
}

// Threads: two workers, as many as there are cores, that wait for a job in the one's own queue; the watcher; a submitter.
// Decided by: the lock of `Threads`: the watcher finds no progress (`Threads::progress`) and steps in (`Worker::step_in`).
// It counts as searching before `Awake` says that the watch has ended.
// Mutant: a watcher that steps in is not counted as searching.
#[test]
fn a_job_in_the_queue_of_a_waiting_worker_gets_a_third_thread() {
    explore_within(1, || {
        let pool = pool_of(3);
        let parkers = [Arc::new(Parker::new()), Arc::new(Parker::new())];
        let [first, second] = parkers.clone();
        let inner = pool.clone();
        let holder = pool.spawn_blocking(move || {
            let last = move || parkers.iter().for_each(|parker| parker.unpark());
            inner.spawn_blocking(last).detach();
            let _ = first.park(None);
        });
        holder.detach();
        let waiting = pool.spawn_blocking(move || {
            let _ = second.park(None);
        });
        waiting.join();
        pool.spawn_blocking(|| ()).join();
        end(&pool);
    });
}
