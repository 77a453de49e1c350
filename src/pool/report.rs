//! What a pool's threads do, for a [dump](crate::dump()).

use crate::pool::job::{self, JobReport, Queued};
use crate::pool::registry::Registry;
use crate::pool::threads::CurrentJob;
use crate::pool::worker_context;
use crate::sync::hint::Living;
use crate::sync::{Arc, now};
use std::collections::BTreeSet;
use std::panic::Location;
use std::task::Waker;
use std::time::Instant;

/// All pools that haven't been dropped, or whose threads haven't ended.
pub(crate) static POOLS: Living<Registry> = Living::new();

/// What a thread's job waits in.
#[derive(Clone)]
pub(crate) struct Parked {
    /// The name of the call.
    what: &'static str,
    since: Instant,
    /// The target of the waker that ends the wait.
    waker: usize,
    job: Queued,
}

/// A job whose thread is parked. It keeps nothing of the job.
pub(crate) struct ParkedJob {
    /// The name of the call that it waits in.
    pub(crate) what: &'static str,
    pub(crate) since: Instant,
    /// The target of the waker that ends the wait.
    pub(crate) waker: usize,
    /// An address that no other living job has.
    pub(crate) address: usize,
    pub(crate) submitted_at: &'static Location<'static>,
    pub(crate) report: JobReport,
}

impl Parked {
    fn report(&self) -> ParkedJob {
        ParkedJob {
            what: self.what,
            since: self.since,
            waker: self.waker,
            address: job::address(&self.job),
            submitted_at: self.job.submitted_at(),
            report: self.job.report(),
        }
    }
}

pub(crate) struct PoolReport {
    pub(crate) name: String,
    pub(crate) max_threads: usize,
    pub(crate) queued: usize,
    pub(crate) idle: usize,
    pub(crate) workers: Vec<WorkerReport>,
}

/// A worker that isn't idle.
pub(crate) struct WorkerReport {
    pub(crate) name: String,
    /// `None`: it looks for a job, or is being started.
    pub(crate) job: Option<CurrentJob>,
    pub(crate) parked: Option<ParkedJob>,
    /// What the system says that it does, if its job isn't parked.
    pub(crate) doing: Option<String>,
}

/// While this guard exists, the thread's job waits.
pub(crate) struct ParkedGuard;

impl Drop for ParkedGuard {
    fn drop(&mut self) {
        if let Some(context) = worker_context::current() {
            drop(context.thread.parked.replace(None));
        }
    }
}

/// Says that `job`, which this thread runs, waits in a call of this name. `None` if the thread is no worker.
pub(crate) fn park(
    what: &'static str,
    waker: &Waker,
    job: impl FnOnce() -> Option<Queued>,
) -> Option<ParkedGuard> {
    let context = worker_context::current()?;
    let parked = Parked {
        what,
        since: now(),
        waker: waker.data().addr(),
        job: job()?,
    };
    drop(context.thread.parked.replace(Some(parked)));
    Some(ParkedGuard)
}

pub(crate) fn pools() -> Vec<PoolReport> {
    let report = |(registry, ()): (Arc<Registry>, ())| registry.report();
    POOLS.all().into_iter().map(report).collect()
}

impl Drop for Registry {
    fn drop(&mut self) {
        POOLS.forget(self.id);
    }
}

impl Registry {
    fn report(&self) -> PoolReport {
        let threads = self.threads.lock();
        let idle = threads.idle_threads();
        let idle: BTreeSet<_> = idle.iter().map(|thread| thread.number).collect();
        let all: Vec<_> = threads.all.values().cloned().collect();
        let local: usize = threads
            .active_threads()
            .map(|thread| thread.stealer.len())
            .sum();
        drop(threads);
        let busy = all.iter().filter(|thread| !idle.contains(&thread.number));
        let workers = busy.map(|thread| {
            let (job, parked) = (thread.running(), thread.parked.get());
            let runs = job.is_some() && parked.is_none();
            WorkerReport {
                name: thread.name.clone(),
                job,
                doing: runs.then(|| thread.system.doing()).flatten(),
                parked: parked.map(|parked| parked.report()),
            }
        });
        PoolReport {
            name: self.settings.thread_name.clone(),
            max_threads: self.settings.max_threads,
            queued: self.returned.len() + self.injector.len() + local,
            idle: idle.len(),
            workers: workers.collect(),
        }
    }
}
