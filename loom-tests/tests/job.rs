//! A job between the worker that runs it and the caller that waits for it, or goes away.

use footbridge::{EventLoop, Limiter};
use loom::thread::{self, ThreadId};
use loom_tests::internals::{
    Call, HeldPermit, Job, Mutex, Refusal, Run, Runner, TypedJob, block_on,
};
use loom_tests::{Arc, Data, Flag, Guard, explore, spawn};
use std::panic::Location;
use std::task::{Context, Wake, Waker};

fn job<F, R>(f: F) -> Arc<Job<F, R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    Arc::new(Job::new(f, Location::caller()))
}

// Threads: a worker, which ends the job; the caller, which waits for it.
// Decided by: the job's lock: `Job::finish` finds the waker that `Job::poll` left, or `poll` finds the result.
// Mutant: a result that comes between the two locks of a poll is not seen.
#[test]
fn a_result_comes_with_all_that_the_job_wrote() {
    explore(|| {
        let data = Data::default();
        let written = data.clone();
        let job = job(move || {
            written.set(1);
            7
        });
        let worker = job.clone();
        spawn(move || worker.run(&mut ()));
        assert_eq!(block_on(|context| job.poll(context, true)).ok(), Some(7));
        assert_eq!(data.get(), 1);
    });
}

// Threads: a worker, which ends the job; the caller, which looks at the limiter when it has the result.
// Decided by: the flag `is_ending`, under the job's lock: `Job::finish` clears it after `CallState::end`, which gives the
// permit back.
// Mutant: a job's result can be seen while its permit is given back.
#[test]
fn what_a_job_held_is_gone_before_its_result_is_seen() {
    explore(|| {
        let gone = Data::default();
        let limiter = Limiter::new(1);
        let guard = Guard(gone.clone());
        let mut job = job(move || {
            let _guard = &guard;
        });
        let token = HeldPermit::new(0, limiter.try_acquire().unwrap());
        Arc::get_mut(&mut job).unwrap().set_permit(token);
        let worker = job.clone();
        spawn(move || worker.run(&mut ()));
        let result = block_on(|context| job.poll(context, true));
        assert!(result.is_ok());
        assert_eq!(gone.get(), 1);
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

// Threads: a caller, which cancels; a worker, which begins the job.
// Decided by: the job's lock: `Job::cancel` takes the function, or `JobState::take_function` in `Job::run` does.
// Mutant: a job that is cancelled before it runs keeps its function.
#[test]
fn a_cancel_against_the_pick_up_runs_the_job_or_drops_it_there_and_then() {
    explore(|| {
        let (ran, gone) = (Data::default(), Data::default());
        let (running, guard) = (ran.clone(), Guard(gone.clone()));
        let job = job(move || {
            let _guard = guard;
            running.set(1);
        });
        let worker = job.clone();
        let worker = spawn(move || worker.run(&mut ()));
        job.cancel();
        let gone_by_now = gone.get() == 1;
        worker.join().unwrap();
        assert_eq!(gone.get(), 1);
        assert!(gone_by_now || ran.get() == 1);
    });
}

// Threads: a caller, which cancels; a worker, which comes by the job after that.
// Decided by: the job's lock: the phase is `Gone` when `JobState::take_function` looks.
// Mutant: a job that is cancelled before it runs keeps its function.
#[test]
fn a_job_cancelled_before_the_pick_up_is_not_run() {
    explore(|| {
        let (ran, cancelled) = (Data::default(), Flag::default());
        let running = ran.clone();
        let job = job(move || running.set(1));
        let (worker, before) = (job.clone(), cancelled.clone());
        let worker = spawn(move || {
            if before.is_raised() {
                worker.run(&mut ());
            }
        });
        job.cancel();
        cancelled.raise();
        worker.join().unwrap();
        assert_eq!(ran.get(), 0);
    });
}

// Threads: a caller, which cancels; a pool that is shut down, which refuses the job.
// Decided by: the job's lock: `Job::cancel` takes the function, or `JobState::take_function` in `Job::refuse` does.
// Mutant: a job that is cancelled before it runs keeps its function.
#[test]
fn of_a_cancel_and_a_refusal_one_drops_the_function() {
    explore(|| {
        let gone = Data::default();
        let guard = Guard(gone.clone());
        let job = job(move || drop(guard));
        let pool = job.clone();
        let pool = spawn(move || pool.refuse(Refusal::ShutDown));
        job.cancel();
        pool.join().unwrap();
        assert_eq!(gone.get(), 1);
    });
}

// Threads: a caller, which cancels; a worker, which ends the job.
// Decided by: the job's lock: `Job::cancel` takes the result and drops it, or leaves `Unwanted`, and `Job::finish` drops it.
// Mutant: a job that is cancelled while it runs delivers all the same.
#[test]
fn a_drop_against_completion_loses_no_result() {
    explore(|| {
        let gone = Data::default();
        let guard = Guard(gone.clone());
        let job = job(move || guard);
        let worker = job.clone();
        let worker = spawn(move || worker.run(&mut ()));
        job.cancel();
        worker.join().unwrap();
        assert_eq!(gone.get(), 1);
    });
}

/// Says whether it was dropped on another thread than `caller` while no thread held a token.
struct Connection {
    limiter: Limiter,
    caller: ThreadId,
    wrong: Data,
}

impl Drop for Connection {
    fn drop(&mut self) {
        if thread::current().id() != self.caller && self.limiter.borrowed_tokens() == 0 {
            self.wrong.set(1);
        }
    }
}

// Threads: a caller, which cancels; a worker, which ends the job and gives its permit back.
// Decided by: the job's lock in `Job::finish`: if the phase is `Unwanted` there, the result is dropped before the permit.
// Mutant: a job whose caller goes away while its permit is given back drops the result with the permit free.
#[test]
fn a_drop_against_completion_finds_the_token_held_until_the_result_is_gone_or_the_callers() {
    explore(|| {
        let wrong = Data::default();
        let limiter = Limiter::new(1);
        let connection = Connection {
            limiter: limiter.clone(),
            caller: thread::current().id(),
            wrong: wrong.clone(),
        };
        let mut job = job(move || connection);
        let token = HeldPermit::new(0, limiter.try_acquire().unwrap());
        Arc::get_mut(&mut job).unwrap().set_permit(token);
        let worker = job.clone();
        let worker = spawn(move || worker.run(&mut ()));
        job.cancel();
        worker.join().unwrap();
        assert_eq!(wrong.get(), 0);
    });
}

/// The job's thread, as it is counted on.
struct Counted(Data);

impl Runner for Counted {
    fn start_searching(&mut self) {
        self.0.set(1);
    }

    fn enter_user_code(&mut self) {
        self.0.set(0);
    }
}

/// A caller that takes the result, and drops the job, while the job's thread calls it.
struct Takes(Mutex<Option<Arc<dyn TypedJob<()>>>>);

impl Wake for Takes {
    fn wake(self: Arc<Self>) {
        let job = self.0.lock().take().unwrap();
        assert!(
            job.poll(&mut Context::from_waker(Waker::noop()), true)
                .is_ready()
        );
    }
}

/// A host's hook; it may wait for another job where it is dropped.
struct Hook {
    counted_on: Data,
    wrong: Data,
}

impl Drop for Hook {
    fn drop(&mut self) {
        self.wrong.set(self.counted_on.get());
    }
}

// Threads: a worker, which drops its reference to the job; a caller, which takes the result and drops the other one.
// Decided by: `Runner::enter_user_code` at the end of `Job::run`, before the worker's reference goes, and the host's hook
// with it.
// Mutant: a worker counts as searching while a host's hook goes with its job.
#[test]
fn a_hook_that_goes_with_the_last_of_a_job_finds_its_thread_not_counted_on() {
    explore(|| {
        let (counted_on, wrong) = (Data::default(), Data::default());
        let hook = Hook {
            counted_on: counted_on.clone(),
            wrong: wrong.clone(),
        };
        let event_loop = EventLoop::builder().on_wake(move || _ = &hook).build();
        let mut job = job(|| ());
        let home = Some(event_loop.handle());
        Arc::get_mut(&mut job).unwrap().set_origin(home, false);
        drop(event_loop);
        let queued = job.clone();
        let worker = spawn(move || queued.run(&mut Counted(counted_on)));
        let takes = Arc::new(Takes(Mutex::new(Some(job.clone()))));
        let polled = job.poll(&mut Context::from_waker(&takes.into()), true);
        drop(job);
        worker.join().unwrap();
        assert!(polled.is_ready() || wrong.get() == 0);
    });
}

// Threads: a worker, whose job panics; the caller, which waits for it.
// Decided by: the job's lock: `Job::finish` finds the waker that `Job::poll` left, or `poll` finds the panic.
// Mutant: a job's result is there and its waiter is not woken.
#[test]
fn a_panic_reaches_the_waiter() {
    explore(|| {
        let job = job::<_, ()>(|| std::panic::resume_unwind(Box::new("of the job")));
        let worker = job.clone();
        let worker = spawn(move || worker.run(&mut ()));
        let error = block_on(|context| job.poll(context, true)).unwrap_err();
        assert_eq!(error.into_panic().downcast_ref(), Some(&"of the job"));
        worker.join().unwrap();
    });
}

// Threads: a worker, which runs the job; the caller, which tells it and waits for it.
// Decided by: the job's lock: `Job::tell` takes the function, or `JobState::take_function` in `Job::run` does. Then the
// result comes.
// Mutant: a job that waits is told in two steps.
#[test]
fn a_job_that_is_told_gives_its_result_or_never_begins() {
    explore(|| {
        let ran = Data::default();
        let running = ran.clone();
        let job = job(move || running.set(1));
        let worker = job.clone();
        let worker = spawn(move || worker.run(&mut ()));
        let has_begun = job.tell();
        if has_begun {
            let result = block_on(|context| job.poll(context, true));
            assert!(result.is_ok());
        }
        worker.join().unwrap();
        assert_eq!(ran.get() == 1, has_begun);
    });
}

// Threads: a caller, which writes and cancels; a worker, whose job asks `check_cancelled`.
// Decided by: the flag `is_gone`: a release in `CallState::cancel`, an acquire in `CallState::is_gone`.
// Mutant: that the caller is gone is said with a relaxed store.
#[test]
fn a_job_that_asks_sees_that_its_caller_is_gone() {
    explore(|| {
        let (cancelled, wrong) = (Data::default(), Data::default());
        let (seen, late) = (cancelled.clone(), wrong.clone());
        let job = job(move || {
            if footbridge::check_cancelled().is_err() {
                late.set((seen.get() != 1).into());
            }
        });
        let worker = job.clone();
        let worker = spawn(move || worker.run(&mut ()));
        cancelled.set(1);
        job.cancel();
        worker.join().unwrap();
        assert_eq!(wrong.get(), 0);
    });
}
