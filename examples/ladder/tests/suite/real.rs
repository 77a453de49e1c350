//! The crate.

use footbridge::time::sleep;
use footbridge::{
    Handle, Limiter, Pool, asyncify, check_cancelled, run, scope, spawn, syncify, yield_now,
};

type SharedPool = Pool;

fn pool_of(max_threads: usize) -> SharedPool {
    Pool::builder().max_threads(max_threads).build()
}

#[path = "promises.rs"]
mod promises;
