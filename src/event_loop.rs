//! The loop: takes what is ready, runs it, sleeps until there is more.
//!
//! The rule: one turn runs only what was ready when it began, so that a task which keeps waking itself
//! starves neither the timers, nor the inbox, nor the main future (which waits in the same line).

use crate::handle::{Handle, JoinHandle};
use crate::join::{contain, discard};
use crate::parker::Woken;
use crate::place;
use crate::queue::{MAIN, NOWHERE, Queue, Running};
use crate::ready::Entry;
use crate::spawner::LocalSpawner;
use crate::sync::{now, waker_ref};
use crate::task::Task;
use crate::tasks::Tasks;
use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

/// A single-threaded event loop, for those who own one; [`run`](crate::run) is enough for most programs.
///
/// It belongs to the thread that makes it, and runs when [`run_until`](Self::run_until) or
/// [`tick`](Self::tick) is called. In between it keeps what it is asked. Dropping it drops its tasks
/// on this thread, in the order in which they were spawned, and answers everybody who waits for one.
///
/// ```
/// use footbridge::EventLoop;
///
/// let mut event_loop = EventLoop::new();
/// let task = event_loop.spawn(async { "hello" });
/// assert_eq!(event_loop.run_until(task).unwrap(), "hello");
/// ```
pub struct EventLoop {
    queue: Rc<Queue>,
    tasks: Tasks,
}

impl EventLoop {
    pub(crate) fn of(queue: Queue) -> Self {
        Self {
            queue: Rc::new(queue),
            tasks: Tasks::default(),
        }
    }

    /// Runs the loop until `future` is ready, sleeping while there is nothing to do. Other tasks stay
    /// on the loop and go on when it is run again.
    ///
    /// # Panics
    /// If an event loop runs on this thread already. A panic of `future` is passed on; the loop is
    /// fit for the next call.
    ///
    /// ```
    /// let mut event_loop = footbridge::EventLoop::new();
    /// let other = event_loop.spawn(async { footbridge::yield_now().await });
    /// assert_eq!(event_loop.run_until(async { 1 }), 1);
    /// assert!(!other.is_finished());
    /// event_loop.run_until(other).unwrap();
    /// ```
    #[track_caller]
    pub fn run_until<F: Future>(&mut self, future: F) -> F::Output {
        // Dropped last: what is left ready when this returns is the host's to tick for.
        let _host = self.host(true);
        self.enter(future, "EventLoop::run_until")
    }

    /// `what` is the name of the caller.
    #[track_caller]
    pub(crate) fn enter<F: Future>(&mut self, future: F, what: &str) -> F::Output {
        let _running = Running::enter(&self.queue, what);
        let queue = self.queue.clone();
        let mut future = pin!(Some(future));
        let waker = waker_ref(&queue.main);
        let mut context = Context::from_waker(&waker);
        let mut poll_main = || {
            queue.main.begin_poll(&queue);
            let Some(main) = future.as_mut().as_pin_mut() else {
                unreachable!("it is taken out only when this loop is left")
            };
            let polled = contain(|| main.poll(&mut context));
            queue.end_poll();
            if !matches!(polled, Ok(Poll::Pending)) {
                // First, lest its drop panic while a panic unwinds, or take the output along.
                let dropped = contain(|| future.set(None));
                dropped.unwrap_or_else(discard);
            }
            polled.unwrap_or_else(|payload| resume_unwind(payload))
        };
        let _main = queue.begin_main();
        // With nobody before it in the line it needn't stand there. Many are ready at their first poll.
        if queue.len() > 0 {
            queue.main.schedule(&queue);
        } else if let Poll::Ready(output) = poll_main() {
            return output;
        }
        // From here on the thread waits, whatever the tasks do: a worker's place is for the jobs that they ask for.
        let _away = place::leave();
        // In a model the clock stands still: the deadline that a sleep timed out on counts as the time.
        let mut fired = None;
        loop {
            queue.gather_due(|| fired.take().map_or_else(now, |due| now().max(due)));
            let mut left = queue.len();
            if left == 0 {
                fired = self.sleep();
            }
            while left > 0 {
                left -= 1;
                match queue.pop() {
                    Some(Entry::Woken(MAIN)) => {
                        if let Poll::Ready(output) = poll_main() {
                            return output;
                        }
                    }
                    Some(Entry::Woken(key)) => self.poll(key),
                    Some(entry) => self.run(entry),
                    None => break,
                }
            }
        }
    }

    /// Sleeps until there is a post or the next timer is due. The deadline, if it has come.
    fn sleep(&self) -> Option<Instant> {
        self.queue.give_back();
        if self.queue.inbox.may_have_posts() {
            return None;
        }
        let deadline = self.queue.timers.borrow_mut().next_deadline();
        match self.queue.inbox.sleep(deadline, &self.queue.is_answer_due) {
            Woken::TimedOut => deadline,
            Woken::Notified => None,
        }
    }

    /// Runs what was ready when it began, and never waits: one turn, for a host that has a main loop
    /// of its own. `true` if it ran anything; more may be ready then.
    ///
    /// # Panics
    /// If an event loop runs on this thread already.
    ///
    /// ```
    /// let mut event_loop = footbridge::EventLoop::new();
    /// let task = event_loop.spawn(async { 7 });
    /// while event_loop.tick() {}
    /// assert!(task.is_finished());
    /// ```
    #[track_caller]
    pub fn tick(&mut self) -> bool {
        let _host = self.host(false);
        let _running = Running::enter(&self.queue, "EventLoop::tick");
        self.queue.inbox.begin_tick();
        self.queue.gather_due(now);
        let ready = self.queue.len();
        if ready == 0 {
            self.queue.give_back();
        }
        for _ in 0..ready {
            match self.queue.pop() {
                Some(entry) => self.run(entry),
                None => break,
            }
        }
        ready > 0
    }

    /// When the loop next has something to do by itself: now, if anything is ready; else when its
    /// earliest timer is due; `None` if only a wake-up from outside can bring it more.
    ///
    /// With [`tick`](Self::tick) and [`on_wake`](crate::EventLoopBuilder::on_wake) it is all that a host needs:
    ///
    /// ```
    /// use footbridge::{EventLoop, time::sleep};
    /// use std::{sync::mpsc, time::{Duration, Instant}};
    ///
    /// // A host that waits for its own events, here a channel's, and for the loop's in one place.
    /// let (events, host) = mpsc::channel();
    /// let mut event_loop = EventLoop::builder().on_wake(move || { let _ = events.send(()); }).build();
    /// let task = event_loop.spawn(sleep(Duration::from_millis(2)));
    /// while !task.is_finished() {
    ///     let patience = match event_loop.next_deadline() {
    ///         Some(deadline) => deadline.saturating_duration_since(Instant::now()),
    ///         None => Duration::from_secs(1),
    ///     };
    ///     let _ = host.recv_timeout(patience);
    ///     event_loop.tick();
    /// }
    /// ```
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.queue.len() > 0 || self.queue.inbox.has_posts() {
            return Some(now());
        }
        self.queue.timers.borrow_mut().next_deadline()
    }

    /// Spawns a task, which runs when the loop does. It need not be `Send`. [`EventLoop`] has an example.
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawner().spawn(future)
    }

    /// The way to this loop from other threads.
    ///
    /// ```
    /// let mut event_loop = footbridge::EventLoop::new();
    /// let handle = event_loop.handle();
    /// let thread = std::thread::spawn(move || handle.spawn(|| async { "from there" }));
    /// assert_eq!(event_loop.run_until(thread.join().unwrap()).unwrap(), "from there");
    /// ```
    pub fn handle(&self) -> Handle {
        Handle {
            inbox: self.queue.inbox.clone(),
        }
    }

    /// The way to this loop for code on its own thread.
    ///
    /// ```
    /// let mut event_loop = footbridge::EventLoop::new();
    /// let spawner = event_loop.spawner();
    /// let on_click = move |button: u32| spawner.spawn(async move { button }); // a callback of the host's
    /// let task = on_click(2);
    /// assert_eq!(event_loop.run_until(task).unwrap(), 2);
    /// ```
    pub fn spawner(&self) -> LocalSpawner {
        LocalSpawner {
            queue: self.queue.clone(),
        }
    }

    /// Whether nobody can tell it from a new one: nothing is left on it, and nobody else can reach it.
    pub(crate) fn is_as_new(&self) -> bool {
        self.tasks.is_empty() && self.queue.is_as_new(self.tasks.spare())
    }

    pub(crate) fn give_back(&self) {
        self.queue.give_back();
    }

    fn host(&self, has_run: bool) -> Option<TellHost> {
        let has_hook = self.queue.inbox.has_hook();
        let queue = self.queue.clone();
        has_hook.then_some(TellHost { queue, has_run })
    }

    fn run(&mut self, entry: Entry) {
        match entry {
            Entry::Woken(key) => self.poll(key),
            Entry::Spawned => {
                if let Some(task) = self.queue.take_spawned() {
                    self.first_poll(task);
                }
            }
            Entry::Call => match self.queue.take_call().map(contain) {
                Some(Ok(Some(task))) => self.first_poll(task),
                Some(Err(payload)) => discard(payload),
                Some(Ok(None)) | None => {}
            },
        }
    }

    /// Only a task that isn't done at once is kept.
    fn first_poll(&mut self, mut task: Task) {
        let ticket = self.tasks.new_ticket(&self.queue.inbox);
        ticket.begin_poll(&self.queue);
        let polled = {
            // Gone before the ticket is kept for another task: on std alone it is counted.
            let waker = waker_ref(&ticket);
            task.first_poll(&mut Context::from_waker(&waker), || ticket.clone())
        };
        self.queue.end_poll();
        if polled.is_pending() {
            let (key, kept) = self.tasks.insert(task, ticket);
            return kept.ticket.set_key(key, &self.queue);
        }
        discard(task);
        self.tasks.recycle(ticket);
    }

    fn poll(&mut self, key: usize) {
        let Some(kept) = self.tasks.get(key) else {
            return;
        };
        kept.ticket.begin_poll(&self.queue);
        let mut polled = Poll::Ready(());
        if let Some(task) = &mut kept.task {
            if kept.ticket.is_aborted() {
                task.abort();
            } else {
                let waker = waker_ref(&kept.ticket);
                polled = task.poll(&mut Context::from_waker(&waker));
            }
        }
        self.queue.end_poll();
        if polled.is_pending() {
            return;
        }
        let ended = kept.task.take();
        // Woken during its last poll, its key is in the queue once more: the place can't be given
        // to another task before that is through.
        if !kept.ticket.is_scheduled() {
            let ticket = self.tasks.remove(key);
            ticket.set_key(NOWHERE, &self.queue);
            self.tasks.recycle(ticket);
        }
        discard(ended);
    }
}

/// Tells the host, when this is dropped, that the loop has something to do, if it has.
struct TellHost {
    queue: Rc<Queue>,
    /// Posts have been seen to without a tick, so that the host may have been told in vain.
    has_run: bool,
}

impl Drop for TellHost {
    fn drop(&mut self) {
        let inbox = &self.queue.inbox;
        if self.has_run {
            inbox.begin_tick();
            if inbox.has_posts() {
                inbox.tell_host();
            }
        }
        self.queue.tell_host();
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        // What is dropped here may spawn, wake, abort and post; it finds the loop that it knows, closed.
        let _running = Running::replace(&self.queue);
        let (ready, posts) = self.queue.close();
        for task in self.tasks.take_in_order() {
            discard(task);
        }
        ready.discard();
        posts.into_iter().for_each(discard);
        let timers = self.queue.timers.take();
        timers.into_wakers().for_each(discard);
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").finish_non_exhaustive()
    }
}
