//! One path at a time, for working on it: `cargo bench -p benches [name]`. No peers here; for those there is `compare`.
//!
//! Where a call is much shorter than what has to be set up around it, a lap has a hundred of them, and the figure to
//! look at is the one for items per second.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use footbridge::time::sleep;
use footbridge::{EventLoop, Syncify, asyncify, syncify, yield_now};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

const CALLS: usize = 100;

fn main() {
    divan::main();
}

fn noop() {
    black_box(());
}

async fn async_noop() {
    black_box(());
}

/// A hundred calls of `work` on a loop that is there already.
fn on_a_loop<F: Future>(bencher: Bencher<'_, '_>, work: impl Fn() -> F) {
    let mut event_loop = EventLoop::new();
    bencher
        .counter(ItemsCount::new(CALLS))
        .bench_local(|| event_loop.run_until(work()));
}

#[divan::bench]
fn spawn_and_join_one(bencher: Bencher<'_, '_>) {
    on_a_loop(bencher, || async {
        for _ in 0..CALLS {
            footbridge::spawn(async_noop()).await.unwrap();
        }
    });
}

#[divan::bench]
fn spawn_a_hundred_and_join_them(bencher: Bencher<'_, '_>) {
    on_a_loop(bencher, || async {
        let mut handles = Vec::with_capacity(CALLS);
        for _ in 0..CALLS {
            handles.push(footbridge::spawn(async_noop()));
        }
        for handle in handles {
            handle.await.unwrap();
        }
    });
}

#[divan::bench]
fn yield_of_the_main_future(bencher: Bencher<'_, '_>) {
    on_a_loop(bencher, || async {
        for _ in 0..CALLS {
            yield_now().await;
        }
    });
}

/// A second wake of one that is scheduled already, which is to cost next to nothing.
#[divan::bench]
fn wake_of_a_scheduled_task(bencher: Bencher<'_, '_>) {
    on_a_loop(bencher, || {
        poll_fn(|context| {
            for _ in 0..CALLS {
                context.waker().wake_by_ref();
            }
            Poll::Ready(())
        })
    });
}

#[divan::bench]
fn asyncify_one_after_another(bencher: Bencher<'_, '_>) {
    on_a_loop(bencher, || async {
        for _ in 0..CALLS {
            asyncify(noop)().await;
        }
    });
}

#[divan::bench]
fn syncify_one_after_another(bencher: Bencher<'_, '_>) {
    let worker = || {
        for _ in 0..CALLS {
            syncify(async_noop)().unwrap();
        }
    };
    on_a_loop(bencher, move || asyncify(worker)());
}

#[divan::bench]
fn temporary_loop() {
    footbridge::run(async_noop());
}

#[divan::bench]
fn temporary_loop_of_syncify() {
    Syncify::new().raise_sync_error(false).wrap(async_noop)().unwrap();
}

#[divan::bench]
fn timer_registered_and_dropped(bencher: Bencher<'_, '_>) {
    on_a_loop(bencher, || {
        poll_fn(|context| {
            for _ in 0..CALLS {
                let timer = pin!(sleep(Duration::from_secs(60)));
                assert!(timer.poll(context).is_pending());
            }
            Poll::Ready(())
        })
    });
}
