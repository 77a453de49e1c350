//! What the threads of a pool share. How a job is submitted, and how a thread is chosen for it.
//!
//! The lock of [`Threads`] guards which thread does what. A submitter reads [`Awake`] first. It takes the lock if no
//! thread will scan the queues, or only the watcher and the job is the first one queued.

use crate::observe::event::{self, Arrow, Slice};
use crate::pool::awake::{Awake, AwakeState};
use crate::pool::builder::Settings;
use crate::pool::job::{Queued, address};
use crate::pool::refusal::Refusal;
use crate::pool::thread_retry::Refusals;
use crate::pool::threads::{Chosen, Demand, Role, ThreadInfo, Threads};
use crate::pool::worker_context;
use crate::sync::{
    Arc, AtomicBool, AtomicUsize, Injector, Local, Mutex, MutexGuard, Ordering,
    available_parallelism, unique_number,
};

/// If jobs are known to block, so many threads may search at once, so that their start-up times overlap.
pub(crate) const AT_ONCE: usize = 4;

pub(crate) struct Registry {
    /// A number that no other registry has, not even one that was dropped.
    pub(crate) id: usize,
    pub(crate) settings: Settings,
    /// Jobs from threads outside the pool, and from workers without a slot.
    pub(crate) injector: Injector<Queued>,
    /// Jobs that a worker gave back from its own queue, because its job waits or it is surplus. They have been in a
    /// queue that was served, so they go before those in the injector.
    pub(crate) returned: Injector<Queued>,
    pub(crate) threads: Mutex<Threads>,
    pub(crate) awake: Awake,
    /// Set by a shutdown, never cleared. If a submitter reads `false` after its push, the shutdown's scan finds the job.
    pub(crate) closed: AtomicBool,
    pub(crate) refusals: Refusals,
    /// An idle worker spins. Only one at a time does.
    pub(crate) spinning: AtomicBool,
    pub(crate) cores: usize,
    /// How many threads were made: the number of the next one.
    next_number: AtomicUsize,
    /// The function that a started thread runs: `worker::main`.
    pub(crate) thread_main: ThreadMain,
}

pub(crate) type ThreadMain = fn(Arc<Registry>, Arc<ThreadInfo>, Local<Queued>, Role);

impl Registry {
    pub(crate) fn new(settings: Settings, thread_main: ThreadMain) -> Self {
        Self {
            id: unique_number(),
            settings,
            injector: Injector::new(),
            returned: Injector::new(),
            threads: Mutex::new(Threads::default()),
            awake: Awake::default(),
            closed: AtomicBool::new(false),
            refusals: Refusals::new(),
            spinning: AtomicBool::new(false),
            cores: available_parallelism().map_or(2, |cores| cores.get().max(2)),
            next_number: AtomicUsize::new(0),
            thread_main,
        }
    }

    /// Pushes a job. If no thread will scan the queues, wakes or starts one.
    pub(crate) fn submit(self: &Arc<Self>, job: Queued) {
        if self.is_closed() {
            return job.refuse(Refusal::ShutDown);
        }
        let _slice = event::slice(|| Slice::Submit(job.submitted_at()));
        event::arrow_from(Arrow::Submit, || address(&job));
        let is_first;
        match worker_context::of(self).filter(|context| context.has_slot.get()) {
            Some(context) => {
                is_first = context.local.is_empty() && self.are_shared_empty();
                // Two fences: the first orders the push and the flag, the second (`fence_and_read`) orders the flag and the
                // read of the word.
                context.local.push(job);
                self.awake.announce_local_jobs();
            }
            None => {
                is_first = self.are_shared_empty();
                self.injector.push(job);
            }
        }
        let awake = self.awake.fence_and_read();
        // If no thread will scan the queues, one is woken or started. If only the watcher will, the job gets a thread at
        // once if the queues were empty. Else the watcher decides.
        if awake.no_thread_looks() || (awake.is_only_watched() && is_first) {
            let demand = if is_first {
                Demand::LoneJob
            } else {
                Demand::Job
            };
            self.wake_or_start(self.threads.lock(), demand);
        }
        if self.is_closed() {
            self.refuse_all();
        }
    }

    /// Wakes or starts a thread to scan the queues, if one is needed and allowed. Returns whether a thread was woken or
    /// started.
    pub(crate) fn wake_or_start(
        self: &Arc<Self>,
        mut threads: MutexGuard<'_, Threads>,
        demand: Demand,
    ) -> bool {
        let enough = if demand == Demand::Backlog && threads.growth.is_growing() {
            AT_ONCE
        } else {
            1
        };
        let is_enough = self.awake.state().searching() >= enough;
        let is_full = threads.active_count() >= self.settings.max_threads;
        // The queues are checked again under the lock: another thread may have taken the jobs.
        if is_enough || threads.closed || is_full || !self.has_jobs(&threads) {
            return false;
        }
        match threads.choose(demand, self.cores) {
            Chosen::Nobody => return false,
            Chosen::Wake(thread) => {
                if !threads.is_watcher(&thread) {
                    self.awake.start_searching();
                }
                self.update_awake(&threads);
                drop(threads);
                thread.parker.unpark();
            }
            Chosen::Start(role) => {
                if role == Role::Search {
                    self.awake.start_searching();
                }
                let local = Local::new_fifo();
                let thread = self.new_thread(&local);
                threads.add(&thread, role);
                self.update_awake(&threads);
                drop(threads);
                self.start(thread, local, role);
            }
        }
        true
    }

    pub(crate) fn new_thread(&self, local: &Local<Queued>) -> Arc<ThreadInfo> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-{number}", self.settings.thread_name);
        Arc::new(ThreadInfo::new(number, name, local.stealer()))
    }

    /// Copies the state of `threads` into the flags of [`Awake`]. Call it after each change of `threads`.
    pub(crate) fn update_awake(&self, threads: &Threads) {
        self.awake.set_flags(AwakeState::new(
            threads.is_watched(),
            threads.active_count(),
            self.settings.max_threads,
        ));
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }
}
