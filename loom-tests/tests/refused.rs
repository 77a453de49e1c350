//! Where the system refuses a thread: `thread_stack_size(usize::MAX)` has it do that in a model.

use footbridge::{Handle, Pool, run};
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom_tests::internals::{Job, Searcher, TypedJob, block_on};
use loom_tests::{Arc, explore, explore_within, spawn};
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::task::Poll;

/// Counts what is dropped.
struct Capture(Arc<AtomicUsize>);

impl Drop for Capture {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

fn submit(pool: &Pool, gone: &Arc<AtomicUsize>) {
    let capture = Capture(gone.clone());
    pool.spawn_blocking(move || drop(capture)).detach();
}

// Threads: two submitters, whose threads the system refuses.
// Decided by: the lock of `Threads` in `Registry::see_to_refused`: the start that leaves no active thread behind answers all
// that is queued.
// Mutant: a refused start answers no job.
#[test]
fn two_jobs_whose_threads_are_refused_are_both_answered() {
    explore(|| {
        let pool = Pool::builder().thread_stack_size(usize::MAX).build();
        let gone = Arc::new(AtomicUsize::new(0));
        let other = {
            let (pool, gone) = (pool.clone(), gone.clone());
            spawn(move || submit(&pool, &gone))
        };
        submit(&pool, &gone);
        other.join().unwrap();
        assert_eq!(gone.load(Relaxed), 2);
        let stats = pool.stats();
        assert_eq!((stats.threads, stats.queued), (0, 0));
    });
}

// Threads: a submitter, whose thread the system refuses; a thread that shuts the pool down.
// Decided by: the lock of `Threads`, under which `Registry::see_to_refused` takes the thread out and wakes the shutdown
// (`Threads::remove`), and both take the queued jobs.
// Mutant: a refused thread stays in the list of threads.
#[test]
fn a_refused_start_against_a_shutdown_leaves_no_job_behind() {
    explore_within(3, || {
        let pool = Pool::builder().thread_stack_size(usize::MAX).build();
        let gone = Arc::new(AtomicUsize::new(0));
        let other = {
            let (pool, gone) = (pool.clone(), gone.clone());
            spawn(move || submit(&pool, &gone))
        };
        assert!(pool.shutdown(std::time::Duration::MAX).is_ok());
        other.join().unwrap();
        assert_eq!(gone.load(Relaxed), 1);
        assert_eq!(pool.stats().queued, 0);
    });
}

// Threads: the only worker, whose job runs a loop that falls asleep; a thread that posts to that loop.
// Decided by: `slot::release` in `EventLoop::enter`: the worker isn't active while the loop waits, so the refused start
// (`Registry::see_to_refused`) answers the job.
// Mutant: a loop on a worker keeps its slot while its main future waits.
#[test]
fn a_loop_on_the_only_worker_hears_of_the_job_that_is_left_to_nobody_as_it_falls_asleep() {
    explore_within(3, || {
        let pool = Pool::builder().thread_stack_size(usize::MAX).build();
        let mut worker = Searcher::new(&pool);
        let own = pool.clone();
        let work = move || {
            run(async move {
                // Somebody posts to the loop meanwhile, or has before.
                let handle = Handle::current();
                spawn(move || handle.call_soon(|| ()));
                let mut job = own.spawn_blocking(|| ());
                poll_fn(|context| match job.is_finished() {
                    true => Poll::Ready(()), // and not polled: that would panic
                    false => Pin::new(&mut job).poll(context),
                })
                .await;
            });
        };
        let job = Arc::new(Job::new(work, Location::caller()));
        worker.run(job.clone());
        let _ = block_on(|context| job.poll(context, true));
    });
}
