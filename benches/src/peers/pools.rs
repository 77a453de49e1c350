//! Thread pools behind one trait, so that a row about jobs is written once and is the same work for all.
//!
//! Footbridge, tokio and blocking give a handle for each job, and each handle is awaited. rayon and threadpool give
//! none; there the last job to end wakes who waits, which is the least that tells that all are done, and less than a handle for each.
//!
//! To add one: implement [`Pool`], and name it in [`each_pool`].

use footbridge::EventLoop;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Thread};

pub trait Pool: Sized + 'static {
    const NAME: &'static str;

    /// Of so many threads, or as it comes.
    fn new(threads: Option<usize>) -> Self;

    /// Submits `count` jobs, waits for all, and says how many there were by what they returned.
    fn run<J: Fn() + Clone + Send + 'static>(&mut self, count: usize, job: J) -> usize;

    /// `outer` jobs submit `inner` empty jobs each. All are waited for; how many inner ones there were.
    fn run_nested(&mut self, outer: usize, inner: usize) -> usize;
}

/// One peer for each pool: `each_pool!(P => lap::<P>())`, where `fn lap<P: Pool>() -> impl FnMut() -> Lap`.
macro_rules! each_pool {
    ($name:ident => $lap:expr) => {
        $crate::peers::each!($name in pools [Footbridge, Tokio, Blocking, Threadpool, Rayon] => $lap)
    };
}
pub(crate) use each_pool;

/// A job's work, and its result.
fn one<J: Fn()>(job: J) -> usize {
    job();
    black_box(1)
}

pub struct Footbridge {
    pool: footbridge::Pool,
    event_loop: EventLoop,
}

impl Pool for Footbridge {
    const NAME: &'static str = "footbridge";

    fn new(threads: Option<usize>) -> Self {
        let pool = match threads {
            Some(threads) => footbridge::Pool::builder().max_threads(threads).build(),
            None => footbridge::Pool::global(),
        };
        let event_loop = EventLoop::builder().pool(&pool).build();
        Self { pool, event_loop }
    }

    fn run<J: Fn() + Clone + Send + 'static>(&mut self, count: usize, job: J) -> usize {
        let pool = &self.pool;
        self.event_loop.run_until(async {
            let mut jobs = Vec::with_capacity(count);
            for _ in 0..count {
                let job = job.clone();
                jobs.push(pool.spawn_blocking(move || one(job)));
            }
            let mut sum = 0;
            for job in jobs {
                sum += job.await;
            }
            sum
        })
    }

    fn run_nested(&mut self, outer: usize, inner: usize) -> usize {
        let pool = self.pool.clone();
        self.event_loop.run_until(async {
            let mut outers = Vec::with_capacity(outer);
            for _ in 0..outer {
                let inside = pool.clone();
                outers.push(pool.spawn_blocking(move || {
                    let mut jobs = Vec::with_capacity(inner);
                    for _ in 0..inner {
                        jobs.push(inside.spawn_blocking(|| one(|| ())));
                    }
                    jobs
                }));
            }
            let mut sum = 0;
            for outer in outers {
                for job in outer.await {
                    sum += job.await;
                }
            }
            sum
        })
    }
}

pub struct Tokio {
    runtime: tokio::runtime::Runtime,
}

impl Pool for Tokio {
    const NAME: &'static str = "tokio";

    fn new(threads: Option<usize>) -> Self {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        if let Some(threads) = threads {
            builder.max_blocking_threads(threads);
        }
        let runtime = builder.enable_all().build().unwrap();
        Self { runtime }
    }

    fn run<J: Fn() + Clone + Send + 'static>(&mut self, count: usize, job: J) -> usize {
        self.runtime.block_on(async {
            let mut jobs = Vec::with_capacity(count);
            for _ in 0..count {
                let job = job.clone();
                jobs.push(tokio::task::spawn_blocking(move || one(job)));
            }
            let mut sum = 0;
            for job in jobs {
                sum += job.await.unwrap();
            }
            sum
        })
    }

    fn run_nested(&mut self, outer: usize, inner: usize) -> usize {
        self.runtime.block_on(async {
            let mut outers = Vec::with_capacity(outer);
            for _ in 0..outer {
                outers.push(tokio::task::spawn_blocking(move || {
                    let mut jobs = Vec::with_capacity(inner);
                    for _ in 0..inner {
                        jobs.push(tokio::task::spawn_blocking(|| one(|| ())));
                    }
                    jobs
                }));
            }
            let mut sum = 0;
            for outer in outers {
                for job in outer.await.unwrap() {
                    sum += job.await.unwrap();
                }
            }
            sum
        })
    }
}

/// One for the whole process; how many threads it may have is said by `BLOCKING_MAX_THREADS`, in the row's `env`.
pub struct Blocking;

impl Pool for Blocking {
    const NAME: &'static str = "blocking";

    fn new(_: Option<usize>) -> Self {
        Self
    }

    fn run<J: Fn() + Clone + Send + 'static>(&mut self, count: usize, job: J) -> usize {
        futures_lite::future::block_on(async {
            let mut jobs = Vec::with_capacity(count);
            for _ in 0..count {
                let job = job.clone();
                jobs.push(blocking::unblock(move || one(job)));
            }
            let mut sum = 0;
            for job in jobs {
                sum += job.await;
            }
            sum
        })
    }

    fn run_nested(&mut self, outer: usize, inner: usize) -> usize {
        futures_lite::future::block_on(async {
            let mut outers = Vec::with_capacity(outer);
            for _ in 0..outer {
                outers.push(blocking::unblock(move || {
                    let mut jobs = Vec::with_capacity(inner);
                    for _ in 0..inner {
                        jobs.push(blocking::unblock(|| one(|| ())));
                    }
                    jobs
                }));
            }
            let mut sum = 0;
            for outer in outers {
                for job in outer.await {
                    sum += job.await;
                }
            }
            sum
        })
    }
}

/// Counts jobs that give no handle; the last one wakes who waits.
struct Countdown {
    left: AtomicUsize,
    waiting: Thread,
}

impl Countdown {
    fn new(count: usize) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicUsize::new(count),
            waiting: thread::current(),
        })
    }

    fn done(&self, result: usize) {
        if self.left.fetch_sub(black_box(result), Ordering::AcqRel) == 1 {
            self.waiting.unpark();
        }
    }

    fn wait(&self) {
        while self.left.load(Ordering::Acquire) > 0 {
            thread::park();
        }
    }
}

pub struct Threadpool(threadpool::ThreadPool);

impl Pool for Threadpool {
    const NAME: &'static str = "threadpool";

    fn new(threads: Option<usize>) -> Self {
        Self(match threads {
            Some(threads) => threadpool::ThreadPool::new(threads),
            None => threadpool::Builder::new().build(),
        })
    }

    fn run<J: Fn() + Clone + Send + 'static>(&mut self, count: usize, job: J) -> usize {
        let countdown = Countdown::new(count);
        for _ in 0..count {
            let (job, countdown) = (job.clone(), countdown.clone());
            self.0.execute(move || countdown.done(one(job)));
        }
        countdown.wait();
        count
    }

    fn run_nested(&mut self, outer: usize, inner: usize) -> usize {
        let countdown = Countdown::new(outer * inner);
        for _ in 0..outer {
            let (pool, countdown) = (self.0.clone(), countdown.clone());
            self.0.execute(move || {
                for _ in 0..inner {
                    let countdown = countdown.clone();
                    pool.execute(move || countdown.done(one(|| ())));
                }
            });
        }
        countdown.wait();
        outer * inner
    }
}

pub struct Rayon(rayon::ThreadPool);

impl Pool for Rayon {
    const NAME: &'static str = "rayon";

    fn new(threads: Option<usize>) -> Self {
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
        Self(builder.build().unwrap())
    }

    fn run<J: Fn() + Clone + Send + 'static>(&mut self, count: usize, job: J) -> usize {
        let countdown = Countdown::new(count);
        for _ in 0..count {
            let (job, countdown) = (job.clone(), countdown.clone());
            self.0.spawn(move || countdown.done(one(job)));
        }
        countdown.wait();
        count
    }

    fn run_nested(&mut self, outer: usize, inner: usize) -> usize {
        let countdown = Countdown::new(outer * inner);
        for _ in 0..outer {
            let countdown = countdown.clone();
            self.0.spawn(move || {
                for _ in 0..inner {
                    let countdown = countdown.clone();
                    rayon::spawn(move || countdown.done(one(|| ())));
                }
            });
        }
        countdown.wait();
        outer * inner
    }
}
