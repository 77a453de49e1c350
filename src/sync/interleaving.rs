//! What each thread of a model has done in this iteration. If the model fails, `columns` prints it.
//!
//! The rule: loom sees nothing of it, so a model has the same interleavings as without. loom runs the threads of a model on
//! one thread of the system. So the log is in a thread-local of std's, and needs no lock.
//!
//! ```text
//!   a thread's first step   its column begins. If all columns before it have ended, an iteration begins: the log is cleared
//!   a step is done          a turn. A thread that waits for the processor, or for a lock, has no turn yet
//!   a thread ends           its column is dropped, like each of the thread's thread-locals
//!   a panic                 a turn, by the panic hook
//!   the model has failed    loom panics, or a panic drops the last column: the log is printed
//! ```
//!
//! If the model fails, all columns are dropped after loom has ended. A panic that is caught drops fewer: its own thread goes
//! on. A leak is found when all columns have ended, so the hook prints the log of that iteration too.

use super::{columns, panics};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{self, Location, PanicHookInfo};
use std::sync::Once;

/// How many turns are kept: the last ones.
const MOST: usize = 400;

/// What an atomic held.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
}

pub(super) enum Action {
    /// A call of an atomic or a lock: what it has read, and what it has written.
    Step(Option<Value>, Option<Value>),
    /// What there is to say of another call.
    Call(&'static str),
    /// The thread starts another one, of that name.
    Start(String),
    /// The thread ends.
    End,
    /// Where it was, and its message.
    Panic(String, String),
}

pub(super) struct Turn {
    /// The index of its column.
    pub(super) thread: usize,
    pub(super) access: Access,
    pub(super) action: Action,
}

/// A call of an atomic, a lock or another object of loom's.
#[derive(Clone, Copy)]
pub(super) struct Access {
    pub(super) at: &'static Location<'static>,
    /// Its address.
    pub(super) object: usize,
}

impl Access {
    #[track_caller]
    fn of<T>(object: &T) -> Self {
        let at = Location::caller();
        let object = std::ptr::from_ref(object).addr();
        Self { at, object }
    }
}

pub(super) struct Thread {
    pub(super) handle: loom::thread::Thread,
    /// The call that it hasn't returned from.
    pub(super) within: Option<Access>,
}

pub(super) struct Log {
    pub(super) threads: Vec<Thread>,
    pub(super) turns: VecDeque<Turn>,
    pub(super) left_out: usize,
    /// How many columns have begun and not ended.
    live: usize,
    /// The column of the thread that began last, or had the last turn.
    last: usize,
    is_printed: bool,
}

std::thread_local! {
    static LOG: RefCell<Log> = const { RefCell::new(Log::NEW) };
}

impl Log {
    const NEW: Self = Self {
        threads: Vec::new(),
        turns: VecDeque::new(),
        left_out: 0,
        live: 0,
        last: 0,
        is_printed: false,
    };

    /// For a new iteration. The memory is used again.
    fn clear(&mut self) {
        self.threads.clear();
        self.turns.clear();
        self.left_out = 0;
        self.is_printed = false;
    }

    fn push(&mut self, thread: usize, access: Access, action: Action) {
        if self.turns.len() == MOST {
            self.turns.pop_front();
            self.left_out += 1;
        }
        self.turns.push_back(Turn {
            thread,
            access,
            action,
        });
        self.last = thread;
    }
}

loom::thread_local! {
    static COLUMN: Column = Column::begin();
}

/// The index of a thread's column. The thread's end drops it.
struct Column(usize);

impl Column {
    fn begin() -> Self {
        static HOOK: Once = Once::new();
        if !std::thread::panicking() {
            HOOK.call_once(install_hook);
        }
        let handle = loom::thread::current();
        LOG.with_borrow_mut(|log| {
            if log.live == 0 {
                log.clear();
            }
            log.live += 1;
            log.last = log.threads.len();
            let within = None;
            log.threads.push(Thread { handle, within });
            Self(log.last)
        })
    }
}

impl Drop for Column {
    fn drop(&mut self) {
        let is_last = LOG.with_borrow_mut(|log| {
            log.live -= 1;
            log.push(self.0, Access::of(self), Action::End);
            log.live == 0
        });
        if is_last && std::thread::panicking() {
            print();
        }
    }
}

/// Does a step on the object, and logs it when it is done.
#[track_caller]
pub(super) fn step<T, R>(
    object: &T,
    step: impl FnOnce() -> R,
    action: impl FnOnce(&R) -> Action,
) -> R {
    let access = Access::of(object);
    // If the thread ends, the thread-local is gone, and the step isn't logged.
    let Ok(thread) = COLUMN.try_with(|column| column.0) else {
        return step();
    };
    LOG.with_borrow_mut(|log| log.threads[thread].within = Some(access));
    let result = step();
    let action = action(&result);
    LOG.with_borrow_mut(|log| {
        log.threads[thread].within = None;
        log.push(thread, access, action);
    });
    result
}

/// Logs what the thread does with the object. For loom it is no step.
#[track_caller]
pub(super) fn log<T>(object: &T, action: Action) {
    let access = Access::of(object);
    if let Ok(thread) = COLUMN.try_with(|column| column.0) {
        LOG.with_borrow_mut(|log| log.push(thread, access, action));
    }
}

fn install_hook() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        usual(info);
        log_panic(info);
    }));
}

/// No step of loom's may be taken here, because a panic in a hook aborts.
fn log_panic(info: &PanicHookInfo<'_>) {
    let at = info.location().map(ToString::to_string).unwrap_or_default();
    let message = panics::message(info.payload()).unwrap_or_default();
    let is_of_loom = is_of_loom(&at);
    // If a model fails, what is dropped may use loom, which has ended.
    let is_after_end = message.starts_with("cannot access Loom");
    // As the thread ends, the thread-local may be gone.
    let is_live = LOG.try_with(|log| {
        let mut log = log.borrow_mut();
        if !is_after_end {
            let text = message.lines().find(|line| !line.is_empty());
            let text = text.unwrap_or("a panic").into();
            let (last, access) = (log.last, Access::of(&*log));
            log.push(last, access, Action::Panic(at, text));
        }
        log.live > 0
    });
    if is_of_loom && (is_live.unwrap_or(false) || message.contains("leaked")) {
        print();
    }
}

/// Whether the place is in loom's own package.
fn is_of_loom(at: &str) -> bool {
    let at = at.replace('\\', "/");
    let package = at.split_once("/src/rt/").map(|(folder, _)| folder);
    let name = package.and_then(|folder| folder.rsplit('/').next());
    name.is_some_and(|name| name == "loom" || name.starts_with("loom-"))
}

/// Prints the log, once.
fn print() {
    let text = LOG.try_with(|log| {
        let mut log = log.borrow_mut();
        let is_new = !std::mem::replace(&mut log.is_printed, true);
        (is_new && !log.threads.is_empty()).then(|| columns::show(&log))
    });
    if let Ok(Some(text)) = text {
        eprint!("{text}");
    }
}
