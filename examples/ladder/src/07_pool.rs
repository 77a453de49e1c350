//! One worker runs one job at a time. Jobs that block may well wait for each other, and then one is too few. A *pool*
//! starts a worker when there are more jobs than idle workers, up to a number. Idle workers retire after a while.
//!
//! The rule: no job is queued while a worker that may run it sleeps, or while one more may be started.

use super::inbox::run;
use super::join::{JoinHandle, spawn};
use super::parker::yield_now;
use super::worker::{Job, asyncify, new_job, run_job};
use crate::watchdog::{ends, hangs};
use std::collections::VecDeque;
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use std::time::Duration;

pub struct Pool {
    pub state: Mutex<State>,
    wake: Condvar,
    max_threads: usize,
}

#[derive(Default)]
pub struct State {
    jobs: VecDeque<Job>,
    /// Workers that count against `max_threads`: they run a job, or are idle.
    pub active: usize,
    /// Those of them that sleep.
    idle: usize,
}

const KEEP_ALIVE: Duration = Duration::from_secs(60);

impl Pool {
    pub fn new(max_threads: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            max_threads,
        })
    }

    pub fn submit(self: &Arc<Self>, job: Job) {
        let mut state = self.state.lock().unwrap();
        state.jobs.push_back(job);
        self.wake_or_start(&mut state);
    }

    /// For the job that was queued last. A worker that was woken counts as idle until it has the lock. So the idle ones
    /// are compared with all jobs that are queued.
    pub fn wake_or_start(self: &Arc<Self>, state: &mut State) {
        if state.jobs.len() <= state.idle {
            self.wake.notify_one();
        } else if state.active < self.max_threads {
            state.active += 1;
            let pool = self.clone();
            thread::spawn(move || pool.work());
        }
    }

    fn work(self: Arc<Self>) {
        while let Some(job) = self.next_job() {
            run_job(job);
        }
    }

    /// Sleeps until there is a job. `None`: the worker is to end, and isn't counted any more.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.state.lock().unwrap();
        let mut tired = false;
        while state.jobs.is_empty() && !tired {
            state.idle += 1;
            let woken = self.wake.wait_timeout(state, KEEP_ALIVE).unwrap();
            (state, tired) = (woken.0, woken.1.timed_out());
            state.idle -= 1;
        }
        let is_one_too_many = state.active > self.max_threads; // See the next stage.
        let job = if is_one_too_many {
            self.wake.notify_one(); // It was woken for a job, perhaps, and leaves that to another.
            None
        } else {
            state.jobs.pop_front()
        };
        state.active -= usize::from(job.is_none());
        job
    }

    pub fn spawn_blocking<R: Send + 'static>(
        self: &Arc<Self>,
        f: impl FnOnce() -> R + Send + 'static,
    ) -> JoinHandle<R> {
        let (job, handle) = new_job(f);
        self.submit(job);
        handle
    }
}

// What fails without it, and no longer fails with it.

impl Pool {
    /// What one writes first.
    fn wake_or_start_if_none_is_idle(self: &Arc<Self>, state: &mut State) {
        if state.idle > 0 {
            self.wake.notify_one();
        } else {
            self.wake_or_start(state);
        }
    }
}

/// Two jobs that meet, beside one idle worker, which has no chance to get the lock between the two.
async fn meet_beside_an_idle_one(wake_or_start: fn(&Arc<Pool>, &mut State)) {
    let pool = Pool::new(2);
    pool.spawn_blocking(|| ()).await.unwrap();
    while pool.state.lock().unwrap().idle == 0 {
        yield_now().await;
    }
    let barrier = Arc::new(Barrier::new(2));
    let other = barrier.clone();
    let (first, first_ends) = new_job(move || barrier.wait().is_leader());
    let (second, second_ends) = new_job(move || other.wait().is_leader());
    {
        let mut state = pool.state.lock().unwrap();
        for job in [first, second] {
            state.jobs.push_back(job);
            wake_or_start(&pool, &mut state);
        }
    }
    assert_ne!(first_ends.await.unwrap(), second_ends.await.unwrap());
}

/// Jobs that meet at a barrier: each waits until all of them run.
async fn meet(pool: Arc<Pool>, jobs: usize) {
    let barrier = Arc::new(Barrier::new(jobs));
    let meet = |_| {
        let barrier = barrier.clone();
        pool.spawn_blocking(move || barrier.wait().is_leader())
    };
    let jobs: Vec<_> = (0..jobs).map(meet).collect();
    for job in jobs {
        job.await.unwrap();
    }
}

pub fn main() {
    let worker = hangs(|| {
        run(async {
            let barrier = Arc::new(Barrier::new(2));
            let wait = |barrier: Arc<Barrier>| barrier.wait().is_leader();
            let first = spawn(asyncify(wait)(barrier.clone()));
            asyncify(wait)(barrier).await;
            first.await.unwrap();
        })
    });
    println!("two jobs meet at a barrier, on one worker: hangs = {worker}");
    let full = hangs(|| run(meet(Pool::new(4), 5)));
    println!("five on a pool of at most four: hangs = {full}");
    ends(|| run(meet(Pool::new(5), 5)));
    println!("on a pool of at most five: it ends");

    let naive = Pool::wake_or_start_if_none_is_idle;
    let hung = hangs(move || run(meet_beside_an_idle_one(naive)));
    println!("two beside an idle worker, and one is started if none is idle: hangs = {hung}");
    ends(|| run(meet_beside_an_idle_one(Pool::wake_or_start)));
    println!("one is started if there are more jobs than idle workers: it ends");
}

// For real: `src/pool/threads.rs`, `src/pool/start.rs` and `src/pool/growth.rs`. They add the last one that fell asleep
// being the first to be woken, threads that the system refuses, and growth by evidence: a burst of short jobs needs no
// thread for each.
