//! One blocking function for async and for sync programs: `raise_sync_error(false)`.
//!
//!     cargo run --example mainly_sync

use footbridge::{Syncify, SyncifyError, asyncify, run, time};
use std::time::Duration;

async fn do_async_work(name: String) -> String {
    time::sleep(Duration::from_millis(10)).await;
    format!("Hello, {name}")
}

/// If there is a loop that we were called from, the async function runs there. If there is none, it
/// runs on a temporary one on this thread, where plain `syncify` would return an error.
fn do_sync_work(name: &str) -> Result<String, SyncifyError> {
    let do_work = Syncify::new().raise_sync_error(false).wrap(do_async_work);
    do_work(name.to_string())
}

fn main() -> Result<(), SyncifyError> {
    // From an async program, on a worker thread.
    let message = run(async { asyncify(do_sync_work)("async World").await })?;
    println!("{message}");

    // From a sync program, directly.
    let message = do_sync_work("sync World")?;
    println!("{message}");
    Ok(())
}
