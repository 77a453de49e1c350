//! What the screen shows. Only the screen's thread touches it, so it needs no lock.
//!
//! It is a thread-local because of the threads that change it from elsewhere. What they send with `Handle::call_soon` has
//! to be `Send`, and so can't hold a part of this; it finds it on the thread where it is called.

use crate::jobs::JOBS;
use std::cell::RefCell;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    #[default]
    Waiting,
    Running,
    Done,
    Cancelled,
    Failed,
}

#[derive(Clone, Copy, Default)]
pub struct Bar {
    pub state: State,
    pub percent: u16,
}

#[derive(Default)]
pub struct Model {
    pub bars: [Bar; JOBS],
    pub selected: usize,
    pub seconds: u64,
    has_changed: bool,
}

thread_local! {
    static MODEL: RefCell<Model> = RefCell::default();
}

pub fn look<R>(at: impl FnOnce(&Model) -> R) -> R {
    MODEL.with_borrow(at)
}

/// Changes it, and has it drawn.
pub fn update(change: impl FnOnce(&mut Model)) {
    MODEL.with_borrow_mut(change);
    redraw();
}

/// Has it drawn, though nothing in here has changed.
pub fn redraw() {
    MODEL.with_borrow_mut(|model| model.has_changed = true);
}

/// Whether there is something to draw, and then there isn't any more.
pub fn take_changed() -> bool {
    MODEL.with_borrow_mut(|model| std::mem::take(&mut model.has_changed))
}

impl Model {
    pub fn select_next(&mut self) {
        self.selected = (self.selected + 1).min(JOBS - 1);
    }

    pub fn select_previous(&mut self) {
        self.selected = self.selected.saturating_sub(1);
    }

    /// How many of the jobs are at what.
    pub fn summary(&self) -> String {
        use State::{Cancelled, Done, Failed, Running, Waiting};
        let counts = [Waiting, Running, Done, Cancelled, Failed]
            .map(|state| format!("{} {}", self.count(state), state.name()));
        counts.join(", ")
    }

    /// Whether all jobs have ended.
    pub fn is_over(&self) -> bool {
        self.count(State::Waiting) + self.count(State::Running) == 0
    }

    fn count(&self, state: State) -> usize {
        self.bars.iter().filter(|bar| bar.state == state).count()
    }
}

impl State {
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}
