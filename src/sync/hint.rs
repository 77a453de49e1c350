//! What only a [dump](crate::dump()) reads. It is std's in models too, so it adds no step to what a model explores.
//!
//! The rule: nothing else is decided by it, no lock of it is held while anything of the crate or of a user runs, and what is
//! taken out of it is dropped outside of the lock.

pub(crate) use std::sync::atomic::AtomicBool as HintBool;

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
    /// How many of their values have been dropped, at least.
    dead: usize,
}

/// So many entries of dead values are kept in any case.
const SMALL: usize = 16;

impl<T, N: Clone> Living<T, N> {
    pub(crate) const fn new() -> Self {
        let entries = Vec::new();
        Self(Mutex::new(Entries { entries, dead: 0 }))
    }

    pub(crate) fn add(&self, value: &Arc<T>, note: N) {
        let entry = (Arc::downgrade(value), note);
        locked(&self.0).entries.push(entry);
    }

    /// A value has been dropped. The drop of each value calls it. If half of the entries are of dead values, these are removed.
    pub(crate) fn note_drop(&self) {
        let mut living = locked(&self.0);
        living.dead += 1;
        if living.dead < SMALL + living.entries.len() / 2 {
            return;
        }
        living.dead = 0;
        let is_alive = |entry: &(Weak<T>, N)| entry.0.strong_count() > 0;
        let all = std::mem::take(&mut living.entries).into_iter();
        let (alive, dead): (Vec<_>, Vec<_>) = all.partition(is_alive);
        living.entries = alive;
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

    /// Its drop is noted.
    struct Noted(usize, &'static Living<Noted>);

    impl Drop for Noted {
        fn drop(&mut self) {
            self.1.note_drop();
        }
    }

    #[test]
    fn what_is_dead_is_forgotten_and_what_lives_is_not() {
        static LIVING: Living<Noted> = Living::new();
        let new = |n| {
            let value = Arc::new(Noted(n, &LIVING));
            LIVING.add(&value, ());
            value
        };
        let kept: Vec<_> = (0..100)
            .map(|n| {
                let burst: Vec<_> = (0..100).map(|_| new(0)).collect();
                let value = new(n);
                drop(burst);
                value
            })
            .collect();
        let all = LIVING.all();
        assert!(all.iter().map(|(value, ())| value.0).eq(0..100));
        let entries = locked(&LIVING.0).entries.len();
        assert!(entries <= 2 * (SMALL + kept.len()), "{entries}");
        drop(all);
        drop(kept);
        assert!(locked(&LIVING.0).entries.capacity() <= 2 * SMALL);
    }
}
