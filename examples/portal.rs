//! A program of threads with something async in it: a loop on a thread of its own, which all threads share.
//!
//!     cargo run --example portal

use footbridge::{Limiter, Portal, time::sleep};
use std::cell::{Cell, RefCell};
use std::{collections::HashMap, rc::Rc, sync::LazyLock, thread, time::Duration};

/// Started by the first thread that needs it.
static PORTAL: LazyLock<Portal> = LazyLock::new(|| Portal::start().expect("a thread"));

thread_local! {
    /// On the portal's thread: shared by all calls, and never locked.
    static PRICES: RefCell<HashMap<&'static str, Rc<Slot>>> = RefCell::default();
}

/// A price that is there, or is being asked for by the call that holds the one token. If that call is dropped, the next one
/// in line asks.
struct Slot {
    price: Cell<Option<u32>>,
    asking: Limiter,
}

impl Slot {
    fn new() -> Rc<Self> {
        Rc::new(Self {
            price: Cell::new(None),
            asking: Limiter::new(1),
        })
    }
}

async fn price(of: &'static str) -> u32 {
    let slot = PRICES.with_borrow_mut(|prices| prices.entry(of).or_insert_with(Slot::new).clone());
    let _token = slot.asking.acquire().await;
    if let Some(price) = slot.price.get() {
        return price;
    }
    println!("{of}: asked for");
    sleep(Duration::from_millis(10)).await; // a request
    let price = of.len() as u32;
    slot.price.set(Some(price));
    price
}

fn main() {
    for _ in 0..2 {
        let threads = ["tea", "tea", "coffee"].map(|of| {
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
