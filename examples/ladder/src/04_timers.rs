//! Sleeping tasks. The loop knows all deadlines, and sleeps until the earliest of them, or until it is woken.
//!
//! The rule: which deadline is the earliest is decided anew before each sleep.

use super::line::{self, Executor};
use super::parker::{Parker, yield_now};
use crate::watchdog::{ends, hangs};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::rc::Rc;
use std::sync::{LazyLock, atomic::AtomicU64, atomic::Ordering, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

type Set = fn(Instant, Waker);

/// Sleeps without blocking the thread. `set` sees to it that the waker is called at the deadline, or before.
async fn sleep_with(set: Set, time: Duration) {
    let deadline = Instant::now() + time;
    poll_fn(|context| {
        if Instant::now() >= deadline {
            return Poll::Ready(());
        }
        set(deadline, context.waker().clone());
        Poll::Pending
    })
    .await
}

thread_local! {
    /// By deadline. A number tells equal deadlines apart.
    static TIMERS: RefCell<BTreeMap<(Instant, u64), Waker>> = const { RefCell::new(BTreeMap::new()) };
}

fn set_on_the_loop(deadline: Instant, waker: Waker) {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed);
    TIMERS.with_borrow_mut(|timers| timers.insert((deadline, number), waker));
}

pub fn earliest() -> Option<Instant> {
    TIMERS.with_borrow(|timers| timers.keys().next().map(|(deadline, _)| *deadline))
}

/// Wakes what is due.
pub fn fire() {
    while earliest().is_some_and(|deadline| deadline <= Instant::now()) {
        let timer = TIMERS.with_borrow_mut(BTreeMap::pop_first);
        if let Some((_, waker)) = timer {
            waker.wake();
        }
    }
}

impl Parker {
    pub fn park_until(&self, deadline: Option<Instant>) {
        let Some(deadline) = deadline else {
            return self.park();
        };
        let mut token = self.token.lock().unwrap();
        let left = deadline.saturating_duration_since(Instant::now());
        if !*token {
            token = self.condvar.wait_timeout(token, left).unwrap().0;
        }
        *token = false;
    }
}

pub async fn sleep(time: Duration) {
    sleep_with(set_on_the_loop, time).await;
}

fn run<F: Future>(main: F) -> F::Output {
    let sleep = |parker: &Parker| parker.park_until(earliest());
    line::run_with(
        VecDeque::pop_front,
        &Rc::<Executor>::default(),
        fire,
        sleep,
        main,
    )
}

// What fails without it, and no longer fails with it.

/// What one writes first: a thread that sleeps until one deadline after the other.
fn set_on_a_thread(deadline: Instant, waker: Waker) {
    static THREAD: LazyLock<mpsc::Sender<(Instant, Waker)>> = LazyLock::new(|| {
        let (sender, timers) = mpsc::channel::<(Instant, Waker)>();
        thread::spawn(move || {
            for (deadline, waker) in timers {
                thread::sleep(deadline.saturating_duration_since(Instant::now()));
                waker.wake();
            }
        });
        sender
    });
    THREAD.send((deadline, waker)).unwrap();
}

/// A task sleeps for an hour, and then main for a millisecond.
async fn two_sleeps(set: Set) {
    line::spawn(sleep_with(set, Duration::from_secs(3600)));
    yield_now().await;
    sleep_with(set, Duration::from_millis(1)).await;
}

pub fn main() {
    let hung = hangs(|| run(two_sleeps(set_on_a_thread)));
    println!("one deadline after the other, a millisecond behind an hour: hangs = {hung}");
    ends(|| run(two_sleeps(set_on_the_loop)));
    println!("the earliest before each sleep: it ends");
}

// For real: `src/event_loop/timers.rs`. A sleep that is dropped takes its timer along, where here the timer stays until it
// is due.
