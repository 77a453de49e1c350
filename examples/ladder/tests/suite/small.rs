//! The last stage of the ladder.

use ladder::small::{
    Handle, Limiter, Pool, asyncify, check_cancelled, run, scope, sleep, spawn, syncify, yield_now,
};
use std::sync::Arc;

type SharedPool = Arc<Pool>;

fn pool_of(max_threads: usize) -> SharedPool {
    Pool::new(max_threads)
}

#[path = "promises.rs"]
mod promises;
