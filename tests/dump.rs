//! A dump says what each loop, pool and limiter does, and what waits for what. What it calls a deadlock is one.
#![cfg(not(footbridge_loom))]

mod common;

use common::{ms, until, watched};
use footbridge::time::sleep;
use footbridge::{
    Asyncify, BlockingTask, Cycle, Dump, EventLoop, Handle, JoinHandle, Limiter, Party, Pool,
    Portal, SendJoinHandle, Wait, asyncify, check_cancelled, dump, gather, run, spawn,
    spawn_blocking, syncify, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// Long enough for any loop that isn't blocked.
const PATIENCE: Duration = Duration::from_secs(20);

/// Several tests run at once, and a dump shows the loops of all. So each looks for what was spawned in its own lines.
fn is_at(party: &Party, lines: std::ops::RangeInclusive<u32>) -> bool {
    let at = match party {
        Party::Task { spawned_at, .. } => spawned_at,
        Party::Main { entered_at, .. } => entered_at,
        Party::Job { submitted_at, .. } => submitted_at,
        _ => return false,
    };
    at.file() == file!() && lines.contains(&at.line())
}

fn waits_of(dump: &Dump, line: u32) -> Vec<&Wait> {
    let waits = dump.waits().iter();
    waits
        .filter(|wait| is_at(&wait.from, line..=line))
        .collect()
}

/// The cycles through what comes from this line, or so many after it.
fn cycles(dump: &Dump, line: u32, more: u32) -> Vec<&Cycle> {
    let is_here = |wait: &Wait| is_at(&wait.from, line..=line + more);
    let cycles = dump.cycles().iter();
    cycles
        .filter(|cycle| cycle.waits.iter().any(is_here))
        .collect()
}

/// Something has a waker, and nothing says what.
fn pending_with_a_waker_out() -> impl Future<Output = ()> {
    poll_fn(|context| {
        std::mem::forget(context.waker().clone());
        Poll::Pending
    })
}

/// A dump from a thread that runs no loop, while this loop turns.
async fn dumped() -> Dump {
    asyncify(|| dump(PATIENCE))().await
}

/// Dumps until there is what is looked for.
async fn dumped_with(is_there: impl Fn(&Dump) -> bool) -> Dump {
    loop {
        let dump = dumped().await;
        if is_there(&dump) {
            return dump;
        }
    }
}

#[test]
fn each_kind_of_wait_is_named() {
    watched(|| {
        run(async {
            let limiter = Limiter::new(1);
            let permit = limiter.acquire().await;
            let line = line!();
            let _timer = spawn(sleep(Duration::MAX));
            let (go, wait) = mpsc::channel::<()>();
            let _job = spawn(async move { spawn_blocking(move || wait.recv()).await });
            let limited = limiter.clone();
            let _token = spawn(async move { drop(limited.acquire().await) });
            let other = spawn(pending_with_a_waker_out());
            let _task = spawn(async move { drop(other.await) });
            yield_now().await;
            let dump = dumped_with(|dump| !waits_of(dump, line + 3).is_empty()).await;
            let on = |offset| match waits_of(&dump, line + offset)[..] {
                [wait] => wait.on.clone(),
                _ => panic!("line {}: {dump}", line + offset),
            };
            assert_eq!(on(1), Party::Timer);
            assert!(is_at(&on(3), line + 3..=line + 3), "{dump}");
            assert!(matches!(on(5), Party::Limiter { total: 1, .. }), "{dump}");
            assert_eq!(on(6), Party::Other);
            assert!(is_at(&on(7), line + 6..=line + 6), "{dump}");
            drop((permit, go));
        });
    });
}

#[test]
fn tasks_that_are_alike_are_one_line() {
    watched(|| {
        run(async {
            let line = line!() + 2;
            for _ in 0..20_000 {
                spawn(sleep(Duration::MAX));
            }
            yield_now().await;
            let dump = dumped().await;
            assert_eq!(waits_of(&dump, line)[0].count, 20_000);
            let text = dump.to_string();
            let here = format!("{}:{line}:", file!());
            assert_eq!(text.matches(&here).count(), 1, "{text}");
            assert!(text.contains("20000 tasks spawned at"), "{text}");
        });
    });
}

#[test]
fn a_loop_that_is_blocked_is_said_to_be_and_where() {
    watched(|| {
        let (tell, told) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let blocked = thread::Builder::new()
            .name("a blocked loop".into())
            .spawn(move || {
                let mut event_loop = EventLoop::builder().on_blocked(PATIENCE, |_| ()).build();
                event_loop.run_until(async {
                    yield_now().await;
                    begun.send(line!() + 1).unwrap();
                    let task = spawn(async move { told.recv().unwrap_err() });
                    task.await.unwrap()
                })
            });
        let line = has_begun.recv().unwrap();
        let said = format!("blocked by what was spawned at {}:{line}:", file!());
        until(|| {
            let text = dump(ms(1)).to_string();
            text.lines()
                .any(|text| text.contains("a blocked loop") && text.contains(&said))
        });
        drop(tell);
        blocked.unwrap().join().unwrap();
    });
}

#[test]
fn a_loop_that_no_thread_runs_is_not_called_blocked() {
    watched(|| {
        let (tell, told) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let idle = thread::Builder::new()
            .name("an idle owner".into())
            .spawn(move || {
                let mut event_loop = EventLoop::new();
                event_loop.tick();
                begun.send(()).unwrap();
                told.recv().unwrap_err();
                event_loop.tick();
            });
        has_begun.recv().unwrap();
        let text = dump(ms(1)).to_string();
        assert!(
            text.contains("loop of thread an idle owner: no thread runs it"),
            "{text}"
        );
        drop(tell);
        idle.unwrap().join().unwrap();
    });
}

#[test]
fn a_loop_that_is_kept_for_the_next_run_is_not_shown() {
    watched(|| {
        let (tell, told) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let kept = thread::Builder::new()
            .name("once a loop".into())
            .spawn(move || {
                run(yield_now());
                begun.send(()).unwrap();
                told.recv().unwrap_err();
            });
        has_begun.recv().unwrap();
        let text = dump(ms(1)).to_string();
        assert!(!text.contains("once a loop"), "{text}");
        drop(tell);
        kept.unwrap().join().unwrap();
    });
}

type Shared = Rc<RefCell<Option<JoinHandle<()>>>>;

/// Two tasks that await each other. `beside` is polled beside the first wait. Returns the line above them.
fn two_tasks(beside: impl Future<Output = ()> + 'static) -> ([Shared; 2], u32) {
    let handles: [Shared; 2] = Default::default();
    let [first, second] = handles.clone();
    let mut beside = Box::pin(beside);
    let line = line!();
    let one = spawn(async move {
        yield_now().await;
        let other = second.borrow_mut().take().unwrap();
        let mut other = pin!(other);
        poll_fn(|context| {
            if beside.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            other.as_mut().poll(context).map(drop)
        })
        .await;
    });
    let two = spawn(async move {
        yield_now().await;
        let other = first.borrow_mut().take().unwrap();
        let _ = other.await;
    });
    *handles[0].borrow_mut() = Some(one);
    *handles[1].borrow_mut() = Some(two);
    (handles, line)
}

#[test]
fn two_tasks_that_await_each_other_are_a_deadlock() {
    watched(|| {
        run(async {
            let (_handles, line) = two_tasks(pending());
            let dump = dumped_with(|dump| !cycles(dump, line, 30).is_empty()).await;
            let cycles = cycles(&dump, line, 30);
            assert_eq!(cycles.len(), 1, "{dump}");
            assert!(cycles[0].is_deadlock, "{dump}");
            assert_eq!(cycles[0].waits.len(), 2, "{dump}");
            let text = dump.to_string();
            assert!(text.contains("deadlock: a task spawned at"), "{text}");
        });
    });
}

#[test]
fn a_circle_that_something_beside_it_may_end_is_not_called_a_deadlock() {
    watched(|| {
        run(async {
            let timed = two_tasks(sleep(Duration::MAX));
            let dump = dumped_with(|dump| !cycles(dump, timed.1, 30).is_empty()).await;
            assert!(!cycles(&dump, timed.1, 30)[0].is_deadlock, "{dump}");
            drop(timed);
        });
        run(async {
            let waker = Rc::new(RefCell::new(None::<Waker>));
            let kept = waker.clone();
            let woken = two_tasks(poll_fn(move |context| {
                *kept.borrow_mut() = Some(context.waker().clone());
                Poll::Pending
            }));
            let dump = dumped_with(|dump| !cycles(dump, woken.1, 30).is_empty()).await;
            assert!(!cycles(&dump, woken.1, 30)[0].is_deadlock, "{dump}");
            drop(waker);
        });
    });
}

#[test]
fn a_task_that_awaits_a_job_that_waits_for_the_task_is_a_deadlock() {
    watched(|| {
        run(async {
            let own = Arc::new(Mutex::new(None::<SendJoinHandle<()>>));
            let (handle, taken) = (Handle::current(), own.clone());
            let line = line!();
            let task = handle.spawn(move || async move {
                let job = move || {
                    let wait = async move || {
                        let own = taken.lock().unwrap().take().unwrap();
                        let _ = own.await;
                    };
                    let _ = Handle::current().block_on(wait);
                };
                spawn_blocking(job).await;
            });
            *own.lock().unwrap() = Some(task);
            let is_found = |dump: &Dump| cycles(dump, line, 10).iter().any(|c| c.is_deadlock);
            let dump = dumped_with(is_found).await;
            let cycle = cycles(&dump, line, 10)[0];
            assert_eq!(cycle.waits.len(), 3, "{dump}");
            let is_job = |wait: &&Wait| matches!(wait.from, Party::Job { .. });
            assert_eq!(cycle.waits.iter().filter(is_job).count(), 1, "{dump}");
            let text = dump.to_string();
            assert!(text.contains("and is parked in block_on for"), "{text}");
        });
    });
}

/// A job that holds a token, and joins a task that waits for one: the limiter doesn't see that. Returns the line of the job.
fn token_in_a_task(limiter: &Limiter) -> (BlockingTask<()>, u32) {
    let (shared, line) = (limiter.clone(), line!() + 6);
    let job = move || {
        let limiter = shared.clone();
        let task = Handle::current().spawn(|| async move { drop(limiter.acquire().await) });
        task.join().unwrap();
    };
    (Asyncify::new().limiter(limiter).wrap(job)(), line)
}

#[test]
fn a_job_that_waits_for_the_token_that_it_holds_is_a_deadlock_unless_another_token_is_out() {
    watched(|| {
        run(async {
            let limiter = Limiter::new(1);
            let (job, line) = token_in_a_task(&limiter);
            let job = spawn(job);
            let is_found = |dump: &Dump| cycles(dump, line, 0).iter().any(|c| c.is_deadlock);
            let dump = dumped_with(is_found).await;
            let cycle = cycles(&dump, line, 0)[0];
            let is_limiter = |wait: &Wait| matches!(wait.on, Party::Limiter { total: 1, .. });
            assert!(cycle.waits.iter().any(is_limiter), "{dump}");
            let text = dump.to_string();
            assert!(text.contains("held by a job submitted at"), "{text}");
            limiter.set_total_tokens(2);
            job.await.unwrap();

            let permit = limiter.acquire().await;
            let (job, line) = token_in_a_task(&limiter);
            let job = spawn(job);
            let dump = dumped_with(|dump| !cycles(dump, line, 0).is_empty()).await;
            assert!(!cycles(&dump, line, 0)[0].is_deadlock, "{dump}");
            drop(permit);
            job.await.unwrap();
        });
    });
}

#[test]
fn a_dump_polls_nothing() {
    watched(|| {
        run(async {
            let polls = Rc::new(Cell::new(0));
            let counted = polls.clone();
            let _task = spawn(poll_fn(move |_| {
                counted.set(counted.get() + 1);
                Poll::<()>::Pending
            }));
            yield_now().await;
            for _ in 0..3 {
                let _ = dumped().await;
            }
            assert_eq!(polls.get(), 1);
        });
    });
}

#[test]
fn a_dump_from_a_task_describes_the_loop_of_that_task_at_once() {
    watched(|| {
        run(async {
            let line = line!();
            let sleeping = spawn(sleep(Duration::MAX));
            let _joining = spawn(async move { drop(sleeping.await) });
            yield_now().await;
            let dump = dump(Duration::ZERO);
            assert_eq!(waits_of(&dump, line + 1)[0].on, Party::Timer, "{dump}");
            let joined = &waits_of(&dump, line + 2)[0].on;
            assert!(is_at(joined, line + 1..=line + 1), "{dump}");
        });
    });
}

#[test]
fn what_was_awaited_before_is_not_what_a_task_waits_for() {
    watched(|| {
        run(async {
            let line = line!() + 1;
            spawn(async {
                spawn_blocking(|| ()).await;
                let mut dropped = Some(spawn_blocking(|| {
                    loop {
                        if check_cancelled().is_err() {
                            break;
                        }
                    }
                }));
                poll_fn(|context| {
                    if let Some(mut job) = dropped.take() {
                        assert!(pin!(&mut job).poll(context).is_pending());
                        // The select's other branch has won.
                    }
                    std::mem::forget(context.waker().clone()); // something else has it
                    Poll::<()>::Pending
                })
                .await;
            });
            let is_waiting = |dump: &Dump| {
                let waits = waits_of(dump, line);
                waits.len() == 1 && waits[0].on == Party::Other
            };
            dumped_with(is_waiting).await;
        });
    });
}

/// A number that follows from the one before.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

const STORM: u32 = line!();

/// Loops, pools and limiters come and go, with what waits for them.
fn come_and_go(seed: &mut u64) {
    let pool = Pool::builder().max_threads(2).build();
    let limiter = Limiter::new(1);
    let calls = (0..next(seed) % 8).map(|n| {
        let job = |_| syncify(yield_now)().is_ok();
        Asyncify::new().pool(&pool).limiter(&limiter).wrap(job)(n)
    });
    match next(seed) % 4 {
        0 => drop(run(gather(calls))),
        1 => run(async {
            calls.for_each(|call| drop(spawn(call)));
            yield_now().await;
        }),
        2 => {
            let portal = Portal::start().unwrap();
            let task = portal.handle().spawn(pending::<()>);
            calls.for_each(BlockingTask::detach);
            let _ = portal.stop(Duration::ZERO);
            assert!(task.join().is_err());
        }
        _ => {
            let mut event_loop = EventLoop::builder().pool(&pool).build();
            calls.for_each(|call| drop(event_loop.spawn(call)));
            event_loop.tick();
        }
    }
    let _ = pool.shutdown(Duration::ZERO);
}

#[test]
fn dumps_end_while_loops_and_pools_come_and_go() {
    watched(|| {
        let rest = Arc::new(AtomicUsize::new(300));
        let threads = (1..=3).map(|mut seed| {
            let rest = rest.clone();
            thread::spawn(move || {
                while rest.load(SeqCst) > 0 {
                    come_and_go(&mut seed);
                    let _ = rest.fetch_update(SeqCst, SeqCst, |rest| rest.checked_sub(1));
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        let dumping = (0..2).map(|_| {
            let rest = rest.clone();
            thread::spawn(move || {
                while rest.load(SeqCst) > 0 {
                    let dump = dump(ms(2));
                    let cycles = cycles(&dump, STORM, 40);
                    assert!(cycles.iter().all(|cycle| !cycle.is_deadlock), "{dump}");
                }
            })
        });
        let dumping: Vec<_> = dumping.collect();
        for thread in threads.into_iter().chain(dumping) {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_loop_that_no_thread_has_run_for_long_answers_later_questions() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let line = line!() + 1;
        event_loop.spawn(sleep(Duration::MAX));
        event_loop.tick();
        thread::spawn(|| (0..100).for_each(|_| drop(dump(Duration::ZERO))))
            .join()
            .unwrap();
        while event_loop.tick() {}
        let dump = event_loop.run_until(dumped());
        assert_eq!(waits_of(&dump, line)[0].on, Party::Timer, "{dump}");
    });
}

/// A thread that keeps a loop, and what ends it.
fn idle_owner() -> (thread::JoinHandle<()>, mpsc::Sender<()>) {
    let (tell, told) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let thread = thread::spawn(move || {
        let mut event_loop = EventLoop::new();
        event_loop.tick();
        begun.send(()).unwrap();
        told.recv().unwrap_err();
    });
    has_begun.recv().unwrap();
    (thread, tell)
}

/// A loop on a thread of this name, blocked by its main future until the sender is dropped.
fn blocked_loop(name: &str) -> (thread::JoinHandle<()>, mpsc::Sender<()>) {
    let (tell, told) = mpsc::channel::<()>();
    let (begun, has_begun) = mpsc::channel();
    let thread = thread::Builder::new().name(name.into()).spawn(move || {
        run(async move {
            begun.send(()).unwrap();
            told.recv().unwrap_err();
        });
    });
    has_begun.recv().unwrap();
    (thread.unwrap(), tell)
}

#[test]
fn a_deadlock_keeps_its_verdict_beside_loops_that_do_not_answer() {
    watched(|| {
        for (thread, tell) in [idle_owner(), blocked_loop("beside a deadlock")] {
            run(async {
                let (_handles, line) = two_tasks(pending());
                let is_found = |dump: &Dump| cycles(dump, line, 30).iter().any(|c| c.is_deadlock);
                while !is_found(&asyncify(|| dump(ms(300)))().await) {}
            });
            drop(tell);
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_blocked_loop_is_shown_in_each_dump_however_many_there_were() {
    watched(|| {
        let (thread, tell) = blocked_loop("blocked for long");
        for _ in 0..20 {
            let text = dump(ms(1)).to_string();
            assert!(text.contains("blocked for long: blocked"), "{text}");
        }
        drop(tell);
        thread.join().unwrap();
    });
}

#[test]
fn a_loop_that_many_threads_dump_at_once_answers_each() {
    watched(|| {
        run(async {
            let line = line!() + 1;
            spawn(sleep(Duration::MAX));
            yield_now().await;
            let dumping = |_| {
                asyncify(move || {
                    (0..20).for_each(|_| {
                        let dump = dump(PATIENCE);
                        assert_eq!(waits_of(&dump, line).len(), 1, "{dump}");
                    });
                })()
            };
            gather((0..16).map(dumping)).await;
        });
    });
}

#[test]
fn a_loop_whose_end_hangs_is_shown_and_what_it_drops() {
    struct Hangs(mpsc::Receiver<()>, mpsc::Sender<()>);
    impl Drop for Hangs {
        fn drop(&mut self) {
            self.1.send(()).unwrap();
            self.0.recv().unwrap_err();
        }
    }
    watched(|| {
        let (tell, told) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let line = line!() + 5;
        let ending = thread::Builder::new().name("an end that hangs".into());
        let ending = ending.spawn(move || {
            let mut event_loop = EventLoop::builder().on_blocked(PATIENCE, |_| ()).build();
            let hangs = Hangs(told, begun);
            event_loop.spawn(async move {
                let _hangs = hangs;
                pending::<()>().await;
            });
            event_loop.tick();
        });
        has_begun.recv().unwrap();
        let text = dump(ms(1)).to_string();
        let at = format!("{}:{line}:", file!());
        let said = format!("an end that hangs: it ends, and drops what was spawned at {at}");
        assert!(text.contains(&said), "{text}");
        drop(tell);
        ending.unwrap().join().unwrap();
        let text = dump(ms(1)).to_string();
        assert!(!text.contains("an end that hangs"), "{text}");
    });
}

#[test]
fn a_dump_calls_no_hook_and_does_not_wait_for_a_loop_that_no_thread_runs() {
    watched(|| {
        let (tell, told) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let owner = thread::Builder::new().name("has a hook".into());
        let owner = owner.spawn(move || {
            let count = move || {
                counted.fetch_add(1, SeqCst);
            };
            let mut event_loop = EventLoop::builder().on_wake(count).build();
            event_loop.tick();
            begun.send(()).unwrap();
            told.recv().unwrap_err();
        });
        has_begun.recv().unwrap();
        let text = dump(Duration::ZERO).to_string();
        assert!(
            text.contains("loop of thread has a hook: no thread runs it"),
            "{text}"
        );
        assert_eq!(calls.load(SeqCst), 0);
        drop(tell);
        owner.unwrap().join().unwrap();

        let (begun, has_begun) = mpsc::channel();
        let (tell, told) = mpsc::channel::<()>();
        let counted = calls.clone();
        let runs = thread::spawn(move || {
            let count = move || {
                counted.fetch_add(1, SeqCst);
            };
            let mut event_loop = EventLoop::builder().on_wake(count).build();
            event_loop.run_until(async move {
                begun.send(()).unwrap();
                told.recv().unwrap_err();
                std::future::ready(()).await;
            });
        });
        has_begun.recv().unwrap();
        let _ = dump(ms(1));
        assert_eq!(calls.load(SeqCst), 0, "it is run, so no host is told");
        drop(tell);
        runs.join().unwrap();
    });
}

#[test]
fn a_dump_from_a_first_poll_names_what_is_polled() {
    watched(|| {
        run(yield_now());
        let (text, line) = run(async { (dump(Duration::ZERO).to_string(), line!()) });
        let main = format!("the main future, entered at {}:{line}:", file!());
        assert!(text.contains(&main), "{text}");

        let text = run(async { spawn(async { dump(Duration::ZERO).to_string() }).await });
        let said = "1 task, and a new one, which makes this dump";
        assert!(text.unwrap().contains(said));
    });
}

#[test]
fn a_cycle_through_many_that_are_alike_has_one_wait_for_them() {
    watched(|| {
        run(async {
            let limiter = Limiter::new(8);
            let jobs: Vec<_> = (0..8).map(|_| token_in_a_task(&limiter)).collect();
            let line = jobs[0].1;
            let jobs: Vec<_> = jobs.into_iter().map(|(job, _)| spawn(job)).collect();
            let is_found = |dump: &Dump| cycles(dump, line, 0).iter().any(|c| c.is_deadlock);
            let dump = dumped_with(is_found).await;
            let counts = cycles(&dump, line, 0)[0].waits.iter();
            let counts: Vec<_> = counts.map(|wait| wait.count).collect();
            assert_eq!(counts, [8, 8, 8], "{dump}");
            limiter.set_total_tokens(16);
            for job in jobs {
                job.await.unwrap();
            }
        });
    });
}

#[test]
fn a_job_whose_loop_sleeps_is_not_said_to_compute() {
    watched(|| {
        run(async {
            let (begun, has_begun) = mpsc::channel();
            let line = line!() + 1;
            let _job = spawn_blocking(move || {
                run(async move {
                    yield_now().await;
                    begun.send(()).unwrap();
                    let ends = poll_fn(|_| match check_cancelled() {
                        Ok(()) => Poll::Pending,
                        Err(_) => Poll::Ready(()),
                    });
                    let _ = footbridge::time::timeout(Duration::from_secs(3600), ends).await;
                });
            });
            spawn_blocking(move || has_begun.recv().unwrap()).await;
            let at = format!("{}:{line}:", file!());
            let computes = |dump: &Dump| {
                let text = dump.to_string();
                let mut lines = text.lines();
                lines.any(|text| {
                    text.contains("has run a job") && text.contains(&at) && text.contains("(comp")
                })
            };
            dumped_with(|dump| !computes(dump)).await;
        });
    });
}

#[test]
fn a_loop_that_goes_on_is_not_said_to_be_blocked_by_one_of_its_tasks() {
    watched(|| {
        let (begun, has_begun) = mpsc::channel();
        let rest = Arc::new(AtomicUsize::new(100_000));
        let goes_on = rest.clone();
        let busy = thread::Builder::new().name("a busy loop".into());
        let busy = busy.spawn(move || {
            let mut event_loop = EventLoop::builder().on_blocked(PATIENCE, |_| ()).build();
            for _ in 0..100_000 {
                let rest = goes_on.clone();
                event_loop.spawn(async move {
                    if rest.load(SeqCst) > 0 {
                        rest.fetch_sub(1, SeqCst);
                        thread::sleep(ms(1));
                    }
                });
            }
            begun.send(()).unwrap();
            event_loop.tick();
        });
        has_begun.recv().unwrap();
        until(|| {
            let text = dump(ms(100)).to_string();
            text.contains("a busy loop: it runs, and hasn't come to answer")
        });
        rest.store(0, SeqCst);
        busy.unwrap().join().unwrap();
    });
}

#[test]
fn a_job_that_a_callback_has_polled_is_not_what_a_task_waits_for() {
    watched(|| {
        run(async {
            let (go, wait) = mpsc::channel::<()>();
            let kept = Arc::new(Mutex::new(None::<Waker>));
            let (waker, polls) = (kept.clone(), Rc::new(Cell::new(0)));
            let counted = polls.clone();
            // The main future sleeps meanwhile, so the task is what is polled after the callback.
            let main = Rc::new(Cell::new(None::<Waker>));
            let sleeping = main.clone();
            let line = line!() + 1;
            let _task = spawn(poll_fn(move |context| {
                counted.set(counted.get() + 1);
                if let Some(main) = sleeping.take() {
                    main.wake();
                }
                *waker.lock().unwrap() = Some(context.waker().clone());
                Poll::<()>::Pending
            }));
            yield_now().await;
            let poll_a_job = move || {
                let mut job = spawn_blocking(move || wait.recv().unwrap_err());
                let polled = pin!(&mut job).poll(&mut Context::from_waker(Waker::noop()));
                assert!(polled.is_pending());
                std::mem::forget(job); // Its drop would say that it isn't awaited.
                kept.lock().unwrap().take().unwrap().wake();
            };
            assert!(Handle::current().call_soon(poll_a_job));
            poll_fn(|context| {
                main.set(Some(context.waker().clone()));
                if polls.get() < 2 {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            })
            .await;
            let dump = dumped().await;
            assert_eq!(waits_of(&dump, line)[0].on, Party::Other, "{dump}");
            drop(go);
        });
    });
}
