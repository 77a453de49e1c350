//! A scope while it is polled: its children, and how it ends.
//!
//! | phase | what happens | ends with |
//! | --- | --- | --- |
//! | *open* | the children that were woken are polled; children are spawned | the last child: *ended*. A panic, `finish`, an error: *ending* |
//! | *ending* | all futures are dropped, in the order of spawning; jobs are told, and polled until their threads are free; nothing is spawned | the last job: *ended* |
//! | *ended* | the scope's future is ready, or passes the panic on | |
//!
//! The body is the first child. If the scope's future is dropped, all children are dropped in the same order, and nothing is
//! waited for.
//!
//! The rule: no future is polled or dropped while the table of the children is borrowed.

use crate::context::bound::Bound;
use crate::event_loop::slab::Slab;
use crate::scope::child::{ChildCell, ChildValue, ErasedChild, Tell};
use crate::scope::woken::{ChildWaker, WokenQueue};
use crate::sync::Arc;
use crate::sync::panics::{Payload, drop_quietly};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

pub(super) struct ScopeState<'scope, T> {
    /// `None`: the child has ended, but its key is queued or due. So no other child has that key yet.
    children: RefCell<Slab<Option<Rc<dyn ErasedChild + 'scope>>>>,
    /// The children that haven't ended, and the body.
    living: Cell<usize>,
    spawned: Cell<u64>,
    woken: Arc<WokenQueue>,
    is_ending: Cell<bool>,
    /// What the body has returned, or `finish` was given.
    value: Cell<Option<T>>,
    panic: Cell<Option<Payload>>,
    /// Whether a value of the body ends the scope.
    is_error: Cell<fn(&T) -> bool>,
}

impl<'scope, T> ScopeState<'scope, T> {
    pub(super) fn new() -> Self {
        Self {
            children: RefCell::default(),
            living: Cell::new(0),
            spawned: Cell::new(0),
            woken: Arc::default(),
            is_ending: Cell::new(false),
            value: Cell::new(None),
            panic: Cell::new(None),
            is_error: Cell::new(|_| false),
        }
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_ending.get()
    }

    pub(super) fn living(&self) -> usize {
        self.living.get()
    }

    /// Adds a child that counts as woken. In a scope that is ending there is no future, and the child never has a value.
    pub(super) fn add<F, R, M>(
        &self,
        future: Option<Bound<Pin<Box<F>>>>,
        tell: Option<Tell<F>>,
        value_of: M,
    ) -> Rc<ChildCell<F, R, M>>
    where
        F: Future + 'scope,
        R: 'scope,
        M: Fn(F::Output) -> Option<R> + 'scope,
    {
        let is_child = future.is_some();
        let key = if is_child {
            self.children.borrow_mut().insert(None)
        } else {
            0 // Nothing leads to it.
        };
        let number = self.spawned.replace(self.spawned.get() + 1);
        let child = Rc::new(ChildCell {
            future: Cell::new(future),
            value_of,
            tell,
            value: RefCell::new(ChildValue::Awaited(None)),
            is_aborted: Cell::new(false),
            waker: ChildWaker::new(key, &self.woken),
            number,
        });
        if is_child {
            self.living.set(self.living.get() + 1);
            if let Some(entry) = self.children.borrow_mut().get_mut(key) {
                *entry = Some(child.clone());
            }
            self.woken.push(key);
        }
        child
    }

    fn poll_child(&self, key: u32) {
        let child = match self.children.borrow_mut().get_mut(key) {
            Some(entry) => entry.clone(),
            None => return,
        };
        let Some(child) = child else {
            self.children.borrow_mut().remove(key); // It had ended while its key was queued.
            return;
        };
        if let Poll::Ready(result) = child.poll() {
            self.remove(&*child);
            if let Err(payload) = result {
                self.panicked(payload);
            }
        }
    }

    /// The child has ended.
    fn remove(&self, child: &(dyn ErasedChild + 'scope)) {
        self.living.set(self.living.get() - 1);
        let (key, is_queued) = (child.waker().key(), child.waker().end());
        let mut children = self.children.borrow_mut();
        if !is_queued {
            children.remove(key);
        } else if let Some(entry) = children.get_mut(key) {
            *entry = None;
        }
    }

    fn panicked(&self, payload: Payload) {
        self.is_ending.set(true);
        let later = match self.panic.take() {
            Some(first) => {
                self.panic.set(Some(first));
                Some(payload)
            }
            None => {
                self.panic.set(Some(payload));
                None
            }
        };
        drop_quietly(later);
    }

    /// The body returned.
    pub(super) fn body_ended(&self, value: T) {
        if (self.is_error.get())(&value) {
            return self.finish(value);
        }
        if self.is_ending() {
            return drop_quietly(value);
        }
        self.value.set(Some(value));
    }

    pub(super) fn finish(&self, value: T) {
        let unwanted = if self.is_ending.replace(true) {
            Some(value)
        } else {
            self.value.replace(Some(value))
        };
        drop_quietly(unwanted);
    }

    /// From here on, an error that the body returns ends the scope.
    pub(super) fn end_at(&self, is_error: fn(&T) -> bool) {
        self.is_error.set(is_error);
    }

    fn children_in_order(&self) -> Vec<Rc<dyn ErasedChild + 'scope>> {
        let mut children: Vec<_> = self.children.borrow().values().flatten().cloned().collect();
        children.sort_unstable_by_key(|child| child.number());
        children
    }

    fn take_down(&self) {
        for child in self.children_in_order() {
            if !child.take_down() {
                self.remove(&*child);
            }
        }
    }

    fn result(&self) -> T {
        let value = self.value.take();
        if let Some(payload) = self.panic.take() {
            drop_quietly(value);
            resume_unwind(payload);
        }
        match value {
            Some(value) => value,
            None => unreachable!("the body has returned, or the scope was finished with a value"),
        }
    }
}

/// Polls the children of a scope, and takes them down.
pub(super) struct Running<'scope, T> {
    pub(super) state: Rc<ScopeState<'scope, T>>,
    due: VecDeque<u32>,
    is_taken_down: bool,
}

impl<'scope, T> Running<'scope, T> {
    pub(super) fn new(state: Rc<ScopeState<'scope, T>>) -> Self {
        Self {
            state,
            due: VecDeque::new(),
            is_taken_down: false,
        }
    }

    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<T> {
        self.state.woken.begin_poll(&mut self.due, context.waker());
        loop {
            if self.state.is_ending() && !std::mem::replace(&mut self.is_taken_down, true) {
                self.state.take_down();
            }
            let Some(key) = self.due.pop_front() else {
                break;
            };
            self.state.poll_child(key);
        }
        if self.state.living() > 0 {
            return Poll::Pending;
        }
        Poll::Ready(self.state.result())
    }
}

impl<T> Drop for Running<'_, T> {
    fn drop(&mut self) {
        self.state.woken.close();
        self.state.is_ending.set(true);
        for child in self.state.children_in_order() {
            child.drop_future();
        }
        drop_quietly(self.state.value.take());
        drop_quietly(self.state.panic.take());
    }
}
