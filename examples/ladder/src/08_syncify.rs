//! The way back: a job calls an async function, and that runs on the loop that the job came from. The job posts a
//! closure that makes the future, and waits for the cell.
//!
//! The rule: a worker that waits has given up its place in the pool. What it waits for may need that place. When the
//! wait is over it doesn't wait for a place again: the next worker that looks for a job and finds one too many goes.

use super::inbox::{Handle, run};
use super::join::{Gone, JoinHandle};
use super::parker::{Parker, block_on};
use super::pool::Pool;
use crate::watchdog::{ends, hangs};
use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// Where a job comes from: the loop that submitted it, and the pool that it runs on.
#[derive(Clone)]
pub struct Home {
    handle: Handle,
    pool: Arc<Pool>,
}

thread_local!(static HOME: RefCell<Option<Home>> = const { RefCell::new(None) });

/// `f`, which knows its home when it runs. A job of a job has the same home.
pub fn at_home<R>(pool: Arc<Pool>, f: impl FnOnce() -> R) -> impl FnOnce() -> R {
    let outer = || HOME.with_borrow(|home| Some(home.as_ref()?.handle.clone()));
    let home = Handle::try_current()
        .or_else(outer)
        .map(|handle| Home { handle, pool });
    move || {
        HOME.set(home);
        f()
    }
}

#[derive(Debug)]
pub enum SyncifyError {
    /// The thread runs a loop itself, or no job of one.
    NoLoop,
    /// The loop has ended, or the function has panicked.
    Gone,
    Cancelled,
}

/// How a worker waits for a task on a loop.
type Wait<T> = fn(&Arc<Pool>, JoinHandle<T>) -> Result<T, Gone>;

fn without_place<T>(pool: &Arc<Pool>, handle: JoinHandle<T>) -> Result<T, Gone> {
    let mut state = pool.state.lock().unwrap();
    state.active -= 1;
    pool.wake_or_start(&mut state); // A job that is queued already may have the place.
    drop(state);
    let result = block_on(Parker::park, handle);
    pool.state.lock().unwrap().active += 1;
    result
}

/// Runs the future that `make` returns on the job's loop.
fn call_home_with<T, F>(
    wait: Wait<T>,
    make: impl FnOnce() -> F + Send + 'static,
) -> Result<T, SyncifyError>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    let home = HOME
        .with_borrow(Clone::clone)
        .filter(|_| Handle::try_current().is_none());
    let Home { handle, pool } = home.ok_or(SyncifyError::NoLoop)?;
    wait(&pool, handle.spawn(make)).map_err(|Gone| SyncifyError::Gone)
}

pub fn call_home<T, F>(make: impl FnOnce() -> F + Send + 'static) -> Result<T, SyncifyError>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    call_home_with(without_place, make)
}

/// From an async function to a blocking one, for jobs.
pub fn syncify<A, F, T>(
    function: impl Fn(A) -> F + Clone + Send + 'static,
) -> impl Fn(A) -> Result<T, SyncifyError>
where
    A: Send + 'static,
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    move |argument| {
        let function = function.clone();
        call_home(move || function(argument))
    }
}

// What fails without it, and no longer fails with it.

/// What one writes first.
fn in_its_place<T>(_: &Arc<Pool>, handle: JoinHandle<T>) -> Result<T, Gone> {
    block_on(Parker::park, handle)
}

/// A job submits a job, and calls an async function, which waits for that and submits another one.
async fn nested(pool: Arc<Pool>, wait: Wait<u32>) -> u32 {
    let inner = pool.clone();
    let outer = at_home(pool.clone(), move || {
        let queued = inner.spawn_blocking(|| 40);
        let make = move || async move {
            let queued = queued.await.unwrap();
            queued + inner.spawn_blocking(|| 2).await.unwrap()
        };
        call_home_with(wait, make).unwrap()
    });
    pool.spawn_blocking(outer).await.unwrap()
}

/// How many of a hundred jobs run at once.
async fn most_at_once(pool: Arc<Pool>) -> usize {
    let running = Arc::new(AtomicUsize::new(0));
    let jobs = [(); 100].map(|()| {
        let running = running.clone();
        pool.spawn_blocking(move || {
            let with_this = running.fetch_add(1, SeqCst) + 1;
            thread::sleep(Duration::from_micros(100));
            running.fetch_sub(1, SeqCst);
            with_this
        })
    });
    let mut most = 0;
    for job in jobs {
        most = most.max(job.await.unwrap());
    }
    most
}

pub fn main() {
    let hung = hangs(|| run(nested(Pool::new(1), in_its_place)));
    println!("a job in a job, on a pool of one, which waits in its place: hangs = {hung}");
    let pool = Pool::new(1);
    let same = pool.clone();
    let answer = ends(|| run(nested(same, without_place)));
    println!("which gives its place back: {answer}");
    let most = ends(|| run(most_at_once(pool)));
    println!("and takes it again: of a hundred jobs after that, {most} at once");
}

// For real: `src/pool/slot.rs` and `src/bridge/block_on.rs`. They add a bound for the workers that wait, an error for each
// way in which it can go wrong, and a temporary loop where there is none.
