//! The wakers that user code sees: those of one task `will_wake` each other for as long as the task lives, so that
//! code that keeps one (an `AtomicWaker`, a channel, a reactor) need not clone it again at each poll.

#[path = "../../common/mod.rs"]
mod common;

use common::{me, ms, until_set, watched};
use footbridge::time::{sleep, timeout};
use footbridge::{EventLoop, Handle, LocalSpawner, gather, run, spawn, spawn_blocking, syncify};
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

const POLLS: usize = 10;

/// Saves a clone of its task's waker at each poll, and is woken in all ways by turns: at once, by its own
/// clone from before, and from another thread.
fn saves_its_wakers() -> impl Future<Output = Vec<Waker>> + Send {
    let mut saved: Vec<Waker> = Vec::new();
    poll_fn(move |context| {
        let waker = context.waker().clone();
        match saved.len() % 3 {
            0 => context.waker().wake_by_ref(),
            1 => saved[0].wake_by_ref(),
            _ => {
                let waker = waker.clone();
                thread::spawn(move || waker.wake());
            }
        }
        saved.push(waker);
        match saved.len() == POLLS {
            true => Poll::Ready(std::mem::take(&mut saved)),
            false => Poll::Pending,
        }
    })
}

/// How many of the wakers are the first one's like, in both directions.
fn alike(wakers: &[Waker]) -> usize {
    let first = &wakers[0];
    let same = |waker: &&Waker| first.will_wake(waker) && waker.will_wake(first);
    wakers.iter().filter(same).count()
}

#[test]
fn the_wakers_of_one_spawned_task_will_wake_each_other() {
    watched(|| {
        let handle_there = run(async {
            let here = spawn(saves_its_wakers()).await.unwrap();
            assert_eq!(alike(&here), POLLS);
            let local = LocalSpawner::current().spawn(saves_its_wakers());
            assert_eq!(alike(&local.await.unwrap()), POLLS);
            let posted = Handle::current().spawn(saves_its_wakers);
            assert_eq!(alike(&posted.await.unwrap()), POLLS);
            Handle::current()
        });
        assert!(handle_there.is_closed());
    });
}

#[test]
fn the_wakers_of_the_main_future_will_wake_each_other_within_one_run() {
    watched(|| {
        assert_eq!(alike(&run(saves_its_wakers())), POLLS);
        let mut event_loop = EventLoop::new();
        let first = event_loop.run_until(saves_its_wakers());
        let second = event_loop.run_until(saves_its_wakers());
        assert_eq!((alike(&first), alike(&second)), (POLLS, POLLS));
    });
}

#[test]
fn the_wakers_of_a_task_whose_loop_is_ticked_will_wake_each_other() {
    watched(|| {
        let (woken, host) = mpsc::channel();
        let mut event_loop = EventLoop::builder()
            .on_wake(move || woken.send(()).unwrap())
            .build();
        let task = event_loop.spawn(saves_its_wakers());
        while !task.is_finished() {
            host.recv().unwrap();
            while event_loop.tick() {}
        }
        assert_eq!(alike(&event_loop.run_until(task).unwrap()), POLLS);
    });
}

#[test]
fn the_wakers_of_an_async_function_that_a_job_waits_for_will_wake_each_other() {
    watched(|| {
        let count = || syncify(async || alike(&saves_its_wakers().await))();
        assert_eq!(run(async { spawn_blocking(count).await }), Ok(POLLS));
        let temporary = footbridge::Syncify::new().raise_sync_error(false);
        let count = temporary.wrap(async || alike(&saves_its_wakers().await));
        assert_eq!(count(), Ok(POLLS));
        assert_eq!(spawn_blocking(move || count().unwrap()).join(), POLLS);
    });
}

#[test]
fn wakers_pass_through_a_timeout_and_a_gather_gives_each_future_its_own() {
    watched(|| {
        run(async {
            let timed = timeout(ms(20_000), saves_its_wakers()).await.unwrap();
            assert_eq!(alike(&timed), POLLS);
            let each = gather([saves_its_wakers(), saves_its_wakers()]).await;
            assert_eq!((alike(&each[0]), alike(&each[1])), (POLLS, POLLS));
            assert!(!each[0][0].will_wake(&each[1][0]));
        })
    });
}

#[test]
fn no_waker_of_a_task_will_wake_another_task_while_it_is_kept() {
    watched(|| {
        run(async {
            let mut kept: Vec<Waker> = Vec::new();
            for _ in 0..200 {
                // One that ends at its first poll, and one that doesn't.
                let quick = spawn(poll_fn(|context| Poll::Ready(context.waker().clone())));
                let quick = quick.await.unwrap();
                let slow = spawn(saves_its_wakers()).await.unwrap().swap_remove(0);
                for waker in [quick, slow] {
                    assert!(!kept.iter().any(|other| other.will_wake(&waker)));
                    kept.push(waker);
                }
            }
            kept.into_iter().for_each(Waker::wake);
        })
    });
}

/// A waker that counts how often it is woken, cloned and dropped.
#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

// X8, W13
#[test]
fn a_dropped_call_lets_go_of_the_waker_that_polled_it_and_never_wakes_it() {
    watched(|| {
        let (open, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let (ended, has_ended) = mpsc::channel();
        let mut job = spawn_blocking(move || {
            begun.send(()).unwrap();
            gate.recv().unwrap_err();
            ended.send(()).unwrap();
        });
        let counting = Arc::new(Counting::default());
        let waker = Waker::from(counting.clone());
        assert!(poll_with(&mut job, &waker).is_pending());
        assert!(poll_with(&mut job, &waker).is_pending());
        has_begun.recv().unwrap();
        drop(job);
        drop(waker);
        assert_eq!(Arc::strong_count(&counting), 1);
        drop(open);
        has_ended.recv().unwrap();
        assert_eq!(counting.0.load(SeqCst), 0);
    });
}

// R12
#[test]
fn only_the_waker_that_polled_last_is_woken() {
    watched(|| {
        let (open, gate) = mpsc::channel::<()>();
        let mut job = spawn_blocking(move || gate.recv().is_err());
        let wakers: Vec<_> = (0..5).map(|_| Arc::new(Counting::default())).collect();
        for counting in &wakers {
            assert!(poll_with(&mut job, &Waker::from(counting.clone())).is_pending());
        }
        drop(open);
        while wakers[4].0.load(SeqCst) == 0 {
            thread::yield_now();
        }
        assert_eq!(poll_with(&mut job, Waker::noop()), Poll::Ready(true));
        let woken: Vec<_> = wakers
            .iter()
            .map(|counting| counting.0.load(SeqCst))
            .collect();
        assert_eq!(woken, [0, 0, 0, 0, 1]);
        assert!(
            wakers
                .iter()
                .all(|counting| Arc::strong_count(counting) == 1)
        );
    });
}

// R12
#[test]
fn a_wake_from_a_destructor_is_a_wake() {
    struct WakesWhenDropped(Option<Waker>);
    impl Drop for WakesWhenDropped {
        fn drop(&mut self) {
            self.0.take().unwrap().wake();
        }
    }
    watched(|| {
        run(async {
            let woken = Arc::new(AtomicBool::new(false));
            let mut first = true;
            let mut woken_by_drop = async |drop_it: fn(WakesWhenDropped)| {
                poll_fn(|context: &mut Context<'_>| {
                    if !std::mem::replace(&mut first, false) {
                        return Poll::Ready(());
                    }
                    drop_it(WakesWhenDropped(Some(context.waker().clone())));
                    Poll::Pending
                })
                .await;
                first = true;
            };
            woken_by_drop(drop).await;
            woken_by_drop(|it| drop(spawn_blocking(move || it))).await;
            woken_by_drop(|it| spawn_blocking(move || it).detach()).await;
            woken_by_drop(|it| drop(Handle::current().spawn(move || async { drop(it) }))).await;
            woken_by_drop(|it| {
                spawn(async move {
                    let _it = it;
                    std::future::pending::<()>().await
                })
                .abort();
            })
            .await;
            woken_by_drop(|it| drop(run_elsewhere(it))).await;
            spawn({
                let woken = woken.clone();
                async move {
                    sleep(ms(1)).await;
                    woken.store(true, SeqCst);
                }
            });
            until_set(&woken).await;
        })
    });

    /// Dropped by the end of another thread's loop.
    fn run_elsewhere(it: WakesWhenDropped) -> thread::JoinHandle<()> {
        let here = me();
        thread::spawn(move || {
            assert_ne!(me(), here);
            run(async {
                spawn(async move {
                    let _it = it;
                    std::future::pending::<()>().await
                });
            })
        })
    }
}

fn poll_with<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut Context::from_waker(waker))
}
