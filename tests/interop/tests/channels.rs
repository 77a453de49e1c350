//! Channels, locks and combinators of other makes, with our tasks, calls and timers among them. Whatever wakes a
//! task, from whichever thread, it is woken.

#[path = "../../common/mod.rs"]
mod common;

use common::{ms, watched};
use footbridge::time::sleep;
use footbridge::{asyncify, gather, run, spawn, spawn_blocking, yield_now};
use futures::channel::{mpsc, oneshot};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, SinkExt, StreamExt, select};
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;

// R12
#[test]
fn a_thousand_messages_from_four_threads_arrive_whatever_the_channel() {
    const EACH: usize = 250;
    fn from_four_threads(send: impl Fn(usize) + Clone + Send + 'static) {
        for thread in 0..4 {
            let send = send.clone();
            thread::spawn(move || {
                for n in 0..EACH {
                    send(thread * EACH + n);
                    if n % (thread + 2) == 0 {
                        thread::yield_now(); // So that the loop falls asleep in between.
                    }
                }
            });
        }
    }
    let all: Vec<_> = (0..4 * EACH).collect();
    // Without room, with a little and with all that is needed.
    for capacity in [1, 7, 1000] {
        let expected = all.clone();
        watched(move || {
            run(async {
                let (sender, receiver) = async_channel::bounded(capacity);
                from_four_threads(move |n| sender.send_blocking(n).unwrap());
                let mut got: Vec<_> = receiver.collect().await;
                got.sort_unstable();
                assert_eq!(got, expected);

                let (sender, receiver) = mpsc::channel(capacity);
                from_four_threads(move |n| {
                    pollster::block_on(sender.clone().send(n)).unwrap();
                });
                let mut got: Vec<_> = receiver.collect().await;
                got.sort_unstable();
                assert_eq!(got, expected);

                let (sender, mut receiver) = tokio::sync::mpsc::channel(capacity);
                from_four_threads(move |n| sender.blocking_send(n).unwrap());
                let mut got = Vec::new();
                while let Some(n) = receiver.recv().await {
                    got.push(n);
                }
                got.sort_unstable();
                assert_eq!(got, expected);
            })
        });
    }
}

// R12
#[test]
fn a_thousand_messages_go_to_a_loop_and_come_back_through_other_peoples_oneshots() {
    watched(|| {
        run(async {
            let (ask, mut asked) = mpsc::unbounded::<(u32, oneshot::Sender<u32>)>();
            let threads: Vec<_> = (0..4)
                .map(|thread| {
                    let ask = ask.clone();
                    thread::spawn(move || {
                        for n in 0..250 {
                            let (answer, answered) = oneshot::channel();
                            ask.unbounded_send((thread * n, answer)).unwrap();
                            // Each by an executor of its own make.
                            let answered = match n % 3 {
                                0 => pollster::block_on(answered),
                                1 => futures::executor::block_on(answered),
                                _ => futures_lite::future::block_on(answered),
                            };
                            assert_eq!(answered, Ok(thread * n + 1));
                        }
                    })
                })
                .collect();
            drop(ask);
            while let Some((n, answer)) = asked.next().await {
                answer.send(n + 1).unwrap();
            }
            spawn_blocking(|| {
                threads
                    .into_iter()
                    .for_each(|thread| thread.join().unwrap())
            })
            .await;
        })
    });
}

#[test]
fn locks_and_signals_of_other_makes_work_in_tasks_and_across_threads() {
    const TASKS: usize = 20;
    watched(|| {
        run(async {
            let counts = Rc::new(async_lock::Mutex::new(0));
            let shared = Arc::new(tokio::sync::Mutex::new(0));
            let barrier = Rc::new(async_lock::Barrier::new(TASKS));
            let tasks = (0..TASKS).map(|_| {
                let (counts, shared, barrier) = (counts.clone(), shared.clone(), barrier.clone());
                spawn(async move {
                    barrier.wait().await;
                    let mut count = counts.lock().await;
                    yield_now().await; // The others stand in line meanwhile.
                    *count += 1;
                    drop(count);
                    let there = shared.clone();
                    // Held over there by a worker, and here by the loop.
                    spawn_blocking(move || *there.blocking_lock() += 1).await;
                    *shared.lock().await += 1;
                })
            });
            gather(tasks).await.into_iter().for_each(Result::unwrap);
            assert_eq!(*counts.lock().await, TASKS);
            assert_eq!(*shared.lock().await, 2 * TASKS);

            let (number, mut seen) = tokio::sync::watch::channel(0);
            let notify = Arc::new(tokio::sync::Notify::new());
            let permits = Arc::new(tokio::sync::Semaphore::new(0));
            let (wake, add) = (notify.clone(), permits.clone());
            let thread = thread::spawn(move || {
                add.add_permits(3);
                wake.notify_one();
                number.send(5).unwrap();
            });
            notify.notified().await;
            permits.acquire_many(3).await.unwrap().forget();
            assert_eq!(*seen.wait_for(|n| *n == 5).await.unwrap(), 5);
            spawn_blocking(|| thread.join().unwrap()).await;

            let cell = async_lock::OnceCell::new();
            let (first, second) = futures::join!(cell.wait(), cell.set(7));
            assert_eq!((first, second), (&7, Ok(&7)));
        })
    });
}

// G2, X8
#[test]
fn futures_combinators_drive_our_calls_tasks_and_timers() {
    watched(|| {
        run(async {
            // Only what was woken is polled again, by wakers of theirs.
            let mut calls: FuturesUnordered<_> =
                (0..50u32).map(|n| asyncify(move || n)()).collect();
            let mut sum = 0;
            while let Some(n) = calls.next().await {
                sum += n;
            }
            assert_eq!(sum, 49 * 50 / 2);
            let tasks: FuturesUnordered<_> = (0..50u32).map(|n| spawn(async move { n })).collect();
            let sum = tasks.fold(0, async |sum, n| sum + n.unwrap()).await;
            assert_eq!(sum, 49 * 50 / 2);
            let sleeps: FuturesUnordered<_> = (0..20).map(|n| sleep(ms(n % 4))).collect();
            assert_eq!(sleeps.count().await, 20);

            let ordered = futures::stream::iter(0..30u32)
                .map(|n| spawn_blocking(move || n))
                .buffered(4);
            assert_eq!(
                ordered.collect::<Vec<_>>().await,
                (0..30).collect::<Vec<_>>()
            );

            let shared = asyncify(|| 5)().shared();
            assert_eq!(
                futures::join!(shared.clone(), shared.clone(), shared),
                (5, 5, 5)
            );
            let (first, _) = futures::future::select_ok([
                spawn(std::future::ready(1)),
                spawn(std::future::ready(2)),
            ])
            .await
            .unwrap();
            assert!(first == 1 || first == 2);
        })
    });
}

// X8
#[test]
fn a_select_loop_over_messages_a_call_and_a_timer_misses_nothing() {
    const MESSAGES: u32 = 300;
    watched(|| {
        run(async {
            let (sender, mut messages) = mpsc::channel(3);
            let thread = thread::spawn(move || {
                let mut sender = sender;
                for n in 0..MESSAGES {
                    pollster::block_on(sender.send(n)).unwrap();
                }
            });
            let (got, called, ticked) = (Cell::new(0), Cell::new(0), Cell::new(0));
            let mut call = asyncify(|| ())().fuse();
            let mut tick = sleep(ms(1)).fuse();
            loop {
                select! {
                    message = messages.next() => match message {
                        Some(n) => {
                            assert_eq!(n, got.get(), "in order, and none twice");
                            got.set(n + 1);
                        }
                        None => break,
                    },
                    () = call => {
                        called.set(called.get() + 1);
                        call = asyncify(|| ())().fuse();
                    }
                    () = tick => {
                        ticked.set(ticked.get() + 1);
                        tick = sleep(ms(1)).fuse();
                    }
                }
            }
            assert_eq!(got.get(), MESSAGES);
            spawn_blocking(|| thread.join().unwrap()).await;
            call.await;
            tick.await;
        })
    });
}
