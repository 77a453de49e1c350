//! What a loop says of itself for a [dump](crate::dump()): its tasks, and what they wait for.
//!
//! The rule: nothing is recorded for it that isn't there already, beside two bytes of a task waker. The loop's own thread reads
//! its tables; it polls nothing, and calls no user code.
//!
//! A wait is known by the waker that is kept where the task waits: its data is the address of the task's [`TaskWaker`]. What
//! keeps a key instead, a timer or a task of the same loop, is known by that.

use crate::event_loop::current;
use crate::event_loop::joins::{JoinWait, Waiter};
use crate::event_loop::scheduler::{Inbox, Post, Scheduler};
use crate::event_loop::task_slab::TaskSlab;
use crate::event_loop::task_waker::{MAIN_KEY, NO_KEY, TaskWaker};
use crate::event_loop::timers::TimerTarget;
use crate::observe::pulse::Pulse;
use crate::sync::hint::Living;
use crate::sync::parker::{Parker, Woken};
use crate::sync::{Arc, Mutex, Thread, Weak, this_thread};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::Location;
use std::time::Instant;

/// All loops that haven't been dropped.
pub(crate) static LOOPS: Living<Inbox, LoopNote> = Living::new();

/// What is known of a loop that doesn't answer.
#[derive(Clone)]
pub(crate) struct LoopNote {
    pub(crate) thread: Thread,
    pub(crate) pulse: Option<Weak<Pulse>>,
}

#[derive(Default)]
pub(crate) struct LoopReport {
    pub(crate) tasks: Vec<TaskReport>,
    /// What waits for a task of the loop: the target of its waker, and the task's key.
    pub(crate) awaited: Vec<(usize, u32)>,
    /// The key of the task whose poll makes the report, so nothing is known of the wakers. It isn't among `tasks`, if it is
    /// polled for the first time.
    pub(crate) polling: Option<u32>,
}

/// A task, or with the key [`MAIN_KEY`] the main future.
pub(crate) struct TaskReport {
    pub(crate) key: u32,
    /// A number that no other task of the loop has. Zero, if the task wasn't found pending.
    pub(crate) number: u64,
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) is_ready: bool,
    /// The target of its wakers, and how many of these there are.
    pub(crate) waker: Option<(usize, usize)>,
    pub(crate) has_timer: bool,
    /// The keys of the tasks that it waits for with a handle of the loop's own.
    pub(crate) joins: Vec<u32>,
    /// Where the job was submitted that its last poll has found pending.
    pub(crate) job: Option<&'static Location<'static>>,
}

impl TaskReport {
    pub(crate) fn new(key: u32, spawned_at: &'static Location<'static>, is_ready: bool) -> Self {
        Self {
            key,
            number: 0,
            spawned_at,
            is_ready,
            waker: None,
            has_timer: false,
            joins: Vec::new(),
            job: None,
        }
    }

    fn with_waker(self, task_waker: &Arc<TaskWaker>) -> Self {
        // The loop has one reference. No poll runs, so each other one is that of a waker.
        let wakers = Arc::strong_count(task_waker) - 1;
        Self {
            is_ready: self.is_ready || task_waker.is_woken(),
            waker: Some((Arc::as_ptr(task_waker).addr(), wakers)),
            job: task_waker.job().map(|site| site.place()),
            ..self
        }
    }
}

impl Scheduler {
    /// From here on, dumps show this loop.
    pub(super) fn register(&self) {
        let note = LoopNote {
            thread: this_thread(),
            pulse: self.pulse.as_ref().map(Arc::downgrade),
        };
        LOOPS.add(self.inbox.number, &self.inbox, note);
    }

    /// Called on the loop's thread. `slab` is `None` in a poll.
    pub(crate) fn report(&self, slab: Option<&TaskSlab>) -> LoopReport {
        let ready = self.ready.borrow();
        let woken: BTreeSet<u32> = ready.woken_keys().collect();
        let polling = self.polling.get().0;
        let is_ready = |key: u32| woken.contains(&key) || key == polling;
        let mut tasks: Vec<_> = ready
            .spawned()
            .map(|(key, new)| TaskReport::new(key, new.spawned_at, true))
            .collect();
        let entered_at = self.entered_at.get().filter(|_| self.main.has_main());
        tasks.extend(entered_at.map(|at| {
            let main = TaskReport::new(MAIN_KEY, at, is_ready(MAIN_KEY));
            match slab {
                Some(_) => main.with_waker(&self.main),
                None => main,
            }
        }));
        let joins = self.joins.borrow();
        match slab {
            Some(slab) => tasks.extend(slab.entries().map(|(key, entry)| {
                let task = TaskReport::new(key, entry.site().place(), is_ready(key));
                TaskReport {
                    number: entry.number() + 1,
                    ..task.with_waker(&entry.task_waker)
                }
            })),
            None => tasks.extend(
                joins
                    .pending()
                    .map(|(key, site)| TaskReport::new(key, site.place(), is_ready(key))),
            ),
        }
        let mut report = LoopReport {
            tasks,
            awaited: Vec::new(),
            polling: Some(polling).filter(|_| slab.is_none() && polling != NO_KEY),
        };
        let index_of: BTreeMap<u32, usize> =
            report.tasks.iter().map(|task| task.key).zip(0..).collect();
        for (wait, on) in joins.awaited() {
            match wait {
                JoinWait::Task(key) => {
                    if let Some(&index) = index_of.get(&key) {
                        report.tasks[index].joins.push(on);
                    }
                }
                JoinWait::Waiter(Waiter::Waker(waker)) => {
                    report.awaited.push((waker.data().addr(), on));
                }
                JoinWait::Waiter(Waiter::Cell(cell)) => {
                    report
                        .awaited
                        .extend(cell.waiter().map(|waker| (waker, on)));
                }
            }
        }
        for target in self.timers.borrow().waiting() {
            let key = match target {
                TimerTarget::Task(key) => *key,
                TimerTarget::Waker(_) => continue,
            };
            if let Some(&index) = index_of.get(&key) {
                report.tasks[index].has_timer = true;
            }
        }
        report
    }
}

/// The report of the loop that this thread runs, if it is the loop of this inbox.
pub(crate) fn report_here(inbox: &Arc<Inbox>) -> Option<LoopReport> {
    current::with_loop_of(inbox, |scheduler| scheduler.report(None))
}

/// Where the loops leave their reports for a dump.
pub(crate) struct Answers {
    /// By the loops' addresses. `None`: the loop has dropped the question.
    reports: Mutex<BTreeMap<usize, Option<Arc<LoopReport>>>>,
    parker: Parker,
}

impl Answers {
    pub(crate) fn new() -> Self {
        Self {
            reports: Mutex::default(),
            parker: Parker::new(),
        }
    }

    fn give(&self, address: usize, report: Option<Arc<LoopReport>>) {
        self.reports.lock().insert(address, report);
        self.parker.unpark();
    }

    /// Waits for so many answers. Returns the reports that are there at the deadline, by the loops' addresses.
    pub(crate) fn wait(
        &self,
        asked: usize,
        deadline: Option<Instant>,
    ) -> BTreeMap<usize, Arc<LoopReport>> {
        while self.reports.lock().len() < asked {
            if self.parker.park(deadline) == Woken::TimedOut {
                break;
            }
        }
        let reports = std::mem::take(&mut *self.reports.lock()).into_iter();
        let given = reports.filter_map(|(address, report)| Some((address, report?)));
        given.collect()
    }
}

/// The dumps that have asked a loop. One post asks for all of them.
#[derive(Default)]
pub(crate) struct Questions {
    dumps: Vec<Weak<Answers>>,
    /// There is a [`Question`] in the inbox.
    is_posted: bool,
}

/// The post. Its drop says that there won't be a report.
struct Question(Option<Weak<Inbox>>);

impl Question {
    fn answer(&mut self, report: impl FnOnce() -> Option<LoopReport>) {
        let Some(inbox) = self.0.take() else { return };
        let Some(living) = inbox.upgrade() else {
            return;
        };
        let dumps = std::mem::take(&mut *living.questions.lock()).dumps;
        let waiting: Vec<_> = dumps.iter().filter_map(Weak::upgrade).collect();
        if waiting.is_empty() {
            return;
        }
        let report = report().map(Arc::new);
        for answers in waiting {
            answers.give(inbox.as_ptr().addr(), report.clone());
        }
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.answer(|| None);
    }
}

/// Asks a loop that is run for its report. If it is being dropped, it gives `None`.
pub(crate) fn ask(inbox: &Arc<Inbox>, answers: &Arc<Answers>) {
    let mut questions = inbox.questions.lock();
    questions.dumps.retain(|dump| dump.strong_count() > 0);
    questions.dumps.push(Arc::downgrade(answers));
    if std::mem::replace(&mut questions.is_posted, true) {
        return;
    }
    drop(questions);
    let mut question = Question(Some(Arc::downgrade(inbox)));
    let describe = move |scheduler: &Scheduler, slab: &TaskSlab| {
        question.answer(|| Some(scheduler.report(Some(slab))));
        None
    };
    let _ = inbox.post_to_run(Post::Callback(Box::new(describe)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_loop_that_does_not_answer_keeps_one_question_and_no_dump_that_has_ended() {
        let inbox = Arc::new(Inbox::new(Duration::ZERO, None, None));
        let waiting = Arc::new(Answers::new());
        (0..100).for_each(|_| ask(&inbox, &Arc::new(Answers::new())));
        ask(&inbox, &waiting);
        let posts = inbox.take();
        assert_eq!((posts.len(), inbox.questions.lock().dumps.len()), (1, 1));
        drop(posts);
        assert_eq!(waiting.reports.lock().len(), 1);
    }
}
