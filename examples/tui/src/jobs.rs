//! The jobs, which block worker threads, and what they tell the screen.
//!
//! The rule: only a job moves its bar. So the screen shows what has happened, in the order in which it did: a
//! job that was cancelled counts as running until it has noticed.

use crate::model::{self, Bar, Model, State, update};
use footbridge::{
    Asyncify, Cancelled, EventLoop, Handle, JoinHandle, Limiter, check_cancelled, time,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub const JOBS: usize = 20;
const AT_ONCE: usize = 4;

/// It fails half way, to show that a job's panic is the caller's to see, and harms nothing else.
const FAILING: usize = 13;

/// While it is set, no job gets on.
pub static PAUSED: AtomicBool = AtomicBool::new(false);

/// Starts the first four. The others wait for a token of the limiter, and no thread waits with them.
pub fn start(event_loop: &EventLoop) -> Vec<JoinHandle<Result<(), Cancelled>>> {
    let limiter = Limiter::new(AT_ONCE);
    let work = Asyncify::new().limiter(&limiter).wrap(work);
    (1..=JOBS)
        .map(|job| {
            let progress = Progress {
                job,
                bar: Bar::default(),
                screen: event_loop.handle(),
            };
            event_loop.spawn(work(progress))
        })
        .collect()
}

/// The blocking function: sleeps where yours would read, compute or ask a server.
fn work(mut progress: Progress) -> Result<(), Cancelled> {
    let step = Duration::from_millis(20 + 7 * (progress.job as u64 % 5));
    progress.show(State::Running);
    while progress.bar.percent < 100 {
        check_cancelled()?;
        thread::sleep(step);
        if !PAUSED.load(Ordering::Relaxed) {
            progress.bar.percent += 2;
            progress.show(State::Running);
        }
        if progress.job == FAILING && progress.bar.percent == 50 {
            panic!("job {FAILING} fails half way, as a job may");
        }
    }
    Ok(())
}

/// A job's hold on its bar. It goes wherever the job does, so its drop says how that ended, even if it never began.
struct Progress {
    job: usize,
    bar: Bar,
    screen: Handle,
}

impl Progress {
    fn show(&mut self, state: State) {
        self.bar.state = state;
        let (job, bar) = (self.job, self.bar);
        // Refused if the loop has ended, and so has the screen.
        let _ = self
            .screen
            .call_soon(move || update(|model| model.bars[job - 1] = bar));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show(match self.bar.percent {
            _ if thread::panicking() => State::Failed,
            100 => State::Done,
            _ => State::Cancelled,
        });
    }
}

/// A task that counts the seconds beside them. When it has ended too, there is no deadline any more.
pub async fn clock() {
    let start = Instant::now();
    for seconds in 1.. {
        time::sleep_until(start + Duration::from_secs(seconds)).await;
        if model::look(Model::is_over) {
            return;
        }
        update(|model| model.seconds = seconds);
    }
}
