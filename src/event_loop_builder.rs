//! How a loop is made. Beside its settings it carries the pool that its jobs go to, of which it knows nothing, not
//! even the type: the bridges take it out again.

use crate::backoff::SPIN_TIME;
use crate::event_loop::EventLoop;
use crate::inbox::Hook;
use crate::pool::Pool;
use crate::queue::{Inbox, Queue};
use std::any::Any;
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
    pool: Option<Box<dyn Any + Send + Sync>>,
}

impl Default for EventLoopBuilder {
    fn default() -> Self {
        Self {
            spin_time: SPIN_TIME,
            hook: None,
            pool: None,
        }
    }
}

impl EventLoopBuilder {
    /// For how long the loop spins before it sleeps where an answer is due: 10 microseconds if not set, a second at the
    /// most; zero: not at all. How it spins is what [`PoolBuilder::spin_time`](crate::PoolBuilder::spin_time) says, and on
    /// a pool's thread the shorter time of the two holds.
    ///
    /// An answer is due where a job, since the loop slept last, has been awaited and wasn't done, where a pool's thread
    /// has woken the loop, called into it or spawned on it, and where a thread that waits in
    /// [`Handle::block_on`](crate::Handle::block_on) or [`Syncify::on`](crate::Syncify::on) has called. A loop that waits
    /// for timers or for other threads sleeps at once.
    ///
    /// A thread of no pool's that waits in one of these two spins for as long; in
    /// [`JoinHandle::join`](crate::JoinHandle::join) it doesn't spin.
    ///
    /// Unless it is zero, whatever its length, the loop also stays awake, without leaving the processor to others, for the
    /// last 50 microseconds before a timer is due, because a system may wake a sleeping thread as late as that.
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

    /// Has the jobs of this loop run on `pool`, unless a call names another one.
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
        self.pool = Some(Box::new(pool.clone()));
        self
    }

    /// Has `hook` called when the loop has something to do that its host should
    /// [`tick`](EventLoop::tick) for: at most once for each tick, from whichever thread brought the
    /// work, with no lock held. A panic in it is reported by the panic hook and harms nobody.
    /// [`next_deadline`](EventLoop::next_deadline) has a whole host.
    ///
    /// Also called on the loop's own thread: a host that asks [`next_deadline`](EventLoop::next_deadline) before
    /// each wait need not be woken from there.
    pub fn on_wake(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Makes the loop. It belongs to this thread. [`EventLoopBuilder`] has an example.
    pub fn build(self) -> EventLoop {
        EventLoop::of(Queue::new(Inbox::new(self.spin_time, self.hook, self.pool)))
    }
}

impl fmt::Debug for EventLoopBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLoopBuilder").finish_non_exhaustive()
    }
}
