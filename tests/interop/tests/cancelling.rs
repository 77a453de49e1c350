//! Calls that are dropped or handed on while they are in other people's hands: by an executor's own way to cancel a
//! task, by `select!`, from thread to thread, in every state that a call can be in.

#[path = "../../common/mod.rs"]
mod common;
mod worlds;

use common::{Guard, me, ms, until, until_set, watched};
use footbridge::{
    Asyncify, BlockingTask, Limiter, Pool, Syncify, SyncifyError, asyncify, check_cancelled, run,
    spawn_blocking, yield_now,
};
use futures::channel::oneshot;
use futures::future::{Either, poll_fn, select};
use futures::task::{LocalSpawnExt, SpawnExt};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::thread;
use tokio::sync::watch;
use worlds::{current_thread, multi_thread, on_every_executor, pass_on};

// X8, decision 1
#[test]
fn each_executors_own_way_to_cancel_a_task_cancels_the_call_that_it_awaits() {
    /// A task that awaits a job, which answers whether it found itself cancelled.
    fn awaits_a_job() -> (impl Future<Output = ()> + Send, Job) {
        let begun = Arc::new(AtomicBool::new(false));
        let (answer, cancelled) = mpsc::channel();
        let has_begun = begun.clone();
        let call = asyncify(move || {
            begun.store(true, SeqCst);
            while check_cancelled().is_ok() {
                thread::yield_now();
            }
            answer.send(()).unwrap();
        });
        (
            async move { call().await },
            Job {
                has_begun,
                cancelled,
            },
        )
    }
    struct Job {
        has_begun: Arc<AtomicBool>,
        cancelled: mpsc::Receiver<()>,
    }

    watched(|| {
        let mut pool = futures::executor::LocalPool::new();
        let (task, job) = awaits_a_job();
        let handle = pool.spawner().spawn_local_with_handle(task).unwrap();
        pool.run_until(until_set(&job.has_begun));
        drop(handle);
        pool.run();
        job.cancelled.recv().unwrap();

        let (task, job) = awaits_a_job();
        pool.spawner().spawn_local(task).unwrap();
        pool.run_until(until_set(&job.has_begun));
        drop(pool);
        job.cancelled.recv().unwrap();
    });
    watched(|| {
        let pool = futures::executor::ThreadPool::new().unwrap();
        let (task, job) = awaits_a_job();
        let handle = pool.spawn_with_handle(task).unwrap();
        futures::executor::block_on(until_set(&job.has_begun));
        drop(handle);
        job.cancelled.recv().unwrap();
    });
    watched(|| {
        let (task, job) = awaits_a_job();
        let task = smol::spawn(task);
        smol::block_on(until_set(&job.has_begun));
        drop(task);
        job.cancelled.recv().unwrap();

        let (task, job) = awaits_a_job();
        let executor = async_executor::LocalExecutor::new();
        executor.spawn(task).detach();
        smol::block_on(executor.run(until_set(&job.has_begun)));
        drop(executor);
        job.cancelled.recv().unwrap();
    });
    watched(|| {
        for runtime in [current_thread(), multi_thread()] {
            let (task, job) = awaits_a_job();
            let task = runtime.spawn(task);
            runtime.block_on(until_set(&job.has_begun));
            task.abort();
            assert!(runtime.block_on(task).unwrap_err().is_cancelled());
            job.cancelled.recv().unwrap();

            let (task, job) = awaits_a_job();
            let late = runtime.block_on(async { tokio::time::timeout(ms(5), task).await.is_err() });
            assert!(late);
            // It may have been gone before it had begun: then it never answers.
            assert_eq!(job.cancelled.recv().is_ok(), job.has_begun.load(SeqCst));

            let (task, job) = awaits_a_job();
            runtime.spawn(task);
            runtime.block_on(until_set(&job.has_begun));
            runtime.shutdown_background();
            job.cancelled.recv().unwrap();
        }
    });
}

// X6, X9, S4, decision 12
#[test]
fn dropping_a_call_drops_the_async_function_on_the_jobs_temporary_loop_and_tells_the_job() {
    on_every_executor(|| async {
        let (drops, dropped) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let (begun, has_begun) = oneshot::channel();
        let call = spawn_blocking(move || {
            let waits = Syncify::new()
                .raise_sync_error(false)
                .wrap(async |guard: Guard, begun| {
                    let begun: oneshot::Sender<()> = begun;
                    begun.send(()).unwrap();
                    pending::<()>().await;
                    drop(guard);
                });
            let told = waits(Guard(drops), begun);
            // It finds out inside an executor of another make too.
            let nested = pollster::block_on(async { check_cancelled().is_err() });
            answer.send((told, nested, me())).unwrap();
        });
        let Either::Right((Ok(()), call)) = select(call, has_begun).await else {
            panic!("it waits for ever")
        };
        drop(call);
        let answered = spawn_blocking(move || answers.recv().unwrap());
        let (told, nested, worker) = answered.await;
        assert_eq!((told, nested), (Err(SyncifyError::Cancelled), true));
        assert_eq!(
            dropped.try_recv(),
            Ok(worker),
            "gone before the job was told"
        );
    });
}

/// Polls it once, as a part of this task.
async fn poll_here<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}

// A23, R12
#[test]
fn a_call_that_each_poll_finds_in_another_task_on_another_thread_gives_its_result_to_the_last() {
    watched(|| {
        let runtime = multi_thread();
        for _ in 0..100 {
            let (open, gate) = mpsc::channel::<()>();
            let mut call = asyncify(|gate: mpsc::Receiver<()>| gate.recv().is_err())(gate);
            for _ in 0..8 {
                call = handed_on(&runtime, call);
            }
            // It ends while it goes from hand to hand.
            let opener = thread::spawn(move || drop(open));
            let last = runtime.spawn(call);
            assert!(pass_on(runtime.block_on(last)));
            opener.join().unwrap();
        }
    });
}

/// Polled once by a task of the runtime's, which gives it back.
fn handed_on<T: Send + 'static>(
    runtime: &tokio::runtime::Runtime,
    mut call: BlockingTask<T>,
) -> BlockingTask<T> {
    let task = runtime.spawn(async move {
        let polled = poll_here(&mut call).await;
        assert!(polled.is_pending());
        (call,)
    });
    pass_on(runtime.block_on(task)).0
}

// A23
#[test]
fn calls_move_between_a_loop_of_ours_a_tokio_runtime_and_a_waiting_thread() {
    watched(|| {
        let runtime = multi_thread();
        for n in 0..200u32 {
            let (open, gate) = mpsc::channel::<()>();
            let mut call = spawn_blocking(move || {
                gate.recv().unwrap_err();
                n
            });
            assert!(run(poll_here(&mut call)).is_pending());
            let call = handed_on(&runtime, call);
            let opener = thread::spawn(move || drop(open));
            let result = match n % 3 {
                0 => call.join(),
                1 => run(call),
                _ => runtime.block_on(call),
            };
            assert_eq!(result, n);
            opener.join().unwrap();
        }
    });
}

/// A small generator of numbers that look random: the same ones for the same seed.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// How far a function has come.
const BEGUN: usize = 1;
const ENDED: usize = 2;

/// When a call is dropped, if it isn't awaited to its end.
#[derive(Clone, Copy, Debug)]
enum Patience {
    /// For so many turns of the others: it is queued, or in line for a token, or gets further.
    Turns(u64),
    /// Until the function has come so far.
    Until(usize),
    ForEver,
}

impl Patience {
    async fn is_over(self, mut progress: watch::Receiver<usize>) {
        match self {
            Self::Turns(turns) => {
                for _ in 0..turns {
                    yield_now().await;
                }
            }
            Self::Until(far) => drop(progress.wait_for(|reached| *reached >= far).await),
            Self::ForEver => pending().await,
        }
    }
}

// X1, X2, X5, L16, U1, U3, A23, decision 2
#[test]
fn calls_dropped_by_select_in_any_state_run_wholly_or_not_at_all_and_leave_nothing_behind() {
    const CALLS: usize = 400;
    for seed in [1, 20, 300, 4_000] {
        println!("seed {seed}");
        watched(move || {
            let pool = Pool::builder().max_threads(3).build();
            let limiter = Limiter::new(2);
            let (drops, dropped) = mpsc::channel();
            let runtime = multi_thread();
            let mut dice = Dice(seed);
            let tasks: Vec<_> = (0..CALLS)
                .map(|_| {
                    let (progress, seen) = watch::channel(0);
                    let turns = dice.throw(5);
                    let work = move |guard: Guard| {
                        progress.send_replace(BEGUN);
                        for _ in 0..turns {
                            thread::yield_now();
                        }
                        progress.send_replace(ENDED);
                        drop(guard);
                    };
                    let asyncify = Asyncify::new().pool(&pool);
                    let asyncify = match dice.throw(2) {
                        0 => asyncify,
                        _ => asyncify.limiter(&limiter),
                    };
                    let call = asyncify.wrap(work)(Guard(drops.clone()));
                    let patience = match dice.throw(4) {
                        0 => Patience::Turns(dice.throw(10)),
                        1 => Patience::Until(BEGUN),
                        2 => Patience::Until(ENDED),
                        _ => Patience::ForEver,
                    };
                    let task = runtime.spawn({
                        let seen = seen.clone();
                        async move {
                            tokio::select! {
                                biased;
                                () = patience.is_over(seen.clone()) => (),
                                () = call => assert_eq!(*seen.borrow(), ENDED),
                            }
                        }
                    });
                    (task, patience, seen)
                })
                .collect();
            drop(drops);
            let mut not_run = 0;
            let calls: Vec<_> = tasks
                .into_iter()
                .map(|(task, patience, progress)| {
                    pass_on(runtime.block_on(task));
                    (patience, progress)
                })
                .collect();
            // Ends when every guard is gone, with what ran on after it was dropped.
            assert_eq!(dropped.iter().count(), CALLS);
            for (patience, progress) in calls {
                match (patience, *progress.borrow()) {
                    (_, ENDED) => {}
                    (Patience::Turns(_), 0) => not_run += 1,
                    (_, progress) => panic!("{patience:?}, and came as far as {progress}"),
                }
            }
            assert!(not_run > 0, "some were dropped before they had begun");
            until(|| limiter.borrowed_tokens() == 0);
            assert_eq!(pool.spawn_blocking(|| 7).join(), 7);
            pool.shutdown(ms(20_000)).unwrap();
        });
    }
}

// X1, X13
#[test]
fn a_call_may_be_dropped_in_the_thread_local_of_another_executors_thread() {
    thread_local!(static KEPT: std::cell::RefCell<Vec<BlockingTask<()>>> = const { std::cell::RefCell::new(Vec::new()) });
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (open, gate) = mpsc::channel::<()>();
        let (drops, dropped) = mpsc::channel();
        let (begun, has_begun) = mpsc::channel();
        let (answer, cancelled) = mpsc::channel();
        let runtime = multi_thread();
        let task = runtime.spawn({
            let pool = pool.clone();
            async move {
                let mut running = pool.spawn_blocking(move || {
                    begun.send(()).unwrap();
                    gate.recv().unwrap_err();
                    answer.send(check_cancelled().is_err()).unwrap();
                });
                assert!(poll_here(&mut running).await.is_pending());
                let guard = Guard(drops);
                let queued = pool.spawn_blocking(move || drop(guard));
                KEPT.with(|kept| kept.borrow_mut().extend([running, queued]));
                me()
            }
        });
        has_begun.recv().unwrap();
        let there = pass_on(runtime.block_on(task));
        // Its threads end, and their thread-locals with them.
        drop(runtime);
        assert_eq!(
            dropped.recv(),
            Ok(there),
            "dropped unrun, where it was kept"
        );
        drop(open);
        assert_eq!(cancelled.recv(), Ok(true));
    });
}
