//! Chains: a call that holds a call that holds a call, or a result that does, dropped all at once.
#![cfg(not(footbridge_loom))]

mod common;

use common::{poll_once, until, watched};
use footbridge::context::Context;
use footbridge::{
    Asyncify, BlockingTask, EventLoop, JoinHandle, Limiter, Pool, SendJoinHandle, asyncify,
};
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::thread;

/// Without the list of those put off, a twentieth of it has been too long.
const LONG: usize = 100_000;

/// Runs `body` on a thread with a small stack.
fn on_a_small_stack<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    watched(|| {
        let thread = thread::Builder::new().stack_size(256 << 10).spawn(body);
        thread.unwrap().join().unwrap()
    })
}

/// A pool whose only thread is busy until the sender is dropped.
fn busy_pool() -> (Pool, mpsc::Sender<()>) {
    let pool = Pool::builder().max_threads(1).build();
    let (go, wait) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let job = pool.spawn_blocking(move || {
        begun.send(()).unwrap();
        let _ = wait.recv();
    });
    has_begun.recv().unwrap();
    job.detach();
    (pool, go)
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// `length` queued calls, each of which has captured the one before.
fn chain_of_captures(pool: &Pool, length: usize, gone: &Arc<AtomicUsize>) -> BlockingTask<()> {
    let mut task = pool.spawn_blocking(|| ());
    for _ in 0..length {
        let counted = Counted(gone.clone());
        task = pool.spawn_blocking(move || drop((task, counted)));
    }
    task
}

// Decision 1
#[test]
fn a_long_chain_of_calls_that_each_captured_the_one_before_is_gone_when_the_drop_of_the_last_returns()
 {
    on_a_small_stack(|| {
        let (pool, _go) = busy_pool();
        let gone = Arc::new(AtomicUsize::new(0));
        drop(chain_of_captures(&pool, LONG, &gone));
        assert_eq!(gone.load(SeqCst), LONG);
    });
}

// Decisions 1, 20
#[test]
fn one_of_calls_that_each_came_with_a_context_goes_too() {
    struct Seen(Arc<AtomicUsize>);
    impl Drop for Seen {
        fn drop(&mut self) {
            let number = Context::current().get::<usize>();
            self.0.fetch_add(*number.unwrap(), SeqCst);
        }
    }
    on_a_small_stack(|| {
        let (pool, _go) = busy_pool();
        let seen = Arc::new(AtomicUsize::new(0));
        let context = Context::default().carry(|| |step: &mut dyn FnMut()| step());
        let mut task = pool.spawn_blocking(|| ());
        for number in 1..=LONG {
            let last = Seen(seen.clone());
            let submit = || pool.spawn_blocking(move || drop((task, last)));
            task = context.with(number).run(submit);
        }
        drop(task);
        assert_eq!(seen.load(SeqCst), LONG * (LONG + 1) / 2, "each in its own");
    });
}

#[test]
fn one_that_a_job_captured_is_gone_before_its_result_can_be_seen() {
    watched(|| {
        let (pool, _go) = busy_pool();
        let gone = Arc::new(AtomicUsize::new(0));
        let chain = chain_of_captures(&pool, LONG, &gone);
        let other = Pool::builder().thread_stack_size(256 << 10).build();
        other.spawn_blocking(move || drop(chain)).join();
        assert_eq!(gone.load(SeqCst), LONG);
    });
}

#[test]
fn one_that_is_dropped_with_a_thread_local_at_the_threads_end_goes_too() {
    thread_local!(static HELD: RefCell<Option<BlockingTask<()>>> = const { RefCell::new(None) });
    let gone = Arc::new(AtomicUsize::new(0));
    let counted = gone.clone();
    let _go = on_a_small_stack(move || {
        let (pool, go) = busy_pool();
        let chain = chain_of_captures(&pool, LONG, &counted);
        HELD.with(|held| held.replace(Some(chain)));
        go
    });
    assert_eq!(gone.load(SeqCst), LONG);
}

#[test]
fn one_of_calls_that_were_never_submitted_goes_too() {
    on_a_small_stack(|| {
        let gone = Arc::new(AtomicUsize::new(0));
        let call = asyncify(|held: Option<(BlockingTask<()>, Counted)>| drop(held));
        let mut task = call(None);
        for _ in 0..LONG {
            task = call(Some((task, Counted(gone.clone()))));
        }
        drop(task);
        assert_eq!(gone.load(SeqCst), LONG);
    });
}

/// A result that holds the call, or the task, before.
struct Link {
    _before: Option<Before>,
    _counted: Counted,
}

enum Before {
    Call(#[expect(dead_code, reason = "held to be dropped")] BlockingTask<Link>),
    Task(#[expect(dead_code, reason = "held to be dropped")] SendJoinHandle<Link>),
}

/// Drops a chain of results, each of a task or of a call as `is_task` says of its number. The last is of a call.
fn drop_chain_of_results(is_task: fn(usize) -> bool) {
    on_a_small_stack(move || {
        let pool = Pool::builder().max_threads(1).build();
        let gone = Arc::new(AtomicUsize::new(0));
        let mut event_loop = EventLoop::new();
        let mut last = None;
        for n in 0..LONG {
            let link = Link {
                _before: last.take(),
                _counted: Counted(gone.clone()),
            };
            last = Some(if is_task(n) {
                Before::Task(event_loop.spawn(async move { link }).into_send())
            } else {
                Before::Call(pool.spawn_blocking(move || link))
            });
        }
        event_loop.tick();
        let last = pool.spawn_blocking(move || last);
        until(|| last.is_finished());
        drop(last);
        assert_eq!(gone.load(SeqCst), LONG);
    });
}

#[test]
fn one_of_results_of_calls_goes_too() {
    drop_chain_of_results(|_| false);
}

#[test]
fn one_of_results_of_tasks_goes_too() {
    drop_chain_of_results(|_| true);
}

#[test]
fn one_of_results_of_calls_and_tasks_in_turn_goes_too() {
    drop_chain_of_results(|n| n % 2 == 0);
}

/// As [`Link`], for handles of the loop's own.
struct LocalLink {
    _before: Option<JoinHandle<LocalLink>>,
    _counted: Counted,
}

#[test]
fn one_of_results_that_lie_in_the_loop_goes_too() {
    on_a_small_stack(|| {
        let gone = Arc::new(AtomicUsize::new(0));
        let mut event_loop = EventLoop::new();
        let mut last = None;
        for _ in 0..LONG {
            let link = LocalLink {
                _before: last.take(),
                _counted: Counted(gone.clone()),
            };
            last = Some(event_loop.spawn(async move { link }));
        }
        event_loop.tick();
        drop(event_loop);
        assert_eq!(gone.load(SeqCst), 0);
        drop(last);
        assert_eq!(gone.load(SeqCst), LONG);
    });
}

/// Looks, where it is dropped, whether the tokens of those are held whose functions hold it.
struct Probe {
    limiter: Limiter,
    holders: usize,
    wrong: Arc<AtomicBool>,
}

impl Drop for Probe {
    fn drop(&mut self) {
        if self.limiter.borrowed_tokens() < self.holders {
            self.wrong.store(true, SeqCst);
        }
    }
}

// Decision 2
#[test]
fn the_token_of_a_cancelled_call_is_free_only_when_all_is_gone_that_its_function_held() {
    watched(|| {
        const LENGTH: usize = 100;
        let (pool, _go) = busy_pool();
        let limiter = Limiter::new(LENGTH);
        let wrong = Arc::new(AtomicBool::new(false));
        let bounded = Asyncify::new().pool(&pool).limiter(&limiter);
        let call = bounded.wrap(|held: (Option<BlockingTask<()>>, Probe)| drop(held));
        let mut task = None;
        for n in 0..LENGTH {
            let probe = Probe {
                limiter: limiter.clone(),
                holders: LENGTH - n,
                wrong: wrong.clone(),
            };
            let mut next = call((task.take(), probe));
            assert!(poll_once(&mut next).is_pending());
            task = Some(next);
        }
        assert_eq!(limiter.borrowed_tokens(), LENGTH);
        drop(task);
        assert!(!wrong.load(SeqCst));
        assert_eq!(limiter.borrowed_tokens(), 0);
    });
}

/// Drops a call which, with those that it holds, has captured so many; and says how many were gone then.
struct Owner {
    task: Option<BlockingTask<()>>,
    captured: usize,
    gone: Arc<AtomicUsize>,
    seen: mpsc::Sender<(usize, usize)>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        drop(self.task.take());
        let gone = self.gone.load(SeqCst);
        self.seen.send((self.captured, gone)).unwrap();
    }
}

// Decision 1
#[test]
fn a_destructor_that_drops_a_call_finds_gone_what_that_held_also_where_a_call_held_the_destructor()
{
    watched(|| {
        let (pool, _go) = busy_pool();
        let gone = Arc::new(AtomicUsize::new(0));
        let (seen, sees) = mpsc::channel();
        let mut task = pool.spawn_blocking(|| ());
        for captured in 0..4 {
            let owner = Owner {
                task: Some(task),
                captured,
                gone: gone.clone(),
                seen: seen.clone(),
            };
            let counted = Counted(gone.clone());
            task = pool.spawn_blocking(move || drop((owner, counted)));
        }
        drop(task);
        drop(seen);
        let seen: Vec<_> = sees.iter().collect();
        assert_eq!(seen, [(0, 0), (1, 1), (2, 2), (3, 3)]);
    });
}

#[test]
fn siblings_in_a_chain_go_in_the_order_in_which_their_holder_drops_them() {
    struct Named(usize, mpsc::Sender<usize>);
    impl Drop for Named {
        fn drop(&mut self) {
            self.1.send(self.0).unwrap();
        }
    }
    watched(|| {
        let (pool, _go) = busy_pool();
        let (dropped, drops) = mpsc::channel();
        let siblings: Vec<_> = (0..5)
            .map(|n| {
                let named = Named(n, dropped.clone());
                pool.spawn_blocking(move || drop(named))
            })
            .collect();
        let mut task = pool.spawn_blocking(move || drop(siblings));
        for _ in 0..40 {
            task = pool.spawn_blocking(move || drop(task));
        }
        drop(task);
        drop(dropped);
        assert_eq!(drops.iter().collect::<Vec<_>>(), [0, 1, 2, 3, 4]);
    });
}

/// Panics where it is dropped, whatever its thread does.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a panic in a destructor");
    }
}

#[test]
fn a_panic_in_each_links_destructor_ends_neither_the_drop_nor_the_process() {
    watched(|| {
        let (pool, _go) = busy_pool();
        let gone = Arc::new(AtomicUsize::new(0));
        let chain = |length| {
            let mut task = pool.spawn_blocking(|| ());
            for _ in 0..length {
                let counted = Counted(gone.clone());
                task = pool.spawn_blocking(move || drop((counted, Bomb, task)));
            }
            task
        };
        drop(vec![chain(40), chain(40)]);
        assert_eq!(gone.load(SeqCst), 80);
        // And while a panic unwinds: that one goes on.
        let held = vec![chain(40), chain(40)];
        let unwound = catch_unwind(AssertUnwindSafe(move || {
            let _held = held;
            std::panic::resume_unwind(Box::new("the first"));
        }));
        assert_eq!(unwound.unwrap_err().downcast_ref(), Some(&"the first"));
        assert_eq!(gone.load(SeqCst), 160);
    });
}
