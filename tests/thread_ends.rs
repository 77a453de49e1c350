//! What is called while a thread ends, by the destructors of its thread-locals. They run in the reverse order of
//! first use, so what this crate keeps on the thread may be gone before the user's own is: then it does without.
#![cfg(not(footbridge_loom))]

mod common;

use common::{foreign_block_on, ms, until, watched};
use footbridge::{Asyncify, EventLoop, Limiter, Permit, Pool, run, spawn_blocking, yield_now};
use std::cell::RefCell;
use std::sync::mpsc;
use std::thread;

struct AtTheThreadsEnd(Box<dyn FnMut()>);

impl Drop for AtTheThreadsEnd {
    fn drop(&mut self) {
        (self.0)();
    }
}

thread_local!(static LAST: RefCell<Option<AtTheThreadsEnd>> = const { RefCell::new(None) });

/// A thread on which `code` is called after everything of this crate's has gone.
fn ends_with(code: impl FnMut() + Send + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        // First used, last gone.
        LAST.with(|last| *last.borrow_mut() = Some(AtTheThreadsEnd(Box::new(code))));
        use_everything();
    })
}

fn use_everything() {
    let limiter = Limiter::new(1);
    run(async {
        let _permit = limiter.acquire().await;
        yield_now().await;
    });
    spawn_blocking(|| ()).join();
    spawn_blocking(|| ()).detach();
    let bounded = Asyncify::new().limiter(&limiter).wrap(|| ());
    bounded().detach();
}

// L16, decision 2
#[test]
fn a_token_kept_in_a_thread_local_goes_to_the_next_in_line_when_the_thread_ends() {
    thread_local!(static HELD: RefCell<Option<Permit>> = const { RefCell::new(None) });
    watched(|| {
        let limiter = Limiter::new(1);
        let held = limiter.clone();
        let (open, gate) = mpsc::channel::<()>();
        let (taken, is_taken) = mpsc::channel();
        let ends = thread::spawn(move || {
            HELD.with(|permit| *permit.borrow_mut() = held.try_acquire());
            taken.send(()).unwrap();
            use_everything();
            gate.recv().unwrap_err();
        });
        is_taken.recv().unwrap();
        let waits = limiter.clone();
        let next = thread::spawn(move || drop(foreign_block_on(waits.acquire())));
        until(|| format!("{limiter:?}").contains("waiting: 1"));
        drop(open);
        ends.join().unwrap();
        next.join().unwrap();
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

// Decision 7
#[test]
fn a_job_may_be_joined_while_a_thread_ends() {
    watched(|| {
        let (answer, answers) = mpsc::channel();
        let ends = ends_with(move || {
            let slow = spawn_blocking(|| {
                thread::sleep(ms(5)); // So that it has to be waited for.
                7
            });
            answer.send(slow.join()).unwrap();
        });
        assert_eq!(answers.recv(), Ok(7));
        ends.join().unwrap();
    });
}

// Decision 11
#[test]
fn a_call_may_be_detached_while_a_thread_ends_and_is_run() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let ends = ends_with(move || {
            let tell = tell.clone();
            spawn_blocking(move || tell.send(7).unwrap()).detach();
        });
        assert_eq!(told.recv(), Ok(7));
        ends.join().unwrap();
    });
}

// Decision 11
#[test]
fn a_detached_call_in_line_is_run_when_its_token_is_given_back_while_a_thread_ends() {
    watched(|| {
        let limiter = Limiter::new(1);
        let permit = limiter.try_acquire();
        let pool = Pool::builder().max_threads(1).build();
        let (tell, told) = mpsc::channel();
        let bounded = Asyncify::new().pool(&pool).limiter(&limiter);
        bounded.wrap(move || tell.send(7).unwrap())().detach();
        let mut permit = permit;
        let ends = ends_with(move || drop(permit.take()));
        assert_eq!(told.recv(), Ok(7));
        ends.join().unwrap();
    });
}

// Decision 11
#[test]
fn a_wait_for_a_task_of_a_loop_that_runs_while_its_thread_ends_is_answered() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let (posted, is_posted) = mpsc::channel();
        let ends = ends_with(move || {
            let mut event_loop = EventLoop::new();
            tell.send(event_loop.handle()).unwrap();
            is_posted.recv().unwrap();
            event_loop.run_until(async {
                for _ in 0..5 {
                    yield_now().await;
                }
            });
        });
        let task = told.recv().unwrap().spawn(|| async { 7 });
        posted.send(()).unwrap();
        // With the value or with a word on why there is none.
        let answer = task.join();
        assert!(answer.is_ok() || answer.unwrap_err().is_cancelled());
        ends.join().unwrap();
    });
}
