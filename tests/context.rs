//! Contexts: what goes along with a call, where it is in force, and that nothing flows back.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Grenade, foreign_block_on, panic_of, poll_once, until, watched};
use footbridge::context::Context;
use footbridge::{
    Asyncify, BlockingTask, EventLoop, Handle, Limiter, LocalSpawner, Pool, Portal, Syncify,
    asyncify, gather, run, spawn, spawn_blocking, syncify, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::task::{self, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

struct Id(u32);

/// The number in the current context. 0: there is none.
fn id() -> u32 {
    Context::current().get::<Id>().map_or(0, |id| id.0)
}

/// Runs `code` with a number in its context.
fn in_context<T>(number: u32, code: impl FnOnce() -> T) -> T {
    Context::current().with(Id(number)).run(code)
}

/// Tells which number was in the context when it was dropped.
struct Dropped(Sender<u32>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(id());
    }
}

/// A pool of one thread, which is busy until the sender is dropped.
fn busy_pool() -> (Pool, Sender<()>) {
    let pool = Pool::builder().max_threads(1).build();
    let ((busy, is_busy), (go, gate)) = (mpsc::channel(), mpsc::channel::<()>());
    pool.spawn_blocking(move || {
        busy.send(()).unwrap();
        let _ = gate.recv();
    })
    .detach();
    is_busy.recv().unwrap();
    (pool, go)
}

// C1
#[test]
fn a_job_sees_the_context_in_which_it_was_submitted_whichever_call_submits_it() {
    watched(|| {
        let pool = Pool::builder().build();
        let limited = Asyncify::new().limiter(&Limiter::new(1)).wrap(id);
        let seen = in_context(7, || {
            run(async move {
                let handle = Handle::current();
                let jobs = [
                    asyncify(id)(),
                    limited(),
                    spawn_blocking(id),
                    pool.spawn_blocking(id),
                    handle.run_in_executor(None, id),
                ];
                gather(jobs).await
            })
        });
        assert_eq!(seen, [7; 5]);
        assert_eq!(in_context(7, || spawn_blocking(id)).join(), 7);
        assert_eq!(in_context(7, || asyncify(id)().join()), 7);
        assert_eq!(spawn_blocking(id).join(), 0);
    });
}

// C1, A3, decision 9
#[test]
fn asyncify_takes_the_context_at_its_first_poll() {
    watched(|| {
        let (pool, go) = busy_pool();
        let there = Asyncify::new().pool(&pool);
        let (plain, limited) = (there.wrap(id), there.limiter(&Limiter::new(1)).wrap(id));
        let (mut call, mut limited) = in_context(1, || (plain(), limited()));
        in_context(2, || {
            assert!(poll_once(&mut call).is_pending() && poll_once(&mut limited).is_pending());
        });
        drop(go);
        let (tell, told) = mpsc::channel();
        let detached = in_context(1, || asyncify(move || tell.send(id()).unwrap())());
        in_context(2, || detached.detach());
        assert_eq!((in_context(3, || call.join()), limited.join()), (2, 2));
        assert_eq!(told.recv(), Ok(2));
    });
}

// C2, C4, C10
#[test]
fn nothing_flows_back_neither_from_a_job_nor_from_what_it_calls() {
    watched(|| {
        in_context(1, || {
            run(async {
                let seen = asyncify(|| {
                    let nested = in_context(2, || syncify(async || in_context(3, id))().unwrap());
                    (nested, id())
                });
                assert_eq!((seen().await, id()), ((3, 1), 1));
                let task = spawn(async { in_context(4, || Context::current().with(0_u8).run(id)) });
                assert_eq!((task.await.unwrap(), id()), (4, 1));
                assert!(Context::current().get::<u8>().is_none());
            });
        });
        assert_eq!(id(), 0);
    });
}

// C3
#[test]
fn what_a_job_calls_on_the_loop_sees_the_jobs_context_of_that_moment() {
    watched(|| {
        let job = || {
            in_context(2, || {
                let handle = Handle::current();
                let (tell, told) = mpsc::channel();
                assert!(handle.call_soon(move || tell.send(id()).unwrap()));
                let from_within_make = handle.spawn(|| {
                    let made = id();
                    async move {
                        yield_now().await;
                        (made, id(), asyncify(id)().await)
                    }
                });
                assert_eq!(
                    syncify(async || (id(), spawn(async { id() }).await.unwrap()))(),
                    Ok((2, 2))
                );
                assert_eq!(handle.block_on(|| async { id() }), Ok(2));
                assert_eq!(told.recv(), Ok(2));
                assert_eq!(from_within_make.join().unwrap(), (2, 2, 2));
            });
            id()
        };
        assert_eq!(in_context(1, || run(async { asyncify(job)().await })), 1);
    });
}

// C5, S4
#[test]
fn a_temporary_loop_sees_the_callers_context_and_gives_nothing_back() {
    fn call() -> (u32, u32, u32) {
        let function = async || {
            yield_now().await;
            let task = spawn(async { in_context(9, id) }).await.unwrap();
            (id(), asyncify(id)().await, task)
        };
        Syncify::new().raise_sync_error(false).wrap(function)().unwrap()
    }
    watched(|| {
        assert_eq!(in_context(1, || (call(), id())), ((1, 1, 9), 1));
        // In a job without a loop.
        assert_eq!(in_context(2, || spawn_blocking(call)).join(), (2, 2, 9));
        assert_eq!((call(), id()), ((0, 0, 9), 0));
    });
}

// C6
#[test]
fn the_next_job_on_the_thread_sees_nothing_also_after_a_panic() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        assert_eq!(in_context(1, || pool.spawn_blocking(id)).join(), 1);
        assert_eq!(pool.spawn_blocking(id).join(), 0);
        let panics = in_context(1, || pool.spawn_blocking(|| panic!("number {}", id())));
        assert_eq!(panic_of(|| panics.join()), "number 1");
        assert_eq!(pool.spawn_blocking(id).join(), 0);
        let waits = in_context(1, || {
            let handle = EventLoop::new().handle(); // It has ended.
            pool.spawn_blocking(move || (handle.block_on(|| async {}).is_err(), id()))
        });
        assert_eq!(waits.join(), (true, 1));
        assert_eq!(pool.spawn_blocking(id).join(), 0);
    });
}

// C8, P1
#[test]
fn calls_from_another_thread_bring_their_own_context_to_the_loop() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let portal = thread::spawn(move || {
            in_context(1, || {
                run(async move {
                    tell.send(Handle::current()).unwrap();
                    let _ = spawn_blocking(move || stopped.recv()).await;
                    id()
                })
            })
        });
        let handle = told.recv().unwrap();
        let seen = |handle: &Handle| {
            handle.block_on(|| async { (id(), spawn(async { id() }).await.unwrap()) })
        };
        assert_eq!(
            seen(&handle),
            Ok((0, 0)),
            "not the context of the loop's main future"
        );
        assert_eq!(in_context(2, || seen(&handle)), Ok((2, 2)));
        let on = Syncify::new().on(&handle);
        assert_eq!(in_context(3, || on.wrap(async || id())()), Ok(3));
        drop(stop);
        assert_eq!(portal.join().unwrap(), 1);
    });
}

// C8, P1
#[test]
fn a_portals_thread_starts_without_a_context_and_each_call_brings_its_callers() {
    watched(|| {
        let portal = in_context(1, || Portal::start().unwrap());
        let seen = || {
            let call = || async { (id(), spawn(async { id() }).await.unwrap()) };
            portal.handle().block_on(call)
        };
        assert_eq!((seen(), in_context(2, seen)), (Ok((0, 0)), Ok((2, 2))));
        assert_eq!(seen(), Ok((0, 0)));
    });
}

// C9
#[test]
fn a_task_inherits_the_context_of_the_code_that_spawns_it_unless_that_names_another() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let outside = in_context(1, || event_loop.spawn(async { id() }));
        assert_eq!(event_loop.run_until(outside).unwrap(), 1);
        in_context(2, || {
            run(async {
                let (current, global) = (LocalSpawner::current(), Handle::current());
                let of_a_task = spawn(async { spawn(async { id() }).await.unwrap() });
                assert_eq!(of_a_task.await.unwrap(), 2);
                assert_eq!(current.spawn(async { id() }).await.unwrap(), 2);
                assert_eq!(global.spawn(|| async { id() }).await.unwrap(), 2);
                let other = in_context(3, || spawn(async { id() }));
                let none = Context::default().run(|| spawn(async { id() }));
                assert_eq!((other.await.unwrap(), none.await.unwrap()), (3, 0));
            });
        });
    });
}

// C9
#[cfg(feature = "futures-task")]
#[test]
fn what_is_spawned_by_the_traits_of_futures_inherits_as_well() {
    use futures_task::{FutureObj, LocalFutureObj, LocalSpawn, Spawn};
    watched(|| {
        let (tell, told) = mpsc::channel();
        let future = || {
            let tell = tell.clone();
            Box::pin(async move { tell.send(id()).unwrap() })
        };
        in_context(1, || {
            run(async {
                let local = LocalSpawner::current();
                local
                    .spawn_local_obj(LocalFutureObj::new(future()))
                    .unwrap();
                local.spawn_obj(FutureObj::new(future())).unwrap();
                Handle::current()
                    .spawn_obj(FutureObj::new(future()))
                    .unwrap();
                Context::default()
                    .run(|| local.spawn_obj(FutureObj::new(future())))
                    .unwrap();
                while told.try_iter().sum::<u32>() < 3 {
                    yield_now().await;
                }
            });
        });
    });
}

// C9
#[test]
fn a_loop_that_is_run_in_a_context_gives_it_to_its_main_future_alone() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let handle = event_loop.handle();
        let numbers = || {
            let mut polls = 0;
            poll_fn(move |context| {
                polls += 1;
                context.waker().wake_by_ref();
                if polls < 3 {
                    Poll::Pending
                } else {
                    Poll::Ready(id())
                }
            })
        };
        let task = event_loop.spawn(numbers());
        let (tell, told) = mpsc::channel();
        assert!(handle.call_soon(move || tell.send(id()).unwrap()));
        assert_eq!(in_context(1, || event_loop.run_until(numbers())), 1);
        assert_eq!(
            (event_loop.run_until(task).unwrap(), told.recv()),
            (0, Ok(0))
        );

        let ticked = event_loop.spawn(async { id() });
        in_context(1, || while event_loop.tick() {});
        assert_eq!(event_loop.run_until(ticked).unwrap(), 0);

        let (tell, told) = mpsc::channel();
        let dropped = Dropped(tell);
        drop(event_loop.spawn(async move {
            let _dropped = dropped;
            pending::<()>().await;
        }));
        in_context(1, || drop(event_loop));
        assert_eq!(told.recv(), Ok(0));
    });
}

// C9, decision 20
#[test]
fn a_context_is_in_force_while_a_task_is_dropped_however_it_ends() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let last = |told: &mpsc::Receiver<u32>| told.recv().unwrap();
        let dropped = || Dropped(tell.clone());
        run(async {
            let never = |dropped| async move {
                let _dropped = dropped;
                pending::<()>().await;
            };
            let polled = in_context(1, || spawn(never(dropped())));
            yield_now().await;
            polled.abort();
            assert!(polled.await.unwrap_err().is_cancelled());
            assert_eq!(last(&told), 1);

            let unpolled = in_context(2, || spawn(never(dropped())));
            unpolled.abort();
            assert!(unpolled.await.unwrap_err().is_cancelled());
            assert_eq!(last(&told), 2);

            let held = dropped();
            let panics = in_context(3, || {
                spawn(async move {
                    let _held = held;
                    panic!("on purpose");
                })
            });
            assert!(panics.await.unwrap_err().is_panic());
            assert_eq!(last(&told), 3);

            let held = dropped();
            let aborted = in_context(4, || Handle::current().spawn(move || never(held)));
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
            assert_eq!(last(&told), 4);

            drop(in_context(5, || spawn(never(dropped())))); // The end of the loop drops it.
            yield_now().await;
            let held = dropped();
            drop(in_context(6, || {
                Handle::current().spawn(move || never(held))
            })); // And this, which wasn't made.
            let held = dropped();
            assert!(in_context(7, || Handle::current().call_soon(move || drop(held))));
        });
        assert_eq!([last(&told), last(&told), last(&told)], [5, 6, 7]);

        let ended = run(async { (Handle::current(), LocalSpawner::current()) });
        let held = dropped();
        let refused = in_context(8, || ended.0.spawn(move || async move { drop(held) }));
        assert!(refused.is_finished());
        let held = dropped();
        in_context(9, || assert!(!ended.0.call_soon(move || drop(held))));
        let held = dropped();
        drop(in_context(10, || ended.1.spawn(async move { drop(held) })));
        assert_eq!([last(&told), last(&told), last(&told)], [8, 9, 10]);
    });
}

// C1, X1, decision 20
#[test]
fn a_context_is_in_force_while_a_jobs_function_is_dropped_unrun() {
    watched(|| {
        let (pool, go) = busy_pool();
        let (tell, told) = mpsc::channel();
        let job = || {
            let dropped = Dropped(tell.clone());
            move || drop(dropped)
        };
        drop(in_context(1, || pool.spawn_blocking(job())));
        assert_eq!(told.recv(), Ok(1), "cancelled");

        let in_line = Limiter::new(1);
        let _held = in_line.try_acquire().unwrap();
        let shared = Mutex::new(Some(job()));
        let shared = Arc::new(shared);
        let take = shared.clone();
        let wrapped = Asyncify::new()
            .limiter(&in_line)
            .wrap(move |held: Dropped| {
                drop(take.lock().unwrap().take());
                drop(held);
            });
        let mut waits = wrapped(Dropped(tell.clone()));
        assert!(in_context(2, || poll_once(&mut waits)).is_pending());
        drop(waits);
        assert_eq!(told.recv(), Ok(2), "cancelled in a limiter's line");
        drop((wrapped, shared));
        assert_eq!(told.recv(), Ok(0), "it came with no call");

        let refused = in_context(3, || pool.spawn_blocking(job()));
        let unwanted = in_context(4, || pool.spawn_blocking(job()));
        unwanted.detach();
        assert!(pool.shutdown(Duration::ZERO).is_err());
        assert!(panic_of(|| refused.join()).contains("shut down"));
        assert_eq!([told.recv(), told.recv()], [Ok(3), Ok(4)], "refused");
        drop(go);
    });
}

// Decision 20
#[test]
fn a_wrapped_future_is_polled_and_dropped_in_its_context_on_any_executor() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let dropped = Dropped(tell.clone());
        let wrapped = Context::default().with(Id(1)).wrap(async move {
            let _dropped = dropped;
            (asyncify(id)().await, id())
        });
        assert_eq!(foreign_block_on(in_context(2, || wrapped)), (1, 1));
        assert_eq!((told.recv(), id()), (Ok(1), 0));

        let dropped = Dropped(tell.clone());
        let context = Context::default().with(Id(2));
        let mut pends = Box::pin(context.wrap(async move {
            let _dropped = dropped;
            pending::<()>().await;
        }));
        assert!(poll_once(&mut pends).is_pending());
        drop(pends);
        let dropped = Dropped(tell);
        drop(context.wrap(async move { drop(dropped) }));
        assert_eq!([told.recv(), told.recv()], [Ok(2), Ok(2)]);

        // An empty context, within another one.
        assert_eq!(
            in_context(3, || foreign_block_on(
                Context::default().wrap(async { id() })
            )),
            0
        );
        let panics = context.wrap(async { panic!("number {}", id()) });
        assert_eq!(panic_of(|| foreign_block_on::<_>(panics) as ()), "number 2");
        assert_eq!(
            panic_of(|| context.run(|| panic!("number {}", id()))),
            "number 2"
        );
        assert_eq!(id(), 0);
    });
}

// A19
#[test]
fn when_a_result_is_there_its_call_holds_no_context_any_more() {
    /// Counts the references to a value at the moment of the wake.
    struct CountsOnWake(Arc<()>, Sender<usize>);
    impl Wake for CountsOnWake {
        fn wake(self: Arc<Self>) {
            self.1.send(Arc::strong_count(&self.0)).unwrap();
        }
    }
    watched(|| {
        let (tell, told) = mpsc::channel();
        let value = Arc::new(());
        let waker = Waker::from(Arc::new(CountsOnWake(value.clone(), tell)));
        let mut poll = task::Context::from_waker(&waker);
        let in_context = |code: &mut dyn FnMut()| Context::default().with(value.clone()).run(code);

        let (go, gate) = mpsc::channel::<()>();
        let mut gate = Some(gate);
        let mut job = None;
        in_context(&mut || job = gate.take().map(|gate| spawn_blocking(move || gate.recv())));
        let mut job = job.unwrap();
        assert!(Pin::new(&mut job).poll(&mut poll).is_pending());
        assert_eq!(Arc::strong_count(&value), 3);
        drop(go);
        assert_eq!(told.recv(), Ok(2));

        let mut event_loop = EventLoop::new();
        for yields in [false, true] {
            let mut task = None;
            in_context(&mut || {
                let handle = event_loop.handle();
                task = Some(handle.spawn(move || async move {
                    if yields {
                        yield_now().await;
                    }
                }));
            });
            let mut task = task.unwrap();
            assert!(Pin::new(&mut task).poll(&mut poll).is_pending());
            assert_eq!(Arc::strong_count(&value), 3);
            while event_loop.tick() {}
            assert_eq!(told.recv(), Ok(2));
        }
    });
}

#[test]
fn a_value_takes_the_place_of_the_one_of_its_type_and_the_context_it_came_from_keeps_its_own() {
    let value = Arc::new(());
    let mut context = Context::default().with("a name");
    let first = context.with(value.clone()).with(1_u8);
    for _ in 0..1000 {
        context = context.with(value.clone());
    }
    assert_eq!(Arc::strong_count(&value), 3);
    assert_eq!(
        (*first.get::<u8>().unwrap(), *first.get::<&str>().unwrap()),
        (1, "a name")
    );
    assert!(context.get::<u8>().is_none() && context.get::<Arc<()>>().is_some());
    assert_eq!(format!("{first:?}"), "Context { values: 3, carries: 0 }");
}

#[test]
fn a_panic_in_the_drop_of_a_contexts_value_stays_there() {
    fn in_grenade<T>(code: impl FnOnce() -> T) -> T {
        Context::default().with(Mutex::new(Grenade)).run(code)
    }
    watched(|| {
        let (go, gate) = mpsc::channel();
        let job = in_grenade(|| spawn_blocking(move || gate.recv()));
        go.send(1).unwrap();
        assert_eq!(job.join(), Ok(1));
        run(async {
            assert_eq!(in_grenade(|| spawn(async { 2 })).await.unwrap(), 2);
            let aborted = in_grenade(|| spawn(pending::<()>()));
            yield_now().await;
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
            let remote = in_grenade(|| Handle::current().spawn(|| async { 3 }));
            assert_eq!(remote.await.unwrap(), 3);
            assert!(in_grenade(|| Handle::current().call_soon(|| ())));
        });
    });
}

#[test]
fn a_context_may_be_used_while_a_thread_ends() {
    struct AtTheEnd(Sender<u32>);
    impl Drop for AtTheEnd {
        fn drop(&mut self) {
            self.0
                .send(id() + in_context(3, || id() + spawn_blocking(id).join()))
                .unwrap();
        }
    }
    thread_local!(static LAST: RefCell<Option<AtTheEnd>> = const { RefCell::new(None) });
    watched(|| {
        let (tell, told) = mpsc::channel();
        let ends = thread::spawn(move || {
            LAST.set(Some(AtTheEnd(tell)));
            in_context(1, || run(async { spawn(async { id() }).await.unwrap() }))
        });
        assert_eq!(ends.join().unwrap(), 1);
        assert_eq!(told.recv(), Ok(6));
    });
}

// What is carried along for other crates.

thread_local! {
    /// As such a crate would have it.
    static SPAN: Cell<u32> = const { Cell::new(0) };
}

/// Carries `SPAN` along, and counts the captures.
fn carrying() -> (Context, Arc<AtomicUsize>) {
    let captured = Arc::new(AtomicUsize::new(0));
    let count = captured.clone();
    let context = Context::default().carry(move || {
        count.fetch_add(1, SeqCst);
        let span = SPAN.get();
        move |step: &mut dyn FnMut()| {
            let before = SPAN.replace(span);
            step();
            SPAN.set(before);
        }
    });
    (context, captured)
}

/// Runs `code` with this number in `SPAN`.
fn in_span<T>(number: u32, code: impl FnOnce() -> T) -> T {
    let before = SPAN.replace(number);
    let result = code();
    SPAN.set(before);
    result
}

// C1, C3
#[test]
fn what_is_carried_is_captured_once_at_each_hop_and_is_around_each_poll_and_each_job() {
    watched(|| {
        let (context, captured) = carrying();
        context.run(|| {
            run(async {
                let span = || SPAN.get();
                let hops = |hops: usize| assert_eq!(captured.swap(0, SeqCst), hops);
                assert_eq!(in_span(1, || spawn_blocking(span)).await, 1);
                hops(1);
                let task = in_span(2, || {
                    spawn(async {
                        yield_now().await;
                        let before = SPAN.get();
                        yield_now().await;
                        (before, SPAN.get())
                    })
                });
                assert_eq!((task.await.unwrap(), SPAN.get()), ((2, 2), 0));
                hops(1);
                let remote = in_span(3, || {
                    Handle::current().spawn(|| {
                        let made = SPAN.get();
                        async move { (made, SPAN.get()) }
                    })
                });
                assert_eq!((remote.await.unwrap(), SPAN.get()), ((3, 3), 0));
                hops(1);
                // To the worker, back to the loop, and to another worker.
                let nested = || {
                    in_span(SPAN.get() + 1, || {
                        syncify(async || {
                            let here = SPAN.replace(SPAN.get() + 1);
                            (here, asyncify(|| SPAN.get())().await)
                        })()
                    })
                };
                let mut call = asyncify(nested)();
                let first = in_span(4, || poll_once(&mut call));
                assert!(first.is_pending());
                assert_eq!((call.await, SPAN.get()), (Ok((5, 6)), 0));
                hops(3);
                let wrapped = in_span(7, || Context::current().wrap(async { SPAN.get() }));
                assert_eq!((wrapped.await, SPAN.get()), (7, 0));
                hops(1);
            });
        });
    });
}

#[test]
fn what_a_context_carries_is_captured_in_it() {
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new(tell);
    let context = Context::default().with(Id(1)).carry(move || {
        tell.lock().unwrap().send(id()).unwrap();
        |step: &mut dyn FnMut()| step()
    });
    in_context(2, || drop(context.wrap(async {})));
    drop(context.run(|| spawn_blocking(|| ())));
    assert_eq!([told.recv(), told.recv()], [Ok(1), Ok(1)]);
}

#[test]
fn what_is_carried_is_around_the_drops_too() {
    struct Last(Sender<u32>);
    impl Drop for Last {
        fn drop(&mut self) {
            let _ = self.0.send(SPAN.get());
        }
    }
    watched(|| {
        let (pool, go) = busy_pool();
        let (context, _) = carrying();
        let (tell, told) = mpsc::channel();
        let last = Last(tell.clone());
        drop(context.run(|| in_span(1, || pool.spawn_blocking(move || drop(last)))));
        assert_eq!(told.recv(), Ok(1));
        let last = Last(tell.clone());
        run(async {
            let task = context.run(|| {
                in_span(2, || {
                    spawn(async move {
                        let _last = last;
                        pending::<()>().await;
                    })
                })
            });
            yield_now().await;
            task.abort();
            assert!(task.await.unwrap_err().is_cancelled());
        });
        assert_eq!(told.recv(), Ok(2));
        let last = Last(tell);
        drop(in_span(3, || context.wrap(async move { drop(last) })));
        assert_eq!((told.recv(), SPAN.get()), (Ok(3), 0));
        drop(go);
    });
}

#[test]
fn of_several_wrappers_the_first_is_the_outermost_and_the_context_is_in_force_in_each() {
    static CALLS: Mutex<Vec<(&str, u32)>> = Mutex::new(Vec::new());
    fn wrapper(name: &'static str) -> impl Fn(&mut dyn FnMut()) + Send + 'static {
        move |step: &mut dyn FnMut()| {
            CALLS.lock().unwrap().push((name, id()));
            step();
        }
    }
    watched(|| {
        let outer = Context::default().carry(|| wrapper("outer"));
        let both = outer.with(Id(5)).carry(|| wrapper("inner"));
        both.run(|| spawn_blocking(|| ())).join();
        assert_eq!(*CALLS.lock().unwrap(), [("outer", 5), ("inner", 5)]);
    });
}

fn with_wrapper(wrapper: fn(&mut dyn FnMut())) -> Context {
    Context::default().carry(move || wrapper)
}

#[test]
fn a_wrapper_that_does_not_call_its_step_is_a_panic_that_says_so() {
    const SAYS: &str = "without calling its step";
    watched(|| {
        let lazy = with_wrapper(|_| ());
        let job = lazy.run(|| spawn_blocking(|| unreachable!("nothing calls it")));
        assert!(panic_of(|| job.join()).contains(SAYS));
        run(async {
            let task = lazy.run(|| spawn(async { unreachable!("nothing polls it") }));
            let remote =
                lazy.run(|| Handle::current().spawn(|| async { unreachable!("nothing makes it") }));
            for error in [task.await.unwrap_err(), remote.await.unwrap_err()] {
                assert!(common::text_of(&*error.into_panic()).contains(SAYS));
            }
        });
        assert!(panic_of(|| foreign_block_on(lazy.wrap(async {}))).contains(SAYS));

        // A drop is made all the same, and in the context.
        let (pool, go) = busy_pool();
        let (tell, told) = mpsc::channel();
        let dropped = Dropped(tell);
        let cancelled = lazy.run(|| pool.spawn_blocking(move || drop(dropped)));
        drop(cancelled);
        assert!(told.recv().is_ok());
        drop(go);
    });
}

#[test]
fn a_step_that_is_called_twice_does_its_work_once() {
    watched(|| {
        let twice = with_wrapper(|step| {
            step();
            step();
        });
        let calls = Arc::new(AtomicUsize::new(0));
        let count = calls.clone();
        twice
            .run(|| spawn_blocking(move || count.fetch_add(1, SeqCst)))
            .join();
        let count = calls.clone();
        run(async {
            let task = twice.run(|| spawn(async move { count.fetch_add(1, SeqCst) }));
            task.await.unwrap();
        });
        assert_eq!(calls.load(SeqCst), 2);
    });
}

// A10, T10, decision 8
#[test]
fn a_panic_passes_a_wrapper_without_unwinding_it_and_the_first_panic_is_passed_on() {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let (context, _) = carrying();
        let panics: BlockingTask<()> =
            context.run(|| in_span(1, || pool.spawn_blocking(|| panic!("span {}", SPAN.get()))));
        assert_eq!(panic_of(|| panics.join()), "span 1");
        assert_eq!(
            pool.spawn_blocking(|| SPAN.get()).join(),
            0,
            "the wrapper has restored it"
        );

        let (before, after) = (
            with_wrapper(|_| panic!("before")),
            with_wrapper(|step| {
                step();
                panic!("after")
            }),
        );
        let job = |context: &Context| context.run(|| pool.spawn_blocking(|| 1));
        assert_eq!(panic_of(|| job(&before).join()), "before");
        assert_eq!(panic_of(|| job(&after).join()), "after");
        let first: BlockingTask<()> = after.run(|| pool.spawn_blocking(|| panic!("first")));
        assert_eq!(panic_of(|| first.join()), "first");
        run(async {
            let tasks = [
                before.run(|| spawn(async {})),
                after.run(|| spawn(async {})),
            ];
            for (task, says) in tasks.into_iter().zip(["before", "after"]) {
                let error = task.await.unwrap_err();
                assert_eq!(common::text_of(&*error.into_panic()), says);
            }
        });
    });
}

/// Its drop panics also during another panic. If the crate lets it be dropped in an unwind, the process aborts.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("a panic in a destructor");
    }
}

// A10, decision 8
#[test]
fn what_a_wrapper_that_panics_leaves_undone_is_dropped_before_its_panic_is_passed_on() {
    watched(|| {
        let panics = with_wrapper(|_| panic!("the wrapper"));
        let (pool, go) = busy_pool();
        let holding = |bomb: Bomb| move || drop(bomb);
        drop(panics.run(|| pool.spawn_blocking(holding(Bomb))));
        drop(go);
        let job = panics.run(|| pool.spawn_blocking(holding(Bomb)));
        assert_eq!(panic_of(|| job.join()), "the wrapper");
        run(async {
            let (made, bomb) = (Bomb, Bomb);
            let handle = Handle::current();
            assert!(panics.run(|| handle.call_soon(holding(Bomb))));
            let remote = panics.run(|| handle.spawn(move || async move { drop(made) }));
            let task = panics.run(|| spawn(async move { drop(bomb) }));
            for error in [remote.await.unwrap_err(), task.await.unwrap_err()] {
                assert_eq!(common::text_of(&*error.into_panic()), "the wrapper");
            }
        });
        let bomb = Bomb;
        let wrapped = panics.wrap(async move { drop(bomb) });
        assert_eq!(panic_of(|| drop(wrapped)), "the wrapper");
    });
}

// A10
#[test]
fn a_capture_that_panics_takes_the_wrappers_before_it_along_quietly() {
    watched(|| {
        let context = Context::default()
            .carry(|| {
                let bomb = Bomb;
                move |step: &mut dyn FnMut()| {
                    let _bomb = &bomb;
                    step();
                }
            })
            .carry(|| -> fn(&mut dyn FnMut()) { panic!("no capture") });
        let spawns = || context.run(|| spawn_blocking(|| ()));
        assert_eq!(panic_of(spawns), "no capture");
    });
}

// C1, C6
#[test]
fn a_function_that_came_without_a_context_is_dropped_without_one() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let holding = || {
            let dropped = Dropped(tell.clone());
            move || drop(dropped)
        };
        let (pool, go) = busy_pool();
        let cancelled = pool.spawn_blocking(holding());
        in_context(1, || drop(cancelled));
        assert_eq!(told.recv(), Ok(0), "it was cancelled in a context");
        drop(go);
        let limiter = Limiter::new(1);
        let token = limiter.try_acquire();
        let in_line = Asyncify::new().pool(&pool).limiter(&limiter);
        let dropped = Arc::new(Dropped(tell.clone()));
        let call = in_line.wrap(move || drop(dropped.clone()))().outcome();
        let mut call = pin!(call);
        assert!(poll_once(&mut call).is_pending());
        pool.shutdown(Duration::from_secs(60)).unwrap();
        drop(token);
        let refused = in_context(1, || poll_once(&mut call));
        assert!(matches!(refused, Poll::Ready(Err(_))));
        assert_eq!(told.recv(), Ok(0), "it was refused in a context");
        drop(in_context(1, || pool.spawn_blocking(holding())));
        assert_eq!(
            told.recv(),
            Ok(1),
            "it was refused, and came with a context"
        );
    });
}

#[test]
fn a_panic_of_a_capture_is_the_hops_and_an_asyncified_call_may_be_polled_again() {
    thread_local!(static FAILS: Cell<bool> = const { Cell::new(true) });
    watched(|| {
        let context = Context::default().with(Id(1)).carry(|| {
            assert!(!FAILS.get(), "no capture");
            |step: &mut dyn FnMut()| step()
        });
        context.run(|| {
            assert_eq!(panic_of(|| spawn_blocking(|| ())), "no capture");
            run(async {
                assert_eq!(panic_of(|| spawn(async {})), "no capture");
                assert_eq!(
                    panic_of(|| Handle::current().call_soon(|| ())),
                    "no capture"
                );
                assert_eq!(
                    panic_of(|| Handle::current().spawn(|| async {})),
                    "no capture"
                );
                let mut call = asyncify(id)();
                assert_eq!(panic_of(|| poll_once(&mut call)), "no capture");
                FAILS.set(false);
                assert_eq!(call.await, 1);
                assert_eq!(
                    spawn(async { id() }).await.unwrap(),
                    1,
                    "the loop is as fit as before"
                );
            });
        });
        until(|| spawn_blocking(id).join() == 0);
    });
}
