//! A plugin: a host loads it, calls it from any of its threads, and unloads it. `tests/host.c` is such a host.
//!
//! A plugin has a pool of its own, since the global pool can't be shut down. Before it is unloaded, and before the host forks,
//! it shuts that pool down, so that no thread is left that runs its code.

use footbridge::{EventLoop, Pool, asyncify, syncify};
use std::sync::Mutex;
use std::time::Duration;

static POOL: Mutex<Option<Pool>> = Mutex::new(None);

/// To be called first, and again after a stop.
// SAFETY: no other library of the host has a function of this name.
#[unsafe(no_mangle)]
pub extern "C" fn plugin_start() {
    let pool = Pool::builder().thread_name("plugin").build();
    *POOL.lock().unwrap() = Some(pool);
}

/// Blocking work that calls async code, and waits for it: `number` squared.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn plugin_square(number: u32) -> u32 {
    async fn square(number: u32) -> u32 {
        number * number
    }
    let work = |number| syncify(square)(number).unwrap_or(0);
    let Some(pool) = POOL.lock().unwrap().clone() else {
        return 0;
    };
    let mut event_loop = EventLoop::builder().pool(&pool).build();
    event_loop.run_until(asyncify(work)(number))
}

/// To be called last, and before a fork: waits for the pool's threads. Returns whether all have ended; if not, the plugin mustn't be unloaded.
// SAFETY: as above.
#[unsafe(no_mangle)]
pub extern "C" fn plugin_stop() -> bool {
    let Some(pool) = POOL.lock().unwrap().take() else {
        return true;
    };
    pool.shutdown(Duration::from_secs(10)).is_ok()
}
