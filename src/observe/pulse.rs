//! What a watched loop tells the monitor: one word, and whether the loop is awake.
//!
//! The word is a counter of steps, a bit that says whether a step runs, and the step's site. A step's end is the beginning
//! of the next one, or the end of the turn. So if two looks find the same word of a step, that step has run from the one to
//! the other.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *asleep* | the loop runs, or wakes: it wakes the monitor, if that sleeps for good | *awake* |
//! | *awake* or *in a step* | a step begins | *in a step*, with a word of its own |
//! | *in a step* | the turn ends | *awake* |
//! | *awake* | the loop falls asleep, or is left by its thread | *asleep* |
//!
//! The rule: a step costs the loop one store, and no look at the clock. The monitor measures.

use crate::observe::blocked::BlockedHook;
use crate::observe::sites::{SITE_BITS, Site};
use crate::sync::panics::drop_quietly;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, SystemThread, current_thread_name};
use std::panic::Location;
use std::time::Duration;

/// See the [module](self).
pub(crate) struct Pulse {
    /// Written by the loop's thread alone.
    word: AtomicUsize,
    /// Written by the loop's thread alone.
    is_awake: AtomicBool,
    /// The loop is gone: its hook isn't called any more.
    has_ended: AtomicBool,
    pub(super) thread: String,
    pub(super) system: SystemThread,
    /// How long a step may take before the hook is called.
    pub(super) after: Duration,
    pub(super) hook: Option<BlockedHook>,
}

/// What a loop runs just now.
pub(crate) struct Step {
    pub(crate) spawned_at: &'static Location<'static>,
    /// What the system says that the thread does.
    pub(crate) doing: Option<String>,
}

/// The value of a pulse's word.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Word(usize);

impl Word {
    /// A step runs. The counter is above this bit.
    const IN_STEP: usize = 1 << SITE_BITS;

    /// The word of the next step, which has this site.
    fn next(self, site: Site) -> Self {
        let below_the_counter = Self::IN_STEP | (Self::IN_STEP - 1);
        let counted = (self.0 | below_the_counter).wrapping_add(1);
        Self(counted | Self::IN_STEP | usize::from(site.bits()))
    }

    pub(super) fn is_in_step(self) -> bool {
        self.0 & Self::IN_STEP != 0
    }

    /// The site of the last step.
    pub(super) fn site(self) -> Site {
        Site::from_bits(self.0)
    }
}

impl Pulse {
    /// The pulse of a loop of this thread.
    pub(super) fn new(after: Duration, hook: BlockedHook) -> Self {
        let system = SystemThread::default();
        system.set_current();
        Self {
            word: AtomicUsize::new(0),
            is_awake: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            thread: current_thread_name(),
            system,
            after,
            hook: Some(hook),
        }
    }

    pub(crate) fn word(&self) -> Word {
        Word(self.word.load(Ordering::Acquire)) // Pairs with `begin_step`: the place of the site is in the table.
    }

    /// For a dump. `None` between two steps.
    pub(crate) fn step(&self) -> Option<Step> {
        let word = self.word();
        word.is_in_step().then(|| Step {
            spawned_at: word.site().place(),
            doing: self.system.doing(),
        })
    }

    /// The loop begins a step. If another one has begun, that is over.
    #[inline]
    pub(crate) fn begin_step(&self, site: Site) {
        let word = Word(self.word.load(Ordering::Relaxed)).next(site);
        self.word.store(word.0, Ordering::Release); // Pairs with `word`.
    }

    /// The loop ends its step, if one has begun.
    pub(crate) fn end_step(&self) {
        let word = self.word.load(Ordering::Relaxed);
        self.word.store(word & !Word::IN_STEP, Ordering::Relaxed); // Without a step, no site is looked up.
    }

    /// The loop runs from here on. Before its first step, [`wake`](super::monitor::wake) is to be called.
    pub(super) fn set_awake(&self, is_awake: bool) {
        // SeqCst, as the monitor's `asleep`. Each side stores its own flag and then reads the other's. In the one order of
        // all these accesses, the later of the two stores comes before its side's read, which so finds the other's flag set.
        self.is_awake.store(is_awake, Ordering::SeqCst);
    }

    pub(super) fn is_awake(&self) -> bool {
        self.is_awake.load(Ordering::SeqCst) // As in `set_awake`.
    }

    pub(super) fn set_ended(&self) {
        self.has_ended.store(true, Ordering::Release); // Pairs with `has_ended`.
    }

    pub(super) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire) // Pairs with `set_ended`.
    }
}

/// The last reference may be the monitor's, so a panic of the hook's drop is caught here.
impl Drop for Pulse {
    fn drop(&mut self) {
        drop_quietly(self.hook.take());
    }
}
