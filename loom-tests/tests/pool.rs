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

#[test]
fn the_last_handle_of_a_pool_dropped_ends_its_threads_and_no_job() {
    explore_within(3, || {
        let pool = pool_of(1);
        let job = pool.spawn_blocking(|| 7);
        drop(pool);
        assert_eq!(job.join(), 7);
    });
}

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

#[test]
fn a_job_that_shuts_its_own_pool_down_against_another_that_does() {
    explore_within(3, || {
        let pool = pool_of(1);
        let inner = pool.clone();
        pool.spawn_blocking(move || end(&inner)).detach();
        end(&pool);
    });
}

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
