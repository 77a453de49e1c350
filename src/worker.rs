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
use crate::idle::{Book, Current, Desk, Role};
use crate::job::{Queued, Runner};
use crate::join::{contain, discard};
use crate::own::{self, Own, OwnQueue};
use crate::parker::Woken;
use crate::place::{self, Place};
use crate::sync::{Arc, Local, MutexGuard, Ordering, fence, now};
use std::ops::ControlFlow;
use std::panic::Location;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How long a watcher waits for the others to get on.
const WATCH: Duration = Duration::from_micros(50);

/// Once in so many jobs a worker takes one of the others' queues first, and after so many of its own in a row one of
/// the shared one, lest jobs that keep submitting jobs starve those that wait elsewhere.
const FAIRNESS: usize = 61;

pub(crate) struct Worker {
    crew: Arc<Crew>,
    desk: Arc<Desk>,
    local: OwnQueue,
    /// Counted in `Crew::awake`, so code that is not ours, which may wait, doesn't run while it is set.
    looking: bool,
    /// How many jobs of its own queue it has taken in a row.
    own_in_a_row: usize,
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

struct WorkersPlace(Arc<Crew>);

impl Place for WorkersPlace {
    fn leave(&self, bounded: bool) -> bool {
        self.0.leave(bounded)
    }

    fn come_back(&self) {
        self.0.come_back();
    }

    fn spin_time(&self) -> Duration {
        self.0.settings.spin_time
    }
}

impl Worker {
    /// Makes this thread a worker.
    pub(crate) fn begin(
        crew: Arc<Crew>,
        desk: Arc<Desk>,
        local: Local<Queued>,
        role: Role,
    ) -> Self {
        let local = Rc::new(local);
        own::adopt(Own {
            crew: crew.address(),
            desk: desk.clone(),
            local: local.clone(),
        });
        place::install(Rc::new(WorkersPlace(crew.clone())));
        Self {
            crew,
            desk,
            local,
            looking: role == Role::Look,
            own_in_a_row: 0,
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
            // Begins with another one each time.
            let first = taken / FAIRNESS;
            let others = crew.take_one_of_others(&crew.book.lock(), first, &self.desk);
            if others.is_some() {
                self.current = None;
                return others;
            }
        }
        // More in a row than a batch has: these are jobs that jobs keep submitting.
        let own = match self.own_in_a_row < FAIRNESS {
            true => self.local.pop(),
            false => None,
        };
        match own {
            Some(job) => {
                self.own_in_a_row += 1;
                Some(job)
            }
            None => {
                self.own_in_a_row = 0;
                if self.local.is_empty() {
                    return crew.take_batch(&self.local);
                }
                // One: a batch would go behind all that is in the own queue.
                crew.take_one().or_else(|| self.local.pop())
            }
        }
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
            _ => now(),
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
        let has_batch = self.own_in_a_row == 0 && !self.local.is_empty();
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
            && (!self.local.is_empty()
                || !crew.injector.is_empty()
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
            while let Some(job) = self.local.pop() {
                crew.injector.push(job);
            }
        }
        book.fall_asleep(&self.desk);
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
            return self.sleep(&crew, book);
        }
        let job = crew.take_batch(&self.local);
        let Some(job) = job.or_else(|| crew.take_batch_of_others(&book, &self.local)) else {
            book.stop_growing();
            return self.sleep(&crew, book);
        };
        let _ = book.wake_up(&self.desk);
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
    ) -> ControlFlow<(), Role> {
        let deadline = after(crew.settings.keep_alive);
        let mut woken = Woken::Notified;
        loop {
            if (book.retiring || woken == Woken::TimedOut) && book.wake_up(&self.desk) {
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
            if !book.is_asleep(&self.desk) {
                self.looking = true;
                return ControlFlow::Continue(Role::Look);
            }
        }
    }

    fn watch(&mut self) -> ControlFlow<(), Role> {
        let crew = self.crew.clone();
        let _ = crew.book.lock().progress();
        loop {
            let _ = self.desk.parker.park(after(WATCH));
            let mut book = crew.book.lock();
            if !book.is_watcher(&self.desk) {
                // Somebody had a lone job and took the watcher for it.
                self.looking = true;
                return ControlFlow::Continue(Role::Look);
            }
            if !book.closed && book.active() < crew.settings.max_threads && crew.has_jobs(&book) {
                let progress = book.progress();
                let active = book.active();
                // Less than a job each: they are longer than the watch, or they wait.
                if progress.jobs < active.max(1) || progress.stuck || active < crew.cores {
                    book.grow();
                    book.end_watch(&self.desk);
                    crew.awake.fetch_add(LOOKER, Ordering::SeqCst);
                    crew.update(&book);
                    self.looking = true;
                    return ControlFlow::Continue(Role::Look);
                }
                book.stop_growing();
                continue;
            }
            // Nothing to watch: sleeps, unless a job came just now that counted on the watch.
            book.stop_growing();
            book.end_watch(&self.desk);
            book.fall_asleep(&self.desk);
            crew.update(&book);
            fence(Ordering::SeqCst); // Pairs with the one in `Crew::submit`.
            if !book.closed && book.active() < crew.settings.max_threads && crew.has_jobs(&book) {
                let _ = book.wake_up(&self.desk);
                book.resume_watch(&self.desk);
                crew.update(&book);
                continue;
            }
            return self.sleep(&crew, book);
        }
    }
}

impl Runner for Worker {
    fn offer(&mut self) {
        // Before the result is seen: who answers it with another job shall find this thread
        // looking, and not start a second one. With jobs left, somebody is awake already.
        self.desk.busy.store(false, Ordering::Relaxed);
        if self.local.is_empty() && self.crew.injector.is_empty() {
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
