//! Starts a thread. If the system refuses it, decides about the queued jobs:
//!
//! | after a refusal, the pool has | the queued jobs |
//! | --- | --- |
//! | a searching thread | it scans the queues |
//! | an idle thread | it is woken |
//! | no active thread | they are refused with [`Refusal::NoThread`] |
//! | active threads only, all of which may wait for these jobs | they stay queued, and the pool asks for a thread again |
//!
//! [`thread_retry`](crate::pool::thread_retry) implements the last case.

use crate::pool::job::Queued;
use crate::pool::refusal::Refusal;
use crate::pool::registry::Registry;
use crate::pool::threads::{Demand, Role, ThreadInfo};
use crate::sync::panics::drop_quietly;
use crate::sync::{Arc, Local, start_thread};
use std::io;

impl Registry {
    pub(crate) fn start(
        self: &Arc<Self>,
        thread: Arc<ThreadInfo>,
        local: Local<Queued>,
        role: Role,
    ) {
        let body = {
            let (registry, thread) = (self.clone(), thread.clone());
            let thread_main = self.thread_main;
            move || thread_main(registry, thread, local, role)
        };
        let started = start_thread(thread.name.clone(), self.settings.stack_size, body);
        if let Err(error) = started {
            self.see_to_refused(&thread, error);
        }
    }

    fn see_to_refused(self: &Arc<Self>, thread: &Arc<ThreadInfo>, error: io::Error) {
        let mut threads = self.threads.lock();
        // If the thread was started as a watcher, it may count as searching by now.
        let is_searching = !threads.is_watcher(thread);
        threads.remove(thread);
        if is_searching {
            self.awake.stop_searching();
        }
        self.update_awake(&threads);
        self.awake.fence_before_scan();
        if self.awake.state().searching() > 0 || !self.has_jobs(&threads) {
            return;
        }
        if threads.idle_count() > 0 {
            self.wake_or_start(threads, Demand::Job);
            return;
        }
        if threads.active_count() == 0 {
            // One step under the lock: no thread exists, and the jobs are taken.
            let jobs = self.take_all(&threads);
            drop(threads);
            let why = Refusal::NoThread(thread.name.as_str().into(), Arc::new(error));
            return refuse(jobs, &why);
        }
        let is_news = self.refusals.set();
        drop(threads);
        if is_news {
            self.tell_of_refusal();
        }
    }
}

/// Completes jobs without running them. If a job is dropped, its captured values may panic.
pub(crate) fn refuse(jobs: Vec<Queued>, why: &Refusal) {
    for job in jobs {
        job.refuse(why.clone());
        drop_quietly(job);
    }
}
