//! The settings of a loop.

use crate::event_loop::EventLoop;
use crate::event_loop::inbox::Hook;
use crate::event_loop::scheduler::{Inbox, Scheduler};
use crate::observe;
use crate::observe::blocked::{Blocked, BlockedHook};
use crate::pool::Pool;
use crate::sync::backoff::SPIN_TIME;
use std::fmt;
use std::time::Duration;

impl EventLoop {
    /// A loop whose jobs go to the global pool. [`EventLoop`] has an example.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A loop with other settings. [`EventLoopBuilder`] has an example.
    pub fn builder() -> EventLoopBuilder {
        EventLoopBuilder::default()
    }
}

impl Default for EventLoop {
    fn default() -> Self {
        Self::new()
    }
}

/// Settings for an [`EventLoop`].
///
/// ```
/// use std::sync::mpsc;
///
/// let (woken, host) = mpsc::channel();
/// let event_loop = footbridge::EventLoop::builder()
///     .on_wake(move || woken.send(()).unwrap())
///     .build();
/// event_loop.handle().call_soon(|| ());
/// host.recv().unwrap(); // time for a tick
/// ```
#[must_use]
pub struct EventLoopBuilder {
    spin_time: Duration,
    hook: Option<Hook>,
    pool: Option<Pool>,
    on_blocked: Option<(Duration, BlockedHook)>,
}

impl Default for EventLoopBuilder {
    fn default() -> Self {
        Self {
            spin_time: SPIN_TIME,
            hook: None,
            pool: None,
            on_blocked: None,
        }
    }
}

impl EventLoopBuilder {
    /// How long the loop spins before it sleeps, if an answer is due: 10 microseconds if not set, at most a second. With
    /// zero it never spins. [`PoolBuilder::spin_time`](crate::PoolBuilder::spin_time) says how it spins. On a pool's thread,
    /// the shorter of the two times holds.
    ///
    /// An answer is due if one of these has happened since the loop slept last:
    ///
    /// - a task awaited a job that wasn't done;
    /// - a pool's thread woke the loop, called into it or spawned on it;
    /// - a thread that waits in [`Handle::block_on`](crate::Handle::block_on) or [`Syncify::on`](crate::Syncify::on) called.
    ///
    /// If the loop waits for timers or for other threads, it sleeps at once.
    ///
    /// A thread outside the pools spins as long while it waits in one of these two calls. In
    /// [`SendJoinHandle::join`](crate::SendJoinHandle::join) it doesn't spin.
    ///
    /// If the time isn't zero, the loop also stays awake for the last 50 microseconds before a timer is due, and keeps the
    /// processor. A system may wake a sleeping thread that late.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let mut frugal = footbridge::EventLoop::builder().spin_time(Duration::ZERO).build();
    /// assert_eq!(frugal.run_until(footbridge::spawn_blocking(|| 7)), 7);
    /// ```
    pub fn spin_time(mut self, spin_time: Duration) -> Self {
        self.spin_time = spin_time;
        self
    }

    /// The jobs of this loop run on `pool`, unless a call names another pool.
    ///
    /// ```
    /// use footbridge::{EventLoop, Pool, asyncify};
    ///
    /// let pool = Pool::builder().thread_name("plugin").build();
    /// let mut event_loop = EventLoop::builder().pool(&pool).build();
    /// let name = asyncify(|| std::thread::current().name().map(String::from));
    /// assert_eq!(event_loop.run_until(name()).as_deref(), Some("plugin-0"));
    /// ```
    pub fn pool(mut self, pool: &Pool) -> Self {
        self.pool = Some(pool.clone());
        self
    }

    /// The loop calls `hook` when it has something to do and its host should [`tick`](EventLoop::tick): at most once for
    /// each tick, on the thread that brought the work, with no lock held. If `hook` panics, the panic hook reports it, and
    /// the loop goes on. [`next_deadline`](EventLoop::next_deadline) has an example of a whole host.
    ///
    /// The hook is also called on the loop's own thread. If the host asks [`next_deadline`](EventLoop::next_deadline) before
    /// each wait, it need not be woken from there.
    pub fn on_wake(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// If the loop is blocked for longer than `after`, `hook` is told which line spawned what blocks it: while it does,
    /// again at twice that time, at four times and so on, and once when it is over. [`Blocked`] has an example.
    ///
    /// The loop is blocked while one poll of a task or of the main future runs, one callback, one drop of a task, or one wake
    /// that a timer causes. A loop that sleeps isn't blocked. `after` is a millisecond at the least. Two things aren't
    /// watched: the hook of [`on_wake`](Self::on_wake) between two runs of the loop, and the drop of a callback that never
    /// ran.
    ///
    /// `hook` runs on a thread that watches all such loops, with no lock held. Meanwhile that thread watches none, so the
    /// hook should be short. If other threads take all processors, that thread looks late: a short block may be told late, or
    /// not at all. If the hook panics, the panic hook reports it, and the watch goes on. If the loop is dropped during a
    /// call of the hook, that call goes on, and no other one follows. The thread ends with the last watched loop. While all
    /// of them sleep, it never wakes.
    ///
    /// To watch each loop of a program without a change of its code, set `FOOTBRIDGE_BLOCKED` in its environment, to `100ms`
    /// say. What a hook would be told is printed on stderr then. It is read when the first loop is made. A loop with
    /// a hook of its own keeps that.
    ///
    /// Only the last hook of a builder counts. Under `--cfg footbridge_loom`, no loop is watched. After a fork, none is
    /// watched in the child. If the system refuses the thread, it is asked again when the next such loop is made.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// let mut event_loop = footbridge::EventLoop::builder()
    ///     .on_blocked(Duration::from_millis(100), |blocked| eprintln!("{blocked}"))
    ///     .build();
    /// event_loop.run_until(async { std::thread::sleep(Duration::from_secs(1)) });
    /// // thread main: the loop has been blocked for 0.10 s by what was spawned at src/main.rs:6:12 (in clock_nanosleep)
    /// // thread main: the loop has been blocked for 0.20 s by what was spawned at src/main.rs:6:12 (in clock_nanosleep)
    /// // ..
    /// ```
    pub fn on_blocked(
        mut self,
        after: Duration,
        hook: impl Fn(&Blocked) + Send + Sync + 'static,
    ) -> Self {
        self.on_blocked = Some((after, Box::new(hook)));
        self
    }

    /// Makes the loop. It belongs to this thread. [`EventLoopBuilder`] has an example.
    pub fn build(self) -> EventLoop {
        let inbox = Inbox::new(self.spin_time, self.hook, self.pool);
        let scheduler = Scheduler::new(inbox, observe::watch(self.on_blocked));
        scheduler.register();
        EventLoop::of(scheduler)
    }
}

impl fmt::Debug for EventLoopBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoopBuilder").finish_non_exhaustive()
    }
}
