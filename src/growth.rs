//! Whether a backlog is worth another thread: the policy of growing, as a function of what a watcher has seen.
//!
//! A thread that has been preempted looks like one that is stuck, and one more thread makes more of them. What tells
//! jobs that compute from jobs that block, while nothing has finished yet, is only the system: does the thread want a
//! processor, or does it sleep? So the rule: *grow while fewer threads want a processor than there are processors.*
//! Threads that sleep don't count, however many they are.
//!
//! ```text
//!   evidence                                              verdict
//!   the threads take a job each, or more, in one watch    Moving: look again soon
//!   fewer want a processor than there are                 Double: jobs block, so twice as many as the last time
//!   the same for the first time                           Doubtful: look once more
//!   the processors are taken, a thread is blocked, and
//!     nothing was taken for BLOCKED_PATIENCE              OneMore: it may wait for a queued job
//!   the processors are taken, and nothing was taken for
//!     a second, then for two, four ..                     OneMore: they may spin for a queued job
//!   the processors are taken                              Computing: look again later and later
//! ```

use std::time::Duration;

/// How long a watcher waits for the others to get on.
pub(crate) const WATCH: Duration = Duration::from_micros(50);

/// The same, at the most, while the others compute.
const LONGEST_WATCH: Duration = Duration::from_millis(2);

/// For how long nothing has to be taken, while some thread is blocked and the processors are taken.
const BLOCKED_PATIENCE: Duration = Duration::from_millis(2);

/// The same while every thread wants a processor. Doubled each time that it has passed.
const COMPUTING_PATIENCE: Duration = Duration::from_secs(1);

/// How many threads a first doubling brings.
const FIRST_STEP: usize = 4;

/// What a watcher has seen since it last looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    pub(crate) cores: usize,
    /// Threads that run a job.
    pub(crate) active: usize,
    /// How many jobs they have taken.
    pub(crate) taken: usize,
    /// Jobs wait in the own queue of a thread that hasn't taken any.
    pub(crate) stuck: bool,
    /// For how long nothing has been taken, and no thread has been added.
    pub(crate) quiet: Duration,
}

impl Evidence {
    /// The queue moves by itself: each thread takes a job in a watch, so they are short.
    pub(crate) fn is_moving(&self) -> bool {
        self.active >= self.cores && self.taken >= self.active.max(1) && !self.stuck
    }
}

/// What the system says of the threads that run jobs.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(crate) struct Sample {
    /// How many were asked about.
    pub(crate) asked: usize,
    /// Of those, how many run or wait for a processor.
    pub(crate) wanting: usize,
}

#[derive(Clone, Copy, PartialEq, Debug)]
#[must_use]
pub(crate) enum Verdict {
    Moving,
    Computing,
    Doubtful,
    OneMore,
    Double,
}

/// What is known of a backlog that has been watched for a while.
#[derive(Debug)]
pub(crate) struct Growth {
    /// Threads that shall come without another look.
    wanted: usize,
    step: usize,
    pause: Duration,
    patience: Duration,
    /// The last look said that jobs block.
    is_doubtful: bool,
    /// Where the system says nothing: how many thousandths of a job were taken in a [`WATCH`] of the last look.
    rate_before: Option<u128>,
}

impl Default for Growth {
    fn default() -> Self {
        Self {
            wanted: 0,
            step: FIRST_STEP,
            pause: WATCH,
            patience: COMPUTING_PATIENCE,
            is_doubtful: false,
            rate_before: None,
        }
    }
}

impl Growth {
    /// `sample` is `None` where the system says nothing of its threads.
    pub(crate) fn decide(&mut self, evidence: &Evidence, sample: Option<Sample>) -> Verdict {
        if evidence.is_moving() {
            *self = Self::default();
            return Verdict::Moving;
        }
        let verdict = match sample {
            Some(sample) => self.judge(evidence, sample),
            None => self.judge_by_yield(evidence),
        };
        match verdict {
            Verdict::Double => {
                self.wanted = self.step - 1;
                self.step *= 2;
                self.pause = WATCH;
            }
            Verdict::OneMore | Verdict::Doubtful => self.pause = WATCH,
            Verdict::Moving | Verdict::Computing => {
                self.step = FIRST_STEP;
                self.pause = LONGEST_WATCH.min(2 * self.pause);
            }
        }
        verdict
    }

    fn judge(&mut self, evidence: &Evidence, sample: Sample) -> Verdict {
        // Of all that are active, if those asked about speak for the rest.
        let wanting = (sample.wanting * evidence.active).div_ceil(sample.asked.max(1));
        if wanting < evidence.cores {
            // For a moment a thread that computes may sleep too, in a lock or for a page. A second look tells.
            let is_certain = std::mem::replace(&mut self.is_doubtful, true);
            return if is_certain {
                Verdict::Double
            } else {
                Verdict::Doubtful
            };
        }
        self.is_doubtful = false;
        if sample.wanting < sample.asked && evidence.quiet >= BLOCKED_PATIENCE {
            return Verdict::OneMore;
        }
        if evidence.quiet >= self.patience {
            self.patience *= 2;
            return Verdict::OneMore;
        }
        Verdict::Computing
    }

    /// Without the system's word, by what growing has brought: if more threads take no more jobs, the jobs compute.
    /// Where nothing is taken at all nothing is known, and they are taken for jobs that block.
    fn judge_by_yield(&mut self, evidence: &Evidence) -> Verdict {
        let watches = self.pause.as_micros() / WATCH.as_micros();
        let rate = evidence.taken as u128 * 1000 / watches.max(1);
        let brought_more = self
            .rate_before
            .replace(rate)
            .is_none_or(|before| rate > before);
        if evidence.active < evidence.cores || rate == 0 || brought_more {
            Verdict::Double
        } else {
            Verdict::Computing
        }
    }

    /// Whether a thread shall come without another look. It is counted.
    #[must_use]
    pub(crate) fn take_wanted(&mut self) -> bool {
        let is_wanted = self.wanted > 0;
        self.wanted -= usize::from(is_wanted);
        is_wanted
    }

    /// Threads are wanted that haven't come yet.
    pub(crate) fn is_growing(&self) -> bool {
        self.wanted > 0
    }

    /// How long to wait before the next look.
    pub(crate) fn pause(&self) -> Duration {
        self.pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Evidence = Evidence {
        cores: 2,
        active: 2,
        taken: 0,
        stuck: false,
        quiet: Duration::ZERO,
    };

    /// Of as many active threads so many want a processor.
    fn wanting(wanting: usize, asked: usize) -> Option<Sample> {
        Some(Sample { asked, wanting })
    }

    #[test]
    fn short_jobs_start_no_thread_whatever_the_system_says() {
        let mut growth = Growth::default();
        let short = Evidence { taken: 2, ..LONG };
        assert_eq!(growth.decide(&short, wanting(0, 2)), Verdict::Moving);
        assert!(!growth.is_growing());
        let stuck = Evidence {
            stuck: true,
            ..short
        };
        assert_ne!(growth.decide(&stuck, wanting(0, 2)), Verdict::Moving);
    }

    #[test]
    fn jobs_that_compute_start_no_thread_and_are_looked_at_less_and_less_often() {
        let mut growth = Growth::default();
        let mut pauses = Vec::new();
        for _ in 0..10 {
            assert_eq!(growth.decide(&LONG, wanting(2, 2)), Verdict::Computing);
            pauses.push(growth.pause());
        }
        assert!(pauses.is_sorted() && pauses.first() < pauses.last());
        assert_eq!(growth.pause(), LONGEST_WATCH);
        assert!(!growth.take_wanted());
    }

    #[test]
    fn jobs_that_block_double_the_threads_from_the_second_look_on() {
        let mut growth = Growth::default();
        assert_eq!(growth.decide(&LONG, wanting(0, 2)), Verdict::Doubtful);
        let mut brought = Vec::new();
        for _ in 0..4 {
            assert_eq!(growth.decide(&LONG, wanting(1, 2)), Verdict::Double);
            // The watcher itself is one of them.
            brought.push(1 + std::iter::from_fn(|| growth.take_wanted().then_some(())).count());
        }
        assert_eq!(brought, [4, 8, 16, 32]);
    }

    #[test]
    fn a_thread_that_sleeps_for_a_moment_starts_none() {
        let mut growth = Growth::default();
        for _ in 0..10 {
            assert_eq!(growth.decide(&LONG, wanting(1, 2)), Verdict::Doubtful);
            assert_eq!(growth.decide(&LONG, wanting(2, 2)), Verdict::Computing);
        }
    }

    #[test]
    fn a_sample_speaks_for_all() {
        let many = Evidence {
            active: 160,
            ..LONG
        };
        let mut growth = Growth::default();
        assert_eq!(growth.decide(&many, wanting(1, 16)), Verdict::Computing);
        assert_eq!(growth.decide(&many, wanting(0, 16)), Verdict::Doubtful);
    }

    #[test]
    fn beside_a_blocked_thread_one_more_comes_when_nothing_has_moved() {
        let mut growth = Growth::default();
        let three = Evidence { active: 3, ..LONG };
        assert_eq!(growth.decide(&three, wanting(2, 3)), Verdict::Computing);
        let quiet = Evidence {
            quiet: BLOCKED_PATIENCE,
            ..three
        };
        assert_eq!(growth.decide(&quiet, wanting(2, 3)), Verdict::OneMore);
        assert!(!growth.is_growing(), "one, and no more");
        assert_eq!(growth.decide(&quiet, wanting(3, 3)), Verdict::Computing);
    }

    #[test]
    fn where_all_compute_for_a_second_one_more_comes_and_the_next_after_twice_as_long() {
        let mut growth = Growth::default();
        for seconds in [1, 2, 4, 8] {
            let patience = Duration::from_secs(seconds);
            let nearly = Evidence {
                quiet: patience - WATCH,
                ..LONG
            };
            assert_eq!(growth.decide(&nearly, wanting(2, 2)), Verdict::Computing);
            let over = Evidence {
                quiet: patience,
                ..LONG
            };
            assert_eq!(growth.decide(&over, wanting(2, 2)), Verdict::OneMore);
        }
    }

    #[test]
    fn where_the_system_says_nothing_growing_ends_when_it_brings_no_more() {
        let mut growth = Growth::default();
        let at = |taken| Evidence {
            active: 10,
            taken,
            ..LONG
        };
        assert_eq!(
            growth.decide(&at(0), None),
            Verdict::Double,
            "nothing is known"
        );
        assert_eq!(
            growth.decide(&at(2), None),
            Verdict::Double,
            "it has brought more"
        );
        assert_eq!(growth.decide(&at(2), None), Verdict::Computing);
    }
}
