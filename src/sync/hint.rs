//! What only a [dump](crate::dump()) reads. It is std's in models too, so it adds no step to what a model explores.
//!
//! The rule: nothing else is decided by it, no lock of it is held while anything of the crate or of a user runs, and what is
//! taken out of it is dropped outside of the lock.

pub(crate) use std::sync::atomic::AtomicBool as HintBool;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A value that a thread leaves for dumps.
pub(crate) struct Hint<T>(Mutex<Option<T>>);

impl<T> Default for Hint<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Hint<T> {
    /// Returns the former value.
    #[must_use]
    pub(crate) fn replace(&self, value: Option<T>) -> Option<T> {
        std::mem::replace(&mut *locked(&self.0), value)
    }

    pub(crate) fn get(&self) -> Option<T>
    where
        T: Clone,
    {
        locked(&self.0).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// All living values of a kind, each with a note. It keeps none of them alive.
/// Each has a [`unique_number`](super::unique_number).
pub(crate) struct Living<T, N = ()>(Mutex<BTreeMap<usize, (Weak<T>, N)>>);

impl<T, N: Clone> Living<T, N> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    pub(crate) fn add(&self, number: usize, value: &Arc<T>, note: N) {
        let entry = (Arc::downgrade(value), note);
        locked(&self.0).insert(number, entry);
    }

    /// The drop of each value calls it.
    pub(crate) fn forget(&self, number: usize) {
        let entry = locked(&self.0).remove(&number);
        drop(entry);
    }

    /// In the order in which they were made.
    pub(crate) fn all(&self) -> Vec<(Arc<T>, N)> {
        let living = locked(&self.0);
        let entries = living.values();
        let living = entries.filter_map(|(value, note)| Some((value.upgrade()?, note.clone())));
        living.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::unique_number;

    static LIVING: Living<Numbered> = Living::new();

    struct Numbered(usize);

    impl Drop for Numbered {
        fn drop(&mut self) {
            LIVING.forget(self.0);
        }
    }

    #[test]
    fn what_is_dead_is_forgotten_and_what_lives_is_not() {
        let new = || {
            let number = unique_number();
            let value = Arc::new(Numbered(number));
            LIVING.add(number, &value, ());
            value
        };
        let mut all: Vec<_> = (0..100).map(|_| new()).collect();
        all.retain(|value| value.0 % 3 == 0);
        let found = LIVING.all();
        let numbers = found.iter().map(|(value, ())| value.0);
        assert!(numbers.eq(all.iter().map(|value| value.0)));
        drop((all, found));
        assert!(locked(&LIVING.0).is_empty());
    }
}
