//! Who sleeps, who watches, and who may be woken or started: a pool's book, kept under one lock.
//!
//! A thread is *active* (it runs a job, looks for one, or is being started), *asleep*, on *watch*, or *parked*
//! (its job waits for something of ours, and its place is free). The rules:
//! - a thread is brought in only while fewer than `max_threads` are active;
//! - the last to fall asleep is the first to be woken, so that the others can retire;
//! - there is one watcher at most.

use crate::job::Queued;
use crate::parker::Parker;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, Stealer};
use std::panic::Location;
use std::time::Instant;

/// What the others know of a worker.
pub(crate) struct Desk {
    pub(crate) name: String,
    pub(crate) parker: Parker,
    pub(crate) stealer: Stealer<Queued>,
    /// How many jobs it has taken. Written by the worker, read by the watcher: a hint, so relaxed.
    pub(crate) taken: AtomicUsize,
    /// The same, as of the last time that the watcher looked.
    pub(crate) seen: AtomicUsize,
    /// The job it runs, or ran last.
    pub(crate) current: Mutex<Option<Current>>,
    /// Whether `current` still runs. Cleared before its result can be seen, which makes that visible too.
    pub(crate) busy: AtomicBool,
}

/// What runs on a thread: since when, at the earliest, and where it was submitted.
#[derive(Clone, Copy)]
pub(crate) struct Current {
    pub(crate) since: Instant,
    pub(crate) submitted_at: &'static Location<'static>,
}

/// Somebody who waits in `shutdown`.
pub(crate) struct Quitter {
    pub(crate) parker: Arc<Parker>,
    /// On a thread of the pool itself.
    pub(crate) is_own: bool,
    pub(crate) done: bool,
}

impl Desk {
    pub(crate) fn running(&self) -> Option<Current> {
        let busy = self.busy.load(Ordering::Relaxed);
        busy.then(|| *self.current.lock()).flatten()
    }
}

/// How the threads have got on with the queues.
#[derive(Default)]
pub(crate) struct Progress {
    /// How many jobs were taken.
    pub(crate) jobs: usize,
    /// Jobs wait in the queue of a thread that hasn't taken any.
    pub(crate) stuck: bool,
}

/// What a thread that is brought in shall do.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Role {
    /// Look for a job at once.
    Look,
    /// See whether the others get on with the queue, and step in if they don't.
    Watch,
}

#[must_use]
pub(crate) enum Bring {
    Nobody,
    Wake(Arc<Desk>),
    Start(Role),
}

#[derive(Default)]
pub(crate) struct Book {
    /// Of all living threads.
    pub(crate) desks: Vec<Arc<Desk>>,
    /// Living threads, and those that are being started.
    pub(crate) threads: usize,
    pub(crate) parked: usize,
    /// Of the pool's own threads, how many wait in `shutdown`. They are parked too.
    pub(crate) in_shutdown: usize,
    /// The last to fall asleep is the last.
    sleeping: Vec<Arc<Desk>>,
    watcher: Option<Arc<Desk>>,
    growth: Growth,
    /// The last `Pool` is gone: nobody can submit, so idle threads end.
    pub(crate) retiring: bool,
    pub(crate) closed: bool,
    /// Who waits for the threads to end.
    pub(crate) quitters: Vec<Quitter>,
}

/// How many threads are brought in on the evidence that jobs block: doubling, while it lasts.
struct Growth {
    wanted: usize,
    step: usize,
}

impl Default for Growth {
    fn default() -> Self {
        Self { wanted: 0, step: 4 }
    }
}

impl Book {
    pub(crate) fn active(&self) -> usize {
        self.threads - self.parked - self.sleeping.len() - usize::from(self.watcher.is_some())
    }

    pub(crate) fn sleeping(&self) -> usize {
        self.sleeping.len() + usize::from(self.watcher.is_some())
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.watcher.is_some()
    }

    pub(crate) fn is_watcher(&self, desk: &Arc<Desk>) -> bool {
        self.watcher
            .as_ref()
            .is_some_and(|watcher| Arc::ptr_eq(watcher, desk))
    }

    /// Chooses who comes. `for_backlog`: there are more jobs than the threads that are up have got to,
    /// which may only mean that the jobs are many and short. So beyond `cores` threads nobody is
    /// brought in for a backlog but a watcher, unless it is known that the jobs block.
    pub(crate) fn bring(&mut self, for_backlog: bool, cores: usize) -> Bring {
        let role = if !for_backlog || self.active() < cores {
            Role::Look
        } else if self.growth.wanted > 0 {
            self.growth.wanted -= 1;
            Role::Look
        } else if self.watcher.is_some() {
            return Bring::Nobody;
        } else {
            Role::Watch
        };
        match (role, self.sleeping.pop()) {
            (Role::Look, Some(desk)) => Bring::Wake(desk),
            (Role::Watch, Some(desk)) => {
                self.watcher = Some(desk.clone());
                Bring::Wake(desk)
            }
            (Role::Look, None) => match self.watcher.take() {
                Some(desk) => Bring::Wake(desk),
                None => self.start(Role::Look),
            },
            (Role::Watch, None) => self.start(Role::Watch),
        }
    }

    fn start(&mut self, role: Role) -> Bring {
        self.threads += 1;
        Bring::Start(role)
    }

    pub(crate) fn enrol(&mut self, desk: Arc<Desk>, role: Role) {
        if role == Role::Watch {
            self.watcher = Some(desk.clone());
        }
        self.desks.push(desk);
    }

    pub(crate) fn strike_off(&mut self, desk: &Arc<Desk>) {
        self.threads -= 1;
        self.desks.retain(|other| !Arc::ptr_eq(other, desk));
        self.end_watch(desk);
        self.tell_quitters();
    }

    /// Whether the one who waits in `shutdown` with this parker has waited for all. Jobs that shut
    /// down their own pool don't wait for each other: once nobody else is left, all of them are done.
    pub(crate) fn is_done(&mut self, parker: &Arc<Parker>) -> bool {
        if self.threads <= self.in_shutdown {
            self.quitters
                .iter_mut()
                .for_each(|quitter| quitter.done |= quitter.is_own);
        }
        let mut quitters = self.quitters.iter();
        let this = quitters.find(|quitter| Arc::ptr_eq(&quitter.parker, parker));
        self.threads == 0 || this.is_some_and(|quitter| quitter.done)
    }

    /// Those who wait in `shutdown` look again.
    pub(crate) fn tell_quitters(&self) {
        self.quitters
            .iter()
            .for_each(|quitter| quitter.parker.unpark());
    }

    pub(crate) fn fall_asleep(&mut self, desk: &Arc<Desk>) {
        self.sleeping.push(desk.clone());
    }

    /// Takes a sleeper off the stack: it wakes by itself. `false`: it has been brought in already.
    #[must_use]
    pub(crate) fn wake_up(&mut self, desk: &Arc<Desk>) -> bool {
        // From the top: who has just fallen asleep looks once more, and is still there.
        let place = self
            .sleeping
            .iter()
            .rposition(|other| Arc::ptr_eq(other, desk));
        place.map(|place| self.sleeping.remove(place)).is_some()
    }

    pub(crate) fn is_asleep(&self, desk: &Arc<Desk>) -> bool {
        self.sleeping.iter().any(|other| Arc::ptr_eq(other, desk))
    }

    pub(crate) fn end_watch(&mut self, desk: &Arc<Desk>) {
        if self.is_watcher(desk) {
            self.watcher = None;
        }
    }

    pub(crate) fn resume_watch(&mut self, desk: &Arc<Desk>) {
        self.watcher = Some(desk.clone());
    }

    /// The jobs block: the watcher takes one, and so many more threads shall come.
    pub(crate) fn grow(&mut self) {
        self.growth.wanted = self.growth.step - 1;
        self.growth.step *= 2;
    }

    /// Whether threads are wanted that haven't come yet.
    pub(crate) fn is_growing(&self) -> bool {
        self.growth.wanted > 0
    }

    /// The queue moves by itself.
    pub(crate) fn stop_growing(&mut self) {
        self.growth = Growth::default();
    }

    /// What has moved since the last time this was asked.
    pub(crate) fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for desk in &self.desks {
            let taken = desk.taken.load(Ordering::Relaxed);
            let before = desk.seen.swap(taken, Ordering::Relaxed);
            progress.jobs = progress.jobs.wrapping_add(taken.wrapping_sub(before));
            progress.stuck |= taken == before && !desk.stealer.is_empty();
        }
        progress
    }

    /// Everybody who sleeps or watches, to be told that the pool is at its end.
    pub(crate) fn idlers(&self) -> Vec<Arc<Desk>> {
        self.sleeping.iter().chain(&self.watcher).cloned().collect()
    }
}
