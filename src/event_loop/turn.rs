//! One turn of the loop: it polls what was ready when the turn began. Also the main future, and the sleep between two turns.
//!
//! The rule: one turn runs only what was ready when it began. So a task that keeps waking itself starves neither the timers
//! nor the inbox nor the main future. The main future waits in the same queue.

use crate::context::{self, Entered};
use crate::event_loop::EventLoop;
use crate::event_loop::current::CurrentLoop;
use crate::event_loop::join_error::JoinError;
use crate::event_loop::joins::Ended;
use crate::event_loop::ready_queue::{Callback, ReadyEntry};
use crate::event_loop::scheduler::Scheduler;
use crate::event_loop::task::{NewTask, Outcome, Task, failed};
use crate::event_loop::task_waker::{MAIN_KEY, TaskWaker};
use crate::event_loop::timers::TimerTarget;
use crate::observe::event::{self, Slice};
use crate::observe::sites::Site;
use crate::pool::slot;
use crate::sync::panics::{catch_panic, drop_nested, drop_quietly, wake};
use crate::sync::{Arc, waker_ref};
use std::future::Future;
use std::panic::{Location, resume_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Instant;

impl EventLoop {
    /// Runs the loop until `future` is ready. `what` is the name of the caller, and `entered_at` the place
    /// that the main future counts as spawned at.
    #[track_caller]
    pub(crate) fn enter<F: Future>(
        &mut self,
        future: F,
        what: &str,
        entered_at: &'static Location<'static>,
    ) -> F::Output {
        let _current = CurrentLoop::enter(&self.scheduler, what);
        // The main future is polled in the context of the caller, and the tasks in those that they have inherited.
        let outer = context::Context::leave();
        let scheduler = self.scheduler.clone();
        let _awake = scheduler.keep_awake();
        let mut future = pin!(Some(future));
        let _main = scheduler.begin_main();
        scheduler.entered_at.set(Some(entered_at));
        if scheduler.len() > 0 {
            scheduler.main.schedule(&scheduler);
        } else if let Poll::Ready(output) =
            poll_main(&scheduler, future.as_mut(), outer.as_ref(), entered_at)
        {
            // If the ready queue is empty, the main future is polled at once. Many main futures are ready then.
            return output;
        }
        // If this thread is a worker, its job waits from here on. Its slot is released for jobs that the tasks submit.
        let _slot = slot::release();
        loop {
            self.begin_turn(entered_at);
            let mut output = None;
            let ran = self.turn(|scheduler| {
                if let Poll::Ready(ready) =
                    poll_main(scheduler, future.as_mut(), outer.as_ref(), entered_at)
                {
                    output = Some(ready);
                }
            });
            if let Some(output) = output {
                return output;
            }
            if ran == 0 {
                self.sleep(None);
            }
        }
    }

    /// Moves what is due behind what is ready: first the timers, then the posts of other threads, then the tasks that woke
    /// themselves. A waker that is called counts as spawned at `entered_at`.
    pub(super) fn begin_turn(&mut self, entered_at: &'static Location<'static>) {
        for target in self.scheduler.take_due_timers() {
            match target {
                TimerTarget::Task(key) => self.wake_task(key),
                TimerTarget::Waker(waker) => {
                    self.scheduler.begin_step(|| Site::of(entered_at));
                    wake(waker);
                    self.scheduler.end_step();
                }
            }
        }
        self.scheduler.gather_due();
    }

    /// Runs what was ready when the turn began. Returns the number of entries. `poll_main` polls the main future.
    pub(super) fn turn(&mut self, mut poll_main: impl FnMut(&Scheduler)) -> usize {
        let ready = self.scheduler.len();
        if ready == 0 {
            self.scheduler.shrink();
            return 0;
        }
        let _turn = event::slice(|| Slice::Turn);
        let mut due = self.scheduler.due();
        while let Some(entry) = self.scheduler.pop(&mut due) {
            match entry {
                ReadyEntry::Woken(MAIN_KEY) => poll_main(&self.scheduler),
                ReadyEntry::Woken(key) => self.poll(key),
                ReadyEntry::Spawned(key) => self.run_spawned(key),
                ReadyEntry::Aborted(key) => self.drop_aborted(key),
                ReadyEntry::Callback => self.run_callback(),
            }
        }
        self.scheduler.end_step();
        ready
    }

    /// Sleeps until a post arrives, the next timer is due, or `deadline` has come. Call it when nothing is ready.
    pub(crate) fn sleep(&self, deadline: Option<Instant>) {
        let scheduler = &self.scheduler;
        let due = scheduler.timers.borrow_mut().next_deadline();
        let first = due.into_iter().chain(deadline).min();
        scheduler.tell_asleep();
        let _ = scheduler.inbox.sleep(first, &scheduler.is_answer_due);
        scheduler.tell_awake();
    }

    fn run_spawned(&mut self, key: u32) {
        if let Some(new) = self.scheduler.take_spawned() {
            self.scheduler.begin_step(|| Site::of(new.spawned_at));
            self.first_poll(key, new);
        }
    }

    fn run_callback(&mut self) {
        let callback = self.scheduler.take_callback();
        self.scheduler.end_step(); // What the crate itself does is no step.
        let call = |callback: Callback| catch_panic(|| callback(&self.scheduler, &self.tasks));
        match callback.map(call) {
            Some(Ok(Some((key, new)))) => self.first_poll(key, new),
            Some(Err(payload)) => drop_quietly(payload),
            Some(Ok(None)) | None => {}
        }
    }

    /// Polls a new task. If it is pending, it goes into the slab.
    fn first_poll(&mut self, key: u32, new: NewTask) {
        let NewTask {
            mut task,
            spawned_at,
        } = new;
        if self.scheduler.joins.borrow().is_aborted(key) {
            return self.end_unready(key, task, JoinError::aborted());
        }
        let task_waker = self.tasks.new_task_waker(key, &self.scheduler.inbox);
        match poll_task(&self.scheduler, &mut task, &task_waker) {
            Poll::Pending => {
                let site = Site::of(spawned_at);
                self.tasks.insert(key, task, task_waker, site);
                self.scheduler.joins.borrow_mut().set_site(key, site);
            }
            Poll::Ready(outcome) => {
                self.end_wakes(key, task_waker);
                self.end(key, outcome);
            }
        }
    }

    fn poll(&mut self, key: u32) {
        let Some(entry) = self.tasks.get(key) else {
            return self.scheduler.joins.borrow_mut().unqueue(key);
        };
        self.scheduler.begin_step(|| entry.site());
        if let Poll::Ready(outcome) = poll_task(&self.scheduler, &mut entry.task, &entry.task_waker)
        {
            if let Some(ended) = self.tasks.remove(key) {
                self.end_wakes(key, ended.task_waker);
            }
            self.end(key, outcome);
        }
    }

    /// Drops an aborted task. If it wasn't polled yet, `first_poll` drops it. Aborts go before all else, so no poll begins
    /// between the abort and this. So if the task has ended since, no other task is here with its key.
    fn drop_aborted(&mut self, key: u32) {
        if let Some(entry) = self.tasks.remove(key) {
            self.scheduler.begin_step(|| entry.site());
            self.end_wakes(key, entry.task_waker);
            self.end_unready(key, entry.task, JoinError::aborted());
        }
    }

    /// The task ends: from here on, a wake queues nothing.
    fn end_wakes(&mut self, key: u32, task_waker: Arc<TaskWaker>) {
        if task_waker.end() {
            self.scheduler.joins.borrow_mut().keep_queued(key);
        }
        self.tasks.recycle(task_waker);
    }

    /// Ends a task that wasn't ready.
    pub(super) fn end_unready(&mut self, key: u32, mut task: Task, why: JoinError) {
        task.as_mut().drop_future();
        self.end(key, failed(why));
    }

    /// Wakes the task with this key, if there is one, or the main future.
    fn wake_task(&mut self, key: u32) {
        if key == MAIN_KEY {
            self.scheduler.main.schedule(&self.scheduler);
        } else if let Some(waiting) = self.tasks.get(key) {
            waiting.task_waker.schedule(&self.scheduler);
        }
    }

    /// A task has ended, and its future is gone. Stores the outcome, and wakes what waits for it.
    fn end(&mut self, key: u32, outcome: Outcome) {
        event::task_ended(|| self.scheduler.task_address(key));
        let ended = self.scheduler.joins.borrow_mut().end(key, outcome);
        match ended {
            Ended::Kept => {}
            Ended::WakeTask(key) => self.wake_task(key),
            Ended::Wake(waker) => wake(waker),
            Ended::Complete(cell, outcome) => cell.complete_erased(outcome),
            Ended::Unwanted(outcome) => drop_nested(outcome, None::<fn()>),
        }
    }
}

/// Polls a task once.
fn poll_task(scheduler: &Scheduler, task: &mut Task, task_waker: &Arc<TaskWaker>) -> Poll<Outcome> {
    // Without futures-task, the waker holds a reference. So it is dropped before the task waker is recycled.
    let waker = waker_ref(task_waker);
    task_waker.begin_poll(scheduler, &waker);
    let polled = task.as_mut().poll_erased(&mut Context::from_waker(&waker));
    task_waker.end_poll(scheduler);
    polled
}

/// Polls the main future. If it panics, the panic is passed on.
fn poll_main<F: Future>(
    scheduler: &Scheduler,
    mut future: Pin<&mut Option<F>>,
    outer: Option<&Entered>,
    entered_at: &'static Location<'static>,
) -> Poll<F::Output> {
    scheduler.begin_step(|| Site::of(entered_at));
    let _context = outer.map(Entered::bring_back);
    let waker = waker_ref(&scheduler.main);
    scheduler.main.begin_poll(scheduler, &waker);
    let Some(main) = future.as_mut().as_pin_mut() else {
        unreachable!("nothing polls it after it has given its output")
    };
    let polled = catch_panic(|| main.poll(&mut Context::from_waker(&waker)));
    scheduler.main.end_poll(scheduler);
    if !matches!(polled, Ok(Poll::Pending)) {
        // The future is dropped before the panic is passed on. A panic of the drop in an unwind would abort the process.
        // A panic of the drop is caught here, so the output is kept.
        let dropped = catch_panic(|| future.set(None));
        dropped.unwrap_or_else(drop_quietly);
    }
    scheduler.end_step();
    polled.unwrap_or_else(|payload| resume_unwind(payload))
}
