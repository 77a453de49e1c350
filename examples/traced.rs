//! Pictures of two runs: a call of each bridge, and a loop that a blocking call stops.
//!
//!     cargo run --example traced
//!
//! Writes `hello` and `blocked_loop` into the folder of the first argument, or into that for temporary files: each as `.svg`,
//! for a browser, and as `.json`, for ui.perfetto.dev.

use footbridge::{asyncify, run, spawn, syncify, time, trace};
use std::{env, fs::File, io, path::PathBuf, thread, time::Duration};

const MOMENT: Duration = Duration::from_millis(2);

async fn do_async_work(name: String) -> String {
    time::sleep(MOMENT).await;
    format!("Hello, {name}")
}

fn do_sync_work(name: &str) -> String {
    thread::sleep(MOMENT);
    syncify(do_async_work)(name.to_string()).unwrap()
}

fn hello() {
    run(async { asyncify(do_sync_work)("World").await });
}

fn blocked_loop() {
    run(async {
        let ticker = spawn(async {
            for _ in 0..8 {
                time::sleep(MOMENT).await;
            }
        });
        spawn(async { thread::sleep(4 * MOMENT) }).await.unwrap(); // no tick comes meanwhile
        asyncify(thread::sleep)(4 * MOMENT).await;
        ticker.await.unwrap();
    });
}

fn main() -> io::Result<()> {
    let folder = env::args_os()
        .nth(1)
        .map_or_else(env::temp_dir, PathBuf::from);
    let programs: [(&str, fn()); 2] = [("hello", hello), ("blocked_loop", blocked_loop)];
    for (name, program) in programs {
        let recorder = trace::record(10_000);
        program();
        let recording = recorder.stop();
        recording.write_svg(File::create(folder.join(format!("{name}.svg")))?)?;
        recording.write_chrome(File::create(folder.join(format!("{name}.json")))?)?;
        println!("{name}.svg for a browser, {name}.json for ui.perfetto.dev");
    }
    Ok(())
}
