//! Which thread of a pool does what. One lock guards this table.
//!
//! | a thread is | which means | in `active` | its own queue is scanned |
//! | --- | --- | --- | --- |
//! | *active* | it runs a job, searches for one, or is being started | yes | yes |
//! | *asleep* | it is idle, in the list of sleepers | no | no: it is empty |
//! | *on watch* | it checks at intervals whether the others take jobs | no | no: it is empty |
//! | *parked* | its job waits in a call of this crate, and its slot is released | no | no: it is empty |
//!
//! The rules:
//! - a thread is woken or started only while fewer than `max_threads` are active;
//! - the last thread to fall asleep is the first to be woken, so that the others can end;
//! - there is at most one watcher;
//! - to take or run a job, no thread walks the threads that sleep or wait.

use crate::pool::growth::{Growth, Sample};
use crate::pool::job::Queued;
use crate::pool::report::Parked;
use crate::sync::hint::Hint;
use crate::sync::parker::Parker;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, Stealer, SystemThread};
use std::collections::{BTreeMap, VecDeque};
use std::panic::Location;
use std::time::Instant;

/// What other threads know of a worker.
pub(crate) struct ThreadInfo {
    /// The thread's number among all that the pool has made.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) system: SystemThread,
    pub(crate) parker: Parker,
    pub(crate) stealer: Stealer<Queued>,
    /// How many jobs it has taken. Written by the worker, read by the watcher: a hint, so relaxed.
    pub(crate) taken: AtomicUsize,
    /// The value of `taken` at the watcher's last check.
    seen: AtomicUsize,
    /// The job that the thread runs, or ran last.
    pub(crate) current: Mutex<Option<CurrentJob>>,
    /// Whether `current` still runs. Cleared before the job's result is visible, and visible with it.
    pub(crate) busy: AtomicBool,
    /// The thread runs no user code: no job, and no waker of a job's caller.
    pub(crate) is_between_jobs: AtomicBool,
    /// What its job waits in. For dumps.
    pub(crate) parked: Hint<Parked>,
}

/// The job of a thread: the earliest time when it may have begun, and where it was submitted.
#[derive(Clone, Copy)]
pub(crate) struct CurrentJob {
    pub(crate) since: Instant,
    pub(crate) submitted_at: &'static Location<'static>,
}

impl ThreadInfo {
    pub(crate) fn new(number: usize, name: String, stealer: Stealer<Queued>) -> Self {
        Self {
            number,
            name,
            system: SystemThread::default(),
            parker: Parker::new(),
            stealer,
            taken: AtomicUsize::new(0),
            seen: AtomicUsize::new(0),
            current: Mutex::new(None),
            busy: AtomicBool::new(false),
            is_between_jobs: AtomicBool::new(true),
            parked: Hint::default(),
        }
    }

    pub(crate) fn running(&self) -> Option<CurrentJob> {
        let busy = self.busy.load(Ordering::Relaxed);
        busy.then(|| *self.current.lock()).flatten()
    }
}

/// A thread that waits in `shutdown`.
pub(crate) struct ShutdownWaiter {
    pub(crate) parker: Arc<Parker>,
    /// The thread is one of the pool's own.
    pub(crate) is_own: bool,
    pub(crate) done: bool,
}

/// What the active threads have taken from the queues.
#[derive(Default)]
pub(crate) struct Progress {
    /// How many jobs were taken.
    pub(crate) taken: usize,
    /// Jobs wait in the own queue of a thread that has taken none.
    pub(crate) stuck: bool,
}

/// What a thread does after it is woken or started.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Role {
    /// Scan the queues at once.
    Search,
    /// Check whether the others take jobs, and take one if they don't.
    Watch,
}

/// Why a thread is wanted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Demand {
    /// A job was pushed, and no other one is queued.
    LoneJob,
    /// A job is queued.
    Job,
    /// More jobs are queued than the threads have taken. They may just be many and short.
    Backlog,
}

impl Demand {
    /// How many threads may be active before the watcher decides. Threads whose jobs are known to block don't count. Without
    /// the bound for lone jobs, a stream of jobs that compute would start a thread each.
    fn threads_at_once(self, cores: usize) -> usize {
        match self {
            Self::LoneJob => 2 * cores + 1,
            Self::Job => 2 * cores,
            // One more than there are processors: the loop that awaits the jobs wants one too, and takes it from a thread.
            Self::Backlog => cores + 1,
        }
    }
}

/// The thread that was chosen to scan the queues.
#[must_use]
pub(crate) enum Chosen {
    Nobody,
    Wake(Arc<ThreadInfo>),
    Start(Role),
}

#[derive(Default)]
pub(crate) struct Threads {
    /// All threads that live or are being started, by number.
    pub(crate) all: BTreeMap<usize, Arc<ThreadInfo>>,
    active: BTreeMap<usize, Arc<ThreadInfo>>,
    pub(crate) parked: usize,
    /// How many of the pool's own threads wait in `shutdown`. They count as parked too.
    pub(crate) in_shutdown: usize,
    /// In the order in which they fell asleep.
    sleeping: VecDeque<(SleepNumber, Arc<ThreadInfo>)>,
    next_sleep: u64,
    watcher: Option<Arc<ThreadInfo>>,
    pub(crate) growth: Growth,
    /// How many active threads were blocked in their jobs when the watcher last asked the system. Without it, while threads
    /// block for long, each further job would have to wait for the watcher.
    blocked: usize,
    /// The last `Pool` was dropped, or the pool was shut down: idle threads end.
    pub(crate) retiring: bool,
    /// The pool was shut down: it runs no further job.
    pub(crate) closed: bool,
    pub(crate) shutdown_waiters: Vec<ShutdownWaiter>,
}

/// One sleep of one thread. It rises with each sleep, so a binary search finds it in the list of sleepers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SleepNumber(u64);

/// How many threads a watcher asks the system about at once. A query takes 3 to 10 microseconds.
const SAMPLE: usize = 16;

impl Threads {
    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn active_count(&self) -> usize {
        let watching = usize::from(self.watcher.is_some());
        debug_assert_eq!(
            self.active.len(),
            self.all.len() - self.parked - self.sleeping.len() - watching
        );
        self.active.len()
    }

    /// The threads whose own queues may hold jobs.
    pub(crate) fn active_threads(&self) -> impl Iterator<Item = &Arc<ThreadInfo>> {
        self.active.values()
    }

    /// The active threads, beginning after that `number`, and wrapping around.
    pub(crate) fn active_threads_after(
        &self,
        number: usize,
    ) -> impl Iterator<Item = &Arc<ThreadInfo>> {
        let after = self.active.range(number.saturating_add(1)..);
        after
            .chain(self.active.range(..=number))
            .map(|(_, thread)| thread)
    }

    /// How many threads sleep or keep watch.
    pub(crate) fn idle_count(&self) -> usize {
        self.sleeping.len() + usize::from(self.watcher.is_some())
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watcher.is_some()
    }

    pub(crate) fn is_watcher(&self, thread: &Arc<ThreadInfo>) -> bool {
        self.watcher
            .as_ref()
            .is_some_and(|watcher| Arc::ptr_eq(watcher, thread))
    }

    /// Chooses the thread that scans the queues next.
    pub(crate) fn choose(&mut self, demand: Demand, cores: usize) -> Chosen {
        let at_once = self.blocked + demand.threads_at_once(cores);
        let role = if self.active_count() < at_once || self.growth.take_wanted() {
            Role::Search
        } else if self.watcher.is_some() {
            return Chosen::Nobody;
        } else {
            Role::Watch
        };
        let sleeper = self.sleeping.pop_back().map(|(_, thread)| thread);
        match (role, sleeper) {
            (Role::Search, Some(thread)) => self.activate(thread),
            (Role::Search, None) => match self.watcher.take() {
                Some(thread) => self.activate(thread),
                None => Chosen::Start(Role::Search),
            },
            (Role::Watch, Some(thread)) => {
                self.watcher = Some(thread.clone());
                Chosen::Wake(thread)
            }
            (Role::Watch, None) => Chosen::Start(Role::Watch),
        }
    }

    fn activate(&mut self, thread: Arc<ThreadInfo>) -> Chosen {
        self.set_active(&thread);
        Chosen::Wake(thread)
    }

    pub(crate) fn set_active(&mut self, thread: &Arc<ThreadInfo>) {
        self.active.insert(thread.number, thread.clone());
    }

    pub(crate) fn set_inactive(&mut self, thread: &ThreadInfo) {
        self.active.remove(&thread.number);
        self.blocked = self.blocked.min(self.active.len());
    }

    /// `sample`: the answer of the system. If it is `None`, all active threads count as blocked.
    pub(crate) fn set_blocked(&mut self, sample: Option<Sample>) {
        let active = self.active.len();
        self.blocked = sample.map_or(active, |sample| {
            active * (sample.asked - sample.wanting) / sample.asked.max(1)
        });
    }

    pub(crate) fn add(&mut self, thread: &Arc<ThreadInfo>, role: Role) {
        match role {
            Role::Search => self.set_active(thread),
            Role::Watch => self.watcher = Some(thread.clone()),
        }
        self.all.insert(thread.number, thread.clone());
    }

    pub(crate) fn remove(&mut self, thread: &Arc<ThreadInfo>) {
        self.all.remove(&thread.number);
        self.set_inactive(thread);
        self.end_watch(thread);
        self.wake_shutdown_waiters();
    }

    /// Whether the thread that waits in `shutdown` with this parker may stop waiting. Jobs that shut down their own pool
    /// don't wait for each other: if only such jobs are left, all of them are done.
    pub(crate) fn is_shut_down_for(&mut self, parker: &Arc<Parker>) -> bool {
        if self.count() <= self.in_shutdown {
            self.shutdown_waiters
                .iter_mut()
                .for_each(|waiter| waiter.done |= waiter.is_own);
        }
        let mut waiters = self.shutdown_waiters.iter();
        let this = waiters.find(|waiter| Arc::ptr_eq(&waiter.parker, parker));
        self.count() == 0 || this.is_some_and(|waiter| waiter.done)
    }

    /// Wakes the threads that wait in `shutdown`. They check again.
    pub(crate) fn wake_shutdown_waiters(&self) {
        self.shutdown_waiters
            .iter()
            .for_each(|waiter| waiter.parker.unpark());
    }

    pub(crate) fn fall_asleep(&mut self, thread: &Arc<ThreadInfo>) -> SleepNumber {
        self.set_inactive(thread);
        let sleep = SleepNumber(self.next_sleep);
        self.next_sleep += 1;
        self.sleeping.push_back((sleep, thread.clone()));
        sleep
    }

    fn find_sleeper(&self, sleep: SleepNumber) -> Option<usize> {
        self.sleeping
            .binary_search_by_key(&sleep, |(sleep, _)| *sleep)
            .ok()
    }

    /// Removes a sleeper that wakes by itself from the list. `false`: another thread has removed it to wake it.
    ///
    /// Such a sleeper is at an end of the list: the last one may find a job before it parks, and the first one times out
    /// first.
    #[must_use]
    pub(crate) fn remove_sleeper(&mut self, sleep: SleepNumber) -> bool {
        let found = self.find_sleeper(sleep);
        found
            .and_then(|index| self.sleeping.remove(index))
            .is_some()
    }

    pub(crate) fn is_asleep(&self, sleep: SleepNumber) -> bool {
        self.find_sleeper(sleep).is_some()
    }

    pub(crate) fn end_watch(&mut self, thread: &Arc<ThreadInfo>) {
        if self.is_watcher(thread) {
            self.watcher = None;
        }
    }

    pub(crate) fn resume_watch(&mut self, thread: &Arc<ThreadInfo>) {
        self.watcher = Some(thread.clone());
    }

    /// What the active threads have taken since the last call.
    pub(crate) fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for thread in self.active_threads() {
            let taken = thread.taken.load(Ordering::Relaxed);
            let before = thread.seen.swap(taken, Ordering::Relaxed);
            progress.taken = progress.taken.wrapping_add(taken.wrapping_sub(before));
            progress.stuck |= taken == before && !thread.stealer.is_empty();
        }
        progress
    }

    /// Some of the active threads for [`ask_system`], different ones each time.
    pub(crate) fn sample(&self, after: usize) -> Vec<Arc<ThreadInfo>> {
        self.active_threads_after(after)
            .take(SAMPLE)
            .cloned()
            .collect()
    }

    /// The threads that sleep or keep watch.
    pub(crate) fn idle_threads(&self) -> Vec<Arc<ThreadInfo>> {
        let sleeping = self.sleeping.iter().map(|(_, thread)| thread);
        sleeping.chain(&self.watcher).cloned().collect()
    }
}

/// What the system says about these threads, if it does. It takes long, so it is called without the lock.
pub(crate) fn ask_system(threads: &[Arc<ThreadInfo>]) -> Option<Sample> {
    let mut sample = Sample::default();
    for thread in threads {
        sample.asked += 1;
        // Between jobs, a thread may sleep for a moment in a lock of this crate.
        let is_between = thread.is_between_jobs.load(Ordering::Relaxed);
        sample.wanting += usize::from(thread.system.wants_processor()? || is_between);
    }
    Some(sample)
}
