//! Single steps of the pool's threads against each other, from a state that is set up by hand, since the whole
//! pool takes too many steps to come to it.

use footbridge::{EventLoop, Pool};
use loom_tests::internals::{self, Called, Job, Looker, Outcome, Parker, Queued, Role, block_on};
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
    assert!(internals::is_nobody_counted(pool));
}

fn job(f: impl FnOnce() + Send + 'static) -> Queued {
    Arc::new(Job::new(f, Location::caller()))
}

fn park(parker: Arc<Parker>) -> Queued {
    job(move || {
        let _ = parker.park(None);
    })
}

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

#[test]
fn a_job_in_a_busy_threads_own_queue_is_seen_by_who_falls_asleep_or_by_who_looks() {
    explore_within(2, || {
        let pool = pool_of(3);
        let parker = Arc::new(Parker::new());
        let (other, waker) = (pool.clone(), parker.clone());
        let mut looker = Looker::new(&pool);
        internals::start_worker(&pool, Role::Look);
        let busy = spawn(move || {
            let busy = internals::be_busy(&other);
            other.spawn_blocking(move || waker.unpark()).detach();
            busy
        });
        yield_now();
        looker.run(park(parker));
        drop((looker, busy.join()));
        end(&pool);
    });
}

#[test]
fn the_rest_of_a_batch_is_seen_by_who_looks() {
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
        let mut looker = Looker::new(&pool);
        internals::start_worker(&pool, Role::Look);
        yield_now();
        if let Some(job) = internals::take(&pool) {
            looker.run(job);
        }
        drop(looker);
        end(&pool);
    });
}

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

#[test]
fn a_worker_that_goes_on_says_so() {
    explore_within(2, || {
        let pool = pool_of(1);
        let inner = pool.clone();
        let outer = pool.spawn_blocking(move || {
            inner.spawn_blocking(|| ()).join();
            internals::is_told_as_booked(&inner)
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

#[test]
fn a_worker_that_waits_when_its_job_is_done_gives_its_place_back() {
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
        job.set_origin(Some(event_loop.handle()), None);
        let job = Arc::new(job);
        internals::queue(&pool, job.clone());
        internals::start_worker(&pool, Role::Look);
        // What is left of the loop goes with the last handle to the job, here or on the worker.
        drop(event_loop);
        block_on(|context| Poll::Ready(job.poll(context, true).is_ready()));
        drop(job);
        let _ = parker.park(None);
        end(&pool);
    });
}

#[test]
fn a_watcher_that_the_system_refuses_leaves_no_job_behind() {
    explore(|| {
        let pool = Pool::builder().thread_stack_size(usize::MAX).build();
        let other = pool.clone();
        let watcher = spawn(move || internals::start_worker(&other, Role::Watch));
        pool.spawn_blocking(|| ()).detach();
        watcher.join().unwrap();
        assert_eq!(pool.stats().queued, 0);
        assert!(internals::is_nobody_counted(&pool));
    });
}

#[test]
fn a_looker_that_the_system_refuses_leaves_no_job_behind() {
    explore(|| {
        let pool = Pool::builder().thread_stack_size(usize::MAX).build();
        let other = pool.clone();
        let looker = spawn(move || internals::start_worker(&other, Role::Look));
        pool.spawn_blocking(|| ()).detach();
        looker.join().unwrap();
        assert_eq!(pool.stats().queued, 0);
        assert!(internals::is_nobody_counted(&pool));
    });
}

/// A submit that comes between the two steps of a shutdown is answered by whoever comes first.
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
        internals::start_worker(&pool, Role::Look);
        yield_now(); // the first job is run before the shutdown, or it is not
        end(&pool);
    });
}

#[test]
fn a_shutdown_answers_jobs_that_a_worker_gives_back_as_it_begins_to_wait() {
    explore_within(2, || {
        let pool = pool_of(1);
        let other = pool.clone();
        let worker = spawn(move || {
            let mut worker = Looker::new(&other);
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
