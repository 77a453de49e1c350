//! A watched loop, and the monitor that watches it.
//!
//! The rule: while the loop runs on its thread, it is awake or asleep in its inbox. Between two runs, it counts as asleep.

use crate::event_loop::scheduler::Scheduler;
use crate::observe::event::{self, Slice, TaskAddress};
use crate::observe::sites::Site;
use crate::sync::Arc;

#[cfg(not(footbridge_loom))]
use crate::observe::monitor;

/// While this guard exists, the loop runs on its thread.
#[must_use]
pub(super) struct KeptAwake<'a>(&'a Scheduler);

impl Drop for KeptAwake<'_> {
    fn drop(&mut self) {
        self.0.tell_asleep();
        self.0.inbox.set_run(false);
    }
}

impl Scheduler {
    pub(super) fn keep_awake(&self) -> KeptAwake<'_> {
        self.inbox.set_run(true);
        self.tell_awake();
        KeptAwake(self)
    }

    /// The loop is about to run user code that was spawned at this site. If another step has begun, that is over.
    #[inline]
    pub(super) fn begin_step(&self, site: impl FnOnce() -> Site) {
        let is_recorded = event::is_on();
        if self.pulse.is_none() && !is_recorded {
            return;
        }
        let site = site();
        if let Some(pulse) = &self.pulse {
            pulse.begin_step(site);
        }
        if is_recorded {
            self.begin_slice(site);
        }
    }

    #[cold]
    fn begin_slice(&self, site: Site) {
        drop(self.open_step.take());
        let open = event::slice(|| Slice::Step(site.place()));
        self.open_step.set(Some(open));
    }

    /// The user code has returned. A turn calls it once, after its last step.
    pub(super) fn end_step(&self) {
        if let Some(pulse) = &self.pulse {
            pulse.end_step();
        }
        drop(self.open_step.take());
    }

    /// Names a task of this loop in a recording.
    pub(super) fn task_address(&self, key: u32) -> TaskAddress {
        (Arc::as_ptr(&self.inbox).addr(), key)
    }

    pub(super) fn tell_awake(&self) {
        #[cfg(not(footbridge_loom))]
        if let Some(pulse) = &self.pulse {
            monitor::wake(pulse);
        }
    }

    pub(super) fn tell_asleep(&self) {
        #[cfg(not(footbridge_loom))]
        if let Some(pulse) = &self.pulse {
            monitor::fall_asleep(pulse);
        }
    }

    pub(super) fn tell_ended(&self) {
        #[cfg(not(footbridge_loom))]
        if let Some(pulse) = &self.pulse {
            monitor::end(pulse);
        }
    }
}

#[cfg(all(test, not(footbridge_loom)))]
mod tests {
    use crate::event_loop::EventLoop;
    use crate::event_loop::scheduler::Post;
    use crate::sync::{Arc, Mutex};
    use std::time::Duration;

    #[test]
    fn what_the_crate_itself_does_after_a_step_is_no_step() {
        let mut event_loop = EventLoop::builder()
            .on_blocked(Duration::from_secs(3600), |_| ())
            .build();
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell_step = || {
            let told = told.clone();
            Post::Callback(Box::new(move |scheduler, _| {
                let pulse = scheduler.pulse.as_ref();
                let is_in_step = pulse.and_then(|pulse| pulse.step()).is_some();
                told.lock().push(is_in_step);
                None
            }))
        };
        let inbox = event_loop.scheduler.inbox.clone();
        assert!(inbox.post(tell_step()).is_ok());
        assert!(event_loop.handle().call_soon(|| ()));
        assert!(inbox.post(tell_step()).is_ok());
        event_loop.tick();
        assert_eq!(*told.lock(), [false, false]);
    }
}
