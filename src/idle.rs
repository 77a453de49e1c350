//! Who sleeps, who watches, and who may be woken or started: a pool's book, kept under one lock.
//!
//! A thread is *active* (it runs a job, looks for one, or is being started), *asleep*, on *watch*, or *parked*
//! (its job waits for something of ours, and its place is free). The rules:
//! - a thread is brought in only while fewer than `max_threads` are active;
//! - the last to fall asleep is the first to be woken, so that the others can retire;
//! - there is one watcher at most;
//! - jobs are in the own queues of active threads only, so no step costs more because many are parked or asleep.

use crate::growth::{Growth, Sample};
use crate::job::Queued;
use crate::parker::Parker;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Mutex, Ordering, Stealer, SystemThread};
use std::collections::{BTreeMap, VecDeque};
use std::panic::Location;
use std::time::Instant;

/// What the others know of a worker.
pub(crate) struct Desk {
    /// Of all that the pool has started, which one.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) system: SystemThread,
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

/// How the active threads have got on with the queues.
#[derive(Default)]
pub(crate) struct Progress {
    /// How many jobs were taken.
    pub(crate) taken: usize,
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
    /// All living threads, and those that are being started, by their numbers.
    pub(crate) desks: BTreeMap<usize, Arc<Desk>>,
    /// The active ones of them.
    active: BTreeMap<usize, Arc<Desk>>,
    pub(crate) parked: usize,
    /// Of the pool's own threads, how many wait in `shutdown`. They are parked too.
    pub(crate) in_shutdown: usize,
    /// In the order of falling asleep, each with its turn in that order.
    sleeping: VecDeque<(Turn, Arc<Desk>)>,
    next_turn: u64,
    watcher: Option<Arc<Desk>>,
    pub(crate) growth: Growth,
    /// The last `Pool` is gone: nobody can submit, so idle threads end.
    pub(crate) retiring: bool,
    pub(crate) closed: bool,
    /// Who waits for the threads to end.
    pub(crate) quitters: Vec<Quitter>,
}

/// When a thread has fallen asleep: found in the line of sleepers by halving it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Turn(u64);

/// So many threads a watcher asks the system about, at 3 microseconds each.
const SAMPLE: usize = 16;

impl Book {
    pub(crate) fn threads(&self) -> usize {
        self.desks.len()
    }

    pub(crate) fn active(&self) -> usize {
        let watching = usize::from(self.watcher.is_some());
        debug_assert_eq!(
            self.active.len(),
            self.desks.len() - self.parked - self.sleeping.len() - watching
        );
        self.active.len()
    }

    /// Those in whose own queues there may be jobs.
    pub(crate) fn active_desks(&self) -> impl Iterator<Item = &Arc<Desk>> {
        self.active.values()
    }

    /// The same, beginning after the one of that `number`, counted round.
    pub(crate) fn active_desks_after(&self, number: usize) -> impl Iterator<Item = &Arc<Desk>> {
        let after = self.active.range(number.saturating_add(1)..);
        after
            .chain(self.active.range(..=number))
            .map(|(_, desk)| desk)
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
    /// brought in for a backlog but a watcher, unless it is known that the jobs block; nor for lone jobs
    /// beyond twice as many, lest a stream of those that compute bring a thread each.
    pub(crate) fn bring(&mut self, for_backlog: bool, cores: usize) -> Bring {
        let at_once = if for_backlog { cores } else { 2 * cores };
        let role = if self.active() < at_once || self.growth.take_wanted() {
            Role::Look
        } else if self.watcher.is_some() {
            return Bring::Nobody;
        } else {
            Role::Watch
        };
        let sleeper = self.sleeping.pop_back().map(|(_, desk)| desk);
        match (role, sleeper) {
            (Role::Look, Some(desk)) => self.wake(desk),
            (Role::Look, None) => match self.watcher.take() {
                Some(desk) => self.wake(desk),
                None => Bring::Start(Role::Look),
            },
            (Role::Watch, Some(desk)) => {
                self.watcher = Some(desk.clone());
                Bring::Wake(desk)
            }
            (Role::Watch, None) => Bring::Start(Role::Watch),
        }
    }

    fn wake(&mut self, desk: Arc<Desk>) -> Bring {
        self.set_active(&desk);
        Bring::Wake(desk)
    }

    pub(crate) fn set_active(&mut self, desk: &Arc<Desk>) {
        self.active.insert(desk.number, desk.clone());
    }

    pub(crate) fn set_inactive(&mut self, desk: &Desk) {
        self.active.remove(&desk.number);
    }

    pub(crate) fn enrol(&mut self, desk: &Arc<Desk>, role: Role) {
        match role {
            Role::Look => self.set_active(desk),
            Role::Watch => self.watcher = Some(desk.clone()),
        }
        self.desks.insert(desk.number, desk.clone());
    }

    pub(crate) fn strike_off(&mut self, desk: &Arc<Desk>) {
        self.desks.remove(&desk.number);
        self.set_inactive(desk);
        self.end_watch(desk);
        self.tell_quitters();
    }

    /// Whether the one who waits in `shutdown` with this parker has waited for all. Jobs that shut
    /// down their own pool don't wait for each other: once nobody else is left, all of them are done.
    pub(crate) fn is_done(&mut self, parker: &Arc<Parker>) -> bool {
        if self.threads() <= self.in_shutdown {
            self.quitters
                .iter_mut()
                .for_each(|quitter| quitter.done |= quitter.is_own);
        }
        let mut quitters = self.quitters.iter();
        let this = quitters.find(|quitter| Arc::ptr_eq(&quitter.parker, parker));
        self.threads() == 0 || this.is_some_and(|quitter| quitter.done)
    }

    /// Those who wait in `shutdown` look again.
    pub(crate) fn tell_quitters(&self) {
        self.quitters
            .iter()
            .for_each(|quitter| quitter.parker.unpark());
    }

    pub(crate) fn fall_asleep(&mut self, desk: &Arc<Desk>) -> Turn {
        self.set_inactive(desk);
        let turn = Turn(self.next_turn);
        self.next_turn += 1;
        self.sleeping.push_back((turn, desk.clone()));
        turn
    }

    fn find_sleeper(&self, turn: Turn) -> Option<usize> {
        self.sleeping
            .binary_search_by_key(&turn, |(turn, _)| *turn)
            .ok()
    }

    /// Takes a sleeper out of the line: it wakes by itself. `false`: it has been brought in already. (That is at either
    /// end: the last to fall asleep looks once more, and the first one's time is up first.)
    #[must_use]
    pub(crate) fn wake_up(&mut self, turn: Turn) -> bool {
        let found = self.find_sleeper(turn);
        found
            .and_then(|index| self.sleeping.remove(index))
            .is_some()
    }

    pub(crate) fn is_asleep(&self, turn: Turn) -> bool {
        self.find_sleeper(turn).is_some()
    }

    pub(crate) fn end_watch(&mut self, desk: &Arc<Desk>) {
        if self.is_watcher(desk) {
            self.watcher = None;
        }
    }

    pub(crate) fn resume_watch(&mut self, desk: &Arc<Desk>) {
        self.watcher = Some(desk.clone());
    }

    /// What has moved since the last time this was asked.
    pub(crate) fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for desk in self.active_desks() {
            let taken = desk.taken.load(Ordering::Relaxed);
            let before = desk.seen.swap(taken, Ordering::Relaxed);
            progress.taken = progress.taken.wrapping_add(taken.wrapping_sub(before));
            progress.stuck |= taken == before && !desk.stealer.is_empty();
        }
        progress
    }

    /// Some of the active threads, other ones each time, for [`ask_system`].
    pub(crate) fn sample(&self, after: usize) -> Vec<Arc<Desk>> {
        self.active_desks_after(after)
            .take(SAMPLE)
            .cloned()
            .collect()
    }

    /// Everybody who sleeps or watches, to be told that the pool is at its end.
    pub(crate) fn idlers(&self) -> Vec<Arc<Desk>> {
        let sleeping = self.sleeping.iter().map(|(_, desk)| desk);
        sleeping.chain(&self.watcher).cloned().collect()
    }
}

/// What the system says of these threads, if it does. Without the book's lock: it takes long.
pub(crate) fn ask_system(desks: &[Arc<Desk>]) -> Option<Sample> {
    let mut sample = Sample::default();
    for desk in desks {
        sample.asked += 1;
        // Between two jobs a thread may sleep in a lock of ours, for a moment.
        let is_between = !desk.busy.load(Ordering::Relaxed);
        sample.wanting += usize::from(desk.system.wants_processor()? || is_between);
    }
    Some(sample)
}
