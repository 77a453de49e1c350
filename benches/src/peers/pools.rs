//! Thread pools behind one trait, so that a row about jobs is written once and is the same work for all.
//!
//! Each job has a result, and each result is awaited. rayon and threadpool give no handle for a job, so there each job
//! gets a oneshot channel: that makes them what the others are, a pool that async code can wait for.
//!
//! To add one: implement `Pool`, and name it in `each_pool`.

use crate::lap::{Lap, Peer};
use footbridge::EventLoop;
use futures::channel::oneshot;
use std::future::Future;
use std::sync::Arc;

pub trait Pool: Sized + 'static {
    const NAME: &'static str;
    /// What a job is submitted to, from any thread.
    type Submitter: Clone + Send + 'static;
    /// What a job is awaited by.
    type Job<T: Send + 'static>: Send + 'static;

    /// Of so many threads, or as it comes.
    fn new(threads: Option<usize>) -> Self;
    fn submitter(&self) -> Self::Submitter;
    fn submit<T, F>(submitter: &Self::Submitter, job: F) -> Self::Job<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static;
    fn result<T: Send + 'static>(job: Self::Job<T>) -> impl Future<Output = T>;
    /// The loop that goes with it, or a thread that waits.
    fn block_on<F: Future>(&mut self, future: F) -> F::Output;
}

/// The pool as a peer.
pub fn peer<P: Pool, F: FnMut() -> Lap + 'static>(lap: impl FnOnce() -> F) -> Peer {
    Peer::new(P::NAME, lap())
}

/// One peer for each pool: `each_pool!(P => lap::<P>())`, where `fn lap<P: Pool>() -> impl FnMut() -> Lap`.
macro_rules! each_pool {
    ($name:ident => $lap:expr) => {
        $crate::peers::each!($name in pools [Footbridge, Tokio, Blocking, Threadpool, Rayon] => $lap)
    };
}
pub(crate) use each_pool;

pub struct Footbridge {
    pool: footbridge::Pool,
    event_loop: EventLoop,
}

impl Footbridge {
    /// As it comes, and with no thread yet; the pool of the whole process has those of the laps before.
    pub fn cold() -> Self {
        Self::of(footbridge::Pool::builder().build())
    }

    fn of(pool: footbridge::Pool) -> Self {
        let event_loop = EventLoop::builder().pool(&pool).build();
        Self { pool, event_loop }
    }
}

impl Pool for Footbridge {
    const NAME: &'static str = "footbridge";
    type Submitter = footbridge::Pool;
    type Job<T: Send + 'static> = footbridge::BlockingTask<T>;

    fn new(threads: Option<usize>) -> Self {
        Self::of(match threads {
            Some(threads) => footbridge::Pool::builder().max_threads(threads).build(),
            None => footbridge::Pool::global(),
        })
    }

    fn submitter(&self) -> Self::Submitter {
        self.pool.clone()
    }

    fn submit<T, F>(submitter: &Self::Submitter, job: F) -> Self::Job<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        submitter.spawn_blocking(job)
    }

    fn result<T: Send + 'static>(job: Self::Job<T>) -> impl Future<Output = T> {
        job
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.event_loop.run_until(future)
    }
}

pub struct Tokio(tokio::runtime::Runtime);

impl Pool for Tokio {
    const NAME: &'static str = "tokio";
    type Submitter = tokio::runtime::Handle;
    type Job<T: Send + 'static> = tokio::task::JoinHandle<T>;

    fn new(threads: Option<usize>) -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        if let Some(threads) = threads {
            builder.max_blocking_threads(threads);
        }
        Self(builder.enable_all().build().unwrap())
    }

    fn submitter(&self) -> Self::Submitter {
        self.0.handle().clone()
    }

    fn submit<T, F>(submitter: &Self::Submitter, job: F) -> Self::Job<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        submitter.spawn_blocking(job)
    }

    async fn result<T: Send + 'static>(job: Self::Job<T>) -> T {
        job.await.unwrap()
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

/// One for the whole process; how many threads it may have is said by `BLOCKING_MAX_THREADS`, in the row's `env`.
pub struct Blocking;

impl Pool for Blocking {
    const NAME: &'static str = "blocking";
    type Submitter = ();
    type Job<T: Send + 'static> = blocking::Task<T>;

    fn new(_: Option<usize>) -> Self {
        Self
    }

    fn submitter(&self) -> Self::Submitter {}

    fn submit<T, F>(_: &Self::Submitter, job: F) -> Self::Job<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        blocking::unblock(job)
    }

    fn result<T: Send + 'static>(job: Self::Job<T>) -> impl Future<Output = T> {
        job
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        futures_lite::future::block_on(future)
    }
}

pub struct Threadpool(threadpool::ThreadPool);

impl Pool for Threadpool {
    const NAME: &'static str = "threadpool";
    type Submitter = threadpool::ThreadPool;
    type Job<T: Send + 'static> = oneshot::Receiver<T>;

    fn new(threads: Option<usize>) -> Self {
        Self(match threads {
            Some(threads) => threadpool::ThreadPool::new(threads),
            None => threadpool::Builder::new().build(),
        })
    }

    fn submitter(&self) -> Self::Submitter {
        self.0.clone()
    }

    fn submit<T, F>(submitter: &Self::Submitter, job: F) -> Self::Job<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        submitter.execute(move || drop(sender.send(job())));
        receiver
    }

    async fn result<T: Send + 'static>(job: Self::Job<T>) -> T {
        job.await.unwrap()
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        pollster::block_on(future)
    }
}

pub struct Rayon(Arc<rayon::ThreadPool>);

impl Pool for Rayon {
    const NAME: &'static str = "rayon";
    type Submitter = Arc<rayon::ThreadPool>;
    type Job<T: Send + 'static> = oneshot::Receiver<T>;

    fn new(threads: Option<usize>) -> Self {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
        Self(Arc::new(builder.build().unwrap()))
    }

    fn submitter(&self) -> Self::Submitter {
        self.0.clone()
    }

    fn submit<T, F>(submitter: &Self::Submitter, job: F) -> Self::Job<T>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        submitter.spawn(move || drop(sender.send(job())));
        receiver
    }

    async fn result<T: Send + 'static>(job: Self::Job<T>) -> T {
        job.await.unwrap()
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        pollster::block_on(future)
    }
}
