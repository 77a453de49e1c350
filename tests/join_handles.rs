//! Handles of the loop's own, and what becomes of their tasks.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Guard, foreign_block_on, me, panic_of, poll_once, watched};
use footbridge::{EventLoop, JoinHandle, LocalSpawner, SendJoinHandle, run, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, ThreadId};

/// A waker from outside of the loop, which counts.
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Counts its polls, and leaves its waker.
fn counted(
    polls: &Rc<Cell<usize>>,
    waker: &Rc<RefCell<Option<Waker>>>,
) -> impl Future<Output = ()> + use<> {
    let (polls, left) = (polls.clone(), waker.clone());
    poll_fn(move |context| {
        polls.set(polls.get() + 1);
        left.replace(Some(context.waker().clone()));
        Poll::Pending
    })
}

#[test]
fn an_aborted_task_is_not_polled_again_though_it_was_woken_before() {
    watched(|| {
        let (polls, waker) = (Rc::default(), Rc::default());
        let mut event_loop = EventLoop::new();
        let task = event_loop.spawn(counted(&polls, &waker));
        event_loop.tick();
        event_loop.run_until(async {
            waker.take().unwrap().wake();
            task.abort();
            assert!(!task.is_finished(), "the loop drops it, not this call");
            assert!(task.await.unwrap_err().is_cancelled());
        });
        assert_eq!(polls.get(), 1);
    });
}

#[test]
fn a_task_that_is_aborted_before_its_first_poll_is_never_polled() {
    watched(|| {
        let (polls, waker) = (Rc::default(), Rc::default());
        let mut event_loop = EventLoop::new();
        let task = event_loop.spawn(counted(&polls, &waker));
        let sent = event_loop.spawn(counted(&polls, &waker)).into_send();
        task.abort();
        task.abort();
        let aborting = thread::spawn(move || {
            sent.abort();
            sent
        });
        let sent = aborting.join().unwrap();
        assert!(event_loop.run_until(task).unwrap_err().is_cancelled());
        assert!(event_loop.run_until(sent).unwrap_err().is_cancelled());
        assert_eq!(polls.get(), 0);
    });
}

#[test]
fn a_task_that_aborts_itself_ends_after_that_poll() {
    watched(|| {
        run(async {
            let own: Rc<RefCell<Option<JoinHandle<()>>>> = Rc::default();
            let (drops, dropped) = mpsc::channel();
            let went_on = Rc::new(Cell::new(false));
            let (held, guard, went) = (own.clone(), Guard(drops), went_on.clone());
            let task = spawn(async move {
                let _guard = guard;
                held.borrow().as_ref().unwrap().abort();
                yield_now().await;
                went.set(true);
            });
            own.replace(Some(task));
            yield_now().await;
            yield_now().await;
            assert_eq!((dropped.try_recv(), went_on.get()), (Ok(me()), false));
            let task = own.take().unwrap();
            assert!(task.await.unwrap_err().is_cancelled());
        });
    });
}

#[test]
fn a_task_with_the_key_of_one_that_was_woken_in_its_last_poll_is_polled_no_more_often() {
    watched(|| {
        run(async {
            let woken = spawn(poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::Ready(())
            }));
            woken.await.unwrap();
            let (polls, waker) = (Rc::default(), Rc::default());
            drop(spawn(counted(&polls, &waker)));
            for _ in 0..3 {
                yield_now().await;
            }
            assert_eq!(polls.get(), 1);
        });
    });
}

#[test]
fn a_task_that_keeps_waking_itself_is_polled_once_a_turn_though_the_one_before_with_its_key_was_woken()
 {
    for is_aborted in [false, true] {
        watched(move || {
            let mut event_loop = EventLoop::new();
            let woken = event_loop.spawn(poll_fn(move |context| {
                context.waker().wake_by_ref();
                if is_aborted {
                    Poll::Pending
                } else {
                    Poll::Ready(())
                }
            }));
            drop(event_loop.spawn(async move { woken.abort() }));
            let polls = Rc::new(Cell::new(0));
            let counted = polls.clone();
            let spawner = event_loop.spawner();
            drop(event_loop.spawn(async move {
                drop(spawner.spawn(poll_fn(move |context| -> Poll<()> {
                    counted.set(counted.get() + 1);
                    context.waker().wake_by_ref();
                    Poll::Pending
                })));
            }));
            // With this one, the first turn is long enough for the abort, too.
            drop(event_loop.spawn(async {}));
            event_loop.tick();
            for turn in 1..5 {
                event_loop.tick();
                assert_eq!(polls.get(), turn, "aborted: {is_aborted}");
            }
        });
    }
}

#[test]
fn a_wake_of_a_task_that_has_ended_is_none_of_the_next_one() {
    watched(|| {
        run(async {
            let (first, waker) = (Rc::default(), Rc::default());
            let task = spawn(counted(&first, &waker));
            yield_now().await;
            task.abort();
            assert!(task.await.is_err());
            let late = waker.take().unwrap();
            let polls = Rc::default();
            drop(spawn(counted(&polls, &waker)));
            yield_now().await;
            late.wake();
            yield_now().await;
            assert_eq!((first.get(), polls.get()), (1, 1));
        });
    });
}

#[test]
fn a_handle_can_be_awaited_by_another_executor_on_the_loops_thread() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let mut task = event_loop.spawn(async { 7 });
        let counting = Arc::new(Counting(AtomicUsize::new(0)));
        let waker = Waker::from(counting.clone());
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut task).poll(&mut context).is_pending());
        event_loop.tick();
        assert_eq!(counting.0.load(SeqCst), 1);
        assert_eq!(foreign_block_on(task).unwrap(), 7);
        assert_eq!(Arc::strong_count(&counting), 2, "the loop keeps no waker");
    });
}

#[test]
fn a_task_that_awaits_another_and_the_main_future_are_polled_when_that_ends() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let ends = event_loop.spawn(yield_now());
        let waits = event_loop.spawn(ends);
        while event_loop.tick() {}
        assert!(waits.is_finished());
        let ends = event_loop.spawn(yield_now());
        event_loop.run_until(ends).unwrap();
    });
}

/// A waker that notes whether the guard's drop came before.
struct NotesDrop(Mutex<Receiver<ThreadId>>, AtomicBool);

impl Wake for NotesDrop {
    fn wake(self: Arc<Self>) {
        let is_dropped = self.0.lock().unwrap().try_recv().is_ok();
        self.1.store(is_dropped, SeqCst);
    }
}

#[test]
fn the_future_of_a_task_is_gone_when_its_end_is_told() {
    watched(|| {
        // Ready in the first poll, in the second, or aborted.
        for ready_at in [Some(1), Some(2), None] {
            let (drops, dropped) = mpsc::channel();
            let guard = Guard(drops);
            let mut polls = 0;
            let mut event_loop = EventLoop::new();
            let mut task = event_loop.spawn(poll_fn(move |context| {
                let _held = &guard;
                polls += 1;
                context.waker().wake_by_ref();
                match Some(polls) == ready_at {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            }));
            let notes = Arc::new(NotesDrop(Mutex::new(dropped), AtomicBool::new(false)));
            let waker = Waker::from(notes.clone());
            let mut context = Context::from_waker(&waker);
            assert!(Pin::new(&mut task).poll(&mut context).is_pending());
            event_loop.tick();
            if ready_at.is_none() {
                task.abort();
            }
            while event_loop.tick() {}
            assert!(notes.1.load(SeqCst), "{ready_at:?}");
        }
    });
}

#[test]
fn a_handle_that_is_dropped_takes_its_waker_along() {
    watched(|| {
        let event_loop = EventLoop::new();
        let mut task = event_loop.spawn(pending::<()>());
        let counting = Arc::new(Counting(AtomicUsize::new(0)));
        let waker = Waker::from(counting.clone());
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut task).poll(&mut context).is_pending());
        drop(task);
        drop(waker);
        assert_eq!(Arc::strong_count(&counting), 1);
    });
}

#[test]
fn a_handle_that_moves_from_one_task_to_another_wakes_the_one_that_polled_it_last() {
    watched(|| {
        run(async {
            let (go, waits) = (Rc::new(Cell::new(false)), Rc::new(RefCell::new(None)));
            let flag = go.clone();
            let mut task = spawn(async move {
                while !flag.get() {
                    yield_now().await;
                }
                7
            });
            let give = waits.clone();
            let first = spawn(async move {
                poll_fn(|context| Poll::Ready(Pin::new(&mut task).poll(context).is_pending()))
                    .await;
                give.replace(Some(task));
            });
            first.await.unwrap();
            let second = spawn(async move { waits.take().unwrap().await.unwrap() });
            yield_now().await;
            go.set(true);
            assert_eq!(second.await.unwrap(), 7);
        });
    });
}

#[test]
fn a_handle_that_is_sent_after_the_end_has_the_result_and_one_that_gave_it_says_so() {
    watched(|| {
        let mut event_loop = EventLoop::new();
        let task = event_loop.spawn(async { 7 });
        event_loop.tick();
        let sent = task.into_send();
        assert!(sent.is_finished());
        assert_eq!(
            thread::spawn(move || sent.join()).join().unwrap().unwrap(),
            7
        );
        let mut given = event_loop.spawn(async {});
        event_loop.tick();
        assert!(poll_once(&mut given).is_ready());
        assert!(given.is_finished());
        given.abort(); // in vain
        assert!(panic_of(|| given.into_send()).contains("await it once"));
    });
}

#[test]
fn a_result_that_was_not_taken_goes_with_its_handle() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let guard = Guard(drops);
        let mut event_loop = EventLoop::new();
        let task = event_loop.spawn(async { guard });
        event_loop.tick();
        assert!(dropped.try_recv().is_err(), "the handle may still take it");
        drop(task);
        assert_eq!(dropped.try_recv(), Ok(me()));
    });
}

#[test]
fn a_task_that_is_spawned_on_a_loop_that_has_ended_is_dropped_and_its_handle_says_so() {
    watched(|| {
        let (drops, dropped) = mpsc::channel();
        let guard = Guard(drops);
        let spawner = run(async { LocalSpawner::current() });
        let task = spawner.spawn(async move { drop(guard) });
        assert_eq!(dropped.try_recv(), Ok(me()));
        assert!(task.is_finished());
        assert!(foreign_block_on(task).unwrap_err().is_cancelled());
    });
}

#[test]
fn an_abort_of_a_loop_that_does_not_run_tells_its_host() {
    watched(|| {
        let (tell, told) = mpsc::channel();
        let mut event_loop = EventLoop::builder()
            .on_wake(move || tell.send(()).unwrap())
            .build();
        let task = event_loop.spawn(pending::<()>());
        told.recv().unwrap();
        event_loop.tick();
        assert!(told.try_recv().is_err());
        task.abort();
        told.try_recv().unwrap();
        event_loop.tick();
        assert!(task.is_finished());
    });
}

#[test]
fn an_abort_of_a_send_handle_holds_at_once_in_the_same_turn_and_after_another_threads_call() {
    watched(|| {
        for elsewhere in [false, true] {
            let (polls, waker) = (Rc::default(), Rc::default());
            let mut event_loop = EventLoop::new();
            let aborted = Rc::new(RefCell::new(None));
            let held = aborted.clone();
            let aborting = event_loop.spawn(async move {
                let task: SendJoinHandle<()> = held.take().unwrap();
                let abort = move || {
                    task.abort();
                    task
                };
                let task = if elsewhere {
                    thread::spawn(abort).join().unwrap()
                } else {
                    abort()
                };
                held.replace(Some(task));
            });
            aborted.replace(Some(event_loop.spawn(counted(&polls, &waker)).into_send()));
            event_loop.run_until(aborting).unwrap();
            let task = aborted.take().unwrap();
            assert!(event_loop.run_until(task).unwrap_err().is_cancelled());
            assert_eq!(polls.get(), 0, "elsewhere: {elsewhere}");
        }
    });
}

#[test]
fn aborted_tasks_are_dropped_in_order_and_take_no_turn_from_others() {
    watched(|| {
        let order: Rc<RefCell<Vec<usize>>> = Rc::default();
        struct Named(usize, Rc<RefCell<Vec<usize>>>);
        impl Drop for Named {
            fn drop(&mut self) {
                self.1.borrow_mut().push(self.0);
            }
        }
        let mut event_loop = EventLoop::new();
        let tasks: Vec<_> = (0..4)
            .map(|n| {
                let named = Named(n, order.clone());
                event_loop.spawn(async move {
                    let _named = named;
                    pending::<()>().await;
                })
            })
            .collect();
        event_loop.tick();
        let ready = Rc::new(Cell::new(false));
        let (aborting, ran) = (order.clone(), ready.clone());
        drop(event_loop.spawn(async move {
            tasks.iter().for_each(JoinHandle::abort);
            assert!(aborting.borrow().is_empty());
        }));
        drop(event_loop.spawn(async move { ran.set(true) }));
        event_loop.tick();
        assert!(ready.get(), "it was ready when the turn began");
        assert_eq!(*order.borrow(), [0, 1, 2, 3]);
    });
}

#[test]
fn a_task_with_the_key_of_one_that_was_woken_in_its_last_poll_yields_to_what_was_ready() {
    watched(|| {
        run(async {
            let woken = spawn(poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::Ready(())
            }));
            let went_first = Rc::new(Cell::new(false));
            let (first, sees) = (went_first.clone(), went_first.clone());
            let spawning = spawn(async move {
                drop(woken);
                spawn(async move {
                    drop(spawn(async move { first.set(true) }));
                    yield_now().await;
                    sees.get()
                })
                .await
                .unwrap()
            });
            assert!(spawning.await.unwrap());
        });
    });
}

#[test]
fn a_handle_that_has_given_its_result_keeps_nothing_of_the_loop() {
    watched(|| {
        let hooked = Arc::new(());
        let held = hooked.clone();
        let mut event_loop = EventLoop::builder()
            .on_wake(move || drop(held.clone()))
            .build();
        let mut own = event_loop.spawn(async {});
        let mut sent = event_loop.spawn(async {}).into_send();
        event_loop.tick();
        assert!(poll_once(&mut own).is_ready());
        assert!(poll_once(&mut sent).is_ready());
        drop(event_loop);
        assert_eq!(Arc::strong_count(&hooked), 1);
        drop((own, sent));
    });
}
