//! The event loop: tasks, timers, and an inbox for other threads, on one thread.

pub(crate) mod builder;
pub(crate) mod current;
pub(crate) mod handle;
pub(crate) mod inbox;
pub(crate) mod join_cell;
pub(crate) mod join_error;
pub(crate) mod join_handle;
pub(crate) mod joins;
pub(crate) mod loop_cache;
pub(crate) mod ready_queue;
pub(crate) mod remote_spawn;
pub(crate) mod report;
pub(crate) mod scheduler;
pub(crate) mod send_join_handle;
pub(crate) mod slab;
pub(crate) mod spawner;
pub(crate) mod table;
pub(crate) mod task;
pub(crate) mod task_slab;
pub(crate) mod task_waker;
pub mod time;
pub(crate) mod timers;
pub(crate) mod turn;
pub(crate) mod watched;

use crate::context::Context;
use crate::event_loop::current::CurrentLoop;
use crate::event_loop::handle::Handle;
use crate::event_loop::join_error::JoinError;
use crate::event_loop::join_handle::JoinHandle;
use crate::event_loop::scheduler::Scheduler;
use crate::event_loop::spawner::LocalSpawner;
use crate::event_loop::task_slab::TaskSlab;
use crate::observe::sites::Site;
use crate::sync::now;
use crate::sync::panics::drop_quietly;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::rc::Rc;
use std::time::Instant;

/// A single-threaded event loop, for programs that keep one. [`run`](crate::run) is enough for most programs.
///
/// The loop belongs to the thread that makes it. It runs while [`run_until`](Self::run_until) or [`tick`](Self::tick) is
/// called. In between, it keeps what is posted to it. Dropping the loop drops its tasks on this thread, in the order in
/// which they were spawned. All that waits for such a task gets an error.
///
/// ```
/// use footbridge::EventLoop;
///
/// let mut event_loop = EventLoop::new();
/// let task = event_loop.spawn(async { "hello" });
/// assert_eq!(event_loop.run_until(task).unwrap(), "hello");
/// ```
pub struct EventLoop {
    scheduler: Rc<Scheduler>,
    tasks: TaskSlab,
}

impl EventLoop {
    pub(crate) fn of(scheduler: Scheduler) -> Self {
        Self {
            scheduler: Rc::new(scheduler),
            tasks: TaskSlab::default(),
        }
    }

    /// Runs the loop until `future` is ready. Sleeps while there is nothing to do. Other tasks stay on the loop and go on
    /// when it runs again.
    ///
    /// # Panics
    /// If an event loop runs on this thread already. If `future` panics, the panic is passed on. The loop can run again.
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
        // Dropped last. If something is still ready then, the host is told to tick.
        let _host = self.tell_host(true);
        self.enter(future, "EventLoop::run_until", Location::caller())
    }

    /// Runs one turn: what was ready when it began. Never waits. For a host with a main loop of its own. `true` if it ran
    /// anything. More may be ready then.
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
        let _host = self.tell_host(false);
        let _current = CurrentLoop::enter(&self.scheduler, "EventLoop::tick");
        let _left = Context::leave();
        let scheduler = self.scheduler.clone();
        let _awake = scheduler.keep_awake();
        self.scheduler.inbox.begin_tick();
        self.begin_turn(Location::caller());
        self.turn(|_| ()) > 0
    }

    /// When the loop next has something to do by itself. If anything is ready, that is now. Else it is when the earliest
    /// timer is due. `None`: only a wake-up from outside can bring more.
    ///
    /// A host needs only this, [`tick`](Self::tick) and [`on_wake`](crate::EventLoopBuilder::on_wake):
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
        if self.scheduler.len() > 0 || self.scheduler.inbox.has_posts() {
            return Some(now());
        }
        self.scheduler.timers.borrow_mut().next_deadline()
    }

    /// Spawns a task. It runs when the loop runs. It need not be `Send`. [`EventLoop`] has an example.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.spawner().spawn(future)
    }

    /// A handle: reaches this loop from any thread.
    ///
    /// ```
    /// let mut event_loop = footbridge::EventLoop::new();
    /// let handle = event_loop.handle();
    /// let thread = std::thread::spawn(move || handle.spawn(|| async { "from there" }));
    /// assert_eq!(event_loop.run_until(thread.join().unwrap()).unwrap(), "from there");
    /// ```
    pub fn handle(&self) -> Handle {
        Handle {
            inbox: self.scheduler.inbox.clone(),
        }
    }

    /// A spawner: spawns on this loop from its own thread.
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
            scheduler: self.scheduler.clone(),
        }
    }

    /// How many tasks haven't ended. Not asked while the loop turns.
    pub(crate) fn task_count(&self) -> usize {
        self.tasks.len() + self.scheduler.spawned_count()
    }

    /// Whether the loop is as good as new: it holds nothing, and nothing outside refers to it.
    pub(crate) fn is_pristine(&self) -> bool {
        self.tasks.len() == 0 && self.scheduler.is_pristine(self.tasks.spare())
    }

    pub(crate) fn shrink(&self) {
        self.scheduler.shrink();
    }

    fn tell_host(&self, has_run: bool) -> Option<TellHost> {
        let has_hook = self.scheduler.inbox.has_hook();
        let scheduler = self.scheduler.clone();
        has_hook.then_some(TellHost { scheduler, has_run })
    }
}

/// A guard: if the loop has something to do when this is dropped, the drop calls the host's hook.
struct TellHost {
    scheduler: Rc<Scheduler>,
    /// The loop ran without a tick and took posts, so a call of the hook may have been in vain.
    has_run: bool,
}

impl Drop for TellHost {
    fn drop(&mut self) {
        let inbox = &self.scheduler.inbox;
        if self.has_run {
            inbox.begin_tick();
            if inbox.has_posts() {
                inbox.tell_host();
            }
        }
        self.scheduler.tell_host();
    }
}

impl Drop for EventLoop {
    fn drop(&mut self) {
        // What is dropped here may spawn, wake, abort and post. It finds this loop closed.
        let _current = CurrentLoop::replace(&self.scheduler);
        let _left = Context::leave();
        self.scheduler.tell_awake();
        self.scheduler.inbox.set_run(true); // Until all of it is dropped.
        let (ready, posts) = self.scheduler.close();
        for (key, entry) in self.tasks.take_in_order() {
            self.scheduler.begin_step(|| entry.site());
            self.end_unready(key, entry.task, JoinError::loop_closed());
            self.scheduler.end_step();
        }
        ready.drop_all(|key, new| {
            self.scheduler.begin_step(|| Site::of(new.spawned_at));
            self.end_unready(key, new.task, JoinError::loop_closed());
            self.scheduler.end_step();
        });
        posts.into_iter().for_each(drop_quietly);
        let timers = self.scheduler.timers.take();
        timers.into_targets().for_each(drop_quietly);
        self.scheduler.tell_ended();
        self.scheduler.inbox.set_run(false);
    }
}

impl fmt::Debug for EventLoop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoop").finish_non_exhaustive()
    }
}
