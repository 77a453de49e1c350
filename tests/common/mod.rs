//! What the tests share: a watchdog, ways to wait without sleeping, and witnesses of drops and panics.
#![allow(dead_code, reason = "each test file uses its own part of this one")]

use std::any::Any;
use std::cell::RefCell;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, Once};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread, ThreadId};
use std::time::Duration;

/// For how long a test may take before it counts as hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test's body on a thread of its own. If it hangs, the test fails and doesn't hang with it.
pub fn watched<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, finished) = mpsc::channel();
    let name = thread::current().name().unwrap_or("a test").to_owned();
    thread::Builder::new()
        .name(name)
        .spawn(move || done.send(catch_unwind(AssertUnwindSafe(body))))
        .unwrap();
    match finished.recv_timeout(PATIENCE) {
        Ok(Ok(value)) => value,
        Ok(Err(payload)) => resume_unwind(payload),
        Err(_) => panic!("the test hangs: it has not ended in {PATIENCE:?}"),
    }
}

/// This thread.
pub fn me() -> ThreadId {
    thread::current().id()
}

pub const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Looks again and again until it is so. The watchdog sees to it that this ends.
pub fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        thread::sleep(ms(1));
    }
}

/// The same for async code: the loop turns meanwhile.
pub async fn until_set(flag: &AtomicBool) {
    while !flag.load(SeqCst) {
        footbridge::yield_now().await;
    }
}

/// Tells which thread dropped it.
pub struct Guard(pub Sender<ThreadId>);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.send(me());
    }
}

/// Panics where it is dropped, unless its thread panics already.
pub struct Grenade;

impl Drop for Grenade {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("a panic in a destructor");
        }
    }
}

/// Runs `code`, which has to panic, and gives what it threw.
pub fn thrown_by<T>(code: impl FnOnce() -> T) -> Box<dyn Any + Send> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(_) => panic!("this was to panic, and didn't"),
        Err(payload) => payload,
    }
}

/// Runs `code`, which has to panic, and gives the text of the panic.
pub fn panic_of<T>(code: impl FnOnce() -> T) -> String {
    text_of(&*thrown_by(code))
}

pub fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| panic!("the panic has no text"))
}

/// Whether the panic hook has reported a panic of this text in this process. The first call installs
/// the hook that remembers, so call it before the panic too.
pub fn was_reported(text: &str) -> bool {
    static REPORTED: Mutex<Vec<String>> = Mutex::new(Vec::new());
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            REPORTED.lock().unwrap().push(info.to_string());
            before(info);
        }));
    });
    let reported = REPORTED.lock().unwrap();
    reported.iter().any(|report| report.contains(text))
}

/// An executor that isn't footbridge's: polls on this thread, and parks it.
pub fn foreign_block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// Polls a future once, with a waker that does nothing.
pub fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that panics when it is called.
pub fn panicking_waker() -> Waker {
    struct Panicking;
    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            panic!("a panic in a waker");
        }
    }
    Waker::from(Arc::new(Panicking))
}

/// Pushes its name where it is dropped.
pub struct Logs<'a>(pub &'a RefCell<Vec<&'static str>>, pub &'static str);

impl Drop for Logs<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().push(self.1);
    }
}

/// Waits `n` times for its turn.
pub async fn turns(n: usize) {
    for _ in 0..n {
        footbridge::yield_now().await;
    }
}
