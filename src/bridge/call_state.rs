//! What a job and its waiters share: its loop, whether its caller has gone, what it waits for, and its permit.
//!
//! The rule: one lock holds both `is_gone` and what the job waits for.
//! With two locks, a cancel could look for the wait just before it begins. Then the job would wait for ever.

use crate::bridge::cancel::Cancelled;
use crate::bridge::deadlock::{RecordedWait, TokenSource};
use crate::context::inherited::Inherited;
use crate::event_loop::handle::Handle;
use crate::event_loop::join_cell::ErasedCell;
use crate::sync::panics::{drop_quietly, wake};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};
use std::panic::Location;
use std::task::Waker;

/// See the [module](self).
pub struct CallState {
    home: Option<Handle>,
    submitted_at: &'static Location<'static>,
    /// The job or a call around it holds a permit. Set before the job is submitted.
    in_permit_scope: bool,
    /// The caller has gone. Written under the lock of `links`, read without it.
    is_gone: AtomicBool,
    links: Mutex<Option<Box<CallLinks>>>,
}

/// Rarely used state. Most jobs have none, so it is allocated on demand.
#[derive(Default)]
pub(crate) struct CallLinks {
    nested: Option<Nested>,
    permit: Option<HeldPermit>,
    /// Taken by the thread that runs, refuses or drops the function.
    context: Option<Inherited>,
    /// What the job waits for. See [`deadlock`](crate::bridge::deadlock).
    waits: Vec<RecordedWait>,
    /// A cancel ends the `waits`.
    until_cancelled: bool,
}

/// A wait of the job that ends if the job's caller goes away.
pub(crate) enum Nested {
    /// An async function: its task is aborted.
    Function(Arc<dyn ErasedCell>),
    /// A task that others may use. The waker wakes the waiting thread, which reads `is_gone`.
    Task(Waker),
}

/// The permit that a job holds. Its drop gives the permit back.
pub struct HeldPermit {
    limiter: usize,
    permit: Box<dyn AnyPermit>,
}

/// A permit of any limiter.
pub trait AnyPermit: Send {
    /// The limiter of the permit.
    fn source(&self) -> Arc<dyn TokenSource>;
}

impl HeldPermit {
    /// `limiter` is the address of the permit's limiter.
    pub fn new(limiter: usize, permit: impl AnyPermit + 'static) -> Self {
        Self {
            limiter,
            permit: Box::new(permit),
        }
    }
}

impl CallLinks {
    pub(crate) fn take_context(&mut self) -> Option<Inherited> {
        self.context.take()
    }
}

impl CallState {
    pub(crate) fn new(submitted_at: &'static Location<'static>) -> Self {
        Self {
            home: None,
            submitted_at,
            in_permit_scope: false,
            is_gone: AtomicBool::new(false),
            links: Mutex::new(None),
        }
    }

    /// Sets the job's loop, and whether a call around it holds a permit. Call it before the job is submitted.
    pub(crate) fn set_origin(&mut self, home: Option<Handle>, in_permit_scope: bool) {
        self.home = home;
        self.in_permit_scope |= in_permit_scope;
    }

    /// Gives the job a permit to hold until it ends. Call it before the job is submitted.
    pub(crate) fn set_permit(&mut self, permit: HeldPermit) {
        self.in_permit_scope = true;
        self.links.get_mut().get_or_insert_default().permit = Some(permit);
    }

    /// Gives the job the context that its function runs in. Call it before the job is submitted.
    pub(crate) fn set_context(&mut self, context: Inherited) {
        self.links.get_mut().get_or_insert_default().context = Some(context);
    }

    /// Only the thread that has taken the function asks.
    pub(crate) fn take_context(&self) -> Option<Inherited> {
        self.links.lock().as_mut()?.context.take()
    }

    /// The loop that the job belongs to.
    pub(crate) fn home(&self) -> Option<&Handle> {
        self.home.as_ref()
    }

    pub(crate) fn submitted_at(&self) -> &'static Location<'static> {
        self.submitted_at
    }

    /// The caller goes away. Ends what the job waits for.
    pub(crate) fn cancel(&self) {
        let mut links = self.links.lock();
        self.is_gone.store(true, Ordering::Release); // Pairs with the load in `is_gone`.
        let nested = links.as_mut().and_then(|links| links.nested.take());
        drop(links);
        match nested {
            Some(Nested::Function(task)) => task.abort(),
            Some(Nested::Task(waker)) => wake(waker),
            None => {}
        }
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire) // Pairs with the store in `cancel`.
    }

    /// The job is about to wait for `nested`.
    ///
    /// # Errors
    /// If the caller has gone. A cancel comes once, so no cancel would end this wait.
    pub(crate) fn begin_wait(&self, nested: Nested) -> Result<(), Cancelled> {
        let mut links = self.links.lock();
        if self.is_gone() {
            drop(links);
            drop(nested);
            return Err(Cancelled(()));
        }
        let before = links.get_or_insert_default().nested.replace(nested);
        drop(links);
        drop(before);
        Ok(())
    }

    pub(crate) fn end_wait(&self) {
        let nested = self
            .links
            .lock()
            .as_mut()
            .and_then(|links| links.nested.take());
        drop(nested);
    }

    /// Whether the job or a call around it holds a permit.
    pub(crate) fn in_permit_scope(&self) -> bool {
        self.in_permit_scope
    }

    /// Stores what the call waits for. Returns the limiter whose permit it holds.
    pub(crate) fn set_waits(
        &self,
        waits: Vec<RecordedWait>,
        until_cancelled: bool,
    ) -> Option<Arc<dyn TokenSource>> {
        let mut links = self.links.lock();
        let links = links.get_or_insert_default();
        links.waits = waits; // There were none.
        links.until_cancelled = until_cancelled;
        links.permit.as_ref().map(|permit| permit.permit.source())
    }

    /// Clears and returns the stored waits.
    pub(crate) fn take_waits(&self) -> Vec<RecordedWait> {
        let mut links = self.links.lock();
        let waits = links.as_mut().map(|links| std::mem::take(&mut links.waits));
        waits.unwrap_or_default()
    }

    /// What the call waits for. Each of these can end the wait, and nothing else can. If that is uncertain, the list is
    /// empty.
    pub(crate) fn waits(&self) -> Vec<RecordedWait> {
        let links = self.links.lock();
        let links = links.as_ref();
        let links = links.filter(|links| !(links.until_cancelled && self.is_gone()));
        links.map_or_else(Vec::new, |links| links.waits.clone())
    }

    /// The address of the limiter whose permit it holds.
    pub(crate) fn held_limiter(&self) -> Option<usize> {
        let links = self.links.lock();
        let permit = links.as_ref()?.permit.as_ref()?;
        Some(permit.limiter)
    }

    /// The job is done. Gives its permit back.
    pub(crate) fn end(&self) {
        drop_quietly(self.take_links());
    }

    /// Takes the links, for `end` or for a cancel.
    pub(crate) fn take_links(&self) -> Option<Box<CallLinks>> {
        self.links.lock().take()
    }
}
