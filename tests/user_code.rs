//! Code of a user's that waits, panics or calls back from odd places: destructors, wakers, hooks and
//! thread-locals. Whatever it does there, the others are served.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, me, ms, panic_of, poll_once, until, watched};
use footbridge::{
    Asyncify, BlockingTask, EventLoop, Handle, JoinHandle, Limiter, LocalSpawner, Pool, gather,
    run, spawn, spawn_blocking, time, yield_now,
};
use std::cell::RefCell;
use std::fmt::{self, Write};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Instant;

/// Calls something when it is dropped.
struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

// Decision 18
#[test]
fn the_result_of_an_abandoned_job_may_wait_for_another_job_of_the_pool_where_it_is_dropped() {
    watched(|| {
        let pool = Pool::builder().max_threads(8).build();
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (flushed, is_flushed) = mpsc::channel();
        let own = pool.clone();
        let job = pool.spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap();
            OnDrop(move || flushed.send(own.spawn_blocking(|| 7).join()).unwrap())
        });
        has_begun.recv().unwrap();
        drop(job);
        open.send(()).unwrap();
        assert_eq!(is_flushed.recv(), Ok(7));
        assert_eq!(pool.spawn_blocking(|| 9).join(), 9);
    });
}

// Decision 18
#[test]
fn the_result_of_a_detached_job_may_take_long_to_drop_and_the_others_go_on() {
    watched(|| {
        let pool = Pool::builder().max_threads(8).build();
        let (dropping, is_dropping) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let slow = move || {
            dropping.send(()).unwrap();
            gate.recv().unwrap();
        };
        let (detached, is_detached) = mpsc::channel();
        let job = pool.spawn_blocking(move || {
            is_detached.recv().unwrap();
            OnDrop(slow)
        });
        job.detach();
        detached.send(()).unwrap();
        is_dropping.recv().unwrap();
        assert_eq!(pool.spawn_blocking(|| 9).join(), 9);
        open.send(()).unwrap();
    });
}

// Decision 18
#[test]
fn what_a_job_captured_may_take_long_to_drop_and_the_others_go_on() {
    watched(|| {
        let pool = Pool::builder().max_threads(8).build();
        let (dropping, is_dropping) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let slow = OnDrop(move || {
            dropping.send(()).unwrap();
            gate.recv().unwrap();
        });
        let job = pool.spawn_blocking(move || drop(slow));
        is_dropping.recv().unwrap();
        assert_eq!(pool.spawn_blocking(|| 9).join(), 9);
        open.send(()).unwrap();
        job.join();
    });
}

/// A waker that waits for a job of the pool.
struct Waits(Pool, Sender<u32>);

impl Wake for Waits {
    fn wake(self: Arc<Self>) {
        let (answer, answers) = mpsc::channel();
        // Waits in a way that the pool knows nothing of.
        let job = self.0.spawn_blocking(move || answer.send(3).unwrap());
        job.detach();
        self.1.send(answers.recv().unwrap()).unwrap();
    }
}

// Decision 18
#[test]
fn a_waker_may_wait_for_another_job_of_the_pool() {
    watched(|| {
        let pool = Pool::builder().max_threads(8).build();
        let (open, gate) = mpsc::channel::<()>();
        let (answered, answers) = mpsc::channel();
        let mut job = pool.spawn_blocking(move || gate.recv().unwrap());
        let waker = Waker::from(Arc::new(Waits(pool.clone(), answered)));
        let polled = Pin::new(&mut job).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        open.send(()).unwrap();
        assert_eq!(answers.recv(), Ok(3));
        job.join();
    });
}

// Decision 18
#[test]
fn it_may_also_where_the_job_was_polled_with_it_inside_a_task_of_a_loop() {
    watched(|| {
        let pool = Pool::builder().max_threads(8).build();
        let (open, gate) = mpsc::channel::<()>();
        let (answered, answers) = mpsc::channel();
        let waker = Waker::from(Arc::new(Waits(pool.clone(), answered)));
        let mut job = pool.spawn_blocking(move || gate.recv().unwrap());
        run(async {
            let polled = Pin::new(&mut job).poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        });
        open.send(()).unwrap();
        assert_eq!(answers.recv(), Ok(3));
        job.join();
    });
}

// Decision 18
#[test]
fn it_may_also_where_a_task_of_a_loop_awaited_the_job_before() {
    watched(|| {
        let pool = Pool::builder().max_threads(8).build();
        let (open, gate) = mpsc::channel::<()>();
        let (answered, answers) = mpsc::channel();
        let mut job = pool.spawn_blocking(move || gate.recv().unwrap());
        run(poll_fn(|context| {
            assert!(Pin::new(&mut job).poll(context).is_pending());
            Poll::Ready(())
        }));
        let waker = Waker::from(Arc::new(Waits(pool.clone(), answered)));
        let polled = Pin::new(&mut job).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        open.send(()).unwrap();
        assert_eq!(answers.recv(), Ok(3));
        job.join();
    });
}

// Decisions 14 and 18
#[test]
fn a_host_that_holds_a_lock_which_its_hook_takes_may_wait_for_another_job() {
    watched(|| {
        let pool = Pool::builder().max_threads(8).build();
        let lock = Arc::new(Mutex::new(()));
        let (calls, called) = mpsc::channel();
        let hook = {
            let lock = lock.clone();
            move || {
                let _ = calls.send(me());
                drop(lock.lock());
            }
        };
        let mut event_loop = EventLoop::builder().pool(&pool).on_wake(hook).build();
        let (open, gate) = mpsc::channel::<()>();
        event_loop.spawn(async { spawn_blocking(move || gate.recv().unwrap()).await });
        event_loop.tick();
        let held = lock.lock().unwrap();
        open.send(()).unwrap();
        // The job is done, and its worker is in the hook.
        while called.recv().unwrap() == me() {}
        assert_eq!(pool.spawn_blocking(|| 3).join(), 3);
        drop(held);
    });
}

// Decisions 14 and 18
#[test]
fn it_may_also_where_the_job_that_its_loop_awaits_was_submitted_outside_that_loop() {
    watched(|| {
        let pool = Pool::builder().max_threads(8).build();
        let lock = Arc::new(Mutex::new(()));
        let (calls, called) = mpsc::channel();
        let hook = {
            let lock = lock.clone();
            move || {
                let _ = calls.send(me());
                drop(lock.lock());
            }
        };
        let mut event_loop = EventLoop::builder().on_wake(hook).build();
        let (open, gate) = mpsc::channel::<()>();
        let of_no_loop = pool.spawn_blocking(move || gate.recv().unwrap());
        event_loop.spawn(of_no_loop);
        event_loop.tick();
        let held = lock.lock().unwrap();
        open.send(()).unwrap();
        while called.recv().unwrap() == me() {}
        assert_eq!(pool.spawn_blocking(|| 3).join(), 3);
        drop(held);
    });
}

// Decision 2
#[test]
fn a_token_is_not_free_before_what_an_abandoned_job_returned_is_gone() {
    watched(|| {
        let limiter = Limiter::new(1);
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (seen, borrowed) = mpsc::channel();
        let gate = Arc::new(Mutex::new(gate));
        let holder = limiter.clone();
        let call = Asyncify::new().limiter(&limiter).wrap(move || {
            begun.send(()).unwrap();
            gate.lock().unwrap().recv().unwrap();
            // A connection, say, which is closed where it is dropped.
            OnDrop(move || seen.send(holder.borrowed_tokens()).unwrap())
        });
        let mut job = call();
        assert!(poll_once(&mut job).is_pending());
        has_begun.recv().unwrap();
        drop(job);
        open.send(()).unwrap();
        assert_eq!(borrowed.recv(), Ok(1));
        until(|| limiter.borrowed_tokens() == 0);
    });
}

/// A waker that calls something.
struct Calls<F>(Mutex<F>);

impl<F: FnMut() + Send> Wake for Calls<F> {
    fn wake(self: Arc<Self>) {
        (self.0.lock().unwrap())();
    }
}

// Decision 2
#[test]
fn nor_is_it_in_anothers_hands_where_the_caller_goes_as_it_is_given_back() {
    watched(|| {
        let limiter = Limiter::new(1);
        let (open, gate) = mpsc::channel::<()>();
        let (dropped_on, is_dropped) = mpsc::channel();
        let gate = Arc::new(Mutex::new(gate));
        let call = Asyncify::new().limiter(&limiter).wrap(move || {
            let _ = gate.lock().unwrap().recv();
            Guard(dropped_on.clone())
        });
        let mut job = call();
        assert!(poll_once(&mut job).is_pending());
        let mut next = limiter.acquire();
        let (woken, is_woken) = mpsc::channel();
        let (go, wait) = mpsc::channel::<()>();
        let waker = Waker::from(Arc::new(Calls(Mutex::new(move || {
            woken.send(()).unwrap();
            let _ = wait.recv();
        }))));
        let polled = Pin::new(&mut next).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(open);
        is_woken.recv().unwrap(); // the job's thread gives its token to `next`
        drop(job);
        assert_eq!(is_dropped.recv(), Ok(me())); // and not on the job's thread, later
        drop(go);
    });
}

#[test]
fn what_a_refused_job_captured_is_gone_when_its_caller_is_told() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (begun, has_begun) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let first = pool.spawn_blocking(move || (begun.send(()), gate.recv()));
        has_begun.recv().unwrap();
        let (dropped, is_dropped) = mpsc::channel();
        let guard = Guard(dropped);
        let mut refused = pool.spawn_blocking(move || drop(guard));
        let (told, was_told) = mpsc::channel();
        let waker = Waker::from(Arc::new(Calls(Mutex::new(move || {
            told.send(is_dropped.try_recv().is_ok()).unwrap();
        }))));
        let polled = Pin::new(&mut refused).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        pool.shutdown(ms(0)).unwrap_err();
        assert_eq!(was_told.recv(), Ok(true));
        drop((open, first));
    });
}

/// Polls `future`, which isn't ready, has `let_go` do something with it, and says whether the waker is still there.
fn keeps_its_waker<F: Future + Unpin>(mut future: F, let_go: impl FnOnce(F)) -> bool {
    let target = Arc::new(Calls(Mutex::new(|| {})));
    let waker = Waker::from(target.clone());
    let polled = Pin::new(&mut future).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(waker);
    let_go(future);
    Arc::strong_count(&target) > 1
}

#[test]
fn what_is_let_go_of_keeps_nothing_of_its_waiter() {
    watched(|| {
        let (open, gate) = mpsc::channel::<()>();
        let job = spawn_blocking(move || gate.recv());
        assert!(!keeps_its_waker(job, BlockingTask::detach)); // it still runs
        drop(open);
        let event_loop = EventLoop::new();
        let task = event_loop.spawn(pending::<()>());
        assert!(!keeps_its_waker(task, drop)); // it is still there
        let task = event_loop.spawn(pending::<()>()).into_send();
        assert!(!keeps_its_waker(task, drop)); // it is, too
        let kept = RefCell::new(None);
        let child = poll_fn(|context| {
            *kept.borrow_mut() = Some(context.waker().clone());
            Poll::<()>::Pending
        });
        assert!(!keeps_its_waker(gather([child]), drop));
        assert!(kept.take().is_some());
    });
}

#[test]
fn what_is_written_to_may_look_at_what_is_written() {
    struct Sink<F: FnMut()>(F);
    impl<F: FnMut()> fmt::Write for Sink<F> {
        fn write_str(&mut self, _: &str) -> fmt::Result {
            (self.0)();
            Ok(())
        }
    }
    watched(|| {
        let limiter = Limiter::new(1);
        let mut sink = Sink(|| assert_eq!(limiter.available_tokens(), 1));
        write!(sink, "{limiter:?}").unwrap();
        let error = run(async { spawn(async { panic!("thrown") }).await }).unwrap_err();
        let mut sink = Sink(|| assert_eq!(error.to_string(), "the task panicked: thrown"));
        write!(sink, "{error}").unwrap();
    });
}

// Decision 14
#[test]
fn a_hook_that_panicked_is_called_for_the_next_wake() {
    watched(|| {
        let called = Arc::new(AtomicUsize::new(0));
        let counts = called.clone();
        let hook = move || {
            if counts.fetch_add(1, SeqCst) == 0 {
                panic!("a panic in a hook");
            }
        };
        let event_loop = EventLoop::builder().on_wake(hook).build();
        for _ in 0..3 {
            assert!(event_loop.handle().call_soon(|| ()));
        }
        assert_eq!(called.load(SeqCst), 2);
    });
}

// R11
#[test]
fn a_turn_ends_although_a_timers_waker_sets_the_next_one_which_is_due() {
    watched(|| {
        let polls = Arc::new(AtomicUsize::new(0));
        let counts = polls.clone();
        // Polled by the thread that wakes it.
        let future: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let past = Instant::now();
            loop {
                time::sleep_until(past).await;
                counts.fetch_add(1, SeqCst);
            }
        });
        let target = Arc::new_cyclic(|own: &Weak<Calls<_>>| {
            let (own, mut future) = (own.clone(), future);
            Calls(Mutex::new(Box::new(move || {
                let waker = Waker::from(own.upgrade().unwrap());
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(polled.is_pending());
            }) as Box<dyn FnMut() + Send>))
        });
        let mut event_loop = EventLoop::new();
        let waker = Waker::from(target);
        event_loop.handle().call_soon(move || waker.wake());
        for turn in 0..4 {
            event_loop.tick();
            assert_eq!(polls.load(SeqCst), turn);
        }
    });
}

struct AtTheThreadsEnd(Box<dyn FnMut()>);

impl Drop for AtTheThreadsEnd {
    fn drop(&mut self) {
        (self.0)();
    }
}

thread_local!(static LAST: RefCell<Option<AtTheThreadsEnd>> = const { RefCell::new(None) });

/// Has `code` called by a destructor of this thread's.
fn at_the_threads_end(code: impl FnMut() + 'static) {
    LAST.with(|last| *last.borrow_mut() = Some(AtTheThreadsEnd(Box::new(code))));
}

// W8
#[test]
fn a_job_that_a_workers_thread_local_submits_when_the_worker_ends_is_run() {
    watched(|| {
        let pool = Pool::builder().max_threads(4).keep_alive(ms(5)).build();
        let (give, given) = mpsc::channel::<BlockingTask<i32>>();
        let own = pool.clone();
        let last_will =
            move || at_the_threads_end(move || give.send(own.spawn_blocking(|| 1)).unwrap());
        pool.spawn_blocking(last_will).join();
        assert_eq!(given.recv().unwrap().join(), 1);
        assert_eq!(pool.spawn_blocking(|| 2).join(), 2);
    });
}

// W8
#[test]
fn a_workers_thread_local_may_wait_for_a_job_of_the_pool_when_the_worker_ends() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).keep_alive(ms(5)).build();
        let (give, given) = mpsc::channel();
        let own = pool.clone();
        let last_will = move || {
            at_the_threads_end(move || give.send(own.spawn_blocking(|| 1).join()).unwrap());
        };
        pool.spawn_blocking(last_will).join();
        assert_eq!(given.recv(), Ok(1));
        assert_eq!(pool.spawn_blocking(|| 2).join(), 2);
    });
}

// R6
#[test]
fn a_loop_in_a_thread_local_ends_with_its_thread_and_drops_its_tasks_there() {
    thread_local!(static LOOP: RefCell<EventLoop> = RefCell::new(EventLoop::new()));
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let thread = thread::spawn(move || {
            LOOP.with(|event_loop| {
                let guard = Guard(drops);
                let left = async move {
                    let _guard = guard;
                    pending::<()>().await
                };
                event_loop.borrow().spawn(left);
                event_loop.borrow_mut().run_until(yield_now());
            });
            me()
        });
        let ended = thread.join().unwrap();
        assert_eq!(dropped.try_recv(), Ok(ended));
    });
}

// Decision 8
#[test]
fn a_task_that_panics_in_its_poll_and_again_where_it_is_dropped_has_the_first_panic() {
    struct Twice;
    impl Future for Twice {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            panic!("the first")
        }
    }
    impl Drop for Twice {
        fn drop(&mut self) {
            panic!("the second")
        }
    }
    watched(|| {
        let error = run(async { spawn(Twice).await }).unwrap_err();
        assert!(error.to_string().contains("the first"), "{error}");
        let mut event_loop = EventLoop::new();
        assert_eq!(panic_of(|| event_loop.run_until(Twice)), "the first");
        assert_eq!(event_loop.run_until(async { 1 }), 1);
    });
}

// Decision 14
#[test]
fn a_host_is_told_of_what_run_until_has_left_ready() {
    watched(|| {
        let told = Arc::new(AtomicUsize::new(0));
        let hook = told.clone();
        let mut event_loop = EventLoop::builder()
            .on_wake(move || {
                hook.fetch_add(1, SeqCst);
            })
            .build();
        let (_, task) = event_loop.run_until(async { ((), spawn(async { 1 })) });
        assert!(!task.is_finished(), "main was done first");
        assert_eq!(told.load(SeqCst), 1);
        event_loop.tick();
        assert!(task.is_finished());
    });
}

// R6, decision 11
#[test]
fn what_a_task_drops_when_its_loop_ends_may_spawn_wake_abort_and_post() {
    watched(|| {
        let other: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
        let (drops, dropped) = mpsc::channel();
        let waker: Rc<RefCell<Option<Waker>>> = Rc::default();
        let answers = Rc::new(RefCell::new(Vec::new()));
        let value = run(async {
            let handle = Handle::current();
            let (to_abort, to_wake, told) = (other.clone(), waker.clone(), answers.clone());
            let guard = RefCell::new(Some(Guard(drops)));
            let busy = OnDrop(move || {
                let refused = LocalSpawner::current().spawn(async {});
                told.borrow_mut().push(refused.is_finished());
                told.borrow_mut().push(spawn(async {}).is_finished());
                if let Some(waker) = &*to_wake.borrow() {
                    waker.wake_by_ref();
                }
                if let Some(task) = &*to_abort.borrow() {
                    task.abort();
                }
                let guard = guard.borrow_mut().take();
                told.borrow_mut()
                    .push(!handle.call_soon(move || drop(guard)));
                told.borrow_mut()
                    .push(handle.spawn(|| async {}).is_finished());
            });
            spawn(async move {
                let _busy = busy;
                pending::<()>().await
            });
            // One that is still there when the first is dropped.
            let mark = waker.clone();
            let second = spawn(poll_fn(move |context| {
                *mark.borrow_mut() = Some(context.waker().clone());
                Poll::<()>::Pending
            }));
            *other.borrow_mut() = Some(second);
            yield_now().await;
            yield_now().await;
            "main's value"
        });
        assert_eq!(value, "main's value");
        assert_eq!(
            *answers.borrow(),
            [true; 4],
            "all of it was answered at once"
        );
        assert_eq!(dropped.try_recv(), Ok(me()));
        let second = other.take().unwrap();
        assert!(run(second).unwrap_err().is_cancelled());
        waker.take().unwrap().wake(); // and a waker that outlives it does nothing
    });
}
