//! A worker: a thread that takes jobs and runs them until there are none for long enough.
//!
//! ```text
//!   start          a job           done
//!     |  +--------------> running ------+
//!     v  |                              |
//!   looking <---------------------------+
//!     |  ^ ^
//!     |  | | brought: there are jobs
//!     v  | |                                  keep_alive has passed
//!   asleep +------------------------------------------------------------> end
//!     |  ^ |
//!     |  | | the queues are empty
//!     v  | |
//!   on watch ---> looking: nothing has moved in WATCH, or a lone job has come
//!     ^
//!   start
//! ```
//!
//! Where it looks: in its own queue, then in the shared one, then in everybody else's; the last look
//! is made under the book's lock, with the thread already on the list of sleepers.
//!
//! A watcher is what keeps a burst of short jobs from starting hundreds of threads, and jobs that
//! wait for each other from waiting for ever: while jobs are queued, one thread is awake now and then
//! to see whether the others get on with them. If they don't, it takes one, and twice as many come as the last time.

use crate::crew::{AT_ONCE, Crew, LOOKER, SURPLUS};
use crate::growth::{Evidence, Growth, Verdict};
use crate::idle::{Book, Current, Desk, Role, Turn, ask_system};
use crate::job::{Queued, Runner};
use crate::join::{contain, discard};
use crate::own::{self, Own};
use crate::parker::Woken;
use crate::place;
use crate::sync::{Arc, Local, MutexGuard, Ordering, fence, now};
use std::ops::ControlFlow;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many jobs a thread takes to its own queue at once, if jobs are short. More of them are fewer steps of the shared
/// queue; all can be stolen back.
const BATCH: usize = 16;

/// Jobs that take no longer than this, each, are short. Behind a longer one a batch would wait while others pass it.
const SHORT: Duration = Duration::from_micros(50);

/// Once in so many jobs a worker takes one of the others' queues first, and after so many of its own in a row one of
/// the shared one, lest jobs that keep submitting jobs starve those that wait elsewhere.
const FAIRNESS: usize = 61;

pub(crate) struct Worker {
    crew: Arc<Crew>,
    desk: Arc<Desk>,
    own: Rc<Own>,
    /// Counted in `Crew::awake`, so code that is not ours, which may wait, doesn't run while it is set.
    looking: bool,
    /// How many jobs of its own queue it has taken in a row.
    own_in_a_row: usize,
    /// Whose queue the last fairness look took a job from.
    last_of_others: usize,
    /// When it last took a job from the shared queues, and how many it had taken by then.
    last_look: Option<(Instant, usize)>,
    /// The time of that, for the job that it found.
    clock: Option<Instant>,
    /// What `Desk::current` says.
    current: Option<Current>,
}

pub(crate) fn main(crew: Arc<Crew>, desk: Arc<Desk>, local: Local<Queued>, role: Role) {
    let mut worker = Worker::begin(crew, desk, local, role);
    let mut next = ControlFlow::Continue(role);
    // A watcher that lies down, and is brought as one again, comes round here: it may do so for ever.
    while let ControlFlow::Continue(role) = next {
        next = match role {
            Role::Watch => worker.watch(),
            Role::Look => match worker.find() {
                Some(job) => {
                    worker.run(job);
                    ControlFlow::Continue(Role::Look)
                }
                None => worker.rest(),
            },
        };
    }
    // What the thread's own destructors call after this finds no worker here any more.
    place::uninstall();
    own::dismiss();
}

impl Worker {
    /// Makes this thread a worker.
    pub(crate) fn begin(
        crew: Arc<Crew>,
        desk: Arc<Desk>,
        local: Local<Queued>,
        role: Role,
    ) -> Self {
        desk.system.set_current();
        let own = Rc::new(Own::new(crew.clone(), desk.clone(), local));
        own::adopt(own.clone());
        place::install(own.clone());
        Self {
            crew,
            desk,
            own,
            looking: role == Role::Look,
            own_in_a_row: 0,
            last_of_others: 0,
            last_look: None,
            clock: None,
            current: None,
        }
    }

    fn find(&mut self) -> Option<Queued> {
        let crew = &self.crew;
        if crew.awake.load(Ordering::Relaxed) & SURPLUS != 0 {
            // `rest` decides, under the lock, whether it is this one that has to go idle.
            return None;
        }
        let taken = self.desk.taken.load(Ordering::Relaxed);
        if taken % FAIRNESS == FAIRNESS - 1 {
            let book = crew.book.lock();
            // Begins behind the last one each time.
            let others = crew.take_one_of_others(&book, self.last_of_others, self.desk.number);
            drop(book);
            if let Some((job, number)) = others {
                self.last_of_others = number;
                self.current = None;
                return Some(job);
            }
        }
        // More in a row than a batch has: these are jobs that jobs keep submitting.
        let own = if self.own_in_a_row < FAIRNESS {
            self.own.local.pop()
        } else {
            None
        };
        if own.is_some() {
            self.own_in_a_row += 1;
            return own;
        }
        self.own_in_a_row = 0;
        if self.own.local.is_empty() {
            return self.take_shared();
        }
        // One: a batch would go behind all that is in the own queue.
        let shared = crew.take_returned();
        let shared = shared.or_else(|| crew.take_injected(&self.own.local, 1));
        shared.or_else(|| self.own.local.pop())
    }

    /// A job from the shared queues, with others for the own queue if jobs are short. What was given back goes first, but
    /// for once in so many times, lest it starve the rest.
    fn take_shared(&mut self) -> Option<Queued> {
        if self.crew.is_shared_empty() {
            return None;
        }
        let limit = self.batch_limit();
        let (crew, local) = (&self.crew, &self.own.local);
        let taken = self.desk.taken.load(Ordering::Relaxed);
        if taken % FAIRNESS == FAIRNESS / 2 {
            let injected = crew.take_injected(local, 1);
            return injected.or_else(|| crew.take_returned());
        }
        let returned = crew.take_returned();
        returned.or_else(|| crew.take_injected(local, limit))
    }

    /// How many jobs may be taken at once: more than one if those since the last look were short.
    fn batch_limit(&mut self) -> usize {
        let (now, taken) = (now(), self.desk.taken.load(Ordering::Relaxed));
        self.clock = Some(now);
        let before = self.last_look.replace((now, taken));
        let are_short = before.is_some_and(|(then, before)| {
            let jobs = u32::try_from(taken.wrapping_sub(before)).unwrap_or(u32::MAX);
            now.saturating_duration_since(then) <= SHORT.saturating_mul(jobs)
        });
        if are_short { BATCH } else { 1 }
    }

    pub(crate) fn run(&mut self, job: Queued) {
        let taken = self.desk.taken.load(Ordering::Relaxed);
        self.desk
            .taken
            .store(taken.wrapping_add(1), Ordering::Relaxed);
        self.stop_looking();
        self.show(job.submitted_at());
        self.desk.busy.store(true, Ordering::Relaxed);
        // The last of a job may take something of a user's with it, whose drop may panic.
        if let Err(payload) = contain(|| job.run(self)) {
            discard(payload);
        }
        self.desk.busy.store(false, Ordering::Relaxed);
    }

    /// Says on the desk what runs here. The clock is read once for all the jobs that come from the own queue
    /// in a row: reading it costs as much as the rest of what is done for a short job.
    fn show(&mut self, submitted_at: &'static Location<'static>) {
        let since = match &self.current {
            Some(current) if self.own_in_a_row > 0 => {
                if std::ptr::eq(current.submitted_at, submitted_at) {
                    return;
                }
                current.since
            }
            _ => self.clock.take().unwrap_or_else(now),
        };
        let current = Current {
            since,
            submitted_at,
        };
        self.current = Some(current);
        *self.desk.current.lock() = self.current;
    }

    /// This thread has found a job, and may be gone for long. If it was the last one looking, and
    /// there are more jobs, it brings the next before it begins.
    fn stop_looking(&mut self) {
        let crew = &self.crew;
        // What it put there, or found there later, was marked at the time.
        let has_batch = self.own_in_a_row == 0 && !self.own.local.is_empty();
        if has_batch {
            crew.mark();
        }
        if std::mem::take(&mut self.looking) {
            crew.awake.fetch_sub(LOOKER, Ordering::SeqCst);
        }
        // Pairs with those of whoever submits, whoever else leaves, and of `Crew::wind_up`: while a batch is moved, its
        // jobs are in no queue, and he may have looked just then.
        fence(Ordering::SeqCst);
        if has_batch && crew.is_closed() {
            crew.refuse_all();
        }
        if crew.awake.load(Ordering::Relaxed) == 0
            && (!self.own.local.is_empty()
                || !crew.is_shared_empty()
                || crew.unseen.load(Ordering::Relaxed))
        {
            for _ in 0..AT_ONCE {
                crew.bring(crew.book.lock(), true);
            }
        }
    }

    /// Nothing found: looks everywhere a last time, and sleeps.
    fn rest(&mut self) -> ControlFlow<(), Role> {
        let crew = self.crew.clone();
        let mut book = crew.book.lock();
        let surplus = book.active() > crew.settings.max_threads;
        if surplus {
            // It may end in its sleep, and its own queue with it.
            while let Some(job) = self.own.local.pop() {
                crew.returned.push(job);
            }
        }
        let turn = book.fall_asleep(&self.desk);
        if std::mem::take(&mut self.looking) {
            crew.awake.fetch_sub(LOOKER, Ordering::SeqCst);
        }
        crew.update(&book);
        if !surplus {
            // Before the fence: whoever finds his mark still there is right to leave it at that.
            crew.unseen.store(false, Ordering::Relaxed);
        }
        fence(Ordering::SeqCst); // Pairs with those in `Crew::submit` and `Crew::mark`.
        if surplus {
            // The others are as many as may be; each looks when its job is done.
            return self.sleep(&crew, book, turn);
        }
        // Its own queue may hold jobs if this thread was one too many a moment ago.
        let job = self.own.local.pop().or_else(|| self.take_shared());
        let job = job.or_else(|| {
            let limit = self.batch_limit();
            crew.take_batch_of_others(&book, &self.own.local, limit)
        });
        let Some(job) = job else {
            book.growth = Growth::default();
            return self.sleep(&crew, book, turn);
        };
        let _ = book.wake_up(turn);
        book.set_active(&self.desk);
        crew.update(&book);
        if crew.has_jobs(&book) {
            crew.unseen.store(true, Ordering::Relaxed); // Seen by who wipes it next, by way of the book's lock.
        }
        drop(book);
        self.own_in_a_row = 0;
        self.run(job);
        ControlFlow::Continue(Role::Look)
    }

    /// On the list of sleepers. Sleeps until somebody takes it off, or `keep_alive` has passed.
    fn sleep<'a>(
        &mut self,
        crew: &'a Crew,
        mut book: MutexGuard<'a, Book>,
        turn: Turn,
    ) -> ControlFlow<(), Role> {
        let deadline = after(crew.settings.keep_alive);
        let mut woken = Woken::Notified;
        loop {
            if (book.retiring || woken == Woken::TimedOut) && book.wake_up(turn) {
                book.strike_off(&self.desk);
                crew.update(&book);
                return ControlFlow::Break(());
            }
            drop(book);
            woken = crew.idle(&self.desk, deadline);
            book = crew.book.lock();
            if book.is_watcher(&self.desk) {
                return ControlFlow::Continue(Role::Watch);
            }
            if !book.is_asleep(turn) {
                self.looking = true;
                return ControlFlow::Continue(Role::Look);
            }
        }
    }

    fn watch(&mut self) -> ControlFlow<(), Role> {
        let crew = self.crew.clone();
        let mut pause = {
            let book = crew.book.lock();
            let _ = book.progress();
            book.growth.pause()
        };
        let mut quiet_since = now();
        loop {
            let _ = self.desk.parker.park(after(pause));
            let mut book = crew.book.lock();
            if !book.is_watcher(&self.desk) {
                // A lone job has come, and the watcher was taken for it.
                self.looking = true;
                return ControlFlow::Continue(Role::Look);
            }
            if !self.is_worth_watching(&crew, &book) {
                // Sleeps, unless a job came just now that counted on the watch.
                book.growth = Growth::default();
                book.end_watch(&self.desk);
                let turn = book.fall_asleep(&self.desk);
                crew.update(&book);
                fence(Ordering::SeqCst); // Pairs with the one in `Crew::submit`.
                if !self.is_worth_watching(&crew, &book) {
                    return self.sleep(&crew, book, turn);
                }
                let _ = book.wake_up(turn);
                book.resume_watch(&self.desk);
                crew.update(&book);
                pause = book.growth.pause();
                continue;
            }
            let progress = book.progress();
            if progress.taken > 0 {
                quiet_since = now();
            }
            let evidence = Evidence {
                cores: crew.cores,
                active: book.active(),
                taken: progress.taken,
                stuck: progress.stuck,
                quiet: now().saturating_duration_since(quiet_since),
            };
            let mut sample = None;
            if !evidence.is_moving() {
                let some = book.sample(self.last_of_others);
                self.last_of_others = some.last().map_or(0, |desk| desk.number);
                drop(book);
                sample = ask_system(&some);
                drop(some);
                book = crew.book.lock();
                if !book.is_watcher(&self.desk) || !self.is_worth_watching(&crew, &book) {
                    pause = Duration::ZERO;
                    continue;
                }
            }
            match book.growth.decide(&evidence, sample) {
                Verdict::Double | Verdict::OneMore => {
                    book.end_watch(&self.desk);
                    book.set_active(&self.desk);
                    crew.awake.fetch_add(LOOKER, Ordering::SeqCst);
                    crew.update(&book);
                    self.looking = true;
                    return ControlFlow::Continue(Role::Look);
                }
                Verdict::Moving | Verdict::Doubtful | Verdict::Computing => {
                    pause = book.growth.pause();
                }
            }
        }
    }

    /// Jobs are queued, and another thread might run them.
    fn is_worth_watching(&self, crew: &Crew, book: &Book) -> bool {
        !book.closed && book.active() < crew.settings.max_threads && crew.has_jobs(book)
    }
}

impl Runner for Worker {
    fn offer(&mut self) {
        // Before the result is seen: who answers it with another job shall find this thread
        // looking, and not start a second one. With jobs left, somebody is awake already.
        self.desk.busy.store(false, Ordering::Relaxed);
        if self.own.local.is_empty() && self.crew.is_shared_empty() {
            self.crew.awake.fetch_add(LOOKER, Ordering::SeqCst);
            self.looking = true;
        }
    }

    fn withdraw(&mut self, done: bool) {
        self.desk.busy.store(!done, Ordering::Relaxed);
        self.stop_looking();
    }
}

fn after(duration: Duration) -> Option<Instant> {
    now().checked_add(duration)
}
