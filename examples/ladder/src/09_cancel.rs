//! To drop a future is to cancel it. A call whose future is dropped has no caller any more. A job that hasn't begun isn't
//! run then. One that runs can't be stopped, but it can ask. And one that waits in `syncify` has to be told: what it
//! waits for may never come, now that nobody wants it.
//!
//! The rule: that the caller has gone, and what is to be woken when it goes, are under one lock.

use super::inbox::run;
use super::join::JoinHandle;
use super::parker::yield_now;
use super::pool::Pool;
use super::syncify::{SyncifyError, at_home, call_home};
use super::worker::{Job, new_job};
use crate::watchdog::{ends, hangs};
use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};

/// What a job knows of its caller.
#[derive(Clone, Default)]
pub struct Caller(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_gone: bool,
    waker: Option<Waker>,
}

impl Caller {
    fn leave(&self) {
        let mut state = self.0.lock().unwrap();
        state.is_gone = true;
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn is_gone(&self) -> bool {
        self.0.lock().unwrap().is_gone
    }

    /// Ready when the caller has gone.
    fn poll_gone(&self, context: &mut Context<'_>) -> Poll<()> {
        let waker = context.waker().clone();
        let mut state = self.0.lock().unwrap();
        if state.is_gone {
            return Poll::Ready(());
        }
        let _last = state.waker.replace(waker); // It is dropped when the lock is free.
        drop(state);
        Poll::Pending
    }

    /// Polls `future` until it is ready, or until the caller has gone. Then the future is dropped, here on its loop.
    async fn unless_gone<F: Future>(self, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let poll = |context: &mut Context<'_>| match self.poll_gone(context) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => future.as_mut().poll(context).map(Some),
        };
        poll_fn(poll).await
    }
}

thread_local!(static CALLER: RefCell<Caller> = RefCell::default());

/// Whether the caller of the job that runs on this thread has gone.
pub fn check_cancelled() -> Result<(), SyncifyError> {
    let is_gone = CALLER.with_borrow(Caller::is_gone);
    if is_gone {
        Err(SyncifyError::Cancelled)
    } else {
        Ok(())
    }
}

/// The caller's side of a job.
pub struct BlockingTask<R> {
    handle: JoinHandle<Option<R>>,
    caller: Caller,
}

impl<R> Future for BlockingTask<R> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let polled = Pin::new(&mut self.handle).poll(context);
        polled.map(|result| result.ok().flatten().expect("the job panicked"))
    }
}

impl<R> Drop for BlockingTask<R> {
    fn drop(&mut self) {
        self.caller.leave();
    }
}

/// A job that is to run on `pool`, and its caller's side.
pub fn job_for<R: Send + 'static>(
    pool: &Arc<Pool>,
    f: impl FnOnce() -> R + Send + 'static,
) -> (Job, BlockingTask<R>) {
    let caller = Caller::default();
    let own = caller.clone();
    let f = at_home(pool.clone(), f);
    let (job, handle) = new_job(move || {
        CALLER.set(own);
        check_cancelled().ok().map(|()| f())
    });
    (job, BlockingTask { handle, caller })
}

/// That of stage 8, which ends when the caller goes.
pub fn syncify<A, F, T>(
    function: impl Fn(A) -> F + Clone + Send + 'static,
) -> impl Fn(A) -> Result<T, SyncifyError>
where
    A: Send + 'static,
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    move |argument| {
        check_cancelled()?;
        let (function, caller) = (function.clone(), CALLER.with_borrow(Clone::clone));
        let result = call_home(move || caller.unless_gone(function(argument)))?;
        result.ok_or(SyncifyError::Cancelled)
    }
}

// What fails without it, and no longer fails with it.

type Begin = mpsc::Sender<()>;

/// Says that it has begun, and never ends.
async fn begins(begin: Begin) {
    begin.send(()).unwrap();
    pending().await
}

/// Waits on a loop for what another thread sends.
async fn received<T>(receiver: mpsc::Receiver<T>) -> T {
    loop {
        match receiver.try_recv() {
            Ok(value) => return value,
            Err(_) => yield_now().await,
        }
    }
}

/// A job waits for that function, and its caller goes.
fn goes_away(wait: fn(Begin) -> Result<(), SyncifyError>) -> Result<(), SyncifyError> {
    run(async {
        let (tell, told) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let pool = Pool::new(1);
        let (job, task) = job_for(&pool, move || tell.send(wait(begin)));
        pool.submit(job);
        received(begun).await;
        drop(task);
        received(told).await
    })
}

pub fn main() {
    let hung = hangs(|| goes_away(|begin| call_home(move || begins(begin))));
    println!("the caller goes, and the job waits for what never comes: hangs = {hung}");
    let answer = ends(|| goes_away(|begin| syncify(begins)(begin)));
    println!("the job is told: {answer:?}");
}

// For real: `src/bridge/call_state.rs`, `src/bridge/cancel.rs` and `src/bridge/blocking_task.rs`. A job that is
// cancelled in the queue drops its function there and then, and not when a worker comes to it. `asyncify` over
// `BlockingTask` is in `small.rs`.
