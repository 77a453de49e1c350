//! `on_blocked`: who blocks a loop is told while it does.
//!
//! What blocks does so until it has been told of, so no test depends on how long a step takes.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Grenade, ms, panic_of, until, was_reported, watched};
use footbridge::{
    Blocked, EventLoop, EventLoopBuilder, Handle, Syncify, asyncify, gather, spawn, spawn_blocking,
    syncify, time,
};
use std::future::pending;
use std::panic::{Location, resume_unwind};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::Duration;

/// A loop whose reports go into a channel.
fn watched_loop(after: Duration) -> (EventLoop, Reports) {
    let (builder, reports) = reporting(after);
    (builder.build(), reports)
}

fn reporting(after: Duration) -> (EventLoopBuilder, Reports) {
    let (tell, told) = mpsc::channel();
    let builder = EventLoop::builder().on_blocked(after, move |blocked| {
        let _ = tell.send(blocked.clone());
    });
    (builder, Reports(Arc::new(Mutex::new(told))))
}

#[derive(Clone)]
struct Reports(Arc<Mutex<Receiver<Blocked>>>);

impl Reports {
    /// Blocks this thread until there is a report.
    fn next(&self) -> Blocked {
        self.0.lock().unwrap().recv().unwrap()
    }

    /// Blocks this thread until it is told that a step of this line blocks. A step before it may have been told of too, if its
    /// thread got no processor.
    fn next_of(&self, line: u32) -> Blocked {
        loop {
            let report = self.next();
            if !report.over && line_of(&report) == (file!(), line) {
                return report;
            }
        }
    }

    /// Reads until the end of what was told before.
    fn end(&self) -> Blocked {
        loop {
            let report = self.next();
            if report.over {
                return report;
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap().try_recv().is_err()
    }
}

#[track_caller]
fn here() -> &'static Location<'static> {
    Location::caller()
}

/// Drops it by blocking until that is told of.
struct BlocksInDrop(Reports, u32);

impl Drop for BlocksInDrop {
    fn drop(&mut self) {
        self.0.next_of(self.1);
    }
}

fn line_of(blocked: &Blocked) -> (&str, u32) {
    (blocked.spawned_at.file(), blocked.spawned_at.line())
}

// D1, decision 26
#[test]
fn a_task_that_blocks_is_told_by_the_line_that_spawned_it_while_it_blocks() {
    watched(|| {
        let (mut event_loop, reports) = watched_loop(ms(5));
        let line = here().line() + 1;
        let task = event_loop.spawn(async move { reports.next_of(line) });
        let blocked = event_loop.run_until(task).unwrap();
        assert!(blocked.so_far >= ms(5));
        assert_eq!(Some(&*blocked.thread), thread::current().name());
        #[cfg(target_os = "linux")]
        if let Some(doing) = blocked.doing {
            assert_eq!(doing, "in futex", "it waits in a channel");
        }
    });
}

// D1
#[test]
fn the_main_future_that_blocks_is_told_by_the_call_that_runs_it() {
    watched(|| {
        let (mut event_loop, reports) = watched_loop(ms(1));
        for _ in 0..3 {
            let line = here().line() + 1;
            event_loop.run_until(async { reports.next_of(line) });
            event_loop.run_until(async { reports.end() });
        }
    });
}

// D1
#[test]
fn it_is_told_again_at_each_doubling_and_once_when_it_is_over() {
    watched(|| {
        let (mut event_loop, reports) = watched_loop(ms(2));
        let told = reports.clone();
        let times = event_loop.run_until(async move { [(); 4].map(|()| told.next().so_far) });
        for (n, time) in times.iter().enumerate() {
            assert!(*time >= ms(2) * 2_u32.pow(n as u32), "{times:?}");
        }
        let end = event_loop.run_until(asyncify({
            let reports = reports.clone();
            move || reports.end()
        })());
        assert!(end.over && end.doing.is_none());
        assert_eq!(line_of(&end).0, file!());
    });
}

type Block = Arc<dyn Fn() + Send + Sync>;

// D1
#[test]
fn each_way_to_a_loop_names_its_own_line() {
    let ways: [fn(Handle, Block, &AtomicU32); 5] = [
        |handle, block, line| {
            line.store(here().line() + 1, Ordering::Relaxed);
            assert!(handle.call_soon(move || block()));
        },
        |handle, block, line| {
            line.store(here().line() + 1, Ordering::Relaxed);
            drop(handle.spawn(move || async move { block() }));
        },
        |handle, block, line| {
            // What makes the future blocks.
            let make = move || {
                block();
                async {}
            };
            line.store(here().line() + 1, Ordering::Relaxed);
            drop(handle.spawn(make));
        },
        |handle, block, line| {
            line.store(here().line() + 1, Ordering::Relaxed);
            handle.block_on(move || async move { block() }).unwrap();
        },
        |handle, block, line| {
            let on = Syncify::new().on(&handle);
            line.store(here().line() + 1, Ordering::Relaxed);
            on.wrap(async move || block())().unwrap();
        },
    ];
    watched(move || {
        for way in ways {
            let (mut event_loop, reports) = watched_loop(ms(1));
            let (tell, told) = mpsc::channel();
            let line = Arc::new(AtomicU32::new(0));
            let at = line.clone();
            let block = Arc::new(move || {
                reports.next_of(at.load(Ordering::Relaxed)); // The post orders it.
                tell.send(()).unwrap();
            });
            let handle = event_loop.handle();
            let thread = thread::spawn(move || way(handle, block, &line));
            event_loop.run_until(async { spawn_blocking(|| thread.join().unwrap()).await });
            event_loop.run_until(async { until_async(|| told.try_recv().ok()).await });
        }
    });
}

/// Looks again at each turn until there is something.
async fn until_async<T>(mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look() {
            return found;
        }
        footbridge::yield_now().await;
    }
}

// D1, S1
#[test]
fn an_async_function_that_a_job_waits_for_is_named_by_the_line_of_its_syncify() {
    watched(|| {
        let (mut event_loop, reports) = watched_loop(ms(1));
        let job = move || {
            let line = here().line() + 2;
            let block = async move |reports: Reports| reports.next_of(line);
            syncify(block)(reports.clone()).unwrap();
        };
        event_loop.run_until(async { asyncify(job)().await });
    });
}

// D1
#[test]
fn a_drop_that_blocks_is_told_when_the_task_ends_is_aborted_or_ends_with_its_loop() {
    watched(|| {
        for how in 0..3 {
            let (mut event_loop, reports) = watched_loop(ms(1));
            let line = here().line() + 2;
            let held = BlocksInDrop(reports, line);
            let task = event_loop.spawn(async move {
                let _held = held;
                if how > 0 {
                    pending::<()>().await;
                }
            });
            event_loop.run_until(footbridge::yield_now());
            match how {
                0 => event_loop.run_until(task).unwrap(),
                1 => {
                    task.abort();
                    assert!(event_loop.run_until(task).unwrap_err().is_cancelled());
                }
                _ => drop(event_loop),
            }
        }
    });
}

/// A waker that blocks until that is told of.
struct BlocksInWake(Reports, u32, mpsc::Sender<()>);

impl Wake for BlocksInWake {
    fn wake(self: Arc<Self>) {
        self.0.next_of(self.1);
        self.2.send(()).unwrap();
    }
}

// D1
#[test]
fn a_waker_that_blocks_when_its_timer_is_due_is_told_by_the_call_that_runs_the_loop() {
    watched(|| {
        let (mut event_loop, reports) = watched_loop(ms(1));
        let (tell, told) = mpsc::channel();
        let line = here().line() + 8;
        let waker = Waker::from(Arc::new(BlocksInWake(reports, line, tell)));
        let mut sleep = Box::pin(time::sleep(ms(2)));
        event_loop.run_until(async {
            let polled = sleep.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(polled.is_pending());
        });
        let main = async { until_async(|| told.try_recv().ok()).await };
        event_loop.run_until(main);
    });
}

// Decision 26
#[test]
fn a_loop_that_slept_for_long_is_watched_again_when_it_wakes() {
    watched(|| {
        let (mut event_loop, reports) = watched_loop(ms(1));
        for pause in [1, 2, 20, 50] {
            // The monitor has gone to sleep by then, or not yet.
            event_loop.run_until(time::sleep(ms(pause)));
            let told = reports.clone();
            event_loop.run_until(async move { told.next() });
            let told = reports.clone();
            event_loop.run_until(asyncify(move || told.end())());
        }
        // The same for a host that runs it in turns.
        for pause in [1, 20] {
            thread::sleep(ms(pause));
            let told = reports.clone();
            let task = event_loop.spawn(async move { told.next() });
            while !task.is_finished() {
                event_loop.tick();
            }
        }
    });
}

// Decision 26
#[test]
fn a_loop_that_sleeps_is_left_or_runs_short_steps_is_not_blocked() {
    watched(|| {
        let (open, gate) = mpsc::channel::<()>();
        let asleep = thread::spawn(move || {
            let (mut event_loop, reports) = watched_loop(ms(1000));
            let task = async { spawn_blocking(move || gate.recv()).await };
            event_loop.run_until(async { spawn(task).await.unwrap().unwrap() });
            reports
        });
        let (mut left, reports_of_left) = watched_loop(ms(1000));
        // No panic hook is called, which might take long.
        panic_of(|| left.run_until(async { resume_unwind(Box::new("and the loop is left")) }));
        let is_over = Arc::new(AtomicBool::new(false));
        let until_over = is_over.clone();
        let busy = thread::spawn(move || {
            let (mut event_loop, reports) = watched_loop(ms(1000));
            let tasks: Vec<_> = (0..100)
                .map(|_| {
                    let is_over = until_over.clone();
                    event_loop.spawn(async move {
                        while !is_over.load(Ordering::Relaxed) {
                            footbridge::yield_now().await;
                        }
                    })
                })
                .collect();
            event_loop.run_until(gather(tasks));
            reports
        });
        // A third one is blocked until that is told, which takes longer than either of them may.
        let (mut event_loop, reports) = watched_loop(ms(1500));
        event_loop.run_until(async { reports.next() });
        is_over.store(true, Ordering::Relaxed);
        open.send(()).unwrap();
        assert!(asleep.join().unwrap().is_empty(), "asleep");
        assert!(busy.join().unwrap().is_empty(), "busy");
        assert!(reports_of_left.is_empty(), "left");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn a_loop_is_watched_in_time_though_another_is_watched_more_seldom() {
    const TEST: &str = "a_loop_is_watched_in_time_though_another_is_watched_more_seldom";
    in_a_process_of_its_own(TEST, &[], || {
        let (open, gate) = mpsc::channel::<()>();
        let seldom = thread::spawn(move || {
            let (mut event_loop, _reports) = watched_loop(Duration::from_secs(3600));
            event_loop.run_until(async move { gate.recv().unwrap() });
        });
        until_the_monitor_rests(); // The next look is a quarter of an hour away.
        let (mut event_loop, reports) = watched_loop(ms(20));
        event_loop.run_until(async move { reports.next() });
        open.send(()).unwrap();
        seldom.join().unwrap();
    });
}

#[cfg(target_os = "linux")]
#[test]
fn the_monitor_ends_with_the_last_watched_loop_though_its_next_look_is_far_away() {
    const TEST: &str =
        "the_monitor_ends_with_the_last_watched_loop_though_its_next_look_is_far_away";
    in_a_process_of_its_own(TEST, &[], || {
        let (mut event_loop, _reports) = watched_loop(Duration::from_secs(3600));
        event_loop.run_until(async { until_the_monitor_rests() });
        drop(event_loop);
        until(|| monitors().is_empty());
    });
}

#[test]
fn a_hook_that_panics_is_reported_and_called_again() {
    watched(|| {
        was_reported("");
        let (tell, told) = mpsc::channel();
        let hook = move |_: &Blocked| {
            tell.send(()).unwrap();
            panic!("a hook of on_blocked");
        };
        let mut event_loop = EventLoop::builder().on_blocked(ms(1), hook).build();
        event_loop.run_until(async move { [(); 3].map(|()| told.recv().unwrap()) });
        until(|| was_reported("a hook of on_blocked"));
    });
}

#[test]
fn a_hook_may_run_a_loop_build_one_and_drop_one() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let hook = move |_: &Blocked| {
            let (mut inner, _reports) = watched_loop(ms(1));
            let _ = tell.send(inner.run_until(async { spawn(async { 2 }).await.unwrap() }));
        };
        let mut event_loop = EventLoop::builder().on_blocked(ms(1), hook).build();
        assert_eq!(event_loop.run_until(async move { told.recv().unwrap() }), 2);
    });
}

#[test]
fn the_hook_of_a_loop_is_dropped_with_it_and_a_panic_of_that_ends_there() {
    watched(|| {
        let grenade = Grenade;
        let (tell, told) = mpsc::channel();
        let hook = move |_: &Blocked| {
            let _ = (&grenade, &tell);
        };
        let mut event_loop = EventLoop::builder().on_blocked(ms(1), hook).build();
        event_loop.run_until(footbridge::yield_now());
        drop(event_loop);
        // The sender goes with the hook.
        let told: Result<(), _> = told.recv();
        assert!(told.is_err());
    });
}

#[test]
fn a_loop_on_a_worker_of_a_pool_is_told_by_the_name_of_that_thread() {
    watched(|| {
        let pool = footbridge::Pool::builder().thread_name("disk").build();
        let job = pool.spawn_blocking(|| {
            let (mut event_loop, reports) = watched_loop(ms(1));
            event_loop.run_until(async move { reports.next() })
        });
        assert_eq!(job.join().thread, "disk-0");
    });
}

// Decision 26
#[cfg(target_os = "linux")]
#[test]
fn the_monitor_ends_with_the_last_watched_loop_and_never_wakes_while_all_sleep() {
    const TEST: &str =
        "the_monitor_ends_with_the_last_watched_loop_and_never_wakes_while_all_sleep";
    in_a_process_of_its_own(TEST, &[], || {
        assert_eq!(monitors().len(), 0);
        let (mut event_loop, reports) = watched_loop(ms(1));
        event_loop.run_until(async move { reports.next() });
        until_the_monitor_rests();
        event_loop.run_until(time::sleep(ms(100)));
        drop(event_loop);
        until(|| monitors().is_empty());
        // The next one starts it again.
        let (mut event_loop, reports) = watched_loop(ms(1));
        event_loop.run_until(async move { reports.next() });
        assert_eq!(monitors().len(), 1);
    });
}

// D2
#[test]
fn the_environment_has_each_loop_of_a_program_watched_on_stderr() {
    const TEST: &str = "the_environment_has_each_loop_of_a_program_watched_on_stderr";
    let printed = in_a_process_of_its_own(TEST, &[("FOOTBRIDGE_BLOCKED", "5ms")], || {
        footbridge::run(async {
            spawn(async { thread::sleep(ms(500)) }).await.unwrap();
        });
    });
    if let Some(printed) = printed {
        let text = "the loop has been blocked for";
        assert!(
            printed.contains("footbridge: thread ") && printed.contains(text),
            "{printed}"
        );
        assert!(
            printed.contains(&format!("spawned at {}", file!())),
            "{printed}"
        );
    }
}

// D2
#[test]
fn a_setting_of_the_environment_that_is_no_time_is_said_to_be_none() {
    const TEST: &str = "a_setting_of_the_environment_that_is_no_time_is_said_to_be_none";
    let printed = in_a_process_of_its_own(TEST, &[("FOOTBRIDGE_BLOCKED", "soon")], || {
        footbridge::run(async {});
        footbridge::run(async {});
    });
    if let Some(printed) = printed {
        assert_eq!(
            printed
                .matches("FOOTBRIDGE_BLOCKED=soon is no time")
                .count(),
            1,
            "{printed}"
        );
    }
}

// D2
#[cfg(target_os = "linux")]
#[test]
fn a_setting_that_is_no_text_is_said_to_be_none_and_a_loop_runs_though_that_cannot_be_printed() {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Stdio;
    const TEST: &str = "a_setting_that_is_no_text_is_said_to_be_none_and_a_loop_runs_though_that_cannot_be_printed";
    const INSIDE: &str = "FOOTBRIDGE_TEST_WITHOUT_STDERR";
    if std::env::var_os(INSIDE).is_some() {
        return footbridge::run(async {});
    }
    let run = |stderr: Stdio| {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST, "--nocapture"])
            .env(INSIDE, "1")
            .env("FOOTBRIDGE_BLOCKED", OsStr::from_bytes(b"\xff"))
            .stderr(stderr)
            .output()
            .unwrap()
    };
    let printed = run(Stdio::piped()).stderr;
    let printed = String::from_utf8_lossy(&printed);
    assert!(printed.contains("is no time"), "{printed}");
    let full = File::options().write(true).open("/dev/full").unwrap();
    assert!(run(full.into()).status.success());
}

/// Runs this test again in a process of its own, with this environment, and there `body`. Returns what that printed.
fn in_a_process_of_its_own(
    test: &str,
    environment: &[(&str, &str)],
    body: impl FnOnce() + Send + 'static,
) -> Option<String> {
    const INSIDE: &str = "FOOTBRIDGE_TEST_OF_ITS_OWN";
    if std::env::var_os(INSIDE).is_some() {
        watched(body);
        return None;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{printed}");
    Some(printed)
}

/// The folders of the monitor's threads in this process.
#[cfg(target_os = "linux")]
fn monitors() -> Vec<std::path::PathBuf> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let folders = threads.map(|thread| thread.unwrap().path());
    let is_monitor = |folder: &std::path::PathBuf| {
        let name = std::fs::read_to_string(folder.join("comm"));
        name.is_ok_and(|name| name.starts_with("footbridge-moni"))
    };
    folders.filter(is_monitor).collect()
}

/// The monitor ends its looks by and by, or waits for the next one.
#[cfg(target_os = "linux")]
fn until_the_monitor_rests() {
    let mut wakes = None;
    until(|| {
        thread::sleep(ms(50));
        let before = std::mem::replace(&mut wakes, wakes_of_the_monitor());
        wakes.is_some() && before == wakes
    });
}

/// How often the monitor's thread has gone to sleep so far.
#[cfg(target_os = "linux")]
fn wakes_of_the_monitor() -> Option<String> {
    let status = std::fs::read_to_string(monitors().first()?.join("status")).ok()?;
    let line = status
        .lines()
        .find(|line| line.starts_with("voluntary_ctxt"));
    line.map(String::from)
}
