//! The thread of a portal: it turns the loop like any host would, until it is told to stop.

use crate::event_loop::EventLoop;
use crate::portal::life::Life;
use crate::sync::now;

/// Makes the loop, runs it until the portal stops, and drops it.
pub(super) fn main(make_loop: impl FnOnce() -> EventLoop, life: &Life) {
    let mut event_loop = make_loop();
    life.started(event_loop.handle());
    let aborted = run_until_stopped(&mut event_loop, life);
    drop(event_loop);
    life.ended(aborted);
}

/// Returns how many tasks are left.
fn run_until_stopped(event_loop: &mut EventLoop, life: &Life) -> usize {
    loop {
        // Asked before the turn. The loop refuses calls before a stop begins, so the turn takes the last of them.
        let stop = life.stop();
        let has_run = event_loop.tick();
        if let Some(deadline) = stop {
            let tasks = event_loop.task_count();
            let is_over = tasks == 0 && !has_run;
            if is_over || deadline.is_some_and(|deadline| deadline <= now()) {
                return tasks;
            }
        }
        if !has_run {
            event_loop.sleep(stop.flatten());
        }
    }
}
