//! A worker: a thread that takes jobs and runs them. If no job comes for `keep_alive`, it ends.
//!
//! | from | event | to | in |
//! | --- | --- | --- | --- |
//! | start | it was started for a job | searching | [`main`] |
//! | start | it was started to keep watch | on watch | [`main`] |
//! | searching | a job is found | running | `find` |
//! | searching | no queue has one, or the worker is surplus | asleep | `sleep.rs` |
//! | running | the job is done | searching | `run` |
//! | asleep | it is woken for a job | searching | `sleep.rs` |
//! | asleep | it is woken to keep watch | on watch | `sleep.rs` |
//! | asleep | `keep_alive` has passed, or the pool ends | end | `sleep.rs` |
//! | on watch | the jobs need one more thread, or a submit or a wait chooses this one | searching | `watch.rs` |
//! | on watch | no job is queued that another thread may run | asleep | `watch.rs` |
//!
//! A worker takes jobs from its own queue, then from the shared ones. If both are empty, it enters the list of sleepers.
//! Then it scans every queue once more, under the lock: the last look.

use crate::observe::event::{self, Arrow, Slice};
use crate::pool::job::{Queued, Runner, address};
use crate::pool::registry::{AT_ONCE, Registry};
use crate::pool::threads::{CurrentJob, Demand, Role, ThreadInfo};
use crate::pool::worker_context::{self, WorkerContext};
use crate::sync::panics::{catch_panic, drop_quietly};
use crate::sync::{Arc, Local, Ordering, now};
use std::ops::ControlFlow;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many jobs a thread takes to its own queue at once, if jobs are short. A batch saves steps on the shared queue. Other
/// threads can steal all of it.
const BATCH: usize = 16;

/// If jobs take no longer than this on average, they are short. Behind a longer job, a batch would wait while later jobs in
/// the shared queue run.
const SHORT: Duration = Duration::from_micros(50);

/// How often a worker takes from elsewhere first. Once in so many jobs, it checks the queues of other workers. After so many
/// jobs in a row from its own queue, it checks the shared ones. Otherwise jobs that keep submitting jobs would starve the
/// jobs that wait elsewhere.
const FAIRNESS: usize = 61;

pub(crate) struct Worker {
    pub(super) registry: Arc<Registry>,
    pub(super) thread: Arc<ThreadInfo>,
    pub(super) context: Rc<WorkerContext>,
    /// The worker counts as searching in [`Awake`](crate::pool::awake::Awake). Meanwhile it runs no user code, because user
    /// code may block.
    pub(super) is_searching: bool,
    /// How many jobs the worker has taken from its own queue in a row.
    pub(super) own_in_a_row: usize,
    /// The thread at which the last check of other workers' queues, or the last sample of the watch, ended.
    pub(super) last_of_others: usize,
    /// When `batch_limit` was last asked, and how many jobs the worker had taken by then.
    last_batch: Option<(Instant, usize)>,
    /// The time of that, for the job that was found.
    clock: Option<Instant>,
    /// A copy of `ThreadInfo::current`. If it is `None`, the next job reads the clock.
    current: Option<CurrentJob>,
}

pub(crate) fn main(
    registry: Arc<Registry>,
    thread: Arc<ThreadInfo>,
    local: Local<Queued>,
    role: Role,
) {
    // A thread has been started. The clear comes before this thread's first scan, so it can't erase a refusal that the scan
    // causes.
    registry.refusals.clear();
    let mut worker = Worker::new(registry, thread, local, role);
    let mut next = ControlFlow::Continue(role);
    while let ControlFlow::Continue(role) = next {
        next = match role {
            Role::Watch => worker.watch(),
            Role::Search => match worker.find() {
                Some(job) => {
                    worker.run(job);
                    ControlFlow::Continue(Role::Search)
                }
                None => worker.rest(),
            },
        };
    }
    worker_context::leave();
}

impl Worker {
    /// Makes this thread a worker.
    pub(crate) fn new(
        registry: Arc<Registry>,
        thread: Arc<ThreadInfo>,
        local: Local<Queued>,
        role: Role,
    ) -> Self {
        thread.system.set_current();
        let context = Rc::new(WorkerContext::new(registry.clone(), thread.clone(), local));
        worker_context::enter(context.clone());
        Self {
            registry,
            thread,
            context,
            is_searching: role == Role::Search,
            own_in_a_row: 0,
            last_of_others: 0,
            last_batch: None,
            clock: None,
            current: None,
        }
    }

    fn taken(&self) -> usize {
        self.thread.taken.load(Ordering::Relaxed) // Written by this thread alone.
    }

    fn find(&mut self) -> Option<Queued> {
        if self.registry.awake.state().has_surplus() {
            // `rest` decides under the lock whether this thread has to sleep.
            return None;
        }
        if let Some(job) = self.look_at_others() {
            return Some(job);
        }
        if self.own_in_a_row < FAIRNESS {
            if let Some(job) = self.context.local.pop() {
                self.own_in_a_row += 1;
                return Some(job);
            }
        }
        self.own_in_a_row = 0;
        if self.context.local.is_empty() {
            return self.take_shared();
        }
        // After `FAIRNESS` jobs from the own queue, one shared job comes first. A batch would queue behind the own jobs.
        let (registry, local) = (&self.registry, &self.context.local);
        let shared = registry.take_returned();
        let shared = shared.or_else(|| registry.take_injected(local, 1));
        shared.or_else(|| local.pop())
    }

    /// Once in [`FAIRNESS`] jobs, takes a job from another worker's own queue. Each time it begins after the last one.
    fn look_at_others(&mut self) -> Option<Queued> {
        if self.taken() % FAIRNESS != FAIRNESS - 1 {
            return None;
        }
        let threads = self.registry.threads.lock();
        let stolen = self
            .registry
            .steal_one(&threads, self.last_of_others, self.thread.number);
        drop(threads);
        let (job, number) = stolen?;
        self.last_of_others = number;
        self.current = None;
        Some(job)
    }

    /// Takes a job from the shared queues. If jobs are short, moves a batch to the own queue. Takes `returned` before the
    /// injector. Once in [`FAIRNESS`] jobs the injector comes first, so it can't starve.
    pub(super) fn take_shared(&mut self) -> Option<Queued> {
        if self.registry.are_shared_empty() {
            return None;
        }
        let limit = self.batch_limit();
        let (registry, local) = (&self.registry, &self.context.local);
        if self.taken() % FAIRNESS == FAIRNESS / 2 {
            let injected = registry.take_injected(local, 1);
            return injected.or_else(|| registry.take_returned());
        }
        let returned = registry.take_returned();
        returned.or_else(|| registry.take_injected(local, limit))
    }

    /// How many jobs may be taken at once: a batch if the jobs since the last call were short, else one.
    pub(super) fn batch_limit(&mut self) -> usize {
        let (now, taken) = (now(), self.taken());
        self.clock = Some(now);
        let before = self.last_batch.replace((now, taken));
        let are_short = before.is_some_and(|(then, before)| {
            let jobs = u32::try_from(taken.wrapping_sub(before)).unwrap_or(u32::MAX);
            now.saturating_duration_since(then) <= SHORT.saturating_mul(jobs)
        });
        if are_short { BATCH } else { 1 }
    }

    pub(crate) fn run(&mut self, job: Queued) {
        let taken = self.taken().wrapping_add(1);
        self.thread.taken.store(taken, Ordering::Relaxed);
        self.stop_searching();
        self.set_current(job.submitted_at());
        self.set_busy(true, true);
        let _slice = event::slice(|| Slice::Job(job.submitted_at()));
        event::arrow_to(Arrow::Submit, || address(&job));
        // `run` catches the panics of user code itself. If one gets through, the worker goes on.
        if let Err(payload) = catch_panic(|| job.run(self)) {
            drop_quietly(payload);
        }
        self.set_busy(false, false);
    }

    fn set_busy(&self, runs_job: bool, runs_user_code: bool) {
        self.thread.busy.store(runs_job, Ordering::Relaxed);
        let is_between_jobs = &self.thread.is_between_jobs;
        is_between_jobs.store(!runs_user_code, Ordering::Relaxed);
    }

    /// Sets `ThreadInfo::current`. Jobs from the own queue share one clock reading. A reading costs as much as the rest of a
    /// short job.
    fn set_current(&mut self, submitted_at: &'static Location<'static>) {
        let since = match &self.current {
            Some(current) if self.own_in_a_row > 0 => {
                if std::ptr::eq(current.submitted_at, submitted_at) {
                    return;
                }
                current.since
            }
            _ => self.clock.take().unwrap_or_else(now),
        };
        let current = CurrentJob {
            since,
            submitted_at,
        };
        self.current = Some(current);
        *self.thread.current.lock() = self.current;
    }

    /// The thread has found a job, and may be busy for long. If no thread is left that will scan the queues, and jobs
    /// remain, it wakes or starts others first.
    fn stop_searching(&mut self) {
        let registry = &self.registry;
        // `submit` announces pushed jobs. A batch is announced here, with its first job.
        let has_batch = self.own_in_a_row == 0 && !self.context.local.is_empty();
        if has_batch {
            registry.awake.announce_local_jobs();
        }
        if std::mem::take(&mut self.is_searching) {
            registry.awake.stop_searching();
        }
        registry.awake.fence_before_scan();
        if has_batch && registry.is_closed() {
            // While a batch moves, it is in no queue. A shutdown that scans at that moment misses it. So this thread scans
            // again.
            registry.refuse_all();
        }
        if registry.awake.state().no_thread_looks()
            && (!self.context.local.is_empty()
                || !registry.are_shared_empty()
                || registry.awake.has_local_jobs())
        {
            let wake_one = |_| registry.wake_or_start(registry.threads.lock(), Demand::Backlog);
            let _ = (0..AT_ONCE).all(wake_one);
        }
    }
}

impl Runner for Worker {
    fn start_searching(&mut self) {
        self.set_busy(false, false);
        // If jobs are left, a thread searches or watches, or the pool is full.
        if self.context.local.is_empty() && self.registry.are_shared_empty() {
            self.registry.awake.start_searching();
            self.is_searching = true;
        }
    }

    fn enter_user_code(&mut self) {
        self.set_busy(false, true);
        self.stop_searching();
    }
}
