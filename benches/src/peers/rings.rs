//! Loops that wait in io_uring, from runtimes with a thread for each core. Their tasks are meant for that thread, so they
//! are in the rows in which no other thread wakes.
//!
//! Each is made by its own builder with nothing else said, monoio's with timers. Where io_uring isn't permitted monoio
//! falls back on epoll by itself; the other two can't run.

pub use super::loops::peer;
use super::loops::{Loop, Tasks, timers};
use std::fmt::Display;
use std::future::Future;

/// What went wrong.
fn said<T>(made: Result<T, impl Display>) -> Option<String> {
    made.err().map(|error| error.to_string())
}

timers!(
    Monoio monoio::time::sleep,
    Glommio glommio::timer::Timer::new,
    Compio compio::time::sleep
);

type MonoioTimers<D> = monoio::time::TimeDriver<D>;

pub struct Monoio(
    monoio::FusionRuntime<MonoioTimers<monoio::IoUringDriver>, MonoioTimers<monoio::LegacyDriver>>,
);

impl Monoio {
    fn make() -> std::io::Result<Self> {
        let builder = monoio::RuntimeBuilder::<monoio::FusionDriver>::new();
        builder.enable_timer().build().map(Self)
    }
}

impl Loop for Monoio {
    const NAME: &'static str = "monoio";

    fn lacks() -> Option<String> {
        said(Self::make())
    }

    fn new() -> Self {
        Self::make().unwrap()
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Tasks for Monoio {
    type Spawner = ();
    type Task<T: 'static> = monoio::task::JoinHandle<T>;

    fn spawner(&self) -> Self::Spawner {}

    fn spawn<F>(_: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        monoio::spawn(future)
    }

    async fn join<T: 'static>(task: Self::Task<T>) -> T {
        task.await
    }
}

pub struct Glommio(glommio::LocalExecutor);

impl Loop for Glommio {
    const NAME: &'static str = "glommio";

    fn lacks() -> Option<String> {
        // Without a ring it doesn't return an error, it panics.
        if monoio::utils::detect_uring() {
            said(glommio::LocalExecutorBuilder::default().make())
        } else {
            Some("there is no io_uring here, or it isn't permitted".into())
        }
    }

    fn new() -> Self {
        Self(glommio::LocalExecutorBuilder::default().make().unwrap())
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.run(future)
    }
}

impl Tasks for Glommio {
    type Spawner = ();
    type Task<T: 'static> = glommio::Task<T>;

    fn spawner(&self) -> Self::Spawner {}

    fn spawn<F>(_: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        glommio::spawn_local(future)
    }

    async fn join<T: 'static>(task: Self::Task<T>) -> T {
        task.await
    }
}

pub struct Compio(compio::runtime::Runtime);

impl Loop for Compio {
    const NAME: &'static str = "compio";

    fn lacks() -> Option<String> {
        said(compio::runtime::Runtime::new())
    }

    fn new() -> Self {
        Self(compio::runtime::Runtime::new().unwrap())
    }

    fn block_on<F: Future>(&mut self, future: F) -> F::Output {
        self.0.block_on(future)
    }
}

impl Tasks for Compio {
    type Spawner = ();
    type Task<T: 'static> = compio::runtime::JoinHandle<T>;

    fn spawner(&self) -> Self::Spawner {}

    fn spawn<F>(_: &Self::Spawner, future: F) -> Self::Task<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        compio::runtime::spawn(future)
    }

    async fn join<T: 'static>(task: Self::Task<T>) -> T {
        task.await.unwrap()
    }
}
