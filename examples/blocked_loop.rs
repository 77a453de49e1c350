//! What `asyncify` is for: a blocking call made directly stops everything else on the event loop. And `on_blocked`, which
//! tells the line that spawned what blocks, while it does.
//!
//!     cargo run --example blocked_loop
//!
//! The same for any program, without a change: FOOTBRIDGE_BLOCKED=100ms cargo run

use footbridge::{EventLoop, asyncify, spawn, time};
use std::{cell::Cell, rc::Rc, thread, time::Duration};

const WORK: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(10);
const TICKS: u32 = 5;

/// How often a ticker that runs beside `work` gets to tick before `work` is done.
async fn ticks_during<T>(work: impl Future<Output = T>) -> u32 {
    let ticks = Rc::new(Cell::new(0));
    let counter = ticks.clone();
    // A task stays on its loop's thread, so it may hold an `Rc`. Dropping the handle lets it run on.
    drop(spawn(async move {
        while counter.get() < TICKS {
            time::sleep(TICK).await;
            counter.set(counter.get() + 1);
        }
    }));
    work.await;
    ticks.get()
}

fn main() {
    let mut event_loop = EventLoop::builder()
        .on_blocked(Duration::from_millis(100), |blocked| println!("{blocked}"))
        .build();
    event_loop.run_until(async {
        // Broken: the thread that sleeps here is the one that runs the ticker. This line is told.
        let ticks = ticks_during(spawn(async { thread::sleep(WORK) })).await;
        println!("thread::sleep: {ticks} of {TICKS} ticks");

        // The same work on a worker thread.
        let ticks = ticks_during(asyncify(thread::sleep)(WORK)).await;
        println!("asyncify(thread::sleep): {ticks} of {TICKS} ticks");
    });
}
