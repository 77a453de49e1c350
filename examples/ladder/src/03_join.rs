//! A handle to wait for a task's result. Between the two is a *cell*: the task leaves the result there, and wakes what
//! waits for it.
//!
//! The rule: every wait is answered. A task may also end without a result: it panics, or its loop ends first. In any case
//! its future is dropped. So what the future holds of the cell answers when it is dropped.

use super::line::{self, Executor};
use super::parker::Parker;
use super::world::Mutex;
use crate::watchdog::{ends, hangs};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// There is no result, and there won't be one.
#[derive(Debug)]
pub struct Gone;

enum Outcome<T> {
    Pending(Option<Waker>),
    Done(Result<T, Gone>),
    Taken,
}

/// What the task has of the cell.
pub struct Answer<T>(Arc<Mutex<Outcome<T>>>);

/// What waits has the other half.
pub struct JoinHandle<T>(Arc<Mutex<Outcome<T>>>);

pub fn cell<T>() -> (Answer<T>, JoinHandle<T>) {
    let cell = Arc::new(Mutex::new(Outcome::Pending(None)));
    (Answer(cell.clone()), JoinHandle(cell))
}

impl<T> Answer<T> {
    /// The first answer stays.
    fn give(&self, result: Result<T, Gone>) {
        let mut cell = self.0.lock().unwrap();
        if let Outcome::Pending(waker) = &mut *cell {
            let waker = waker.take();
            *cell = Outcome::Done(result);
            drop(cell); // A waker is code of other people's. It isn't called under a lock.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// Answers when it is dropped, if it hasn't before.
pub struct AlwaysAnswers<T>(pub Answer<T>);

impl<T> AlwaysAnswers<T> {
    pub fn give(self, value: T) {
        self.0.give(Ok(value));
    }
}

impl<T> Drop for AlwaysAnswers<T> {
    fn drop(&mut self) {
        self.0.give(Err(Gone));
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, Gone>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = context.waker().clone();
        let mut cell = self.0.lock().unwrap();
        let outcome = std::mem::replace(&mut *cell, Outcome::Taken);
        if let Outcome::Pending(_) = &outcome {
            *cell = Outcome::Pending(Some(waker));
        }
        drop(cell); // To drop the last poll's waker may be code of other people's, too.
        match outcome {
            Outcome::Done(result) => Poll::Ready(result),
            Outcome::Pending(_) => Poll::Pending,
            Outcome::Taken => panic!("polled after it was ready"),
        }
    }
}

pub fn spawn<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    let (answer, handle) = cell();
    let answer = AlwaysAnswers(answer);
    line::spawn(async move { answer.give(future.await) });
    handle
}

// What fails without it, and no longer fails with it.

/// What one writes first. If `future` panics, the last statement isn't reached.
fn spawn_hopefully<T: 'static>(future: impl Future<Output = T> + 'static) -> JoinHandle<T> {
    let (answer, handle) = cell();
    line::spawn(async move { answer.give(Ok(future.await)) });
    handle
}

fn run<F: Future>(main: F) -> F::Output {
    let executor = Rc::<Executor>::default();
    line::run_with(VecDeque::pop_front, &executor, || (), Parker::park, main)
}

pub fn main() {
    let hung = hangs(|| run(async { spawn_hopefully(async { panic!() }).await }));
    println!("a task panics, and its last statement was to answer: hangs = {hung}");
    let result = ends(|| run(async { spawn(async { panic!() }).await }));
    println!("it answers when it is dropped: {result:?}");
}

// For real: `src/event_loop/join_cell.rs`. It adds the panic's payload, and `abort`. For handles on the loop's own thread
// `src/event_loop/joins.rs` does without the lock.
