//! A program of threads with something async in it: a loop on a thread of its own, which all threads share.
//!
//!     cargo run --example portal

use footbridge::{Portal, time::sleep};
use std::{cell::RefCell, collections::HashMap, sync::LazyLock, thread, time::Duration};

/// Started by the first thread that needs it.
static PORTAL: LazyLock<Portal> = LazyLock::new(|| Portal::start().expect("a thread"));

thread_local! {
    /// On the portal's thread: shared by all calls, and never locked.
    static PRICES: RefCell<HashMap<&'static str, u32>> = RefCell::default();
}

async fn price(of: &'static str) -> u32 {
    if let Some(price) = PRICES.with_borrow(|prices| prices.get(of).copied()) {
        return price;
    }
    println!("{of}: asked for");
    sleep(Duration::from_millis(10)).await; // a request
    let price = of.len() as u32;
    PRICES.with_borrow_mut(|prices| prices.insert(of, price));
    price
}

fn main() {
    for _ in 0..2 {
        let threads = ["tea", "coffee"].map(|of| {
            thread::sleep(Duration::from_millis(5)); // so that the output is always the same
            thread::spawn(move || PORTAL.handle().block_on(move || price(of)))
        });
        println!(
            "{:?}",
            threads.map(|thread| thread.join().unwrap().unwrap())
        );
    }
    // A program may also end without it: the portal's thread keeps no process alive.
    let endless = PORTAL.handle().spawn(|| sleep(Duration::MAX));
    println!("{}", PORTAL.stop(Duration::from_millis(10)).unwrap_err());
    assert!(endless.join().unwrap_err().is_cancelled());
}
