//! A call that was detached while it waited for a token. No task polls it. Its own waker polls it.

use crate::sync::{Arc, Mutex, impl_wake};
use std::task::Poll;

#[derive(Default)]
pub(crate) struct Detached(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// `None` while a thread polls the call, and after it was submitted.
    advance: Option<Advance>,
    woken: bool,
}

pub(crate) type Advance = Box<dyn FnMut() -> Poll<()> + Send>;

impl Detached {
    /// Polls the call, now and at each wake, until it is submitted.
    pub(crate) fn go_on(&self, mut advance: Advance) {
        while advance().is_pending() {
            let mut waiting = self.0.lock();
            if !std::mem::take(&mut waiting.woken) {
                waiting.advance = Some(advance);
                return;
            }
        }
    }

    fn wake(self: &Arc<Self>) {
        let advance = {
            let mut waiting = self.0.lock();
            let advance = waiting.advance.take();
            waiting.woken = advance.is_none();
            advance
        };
        if let Some(advance) = advance {
            self.go_on(advance);
        }
    }
}

impl_wake!(Detached);

#[cfg(all(test, not(footbridge_loom)))]
mod tests {
    use super::*;
    use crate::sync::{AtomicUsize, Ordering};

    #[test]
    fn a_call_goes_one_step_for_each_time_that_it_is_woken_also_within_a_step() {
        let detached = Arc::new(Detached::default());
        let steps = Arc::new(AtomicUsize::new(0));
        let (waken, taken) = (detached.clone(), steps.clone());
        detached.go_on(Box::new(move || {
            match taken.fetch_add(1, Ordering::Relaxed) + 1 {
                1 => waken.wake(), // so that a second one follows, and no third one
                2 | 3 => {}
                4 => return Poll::Ready(()),
                _ => panic!("a step that no wake was for"),
            }
            Poll::Pending
        }));
        for steps_then in [2, 3, 4, 4] {
            assert_eq!(steps.load(Ordering::Relaxed), steps_then);
            detached.wake();
        }
    }
}
