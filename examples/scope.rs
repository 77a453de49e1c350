//! Three blocking sources at once. The first error ends the rest, and they have cleaned up when it returns.
//!
//!     cargo run --example scope

use footbridge::{check_cancelled, run, scope};
use std::{thread, time::Duration};

/// Blocks for some milliseconds, in steps, so that it can give up.
fn fetch(source: &str, steps: u32) -> Result<usize, String> {
    for _ in 0..steps {
        thread::sleep(Duration::from_millis(10));
        if check_cancelled().is_err() {
            println!("{source}: given up");
            return Err(format!("{source} wasn't wanted any more"));
        }
    }
    match source {
        "the broken one" => Err(format!("{source} doesn't answer")),
        source => Ok(source.len()),
    }
}

/// The sum of what the sources give. The tasks borrow `sources` and `log`.
async fn fetch_all(sources: &[(&'static str, u32)], log: &mut Vec<&str>) -> Result<usize, String> {
    scope(async |s| {
        let fetches: Vec<_> = sources
            .iter()
            .map(|&(source, steps)| {
                let job = s.spawn_blocking(move || fetch(source, steps));
                s.try_spawn(job)
            })
            .collect();
        let mut sum = 0;
        for (fetch, (source, _)) in fetches.into_iter().zip(sources) {
            sum += fetch.await;
            log.push(source);
        }
        Ok(sum)
    })
    .await
}

fn main() {
    let mut log = Vec::new();
    let good = [("a file", 1), ("a disk", 2), ("a database", 3)];
    println!("{:?}", run(fetch_all(&good, &mut log)));
    let bad = [("a file", 1), ("the broken one", 10), ("a database", 1000)];
    println!("{:?}", run(fetch_all(&bad, &mut log)));
    println!("fetched: {}", log.join(", "));
}
