//! What the models in `loom-tests` look at from near. What is named here is `pub` in private modules, so
//! without the cfg nobody outside reaches it.
//!
//! The functions bring a pool into a state that it has too many steps to come to within a model. The steps from
//! there on are its own.

pub use crate::call::Token;
pub use crate::idle::Role;
pub use crate::job::{Called, Job, Outcome, Queued, Run, Runner};
pub use crate::parker::{Parker, Woken, block_on};
pub use crate::refusal::Refusal;
pub use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};

use crate::crew::{Crew, LOOKER};
use crate::idle::Desk;
use crate::own::{self, Own};
use crate::place;
use crate::pool::Pool;
use crate::sync::{Arc, Local, Steal};
use crate::worker::Worker;
use std::rc::Rc;

/// Starts a worker that begins as `role`, whether or not anybody is needed.
pub fn start_worker(pool: &Pool, role: Role) {
    let (desk, local) = enrol(pool, role);
    pool.crew().start(desk, local, role);
}

/// This thread as a worker of the pool's that looks for a job.
pub struct Looker {
    worker: Worker,
    _member: Member,
}

impl Looker {
    pub fn new(pool: &Pool) -> Self {
        let (desk, local) = enrol(pool, Role::Look);
        let worker = Worker::begin(pool.crew().clone(), desk.clone(), local, Role::Look);
        let _member = Member(pool.crew().clone(), desk);
        Self { worker, _member }
    }

    /// It has found this job.
    pub fn run(&mut self, job: Queued) {
        self.worker.run(job);
    }
}

impl Drop for Looker {
    fn drop(&mut self) {
        self.worker.withdraw(false); // Its job has offered it.
        place::uninstall();
        own::dismiss();
    }
}

/// On the pool's book until it is dropped.
pub struct Member(Arc<Crew>, Arc<Desk>);

impl Drop for Member {
    fn drop(&mut self) {
        let mut book = self.0.book.lock();
        book.strike_off(&self.1);
        self.0.update(&book);
    }
}

/// Makes this thread one of the pool's that is busy with a job for good.
pub fn be_busy(pool: &Pool) -> Member {
    let (desk, local) = enrol(pool, Role::Look);
    let crew = pool.crew().clone();
    crew.awake.fetch_sub(LOOKER, Ordering::SeqCst);
    own::adopt(Rc::new(Own::new(crew.clone(), desk.clone(), local)));
    Member(crew, desk)
}

fn enrol(pool: &Pool, role: Role) -> (Arc<Desk>, Local<Queued>) {
    let crew = pool.crew();
    let local = Local::new_fifo();
    let desk = crew.new_desk(&local);
    let mut book = crew.book.lock();
    book.enrol(&desk, role);
    if role == Role::Look {
        crew.awake.fetch_add(LOOKER, Ordering::SeqCst);
    }
    crew.update(&book);
    (desk, local)
}

/// Puts a job into the shared queue, and tells nobody.
pub fn queue(pool: &Pool, job: Queued) {
    pool.crew().injector.push(job);
}

/// Takes a job from the shared queue, as a worker does that is busy with it for good.
pub fn take(pool: &Pool) -> Option<Queued> {
    match pool.crew().injector.steal() {
        Steal::Success(job) => Some(job),
        Steal::Empty | Steal::Retry => None,
    }
}

/// Whether the flags of `awake` are what the book says.
pub fn is_told_as_booked(pool: &Pool) -> bool {
    let crew = pool.crew();
    let book = crew.book.lock();
    let before = crew.awake.load(Ordering::Relaxed);
    crew.update(&book);
    (before ^ crew.awake.load(Ordering::Relaxed)) % LOOKER == 0
}

/// Whether somebody looks for a job at once, or there is none in the shared queue.
pub fn is_seen_to(pool: &Pool) -> bool {
    let crew = pool.crew();
    crew.awake.load(Ordering::Acquire) >= LOOKER || crew.injector.is_empty()
}

/// Whether nobody looks for jobs, and nothing is flagged: so it has to be when all threads have ended.
pub fn is_nobody_counted(pool: &Pool) -> bool {
    pool.crew().awake.load(Ordering::Acquire) == 0
}
