//! How the stages show what fails: a hang by a clock, a race by loom.

use std::fmt;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

/// Runs `program` on a thread of its own. Returns whether it hasn't ended in a while; that thread is then left alone.
pub fn hangs<T: Send + 'static>(program: impl FnOnce() -> T + Send + 'static) -> bool {
    match start(program).recv_timeout(Duration::from_secs(1)) {
        Ok(_) => false,
        Err(RecvTimeoutError::Timeout) => true,
        Err(RecvTimeoutError::Disconnected) => panic!("it panicked, which is not a hang"),
    }
}

/// Runs `program` on a thread of its own, and expects it to end.
pub fn ends<T: Send + 'static>(program: impl FnOnce() -> T + Send + 'static) -> T {
    let patience = Duration::from_secs(30);
    start(program).recv_timeout(patience).expect("it ends")
}

fn start<T: Send + 'static>(program: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(program()));
    told
}

/// What loom found.
pub struct Explored {
    orders: usize,
    failure: Option<String>,
}

/// Runs `program` in each order of its steps that loom can tell apart, until it fails.
pub fn explore(program: impl Fn() + Send + Sync + 'static) -> Explored {
    let orders = Arc::new(AtomicUsize::new(0));
    let count = orders.clone();
    let model = move || {
        count.fetch_add(1, Ordering::Relaxed);
        program();
    };
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ())); // A failure is shown by its text.
    let explored = catch_unwind(AssertUnwindSafe(|| loom::model(model)));
    panic::set_hook(hook);
    let failure = explored
        .err()
        .map(|payload| match payload.downcast::<String>() {
            Ok(text) => text
                .split([';', '\n'])
                .next()
                .unwrap_or_default()
                .to_string(),
            Err(payload) => payload
                .downcast::<&str>()
                .map_or_else(|_| "a panic".into(), |text| text.to_string()),
        });
    Explored {
        orders: orders.load(Ordering::Relaxed),
        failure,
    }
}

impl fmt::Display for Explored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Some(failure) => write!(f, "loom finds \"{failure}\" in order {}", self.orders),
            None => write!(
                f,
                "loom finds nothing in {} orders, which are all",
                self.orders
            ),
        }
    }
}
