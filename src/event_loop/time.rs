//! Sleeps and timeouts: timers of the current loop.
//!
//! ```
//! use footbridge::{run, time};
//! use std::{cell::Cell, time::Duration};
//!
//! let attempts = Cell::new(0);
//! let connect = async || {
//!     attempts.set(attempts.get() + 1);
//!     if attempts.get() < 3 { Err("refused") } else { Ok("connected") }
//! };
//! // Tries again, each time after twice as long, and for five seconds in all.
//! let patient = async {
//!     let mut pause = Duration::from_micros(100);
//!     loop {
//!         if let Ok(connection) = connect().await {
//!             return connection;
//!         }
//!         time::sleep(pause).await;
//!         pause *= 2;
//!     }
//! };
//! assert_eq!(run(time::timeout(Duration::from_secs(5), patient)), Ok("connected"));
//! ```

use crate::event_loop::current;
use crate::event_loop::scheduler::{Inbox, Post, Scheduler};
use crate::event_loop::task_slab::TaskSlab;
use crate::event_loop::timers::TimerKey;
use crate::sync::{Arc, now};
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::mem;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Waits for `duration` from now. If [`Instant`] can't hold the deadline, it is in the far future.
///
/// As precise as the system's clock: never early, and late only by what else the loop has to do. `Duration::ZERO` waits for
/// one turn of the loop. Dropping the future removes the timer.
///
/// # Panics
/// If polled before it has fired, on a thread that runs no footbridge loop: the timers are the loop's.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// footbridge::run(footbridge::time::sleep(Duration::from_millis(2)));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
pub fn sleep(duration: Duration) -> Sleep {
    sleep_until(after(duration))
}

/// Waits until `deadline`, as [`sleep`] does. If the deadline has passed, waits for one turn of the loop.
///
/// # Panics
/// If polled before it has fired, on a thread that runs no footbridge loop.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// footbridge::run(async {
///     let (start, period) = (Instant::now(), Duration::from_millis(1));
///     for n in 1..=3 {
///         // However long the work takes, the next one is due when it would have been: no drift.
///         footbridge::time::sleep_until(start + n * period).await;
///     }
///     assert!(start.elapsed() >= 3 * period);
/// });
/// ```
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        set: Set::NotYet,
    }
}

fn after(duration: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = now();
    now.checked_add(duration).unwrap_or_else(|| now + FAR)
}

/// What [`sleep`] and [`sleep_until`] return.
///
/// It fires in a turn of the loop. So a task that polls it again and again within one poll waits for ever.
///
/// It is `Unpin`, so it can be a field, and be polled beside something else:
///
/// ```
/// use footbridge::{run, time::{Sleep, sleep}};
/// use std::{future::poll_fn, pin::Pin, task::Poll, time::Duration};
///
/// let mut patience: Sleep = sleep(Duration::from_millis(1));
/// let ready = || false; // what is waited for
/// run(poll_fn(|context| match ready() {
///     true => Poll::Ready(()),
///     false => Pin::new(&mut patience).poll(context),
/// }));
/// ```
#[must_use = "futures do nothing unless they are awaited"]
pub struct Sleep {
    deadline: Instant,
    set: Set,
}

enum Set {
    NotYet,
    /// The inbox of its loop, by which it is removed from another thread.
    On(Arc<Inbox>, TimerKey),
    Fired,
}

impl Future for Sleep {
    type Output = ();

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if let Set::Fired = self.set {
            return Poll::Ready(());
        }
        let Some(scheduler) = current::scheduler() else {
            panic!(
                "footbridge::time: no event loop runs on this thread; await it inside footbridge::run, \
                 or use the timers of the executor that runs here"
            );
        };
        if let Set::On(home, timer) = &self.set {
            if Arc::ptr_eq(home, &scheduler.inbox) {
                match scheduler.is_timer_of(*timer, context.waker()) {
                    None => {
                        self.set = Set::Fired;
                        return Poll::Ready(());
                    }
                    Some(true) => return Poll::Pending,
                    Some(false) => {}
                }
            }
            // Now another task or another loop waits for it.
            self.unset();
        }
        let (home, timer) = scheduler.set_timer(self.deadline, context.waker());
        self.set = Set::On(home, timer);
        Poll::Pending
    }
}

impl Sleep {
    fn unset(&mut self) {
        let Set::On(home, timer) = mem::replace(&mut self.set, Set::NotYet) else {
            return;
        };
        match current::scheduler().filter(|scheduler| Arc::ptr_eq(&scheduler.inbox, &home)) {
            Some(scheduler) => scheduler.remove_timer(timer),
            // If this isn't the timer's loop, that loop removes the timer.
            None => {
                let remove = move |scheduler: &Scheduler, _: &TaskSlab| {
                    scheduler.remove_timer(timer);
                    None
                };
                let _ = home.post(Post::Callback(Box::new(remove)));
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.unset();
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Waits for `future` until `duration` from now, and then drops it.
///
/// If both are due at once, the future wins: it is polled first. If a future loops over what is always ready, it is never
/// pending, and no timeout ends it. Let it [`yield_now`](crate::yield_now) now and then.
///
/// # Errors
/// [`Elapsed`], if the future wasn't ready in time.
///
/// # Panics
/// If polled before it is over, on a thread that runs no footbridge loop.
///
/// ```
/// use footbridge::time::{sleep, timeout};
/// use std::time::Duration;
///
/// footbridge::run(async {
///     let late = timeout(Duration::from_millis(1), sleep(Duration::MAX)).await;
///     assert!(late.is_err());
/// });
/// ```
pub fn timeout<F: IntoFuture>(
    duration: Duration,
    future: F,
) -> impl Future<Output = Result<F::Output, Elapsed>> {
    let mut sleep = sleep(duration);
    async move {
        let mut future = pin!(future.into_future());
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            Pin::new(&mut sleep)
                .poll(context)
                .map(|()| Err(Elapsed(())))
        })
        .await
    }
}

/// The time given to [`timeout`] has passed.
///
/// ```
/// use footbridge::{run, time::{Elapsed, timeout}};
/// use std::{error::Error, future::pending, time::Duration};
///
/// async fn hang_up() -> Result<(), Box<dyn Error>> {
///     timeout(Duration::from_millis(1), pending::<()>()).await?; // goes into any error
///     Ok(())
/// }
/// assert!(run(hang_up()).unwrap_err().is::<Elapsed>());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time::timeout: the time given has passed before the future was ready")
    }
}

impl std::error::Error for Elapsed {}

/// Of the kind `TimedOut`.
impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
