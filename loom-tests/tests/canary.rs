//! Models that must fail. One that passes says that the suite runs on plain atomics, and proves nothing.

use footbridge::{Pool, asyncify, run};
use loom_tests::internals::{AtomicBool, AtomicUsize, Mutex, Ordering, Parker};
use loom_tests::{Arc, Data, explore, spawn};
use std::process::Command;
use std::time::Duration;

// Threads: a thread that writes and sets a flag; one that reads the flag and the data.
// Decided by: nothing: both are relaxed, and loom has to find the read that comes too early.
// Mutant: none of its own. Built on std's atomics (`src/sync/native.rs`), the suite would pass here, and so fail.
#[test]
#[should_panic(expected = "published too early")]
fn data_behind_a_relaxed_flag_of_our_own_sync_is_caught() {
    explore(|| {
        let shared = Arc::new((AtomicUsize::new(0), AtomicBool::new(false)));
        let (data, flag) = &*shared;
        {
            let shared = shared.clone();
            spawn(move || {
                shared.0.store(1, Ordering::Relaxed);
                shared.1.store(true, Ordering::Relaxed);
            });
        }
        if flag.load(Ordering::Relaxed) {
            assert_eq!(data.load(Ordering::Relaxed), 1, "published too early");
        }
    });
}

// Threads: two threads that take two locks, in opposite orders.
// Decided by: nothing: loom has to find the deadlock, so `Mutex` of `src/sync/model.rs` is loom's.
// Mutant: none of its own. With another `Mutex` the suite would hang or pass here.
#[test]
#[should_panic(expected = "deadlock")]
fn two_locks_of_our_own_sync_taken_in_both_orders_are_caught() {
    explore(|| {
        let locks = Arc::new((Mutex::new(()), Mutex::new(())));
        {
            let locks = locks.clone();
            spawn(move || {
                let _second = locks.1.lock();
                let _first = locks.0.lock();
            });
        }
        let _first = locks.0.lock();
        let _second = locks.1.lock();
    });
}

// Threads: a submitter, which reads what the job writes; the worker that runs the job.
// Decided by: nothing: the job may end between the two looks, and loom has to step into the pool's own code to find that.
// Mutant: none of its own. It shows that the pool of the models is built on loom.
#[test]
#[should_panic(expected = "seen too late")]
fn a_race_in_a_job_of_the_real_pool_is_caught() {
    explore(|| {
        let pool = Pool::builder().max_threads(1).build();
        let data = Data::default();
        let written = data.clone();
        let job = pool.spawn_blocking(move || written.set(1));
        if job.is_finished() {
            run(job);
        } else {
            assert_eq!(data.get(), 0, "seen too late");
            job.detach();
        }
        let _ = pool.shutdown(Duration::MAX);
    });
}

// Threads: one, which panics while it caches a loop: that goes down with the model, when there is no loom to ask any more.
// Decided by: `model_has_failed` in the drop of `CachedLoop`, which leaks the loop. Else the text were "cannot access Loom
// execution state", or the process aborted.
// Mutant: what a thread of a failed model keeps is dropped when there is no loom any more.
#[test]
#[should_panic(expected = "after a loop was kept")]
fn a_model_that_fails_says_why_though_its_thread_keeps_a_loop() {
    explore(|| {
        run(async {});
        panic!("after a loop was kept");
    });
}

// Threads: one that says that it sleeps, and looks for work first; one that brings work, and wakes a thread that sleeps.
// Decided by: nothing: both store and then load, with no fence in between, so both may miss what the other stored.
// Mutant: none of its own. It is `Awake` of `src/pool/awake.rs` without its fences.
#[test]
#[should_panic(expected = "deadlock")]
fn a_wake_up_that_is_lost_for_want_of_a_fence_is_caught() {
    explore(|| {
        let shared = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
        let (asleep, work) = &*shared;
        let parker = Arc::new(Parker::new());
        {
            let (shared, parker) = (shared.clone(), parker.clone());
            spawn(move || {
                let (asleep, work) = &*shared;
                work.store(true, Ordering::Relaxed);
                if asleep.load(Ordering::Relaxed) {
                    parker.unpark();
                }
            });
        }
        asleep.store(true, Ordering::Relaxed);
        if !work.load(Ordering::Relaxed) {
            let _ = parker.park(None);
        }
    });
}

// Threads: two that each take the one job, if it isn't taken.
// Decided by: nothing: a load and a store are no swap, so both may take it.
// Mutant: none of its own.
#[test]
#[should_panic(expected = "left == right")]
fn a_job_that_runs_twice_is_caught() {
    explore(|| {
        let shared = Arc::new((AtomicBool::new(false), AtomicUsize::new(0)));
        let take = |(taken, runs): &(AtomicBool, AtomicUsize)| {
            if !taken.load(Ordering::Acquire) {
                taken.store(true, Ordering::Release);
                runs.fetch_add(1, Ordering::Relaxed);
            }
        };
        let other = {
            let shared = shared.clone();
            spawn(move || take(&shared))
        };
        take(&shared);
        other.join().unwrap();
        assert_eq!(shared.1.load(Ordering::Relaxed), 1);
    });
}

// Threads: two that set a flag each, and then panic, which is caught.
// Decided by: nothing: the model passes.
// Mutant: a model that passes prints its last iteration.
#[test]
fn a_model_that_passes_catches_its_panics() {
    explore(|| {
        let flags = Arc::new((AtomicBool::new(false), AtomicBool::new(false)));
        let raise = |flag: &AtomicBool| {
            flag.swap(true, Ordering::Relaxed);
            std::panic::catch_unwind(|| panic!("expected")).unwrap_err();
        };
        let other = {
            let flags = flags.clone();
            spawn(move || raise(&flags.0))
        };
        raise(&flags.0);
        other.join().unwrap();
    });
}

// Threads: the loop's; a worker, whose job panics.
// Decided by: nothing: the job's panic is caught, and goes on in the loop's thread.
// Mutant: none of its own.
#[test]
#[should_panic(expected = "in a job")]
fn a_job_that_panics_fails_the_model_of_its_caller() {
    explore(|| run(async { asyncify(|| panic!("in a job"))().await }));
}

/// What the model prints on stderr.
fn printed(model: &str) -> String {
    let program = std::env::current_exe().unwrap();
    let arguments = [model, "--exact", "--nocapture"];
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{model} isn't in order, or isn't there"
    );
    String::from_utf8(output.stderr).unwrap()
}

/// The table that the model prints when it fails.
fn table(model: &str) -> Vec<String> {
    let printed = printed(model);
    let (_, table) = printed
        .split_once("The iteration that failed:\n\n")
        .unwrap();
    rows(table)
}

/// Without the numbers of lines, which change with the files, and without the widths.
fn rows(table: &str) -> Vec<String> {
    let row = |row: &str| {
        let (place, cells) = row.split_once('|').unwrap();
        let file = place.split(':').next().unwrap();
        let cells = cells.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{} | {cells}", file.trim())
    };
    table.lines().map(row).collect()
}

#[test]
fn a_lost_wake_up_is_printed_as_the_guide_shows_it() {
    let guide = include_str!("../../docs/model-checking.md");
    let (_, shown) = guide.split_once("The iteration that failed:\n\n").unwrap();
    let (shown, _) = shown.split_once("```").unwrap();
    let table = table("a_wake_up_that_is_lost_for_want_of_a_fence_is_caught");
    assert_eq!(table, rows(shown), "{table:#?}");
}

#[test]
fn a_stale_read_is_printed_before_the_assertion_that_it_fails() {
    let table = table("data_behind_a_relaxed_flag_of_our_own_sync_is_caught");
    let expected = [
        " | main | thread 1",
        "> canary.rs | | shared.0.store(1, Relaxed) writes 1",
        "> canary.rs | | shared.1.store(true, Relaxed) writes true",
        " | | ends",
        "> canary.rs | flag.load(Relaxed) reads true",
        "> canary.rs | data.load(Relaxed) reads 0, stale",
        "> canary.rs | panics: assertion `left == right` failed: published too early",
    ];
    assert_eq!(table, expected, "{table:#?}");
}

#[test]
fn a_double_run_is_printed_with_the_look_that_came_too_early() {
    let table = table("a_job_that_runs_twice_is_caught");
    let expected = [
        " | main | thread 1",
        "> canary.rs | taken.load(Acquire) reads false",
        "> canary.rs | taken.store(true, Release) writes true",
        "> canary.rs | runs.fetch_add(1, Relaxed): 0 -> 1",
        "> canary.rs | | taken.load(Acquire) reads false, stale",
        "> canary.rs | | taken.store(true, Release) writes true",
        "> canary.rs | | runs.fetch_add(1, Relaxed): 1 -> 2",
        " | | ends",
        "> canary.rs | shared.1.load(Relaxed) reads 2",
        "> canary.rs | panics: assertion `left == right` failed",
    ];
    assert_eq!(table, expected, "{table:#?}");
}

#[test]
fn two_locks_taken_in_both_orders_are_printed_with_the_calls_that_never_return() {
    let table = table("two_locks_of_our_own_sync_taken_in_both_orders_are_caught");
    let expected = [
        " | main | thread 1",
        "> canary.rs | locks.0.lock()",
        "> canary.rs | | locks.1.lock()",
        "> canary.rs | locks.1.lock() never returns: deadlock",
        "> canary.rs | | locks.0.lock() never returns: deadlock",
    ];
    assert_eq!(table, expected, "{table:#?}");
}

#[test]
fn a_panic_that_a_job_hands_on_is_printed_in_the_column_of_its_worker() {
    let table = table("a_job_that_panics_fails_the_model_of_its_caller");
    let at = |row: &str| table.iter().position(|other| other == row);
    assert_eq!(table[0], " | main | footbridge-0", "{table:#?}");
    assert_eq!(
        table.last().unwrap(),
        "> canary.rs | | panics: in a job",
        "{table:#?}"
    );
    let push = at("registry.rs | submit: injector.push(job): 0 -> 1");
    let start = at(" | starts footbridge-0");
    assert!(push.is_some() && push < start, "{table:#?}");
}

#[test]
fn a_model_that_passes_prints_no_table() {
    let printed = printed("a_model_that_passes_catches_its_panics");
    assert!(printed.contains("expected"), "{printed}");
    assert!(!printed.contains("The iteration that failed"), "{printed}");
}
