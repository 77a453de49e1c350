//! A loop on a thread of its own: what it serves, how it is stopped, and from where.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Grenade, Guard, me, ms, panic_of, until, watched};
use footbridge::{
    Handle, Pool, Portal, SyncifyError, asyncify, gather, run, spawn, spawn_blocking, syncify,
    yield_now,
};
use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, LazyLock, mpsc};
use std::thread;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(20);

/// A task that waits for the gate without blocking its loop, and gives 7.
async fn behind(gate: Arc<AtomicBool>) -> u32 {
    common::until_set(&gate).await;
    7
}

/// Begins a stop on another thread. When this returns, the portal refuses calls.
fn stop_elsewhere(
    portal: &Arc<Portal>,
    timeout: Duration,
) -> thread::JoinHandle<Result<(), footbridge::Unfinished>> {
    let stopped = portal.clone();
    let stop = thread::spawn(move || stopped.stop(timeout));
    until(|| portal.handle().is_closed());
    stop
}

// P1
#[test]
fn a_call_from_any_thread_runs_on_the_portals_thread_and_gives_its_value() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let handle = portal.handle();
        let there = handle.block_on(async || me()).unwrap();
        assert_ne!(there, me());
        let other = handle.clone();
        let from_other = thread::spawn(move || other.block_on(async || me()));
        assert_eq!(from_other.join().unwrap(), Ok(there));
        let call = handle.clone();
        let from_job = spawn_blocking(move || syncify_on(&call)).join();
        assert_eq!(from_job, Ok(there));
        // Async code that uses both bridges.
        let nested = asyncify(|| syncify(async || me())().unwrap());
        assert_eq!(handle.block_on(nested), Ok(there));
        portal.stop(LONG).unwrap();
    });
}

fn syncify_on(handle: &Handle) -> Result<thread::ThreadId, SyncifyError> {
    footbridge::Syncify::new().on(handle).wrap(async || me())()
}

// P2
#[test]
fn on_the_portals_own_thread_a_wait_is_an_error_and_so_is_a_stop_which_stops_nothing() {
    watched(|| {
        let portal = Arc::new(Portal::start().unwrap());
        let inner = portal.clone();
        let errors = portal
            .handle()
            .block_on(async move || (inner.handle().block_on(async || ()), inner.stop(LONG)));
        let (waited, stopped) = errors.unwrap();
        assert_eq!(waited, Err(SyncifyError::OnLoopThread));
        let stopped = stopped.unwrap_err();
        assert!(stopped.to_string().contains("own thread"), "{stopped}");
        assert_eq!((stopped.tasks(), stopped.is_blocked()), (0, false));
        assert_eq!(portal.handle().block_on(async || 5), Ok(5));
        portal.stop(LONG).unwrap();
    });
}

// P3
#[test]
fn a_stopped_portal_refuses_each_kind_of_call_and_says_so() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let handle = portal.handle().clone();
        assert!(!handle.is_closed());
        portal.stop(Duration::ZERO).unwrap();
        assert!(handle.is_closed());
        assert_eq!(handle.block_on(async || ()), Err(SyncifyError::LoopClosed));
        assert!(handle.spawn(async || ()).join().unwrap_err().is_cancelled());
        assert!(!handle.call_soon(|| ()));
        assert_eq!(portal.stop(Duration::ZERO), Ok(()), "and once more");
    });
}

// P3, P4
#[test]
fn while_a_portal_stops_it_refuses_calls_and_its_tasks_end() {
    watched(|| {
        let portal = Arc::new(Portal::start().unwrap());
        let handle = portal.handle().clone();
        let gate = Arc::new(AtomicBool::new(false));
        let opened = gate.clone();
        let task = handle.spawn(move || behind(gate));
        let stop = stop_elsewhere(&portal, LONG);
        assert!(!handle.call_soon(|| ()));
        assert_eq!(handle.block_on(async || ()), Err(SyncifyError::LoopClosed));
        let refused = handle.spawn(async || ());
        assert!(refused.join().unwrap_err().is_cancelled());
        assert!(!task.is_finished());
        opened.store(true, SeqCst);
        assert_eq!(task.join().unwrap(), 7);
        assert_eq!(stop.join().unwrap(), Ok(()));
    });
}

// P4
#[test]
fn while_a_portal_stops_its_tasks_may_spawn_and_their_jobs_may_call_back() {
    watched(|| {
        let portal = Arc::new(Portal::start().unwrap());
        let ((go, wait), (last, was_called)) = (mpsc::channel::<()>(), mpsc::channel());
        let task = portal.handle().spawn(move || async move {
            // In a job of this task.
            let called = spawn_blocking(move || {
                wait.recv().unwrap();
                let closed = Handle::current().is_closed();
                (closed, syncify(async || me())())
            });
            let (closed, called) = called.await;
            assert!(closed, "the stop has begun");
            assert_eq!(called, Ok(me()));
            let own = Handle::current().spawn(|| async { 1 });
            let sum = gather([spawn(async { 2 })]).await[0].as_ref().unwrap() + own.await.unwrap();
            Handle::current().call_soon(move || last.send(()).unwrap());
            sum
        });
        let stop = stop_elsewhere(&portal, LONG);
        go.send(()).unwrap();
        assert_eq!(task.join().unwrap(), 3);
        was_called.recv().unwrap();
        assert_eq!(stop.join().unwrap(), Ok(()));
    });
}

// P4, decision 22
#[test]
fn what_was_asked_before_a_stop_is_still_done() {
    watched(|| {
        let ask = |portal: &Portal| {
            let (tell, told) = mpsc::channel();
            let again = tell.clone();
            portal.handle().call_soon(move || tell.send(1).unwrap());
            let task = portal.handle().spawn(async move || again.send(2).unwrap());
            drop(task);
            told
        };
        let portal = Portal::start().unwrap();
        let told = ask(&portal);
        assert_eq!(portal.stop(Duration::ZERO), Ok(()));
        assert!(told.iter().eq([1, 2]));
        let portal = Portal::start().unwrap();
        let told = ask(&portal);
        drop(portal);
        assert!(told.iter().eq([1, 2]));
    });
}

// P5, decision 22
#[test]
fn at_the_deadline_the_tasks_that_are_left_are_dropped_and_counted() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let (dropped, gone) = mpsc::channel();
        let there = portal.handle().block_on(async || me()).unwrap();
        let endless: Vec<_> = (0..3)
            .map(|_| {
                let guard = Guard(dropped.clone());
                portal.handle().spawn(move || async move {
                    let _guard = guard;
                    let _nested = spawn(async { pending::<()>().await });
                    loop {
                        yield_now().await; // never idle
                    }
                })
            })
            .collect();
        drop(dropped);
        let left = portal.stop(ms(5)).unwrap_err();
        assert_eq!(left.tasks(), 6);
        assert!(!left.is_blocked());
        assert!(left.to_string().starts_with("6 task(s)"), "{left}");
        assert!(gone.iter().eq([there; 3]), "dropped where they ran");
        for task in endless {
            assert!(task.join().unwrap_err().is_cancelled());
        }
        assert_eq!(portal.stop(LONG), Err(left), "the same answer");
    });
}

// Decision 22
#[test]
fn tasks_that_were_never_polled_count_as_left() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let spawned = Arc::new(AtomicUsize::new(0));
        let count = spawned.clone();
        let spawns = portal.handle().spawn(move || async move {
            loop {
                drop(spawn(pending::<()>())); // the one of the last turn is never polled
                count.fetch_add(1, SeqCst);
                yield_now().await;
            }
        });
        let left = portal.stop(Duration::ZERO).unwrap_err();
        assert_eq!(left.tasks(), 1 + spawned.load(SeqCst));
        assert!(spawns.join().unwrap_err().is_cancelled());
    });
}

// P5, P6, decision 22
#[test]
fn dropping_a_portal_cancels_its_tasks_and_answers_each_thread_that_waits() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let (begun, has_begun) = mpsc::channel();
        let handle = portal.handle().clone();
        let waiting = thread::spawn(move || {
            handle.block_on(move || async move {
                begun.send(()).unwrap();
                pending::<()>().await;
            })
        });
        has_begun.recv().unwrap();
        let handle = portal.handle().clone();
        let task = handle.spawn(pending::<()>);
        drop(portal);
        assert_eq!(waiting.join().unwrap(), Err(SyncifyError::LoopClosed));
        assert!(task.join().unwrap_err().is_cancelled());
        assert!(!handle.call_soon(|| ()));
    });
}

// P7
#[test]
fn a_portals_thread_has_the_given_name_and_the_loop_the_given_pool() {
    watched(|| {
        let name = || thread::current().name().map(String::from);
        let pool = Pool::builder().thread_name("files").build();
        let portal = Portal::builder()
            .thread_name("net")
            .pool(&pool)
            .start()
            .unwrap();
        let names = portal
            .handle()
            .block_on(async move || (name(), asyncify(name)().await));
        assert_eq!(names, Ok((Some("net".into()), Some("files-0".into()))));
        let plain = Portal::start().unwrap();
        let name = plain.handle().block_on(async move || name());
        assert_eq!(name, Ok(Some("footbridge-portal".into())));
        let said = panic_of(|| Portal::builder().thread_name("a\0b"));
        assert!(said.starts_with("PortalBuilder::thread_name"), "{said}");
    });
}

// P7, W1
#[test]
fn a_thread_that_the_system_refuses_is_an_error_of_the_start() {
    watched(|| {
        let refused = Portal::builder().thread_stack_size(1 << 46).start();
        assert!(refused.unwrap_err().raw_os_error().is_some());
    });
}

// P8
#[test]
fn a_call_that_panics_leaves_the_portal_fit() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let handle = portal.handle();
        let said = panic_of(|| handle.block_on(|| -> std::future::Ready<()> { panic!("made") }));
        assert_eq!(said, "made");
        let said = panic_of(|| handle.block_on(async || -> () { panic!("polled") }));
        assert_eq!(said, "polled");
        handle.call_soon(|| panic!("called"));
        assert_eq!(handle.block_on(async || 5), Ok(5));
        assert_eq!(portal.stop(LONG), Ok(()));
    });
}

// P8, decision 22
#[test]
fn a_panic_in_a_drop_keeps_no_stop_from_its_answer() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let endless = |grenade| async move {
            let _grenade = grenade;
            pending::<()>().await;
        };
        drop(portal.handle().spawn(move || endless(Grenade)));
        drop(portal.handle().spawn(move || endless(Grenade)));
        assert_eq!(portal.stop(ms(1)).unwrap_err().tasks(), 2);
    });
}

// P9
#[test]
fn a_task_of_a_portal_can_be_aborted_at_any_time_also_after_the_stop() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let at_once = portal.handle().spawn(pending::<()>);
        at_once.abort();
        assert!(at_once.join().unwrap_err().is_cancelled());
        let late = portal.handle().spawn(pending::<()>);
        assert_eq!(portal.stop(Duration::ZERO).unwrap_err().tasks(), 1);
        late.abort();
        assert!(late.join().unwrap_err().is_cancelled());
    });
}

// P9
#[test]
fn an_abort_reaches_the_tasks_of_a_portal_that_is_stopping() {
    watched(|| {
        let portal = Arc::new(Portal::start().unwrap());
        let endless = portal.handle().spawn(pending::<()>);
        let stop = stop_elsewhere(&portal, Duration::MAX);
        endless.abort();
        assert_eq!(stop.join().unwrap(), Ok(()), "nothing was left at the end");
    });
}

// P12
#[test]
fn a_static_portal_is_started_by_its_first_user_and_shared_by_all_threads() {
    static SHARED: LazyLock<Portal> = LazyLock::new(|| Portal::start().unwrap());
    watched(|| {
        let all = Arc::new(Barrier::new(4));
        let threads = [(); 4].map(|()| {
            let all = all.clone();
            thread::spawn(move || {
                all.wait();
                SHARED.handle().block_on(async || me()).unwrap()
            })
        });
        let [first, others @ ..] = threads.map(|thread| thread.join().unwrap());
        assert_eq!(others, [first; 3]);
    });
}

// P13, decision 22
#[test]
fn a_portal_is_started_used_and_dropped_on_a_loop_and_in_a_job() {
    watched(|| {
        run(async {
            let portal = Portal::start().unwrap();
            let there = portal.handle().spawn(async || me()).await.unwrap();
            assert_ne!(there, me());
            let endless = portal.handle().spawn(pending::<()>);
            drop(portal);
            assert!(endless.await.unwrap_err().is_cancelled());
            // Where the job has the pool's only thread.
            let pool = Pool::builder().max_threads(1).build();
            let in_job = pool.spawn_blocking(|| {
                let portal = Portal::start().unwrap();
                let task = portal.handle().spawn(pending::<()>);
                assert_eq!(portal.handle().block_on(async || 5), Ok(5));
                drop(portal);
                task.join().unwrap_err().is_cancelled()
            });
            assert!(in_job.await);
        });
    });
}

// Decision 22
#[test]
fn a_portal_dropped_in_its_own_task_ends_with_that_task() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let handle = portal.handle().clone();
        let (give, given) = mpsc::channel::<Portal>();
        let last = handle.spawn(move || async move {
            drop(given.recv().unwrap());
            assert!(!Handle::current().is_closed(), "it may call itself");
            pending::<()>().await;
        });
        give.send(portal).unwrap();
        assert!(last.join().unwrap_err().is_cancelled());
        until(|| !handle.call_soon(|| ()));
    });
}

// P4, H12
#[test]
fn a_job_that_stops_a_portal_gives_its_place_to_the_jobs_that_this_waits_for() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let portal = Portal::builder().pool(&pool).start().unwrap();
        let begun = Arc::new(AtomicBool::new(false));
        let has_begun = begun.clone();
        let task = portal.handle().spawn(move || async move {
            common::until_set(&has_begun).await;
            spawn_blocking(|| 7).await // on the pool whose one thread is in the stop
        });
        let stop = pool.spawn_blocking(move || {
            begun.store(true, SeqCst);
            portal.stop(LONG)
        });
        assert_eq!(stop.join(), Ok(()));
        assert_eq!(task.join().unwrap(), 7);
    });
}

// Decision 22
#[test]
fn stops_at_once_are_all_answered_and_the_earliest_deadline_holds() {
    watched(|| {
        let portal = Arc::new(Portal::start().unwrap());
        drop(portal.handle().spawn(pending::<()>));
        let patient = stop_elsewhere(&portal, Duration::MAX);
        let far = stop_elsewhere(&portal, Duration::from_secs(u64::MAX / 4));
        let left = portal.stop(ms(1)).unwrap_err();
        assert_eq!(left.tasks(), 1);
        assert_eq!(patient.join().unwrap(), Err(left));
        assert_eq!(far.join().unwrap(), Err(left));
    });
}

// Decision 22
#[test]
fn a_later_deadline_takes_nothing_back() {
    watched(|| {
        let portal = Arc::new(Portal::start().unwrap());
        drop(portal.handle().spawn(pending::<()>));
        let hasty = stop_elsewhere(&portal, ms(20));
        assert_eq!(portal.stop(Duration::MAX).unwrap_err().tasks(), 1);
        assert_eq!(hasty.join().unwrap().unwrap_err().tasks(), 1);
    });
}

// Decision 22
#[test]
fn a_stop_with_a_far_deadline_lets_a_timer_of_a_task_fire() {
    watched(|| {
        for far in [
            Duration::MAX,
            Duration::from_secs(u64::MAX / 4),
            1000 * LONG,
        ] {
            let portal = Portal::start().unwrap();
            let task = portal.handle().spawn(|| footbridge::time::sleep(ms(2)));
            assert_eq!(portal.stop(far), Ok(()));
            task.join().unwrap();
        }
    });
}

// Decision 22
#[test]
fn a_loop_that_is_blocked_at_the_deadline_is_left_and_ends_when_it_goes_on() {
    watched(|| {
        let portal = Portal::start().unwrap();
        let handle = portal.handle().clone();
        let (go, wait) = mpsc::channel::<()>();
        let blocks = handle.spawn(move || async move {
            let _ = wait.recv();
        });
        let behind_it = handle.spawn(pending::<()>);
        let left = portal.stop(Duration::ZERO).unwrap_err();
        assert!(left.is_blocked());
        assert_eq!(left.tasks(), 0);
        assert!(left.to_string().contains("blocks"), "{left}");
        assert!(!handle.call_soon(|| ()));
        drop(go);
        assert_eq!(portal.stop(Duration::MAX).unwrap_err().tasks(), 1);
        blocks.join().unwrap();
        assert!(behind_it.join().unwrap_err().is_cancelled());
    });
}
