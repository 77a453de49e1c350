//! Jobs by the thousand, on pools of four threads and on pools as they come.

use super::Row;
use crate::lap::{Clock, Lap};
use crate::peers::pools::{Pool, each_pool};

const MANY: usize = 100_000;
const FOUR: Option<usize> = Some(4);
const FOUR_OF_BLOCKING: &[(&str, &str)] = &[("BLOCKING_MAX_THREADS", "4")];

pub fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "W6",
            "100k empty jobs at once, pools as they come",
            "ns/job",
            || each_pool!(P => burst::<P>(None, MANY)),
        ),
        Row {
            env: FOUR_OF_BLOCKING,
            ..Row::new(
                "W6c",
                "100k empty jobs at once, pools of 4",
                "ns/job",
                || each_pool!(P => burst::<P>(FOUR, MANY)),
            )
        },
        Row {
            env: FOUR_OF_BLOCKING,
            ..Row::new(
                "W6n",
                "4 jobs submit 25k jobs each, pools of 4",
                "ns/job",
                || each_pool!(P => nested::<P>(FOUR, MANY)),
            )
        },
        Row::new(
            "W6n/auto",
            "4 jobs submit 25k jobs each, pools as they come",
            "ns/job",
            || each_pool!(P => nested::<P>(None, MANY)),
        ),
    ]
}

pub fn burst<P: Pool>(threads: Option<usize>, jobs: usize) -> impl FnMut() -> Lap {
    let mut pool = P::new(threads);
    move || {
        let clock = Clock::start();
        let done = pool.run(jobs, || ());
        let lap = clock.stop(jobs);
        assert_eq!(done, jobs);
        lap
    }
}

fn nested<P: Pool>(threads: Option<usize>, jobs: usize) -> impl FnMut() -> Lap {
    let mut pool = P::new(threads);
    move || {
        let clock = Clock::start();
        let done = pool.run_nested(4, jobs / 4);
        let lap = clock.stop(jobs);
        assert_eq!(done, jobs);
        lap
    }
}
