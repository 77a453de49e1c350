//! The caller's side of a job: submits it, waits for it, or goes away.
//!
//! ```text
//!   spawn_blocking(f) ------------------------------------------------------------------> Submitted
//!   asyncify(f)(..)   --> Asked --- first poll -----------------------------------------> Submitted
//!                           +------ the same, with a limiter ---> InLine --- a token ---> Submitted
//! ```

use crate::call::{Call, Token, bounded_call};
use crate::crew::Crew;
use crate::detached::Detached;
use crate::handle::{Handle, refuse_loop_thread};
use crate::job::Outcome;
use crate::large;
use crate::limiter::{Acquire, Limiter};
use crate::parker;
use crate::pool::Pool;
use crate::queue;
use crate::retry::{self, Joins};
use crate::sync::{Arc, now, unwind_safe, waker};
use crate::waits::{self, Wait, Watch};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Runs `f` on a worker thread. Submits it at once; [`asyncify`](crate::asyncify) does so when awaited.
///
/// The job goes to the pool of the [current loop](Handle::current), or to the global one, and belongs to
/// that loop: there its `syncify` calls go. A job may submit others in its turn, of the same loop.
///
/// # Panics
/// Where the result is awaited or joined: with `f`'s own panic, or if the pool can't run it.
///
/// ```
/// let sum = footbridge::run(async {
///     let job = footbridge::spawn_blocking(|| (1..=10).sum::<u32>());
///     job.await
/// });
/// assert_eq!(sum, 55);
/// ```
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> BlockingTask<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    BlockingTask::submitted(f, None, Handle::try_current())
}

impl Pool {
    /// Runs `f` on a thread of this pool, as [`spawn_blocking`] does. The job belongs to the current loop.
    ///
    /// # Panics
    /// Where the result is awaited or joined: with `f`'s own panic, or if the pool can't run it.
    ///
    /// ```
    /// use footbridge::{Pool, run, syncify};
    ///
    /// let pool = Pool::builder().max_threads(1).build();
    /// run(async {
    ///     let job = pool.spawn_blocking(|| syncify(async || 42)()); // home is this loop
    ///     assert_eq!(job.await, Ok(42));
    /// });
    /// ```
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, f: F) -> BlockingTask<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        BlockingTask::submitted(f, Some(self), Handle::try_current())
    }
}

impl Handle {
    /// asyncio's name for it: runs `f` on `pool`, or on the loop's own, and submits it at once. The
    /// job belongs to this handle's loop, whatever thread asks.
    ///
    /// # Panics
    /// Where the result is awaited or joined: with `f`'s own panic, or if the pool can't run it.
    ///
    /// ```
    /// use footbridge::{Handle, gather, run};
    ///
    /// let squares = run(async {
    ///     let handle = Handle::current();
    ///     gather((1..=3).map(|n| handle.run_in_executor(None, move || n * n))).await
    /// });
    /// assert_eq!(squares, [1, 4, 9]);
    /// ```
    #[track_caller]
    pub fn run_in_executor<F, R>(&self, pool: Option<&Pool>, f: F) -> BlockingTask<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        BlockingTask::submitted(f, pool, Some(self.clone()))
    }

    /// The pool that the loop was built with.
    fn pool(&self) -> Option<&Pool> {
        self.inbox.pool.as_ref()?.downcast_ref()
    }
}

/// A call that runs on a worker thread. Await it, or [`join`](Self::join) it from a thread that runs no loop.
/// It is `Send`, so a job may also return the calls that it has made.
///
/// Dropping it cancels the call: a function that hasn't begun never runs, and what it captured is
/// dropped there and then. One that runs can't be stopped; it finds out with
/// [`check_cancelled`](crate::check_cancelled), an async function that it waits for is dropped, and its
/// result is dropped on the worker. To let it run instead, [`detach`](Self::detach) it. (A
/// [`JoinHandle`](crate::JoinHandle) is the other way round: dropped, it lets its task run on.)
///
/// What a cancelled call captured goes with its room. An empty shell, of 130 to 300 bytes, stays in the pool's queue, and
/// is counted there, until a thread comes by it: a million cancelled calls in a pool whose threads are all busy hold that.
///
/// A call may hold another one, as what it captured or as its result, and that one a third. Such a chain is dropped
/// with its first link, and takes no more stack however long it is. Up to sixteen such drops may be within each other, and
/// each returns when all that its call held is gone; what is deeper in the chain is dropped right after. The same goes
/// for results of tasks that are [`JoinHandle`](crate::JoinHandle)s. Only what is boxed in itself without a call or a
/// handle between, as a future within a future, nests as it does anywhere.
///
/// # Panics
/// Awaiting it panics with the function's own panic, or, saying why, if the pool couldn't run it: it
/// was shut down, or the system refused it a thread. So does polling it once more after that. Under
/// `panic = "abort"` each of these ends the process, the refusal of a thread as well.
///
/// ```
/// use std::sync::mpsc;
///
/// let pool = footbridge::Pool::builder().max_threads(1).build();
/// let (go, wait) = mpsc::channel();
/// let first = pool.spawn_blocking(move || wait.recv().unwrap());
/// let second = pool.spawn_blocking(|| unreachable!("the only thread is busy"));
/// drop(second);
/// go.send("on").unwrap();
/// assert_eq!(first.join(), "on");
/// ```
#[must_use = "dropping a BlockingTask cancels the call; await it, join it or detach it"]
pub struct BlockingTask<R> {
    // Empty once the result has been given, or the task detached.
    job: Option<Arc<dyn Outcome<R>>>,
    stage: Stage,
}

enum Stage {
    Asked(Option<Box<Options>>),
    InLine(Box<Line>),
    /// To the pool that was named, or else to its loop's own.
    Submitted(Option<Arc<Crew>>),
}

/// Where a call was told to go, if it was.
struct Options {
    pool: Option<Pool>,
    limiter: Option<Limiter>,
}

struct Line {
    crew: Arc<Crew>,
    limiter: usize,
    acquire: Acquire,
}

impl<R: Send + 'static> BlockingTask<R> {
    /// Submits nothing before it is polled.
    pub(crate) fn asked<F>(
        f: F,
        pool: Option<&Pool>,
        limiter: Option<&Limiter>,
        at: &'static Location<'static>,
    ) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let has_options = pool.is_some() || limiter.is_some();
        let options = || {
            Box::new(Options {
                pool: pool.cloned(),
                limiter: limiter.cloned(),
            })
        };
        Self {
            job: Some(large::job(f, at, None, None)),
            stage: Stage::Asked(has_options.then(options)),
        }
    }

    #[track_caller]
    fn submitted<F>(f: F, pool: Option<&Pool>, home: Option<Handle>) -> Self
    where
        F: FnOnce() -> R + Send + 'static,
    {
        let job = large::job(f, Location::caller(), home, bounded_call());
        submit_to(crew_for(pool, job.scope().home()), &job);
        Self {
            job: Some(job),
            stage: Stage::Submitted(pool.map(|pool| pool.crew().clone())),
        }
    }

    /// Lets the call run on by itself, and drops what it returns. One that hasn't been submitted,
    /// because it was never polled, is submitted now, or as soon as its limiter has a token for it.
    ///
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (done, wait) = mpsc::channel();
    /// footbridge::spawn_blocking(move || done.send(())).detach();
    /// wait.recv().unwrap();
    /// ```
    pub fn detach(mut self) {
        if let Some(job) = &self.job {
            job.disown();
        }
        // Nobody waits for it, so it is nested in nothing.
        self.submit(Handle::try_current(), None);
        if let Stage::Submitted(_) = self.stage {
            // Forgotten, not dropped: that would cancel it.
            self.job = None;
            return;
        }
        let detached = Arc::new(Detached::default());
        let waker = waker(detached.clone());
        detached.go_on(Box::new(move || {
            let submitted = self.advance(&mut Context::from_waker(&waker));
            if submitted.is_ready() {
                self.job = None;
            }
            submitted
        }));
    }
}

/// The pool named, or else the loop's own, or else everybody's.
fn crew_for<'a>(pool: Option<&'a Pool>, home: Option<&'a Handle>) -> &'a Arc<Crew> {
    match pool.or(home.and_then(Handle::pool)) {
        Some(pool) => pool.crew(),
        None => Pool::everybodys().crew(),
    }
}

fn submit_to<R>(crew: &Arc<Crew>, job: &Arc<dyn Outcome<R>>) {
    crew.submit(job.clone().into_queued());
    if let Some(home) = job.scope().home() {
        retry::on_loop(crew, home);
    }
}

/// A job that hasn't been submitted: nobody else has it.
fn alone<R>(job: &mut Arc<dyn Outcome<R>>) -> &mut dyn Outcome<R> {
    match Arc::get_mut(job) {
        Some(job) => job,
        None => unreachable!("it is shared when it is submitted, and not before"),
    }
}

impl<R> BlockingTask<R> {
    /// Submits a job that has been asked for, or gets in line for it.
    fn submit(&mut self, home: Option<Handle>, parent: Option<Arc<dyn Call>>) {
        let (Stage::Asked(options), Some(job)) = (&mut self.stage, &mut self.job) else {
            return;
        };
        alone(job).set_origin(home, parent);
        let options = options.take();
        let (pool, limiter) = match &options {
            Some(options) => (options.pool.as_ref(), options.limiter.as_ref()),
            None => (None, None),
        };
        let crew = crew_for(pool, job.scope().home());
        self.stage = match limiter {
            Some(limiter) => Stage::InLine(Box::new(Line {
                crew: crew.clone(),
                limiter: limiter.address(),
                acquire: limiter.acquire(),
            })),
            None => {
                submit_to(crew, job);
                Stage::Submitted(pool.map(|pool| pool.crew().clone()))
            }
        };
    }

    /// Submits the job, once there is a token for it. Ready: it is submitted.
    fn advance(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Stage::Asked(_) = self.stage {
            self.submit(Handle::try_current(), bounded_call());
        }
        if let (Stage::InLine(line), Some(job)) = (&mut self.stage, &mut self.job) {
            let Poll::Ready(permit) = Pin::new(&mut line.acquire).poll(context) else {
                return Poll::Pending;
            };
            alone(job).set_token(Token::new(line.limiter, permit));
            submit_to(&line.crew, job);
            self.stage = Stage::Submitted(Some(line.crew.clone()));
        }
        Poll::Ready(())
    }

    fn poll_job(&mut self, context: &mut Context<'_>, is_quick: bool) -> Poll<R> {
        let known = waits::known(context.waker());
        let context = &mut Context::from_waker(known.as_ref().unwrap_or(context.waker()));
        if self.advance(context).is_pending() {
            return Poll::Pending;
        }
        let Some(job) = &self.job else {
            panic!(
                "a BlockingTask was polled after it had given its result; await it once, and keep that"
            );
        };
        let result = job.poll(context, is_quick);
        if result.is_ready() {
            self.job = None;
        } else {
            queue::expect_answer();
            if known.is_some() {
                waits::note(Wait::Call(job.clone().into_call()));
            }
            self.retry_refused(context);
        }
        result
    }

    /// Where the job goes, or has gone.
    fn crew(&self) -> &Arc<Crew> {
        let named = match &self.stage {
            Stage::Asked(options) => {
                let named = options.as_ref().and_then(|options| options.pool.as_ref());
                named.map(Pool::crew)
            }
            Stage::InLine(line) => Some(&line.crew),
            Stage::Submitted(named) => named.as_ref(),
        };
        let home = || self.job.as_ref().and_then(|job| job.scope().home());
        named.unwrap_or_else(|| crew_for(None, home()))
    }

    /// The pool that waits for a thread which the system has refused, if the job's does.
    fn refused_by(&self) -> Option<&Arc<Crew>> {
        let (Stage::Submitted(_), Some(_)) = (&self.stage, &self.job) else {
            return None;
        };
        let crew = self.crew();
        crew.is_refused().then_some(crew)
    }

    /// Asks the system once more for a thread that it has refused, now and in a while: the job that is waited for may
    /// wait in its turn for one that has no thread.
    fn retry_refused(&self, context: &mut Context<'_>) {
        let Some(crew) = self.refused_by() else {
            return;
        };
        crew.retry_refused();
        if let (true, Some(queue)) = (crew.is_refused(), queue::running()) {
            let waker = context.waker().clone();
            let _ = queue
                .timers
                .borrow_mut()
                .insert(now() + retry::PAUSE, waker);
        }
    }

    /// Whether the call is over, so that awaiting it gives its result at once.
    ///
    /// ```
    /// let job = footbridge::spawn_blocking(|| 42);
    /// while !job.is_finished() {
    ///     std::thread::yield_now(); // draws a frame, say
    /// }
    /// assert_eq!(job.join(), 42); // at once
    /// ```
    pub fn is_finished(&self) -> bool {
        self.job.as_ref().is_none_or(|job| job.is_finished())
    }

    /// Blocks this thread until the call is over, and gives its result. A job that calls it gives its
    /// own place in the pool back for as long as it waits. Should the caller of that job go away, it waits on: there is no
    /// error to return, and the call is its own. It finds out after that, with
    /// [`check_cancelled`](crate::check_cancelled); or awaits the call in [`syncify`](crate::syncify), which is ended.
    ///
    /// # Panics
    /// On a thread that runs a loop, and on the one that owns the loop which the job belongs to, while
    /// that exists: the job may need it. Await it there instead. And as awaiting it does.
    ///
    /// ```
    /// assert_eq!(footbridge::spawn_blocking(|| 6 * 7).join(), 42);
    /// ```
    #[track_caller]
    pub fn join(mut self) -> R {
        let home = self.job.as_ref().and_then(|job| job.scope().home());
        let home = home.filter(|home| !home.is_closed());
        refuse_loop_thread("BlockingTask::join", home.map(|home| home.inbox.owner()));
        let patience = Cell::new(None);
        let mut watch = Watch::new(bounded_call(), false);
        let spin_time = self.crew().settings.spin_time;
        let mut joins = None;
        parker::block_on_patiently(spin_time, &patience, |context| {
            let result = match &mut watch {
                Some(watch) => watch.poll_blocked(context, |context| self.poll_job(context, true)),
                None => self.poll_job(context, true),
            };
            if result.is_pending() {
                joins.get_or_insert_with(|| Joins::new(self.crew(), context.waker().clone()));
                let is_refused = self.refused_by().is_some();
                patience.set(is_refused.then_some(retry::PAUSE));
            }
            result
        })
    }
}

impl<R> Future for BlockingTask<R> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let is_quick = queue::is_quick(context.waker());
        self.get_mut().poll_job(context, is_quick)
    }
}

impl<R> Drop for BlockingTask<R> {
    fn drop(&mut self) {
        if let Some(job) = self.job.take() {
            job.cancel();
        }
    }
}

unwind_safe!(BlockingTask<R>);

impl<R> fmt::Debug for BlockingTask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingTask")
            .field("finished", &self.is_finished())
            .finish()
    }
}
