//! On which cores the threads of a row run. Linux only, as `/proc` and the affinity of threads are.
//!
//! No threads are asked to pin themselves, since not every pool has a hook for it: before each lap the main
//! thread looks up all threads of the process in `/proc/self/task` and places them. So the jobs are the same in each placement.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// The whole process on one core.
    Same,
    /// The loop's thread, which is the main thread, on one core, and all others on a second one.
    Split,
    /// Left to the system.
    Free,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Split => "split",
            Self::Free => "free",
        })
    }
}

impl FromStr for Placement {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        [Self::Same, Self::Split, Self::Free]
            .into_iter()
            .find(|placement| placement.to_string() == name)
            .ok_or_else(|| format!("`{name}` is no placement: same, split or free"))
    }
}

/// The cores that this process may use.
fn cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).expect("Linux tells a thread its own affinity");
    (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .collect()
}

fn pin(thread: Option<Pid>, core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    // A thread may have ended since it was listed.
    let _ = sched_setaffinity(thread, &set);
}

/// All that this process has at the moment, by their ids.
pub fn threads() -> HashSet<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux lists the threads");
    let names = tasks.flatten().map(|task| task.file_name());
    names.filter_map(|id| id.to_str()?.parse().ok()).collect()
}

/// Places threads before each lap.
pub struct Placer {
    placement: Placement,
    cores: Vec<usize>,
}

impl Placer {
    /// Before the process has any other threads: they inherit what is set here.
    pub fn new(placement: Placement) -> Self {
        let cores = cores();
        if placement == Placement::Same {
            pin(None, cores[0]);
        }
        Self { placement, cores }
    }

    pub fn is_possible(placement: Placement) -> bool {
        placement != Placement::Split || cores().len() > 1
    }

    /// Those that were started since the last time, too.
    pub fn place(&self) {
        if self.placement != Placement::Split {
            return;
        }
        let main = std::process::id() as i32;
        for thread in threads() {
            let core = if thread == main {
                self.cores[0]
            } else {
                self.cores[1]
            };
            pin(Pid::from_raw(thread), core);
        }
    }
}
