//! What a portal's thread and those that start or stop it share: its phase, and who waits for the next one.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | *starting* | the thread has made its loop | *running* |
//! | *running* | a stop, or the drop of the portal | *stopping* |
//! | *stopping* | a stop with an earlier deadline | *stopping*, by that deadline |
//! | *stopping* | the loop is gone: no task was left, or the deadline came | *ended* |
//!
//! The rule: a phase is left under the lock, and what waits is unparked after it.

use crate::event_loop::handle::Handle;
use crate::pool::slot;
use crate::sync::parker::{Parker, Woken};
use crate::sync::{Arc, Mutex};
use std::time::Instant;

pub(super) struct Life(Mutex<LifeState>);

struct LifeState {
    phase: LifePhase,
    waiters: Vec<Arc<Parker>>,
}

enum LifePhase {
    Starting,
    Running(Handle),
    Stopping(StopBy),
    Ended { aborted: usize },
}

/// When a stop aborts the tasks that are left. `None`: never.
pub(super) type StopBy = Option<Instant>;

impl Life {
    pub(super) fn new() -> Self {
        Self(Mutex::new(LifeState {
            phase: LifePhase::Starting,
            waiters: Vec::new(),
        }))
    }

    /// The thread has made its loop.
    pub(super) fn started(&self, handle: Handle) {
        self.enter(LifePhase::Running(handle));
    }

    /// The loop is gone.
    pub(super) fn ended(&self, aborted: usize) {
        self.enter(LifePhase::Ended { aborted });
    }

    fn enter(&self, phase: LifePhase) {
        let mut state = self.0.lock();
        state.phase = phase;
        let waiters = std::mem::take(&mut state.waiters);
        drop(state);
        waiters.iter().for_each(|waiter| waiter.unpark());
    }

    /// A stop with this deadline begins. If one has begun, the earlier deadline holds.
    pub(super) fn stop_by(&self, deadline: StopBy) {
        let mut state = self.0.lock();
        let earliest = match &state.phase {
            LifePhase::Starting => unreachable!("the portal is there when its thread has started"),
            LifePhase::Running(_) => deadline,
            LifePhase::Stopping(before) => before.iter().copied().chain(deadline).min(),
            LifePhase::Ended { .. } => return,
        };
        let before = std::mem::replace(&mut state.phase, LifePhase::Stopping(earliest));
        drop(state);
        drop(before);
    }

    /// Whether a stop has begun, and its deadline.
    pub(super) fn stop(&self) -> Option<StopBy> {
        match self.0.lock().phase {
            LifePhase::Stopping(deadline) => Some(deadline),
            _ => None,
        }
    }

    pub(super) fn wait_for_start(&self) -> Handle {
        let handle = self.wait(None, |phase| match phase {
            LifePhase::Running(handle) => Some(handle.clone()),
            _ => None,
        });
        match handle {
            Some(handle) => handle,
            None => unreachable!("a wait without a deadline ends with what it is for"),
        }
    }

    /// Waits until the loop is gone. Returns how many tasks were aborted. `None`: the deadline came first.
    pub(super) fn wait_for_end(&self, deadline: Option<Instant>) -> Option<usize> {
        self.wait(deadline, |phase| match phase {
            LifePhase::Ended { aborted } => Some(*aborted),
            _ => None,
        })
    }

    /// A worker releases its slot while it waits.
    fn wait<T>(
        &self,
        deadline: Option<Instant>,
        look: impl Fn(&LifePhase) -> Option<T>,
    ) -> Option<T> {
        let parker = Arc::new(Parker::new());
        let mut slot = None;
        let mut woken = Woken::Notified;
        loop {
            let mut state = self.0.lock();
            let found = look(&state.phase);
            if found.is_some() || woken == Woken::TimedOut {
                state.waiters.retain(|waiter| !Arc::ptr_eq(waiter, &parker));
                return found;
            }
            state.waiters.push(parker.clone());
            drop(state);
            slot.get_or_insert_with(slot::release);
            woken = parker.park(deadline);
        }
    }
}
