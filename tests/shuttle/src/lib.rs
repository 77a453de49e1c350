//! How a program of threads is run: under one seed after another, and each does again what it did.

#[cfg(not(footbridge_loom))]
compile_error!(
    "footbridge has to be built with --cfg footbridge_loom here. The file .cargo/config.toml sets it, if cargo \
     is called in this folder and RUSTFLAGS isn't set, which would replace it"
);

pub use footbridge::internals;

use shuttle::scheduler::{RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};
use std::any::Any;
use std::cell::Cell;
use std::io::Write;
use std::panic;
use std::sync::Once;
use std::time::Instant;

// std's: shuttle has all threads of a program take turns on the one that runs the test.
thread_local! {
    static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    static PANICKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `program` under so many seeds, one after the other, with a scheduler made of each. A panic in any of
/// its threads is a failure, also where it is caught, unless it is `expected`.
pub fn explore<S: Scheduler + 'static>(
    seeds: u64,
    scheduler: impl Fn(u64) -> S,
    expected: fn(&dyn Any) -> bool,
    program: fn(u64),
) {
    watch_panics(expected);
    // Of a failure in any order shuttle says a seed too: the same.
    let given = number("FOOTBRIDGE_STORM_SEED").or_else(|| number("SHUTTLE_RANDOM_SEED"));
    let first = given.unwrap_or_else(|| {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap();
        now.as_nanos() as u64
    });
    // A seed that is given is run alone.
    let usual = if given.is_some() { 1 } else { seeds };
    let seeds = number("FOOTBRIDGE_STORM_ROUNDS").unwrap_or(usual);
    let start = Instant::now();
    let mut runs = 0;
    for n in 0..seeds {
        let seed = first.wrapping_add(n);
        SEED.set(Some(seed));
        runs += Runner::new(scheduler(seed), config()).run(move || program(seed));
        assert!(!PANICKED.get(), "a panic that was caught");
    }
    let seconds = start.elapsed().as_secs_f32();
    let thread = std::thread::current();
    let name = thread.name().unwrap_or_default();
    // Past the test harness, which shows nothing of a test that passes.
    let _ = writeln!(
        std::io::stdout(),
        "{runs:>9} runs, {seconds:>5.1} s: {name}, seeds from {first}"
    );
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = 1 << 20;
    config.silence_warnings = true;
    // The whole schedule, step by step, is long; the seed makes it again.
    config.failure_persistence = FailurePersistence::None;
    config
}

/// From the hook, since a panic while another one unwinds ends the process, and the seed could not be told later.
fn watch_panics(expected: fn(&dyn Any) -> bool) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Has shuttle put its own hook in place, which calls every panic a failure.
        Runner::new(RandomScheduler::new(1), config()).run(|| ());
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if expected(info.payload()) {
                return;
            }
            PANICKED.set(true);
            if let Some(seed) = SEED.get() {
                let thread = std::thread::current();
                let name = thread.name().unwrap_or_default();
                eprintln!("once more: FOOTBRIDGE_STORM_SEED={seed} cargo test {name}");
            }
            usual(info);
        }));
    });
}
