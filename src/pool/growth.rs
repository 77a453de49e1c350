//! Decides whether queued jobs get another thread. The input is what the watcher has seen.
//!
//! A preempted thread looks like a stuck one, and an extra thread causes more preemption. Only the system can tell a job
//! that computes from a job that blocks: a computing thread wants a processor, a blocked one sleeps.
//!
//! The rule: *the pool grows while fewer threads want a processor than there are processors.* Sleeping threads don't count.
//!
//! ```text
//!   evidence                                              verdict
//!   each thread takes a job or more in one watch          Moving: check again soon
//!   fewer want a processor than there are, once           Doubtful: check once more
//!   the same in the next check                            Double: jobs block, so twice as many as the last time
//!   the processors are taken, a thread is blocked or
//!     fewer than twice as many threads as processors
//!     are active, and nothing was taken for QUIET         OneMore: a thread may wait for a queued job
//!   the processors are taken, and nothing was taken for
//!     a second, then for two, four ..                     OneMore: they may spin for a queued job
//!   the processors are taken                              Computing: check again later and later
//! ```

use std::time::Duration;

/// The pause of the watcher between two checks.
pub(crate) const WATCH: Duration = Duration::from_micros(50);

/// The longest pause, while the others compute.
const LONGEST_WATCH: Duration = Duration::from_millis(2);

/// If the processors are taken, and a thread is blocked or few are active, one more thread comes when no job was taken for
/// this long.
const QUIET: Duration = Duration::from_millis(2);

/// The same if every thread wants a processor. It doubles each time that it has passed.
const COMPUTING_PATIENCE: Duration = Duration::from_secs(1);

/// How many threads the first doubling adds.
const FIRST_STEP: usize = 8;

/// What the watcher has seen since its last check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evidence {
    pub(crate) cores: usize,
    /// Threads that run a job.
    pub(crate) active: usize,
    /// How many jobs these threads have taken.
    pub(crate) taken: usize,
    /// Jobs wait in the own queue of a thread that has taken none.
    pub(crate) stuck: bool,
    /// For how long no job was taken and no thread was added.
    pub(crate) quiet: Duration,
}

impl Evidence {
    /// Each active thread takes a job in a watch, so the jobs are short.
    pub(crate) fn is_moving(&self) -> bool {
        self.active >= self.cores && self.taken >= self.active.max(1) && !self.stuck
    }
}

/// What the system says about threads that run jobs.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
pub(crate) struct Sample {
    /// How many threads the system was asked about.
    pub(crate) asked: usize,
    /// How many of them run or wait for a processor.
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

/// What the watch has learnt about a backlog.
#[derive(Debug)]
pub(crate) struct Growth {
    /// Threads to add without another check.
    wanted: usize,
    step: usize,
    pause: Duration,
    patience: Duration,
    /// The last check found that jobs block.
    is_doubtful: bool,
    /// If the system says nothing: thousandths of a job taken per [`WATCH`] before the last check.
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
    /// `sample` is `None` if the system says nothing about its threads.
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
                self.wanted = 0;
                self.step = FIRST_STEP;
                self.pause = LONGEST_WATCH.min(2 * self.pause);
            }
        }
        verdict
    }

    fn judge(&mut self, evidence: &Evidence, sample: Sample) -> Verdict {
        // An estimate for all active threads from those asked about.
        let wanting = (sample.wanting * evidence.active).div_ceil(sample.asked.max(1));
        if wanting < evidence.cores {
            // A thread that computes may sleep for a moment too, in a lock or for a page. A second check tells.
            let is_certain = std::mem::replace(&mut self.is_doubtful, true);
            return if is_certain {
                Verdict::Double
            } else {
                Verdict::Doubtful
            };
        }
        self.is_doubtful = false;
        let has_blocked = sample.wanting < sample.asked;
        if (has_blocked || evidence.active < 2 * evidence.cores) && evidence.quiet >= QUIET {
            return Verdict::OneMore;
        }
        if evidence.quiet >= self.patience {
            self.patience *= 2;
            return Verdict::OneMore;
        }
        Verdict::Computing
    }

    /// If the system says nothing, the result of the last growth decides: if more threads take no more jobs, the jobs
    /// compute. If no job is taken at all, the jobs count as blocked.
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

    /// Whether a thread may be added without another check. Each `true` counts as one thread added.
    #[must_use]
    pub(crate) fn take_wanted(&mut self) -> bool {
        let is_wanted = self.wanted > 0;
        self.wanted -= usize::from(is_wanted);
        is_wanted
    }

    /// Some wanted threads haven't been added yet.
    pub(crate) fn is_growing(&self) -> bool {
        self.wanted > 0
    }

    /// How long to wait before the next check.
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

    /// `wanting` of `asked` threads want a processor.
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
            // The watcher itself is one of these threads.
            brought.push(1 + std::iter::from_fn(|| growth.take_wanted().then_some(())).count());
        }
        assert_eq!(brought, [8, 16, 32, 64]);
    }

    #[test]
    fn jobs_that_compute_end_a_growth() {
        let mut growth = Growth::default();
        assert_eq!(growth.decide(&LONG, wanting(0, 2)), Verdict::Doubtful);
        assert_eq!(growth.decide(&LONG, wanting(0, 2)), Verdict::Double);
        assert!(growth.is_growing());
        assert_eq!(growth.decide(&LONG, wanting(2, 2)), Verdict::Computing);
        assert!(!growth.is_growing(), "what the first looks wanted");
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
        let five = Evidence { active: 5, ..LONG };
        assert_eq!(growth.decide(&five, wanting(4, 5)), Verdict::Computing);
        let quiet = Evidence {
            quiet: QUIET,
            ..five
        };
        assert_eq!(growth.decide(&quiet, wanting(4, 5)), Verdict::OneMore);
        assert!(!growth.is_growing(), "one, and no more");
        assert_eq!(growth.decide(&quiet, wanting(5, 5)), Verdict::Computing);
    }

    #[test]
    fn long_jobs_that_compute_get_twice_as_many_threads_as_there_are_processors() {
        let mut growth = Growth::default();
        let with = |active| Evidence {
            active,
            quiet: QUIET,
            ..LONG
        };
        for active in [2, 3] {
            let all = wanting(active, active);
            assert_eq!(growth.decide(&with(active), all), Verdict::OneMore);
        }
        assert_eq!(growth.decide(&with(4), wanting(4, 4)), Verdict::Computing);
    }

    #[test]
    fn where_all_compute_for_a_second_one_more_comes_and_the_next_after_twice_as_long() {
        let mut growth = Growth::default();
        for seconds in [1, 2, 4, 8] {
            let patience = Duration::from_secs(seconds);
            let after = |quiet| Evidence {
                active: 4,
                quiet,
                ..LONG
            };
            let nearly = after(patience - WATCH);
            assert_eq!(growth.decide(&nearly, wanting(4, 4)), Verdict::Computing);
            let over = after(patience);
            assert_eq!(growth.decide(&over, wanting(4, 4)), Verdict::OneMore);
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
