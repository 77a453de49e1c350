//! Jobs with large functions or large results.
//!
//! A cancelled job stays in its pool's queue until a thread takes it, so its own allocation is small. If a function or a
//! result is larger than `IN_PLACE` bytes, it gets its own box. A cancel frees the box of the function. The box of the
//! result is allocated when the function returns.

use crate::bridge::call::Call;
use crate::bridge::job::{Job, TypedJob};
use crate::bridge::job_error::JobError;
use crate::event_loop::handle::Handle;
use crate::sync::Arc;
use std::panic::Location;
use std::task::{Context, Poll};

/// The most bytes that a function, or a result, has in the job itself. Most are smaller, and need no second allocation.
const IN_PLACE: usize = 128;

struct Boxed<R>(Box<R>);

/// A job that runs `f`.
pub(crate) fn new_job<F, R>(
    f: F,
    submitted_at: &'static Location<'static>,
    home: Option<Handle>,
    in_permit_scope: bool,
) -> Arc<dyn TypedJob<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    if const { size_of::<F>() <= IN_PLACE } {
        job_of_function(f, submitted_at, home, in_permit_scope)
    } else {
        job_of_function(Box::new(f), submitted_at, home, in_permit_scope)
    }
}

fn job_of_function<F, R>(
    f: F,
    submitted_at: &'static Location<'static>,
    home: Option<Handle>,
    in_permit_scope: bool,
) -> Arc<dyn TypedJob<R>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    if const { size_of::<R>() <= IN_PLACE } {
        Arc::new(with_origin(f, submitted_at, home, in_permit_scope))
    } else {
        let f = move || Boxed(Box::new(f()));
        Arc::new(with_origin(f, submitted_at, home, in_permit_scope))
    }
}

fn with_origin<F, R>(
    f: F,
    submitted_at: &'static Location<'static>,
    home: Option<Handle>,
    in_permit_scope: bool,
) -> Job<F, R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let mut job = Job::new(f, submitted_at);
    job.set_origin(home, in_permit_scope);
    job
}

impl<F, R> TypedJob<R> for Job<F, Boxed<R>>
where
    F: FnOnce() -> Boxed<R> + Send + 'static,
    R: Send + 'static,
{
    fn poll(&self, context: &mut Context<'_>, is_own_waker: bool) -> Poll<Result<R, JobError>> {
        self.poll_result(context, is_own_waker)
            .map_ok(|result| *result.0)
    }
}

#[cfg(all(test, not(footbridge_loom)))]
mod tests {
    use super::*;

    fn room_of<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> usize {
        size_of_val(&*new_job(f, Location::caller(), None, false))
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
