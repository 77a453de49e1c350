//! The monitor: one thread for the whole process, which looks at the pulses of all watched loops.
//!
//! It starts with the first watched loop, and ends when the last one has ended. A look finds the same step as the one
//! before, or it doesn't. The time since the first look that found it is how long the step has blocked its loop.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *none* | a watched loop is made | *looking* |
//! | *looking* | two looks found no loop awake and no step between them | *asleep*, without a deadline |
//! | *asleep* | a loop runs or wakes | *looking* |
//! | *looking* or *asleep* | the last watched loop ends | *none* |
//!
//! The rule: hooks run on this thread, with no lock held. A hook of a loop that has ended isn't called.

use crate::observe::blocked::{Blocked, BlockedHook, asked_by_environment};
use crate::observe::pulse::{Pulse, Word};
use crate::sync::panics::{catch_panic, drop_quietly};
use crate::sync::parker::Parker;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, lazy_static, now, start_thread};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How many looks there are in the time that a step may take.
const LOOKS: u32 = 4;

/// The shortest time that a step may take.
const LEAST: Duration = Duration::from_millis(1);

struct Monitor {
    watched: Mutex<Watched>,
    parker: Parker,
    /// It sleeps until it is woken. Set by the monitor, cleared by what wakes it.
    asleep: AtomicBool,
}

#[derive(Default)]
struct Watched {
    /// By the addresses of their pulses.
    loops: HashMap<usize, WatchedLoop>,
    /// The monitor's thread runs, or is being started.
    has_thread: bool,
}

lazy_static! {
    static ref MONITOR: Monitor = Monitor {
        watched: Mutex::new(Watched::default()),
        parker: Parker::new(),
        asleep: AtomicBool::new(false),
    };
}

/// A pulse, and what the looks have found.
struct WatchedLoop {
    pulse: Arc<Pulse>,
    word: Word,
    /// The first look that found this word.
    since: Instant,
    /// If the same step runs for so long, the hook is called.
    due: Duration,
    was_told: bool,
}

/// Watches a loop of this thread, if the loop or the environment asks for it.
pub(crate) fn watch(asked: Option<(Duration, BlockedHook)>) -> Option<Arc<Pulse>> {
    let print: fn(&Blocked) = |blocked| eprintln!("footbridge: {blocked}");
    let (after, hook) = match asked {
        Some(asked) => asked,
        None => (asked_by_environment()?, Box::new(print) as BlockedHook),
    };
    let pulse = Arc::new(Pulse::new(after.max(LEAST), hook));
    let new = WatchedLoop {
        pulse: pulse.clone(),
        word: pulse.word(),
        since: now(),
        due: pulse.after,
        was_told: false,
    };
    let mut watched = MONITOR.watched.lock();
    watched.loops.insert(Arc::as_ptr(&pulse).addr(), new);
    // If the system refuses the thread, the next watched loop asks again.
    if !watched.has_thread {
        watched.has_thread = start_thread("footbridge-monitor".into(), None, main).is_ok();
    }
    drop(watched);
    MONITOR.parker.unpark(); // Its next look may be too late for this loop.
    Some(pulse)
}

/// The loop runs from here on.
pub(crate) fn wake(pulse: &Pulse) {
    pulse.set_awake(true);
    // Of the loops that wake at once, one unparks the monitor.
    if MONITOR.asleep.load(Ordering::SeqCst) && MONITOR.asleep.swap(false, Ordering::SeqCst) {
        MONITOR.parker.unpark();
    }
}

/// The loop sleeps, or its thread does something else, until the next [`wake`].
pub(crate) fn fall_asleep(pulse: &Pulse) {
    pulse.set_awake(false);
}

/// The loop has ended.
pub(crate) fn end(pulse: &Arc<Pulse>) {
    pulse.set_ended();
    let mut watched = MONITOR.watched.lock();
    let removed = watched.loops.remove(&Arc::as_ptr(pulse).addr());
    let was_last = watched.loops.is_empty();
    drop(watched);
    drop(removed);
    if was_last {
        MONITOR.parker.unpark(); // It ends.
    }
}

impl Monitor {
    /// Sleeps until a loop wakes, unless one is awake already.
    fn sleep_for_good(&self) {
        // As in `Pulse::set_awake`: a loop that wakes from here on sees the flag, or is seen below.
        self.asleep.store(true, Ordering::SeqCst);
        let watched = self.watched.lock();
        let is_needed = watched
            .loops
            .values()
            .any(|watched| watched.pulse.is_awake());
        drop(watched);
        if !is_needed {
            let _ = self.parker.park(None);
        }
        // If a loop has cleared the flag meanwhile, its token is left, and causes one look more.
        self.asleep.store(false, Ordering::SeqCst);
    }
}

/// What the monitor's thread does.
fn main() {
    let mut reports = Vec::new();
    loop {
        let mut watched = MONITOR.watched.lock();
        // Each loop may wake before the next look, so the least time of all counts.
        let Some(least) = watched
            .loops
            .values()
            .map(|watched| watched.pulse.after)
            .min()
        else {
            watched.has_thread = false;
            return;
        };
        let now = now();
        let mut is_active = false;
        for watched in watched.loops.values_mut() {
            let (goes_on, report) = watched.look(now);
            is_active |= goes_on;
            reports.extend(report.map(|report| (watched.pulse.clone(), report)));
        }
        drop(watched);
        for (pulse, report) in reports.drain(..) {
            tell(&pulse, report);
        }
        if is_active {
            let _ = MONITOR.parker.park(now.checked_add(least / LOOKS));
        } else {
            MONITOR.sleep_for_good();
        }
    }
}

impl WatchedLoop {
    /// A look. Returns whether the loop is awake or has run since the last look, and what the hook is to be told.
    fn look(&mut self, now: Instant) -> (bool, Option<Blocked>) {
        let is_awake = self.pulse.is_awake();
        let word = self.pulse.word();
        let so_far = now.saturating_duration_since(self.since);
        if word != self.word {
            let report = self.was_told.then(|| self.report(so_far, true));
            (self.word, self.since) = (word, now);
            (self.due, self.was_told) = (self.pulse.after, false);
            return (true, report);
        }
        let is_due = word.is_in_step() && so_far >= self.due;
        while is_due && self.due <= so_far {
            self.due = self.due.saturating_mul(2);
        }
        self.was_told |= is_due;
        (is_awake, is_due.then(|| self.report(so_far, false)))
    }

    fn report(&self, so_far: Duration, over: bool) -> Blocked {
        Blocked {
            spawned_at: self.word.site().place(),
            thread: self.pulse.thread.clone(),
            so_far,
            doing: None,
            over,
        }
    }
}

/// Calls the hook, which is a user's.
fn tell(pulse: &Pulse, mut blocked: Blocked) {
    if !blocked.over {
        blocked.doing = pulse.system.doing();
    }
    if pulse.has_ended() {
        return;
    }
    if let Some(hook) = &pulse.hook {
        if let Err(payload) = catch_panic(|| hook(&blocked)) {
            drop_quietly(payload);
        }
    }
}
