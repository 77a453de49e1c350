//! Why a pool completes a job without running it.

use crate::sync::Arc;
use std::fmt;
use std::io;

/// Why a job was never run.
#[derive(Clone)]
pub enum Refusal {
    ShutDown,
    NoThread(Arc<str>, Arc<io::Error>),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShutDown => {
                f.write_str("the pool has been shut down; submit before that, or to another pool")
            }
            Self::NoThread(name, error) => write!(
                f,
                "the system refused the pool its thread {name}, and none that runs can take the job: {error}; \
                 a pool with fewer max_threads, or a smaller thread_stack_size, may fit"
            ),
        }
    }
}
