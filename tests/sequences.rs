//! Sequences over the bridge: what a generator sends, what a blocking iterator gets, and how either ends.
#![cfg(not(footbridge_loom))]

mod common;

use common::{Grenade, Guard, foreign_block_on, me, panic_of, poll_once, until, watched};
use footbridge::context;
use footbridge::{
    Asyncify, Cancelled, EventLoop, Handle, Items, Limiter, Pool, SyncifyError, asyncify,
    asyncify_iter, check_cancelled, gather, run, spawn, spawn_blocking, spawn_generator, syncify,
    syncify_iter, yield_now,
};
use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// What the documentation of `Sink::send` says.
const BUFFER: usize = 128;

/// Runs `main` on a loop whose pool has one thread.
fn with_one_thread<T: Send + 'static>(main: impl AsyncFnOnce(Pool) -> T + Send + 'static) -> T {
    watched(|| {
        let pool = Pool::builder().max_threads(1).build();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        event_loop.run_until(main(pool.clone()))
    })
}

fn poll_next<T>(items: &mut Items<T>) -> Poll<Option<T>> {
    items.poll_next(&mut Context::from_waker(Waker::noop()))
}

async fn collect<T>(mut items: Items<T>) -> Vec<T> {
    let mut all = Vec::new();
    while let Some(item) = items.next().await {
        all.push(item);
    }
    assert!(items.next().await.is_none(), "and it stays at that");
    all
}

/// A generator that counts what it has sent.
fn counting() -> (Items<usize>, Arc<AtomicUsize>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let items = spawn_generator(move |sink| {
        while sink.send(count.load(SeqCst)).is_ok() {
            count.fetch_add(1, SeqCst);
        }
    });
    (items, sent)
}

/// Waits until a generator that has sent so many waits for room.
fn until_full(pool: &Pool, sent: &AtomicUsize, most: usize) {
    until(|| sent.load(SeqCst) == most && pool.stats().parked_in_syncify == 1);
}

// Decision 21
#[test]
fn all_items_come_in_order_and_then_the_end() {
    watched(|| {
        for most in [0, 1, BUFFER, BUFFER + 1, 10 * BUFFER] {
            let all: Vec<_> = (0..most).collect();
            assert_eq!(run(collect(asyncify_iter(0..most))), all);
            let sent = all.clone();
            let generator = spawn_generator(move |sink| {
                for n in sent {
                    sink.send(n)?;
                }
                Ok::<(), Cancelled>(())
            });
            assert_eq!(run(collect(generator)), all);
        }
    });
}

// Decisions 9, 21
#[test]
fn an_iterator_is_submitted_at_the_first_next_and_a_generator_at_once() {
    watched(|| {
        let pool = Pool::builder().build();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        event_loop.run_until(async {
            let (give, given) = mpsc::channel();
            let mut items = asyncify_iter(given);
            assert_eq!(pool.stats().threads, 0);
            assert!(poll_next(&mut items).is_pending());
            assert_eq!(pool.stats().threads, 1);
            give.send(1).unwrap();
            assert_eq!(items.next().await, Some(1));
            let (tell, told) = mpsc::channel();
            let mut eager = spawn_generator(move |_: &footbridge::Sink<u8>| tell.send(me()));
            assert_ne!(told.recv().unwrap(), me());
            assert_eq!(eager.next().await, None);
        });
    });
}

// Decision 21
#[test]
fn what_a_generator_iterates_may_borrow_and_need_not_be_send() {
    watched(|| {
        let words = spawn_generator(|sink| {
            let text = Rc::new(RefCell::new(String::from("to be or not to be")));
            let text = text.borrow();
            for word in text.split(' ') {
                sink.send(word.len()).unwrap();
            }
        });
        assert_eq!(run(collect(words)), [2, 2, 2, 3, 2, 2]);
    });
}

// Decision 21
#[test]
fn a_generator_is_never_more_than_two_buffers_ahead() {
    with_one_thread(async |pool| {
        let (mut items, sent) = counting();
        until_full(&pool, &sent, BUFFER);
        for n in 0..BUFFER {
            assert_eq!(items.next().await, Some(n));
            until_full(&pool, &sent, 2 * BUFFER);
        }
        assert_eq!(items.next().await, Some(BUFFER));
        until_full(&pool, &sent, 3 * BUFFER);
    });
}

// Decision 21
#[test]
fn two_generators_that_are_ahead_and_their_nested_jobs_share_a_pool_of_one() {
    with_one_thread(async |pool| {
        let numbers = || {
            spawn_generator(|sink| {
                for n in 0..3 * BUFFER {
                    let double = syncify(async |n: usize| asyncify(|n: usize| 2 * n)(n).await);
                    sink.send(double(n).unwrap()).unwrap();
                }
            })
        };
        let mut both = [numbers(), numbers()];
        until(|| pool.stats().parked_in_syncify == 2);
        assert_eq!(spawn_blocking(|| 7).await, 7, "as does another job");
        for n in 0..3 * BUFFER {
            for items in &mut both {
                assert_eq!(items.next().await, Some(2 * n));
            }
        }
        let [one, two] = both;
        assert!(
            gather([collect(one), collect(two)])
                .await
                .concat()
                .is_empty()
        );
    });
}

// X5, X10, decision 21
#[test]
fn dropping_the_items_cancels_a_send_that_waits_and_the_iterator_ends_on_its_worker() {
    with_one_thread(async |pool| {
        let (dropped, gone) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let items = spawn_generator(move |sink| {
            let _iterator = Guard(dropped);
            assert_eq!(check_cancelled(), Ok(()));
            let error = (0..).find_map(|n| sink.send(n).err());
            tell.send((me(), error, check_cancelled(), sink.send(0)))
        });
        until(|| pool.stats().parked_in_syncify == 1);
        drop(items);
        let (worker, error, cancelled, again) = told.recv().unwrap();
        assert!(error.is_some());
        assert!(cancelled.is_err());
        assert!(again.is_err());
        assert_eq!(gone.recv(), Ok(worker));
        assert_ne!(worker, me());
    });
}

// X5, decision 21
#[test]
fn an_iterator_that_has_begun_is_dropped_on_its_worker() {
    struct Numbers(Guard);
    impl Iterator for Numbers {
        type Item = ();
        fn next(&mut self) -> Option<()> {
            let _ = &self.0;
            Some(())
        }
    }
    watched(|| {
        let (dropped, gone) = mpsc::channel();
        run(async {
            let mut items = asyncify_iter(Numbers(Guard(dropped)));
            items.next().await.unwrap();
        });
        assert_ne!(gone.recv().unwrap(), me());
    });
}

// X1, decisions 1, 21
#[test]
fn items_dropped_before_their_job_has_begun_drop_what_it_captured_at_once() {
    with_one_thread(async |pool| {
        let (go, wait) = mpsc::channel::<()>();
        let busy = pool.spawn_blocking(move || wait.recv());
        let (dropped, gone) = mpsc::channel();
        let guards = || [Guard(dropped.clone())].into_iter();
        let never_polled = asyncify_iter(guards());
        let mut queued = asyncify_iter(guards());
        assert!(poll_next(&mut queued).is_pending());
        let mut guard = guards();
        let generator = spawn_generator(move |sink| sink.send(guard.next()));
        drop(never_polled);
        drop(queued);
        drop(generator);
        for _ in 0..3 {
            assert_eq!(gone.try_recv(), Ok(me()));
        }
        drop(go);
        let _ = busy.await;
    });
}

// A7, decision 21
#[test]
fn a_panic_comes_after_the_items_before_it_and_then_the_end() {
    watched(|| {
        run(async {
            let mut items =
                asyncify_iter((0..).map(|n| if n < 100 { n } else { panic!("at {n}") }));
            for n in 0..100 {
                assert_eq!(items.next().await, Some(n));
            }
            let panicked = spawn(async move {
                let panicked = spawn_panicking(&mut items).await;
                (panicked, items.next().await)
            });
            assert_eq!(panicked.await.unwrap(), ("at 100".into(), None));
        });
    });
}

/// The text of the panic that the next item is.
async fn spawn_panicking<T>(items: &mut Items<T>) -> String {
    let mut next = pin!(items.next());
    std::future::poll_fn(|context| {
        let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            next.as_mut().poll(context).is_pending()
        }));
        match polled {
            Ok(true) => Poll::Pending,
            Ok(false) => panic!("it gave an item, or the end"),
            Err(payload) => Poll::Ready(common::text_of(&*payload)),
        }
    })
    .await
}

// W1, decision 11
#[test]
fn items_of_a_pool_that_is_shut_down_say_so_and_then_end() {
    with_one_thread(async |pool| {
        pool.shutdown(Duration::ZERO).unwrap();
        let mut items = asyncify_iter(0..3);
        let said = panic_of(|| poll_next(&mut items));
        assert!(said.contains("was never run"), "{said}");
        assert_eq!(items.next().await, None);
    });
}

// X8, decisions 1, 21
#[test]
fn dropping_the_items_drops_the_async_function_that_the_generator_waits_for() {
    with_one_thread(async |_| {
        let (dropped, gone) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let mut items = spawn_generator(move |sink| {
            sink.send(1).unwrap();
            let endless = async move || {
                let _guard = Guard(dropped);
                pending::<()>().await;
            };
            tell.send(Handle::current().block_on(endless)).unwrap();
        });
        assert_eq!(items.next().await, Some(1));
        for _ in 0..10 {
            yield_now().await;
        }
        drop(items);
        assert_eq!(
            spawn_blocking(move || told.recv()).await,
            Ok(Err(SyncifyError::Cancelled))
        );
        if let Ok(dropped_on) = gone.try_recv() {
            assert_eq!(dropped_on, me());
        }
    });
}

// R12, decision 21
#[test]
fn a_consumer_that_always_finds_items_lets_others_go_on_after_two_buffers() {
    #[derive(Default)]
    struct Counted(AtomicUsize);
    impl Wake for Counted {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    with_one_thread(async |pool| {
        let (mut items, sent) = counting();
        let woken = Arc::new(Counted::default());
        let waker = Waker::from(woken.clone());
        let mut next = || items.poll_next(&mut Context::from_waker(&waker));
        for n in 0..2 * BUFFER {
            if n % BUFFER == 0 {
                until_full(&pool, &sent, n + BUFFER);
            }
            assert_eq!(next(), Poll::Ready(Some(n)));
        }
        until_full(&pool, &sent, 3 * BUFFER);
        assert_eq!(woken.0.load(SeqCst), 0);
        assert_eq!(next(), Poll::Pending);
        assert_eq!(woken.0.load(SeqCst), 1, "and would like to be polled again");
        assert_eq!(next(), Poll::Ready(Some(2 * BUFFER)));
    });
}

// A15, decision 21
#[test]
fn items_may_be_awaited_on_any_executor_and_by_one_task_after_another() {
    watched(|| {
        let (go, wait) = mpsc::channel();
        let mut items = spawn_generator(move |sink| {
            for n in wait {
                sink.send(n).unwrap();
            }
        });
        {
            let mut next = pin!(items.next());
            assert!(poll_once(&mut next.as_mut()).is_pending());
        } // dropped: nothing is lost by that
        go.send(1).unwrap();
        assert_eq!(foreign_block_on(items.next()), Some(1));
        let other = thread::spawn(move || {
            let first = run(items.next());
            (first, foreign_block_on(items.next()))
        });
        go.send(2).unwrap();
        drop(go);
        assert_eq!(other.join().unwrap(), (Some(2), None));
    });
}

// Decisions 8, 21
#[test]
fn items_that_panic_when_they_are_dropped_are_dropped_one_by_one() {
    with_one_thread(async |pool| {
        let (dropped, gone) = mpsc::channel();
        let sent = Arc::new(AtomicUsize::new(0));
        let count = sent.clone();
        let mut items = spawn_generator(move |sink| {
            while sink.send((Grenade, Guard(dropped.clone()))).is_ok() {
                count.fetch_add(1, SeqCst);
            }
        });
        until_full(&pool, &sent, BUFFER);
        std::mem::forget(items.next().await.unwrap().0);
        until_full(&pool, &sent, 2 * BUFFER);
        drop(items);
        let count = spawn_blocking(move || gone.iter().count());
        assert_eq!(count.await, 2 * BUFFER + 1, "with the one that was refused");
    });
}

// S1, decision 21
#[test]
fn an_async_sequence_is_made_and_asked_at_home_and_its_items_come_in_order() {
    watched(|| {
        run(async {
            let home = me();
            let job = asyncify(move || {
                let items = syncify_iter(move || {
                    assert_eq!(me(), home);
                    let n = Rc::new(Cell::new(0)); // not `Send`, and kept from call to call
                    async move || {
                        yield_now().await;
                        n.set(n.get() + 1);
                        (n.get() <= 5 * BUFFER).then(|| (n.get(), me()))
                    }
                });
                items.collect::<Result<Vec<_>, _>>()
            });
            let expected: Vec<_> = (1..=5 * BUFFER).map(|n| (n, home)).collect();
            assert_eq!(job().await, Ok(expected));
        });
    });
}

// S10, S11, decisions 7, 21
#[test]
fn where_there_is_no_loop_to_wait_for_an_async_sequence_gives_an_error_once() {
    fn ask() -> Vec<Result<u8, SyncifyError>> {
        syncify_iter(|| async || -> Option<u8> { unreachable!("it isn't called") }).collect()
    }
    watched(|| {
        assert_eq!(ask(), [Err(SyncifyError::NotOnWorkerThread)]);
        assert_eq!(
            spawn_blocking(ask).join(),
            [Err(SyncifyError::NotOnWorkerThread)]
        );
        let ended = run(async {
            assert_eq!(ask(), [Err(SyncifyError::OnLoopThread)]);
            Handle::current()
        });
        let late = ended.run_in_executor(None, ask);
        assert_eq!(late.join(), [Err(SyncifyError::LoopClosed)]);
        let pool = Pool::builder().max_parked(0).build();
        let refused = run(async { pool.spawn_blocking(ask_nothing).await });
        assert_eq!(refused, [Err(SyncifyError::PoolExhausted)]);
        fn ask_nothing() -> Vec<Result<u8, SyncifyError>> {
            syncify_iter(|| async || pending::<Option<u8>>().await).collect()
        }
    });
}

// S25, decision 21
#[test]
fn an_async_sequence_asked_on_another_loop_gives_an_error_and_its_task_ends() {
    watched(|| {
        run(async {
            let (dropped, gone) = mpsc::channel();
            let job = spawn_blocking(move || {
                let guard = Guard(dropped);
                let mut items = syncify_iter(move || {
                    async move || {
                        let _ = &guard;
                        pending_after_first().await
                    }
                });
                let first = items.next();
                let second = run(async { (items.next(), items.next()) });
                (first, second)
            });
            async fn pending_after_first() -> Option<u8> {
                thread_local!(static ASKED: Cell<bool> = const { Cell::new(false) });
                if ASKED.replace(true) {
                    pending::<()>().await;
                }
                Some(1)
            }
            let (first, second) = job.await;
            assert_eq!(first, Some(Ok(1)));
            assert_eq!(second, (Some(Err(SyncifyError::OnLoopThread)), None));
            let gone = spawn_blocking(move || gone.recv().unwrap()).await;
            assert_eq!(gone, me());
        });
    });
}

// S8, decision 21
#[test]
fn a_panic_of_an_async_sequence_comes_after_the_items_before_it() {
    watched(|| {
        run(async {
            let job = asyncify(|| {
                let mut items = syncify_iter(|| {
                    let mut left = 3..=4;
                    async move || Some(left.next().expect("no more"))
                });
                let before = [items.next(), items.next()];
                let said = panic_of(|| items.next());
                (before, said, items.next())
            });
            let (before, said, after) = job().await;
            assert_eq!(before, [Some(Ok(3)), Some(Ok(4))]);
            assert_eq!((said.as_str(), after), ("no more", None));
        });
    });
}

// X2, decision 21
#[test]
fn dropping_the_iterator_drops_its_async_side_at_home() {
    watched(|| {
        run(async {
            let (dropped, gone) = mpsc::channel();
            let job = asyncify(move || {
                let guard = Guard(dropped.clone());
                let mut items = syncify_iter(move || {
                    async move || {
                        let _ = &guard;
                        Some(7)
                    }
                });
                items.next() // and drops it
            });
            assert_eq!(job().await, Some(Ok(7)));
            let gone = spawn_blocking(move || gone.recv().unwrap());
            assert_eq!(gone.await, me());
        });
    });
}

// X6, decisions 12, 21
#[test]
fn a_job_whose_caller_goes_while_it_waits_for_an_item_is_told_when_the_async_side_is_gone() {
    watched(|| {
        run(async {
            let ((dropped, gone), (tell, told)) = (mpsc::channel(), mpsc::channel());
            let (begun, has_begun) = mpsc::channel();
            let job = spawn_blocking(move || {
                let guard = Guard(dropped);
                let mut items = syncify_iter(move || {
                    async move || {
                        let _ = &guard;
                        begun.send(()).unwrap();
                        pending::<Option<u8>>().await
                    }
                });
                let first = items.next();
                tell.send((first, gone.try_recv(), items.next())).unwrap();
            });
            let home = me();
            while has_begun.try_recv().is_err() {
                yield_now().await;
            }
            drop(job);
            let (first, gone, second) = spawn_blocking(move || told.recv().unwrap()).await;
            assert_eq!(first, Some(Err(SyncifyError::Cancelled)));
            assert_eq!(gone, Ok(home));
            assert_eq!(second, None);
        });
    });
}

// S20, decisions 3, 21
#[test]
fn sequences_within_sequences_get_on_in_a_pool_of_one() {
    with_one_thread(async |_| {
        let sums = spawn_generator(|sink| {
            // A job, whose async side reads from a job, which calls back.
            let pairs = syncify_iter(|| {
                let mut inner =
                    asyncify_iter((0..200).map(|n| syncify(async move || n + 1)().unwrap()));
                async move || inner.next().await
            });
            for n in pairs {
                sink.send(n.unwrap()).unwrap();
            }
        });
        assert_eq!(collect(sums).await, (1..=200).collect::<Vec<_>>());
    });
}

/// Gives 1, and then 2, for which it needs a token. `ready` comes before it asks for that.
fn needing_a_token(
    limiter: Limiter,
    ready: impl AsyncFn() + Send + 'static,
) -> impl Iterator<Item = Result<u8, SyncifyError>> {
    syncify_iter(move || {
        let mut numbers = 1..=2;
        async move || {
            let number = numbers.next()?;
            if number == 2 {
                ready().await;
                Asyncify::new().limiter(&limiter).wrap(|| ())().await;
            }
            Some(number)
        }
    })
}

// U4, decisions 3, 21
#[test]
fn an_async_sequence_that_waits_for_a_token_is_no_deadlock_because_its_job_may_go_on() {
    watched(|| {
        let [left, right] = [Limiter::new(1), Limiter::new(1)];
        let both_wait = Arc::new(AtomicBool::new(false));
        // Each job holds the token that the other one's sequence waits for. The first job ends nevertheless.
        let (wanted, is_so) = (right.clone(), both_wait.clone());
        let first = Asyncify::new().limiter(&left).wrap(move || {
            let mut items = needing_a_token(wanted, async || ());
            assert_eq!(items.next(), Some(Ok(1)));
            until(|| is_so.load(SeqCst));
            syncify(async || ())().unwrap(); // comes after the poll that has asked
        });
        let (wanted, held) = (left.clone(), right.clone());
        let second = Asyncify::new().limiter(&right).wrap(move || {
            let mut items = needing_a_token(wanted, async move || {
                while !format!("{held:?}").contains("waiting: 1") {
                    yield_now().await;
                }
                both_wait.store(true, SeqCst);
            });
            assert_eq!(items.next(), Some(Ok(1)));
            items.next()
        });
        run(async {
            let first = spawn(first());
            assert_eq!(second().await, Some(Ok(2)));
            first.await.unwrap();
        });
    });
}

// Decision 21
#[test]
fn an_async_sequence_that_always_finds_room_lets_other_tasks_go_on_after_a_buffer() {
    watched(|| {
        run(async {
            let turns = Arc::new(AtomicUsize::new(0));
            let counted = turns.clone();
            spawn(async move {
                loop {
                    counted.fetch_add(1, SeqCst);
                    yield_now().await;
                }
            });
            let job = spawn_blocking(move || {
                let (take, taken) = mpsc::channel();
                take.send(()).unwrap();
                let items = syncify_iter(move || {
                    async move || {
                        taken.recv().ok()?; // The item before is out of the buffer.
                        Some(turns.load(SeqCst))
                    }
                });
                let asked = items.take(3 * BUFFER).inspect(|_| take.send(()).unwrap());
                asked.map(Result::unwrap).collect::<Vec<_>>()
            });
            let asked = job.await;
            let in_a_row = asked.chunk_by(|one, next| one == next).map(<[_]>::len);
            assert_eq!(in_a_row.max(), Some(BUFFER));
        });
    });
}

// C1, C3, C9, decisions 20, 21
#[test]
fn a_sequence_runs_in_the_context_that_it_was_asked_for_in() {
    watched(|| {
        fn number() -> Option<Arc<u32>> {
            context::Context::current().get::<u32>()
        }
        let seen = context::Context::default().with(7u32).run(|| {
            run(async {
                let mut generator = spawn_generator(|sink| {
                    sink.send(number()).unwrap();
                    let mut back = syncify_iter(|| async || Some(number()));
                    sink.send(back.next().unwrap().unwrap()).unwrap();
                });
                let mut iterator = asyncify_iter([()].into_iter().map(|()| number()));
                [
                    generator.next().await.unwrap(),
                    generator.next().await.unwrap(),
                    iterator.next().await.unwrap(),
                ]
            })
        });
        assert_eq!(seen, [(); 3].map(|()| Some(Arc::new(7))));
    });
}
