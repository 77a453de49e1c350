//! Room for large functions and large results, outside their jobs.
//!
//! A job has one allocation, which stays in its pool's queue when its caller has gone away, until a thread comes by
//! it. So what is in there is small: above `IN_PLACE`, what a function captured is in a box of its own, which goes
//! when the call is cancelled, and a result gets its room when it is there.

use crate::call::Call;
use crate::handle::Handle;
use crate::job::{Called, Job, Outcome};
use crate::sync::Arc;
use std::panic::Location;
use std::task::{Context, Poll};

/// How many bytes a function, or a result, may have in a job itself. Most have less, and pay no second allocation.
const IN_PLACE: usize = 128;

struct Boxed<R>(Box<R>);

/// A job that runs `f`.
pub(crate) fn job<F, R>(
    f: F,
    submitted_at: &'static Location<'static>,
    home: Option<Handle>,
    parent: Option<Arc<dyn Call>>,
) -> Arc<dyn Outcome<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    if const { size_of::<F>() <= IN_PLACE } {
        job_of_function(f, submitted_at, home, parent)
    } else {
        job_of_function(Box::new(f), submitted_at, home, parent)
    }
}

fn job_of_function<F, R>(
    f: F,
    submitted_at: &'static Location<'static>,
    home: Option<Handle>,
    parent: Option<Arc<dyn Call>>,
) -> Arc<dyn Outcome<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    if const { size_of::<R>() <= IN_PLACE } {
        Arc::new(with_origin(f, submitted_at, home, parent))
    } else {
        let f = move || Boxed(Box::new(f()));
        Arc::new(with_origin(f, submitted_at, home, parent))
    }
}

fn with_origin<F, R>(
    f: F,
    submitted_at: &'static Location<'static>,
    home: Option<Handle>,
    parent: Option<Arc<dyn Call>>,
) -> Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let mut job = Job::new(f, submitted_at);
    job.set_origin(home, parent);
    job
}

impl<F, R> Outcome<R> for Job<F, Boxed<R>>
where
    F: FnOnce() -> Boxed<R> + Send + 'static,
    R: Send + 'static,
{
    fn poll(&self, context: &mut Context<'_>, is_quick: bool) -> Poll<R> {
        self.poll_result(context, is_quick).map(|result| *result.0)
    }
}

#[cfg(all(test, not(footbridge_loom)))]
mod tests {
    use super::*;

    fn room_of<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> usize {
        size_of_val(&*job(f, Location::caller(), None, None))
    }

    #[test]
    fn a_job_has_little_room_of_its_own_however_large_its_function_and_its_result_are() {
        let large = [1_u8; 10_000];
        let small = room_of(|| ());
        assert!(small <= 160, "{small}");
        assert!(room_of(move || large.len()) <= small + IN_PLACE);
        assert!(room_of(|| [1_u8; 10_000]) <= small + IN_PLACE);
        assert!(room_of(move || large) <= small + IN_PLACE);
    }

    #[test]
    fn what_fits_into_a_job_is_in_it() {
        let fits = [1_u8; IN_PLACE];
        assert!(room_of(move || fits.len()) >= IN_PLACE);
        assert!(room_of(|| [1_u8; IN_PLACE]) >= IN_PLACE);
    }
}
