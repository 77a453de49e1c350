//! A function or a future with the context that it came with: it runs, and is dropped, in that.
//!
//! The rule: whichever code drops the value, and on whichever thread, the context is in force then.

use crate::context::inherited::Inherited;

/// See the [module](self).
pub(crate) struct Bound<T> {
    /// `None` after `release`.
    value: Option<T>,
    /// `None`: it is used in whichever context is in force.
    inherited: Option<Inherited>,
}

impl<T> Bound<T> {
    pub(crate) fn new(value: T, inherited: Option<Inherited>) -> Self {
        let value = Some(value);
        Self { value, inherited }
    }

    /// Uses the value, in its context.
    pub(crate) fn with<U>(&mut self, use_value: impl FnOnce(&mut T) -> U) -> U {
        let Some(value) = &mut self.value else {
            unreachable!("`release` takes the value and `self`")
        };
        match &self.inherited {
            Some(inherited) => inherited.run(|| use_value(value)),
            None => use_value(value),
        }
    }

    /// Uses the value up, in its context. Returns the context as well.
    pub(crate) fn release<U>(mut self, use_up: impl FnOnce(T) -> U) -> (U, Option<Inherited>) {
        let Some(value) = self.value.take() else {
            unreachable!("`release` takes the value and `self`")
        };
        let inherited = self.inherited.take();
        let used = match &inherited {
            Some(inherited) => inherited.run(|| use_up(value)),
            None => use_up(value),
        };
        (used, inherited)
    }
}

impl<T> Drop for Bound<T> {
    fn drop(&mut self) {
        if let Some(inherited) = self.inherited.take() {
            // The closure owns the value. If a wrapper panics, or doesn't call its step, the value is dropped with it.
            let value = self.value.take();
            let _ = inherited.try_run(move || drop(value));
        }
    }
}
