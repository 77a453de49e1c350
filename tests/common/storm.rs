//! What the storm does, wherever it is let loose: a random program of everything that calls and waits, counted.
//!
//! `crate::world` says what it runs on: std's threads in `tests/storm.rs`, a scheduler's in `tests/shuttle`. The
//! counting is std's in both: it takes no step that a scheduler sees.

use crate::world::{ACTORS, DEPTH, ITEMS, PATIENCE, TOO_MUCH_STACK, dawdle, thread};
use footbridge::context::Context;
use footbridge::time::{sleep, timeout};
use footbridge::{
    Asyncify, EventLoop, Handle, Limiter, Permit, Pool, Syncify, SyncifyError, check_cancelled,
    gather, scope, spawn, spawn_generator, syncify, syncify_iter, yield_now,
};
use std::any::Any;
use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::panic::{self, AssertUnwindSafe, resume_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

/// Small and well enough mixed: splitmix64.
#[derive(Clone)]
pub struct Random(Cell<u64>);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    pub fn below(&self, n: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut z = self.0.get();
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn split(&self) -> Self {
        Self(Cell::new(self.below(u64::MAX)))
    }
}

/// How many kinds of acts there are; the first `LEAVES` of them call no others.
const KINDS: u64 = 18;
const LEAVES: u64 = 8;

/// What the storm has in the air.
#[derive(Default)]
pub struct Ledger {
    pub calls: AtomicUsize,
    captures_made: AtomicUsize,
    pub captures_gone: AtomicUsize,
    running: AtomicUsize,
    // Of each kind of act, how many are under way: what the watchdog shows.
    pub under_way: [AtomicUsize; KINDS as usize],
    pub wrong: Mutex<Vec<String>>,
}

impl Ledger {
    fn check(&self, holds: bool, what: &str) {
        if !holds {
            self.wrong.lock().unwrap().push(what.into());
        }
    }
}

/// In the context of all that one actor calls.
struct Actor(u64);

fn actor() -> Option<u64> {
    Context::current().get::<Actor>().map(|actor| actor.0)
}

/// Rides in closures, futures and results; each has to be dropped, once.
struct Capture(Arc<Ledger>, Option<u64>);

impl Capture {
    fn new(ledger: &Arc<Ledger>) -> Self {
        ledger.captures_made.fetch_add(1, Relaxed);
        let actor = actor();
        ledger.check(
            actor.is_some(),
            "what an actor called runs without its context",
        );
        Self(ledger.clone(), actor)
    }

    /// What it rides in runs.
    fn arrived(&self) {
        self.0.check(
            actor() == self.1,
            "a call runs in another context than it was made in",
        );
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.0.captures_gone.fetch_add(1, Relaxed);
        // A result that is dropped unread is dropped without a context.
        let is_its_own = actor().is_none_or(|actor| Some(actor) == self.1);
        self.0.check(
            is_its_own,
            "a call was dropped in another context than it was made in",
        );
    }
}

struct UnderWay(Arc<Ledger>, usize);

impl UnderWay {
    fn new(ledger: &Arc<Ledger>, kind: usize) -> Self {
        ledger.under_way[kind].fetch_add(1, Relaxed);
        Self(ledger.clone(), kind)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way[self.1].fetch_sub(1, Relaxed);
    }
}

/// Thrown on purpose: the hooks say nothing of it.
struct Thrown;

/// Whether a panic is one of those that the storm brings with it.
pub fn was_expected(payload: &dyn Any) -> bool {
    let refused = payload
        .downcast_ref::<String>()
        .is_some_and(|text| text.contains("was never run"));
    refused || payload.is::<Thrown>()
}

struct Weather {
    ledger: Arc<Ledger>,
    pool: Pool,
    max_threads: usize,
    // For calls that call nothing in their turn: two chains that hold a token each and ask for another
    // would wait for each other, and no limiter can know.
    limiter: Limiter,
    tokens: usize,
    home: Handle,
    home_thread: thread::ThreadId,
}

type Sky = Arc<Weather>;

/// Lets the limiter give out tokens again.
struct Reopen(Sky);

impl Drop for Reopen {
    fn drop(&mut self) {
        self.0.limiter.set_total_tokens(self.0.tokens);
    }
}

fn act(sky: Sky, random: Random, depth: u64) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        sky.ledger.calls.fetch_add(1, Relaxed);
        let capture = Capture::new(&sky.ledger);
        sky.ledger.check(
            thread::current().id() == sky.home_thread,
            "an async function ran off its loop's thread",
        );
        let call = Asyncify::new().pool(&sky.pool);
        let n = random.below(1000);
        let kind = random.below(if depth == 0 { LEAVES } else { KINDS });
        let _under_way = UnderWay::new(&sky.ledger, kind as usize);
        match kind {
            0 => yield_now().await,
            1 => {
                let job = call.wrap(move |n: u64, capture: Capture| {
                    capture.arrived();
                    (n + 1, capture)
                });
                let (answer, _capture) = job(n, capture).await;
                sky.ledger
                    .check(answer == n + 1, "a call got another call's answer");
            }
            2 => drop(call.wrap(move |_: Capture| ())(capture)),
            3 => {
                // Polled so many times, and dropped wherever it is.
                let mut job = call.wrap(move |_: Capture| dawdle(n))(capture);
                for _ in 0..random.below(3) {
                    poll_fn(|context| Poll::Ready(Pin::new(&mut job).poll(context).is_ready()))
                        .await;
                    yield_now().await;
                    if job.is_finished() {
                        break;
                    }
                }
            }
            4 => {
                let most = sky.max_threads.min(sky.tokens);
                let ledger = sky.ledger.clone();
                let job = call.limiter(&sky.limiter).wrap(move |_: Capture| {
                    let running = ledger.running.fetch_add(1, Relaxed);
                    ledger.check(running < most, "more jobs ran than the limiter has tokens");
                    dawdle(50);
                    ledger.running.fetch_sub(1, Relaxed);
                });
                if random.below(4) == 0 {
                    let _ = timeout(Duration::from_micros(n), job(capture)).await;
                } else {
                    job(capture).await;
                }
            }
            5 => drop(
                timeout(
                    Duration::from_micros(n),
                    sleep(Duration::from_micros(2 * n)),
                )
                .await,
            ),
            6 => {
                let job = sky.pool.spawn_blocking(move || {
                    let _capture = capture;
                    resume_unwind(Box::new(Thrown))
                });
                job.await
            }
            7 => {
                // No call is let in, and then all that wait.
                sky.limiter.set_total_tokens(0);
                let _reopen = Reopen(sky.clone());
                yield_now().await;
            }
            8 | 9 => {
                // Down to a worker, and back up.
                let (there, random) = (sky.clone(), random.split());
                let job = call.wrap(move |capture: Capture| {
                    go_home(&there, random.split(), depth - 1);
                    capture.arrived();
                });
                job(capture).await;
            }
            10 => {
                let task = spawn(act(sky.clone(), random.split(), depth - 1));
                if random.below(2) == 0 {
                    task.abort();
                }
                if random.below(2) == 0 {
                    let _ = task.await;
                }
            }
            11 => {
                let children =
                    (0..random.below(5)).map(|_| act(sky.clone(), random.split(), depth - 1));
                gather(children).await;
            }
            12 => {
                // A loop of its own, inside a job.
                let (there, random) = (sky.clone(), random.split());
                let job = call.wrap(move |_: Capture| {
                    let here = there.at(Handle::current());
                    let mut inner = EventLoop::builder().pool(&there.pool).build();
                    let here = Arc::new(here.moved_to(inner.handle()));
                    inner.run_until(act(here, random.split(), depth - 1));
                });
                job(capture).await;
            }
            13 => {
                // A job that waits for another job, and for a task.
                let (there, random) = (sky.clone(), random.split());
                let job = call.wrap(move |_: Capture| {
                    let pool = there.pool.clone();
                    pool.spawn_blocking(|| dawdle(10)).join();
                    let (up, random) = (there.clone(), random.split());
                    let task = there.home.spawn(move || act(up, random, depth - 1));
                    if n < 200 {
                        task.abort();
                    }
                    let _ = task.join();
                });
                job(capture).await;
            }
            14 => {
                // What only a cancel ends: a task that waits for ever, and a job that waits for one.
                let gate = Limiter::new(1);
                let permit = gate.acquire().await;
                match random.below(3) {
                    0 => {
                        let task = spawn(async move {
                            let _kept = (permit, capture);
                            pending::<()>().await;
                        });
                        for _ in 0..random.below(3) {
                            yield_now().await;
                        }
                        task.abort();
                    }
                    1 => {
                        let home = sky.home.clone();
                        let job = call.wrap(move |_: Capture, permit: Permit| {
                            let task = home.spawn(pending::<()>);
                            task.abort();
                            let _ = task.join();
                            drop(permit);
                        });
                        job(capture, permit).await;
                    }
                    _ => {
                        let job = call.wrap(|_: Capture, permit: Permit| {
                            let _ = syncify(pending::<()>)();
                            drop(permit);
                        });
                        let _ = timeout(Duration::from_micros(n), job(capture, permit)).await;
                    }
                }
                // It has ended, wherever it was, when the permit is back.
                drop(gate.acquire().await);
            }
            15 => scoped(&sky, &random, depth - 1).await,
            16 => sequences(&sky, &random, depth - 1).await,
            _ => {
                let job = call.wrap(move |_: Capture| {
                    while check_cancelled().is_ok() && n > 500 {
                        thread::yield_now();
                    }
                });
                let patience = Duration::from_micros(n);
                let _ = timeout(patience, job(capture)).await;
            }
        }
    })
}

/// A generator whose items are taken to the end, or for a while. Now and then it calls back, or gets its own items from
/// async code.
async fn sequences(sky: &Sky, random: &Random, depth: u64) {
    let (there, most, calls) = (sky.clone(), random.below(ITEMS), random.split());
    let mut items = spawn_generator(move |sink| {
        let ledger = there.ledger.clone();
        let capture = Capture::new(&ledger);
        let numbers = syncify_iter(move || {
            let mut numbers = 0..most;
            async move || {
                let _ = &capture;
                if numbers.start % 5 == 4 {
                    yield_now().await;
                }
                numbers.next()
            }
        });
        for number in numbers {
            let Ok(number) = number else { return };
            if number % 64 == 63 {
                go_home(&there, calls.split(), depth);
            }
            if sink.send((number, Capture::new(&ledger))).is_err() {
                return;
            }
        }
    });
    let patience = if random.below(2) == 0 {
        random.below(ITEMS)
    } else {
        ITEMS
    };
    for expected in 0..patience {
        let Some((number, _capture)) = items.next().await else {
            break;
        };
        sky.ledger
            .check(number == expected, "an item was lost, or came twice");
        if number % 50 == 49 {
            yield_now().await;
        }
    }
}

/// A scope: children that call others, and jobs; some are aborted, and some end the scope. What ends it from within has
/// waited for the jobs that had begun.
async fn scoped(sky: &Sky, random: &Random, depth: u64) {
    let running = Arc::new(AtomicUsize::new(0));
    let done = Cell::new(0);
    let mut group = pin!(scope(async |s| {
        for n in 0..random.below(6) {
            let capture = Capture::new(&sky.ledger);
            let child = match random.below(3) {
                0 => {
                    let (running, steps) = (running.clone(), random.below(500));
                    s.spawn_blocking(move || {
                        let _capture = capture;
                        running.fetch_add(1, Relaxed);
                        for _ in 0..steps {
                            if check_cancelled().is_err() {
                                break;
                            }
                            thread::yield_now();
                        }
                        running.fetch_sub(1, Relaxed);
                    })
                }
                1 => {
                    let nested = act(sky.clone(), random.split(), depth);
                    s.spawn(async {
                        let _capture = capture;
                        nested.await;
                        done.set(done.get() + 1); // It borrows.
                    })
                }
                _ => {
                    let done = &done;
                    s.spawn(async move {
                        let _capture = capture;
                        for _ in 0..n {
                            yield_now().await;
                        }
                        if n == 5 {
                            s.finish(false);
                        }
                        let child = s.spawn(async move { done.set(done.get() + 1) });
                        child.await;
                    })
                }
            };
            match random.below(6) {
                0 => child.abort(),
                1 => child.await,
                _ => {}
            }
        }
        match random.below(8) {
            0 => s.finish(false),
            1 => resume_unwind(Box::new(Thrown)),
            _ => {}
        }
        true
    }));
    let ended = poll_fn(|context| {
        let poll = AssertUnwindSafe(|| group.as_mut().poll(context));
        panic::catch_unwind(poll).map_or(Poll::Ready(None), |polled| polled.map(Some))
    });
    let ended = ended.await;
    sky.ledger.check(
        running.load(Relaxed) == 0,
        &format!("a job of a scope runs, and the scope has ended: {ended:?}"),
    );
}

impl Weather {
    fn at(&self, home: Handle) -> Self {
        Self {
            ledger: self.ledger.clone(),
            pool: self.pool.clone(),
            limiter: self.limiter.clone(),
            home,
            ..*self
        }
    }

    fn moved_to(self, home: Handle) -> Self {
        Self {
            home,
            home_thread: thread::current().id(),
            ..self
        }
    }
}

fn go_home(sky: &Sky, random: Random, depth: u64) {
    let up = sky.clone();
    let ledger = sky.ledger.clone();
    let answer = match random.below(3) {
        0 => syncify(move |capture: Capture| {
            let (up, random) = (up.clone(), random.split());
            async move {
                act(up, random, depth).await;
                capture.arrived();
            }
        })(Capture::new(&ledger)),
        1 => sky.home.block_on(move || act(up, random, depth)),
        _ => Syncify::new()
            .raise_sync_error(false)
            .wrap(move || act(up.clone(), random.split(), depth))(),
    };
    ledger.check(
        matches!(
            answer,
            Ok(())
                | Err(SyncifyError::LoopClosed
                    | SyncifyError::Cancelled
                    | SyncifyError::PoolExhausted)
        ),
        "a job of a loop was refused its loop",
    );
}

/// One loop with one pool, some actors, and an end at some moment.
pub fn round(ledger: &Arc<Ledger>, random: &Random, watch: impl FnOnce(&Pool)) {
    let max_threads = 1 + random.below(3) as usize;
    let mut builder = Pool::builder()
        .max_threads(max_threads)
        .keep_alive(PATIENCE)
        .thread_name("storm");
    if random.below(4) == 0 {
        builder = builder.max_parked(random.below(4) as usize);
    }
    if random.below(4) == 0 {
        builder = builder.keep_alive(Duration::from_micros(random.below(200)));
    }
    if random.below(50) == 0 {
        // Every thread is refused.
        builder = builder.thread_stack_size(TOO_MUCH_STACK);
    }
    let pool = builder.build();
    watch(&pool);
    let mut event_loop = EventLoop::builder().pool(&pool).build();
    let tokens = 1 + random.below(2) as usize;
    let sky = Arc::new(Weather {
        ledger: ledger.clone(),
        pool: pool.clone(),
        max_threads,
        limiter: Limiter::new(tokens),
        tokens,
        home: event_loop.handle(),
        home_thread: thread::current().id(),
    });
    let actors: Vec<_> = (0..ACTORS.start + random.below(ACTORS.end - ACTORS.start))
        .map(|number| {
            let actor = act(sky.clone(), random.split(), random.below(DEPTH));
            Context::default()
                .with(Actor(number))
                .run(|| event_loop.spawn(actor))
        })
        .collect();
    let end = random.below(10);
    let shut = (end == 0).then(|| {
        let pool = pool.clone();
        thread::spawn(move || pool.shutdown(Duration::ZERO).is_ok())
    });
    let cut_short = end <= 3;
    let main = async {
        if cut_short {
            for _ in 0..random.below(50) {
                yield_now().await;
            }
        } else {
            gather(actors).await;
        }
    };
    // A job of a pool that was shut down makes an await of it panic; here there is none.
    let ended = panic::catch_unwind(AssertUnwindSafe(|| event_loop.run_until(main)));
    ledger.check(ended.is_ok(), "gather over join handles panicked");
    let limiter = sky.limiter.clone();
    drop((event_loop, sky));
    shut.map(|thread| thread.join());
    if let Err(still) = pool.shutdown(PATIENCE) {
        ledger.check(false, &format!("after {PATIENCE:?} {still}"));
    }
    let stats = pool.stats();
    ledger.check(
        stats.threads == 0 && stats.queued == 0,
        &format!("left over: {stats:?}"),
    );
    ledger.check(
        stats.parked_in_syncify == 0,
        "a job is parked in a pool without threads",
    );
    ledger.check(limiter.borrowed_tokens() == 0, "a token was lost");
    let (made, gone) = (
        ledger.captures_made.load(Relaxed),
        ledger.captures_gone.load(Relaxed),
    );
    ledger.check(
        made == gone,
        &format!("{made} captures were made and {gone} dropped"),
    );
}
