//! Where `syncify` takes an async function: to the event loop that the job came from, and home again.
//!
//!     cargo run --example syncify

use footbridge::{asyncify, run, syncify};
use std::{cell::Cell, thread};

thread_local! {
    // Stands for whatever belongs to one thread: a window, a connection, an `Rc`.
    static VISITS: Cell<u32> = const { Cell::new(0) };
}

async fn count_visit() -> u32 {
    footbridge::yield_now().await;
    VISITS.set(VISITS.get() + 1);
    println!("  counted on thread {}", name());
    VISITS.get()
}

fn visit_twice() {
    println!("blocking code on thread {}", name());
    for _ in 0..2 {
        println!("visits: {:?}", syncify(count_visit)());
    }
}

fn name() -> String {
    thread::current().name().unwrap_or("?").to_string()
}

fn main() {
    run(async { asyncify(visit_twice)().await });

    // Where there is no loop to go to, it says so at once.
    println!("without a loop: {:?}", syncify(count_visit)());
}
