//! Jobs that submit jobs needn't go through the pool's one lock each time: a worker has a queue of its own, and runs what
//! is in there when its job is done. But its job may be long, or wait for the other. So a *thief* is queued in the pool:
//! a job that looks into all own queues, runs one job that it finds there, and sends another thief before. One thief is
//! enough for many pushes, and a flag says that one is on its way.
//!
//! The rule: a job in an own queue is seen by a thief that is on its way, or its push finds the flag cleared and sends
//! another. Two *fences* see to that. One thread pushes, and then reads the flag. The other one clears the flag, and
//! then looks for pushes. At least one has to see what the other has stored. Without fences both may read the old value,
//! on any machine that lets a store wait while a later load goes ahead, and nearly all do.

use super::world::{AtomicBool, AtomicUsize, Mutex, fence};
use crate::cancel::{BlockingTask, job_for};
use crate::inbox::run;
use crate::on_loom;
use crate::pool::Pool;
use crate::watchdog::{ends, explore, hangs};
use crate::worker::{Job, run_job};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::Ordering::{self, Relaxed, SeqCst};
use std::sync::{Arc, mpsc};

/// A worker's own queue.
#[derive(Default)]
pub struct Own {
    jobs: Mutex<VecDeque<Job>>,
    /// How many there are, so that a thief takes no lock for nothing.
    length: AtomicUsize,
}

impl Own {
    fn change<T>(&self, change: impl FnOnce(&mut VecDeque<Job>) -> T) -> T {
        let mut jobs = self.jobs.lock().unwrap();
        let result = change(&mut jobs);
        self.length.store(jobs.len(), Relaxed);
        result
    }
}

#[derive(Default)]
pub struct Queues {
    pub all: Mutex<Vec<Arc<Own>>>,
    pub thief_comes: AtomicBool,
}

impl Queues {
    /// Pushes into an own queue. Returns whether a thief has to be sent.
    pub fn push(&self, own: &Own, job: Job, fence: fn(Ordering)) -> bool {
        own.change(|jobs| jobs.push_back(job));
        fence(SeqCst); // Pairs with that in `steal`.
        !self.thief_comes.load(Relaxed) && !self.thief_comes.swap(true, Relaxed)
    }

    pub fn steal(&self, fence: fn(Ordering)) -> Option<Job> {
        self.thief_comes.store(false, Relaxed);
        fence(SeqCst); // Pairs with that in `push`.
        let all = self.all.lock().unwrap();
        let mut full = all.iter().filter(|own| own.length.load(Relaxed) > 0);
        full.find_map(|own| own.change(VecDeque::pop_front))
    }
}

/// The pool of stage 7, with own queues.
pub struct StealingPool {
    pool: Arc<Pool>,
    queues: Queues,
}

thread_local! {
    /// Of the worker that this thread is.
    static OWN: RefCell<Option<(Arc<StealingPool>, Arc<Own>)>> = const { RefCell::new(None) };
}

impl StealingPool {
    pub fn new(max_threads: usize) -> Arc<Self> {
        Arc::new(Self {
            pool: Pool::new(max_threads),
            queues: Queues::default(),
        })
    }

    pub fn spawn_blocking<R: Send + 'static>(
        self: &Arc<Self>,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> BlockingTask<R> {
        let (job, task) = job_for(&self.pool, f);
        self.submit(job);
        task
    }

    fn submit(self: &Arc<Self>, job: Job) {
        let own = OWN.with_borrow(Clone::clone);
        let Some((_, own)) = own.filter(|(pool, _)| Arc::ptr_eq(pool, self)) else {
            return self.submit_outside(|pool| pool.run(job));
        };
        if self.queues.push(&own, job, fence) {
            self.send_thief();
        }
    }

    fn submit_outside(self: &Arc<Self>, job: impl FnOnce(Arc<Self>) + Send + 'static) {
        let this = self.clone();
        self.pool.submit(Box::new(move || job(this)));
    }

    /// A thief that has found a job sends the next one, as there may be more.
    fn send_thief(self: &Arc<Self>) {
        self.submit_outside(|pool| {
            if let Some(job) = pool.queues.steal(fence) {
                pool.send_thief();
                pool.run(job);
            }
        });
    }

    /// Runs a job, and then those that it has left in this thread's own queue.
    fn run(self: Arc<Self>, job: Job) {
        let own = Arc::new(Own::default());
        self.queues.all.lock().unwrap().push(own.clone());
        OWN.set(Some((self.clone(), own.clone())));
        run_job(job);
        while let Some(job) = own.change(VecDeque::pop_front) {
            run_job(job);
        }
        OWN.take();
        let mut all = self.queues.all.lock().unwrap();
        all.retain(|other| !Arc::ptr_eq(other, &own));
    }
}

// What fails without it, and no longer fails with it.

/// A job submits another one, and waits until that has run.
fn waits_for_its_own(submit: fn(&Arc<StealingPool>, Job)) {
    let pool = StealingPool::new(2);
    let inner = pool.clone();
    let outer = move || {
        let (tell, told) = mpsc::channel();
        submit(&inner, Box::new(move || tell.send(()).unwrap()));
        told.recv().unwrap();
    };
    run(pool.spawn_blocking(outer));
}

/// What one writes first: the job is there, and will be run some time.
fn only_push(pool: &Arc<StealingPool>, job: Job) {
    let own = OWN.with_borrow(Clone::clone).unwrap().1;
    pool.queues.push(&own, job, fence);
}

/// A thief is on its way, and comes while a job is pushed.
fn a_push_against_a_thief(fence: fn(Ordering)) {
    let queues = Arc::new(on_loom::stealing::Queues::default());
    let own = Arc::new(on_loom::stealing::Own::default());
    queues.all.lock().unwrap().push(own.clone());
    queues.thief_comes.store(true, Relaxed);
    let thief = queues.clone();
    let thief = loom::thread::spawn(move || thief.steal(fence).is_some());
    let sends_another = queues.push(&own, Box::new(|| ()), fence);
    assert!(
        thief.join().unwrap() || sends_another,
        "a job that nobody sees"
    );
}

pub fn main() {
    let hung = hangs(|| waits_for_its_own(only_push));
    println!("a job waits for one in its own queue: hangs = {hung}");
    ends(|| waits_for_its_own(StealingPool::submit));
    println!("with thieves: it ends");
    println!(
        "without fences: {}",
        explore(|| a_push_against_a_thief(|_| ()))
    );
    println!(
        "with fences: {}",
        explore(|| a_push_against_a_thief(loom::sync::atomic::fence))
    );
}

// For real: `src/pool/awake.rs` and `src/pool/steal.rs`. There the flag is `local_jobs`, idle workers are the thieves, and
// take several jobs along at once. The queues are crossbeam's, which have no lock at all.
