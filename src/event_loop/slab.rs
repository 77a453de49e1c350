//! A table in chunks. Its entries keep their keys. If a chunk becomes empty, it gives its memory back. So after a burst, the
//! memory depends on the entries that are left.

/// The entries of a chunk. Each has one bit of a word.
const CHUNK: usize = 64;

pub(crate) struct Slab<T> {
    chunks: Vec<Chunk<T>>,
    /// The chunks that have a vacancy, in no order.
    open: Vec<usize>,
    len: usize,
    /// The memory of the last chunk that became empty. The next chunk takes it, so an entry that comes and goes allocates
    /// nothing.
    spare: Vec<Option<T>>,
}

struct Chunk<T> {
    /// Has `CHUNK` entries. If all are vacant, it has none.
    entries: Vec<Option<T>>,
    vacant: u64,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            open: Vec::new(),
            len: 0,
            spare: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Returns the key and the entry.
    pub(crate) fn insert(&mut self, value: T) -> (usize, &mut T) {
        let index = self.open.last().copied().unwrap_or_else(|| {
            self.chunks.push(Chunk {
                entries: Vec::new(),
                vacant: u64::MAX,
            });
            self.open.push(self.chunks.len() - 1);
            self.chunks.len() - 1
        });
        let chunk = &mut self.chunks[index];
        if chunk.entries.is_empty() {
            chunk.entries = std::mem::take(&mut self.spare);
            chunk.entries.resize_with(CHUNK, || None);
        }
        let bit = chunk.vacant.trailing_zeros() as usize;
        chunk.vacant &= chunk.vacant - 1;
        if chunk.vacant == 0 {
            self.open.pop();
        }
        self.len += 1;
        (index * CHUNK + bit, chunk.entries[bit].insert(value))
    }

    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        let entries = &mut self.chunks.get_mut(key / CHUNK)?.entries;
        entries.get_mut(key % CHUNK)?.as_mut()
    }

    pub(crate) fn get(&self, key: usize) -> Option<&T> {
        let entries = &self.chunks.get(key / CHUNK)?.entries;
        entries.get(key % CHUNK)?.as_ref()
    }

    pub(crate) fn remove(&mut self, key: usize) -> Option<T> {
        let index = key / CHUNK;
        let chunk = self.chunks.get_mut(index)?;
        let value = chunk.entries.get_mut(key % CHUNK)?.take()?;
        if chunk.vacant == 0 {
            self.open.push(index);
        }
        chunk.vacant |= 1 << (key % CHUNK);
        if chunk.vacant == u64::MAX {
            self.spare = std::mem::take(&mut chunk.entries);
        }
        self.len -= 1;
        if self.len == 0 && self.chunks.len() > CHUNK {
            self.chunks = Vec::new();
            self.open = Vec::new();
        }
        Some(value)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        let chunks = self.chunks.into_iter();
        chunks.flat_map(|chunk| chunk.entries.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::{CHUNK, Slab};

    fn held(slab: &Slab<usize>) -> usize {
        let chunks = slab.chunks.iter();
        chunks.map(|chunk| chunk.entries.capacity()).sum::<usize>() + slab.spare.capacity()
    }

    #[test]
    fn an_entry_keeps_its_key_while_others_come_and_go() {
        let mut slab = Slab::default();
        let keys: Vec<_> = (0..1000).map(|n| slab.insert(n).0).collect();
        for n in (0..1000).filter(|n| n % 3 != 0) {
            assert_eq!(slab.remove(keys[n]), Some(n));
            assert_eq!(slab.remove(keys[n]), None, "it is gone");
        }
        for n in (0..1000).filter(|n| n % 3 == 0) {
            assert_eq!(slab.get(keys[n]), Some(&n));
            assert_eq!(slab.get_mut(keys[n]), Some(&mut n.clone()));
        }
        assert_eq!(slab.len(), 334);
        let mut left: Vec<_> = slab.into_values().collect();
        left.sort_unstable();
        assert!(left.into_iter().eq((0..1000).step_by(3)));
    }

    #[test]
    fn a_vacant_key_is_used_again() {
        let mut slab = Slab::default();
        for n in 0..10_000 {
            let (key, _) = slab.insert(n);
            assert_eq!(key, 0);
            slab.remove(key);
        }
        assert_eq!(held(&slab), CHUNK);
    }

    #[test]
    fn after_a_burst_the_memory_follows_what_lives() {
        let mut slab = Slab::default();
        let first = slab.insert(0).0;
        let burst: Vec<_> = (1..100_000).map(|n| slab.insert(n).0).collect();
        let last = slab.insert(0).0;
        assert!(held(&slab) >= 100_000);
        for key in burst {
            slab.remove(key);
        }
        assert!(held(&slab) <= 3 * CHUNK, "{}", held(&slab));
        assert_eq!((slab.get(first), slab.get(last)), (Some(&0), Some(&0)));
    }
}
