//! A [`Table`] that chooses the keys. A vacant key is used again.

use crate::event_loop::table::{CHUNK, Table};

pub(crate) struct Slab<T> {
    entries: Table<T>,
    /// The chunks that have a vacancy, in no order.
    open: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            entries: Table::default(),
            open: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Returns the key.
    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        let chunk = match self.open.last() {
            Some(chunk) => *chunk,
            None => self.open_chunk(),
        };
        let (key, is_full) = self.entries.insert_into(chunk, value);
        if is_full {
            self.open.pop();
        }
        key
    }

    #[cold]
    fn open_chunk(&mut self) -> u32 {
        let chunk = self.entries.chunks();
        assert!(
            chunk < u32::MAX / CHUNK,
            "a key is a u32, and the last few name no entry"
        );
        self.open.push(chunk);
        chunk
    }

    #[inline]
    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        self.entries.get(key)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: u32) -> Option<T> {
        let value = self.entries.remove(key)?;
        let chunk = key / CHUNK;
        if self.entries.vacant(chunk).is_power_of_two() {
            self.open.push(chunk); // The chunk was full.
        } else if self.entries.chunks() == 0 {
            self.open = Vec::new(); // The table has freed all.
        }
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, &T)> {
        self.entries.entries()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.entries.values()
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.entries.into_entries().map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Slab};

    #[test]
    fn an_entry_keeps_its_key_while_others_come_and_go() {
        let mut slab = Slab::default();
        let keys: Vec<_> = (0..1000).map(|n| slab.insert(n)).collect();
        for n in (0..1000).filter(|n| n % 3 != 0) {
            assert_eq!(slab.remove(keys[n]), Some(n));
            assert_eq!(slab.remove(keys[n]), None, "it is gone");
        }
        for n in (0..1000).filter(|n| n % 3 == 0) {
            assert_eq!(slab.get(keys[n]), Some(&n));
            assert_eq!(slab.get_mut(keys[n]), Some(&mut n.clone()));
        }
        assert_eq!((slab.len(), slab.values().count()), (334, 334));
        let mut left: Vec<_> = slab.into_values().collect();
        left.sort_unstable();
        assert!(left.into_iter().eq((0..1000).step_by(3)));
    }

    #[test]
    fn a_vacant_key_is_used_again() {
        let mut slab = Slab::default();
        for n in 0..10_000 {
            let key = slab.insert(n);
            assert_eq!(key, 0);
            slab.remove(key);
        }
        assert_eq!(slab.entries.capacity(), CHUNK as usize);
        // Also if all were in use.
        for _ in 0..2 {
            let keys: Vec<_> = (0..100).map(|n| slab.insert(n)).collect();
            assert!(keys.iter().all(|key| *key < 100));
            for key in keys {
                slab.remove(key);
            }
        }
    }

    #[test]
    fn after_a_burst_the_memory_follows_what_lives() {
        let mut slab = Slab::default();
        let first = slab.insert(0);
        let burst: Vec<_> = (1..100_000).map(|n| slab.insert(n)).collect();
        let last = slab.insert(0);
        assert!(slab.entries.capacity() >= 100_000);
        for key in burst {
            slab.remove(key);
        }
        assert!(
            slab.entries.capacity() <= 3 * CHUNK as usize,
            "{}",
            slab.entries.capacity()
        );
        assert_eq!((slab.get(first), slab.get(last)), (Some(&0), Some(&0)));
    }
}
