//! What the threads of a pool share, and how a job that is pushed finds somebody to run it.
//!
//! The rule: *no job waits while a thread that may run it sleeps*. While jobs are queued, either
//! somebody is awake to see to them, which `awake` says, or as many are active as may be:
//!
//! ```text
//!   awake  =  | lookers: threads that will look into every queue before they sleep
//!             | WATCHING: one will look within WATCH
//!             | FULL: `max_threads` are active; each of them looks when its job is done
//!             | SURPLUS: more than that are, since parked ones have come back; one has to go idle
//! ```
//!
//! So who submits needs the book's lock only to bring somebody in. Why nobody is missed:
//!
//! ```text
//!   who submits:  push the job;         fence;  read awake
//!   who leaves:   take himself off it;  fence;  look into the queues
//! ```
//!
//! Of two fences one is the first. If the submitter's is, the leaver sees the job; if the leaver's is,
//! the submitter sees that he has gone. The fences are SeqCst, and there are no others in this crate.

use crate::idle::{Book, Bring, Desk, Role};
use crate::job::Queued;
use crate::join::discard;
use crate::own::{self, Own};
use crate::parker::{Parker, Woken};
use crate::refusal::Refusal;
use crate::retry::Joining;
use crate::sync::{
    Arc, AtomicBool, AtomicUsize, Injector, Local, Mutex, MutexGuard, Ordering, Steal,
    SystemThread, available_parallelism, fence, start_thread,
};
use std::time::{Duration, Instant};

pub(crate) const WATCHING: usize = 1;
pub(crate) const FULL: usize = 2;
pub(crate) const SURPLUS: usize = 4;
pub(crate) const LOOKER: usize = 8;

/// How many threads are brought in at once when it is known that the jobs block. Of a chain of one by one each link
/// waits for a thread's start.
pub(crate) const AT_ONCE: usize = 4;

pub(crate) struct Settings {
    pub(crate) max_threads: usize,
    pub(crate) max_parked: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) spin_time: Duration,
    pub(crate) thread_name: String,
    pub(crate) stack_size: Option<usize>,
}

pub(crate) struct Crew {
    pub(crate) settings: Settings,
    pub(crate) injector: Injector<Queued>,
    /// Jobs that a thread had taken to its own queue and gave back, because it parks: older than what the injector
    /// holds, so they go first.
    pub(crate) returned: Injector<Queued>,
    pub(crate) book: Mutex<Book>,
    pub(crate) awake: AtomicUsize,
    /// Some thread's own queue may hold jobs: the last one to stop looking has to bring another, who
    /// looks there, even if he sees no more jobs himself. Set in `mark`.
    pub(crate) unseen: AtomicBool,
    closed: AtomicBool,
    /// The system has refused a thread that jobs still wait for. A hint, so relaxed: each retry looks under the lock.
    refused: AtomicBool,
    /// Told of a refusal.
    pub(crate) joining: Joining,
    /// An idle worker is spinning: one at a time.
    spinning: AtomicBool,
    pub(crate) cores: usize,
    started: AtomicUsize,
    /// What a started thread does: `worker::main`.
    thread_main: ThreadMain,
}

/// Tries again while the queue says so.
fn insist<T>(mut steal: impl FnMut() -> Steal<T>) -> Option<T> {
    loop {
        match steal() {
            Steal::Success(item) => return Some(item),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}

/// The last of a job may take something of a user's with it, whose drop may panic.
fn refuse(jobs: Vec<Queued>, why: &Refusal) {
    for job in jobs {
        job.refuse(why.clone());
        discard(job);
    }
}

type ThreadMain = fn(Arc<Crew>, Arc<Desk>, Local<Queued>, Role);

impl Crew {
    pub(crate) fn new(settings: Settings, thread_main: ThreadMain) -> Self {
        Self {
            settings,
            injector: Injector::new(),
            returned: Injector::new(),
            book: Mutex::new(Book::default()),
            awake: AtomicUsize::new(0),
            unseen: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            refused: AtomicBool::new(false),
            joining: Joining::default(),
            spinning: AtomicBool::new(false),
            cores: available_parallelism().map_or(2, |cores| cores.get().max(2)),
            started: AtomicUsize::new(0),
            thread_main,
        }
    }

    pub(crate) fn submit(self: &Arc<Self>, job: Queued) {
        if self.closed.load(Ordering::Relaxed) {
            return job.refuse(Refusal::ShutDown);
        }
        let first;
        match own::of(self).filter(|own| !own.is_away()) {
            Some(own) => {
                first = own.local.is_empty() && self.is_shared_empty();
                own.local.push(job);
                self.mark();
            }
            None => {
                first = self.is_shared_empty();
                self.injector.push(job);
            }
        }
        fence(Ordering::SeqCst); // Pairs with `start`, `leave`, `wind_up`; `Worker::stop_looking`, `rest`, `watch`.
        let awake = self.awake.load(Ordering::Relaxed);
        // Where there was a queue before, the watcher has seen it move; a lone job is worth a thread.
        if awake == 0 || (awake == WATCHING && first) {
            self.bring(self.book.lock(), false);
        }
        if self.closed.load(Ordering::Relaxed) {
            self.refuse_all();
        }
    }

    /// After a push to this worker's own queue, and before the fence that comes before `awake` is read. Most find the mark
    /// set, and write nothing that others write too.
    ///
    /// Whoever wipes the mark off does so before *his* fence, and looks into all queues after it. If this fence is
    /// the first, he sees the push. If his is, this load sees that he has wiped, and what it finds is a
    /// later mark, or none and sets it: and that is seen by who stops looking, as the caller's fence says.
    pub(crate) fn mark(&self) {
        fence(Ordering::SeqCst); // Pairs with the one in `Worker::rest`.
        if !self.unseen.load(Ordering::Relaxed) {
            self.unseen.store(true, Ordering::Relaxed);
        }
    }

    /// Brings somebody to the queues, unless that isn't needed any more or can't be.
    pub(crate) fn bring(self: &Arc<Self>, mut book: MutexGuard<'_, Book>, for_backlog: bool) {
        let lookers = self.awake.load(Ordering::Relaxed) / LOOKER;
        let enough = match for_backlog && book.growth.is_growing() {
            true => AT_ONCE,
            false => 1,
        };
        let is_full = book.active() >= self.settings.max_threads;
        // Asked again, since the jobs may have been taken while the lock was waited for.
        if lookers >= enough || book.closed || is_full || !self.has_jobs(&book) {
            return;
        }
        let bring = book.bring(for_backlog, self.cores);
        match &bring {
            Bring::Nobody => return,
            Bring::Wake(desk) if book.is_watcher(desk) => {}
            Bring::Start(Role::Watch) => {}
            Bring::Wake(_) | Bring::Start(Role::Look) => {
                self.awake.fetch_add(LOOKER, Ordering::SeqCst);
            }
        }
        match bring {
            Bring::Nobody => {}
            Bring::Wake(desk) => {
                self.update(&book);
                drop(book);
                desk.parker.unpark();
            }
            Bring::Start(role) => {
                let local = Local::new_fifo();
                let desk = self.new_desk(&local);
                book.enrol(&desk, role);
                self.update(&book);
                drop(book);
                self.start(desk, local, role);
            }
        }
    }

    pub(crate) fn new_desk(&self, local: &Local<Queued>) -> Arc<Desk> {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        Arc::new(Desk {
            number,
            name: format!("{}-{number}", self.settings.thread_name),
            system: SystemThread::default(),
            parker: Parker::new(),
            stealer: local.stealer(),
            taken: AtomicUsize::new(0),
            seen: AtomicUsize::new(0),
            current: Mutex::new(None),
            busy: AtomicBool::new(false),
        })
    }

    pub(crate) fn start(self: &Arc<Self>, desk: Arc<Desk>, local: Local<Queued>, role: Role) {
        let body = {
            let (crew, desk) = (self.clone(), desk.clone());
            let thread_main = self.thread_main;
            move || thread_main(crew, desk, local, role)
        };
        let Err(error) = start_thread(desk.name.clone(), self.settings.stack_size, body) else {
            if self.is_refused() {
                self.refused.store(false, Ordering::Relaxed);
            }
            return;
        };
        // No thread. What was left to it is for somebody else, or else for nobody.
        let mut book = self.book.lock();
        // It may have been begun as a watcher, and been counted on as a looker since.
        let looker = !book.is_watcher(&desk);
        book.strike_off(&desk);
        if looker {
            self.awake.fetch_sub(LOOKER, Ordering::SeqCst);
        }
        self.update(&book);
        fence(Ordering::SeqCst); // Pairs with the one in `submit`.
        if self.awake.load(Ordering::Relaxed) >= LOOKER || !self.has_jobs(&book) {
            return;
        }
        if book.sleeping() > 0 {
            return self.bring(book, false);
        }
        if book.active() == 0 {
            // Taken in the same step in which it is found that nobody is there to run them.
            let jobs = self.take_all(&book);
            drop(book);
            let why = Refusal::NoThread(desk.name.as_str().into(), Arc::new(error));
            return refuse(jobs, &why);
        }
        drop(book);
        // They are left to those that run, which may wait for them: so the threads that wait for this pool ask again. Those
        // that are about to wait look after the lock that this takes.
        self.refused.store(true, Ordering::Relaxed);
        self.joining.wake_all();
    }

    /// Whether jobs wait for a thread that the system has refused.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// Asks the system for a thread again, if jobs still wait for one that it has refused.
    pub(crate) fn retry_refused(self: &Arc<Self>) {
        let book = self.book.lock();
        self.refused.store(false, Ordering::Relaxed);
        if self.awake.load(Ordering::Relaxed) < LOOKER {
            self.bring(book, false);
        }
    }

    /// Makes the flags in `awake` say what the book says.
    pub(crate) fn update(&self, book: &Book) {
        let active = book.active();
        let mut flags = 0;
        if book.is_watched() {
            flags |= WATCHING;
        }
        if active >= self.settings.max_threads {
            flags |= FULL;
        }
        if active > self.settings.max_threads {
            flags |= SURPLUS;
        }
        // Changed under the book's lock only, so what is read here is what they are.
        let changed = (self.awake.load(Ordering::Relaxed) ^ flags) % LOOKER;
        if changed != 0 {
            self.awake.fetch_xor(changed, Ordering::SeqCst);
        }
    }

    pub(crate) fn is_shared_empty(&self) -> bool {
        self.injector.is_empty() && self.returned.is_empty()
    }

    /// Looks at each active thread, of which there are about `max_threads` at the most.
    pub(crate) fn has_jobs(&self, book: &Book) -> bool {
        let mut own = book.active_desks().map(|desk| &desk.stealer);
        !self.is_shared_empty() || own.any(|stealer| !stealer.is_empty())
    }

    /// The oldest job of those that were given back.
    pub(crate) fn take_returned(&self) -> Option<Queued> {
        // Empty, crossbeam's queues are asked for nothing else: a steal walks all threads now and then.
        let is_empty = self.returned.is_empty();
        (!is_empty).then(|| insist(|| self.returned.steal()))?
    }

    /// A job from the injector, with a batch of up to `limit` in all for `local`.
    pub(crate) fn take_injected(&self, local: &Local<Queued>, limit: usize) -> Option<Queued> {
        let is_empty = self.injector.is_empty();
        let steal = || self.injector.steal_batch_with_limit_and_pop(local, limit);
        (!is_empty).then(|| insist(steal))?
    }

    /// A job from some worker's own queue, with a batch of up to `limit` in all for `local`.
    pub(crate) fn take_batch_of_others(
        &self,
        book: &Book,
        local: &Local<Queued>,
        limit: usize,
    ) -> Option<Queued> {
        let mut stealers = book.active_desks().map(|desk| &desk.stealer);
        stealers.find_map(|stealer| {
            let steal = || stealer.steal_batch_with_limit_and_pop(local, limit);
            (!stealer.is_empty()).then(|| insist(steal))?
        })
    }

    /// A job from the queue of another active thread than the one of this `number`, beginning after the one
    /// of the number `after`, counted round. Says whose it was, too.
    pub(crate) fn take_one_of_others(
        &self,
        book: &Book,
        after: usize,
        number: usize,
    ) -> Option<(Queued, usize)> {
        let mut others = book
            .active_desks_after(after)
            .filter(|desk| desk.number != number && !desk.stealer.is_empty());
        others.find_map(|desk| Some((insist(|| desk.stealer.steal())?, desk.number)))
    }

    /// Takes every queued job, to be answered once the book's lock is free.
    fn take_all(&self, book: &Book) -> Vec<Queued> {
        let shared = [&self.returned, &self.injector].into_iter();
        let shared = shared.flat_map(|queue| std::iter::from_fn(|| insist(|| queue.steal())));
        let own = book
            .active_desks()
            .flat_map(|desk| std::iter::from_fn(|| insist(|| desk.stealer.steal())));
        shared.chain(own).collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Answers every queued job of a pool that is shut down.
    pub(crate) fn refuse_all(&self) {
        let jobs = self.take_all(&self.book.lock());
        refuse(jobs, &Refusal::ShutDown);
    }

    /// A worker's job begins to wait: its place is free. With `bounded`, `false` if too many wait.
    pub(crate) fn leave(self: &Arc<Self>, own: &Own, bounded: bool) -> bool {
        let mut book = self.book.lock();
        if bounded && book.parked >= self.settings.max_parked {
            return false;
        }
        // Behind this job they would wait for as long as it does, and no thread looks into the queue of a parked one. Under
        // the lock, since a shutdown that looks while a job is in neither queue would leave it unanswered.
        while let Some(job) = own.local.pop() {
            self.returned.push(job);
        }
        book.parked += 1;
        book.set_inactive(&own.desk);
        book.tell_quitters();
        self.update(&book);
        fence(Ordering::SeqCst); // Pairs with the one in `submit`.
        // The job that the wait depends on may have been queued before.
        if self.has_jobs(&book) {
            self.bring(book, false);
        }
        true
    }

    /// It goes on, at once; if it is one too many, another one goes idle.
    pub(crate) fn come_back(&self, desk: &Arc<Desk>) {
        let mut book = self.book.lock();
        book.parked -= 1;
        book.set_active(desk);
        self.update(&book);
    }

    /// An idle worker sleeps. The first of them spins a little before.
    pub(crate) fn idle(&self, desk: &Desk, deadline: Option<Instant>) -> Woken {
        if self.spinning.swap(true, Ordering::Relaxed) {
            return desk.parker.park(deadline);
        }
        let spun = || self.spinning.store(false, Ordering::Relaxed);
        let spin_time = self.settings.spin_time;
        desk.parker.spin_then_park(spin_time, deadline, spun)
    }

    /// From now on nobody sleeps: idle threads end. With `closed`, nobody submits either, and who has
    /// submitted is answered.
    pub(crate) fn wind_up(&self, closed: bool) {
        let idlers = {
            let mut book = self.book.lock();
            book.retiring = true;
            book.closed |= closed;
            book.idlers()
        };
        if closed {
            self.closed.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst); // Pairs with the one in `submit`.
            self.refuse_all();
        }
        idlers.iter().for_each(|desk| desk.parker.unpark());
    }
}
