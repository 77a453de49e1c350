//! Where events go: to the log of their thread in each recording that runs.
//!
//! A thread keeps its logs in a thread-local, and looks for new recordings if the generation has changed. A log is a ring: it
//! keeps the last events, and counts the others.
//!
//! The rule: an event costs one check if nothing records, and else a look at the clock and a lock that no other thread
//! wants.

use crate::observe::event::Event;
use crate::sync::{Arc, Mutex};
use std::collections::VecDeque;
use std::time::Instant;

/// A recording that runs.
pub(super) struct Logs {
    pub(super) start: Instant,
    #[cfg(not(footbridge_loom))]
    limit: usize,
    threads: Mutex<Vec<Arc<ThreadLog>>>,
}

/// What a thread has done.
pub(super) struct ThreadLog {
    pub(super) name: String,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    events: VecDeque<(Instant, Event)>,
    lost: u64,
}

/// What a log held at the end.
pub(super) struct TakenLog {
    pub(super) thread: String,
    pub(super) events: Vec<(Instant, Event)>,
    pub(super) lost: u64,
}

impl Logs {
    /// Takes what was logged, in the order of the threads' first events.
    pub(super) fn take(&self) -> Vec<TakenLog> {
        let threads = std::mem::take(&mut *self.threads.lock());
        let taken = threads.iter().map(|thread| {
            let ring = std::mem::take(&mut *thread.ring.lock());
            TakenLog {
                thread: thread.name.clone(),
                events: ring.events.into(),
                lost: ring.lost,
            }
        });
        taken.collect()
    }
}

#[cfg(not(footbridge_loom))]
pub(super) use running::{is_on, next_post, push, start, stop};

#[cfg(not(footbridge_loom))]
mod running {
    use super::{Logs, ThreadLog};
    use crate::observe::event::Event;
    use crate::sync::{
        Arc, AtomicBool, AtomicUsize, Mutex, Ordering, current_thread_name, lazy_static, now,
        thread_local,
    };
    use std::cell::RefCell;

    lazy_static! {
        static ref RUNNING: Mutex<Vec<Arc<Logs>>> = Mutex::default();
    }

    static IS_ON: AtomicBool = AtomicBool::new(false);
    /// Changes with `RUNNING`. Written under its lock.
    static GENERATION: AtomicUsize = AtomicUsize::new(0);
    static NEXT_POST: AtomicUsize = AtomicUsize::new(1);

    #[derive(Default)]
    struct OwnLogs {
        generation: usize,
        logs: Vec<(Arc<Logs>, Arc<ThreadLog>)>,
    }

    thread_local! {
        static OWN: RefCell<Option<OwnLogs>> = const { RefCell::new(None) };
    }

    /// Whether anything records. If a thread sees a start or a stop late, some events more or less are recorded.
    #[inline]
    pub(in crate::observe) fn is_on() -> bool {
        IS_ON.load(Ordering::Relaxed)
    }

    pub(in crate::observe) fn start(limit: usize) -> Arc<Logs> {
        let logs = Arc::new(Logs {
            start: now(),
            limit,
            threads: Mutex::default(),
        });
        change(|running| running.push(logs.clone()));
        logs
    }

    pub(in crate::observe) fn stop(logs: &Arc<Logs>) {
        change(|running| running.retain(|other| !Arc::ptr_eq(other, logs)));
    }

    fn change(change: impl FnOnce(&mut Vec<Arc<Logs>>)) {
        let mut running = RUNNING.lock();
        change(&mut running);
        GENERATION.fetch_add(1, Ordering::Relaxed); // The lock orders it.
        IS_ON.store(!running.is_empty(), Ordering::Relaxed);
    }

    /// A number for an arrow of a post.
    pub(in crate::observe) fn next_post() -> usize {
        NEXT_POST.fetch_add(1, Ordering::Relaxed)
    }

    #[cold]
    pub(in crate::observe) fn push(event: Event) {
        let at = now();
        // If the thread ends, the thread-local may be gone, and the event isn't recorded.
        let _ = OWN.try_with(|own| {
            let mut own = own.borrow_mut();
            let own = own.get_or_insert_default();
            own.follow();
            for (logs, log) in &own.logs {
                let mut ring = log.ring.lock();
                ring.events.push_back((at, event));
                if ring.events.len() > logs.limit {
                    ring.events.pop_front();
                    ring.lost += 1;
                }
            }
        });
    }

    impl OwnLogs {
        /// Leaves the recordings that have ended, and enters those that have begun.
        fn follow(&mut self) {
            if self.generation == GENERATION.load(Ordering::Relaxed) {
                return;
            }
            let running = RUNNING.lock();
            self.generation = GENERATION.load(Ordering::Relaxed);
            let has_logs =
                |logs: &[(Arc<Logs>, _)], one| logs.iter().any(|(own, _)| Arc::ptr_eq(own, one));
            self.logs
                .retain(|(own, _)| running.iter().any(|one| Arc::ptr_eq(own, one)));
            for one in running.iter() {
                if !has_logs(&self.logs, one) {
                    let log = Arc::new(ThreadLog {
                        name: current_thread_name(),
                        ring: Mutex::default(),
                    });
                    one.threads.lock().push(log.clone());
                    self.logs.push((one.clone(), log));
                }
            }
        }
    }
}

#[cfg(footbridge_loom)]
pub(super) use in_model::{is_on, next_post, push, start, stop};

/// In a model nothing is recorded: each lock of a log would be a step to explore.
#[cfg(footbridge_loom)]
mod in_model {
    use super::Logs;
    use crate::observe::event::Event;
    use crate::sync::{Arc, Mutex, now};

    pub(in crate::observe) fn is_on() -> bool {
        false
    }

    pub(in crate::observe) fn start(_limit: usize) -> Arc<Logs> {
        Arc::new(Logs {
            start: now(),
            threads: Mutex::default(),
        })
    }

    pub(in crate::observe) fn stop(_: &Arc<Logs>) {}

    pub(in crate::observe) fn next_post() -> usize {
        0
    }

    pub(in crate::observe) fn push(_: Event) {}
}
