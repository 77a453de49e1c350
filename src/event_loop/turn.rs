//! One turn of the loop: it polls what was ready when the turn began. Also the main future, and the sleep between two turns.
//!
//! The rule: one turn runs only what was ready when it began. So a task that keeps waking itself starves neither the timers
//! nor the inbox nor the main future. The main future waits in the same queue.

use crate::event_loop::EventLoop;
use crate::event_loop::current::CurrentLoop;
use crate::event_loop::ready_queue::ReadyEntry;
use crate::event_loop::scheduler::Scheduler;
use crate::event_loop::task::Task;
use crate::event_loop::task_waker::{MAIN_KEY, NO_KEY};
use crate::pool::slot;
use crate::sync::panics::{catch_panic, drop_quietly};
use crate::sync::{now, waker_ref};
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

impl EventLoop {
    /// Runs the loop until `future` is ready. `what` is the name of the caller.
    #[track_caller]
    pub(crate) fn enter<F: Future>(&mut self, future: F, what: &str) -> F::Output {
        let _current = CurrentLoop::enter(&self.scheduler, what);
        let scheduler = self.scheduler.clone();
        let mut future = pin!(Some(future));
        let _main = scheduler.begin_main();
        if scheduler.len() > 0 {
            scheduler.main.schedule(&scheduler);
        } else if let Poll::Ready(output) = poll_main(&scheduler, future.as_mut()) {
            // If the ready queue is empty, the main future is polled at once. Many main futures are ready then.
            return output;
        }
        // If this thread is a worker, its job waits from here on. Its slot is released for jobs that the tasks submit.
        let _slot = slot::release();
        loop {
            scheduler.gather_due(now);
            let mut output = None;
            let ran = self.turn(|scheduler| {
                if let Poll::Ready(ready) = poll_main(scheduler, future.as_mut()) {
                    output = Some(ready);
                }
            });
            if let Some(output) = output {
                return output;
            }
            if ran == 0 {
                self.sleep();
            }
        }
    }

    /// Runs what was ready when the turn began. Returns the number of entries. `poll_main` polls the main future.
    pub(super) fn turn(&mut self, mut poll_main: impl FnMut(&Scheduler)) -> usize {
        let ready = self.scheduler.len();
        if ready == 0 {
            self.scheduler.shrink();
        }
        for _ in 0..ready {
            match self.scheduler.pop() {
                Some(ReadyEntry::Woken(MAIN_KEY)) => poll_main(&self.scheduler),
                Some(ReadyEntry::Woken(key)) => self.poll(key),
                Some(ReadyEntry::Spawned) => self.run_spawned(),
                Some(ReadyEntry::Callback) => self.run_callback(),
                None => break,
            }
        }
        ready
    }

    /// Sleeps until a post arrives or the next timer is due.
    fn sleep(&self) {
        let scheduler = &self.scheduler;
        if scheduler.inbox.may_have_posts() {
            return;
        }
        let deadline = scheduler.timers.borrow_mut().next_deadline();
        let _ = scheduler.inbox.sleep(deadline, &scheduler.is_answer_due);
    }

    fn run_spawned(&mut self) {
        if let Some(task) = self.scheduler.take_spawned() {
            self.first_poll(task);
        }
    }

    fn run_callback(&mut self) {
        match self.scheduler.take_callback().map(catch_panic) {
            Some(Ok(Some(task))) => self.first_poll(task),
            Some(Err(payload)) => drop_quietly(payload),
            Some(Ok(None)) | None => {}
        }
    }

    /// Polls a new task. If it is pending, it goes into the slab.
    fn first_poll(&mut self, mut task: Task) {
        let task_waker = self.tasks.new_task_waker(&self.scheduler.inbox);
        task_waker.begin_poll(&self.scheduler);
        let polled = {
            // The waker is dropped before `recycle`. Without futures-task it holds a reference.
            let waker = waker_ref(&task_waker);
            task.first_poll(&mut Context::from_waker(&waker), || task_waker.clone())
        };
        self.scheduler.end_poll();
        if polled.is_pending() {
            let (key, entry) = self.tasks.insert(task, task_waker);
            return entry.task_waker.set_key(key, &self.scheduler);
        }
        drop_quietly(task);
        self.tasks.recycle(task_waker);
    }

    fn poll(&mut self, key: usize) {
        let Some(entry) = self.tasks.get(key) else {
            return;
        };
        entry.task_waker.begin_poll(&self.scheduler);
        let mut polled = Poll::Ready(());
        if let Some(task) = &mut entry.task {
            if entry.task_waker.is_aborted() {
                task.abort();
            } else {
                let waker = waker_ref(&entry.task_waker);
                polled = task.poll(&mut Context::from_waker(&waker));
            }
        }
        self.scheduler.end_poll();
        if polled.is_pending() {
            return;
        }
        let ended = entry.task.take();
        // If the task was woken during its last poll, its key is still in the ready queue.
        // The slab reuses the key only after the loop has taken that entry.
        if !entry.task_waker.is_scheduled() {
            let task_waker = self.tasks.remove(key);
            task_waker.set_key(NO_KEY, &self.scheduler);
            self.tasks.recycle(task_waker);
        }
        drop_quietly(ended);
    }
}

/// Polls the main future. If it panics, the panic is passed on.
fn poll_main<F: Future>(scheduler: &Scheduler, mut future: Pin<&mut Option<F>>) -> Poll<F::Output> {
    let waker = waker_ref(&scheduler.main);
    scheduler.main.begin_poll(scheduler);
    let Some(main) = future.as_mut().as_pin_mut() else {
        unreachable!("nothing polls it after it has given its output")
    };
    let polled = catch_panic(|| main.poll(&mut Context::from_waker(&waker)));
    scheduler.end_poll();
    if !matches!(polled, Ok(Poll::Pending)) {
        // The future is dropped before the panic is passed on. A panic of the drop in an unwind would abort the process.
        // A panic of the drop is caught here, so the output is kept.
        let dropped = catch_panic(|| future.set(None));
        dropped.unwrap_or_else(drop_quietly);
    }
    polled.unwrap_or_else(|payload| resume_unwind(payload))
}
