//! An async function runs nothing when it is called. The call gives a *future*: a value that can be polled. A *poll*
//! runs it as far as it gets without waiting, and answers `Ready` or `Pending`. So something has to poll it. The
//! simplest that can be called an executor polls until it is ready.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

/// Polls `future` until it is ready. Returns its output, and how often it was polled.
pub fn block_on<F: Future>(future: F) -> (F::Output, u64) {
    let mut future = pin!(future); // It may point into itself, so from here on it doesn't move.
    let mut context = Context::from_waker(Waker::noop());
    let mut polls = 0;
    loop {
        polls += 1;
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return (output, polls);
        }
    }
}

// What fails without it, and no longer fails with it.

pub fn main() {
    // What fails: a call, and no poll.
    let mut ran = false;
    drop(async { ran = true });
    println!("called and not polled: ran = {ran}");

    // The change: a loop that polls.
    let future = async { ran = true };
    block_on(future);
    println!("polled: ran = {ran}");

    // And what it costs. Another thread has the answer after a while.
    let (answer, answers) = mpsc::channel();
    thread::spawn(move || {
        thread::sleep(Duration::from_millis(20));
        answer.send(42).unwrap();
    });
    let (answer, polls) = block_on(poll_fn(|_| match answers.try_recv() {
        Ok(answer) => Poll::Ready(answer),
        Err(_) => Poll::Pending,
    }));
    println!("the answer is {answer}, after {polls} polls");
}

// For real: `src/event_loop/turn.rs` (`EventLoop::enter`). It polls the same way, and doesn't spin: the next stages.
