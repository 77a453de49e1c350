//! The main job: an async program calls a blocking function, which calls an async one in its turn.
//!
//!     cargo run --example hello

use footbridge::{SyncifyError, asyncify, run, syncify, time};
use std::time::Duration;

/// Async: while it waits, its event loop does other things.
async fn do_async_work(name: String) -> String {
    time::sleep(Duration::from_millis(10)).await;
    format!("Hello, {name}")
}

/// Blocking: its thread does nothing else until it returns.
fn do_sync_work(name: &str) -> Result<String, SyncifyError> {
    // From blocking to async: runs on the loop that we were called from, and this thread waits for it.
    syncify(do_async_work)(name.to_string())
}

fn main() -> Result<(), SyncifyError> {
    run(async {
        // From async to blocking: runs on a worker thread, and the loop goes on meanwhile.
        let message = asyncify(do_sync_work)("World").await?;
        println!("{message}");
        Ok(())
    })
}
