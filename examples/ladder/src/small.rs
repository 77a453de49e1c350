//! The last stage: all of the ladder, under the names of the real thing.

pub use crate::cancel::{BlockingTask, check_cancelled, syncify};
pub use crate::inbox::{Handle, run};
pub use crate::join::{JoinHandle, spawn};
pub use crate::limiter::Limiter;
pub use crate::parker::yield_now;
pub use crate::scope::{Scope, scope};
pub use crate::stealing::StealingPool as Pool;
pub use crate::timers::sleep;

use crate::worker::Call;
use std::sync::{Arc, LazyLock};

/// On the pool of the whole program.
pub fn asyncify<A, R, F>(f: F) -> impl Fn(A) -> Call<R>
where
    A: Send + 'static,
    R: Send + 'static,
    F: Fn(A) -> R + Clone + Send + 'static,
{
    static POOL: LazyLock<Arc<Pool>> = LazyLock::new(|| Pool::new(512));
    move |argument| {
        let f = f.clone();
        Box::pin(async { POOL.spawn_blocking(move || f(argument)).await })
    }
}
