//! What only a [dump](crate::dump()) reads. It is std's in models too, so it adds no step to what a model explores.
//!
//! The rule: nothing else is decided by it, no lock of it is held while anything of the crate or of a user runs, and what is
//! taken out of it is dropped outside of the lock.

pub(crate) use std::sync::atomic::{AtomicBool as HintBool, AtomicU16 as HintU16};

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
pub(crate) struct Living<T, N = ()>(Mutex<Entries<T, N>>);

struct Entries<T, N> {
    entries: Vec<(Weak<T>, N)>,
    /// With so many entries, those of dead values are removed.
    full: usize,
}

const SMALL: usize = 16;

impl<T, N: Clone> Living<T, N> {
    pub(crate) const fn new() -> Self {
        let entries = Vec::new();
        Self(Mutex::new(Entries {
            entries,
            full: SMALL,
        }))
    }

    /// At most half of the entries are of dead values, beside `SMALL`.
    pub(crate) fn add(&self, value: &Arc<T>, note: N) {
        let mut living = locked(&self.0);
        let mut dead = Vec::new();
        if living.entries.len() >= living.full {
            let is_alive = |entry: &(Weak<T>, N)| entry.0.strong_count() > 0;
            let all = std::mem::take(&mut living.entries).into_iter();
            (living.entries, dead) = all.partition(is_alive);
            living.full = SMALL + 2 * living.entries.len();
        }
        living.entries.push((Arc::downgrade(value), note));
        drop(living);
        drop(dead);
    }

    /// In the order in which they were made.
    pub(crate) fn all(&self) -> Vec<(Arc<T>, N)> {
        let living = locked(&self.0);
        let entries = living.entries.iter();
        let living = entries.filter_map(|(value, note)| Some((value.upgrade()?, note.clone())));
        living.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dead_is_forgotten_and_what_lives_is_not() {
        let living = Living::new();
        let kept: Vec<_> = (0..100)
            .map(|n| {
                let value = Arc::new(n);
                living.add(&value, ());
                for _ in 0..100 {
                    living.add(&Arc::new(0), ());
                }
                value
            })
            .collect();
        let all = living.all();
        assert!(all.iter().map(|(value, ())| value).eq(&kept));
        assert!(locked(&living.0).entries.len() <= SMALL + 2 * kept.len() + 1);
    }
}
