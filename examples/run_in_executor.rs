//! asyncio's way: `run_in_executor` starts each job at once, and `gather` waits for all of them.
//!
//!     cargo run --example run_in_executor

use footbridge::{Handle, gather, run};
use std::thread;
use std::time::{Duration, Instant};

const WORK: Duration = Duration::from_millis(100);

fn do_sync_work(n: u32) -> u32 {
    thread::sleep(WORK);
    n * n
}

fn main() {
    run(async {
        let start = Instant::now();
        let handle = Handle::current();

        // All ten run from here on, awaited or not. `None` is the loop's own pool.
        let jobs: Vec<_> = (1..=10)
            .map(|n| handle.run_in_executor(None, move || do_sync_work(n)))
            .collect();

        // The results come in the order of the jobs, whichever is done first.
        println!("{:?}", gather(jobs).await);
        println!(
            "ten calls of {:.2} s took {:.2} s",
            WORK.as_secs_f64(),
            start.elapsed().as_secs_f64()
        );
    });
}
