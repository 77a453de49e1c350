//! Blocking code stops the whole loop, since all tasks share its thread. So it goes to another thread, a *worker*, as a
//! *job*: a closure. The cell of stage 3 brings the result back. Its waker may be called on any thread.
//!
//! The rule: no job of a user's takes the worker along. A job that panics drops its half of the cell, and so answers.

use super::inbox::run;
use super::join::{AlwaysAnswers, JoinHandle, cell, spawn};
use super::timers::sleep;
use crate::watchdog::ends;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

pub type Job = Box<dyn FnOnce() + Send>;

/// A job that calls `f`, and a handle to the result.
pub fn new_job<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> (Job, JoinHandle<R>) {
    let (answer, handle) = cell();
    let answer = AlwaysAnswers(answer);
    (Box::new(move || answer.give(f())), handle)
}

pub fn run_job(job: Job) {
    let _ = catch_unwind(AssertUnwindSafe(job));
}

static WORKER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (sender, jobs) = mpsc::channel();
    thread::spawn(move || jobs.into_iter().for_each(run_job));
    sender
});

fn spawn_blocking<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    let (job, handle) = new_job(f);
    WORKER.send(job).unwrap();
    handle
}

/// What a call of an async function gives, where its type has to be named.
pub type Call<R> = Pin<Box<dyn Future<Output = R>>>;

/// From a blocking function to an async one. It is submitted when the call is first polled: an async function runs
/// nothing before.
pub fn asyncify<A, R, F>(f: F) -> impl Fn(A) -> Call<R>
where
    A: Send + 'static,
    R: Send + 'static,
    F: Fn(A) -> R + Clone + Send + 'static,
{
    move |argument| {
        let f = f.clone();
        Box::pin(async move {
            spawn_blocking(move || f(argument))
                .await
                .expect("the job panicked")
        })
    }
}

// What fails without it, and no longer fails with it.

/// Blocks until there were five ticks, or until the time is up.
fn wait_for_five((ticks, patience): (Arc<AtomicUsize>, Duration)) -> usize {
    let start = Instant::now();
    while ticks.load(SeqCst) < 5 && start.elapsed() < patience {
        thread::sleep(Duration::from_millis(1));
    }
    ticks.load(SeqCst)
}

/// Calls `code` beside a task that ticks every millisecond.
fn beside_a_ticker<F: Future>(code: impl FnOnce(Arc<AtomicUsize>) -> F) -> F::Output {
    run(async {
        let ticks = Arc::new(AtomicUsize::new(0));
        let ticker = ticks.clone();
        spawn(async move {
            for _ in 0..5 {
                sleep(Duration::from_millis(1)).await;
                ticker.fetch_add(1, SeqCst);
            }
        });
        code(ticks).await
    })
}

pub fn main() {
    let direct = async |ticks| wait_for_five((ticks, Duration::from_millis(100)));
    println!("called directly: {} of 5 ticks", beside_a_ticker(direct));
    let patience = Duration::from_secs(30);
    let on_a_worker = move |ticks| asyncify(wait_for_five)((ticks, patience));
    println!(
        "on a worker: {} of 5 ticks",
        ends(move || beside_a_ticker(on_a_worker))
    );
}

// For real: `src/bridge/asyncify.rs` and `src/bridge/job.rs`. They add up to eight arguments, the panic's own payload, and
// all of a job in one allocation.
