//! The pool: when threads come and go, in which order, and what becomes of jobs at its end.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, foreign_block_on, me, ms, panic_of, until, watched};
use footbridge::{
    Asyncify, EventLoop, Handle, Pool, asyncify, gather, run, spawn_blocking, syncify,
};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

const HOUR: Duration = Duration::from_secs(3600);

/// Occupies a thread of `pool` until the gate is opened.
fn occupy(pool: &Pool) -> (mpsc::Sender<()>, footbridge::BlockingTask<ThreadId>) {
    let (begun, has_begun) = mpsc::channel();
    let (open, gate) = mpsc::channel();
    let job = pool.spawn_blocking(move || {
        begun.send(()).unwrap();
        gate.recv().unwrap();
        me()
    });
    has_begun.recv().unwrap();
    (open, job)
}

fn name() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

// W1, decision 5
#[test]
fn no_thread_is_started_before_the_first_job_and_only_one_for_it() {
    watched(|| {
        let pool = Pool::builder().build();
        assert_eq!(pool.stats().threads, 0);
        pool.spawn_blocking(|| ()).join();
        assert_eq!(pool.stats().threads, 1);
    });
}

// W2
#[test]
fn calls_one_after_another_run_on_one_thread() {
    // Whether a second thread would be started depends on where the system puts this thread and the worker. So this is tried
    // with fifty pools.
    let one_thread_takes_all = |pool: &Pool| {
        let by_join: HashSet<_> = (0..200).map(|_| pool.spawn_blocking(me).join()).collect();
        assert_eq!((by_join.len(), pool.stats().threads), (1, 1));
        let by_await = run(async {
            let me = Asyncify::new().pool(pool).wrap(me);
            let mut threads = HashSet::new();
            for _ in 0..200 {
                threads.insert(me().await);
            }
            threads
        });
        assert_eq!((by_await, pool.stats().threads), (by_join, 1));
    };
    watched(move || (0..50).for_each(|_| one_thread_takes_all(&Pool::builder().build())));
}

// W3, decision 4
#[test]
fn the_thread_that_has_fallen_asleep_last_is_used_first() {
    watched(|| {
        let pool = Pool::builder().keep_alive(HOUR).build();
        let jobs = [occupy(&pool), occupy(&pool), occupy(&pool)];
        let mut last = None;
        for (n, (open, job)) in jobs.into_iter().enumerate() {
            open.send(()).unwrap();
            last = Some(job.join());
            until(|| pool.stats().idle == n + 1);
        }
        assert_eq!(Some(pool.spawn_blocking(me).join()), last);
    });
}

// W5, decision 4
#[test]
fn threads_without_a_job_retire_while_the_one_in_use_stays() {
    watched(|| {
        let pool = Pool::builder().keep_alive(ms(300)).build();
        let jobs = [occupy(&pool), occupy(&pool), occupy(&pool)];
        for (open, job) in jobs {
            open.send(()).unwrap();
            job.join();
        }
        // One job after another takes one thread. Were all used in turn, none would ever retire.
        until(|| {
            pool.spawn_blocking(|| ()).join();
            pool.stats().threads == 1
        });
        // And without any job the last one goes too, by itself.
        until(|| pool.stats().threads == 0);
        pool.spawn_blocking(|| ()).join(); // it is started again when it is needed
    });
}

// W7
#[test]
fn threads_have_names_with_the_pools_own_beginning() {
    watched(|| {
        let pool = Pool::builder().thread_name("disk").build();
        assert_eq!(pool.spawn_blocking(name).join(), "disk-0");
        assert!(spawn_blocking(name).join().starts_with("footbridge-"));
    });
}

#[test]
fn threads_have_the_stack_that_was_asked_for() {
    watched(|| {
        fn deep(n: usize) -> usize {
            let on_the_stack = std::hint::black_box([n as u8; 1024]);
            match n {
                0 => 0,
                _ => deep(n - 1) + usize::from(on_the_stack[7] == n as u8),
            }
        }
        let pool = Pool::builder().thread_stack_size(64 << 20).build();
        assert!(pool.spawn_blocking(|| deep(10_000)).join() > 0);
    });
}

// W10, G3: what asyncio's default executor does
#[test]
fn an_executor_of_three_threads_runs_at_most_three_at_once_and_all_in_the_end() {
    watched(|| {
        let pool = Pool::builder().max_threads(3).build();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        run(async {
            let handle = Handle::current();
            gather((0..30).map(|_| {
                let (now, most) = (now.clone(), most.clone());
                handle.run_in_executor(Some(&pool), move || {
                    most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                    thread::sleep(ms(2)); // work
                    now.fetch_sub(1, SeqCst);
                })
            }))
            .await;
        });
        assert_eq!(most.load(SeqCst), 3);
        assert_eq!(pool.stats().threads, 3);
    });
}

// W10
#[test]
fn jobs_start_in_the_order_in_which_they_were_submitted() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (open, first) = occupy(&pool);
        let order = Arc::new(Mutex::new(Vec::new()));
        let jobs: Vec<_> = (0..100)
            .map(|n| {
                let order = order.clone();
                pool.spawn_blocking(move || order.lock().unwrap().push(n))
            })
            .collect();
        open.send(()).unwrap();
        first.join();
        jobs.into_iter().for_each(|job| job.join());
        assert_eq!(*order.lock().unwrap(), (0..100).collect::<Vec<_>>());
    });
}

// A16, decision 5: no limiter by default, but max_threads
#[test]
fn without_a_limiter_sixty_calls_may_block_at_once() {
    watched(|| {
        let all = Arc::new(Barrier::new(60));
        let meet = asyncify(move || all.wait().is_leader());
        run(async { gather((0..60).map(|_| meet())).await });
    });
}

// Decision 5
#[test]
fn one_pool_serves_every_loop_and_every_thread_unless_another_is_named() {
    watched(|| {
        let global = Pool::global().spawn_blocking(name).join();
        let called = |name: String| name.rsplit_once('-').map(|(start, _)| start.to_owned());
        assert_eq!(called(global).as_deref(), Some("footbridge"));
        let own = Pool::builder().thread_name("own").build();
        let mut event_loop = EventLoop::builder().pool(&own).build();
        event_loop.run_until(async {
            let named = Pool::builder().thread_name("named").build();
            let calls = [
                (asyncify(name)().await, "own"),
                (spawn_blocking(name).await, "own"),
                (Handle::current().run_in_executor(None, name).await, "own"),
                (spawn_blocking(|| spawn_blocking(name).join()).await, "own"),
                (Asyncify::new().pool(&named).wrap(name)().await, "named"),
                (named.spawn_blocking(name).await, "named"),
                (
                    Handle::current().run_in_executor(Some(&named), name).await,
                    "named",
                ),
            ];
            for (name, expected) in calls {
                assert_eq!(called(name).as_deref(), Some(expected));
            }
        });
        let without = run(async { asyncify(name)().await });
        assert_eq!(called(without).as_deref(), Some("footbridge"));
    });
}

// Decision 5, W9, S27
#[test]
fn a_job_knows_the_loop_that_it_came_from_although_loops_share_the_threads() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        let loops: Vec<_> = (0..4)
            .map(|_| {
                let pool = pool.clone();
                thread::spawn(move || {
                    run(async {
                        for _ in 0..50 {
                            let home = pool.spawn_blocking(|| syncify(async || me())());
                            assert_eq!(home.await, Ok(me()));
                        }
                    })
                })
            })
            .collect();
        loops.into_iter().for_each(|it| it.join().unwrap());
    });
}

// W12, decision 3
#[test]
fn a_worker_that_waits_in_syncify_runs_nothing_else_meanwhile() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        run(async {
            let inner = pool.clone();
            let outer = pool.spawn_blocking(move || {
                let others =
                    syncify(async move || gather((0..10).map(|_| inner.spawn_blocking(me))).await)(
                    );
                (me(), others.unwrap())
            });
            let (waiting, others) = outer.await;
            assert!(!others.contains(&waiting));
        })
    });
}

// W13, X13, decision 1
#[test]
fn a_worker_whose_caller_has_gone_drops_the_result_and_is_used_again() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (drops, dropped) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        let (begun, has_begun) = mpsc::channel();
        let job = pool.spawn_blocking(move || {
            begun.send(me()).unwrap();
            gate.recv().unwrap();
            Guard(drops)
        });
        let worker = has_begun.recv().unwrap();
        drop(job);
        open.send(()).unwrap();
        assert_eq!(
            dropped.recv(),
            Ok(worker),
            "the result is dropped on the worker"
        );
        assert_eq!(pool.spawn_blocking(me).join(), worker);
    });
}

// Decision 6, U10
#[test]
fn shutdown_says_what_still_runs_when_the_time_is_up() {
    watched(|| {
        let pool = Pool::builder().thread_name("slow").build();
        let (open, job) = occupy(&pool);
        let still = pool.shutdown(ms(10)).unwrap_err();
        let [running] = still.jobs() else {
            panic!("one job runs: {still}")
        };
        assert_eq!(running.thread(), "slow-0");
        assert!(running.submitted_at().file().ends_with("pool.rs"));
        assert!(running.running_for() >= ms(10));
        assert!(still.to_string().contains("slow-0"), "{still}");
        open.send(()).unwrap();
        job.join();
        pool.shutdown(HOUR).unwrap();
        assert_eq!(pool.stats().threads, 0);
    });
}

// Decision 6, decision 11, G11
#[test]
fn shutdown_answers_the_queued_and_the_later_jobs_and_runs_none_of_them() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (open, running) = occupy(&pool);
        let ran = Arc::new(AtomicBool::new(false));
        let set = |ran: &Arc<AtomicBool>| {
            let ran = ran.clone();
            move || ran.store(true, SeqCst)
        };
        let queued = pool.spawn_blocking(set(&ran));
        let asked = Asyncify::new().pool(&pool).wrap(set(&ran));
        pool.shutdown(Duration::ZERO).unwrap_err();
        assert!(panic_of(|| queued.join()).contains("the pool has been shut down"));
        let late = pool.spawn_blocking(set(&ran));
        assert!(panic_of(|| late.join()).contains("the pool has been shut down"));
        assert!(panic_of(|| foreign_block_on(asked())).contains("the pool has been shut down"));
        open.send(()).unwrap();
        running.join(); // the running one isn't harmed
        assert!(!ran.load(SeqCst));
    });
}

// Decision 15
#[test]
fn the_global_pool_cannot_be_shut_down() {
    watched(|| {
        let text = panic_of(|| Pool::global().shutdown(HOUR));
        assert!(
            text.contains("the global pool can't be shut down"),
            "{text}"
        );
        assert_eq!(Pool::global().spawn_blocking(|| 1).join(), 1);
    });
}

/// Has `guard` dropped when this thread ends.
fn drop_at_the_threads_end(guard: Guard) {
    thread_local!(static GUARD: RefCell<Option<Guard>> = const { RefCell::new(None) });
    GUARD.with(|kept| *kept.borrow_mut() = Some(guard));
}

// Decision 15
#[test]
fn when_the_last_handle_goes_idle_threads_end_at_once() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let pool = Pool::builder().keep_alive(HOUR).build();
        let guard = Guard(drops);
        let worker = pool
            .spawn_blocking(move || (drop_at_the_threads_end(guard), me()).1)
            .join();
        until(|| pool.stats().idle == 1);
        let second = pool.clone();
        drop(pool);
        assert_eq!(second.spawn_blocking(me).join(), worker, "a handle is left");
        drop(second);
        assert_eq!(dropped.recv(), Ok(worker));
    });
}

// Decision 15
#[test]
fn when_the_last_handle_goes_queued_jobs_still_run() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).keep_alive(HOUR).build();
        let (drops, dropped) = mpsc::channel();
        let (open, first) = occupy(&pool);
        let queued: Vec<_> = (0..10).map(|n| pool.spawn_blocking(move || n)).collect();
        let guard = Guard(drops);
        let last = pool.spawn_blocking(move || drop_at_the_threads_end(guard));
        drop(pool);
        open.send(()).unwrap();
        first.join();
        let results: Vec<_> = queued.into_iter().map(|job| job.join()).collect();
        assert_eq!(results, (0..10).collect::<Vec<_>>());
        last.join();
        dropped.recv().unwrap(); // and then the thread ends
    });
}

// Decision 15: a loop that was built with the pool holds a handle of its own
#[test]
fn a_loop_keeps_the_pool_that_it_was_built_with() {
    watched(|| {
        let pool = Pool::builder().thread_name("kept").build();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        drop(pool);
        assert_eq!(
            event_loop.run_until(async { asyncify(name)().await }),
            "kept-0"
        );
    });
}

// Decision 18
#[test]
fn jobs_may_wait_for_each_other_up_to_max_threads_of_them() {
    watched(|| {
        let pool = Pool::builder().max_threads(40).build();
        for _ in 0..3 {
            let all = Arc::new(Barrier::new(40));
            let jobs: Vec<_> = (0..40)
                .map(|_| {
                    let all = all.clone();
                    pool.spawn_blocking(move || all.wait().is_leader())
                })
                .collect();
            let leaders = jobs.into_iter().map(|job| job.join());
            assert_eq!(leaders.filter(|leader| *leader).count(), 1);
        }
        assert_eq!(pool.stats().threads, 40);
    });
}

// Decision 18
#[test]
fn a_job_that_waits_for_one_it_has_submitted_to_its_own_pool_gets_its_answer() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        for _ in 0..100 {
            let own = pool.clone();
            let outer = pool.spawn_blocking(move || {
                let (answer, answers) = mpsc::channel();
                own.spawn_blocking(move || answer.send(7).unwrap()).detach();
                // Waits in a way that the pool knows nothing of.
                answers.recv().unwrap()
            });
            assert_eq!(outer.join(), 7);
        }
    });
}

// Decision 18
#[test]
fn a_burst_of_short_jobs_does_not_start_hundreds_of_threads() {
    watched(|| {
        let pool = Pool::builder().max_threads(512).keep_alive(HOUR).build();
        let jobs: Vec<_> = (0..5000).map(|n| pool.spawn_blocking(move || n)).collect();
        jobs.into_iter()
            .enumerate()
            .for_each(|(n, job)| assert_eq!(job.join(), n));
        let threads = pool.stats().threads;
        assert!(threads < 100, "{threads} threads were started");
    });
}

// A7, W1: a burst of sleeping jobs is wanted at once
#[test]
fn a_burst_of_long_jobs_takes_much_less_than_their_sum() {
    watched(|| {
        let pool = Pool::builder().build();
        let start = Instant::now();
        let jobs: Vec<_> = (0..40)
            .map(|_| pool.spawn_blocking(|| thread::sleep(ms(100))))
            .collect();
        jobs.into_iter().for_each(|job| job.join());
        assert!(
            start.elapsed() < ms(2000),
            "{:?}, and the sum is 4 s",
            start.elapsed()
        );
    });
}

/// Computes for some tens of microseconds.
fn compute(rounds: u64) -> u64 {
    (0..rounds).fold(1, |sum: u64, n| {
        std::hint::black_box(sum.wrapping_mul(31) ^ n)
    })
}

// Decision 18
#[test]
fn a_burst_of_jobs_that_compute_starts_few_threads_however_long_they_are() {
    for rounds in [3_000, 30_000, 300_000] {
        watched(move || {
            let cores = thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
            let pool = Pool::builder().keep_alive(HOUR).build();
            let jobs = 30_000_000 / rounds;
            let jobs: Vec<_> = (0..jobs)
                .map(|_| pool.spawn_blocking(move || compute(rounds)))
                .collect();
            for job in jobs {
                job.join();
            }
            let threads = pool.stats().threads; // none has retired
            assert!(
                threads <= 2 * cores + 1,
                "{threads} threads, {rounds} rounds"
            );
        });
    }
}

// Decision 18
#[test]
fn two_hundred_jobs_that_wait_for_each_other_get_a_thread_each_beside_some_that_compute() {
    watched(|| {
        let pool = Pool::builder().build();
        let barrier = Arc::new(Barrier::new(200));
        let jobs: Vec<_> = (0..400)
            .map(|n| {
                let barrier = barrier.clone();
                pool.spawn_blocking(move || {
                    if n % 2 == 0 {
                        barrier.wait();
                    } else {
                        compute(10_000);
                    }
                })
            })
            .collect();
        for job in jobs {
            job.join();
        }
    });
}

// S19: what a thread takes along is not overtaken because it parks
#[test]
fn jobs_that_were_taken_along_start_in_their_order_although_the_first_one_parks() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let order = Arc::new(Mutex::new(Vec::new()));
        let (open, first) = occupy(&pool);
        let jobs: Vec<_> = (0..200)
            .map(|n| {
                let (order, nested) = (order.clone(), pool.clone());
                pool.spawn_blocking(move || {
                    order.lock().unwrap().push(n);
                    if n % 50 == 20 {
                        // Parks, with a batch in its queue, until the job has had its turn behind all the others.
                        nested.spawn_blocking(|| ()).join();
                    }
                })
            })
            .collect();
        open.send(()).unwrap();
        first.join();
        for job in jobs {
            job.join();
        }
        // Once in a while the oldest of the others goes first, so that those that were given back starve nobody.
        let order = order.lock().unwrap();
        for (at, job) in order.iter().enumerate() {
            let overtaken_by = order[..at].iter().filter(|later| *later > job).count();
            assert!(overtaken_by < 10, "{order:?}");
        }
    });
}

#[test]
fn no_job_waits_behind_a_long_one_while_later_ones_pass() {
    watched(|| {
        let pool = Pool::builder().max_threads(2).build();
        let (gates, busy): (Vec<_>, Vec<_>) = (0..2).map(|_| occupy(&pool)).unzip();
        let (end_long, long) = mpsc::channel::<()>();
        let mut long = Some(long);
        let ended = Arc::new(Mutex::new(Vec::new()));
        // The first is long. Each of the others takes longer than what counts as short.
        let jobs: Vec<_> = (0..200)
            .map(|n| {
                let (long, ended) = (long.take(), ended.clone());
                pool.spawn_blocking(move || match long {
                    Some(long) => long.recv().unwrap(),
                    None => {
                        thread::sleep(Duration::from_micros(200));
                        ended.lock().unwrap().push(n);
                    }
                })
            })
            .collect();
        thread::sleep(ms(1)); // The two that are occupied have taken long, too.
        for open in gates {
            open.send(()).unwrap();
        }
        for thread in busy {
            thread.join();
        }
        until(|| ended.lock().unwrap().len() == 199); // all of them, beside the long one
        assert!(ended.lock().unwrap().is_sorted(), "{ended:?}");
        end_long.send(()).unwrap();
        for job in jobs {
            job.join();
        }
    });
}

fn cores() -> usize {
    thread::available_parallelism().map_or(2, |cores| cores.get().max(2))
}

// Decision 18
#[test]
fn jobs_that_compute_for_long_get_twice_as_many_threads_as_there_are_processors() {
    watched(|| {
        // If the watcher left them waiting it would be for three seconds each time, which the watchdog doesn't.
        for _ in 0..20 {
            let pool = Pool::builder().build();
            let begun = Arc::new(AtomicUsize::new(0));
            let jobs: Vec<_> = (0..2 * cores())
                .map(|_| {
                    let begun = begun.clone();
                    pool.spawn_blocking(move || {
                        begun.fetch_add(1, SeqCst);
                        while begun.load(SeqCst) < 2 * cores() {
                            std::hint::spin_loop();
                        }
                    })
                })
                .collect();
            jobs.into_iter().for_each(|job| job.join());
        }
    });
}

// Decision 18
#[test]
fn a_lone_call_beside_as_many_computing_jobs_as_they_may_be_is_not_left_to_the_watcher() {
    watched(|| {
        let pool = Pool::builder().keep_alive(HOUR).build();
        let stop = Arc::new(AtomicBool::new(false));
        let computing: Vec<_> = (0..2 * cores())
            .map(|_| {
                let (begun, has_begun) = mpsc::channel();
                let stop = stop.clone();
                let job = pool.spawn_blocking(move || {
                    begun.send(()).unwrap();
                    while !stop.load(SeqCst) {
                        std::hint::spin_loop();
                    }
                });
                has_begun.recv().unwrap();
                job
            })
            .collect();
        // The watcher would let a second pass before each.
        for _ in 0..40 {
            pool.spawn_blocking(|| ()).join();
            until(|| pool.stats().idle == 1);
        }
        stop.store(true, SeqCst);
        computing.into_iter().for_each(|job| job.join());
    });
}

/// How often this thread has slept.
#[cfg(target_os = "linux")]
fn sleeps() -> usize {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let mut lines = status.lines();
    let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    count.unwrap().trim().parse().unwrap()
}

// Decision 18: a watcher sleeps twice more before it runs the job
#[cfg(target_os = "linux")]
#[test]
fn a_lone_call_beside_many_blocked_jobs_is_not_left_to_the_watcher() {
    const CALLS: usize = 100;
    watched(|| {
        let pool = Pool::builder()
            .keep_alive(HOUR)
            .spin_time(Duration::ZERO)
            .build();
        let blocked: Vec<_> = (0..4 * cores() + 20).map(|_| occupy(&pool)).collect();
        let call = || {
            let slept = pool.spawn_blocking(|| (me(), sleeps())).join();
            until(|| {
                let stats = pool.stats();
                stats.idle == stats.threads - blocked.len()
            });
            slept
        };
        for _ in 0..10 {
            call();
        }
        let (mut last, mut all) = (HashMap::new(), 0);
        for _ in 0..CALLS {
            let (thread, count) = call();
            all += count - last.insert(thread, count).unwrap_or(count);
        }
        assert!(all < 2 * CALLS, "slept {all} times in {CALLS} calls");
        for (open, job) in blocked {
            open.send(()).unwrap();
            job.join();
        }
    });
}
