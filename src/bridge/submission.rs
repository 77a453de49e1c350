//! How a job gets to its pool.
//!
//! | from | event | to |
//! | --- | --- | --- |
//! | | `asyncify(f)(..)` | *not yet* |
//! | | `spawn_blocking(f)` | *submitted* |
//! | *not yet* | the first poll, `join` or `detach` | *submitted*; with a limiter, *in line* |
//! | *in line* | a token | *submitted* |
//! | *in line* | the call is cancelled or dropped | it leaves the line |

use crate::bridge::acquire::Acquire;
use crate::bridge::call;
use crate::bridge::call_state::HeldPermit;
use crate::bridge::job::TypedJob;
use crate::bridge::limiter::Limiter;
use crate::bridge::retry_timer;
use crate::context::inherited::Inherited;
use crate::event_loop::handle::Handle;
use crate::pool::Pool;
use crate::pool::registry::Registry;
use crate::sync::Arc;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

pub(super) enum Submission {
    /// Not submitted. The pool that `Asyncify` names.
    NotYet(Option<Pool>),
    /// Not submitted, with a limiter. In a box, since most calls have no limiter.
    Limited(Box<(Option<Pool>, Limiter)>),
    InLine(Box<LimiterLine>),
    /// The registry that the job was submitted to. `None`: that of the loop's pool, or of the global pool.
    Submitted(Option<Arc<Registry>>),
}

pub(super) struct LimiterLine {
    registry: Arc<Registry>,
    limiter: usize,
    acquire: Acquire,
}

impl Submission {
    pub(super) fn not_yet(pool: Option<&Pool>, limiter: Option<&Limiter>) -> Self {
        match limiter {
            None => Self::NotYet(pool.cloned()),
            Some(limiter) => Self::Limited(Box::new((pool.cloned(), limiter.clone()))),
        }
    }

    /// Submits a job that knows its loop.
    pub(super) fn at_once<R>(job: &mut Arc<dyn TypedJob<R>>, pool: Option<&Pool>) -> Self {
        inherit_context(job);
        submit_to(registry_for(pool, job.call_state().home()), job);
        Self::Submitted(pool.map(|pool| pool.registry().clone()))
    }

    /// Submits the job, or enters the limiter's line, if neither has happened yet.
    pub(super) fn begin<R>(
        &mut self,
        job: &mut Arc<dyn TypedJob<R>>,
        home: Option<Handle>,
        in_permit_scope: bool,
    ) {
        let (pool, limiter) = match std::mem::replace(self, Self::NotYet(None)) {
            Self::NotYet(pool) => (pool, None),
            Self::Limited(both) => {
                let (pool, limiter) = *both;
                (pool, Some(limiter))
            }
            submitted => return *self = submitted,
        };
        inherit_context(job);
        unshared(job).set_origin(home, in_permit_scope);
        let registry = registry_for(pool.as_ref(), job.call_state().home());
        *self = match limiter {
            Some(limiter) => Self::InLine(Box::new(LimiterLine {
                registry: registry.clone(),
                limiter: limiter.address(),
                acquire: limiter.acquire(),
            })),
            None => {
                submit_to(registry, job);
                Self::Submitted(pool.map(|pool| pool.registry().clone()))
            }
        };
    }

    /// Submits the job, once there is a token for it. `Ready`: the job is submitted.
    pub(super) fn advance<R>(
        &mut self,
        job: &mut Arc<dyn TypedJob<R>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        if let Self::NotYet(_) | Self::Limited(_) = self {
            self.begin(job, Handle::try_current(), call::permit_holder().is_some());
        }
        if let Self::InLine(line) = self {
            let Poll::Ready(permit) = Pin::new(&mut line.acquire).poll(context) else {
                return Poll::Pending;
            };
            unshared(job).set_permit(HeldPermit::new(line.limiter, permit));
            submit_to(&line.registry, job);
            *self = Self::Submitted(Some(line.registry.clone()));
        }
        Poll::Ready(())
    }

    /// The registry that a job of this loop has gone to, or goes to when there is a token.
    pub(super) fn registry<'a>(&'a self, home: Option<&'a Handle>) -> &'a Arc<Registry> {
        let named = match self {
            Self::NotYet(_) | Self::Limited(_) => unreachable!("`join` submits it first"),
            Self::InLine(line) => Some(&line.registry),
            Self::Submitted(named) => named.as_ref(),
        };
        named.unwrap_or_else(|| registry_for(None, home))
    }
}

/// The registry of the named pool, else of the loop's pool, else of the global pool.
fn registry_for<'a>(pool: Option<&'a Pool>, home: Option<&'a Handle>) -> &'a Arc<Registry> {
    match pool.or(home.and_then(Handle::pool)) {
        Some(pool) => pool.registry(),
        None => Pool::global_ref().registry(),
    }
}

fn submit_to<R>(registry: &Arc<Registry>, job: &Arc<dyn TypedJob<R>>) {
    registry.submit(job.clone().into_queued());
    if let Some(home) = job.call_state().home() {
        retry_timer::register(registry, home);
    }
}

/// Before it is submitted, a job has one reference.
fn unshared<R>(job: &mut Arc<dyn TypedJob<R>>) -> &mut dyn TypedJob<R> {
    match Arc::get_mut(job) {
        Some(job) => job,
        None => unreachable!("it is shared when it is submitted, and not before"),
    }
}

/// The job takes the current context along.
fn inherit_context<R>(job: &mut Arc<dyn TypedJob<R>>) {
    if let Some(context) = Inherited::current() {
        unshared(job).set_context(context);
    }
}
