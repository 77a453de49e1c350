//! What goes along with a call: a request's id, and the span of a library that knows nothing of this crate.
//!
//!     cargo run --example context

use footbridge::context::Context;
use footbridge::{asyncify, run, spawn, syncify};
use std::thread;

/// A stand-in for `tracing`: a thread has a current span, and another thread has another one.
mod spans {
    use std::cell::RefCell;

    thread_local!(static CURRENT: RefCell<String> = const { RefCell::new(String::new()) });

    pub fn current() -> String {
        CURRENT.with_borrow(Clone::clone)
    }

    pub fn within<T>(span: String, code: impl FnOnce() -> T) -> T {
        let before = CURRENT.replace(span);
        let result = code();
        CURRENT.set(before);
        result
    }
}

struct RequestId(u32);

fn log(what: &str) {
    let request = match Context::current().get::<RequestId>() {
        Some(id) => format!("request {}", id.0),
        None => "no request".to_owned(),
    };
    let (span, thread) = (spans::current(), thread::current());
    println!(
        "{request}, in {span}: {what} on thread {}",
        thread.name().unwrap_or("?")
    );
}

fn query() {
    log("a job");
    let answer = || syncify(async || log("on the loop,"))();
    spans::within(spans::current() + " > query", answer).unwrap();
}

async fn handle_request() {
    log("a task");
    asyncify(query)().await;
}

fn main() {
    // Named once. At each hop the current span is captured, and is current where the call or the task runs.
    let context = Context::default().carry(|| {
        let span = spans::current();
        move |step: &mut dyn FnMut()| spans::within(span.clone(), step)
    });
    let accept = async {
        for id in 1..=2 {
            let request = Context::current().with(RequestId(id));
            let spawned = || request.run(|| spawn(handle_request()));
            spans::within("accept > handle".into(), spawned)
                .await
                .unwrap();
        }
        log("afterwards");
    };
    spans::within("accept".into(), || context.run(|| run(accept)));
}
