//! Internals for the models in `loom-tests`. Items are `pub` in a private module, which only `footbridge_loom` exports.
//!
//! These functions bring a pool into a state that a model can't reach in few steps. The rest is the pool's own code.

pub use crate::bridge::call::Call;
pub use crate::bridge::call_state::HeldPermit;
pub use crate::bridge::job::{Job, TypedJob};
pub use crate::pool::job::{Queued, Run, Runner};
pub use crate::pool::refusal::Refusal;
pub use crate::pool::threads::Role;
pub use crate::pool::wait::block_on;
pub use crate::sync::parker::{Parker, Woken};
pub use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};

use crate::pool::Pool;
use crate::pool::registry::Registry;
use crate::pool::threads::ThreadInfo;
use crate::pool::worker::Worker;
use crate::pool::worker_context::{self, WorkerContext};
use crate::sync::{Arc, Local, Steal};
use std::rc::Rc;

/// Starts a worker that begins as `role`, whether or not one is needed.
pub fn start_worker(pool: &Pool, role: Role) {
    let (thread, local) = add_thread(pool, role);
    pool.registry().start(thread, local, role);
}

/// Makes this thread a searching worker of the pool.
pub struct Searcher {
    worker: Worker,
    _member: Member,
}

impl Searcher {
    pub fn new(pool: &Pool) -> Self {
        let (thread, local) = add_thread(pool, Role::Search);
        let registry = pool.registry().clone();
        let worker = Worker::new(registry.clone(), thread.clone(), local, Role::Search);
        let _member = Member(registry, thread);
        Self { worker, _member }
    }

    /// The worker has found this job, and runs it.
    pub fn run(&mut self, job: Queued) {
        self.worker.run(job);
    }
}

impl Drop for Searcher {
    fn drop(&mut self) {
        self.worker.enter_user_code(); // Its job has made it search.
        worker_context::leave();
    }
}

/// Until it is dropped, this thread counts as one of the pool's.
pub struct Member(Arc<Registry>, Arc<ThreadInfo>);

impl Drop for Member {
    fn drop(&mut self) {
        let mut threads = self.0.threads.lock();
        threads.remove(&self.1);
        self.0.update_awake(&threads);
    }
}

/// Makes this thread a worker of the pool that never finishes its job.
pub fn be_busy(pool: &Pool) -> Member {
    let (thread, local) = add_thread(pool, Role::Search);
    let registry = pool.registry().clone();
    registry.awake.stop_searching();
    let context = WorkerContext::new(registry.clone(), thread.clone(), local);
    worker_context::enter(Rc::new(context));
    Member(registry, thread)
}

fn add_thread(pool: &Pool, role: Role) -> (Arc<ThreadInfo>, Local<Queued>) {
    let registry = pool.registry();
    let local = Local::new_fifo();
    let thread = registry.new_thread(&local);
    let mut threads = registry.threads.lock();
    threads.add(&thread, role);
    if role == Role::Search {
        registry.awake.start_searching();
    }
    registry.update_awake(&threads);
    (thread, local)
}

/// Puts a job into the shared queue, and wakes no thread.
pub fn queue(pool: &Pool, job: Queued) {
    pool.registry().injector.push(job);
}

/// Takes a job from the shared queue, like a worker that never finishes it.
pub fn take(pool: &Pool) -> Option<Queued> {
    match pool.registry().injector.steal() {
        Steal::Success(job) => Some(job),
        Steal::Empty | Steal::Retry => None,
    }
}

/// Whether the flags of `awake` match `threads`.
pub fn are_flags_right(pool: &Pool) -> bool {
    let registry = pool.registry();
    let threads = registry.threads.lock();
    let before = registry.awake.state();
    registry.update_awake(&threads);
    before == registry.awake.state()
}

/// Whether a thread is searching, or the shared queue is empty.
pub fn is_seen_to(pool: &Pool) -> bool {
    let registry = pool.registry();
    let searching = registry.awake.state().searching();
    registry.awake.fence_before_scan(); // The thread that was searching has taken the job before it said that it stops.
    searching > 0 || registry.injector.is_empty()
}

/// Whether no thread is searching and no flag is set. It must hold after all threads have ended.
pub fn is_nobody_awake(pool: &Pool) -> bool {
    let state = pool.registry().awake.state();
    pool.registry().awake.fence_before_scan();
    state.no_thread_looks()
}
