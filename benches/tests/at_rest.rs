//! How many bytes of the allocator's a program holds that has us inside and does nothing. `docs/embedding.md` has the bounds.
//!
//! `cargo test --release -p benches --test at_rest` prints them. A thread's stack isn't the allocator's.

use benches::bytes;
use footbridge::{EventLoop, Pool, Portal, run};
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: bytes::Counting = bytes::Counting;

/// Prints what `make` makes holds, which has to be at most `most`.
fn holds<T>(what: &str, most: isize, make: impl FnOnce() -> T) -> T {
    let before = bytes::live();
    let made = make();
    let bytes = bytes::live() - before;
    println!("{what}: {bytes} bytes");
    assert!(bytes <= most, "{what}: {bytes} bytes, of at most {most}");
    made
}

fn main() {
    bytes::count();
    run(async {}); // what this thread keeps for good
    let event_loop = holds("a loop", 1024, EventLoop::new);
    let handle = holds("a handle", 0, || event_loop.handle());
    drop((handle, event_loop));

    let make = || Pool::builder().keep_alive(Duration::MAX).build();
    let pool = holds("a pool without a thread", 8 << 10, make);
    holds("an idle thread, and its pool's queues", 8 << 10, || {
        pool.spawn_blocking(|| ()).join();
    });
    pool.shutdown(Duration::from_secs(30)).unwrap();
    let portal = holds("a portal", 8 << 10, || Portal::start().unwrap());
    portal.stop(Duration::from_secs(30)).unwrap();
}
