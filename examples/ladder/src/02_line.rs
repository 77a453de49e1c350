//! Several futures on one thread. Each is a *task*, with a key. A waker puts its task's key into a line, and the loop
//! polls the task whose key comes next. The future stays on its thread. Only the key crosses, so a future needn't be
//! `Send`, though its waker is.
//!
//! The rule: first woken, first polled, and a key is in line once. So a task that wakes itself goes behind all that were
//! woken before, however often it calls its waker.

use super::parker::{Parker, yield_now};
use super::world::Mutex;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

#[derive(Default)]
pub struct Line {
    keys: Mutex<VecDeque<u64>>,
    pub parker: Arc<Parker>,
}

/// What a waker is made of.
struct Key(u64, Arc<Line>);

impl Wake for Key {
    fn wake(self: Arc<Self>) {
        let Key(key, line) = &*self;
        let mut keys = line.keys.lock().unwrap();
        if keys.contains(key) {
            return;
        }
        keys.push_back(*key);
        drop(keys);
        line.parker.unpark();
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

#[derive(Default)]
pub struct Executor {
    pub line: Arc<Line>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    last_key: Cell<u64>,
}

thread_local!(static CURRENT: RefCell<Option<Rc<Executor>>> = const { RefCell::new(None) });

/// The key of the future that `run` is given. It waits in the same line.
const MAIN: u64 = 0;

impl Executor {
    fn waker(&self, key: u64) -> Waker {
        Waker::from(Arc::new(Key(key, self.line.clone())))
    }

    fn poll(&self, key: u64) {
        // It is taken out meanwhile, because it may spawn others.
        let Some(mut task) = self.tasks.borrow_mut().remove(&key) else {
            return; // It has ended, and was woken once more.
        };
        let waker = self.waker(key);
        let poll = || task.as_mut().poll(&mut Context::from_waker(&waker));
        // A task that panics ends, and the loop goes on.
        if let Ok(Poll::Pending) = catch_unwind(AssertUnwindSafe(poll)) {
            self.tasks.borrow_mut().insert(key, task);
        }
    }
}

/// Adds a task to the loop that runs on this thread.
pub fn spawn(future: impl Future<Output = ()> + 'static) {
    let executor = CURRENT.with_borrow(Clone::clone).expect("a loop runs here");
    executor.last_key.set(executor.last_key.get() + 1);
    let key = executor.last_key.get();
    executor.tasks.borrow_mut().insert(key, Box::pin(future));
    executor.waker(key).wake();
}

/// Dropped when the loop is left, by a panic as well.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        CURRENT.take();
    }
}

/// The loop: `before_each_turn` brings what is due, `next` takes from the line, `sleep` is called when the line is empty.
pub fn run_with<F: Future>(
    next: fn(&mut VecDeque<u64>) -> Option<u64>,
    executor: &Rc<Executor>,
    before_each_turn: impl Fn(),
    sleep: impl Fn(&Parker),
    main: F,
) -> F::Output {
    let mut main = pin!(main);
    let waker = executor.waker(MAIN);
    waker.wake_by_ref();
    CURRENT.set(Some(executor.clone()));
    let _leave = Leave;
    loop {
        before_each_turn();
        let key = next(&mut executor.line.keys.lock().unwrap());
        match key {
            None => sleep(&executor.line.parker),
            Some(MAIN) => {
                if let Poll::Ready(output) = main.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return output;
                }
            }
            Some(key) => executor.poll(key),
        }
    }
}

// What fails without it, and no longer fails with it.

/// How often main yields, up to a thousand times, until another task has run.
fn yields_until_the_other_has_run(next: fn(&mut VecDeque<u64>) -> Option<u64>) -> usize {
    run_with(next, &Rc::default(), || (), Parker::park, async {
        let ran = Rc::new(Cell::new(false));
        let other = ran.clone();
        spawn(async move { other.set(true) });
        let mut yields = 0;
        while !ran.get() && yields < 1000 {
            yields += 1;
            yield_now().await;
        }
        yields
    })
}

pub fn main() {
    let yields = yields_until_the_other_has_run(VecDeque::pop_back);
    println!("last woken, first polled: main yielded {yields} times, and the other has not run");
    let yields = yields_until_the_other_has_run(VecDeque::pop_front);
    println!("first woken, first polled: the other has run when main has yielded {yields} time(s)");
}

// For real: `src/event_loop/ready_queue.rs` and `src/event_loop/task_waker.rs`. A wake on the loop's own thread takes
// no lock, a flag in each task says that it is in line, a waker is made once and not for each poll, and a slab is in
// place of the map.
