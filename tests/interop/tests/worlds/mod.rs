//! Other people's executors in one list, so that what holds on any executor is tested on each; and a loop of
//! ours on a thread of its own, for them to reach.
#![allow(dead_code, reason = "each test file uses its own part of this one")]

use crate::common::watched;
use async_executor::{Executor, LocalExecutor};
use footbridge::Handle;
use futures::channel::oneshot;
use futures::executor::{LocalPool, ThreadPool};
use futures::future::{BoxFuture, LocalBoxFuture};
use futures::task::SpawnExt;
use std::future::Future;
use std::panic::resume_unwind;
use std::sync::mpsc;
use std::thread;

/// Runs a future to its end. A panic of it is passed on, payload and all.
pub type Drive = fn(BoxFuture<'static, ()>);

pub const EXECUTORS: [(&str, Drive); 12] = [
    ("futures' block_on", futures::executor::block_on),
    ("futures' LocalPool", |future| {
        LocalPool::new().run_until(future)
    }),
    ("futures' ThreadPool", |future| {
        let pool = ThreadPool::builder().pool_size(2).create().unwrap();
        futures::executor::block_on(pool.spawn_with_handle(future).unwrap());
    }),
    ("pollster", pollster::block_on),
    ("futures-lite's block_on", futures_lite::future::block_on),
    ("async-executor's Executor, on two threads", on_two_threads),
    ("async-executor's LocalExecutor", |future| {
        let executor = LocalExecutor::new();
        futures_lite::future::block_on(executor.run(executor.spawn(future)));
    }),
    ("smol's block_on", smol::block_on),
    ("smol's global executor", |future| {
        smol::block_on(smol::spawn(future))
    }),
    ("tokio, current_thread", |future| {
        current_thread().block_on(future)
    }),
    ("tokio's LocalSet", |future| {
        let local = tokio::task::LocalSet::new();
        pass_on(local.block_on(&current_thread(), local.spawn_local(future)));
    }),
    ("tokio, multi_thread", |future| {
        let runtime = multi_thread();
        pass_on(runtime.block_on(runtime.spawn(future)));
    }),
];

/// Runs a future to its end on this thread, so it need not be `Send`.
pub type DriveHere = fn(LocalBoxFuture<'static, ()>);

pub const EXECUTORS_HERE: [(&str, DriveHere); 10] = [
    ("footbridge", footbridge::run),
    ("futures' block_on", futures::executor::block_on),
    ("futures' LocalPool", |future| {
        LocalPool::new().run_until(future)
    }),
    ("pollster", pollster::block_on),
    ("futures-lite's block_on", futures_lite::future::block_on),
    ("async-executor's LocalExecutor", |future| {
        let executor = LocalExecutor::new();
        futures_lite::future::block_on(executor.run(executor.spawn(future)));
    }),
    ("smol's block_on", smol::block_on),
    ("tokio, current_thread", |future| {
        current_thread().block_on(future)
    }),
    ("tokio's LocalSet", |future| {
        let local = tokio::task::LocalSet::new();
        pass_on(local.block_on(&current_thread(), local.spawn_local(future)));
    }),
    ("tokio, multi_thread", |future| {
        multi_thread().block_on(future)
    }),
];

/// Runs the scenario on each of those.
pub fn on_every_executor_here<F>(scenario: fn() -> F)
where
    F: Future<Output = ()> + 'static,
{
    for (name, drive) in EXECUTORS_HERE {
        println!("on {name}"); // Shown where it fails.
        watched(move || drive(Box::pin(scenario())));
    }
}

/// Runs the scenario on each of them.
pub fn on_every_executor<F>(scenario: fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for (name, drive) in EXECUTORS {
        println!("on {name}"); // Shown where it fails.
        watched(move || drive(Box::pin(scenario())));
    }
}

fn on_two_threads(future: BoxFuture<'static, ()>) {
    let executor = &Executor::new();
    let task = executor.spawn(future);
    let (stop, stopped) = async_channel::bounded::<()>(1);
    thread::scope(move |scope| {
        scope.spawn(move || futures_lite::future::block_on(executor.run(stopped.recv())).is_err());
        futures_lite::future::block_on(executor.run(task));
        drop(stop);
    });
}

pub fn current_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

pub fn multi_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
}

/// What a tokio task returned; its panic is passed on.
pub fn pass_on<T>(result: Result<T, tokio::task::JoinError>) -> T {
    result.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// A loop of ours on a thread of its own. It ends when what is beside the handle is dropped.
pub fn loop_elsewhere() -> (Handle, oneshot::Sender<()>) {
    let (stop, stopped) = oneshot::channel();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        footbridge::run(async {
            tell.send(Handle::current()).unwrap();
            stopped.await
        })
    });
    (told.recv().unwrap(), stop)
}
