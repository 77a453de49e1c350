//! Single-threaded executors behind one trait, so that a row about tasks is written once and is the same work for all.
//!
//! To add one: implement `Loop` and `Tasks`, and name it in `each_loop`.

use crate::lap::{Lap, Peer};
use async_executor::LocalExecutor;
use footbridge::EventLoop;
use futures::executor::{LocalPool, LocalSpawner};
use futures::future::RemoteHandle;
use futures::task::LocalSpawnExt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

pub trait Loop: Sized + 'static {
    const NAME: &'static str;

    /// Why it can't be made on this machine, if it can't.
    fn lacks() -> Option<String> {
        None
    }

    fn new() -> Self;
    fn block_on<F: Future>(&mut self, future: F) -> F::Output;
}

/// A loop with tasks.
pub trait Tasks: Loop {
    /// What a task can spawn with.
    type Spawner: Clone + 'static;
    /// What a spawned task is awaited by.
    type Task<T: 'static>: 'static;

    fn spawner(&self) -> Self::Spawner;
    fn spawn<F>(spawner: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static;
    fn join<T: 'static>(task: Self::Task<T>) -> impl Future<Output = T>;
}

/// A loop with timers.
pub trait Timers: Loop {
    fn sleep(duration: Duration) -> impl Future;
}

macro_rules! timers {
    ($($name:ident $sleep:path),*) => {
        $(impl $crate::peers::loops::Timers for $name {
            fn sleep(duration: std::time::Duration) -> impl Future {
                $sleep(duration)
            }
        })*
    };
}
pub(crate) use timers;
timers!(Footbridge footbridge::time::sleep, Tokio tokio::time::sleep, AsyncIo async_io::Timer::after);

/// The loop as a peer, or why it is left out.
pub fn peer<L: Loop, F: FnMut() -> Lap + 'static>(lap: impl FnOnce() -> F) -> Peer {
    match L::lacks() {
        None => Peer::new(L::NAME, lap()),
        Some(lack) => Peer::left_out(L::NAME, lack),
    }
}

/// One peer for each loop: `each_loop!(L => lap::<L>())`, where `fn lap<L: Loop>() -> impl FnMut() -> Lap`.
macro_rules! each_loop {
    ($name:ident => $lap:expr) => {
        $crate::peers::each!($name in loops [Footbridge, Tokio, AsyncExecutor, Futures] => $lap)
    };
}
pub(crate) use each_loop;

/// Those of `each_loop` and the loops over io_uring, for rows in which no other thread wakes.
macro_rules! each_local_loop {
    ($name:ident => $lap:expr) => {{
        let mut peers = $crate::peers::loops::each_loop!($name => $lap);
        peers.extend($crate::peers::each!($name in rings [Monoio, Glommio, Compio] => $lap));
        peers
    }};
}
pub(crate) use each_local_loop;

/// One peer for each loop with timers, but glommio: a task of its can't wait for more than 32,767 of them.
macro_rules! each_timers {
    ($name:ident => $lap:expr) => {{
        let mut peers = $crate::peers::each!($name in loops [Footbridge, Tokio, AsyncIo] => $lap);
        peers.extend($crate::peers::each!($name in rings [Monoio, Compio] => $lap));
        peers
    }};
}
pub(crate) use each_timers;

pub struct Footbridge(EventLoop);

impl Footbridge {
    /// A loop that is watched by the hook of `on_blocked`.
    pub fn watched() -> Self {
        let is_told = |_: &footbridge::Blocked| ();
        Self(
            EventLoop::builder()
                .on_blocked(Duration::from_millis(100), is_told)
                .build(),
        )
    }
}

impl Loop for Footbridge {
    const NAME: &'static str = "footbridge";

    fn new() -> Self {
        Self(EventLoop::new())
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.run_until(future)
    }
}

impl Tasks for Footbridge {
    type Spawner = ();
    type Task<T: 'static> = footbridge::JoinHandle<T>;

    fn spawner(&self) -> Self::Spawner {}

    fn spawn<F>(_: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        footbridge::spawn(future)
    }

    async fn join<T: 'static>(task: Self::Task<T>) -> T {
        task.await.unwrap()
    }
}

pub struct Tokio {
    runtime: tokio::runtime::Runtime,
    local: tokio::task::LocalSet,
}

impl Loop for Tokio {
    const NAME: &'static str = "tokio";

    fn new() -> Self {
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
            local: tokio::task::LocalSet::new(),
        }
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        // Constrained, only the first 128 timers that it polls at once would be registered: a budget of tokio's.
        let future = tokio::task::unconstrained(future);
        self.local.block_on(&self.runtime, future)
    }
}

impl Tasks for Tokio {
    type Spawner = ();
    type Task<T: 'static> = tokio::task::JoinHandle<T>;

    fn spawner(&self) -> Self::Spawner {}

    fn spawn<F>(_: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        tokio::task::spawn_local(future)
    }

    async fn join<T: 'static>(task: Self::Task<T>) -> T {
        task.await.unwrap()
    }
}

pub struct AsyncExecutor(Rc<LocalExecutor<'static>>);

impl Loop for AsyncExecutor {
    const NAME: &'static str = "async-executor";

    fn new() -> Self {
        Self(Rc::new(LocalExecutor::new()))
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        futures_lite::future::block_on(self.0.run(future))
    }
}

impl Tasks for AsyncExecutor {
    type Spawner = Rc<LocalExecutor<'static>>;
    type Task<T: 'static> = async_executor::Task<T>;

    fn spawner(&self) -> Self::Spawner {
        self.0.clone()
    }

    fn spawn<F>(spawner: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawner.spawn(future)
    }

    async fn join<T: 'static>(task: Self::Task<T>) -> T {
        task.await
    }
}

pub struct Futures(LocalPool);

impl Loop for Futures {
    const NAME: &'static str = "futures";

    fn new() -> Self {
        Self(LocalPool::new())
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.run_until(future)
    }
}

impl Tasks for Futures {
    type Spawner = LocalSpawner;
    type Task<T: 'static> = RemoteHandle<T>;

    fn spawner(&self) -> Self::Spawner {
        self.0.spawner()
    }

    fn spawn<F>(spawner: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        spawner.spawn_local_with_handle(future).unwrap()
    }

    async fn join<T: 'static>(task: Self::Task<T>) -> T {
        task.await
    }
}

/// A thread that waits for a future: no loop, so only for rows that spawn nothing.
macro_rules! no_tasks {
    ($($name:ident $text:literal $block_on:path),*) => {$(
        pub struct $name;

        impl Loop for $name {
            const NAME: &'static str = $text;

            fn new() -> Self {
                Self
            }

            fn block_on<F: Future>(&mut self, future: F) -> F::Output {
                $block_on(future)
            }
        }
    )*};
}
no_tasks!(AsyncIo "async-io" async_io::block_on, FuturesLite "futures-lite" futures_lite::future::block_on);
