//! Auto traits are API: what may cross threads, what may not, and what is an error.
#![cfg(not(footbridge_loom))]

use footbridge::context::Context;
use footbridge::time::{Elapsed, Sleep};
use footbridge::{
    Acquire, Asyncify, BlockingTask, Cancelled, Child, EventLoop, EventLoopBuilder, Gather, Handle,
    Items, JobError, JoinError, JoinHandle, Limiter, LocalSpawner, Permit, Pool, PoolBuilder,
    PoolStats, Portal, PortalBuilder, RunningJob, Scope, SendJoinHandle, Sink, StillRunning,
    Syncify, SyncifyError, Unfinished,
};
use std::cell::Cell;
use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::{Future, Ready, pending};
use std::io;
use std::marker::PhantomPinned;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

/// Whether a type has a trait: what is implemented for the types that have it hides what is there for all.
macro_rules! has {
    ($type:ty: $($bound:tt)+) => {{
        #[allow(dead_code)]
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code)]
        trait Otherwise {
            fn answer(&self) -> bool {
                false
            }
        }
        impl<T: ?Sized> Otherwise for Probe<T> {}
        #[allow(dead_code)]
        impl<T: ?Sized + $($bound)+> Probe<T> {
            fn answer(&self) -> bool {
                true
            }
        }
        Probe::<$type>(std::marker::PhantomData).answer()
    }};
}

macro_rules! assert_all {
    ($traits:tt: $($type:ty),+ $(,)?) => {
        $(assert_all!(@one $type: $traits);)+
    };
    (@one $type:ty: [$($bound:path),+]) => {
        $(assert!(has!($type: $bound), "{} isn't {}", stringify!($type), stringify!($bound));)+
    };
}

macro_rules! assert_none {
    ($traits:tt: $($type:ty),+ $(,)?) => {
        $(assert_none!(@one $type: $traits);)+
    };
    (@one $type:ty: [$($bound:path),+]) => {
        $(assert!(!has!($type: $bound), "{} is {}", stringify!($type), stringify!($bound));)+
    };
}

/// `Send`, but not `Sync`.
type OneThreadAtATime = Cell<u8>;
/// Neither.
type Local = Rc<u8>;

#[test]
fn the_probe_itself_can_tell_yes_from_no() {
    assert_all!([Send, Sync, Unpin]: u8);
    assert_all!([Send]: OneThreadAtATime);
    assert_none!([Sync]: OneThreadAtATime, Local);
    assert_none!([Send, Sync]: Local);
    assert_none!([Unpin]: std::marker::PhantomPinned);
    assert_none!([Clone]: dyn Debug);
}

#[test]
fn what_leads_to_a_loop_or_a_pool_from_anywhere_is_send_sync_and_clone() {
    assert_all!([Send, Sync, Clone, Unpin, Debug]: Handle, Pool, Limiter, Asyncify, Syncify);
}

#[test]
fn a_loop_and_its_spawner_stay_on_their_thread() {
    assert_none!([Send, Sync]: EventLoop, LocalSpawner);
    assert_all!([Unpin, Debug]: EventLoop, LocalSpawner);
    assert_all!([Clone]: LocalSpawner);
    assert_none!([Clone]: EventLoop);
}

#[test]
fn items_may_cross_threads_and_their_sink_stays_on_the_generators() {
    assert_all!([Send, Unpin, Debug]: Items<u8>, Items<OneThreadAtATime>);
    assert_all!([Unpin]: Items<PhantomPinned>);
    assert_none!([Clone]: Items<u8>);
    assert_none!([Sync, Clone]: Sink<u8>);
    assert_all!([UnwindSafe, RefUnwindSafe]: Items<u8>);
    fn is_send<T: Send>(_: T) {}
    is_send(footbridge::syncify_iter(|| async || None::<u8>));
}

#[test]
fn a_portal_may_cross_threads_and_has_one_owner() {
    assert_all!([Send, Sync, Unpin, Debug]: Portal);
    assert_none!([Clone]: Portal);
}

#[test]
fn a_context_may_cross_threads_and_a_future_in_it_may_if_it_may_itself() {
    assert_all!([Send, Sync, Clone, Default, Unpin, Debug, UnwindSafe, RefUnwindSafe]: Context);
    fn is_send<T: Send + Unpin + 'static>(_: T) {}
    fn borrows<T>(_: T) {}
    is_send(Context::current().wrap(async { 1 }));
    let number = Local::new(1);
    borrows(Context::current().wrap(async { *number + 1 })); // Neither `Send` nor `'static`.
}

#[test]
fn builders_and_figures_may_cross_threads() {
    assert_all!([Send, Sync, Unpin, Debug]: EventLoopBuilder, PoolBuilder, PortalBuilder);
    assert_all!([Send, Sync, Unpin, Debug]: PoolStats, RunningJob, StillRunning);
    assert_all!([Copy, PartialEq, Eq]: PoolStats);
    assert_all!([Clone]: RunningJob, StillRunning);
}

#[test]
fn a_handle_of_the_loops_own_stays_on_its_thread_and_a_send_one_may_cross_if_its_result_may() {
    assert_none!([Send, Sync, Clone]: JoinHandle<u8>, JoinHandle<Local>);
    assert_all!([Unpin, Debug]: JoinHandle<u8>, JoinHandle<Local>, JoinHandle<PhantomPinned>);
    assert_all!([Send, Sync, Unpin, Debug]: SendJoinHandle<u8>, SendJoinHandle<OneThreadAtATime>);
    assert_none!([Clone]: SendJoinHandle<u8>);
}

#[test]
fn a_blocking_task_may_cross_threads_and_be_polled_without_being_pinned() {
    assert_all!([Send, Unpin, Debug]: BlockingTask<u8>, BlockingTask<OneThreadAtATime>);
    assert_none!([Clone]: BlockingTask<u8>);
}

#[test]
fn a_limiters_tokens_and_the_calls_that_wait_may_cross_threads() {
    assert_all!([Send, Sync, Unpin, Debug]: Permit, Acquire);
    assert_none!([Clone]: Permit, Acquire);
}

#[test]
fn a_scope_and_its_children_stay_on_their_thread() {
    assert_none!([Send, Sync, Clone]: Scope<'static, 'static, u8>, Child<'static, u8>);
    assert_all!([Unpin, Debug]: Scope<'static, 'static, u8>, Child<'static, u8>, Child<'static, PhantomPinned>);
}

#[test]
fn a_gather_may_cross_threads_if_its_futures_and_their_results_may() {
    assert_all!([Send, Unpin]: Gather<Ready<u8>>, Gather<BlockingTask<u8>>);
    assert_none!([Send]: Gather<Ready<Local>>, Gather<OfThisThread>);
    /// A future that isn't `Send`.
    type OfThisThread = std::pin::Pin<Box<dyn Future<Output = u8>>>;
}

#[test]
fn timers_may_be_made_on_any_thread() {
    assert_all!([Send, Unpin]: Sleep);
    fn is_send<T: Send>(_: T) {}
    is_send(footbridge::yield_now());
    is_send(footbridge::time::timeout(
        std::time::Duration::ZERO,
        async {},
    ));
}

#[test]
fn every_error_is_an_error_that_may_cross_threads() {
    assert_all!(
        [Error, Send, Sync, Unpin, Debug, Display]:
        SyncifyError, JobError, JoinError, Cancelled, Elapsed, StillRunning, Unfinished,
    );
    assert_all!([Copy, PartialEq, Eq]: SyncifyError, Cancelled, Elapsed, Unfinished);
    fn boxed<E: Error + Send + Sync + 'static>(error: E) -> Box<dyn Error + Send + Sync> {
        error.into()
    }
    let errors = [
        SyncifyError::NotOnWorkerThread,
        SyncifyError::OnLoopThread,
        SyncifyError::LoopClosed,
        SyncifyError::Cancelled,
        SyncifyError::PoolExhausted,
    ];
    let texts = errors.map(|error| boxed(error).to_string());
    assert!(
        texts.iter().all(|text| text.len() > 20),
        "each says what is wrong: {texts:?}"
    );
}

#[test]
fn plain_errors_may_be_seen_behind_a_caught_panic() {
    assert_all!([UnwindSafe, RefUnwindSafe]: SyncifyError, Cancelled, Elapsed, PoolStats, StillRunning);
}

#[test]
fn what_leads_to_a_loop_or_a_pool_may_be_seen_behind_a_caught_panic_under_every_feature() {
    assert_all!([UnwindSafe, RefUnwindSafe]: Handle, Portal, Pool, Limiter, Asyncify, Syncify, Permit, JobError, JoinError);
    assert_all!([UnwindSafe, RefUnwindSafe]: JoinHandle<Local>, BlockingTask<OneThreadAtATime>);
}

// A2, A8
#[test]
fn an_asyncified_function_may_cross_threads_whatever_the_function() {
    fn is_send<T: Send>(it: T) -> T {
        it
    }
    let half: Box<dyn Fn(u32) -> BlockingTask<u32> + Send> = footbridge::asyncify(|n: u32| n / 2);
    let half = is_send(half);
    let elsewhere = std::thread::spawn(move || half(8).join());
    assert_eq!(elsewhere.join().unwrap(), 4);
}

#[test]
fn a_syncified_function_may_cross_threads_although_its_future_may_not() {
    let blocking: Box<dyn Fn(u32) -> Result<u32, SyncifyError> + Send> =
        footbridge::syncify(async |n: u32| {
            let local = Rc::new(n);
            footbridge::yield_now().await;
            *local
        });
    let job = footbridge::run(async { footbridge::spawn_blocking(move || blocking(8)).await });
    assert_eq!(job, Ok(8));
}

// DESIGN.md, section 1: the box of a function item allocates nothing
#[test]
fn the_asyncified_form_of_a_function_holds_no_more_than_its_options() {
    fn plain() {}
    let wrapped = footbridge::asyncify(plain);
    // What stands behind the pointer: no copy of a function, only where it was wrapped and what for.
    assert!(size_of_val(&*wrapped) <= 6 * size_of::<usize>());
}

#[test]
fn each_error_goes_into_an_io_error_that_still_says_what_it_was() {
    fn into(error: impl Into<io::Error>) -> io::Error {
        error.into()
    }
    footbridge::run(async {
        let task = footbridge::spawn(pending::<()>());
        task.abort();
        let error = into(task.await.unwrap_err());
        assert!(error.get_ref().unwrap().is::<JoinError>());
        let late = footbridge::time::timeout(Duration::ZERO, pending::<()>());
        let error = into(late.await.unwrap_err());
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.get_ref().unwrap().is::<Elapsed>());
    });
    let (tell, told) = mpsc::sync_channel(0);
    let job = footbridge::spawn_blocking(
        move || {
            while tell.send(footbridge::check_cancelled()).is_ok() {}
        },
    );
    assert_eq!(told.recv(), Ok(Ok(()))); // it runs
    drop(job);
    let cancelled = into(told.iter().find_map(Result::err).unwrap());
    assert_eq!(cancelled.kind(), io::ErrorKind::Other); // at `Interrupted` `read_exact` would go on
    let error = into(footbridge::syncify(async || ())().unwrap_err());
    assert!(error.get_ref().unwrap().is::<SyncifyError>());
}
