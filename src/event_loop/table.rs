//! A table in chunks: its entries stay where they are, and the caller chooses their keys. If a chunk becomes empty, it gives
//! its memory back. So after a burst, the memory depends on the entries that are left.

/// The entries of a chunk. Each has one bit of a word.
pub(super) const CHUNK: u32 = 32;

/// The list of chunks is freed only if it is longer than this.
const MANY: usize = 64;

pub(crate) struct Table<T> {
    chunks: Vec<Chunk<T>>,
    len: usize,
    /// The chunk that became empty last. It keeps its memory, so an entry that comes and goes allocates nothing.
    emptied: usize,
}

struct Chunk<T> {
    /// `None` only if all entries are vacant.
    entries: Option<Box<[Option<T>; CHUNK as usize]>>,
    vacant: u32,
}

impl<T> Chunk<T> {
    #[inline]
    fn set(&mut self, offset: usize, value: T) {
        debug_assert!(self.vacant & 1 << offset != 0, "the key is vacant");
        self.vacant &= !(1 << offset);
        self.entries.get_or_insert_with(new_entries)[offset] = Some(value);
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            chunks: Vec::new(),
            len: 0,
            emptied: 0,
        }
    }
}

/// The index of the chunk, and that of the entry in it.
fn locate(key: u32) -> (usize, usize) {
    ((key / CHUNK) as usize, (key % CHUNK) as usize)
}

impl<T> Table<T> {
    /// Adds an entry, whose key is vacant.
    #[inline]
    pub(crate) fn insert(&mut self, key: u32, value: T) {
        let (index, offset) = locate(key);
        self.chunk(index).set(offset, value);
        self.len += 1;
    }

    /// Adds an entry to a chunk that has a vacancy. Returns its key, and whether it took the last vacancy.
    #[inline]
    pub(super) fn insert_into(&mut self, chunk: u32, value: T) -> (u32, bool) {
        self.len += 1;
        let entries = self.chunk(chunk as usize);
        let offset = entries.vacant.trailing_zeros() % CHUNK;
        entries.set(offset as usize, value);
        (chunk * CHUNK + offset, entries.vacant == 0)
    }

    #[inline]
    fn chunk(&mut self, index: usize) -> &mut Chunk<T> {
        if index >= self.chunks.len() {
            self.add_chunks(index);
        }
        &mut self.chunks[index]
    }

    #[cold]
    fn add_chunks(&mut self, last: usize) {
        let empty = || Chunk {
            entries: None,
            vacant: u32::MAX,
        };
        self.chunks.resize_with(last + 1, empty);
    }

    #[inline]
    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        let (index, offset) = locate(key);
        let entries = self.chunks.get(index)?.entries.as_ref()?;
        entries[offset].as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        let (index, offset) = locate(key);
        let entries = self.chunks.get_mut(index)?.entries.as_mut()?;
        entries[offset].as_mut()
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: u32) -> Option<T> {
        let (index, offset) = locate(key);
        let chunk = self.chunks.get_mut(index)?;
        let value = chunk.entries.as_mut()?[offset].take()?;
        chunk.vacant |= 1 << offset;
        self.len -= 1;
        if chunk.vacant == u32::MAX {
            // If the same chunk empties again and again, nothing is to be done.
            if self.emptied != index || self.len == 0 && self.chunks.len() > MANY {
                self.chunk_emptied(index);
            }
        }
        Some(value)
    }

    /// The chunk at `index` became empty. Frees the one before it, if that is empty still. If all are empty, and were many,
    /// frees all.
    #[cold]
    fn chunk_emptied(&mut self, index: usize) {
        if self.len == 0 && self.chunks.len() > MANY {
            *self = Self::default();
            return;
        }
        let before = std::mem::replace(&mut self.emptied, index);
        if let Some(chunk) = self.chunks.get_mut(before) {
            if chunk.vacant == u32::MAX {
                chunk.entries = None;
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number of chunks that it has had entries in.
    pub(super) fn chunks(&self) -> u32 {
        self.chunks.len() as u32
    }

    /// The vacant entries of a chunk, a bit for each.
    pub(super) fn vacant(&self, chunk: u32) -> u32 {
        let chunk = self.chunks.get(chunk as usize);
        chunk.map_or(u32::MAX, |chunk| chunk.vacant)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        let entries = self
            .chunks
            .iter()
            .filter_map(|chunk| chunk.entries.as_ref());
        entries.flat_map(|entries| entries.iter().flatten())
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (u32, &T)> {
        let chunks = self.chunks.iter().zip(0..);
        chunks.flat_map(|(chunk, index)| {
            let entries = chunk.entries.iter().flat_map(|entries| entries.iter());
            let keyed = (index * CHUNK..).zip(entries);
            keyed.filter_map(|(key, entry)| Some((key, entry.as_ref()?)))
        })
    }

    /// The entries with their keys.
    pub(crate) fn into_entries(self) -> impl Iterator<Item = (u32, T)> {
        let chunks = self.chunks.into_iter().zip(0..);
        chunks.flat_map(|(chunk, index)| {
            let entries = chunk.entries.into_iter().flat_map(|entries| *entries);
            let keyed = (index * CHUNK..).zip(entries);
            keyed.filter_map(|(key, entry)| Some((key, entry?)))
        })
    }

    /// The number of entries, in use or vacant, that it has memory for.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        let chunks = self.chunks.iter();
        CHUNK as usize * chunks.filter(|chunk| chunk.entries.is_some()).count()
    }
}

#[cold]
#[inline(never)]
fn new_entries<T>() -> Box<[Option<T>; CHUNK as usize]> {
    Box::new([const { None }; CHUNK as usize])
}

#[cfg(test)]
mod tests {
    use super::{MANY, Table};

    #[test]
    fn a_table_that_is_empty_after_a_burst_is_like_new() {
        let mut table = Table::default();
        for round in 0..2 {
            let burst = 0..100_000;
            burst.clone().for_each(|key| table.insert(key, key));
            for key in burst {
                assert_eq!(table.remove(key), Some(key));
            }
            assert_eq!((table.len(), table.chunks.len()), (0, 0), "round {round}");
        }
        table.insert(3, 3);
        assert_eq!(table.remove(3), Some(3));
        assert!(table.chunks.len() <= MANY);
    }
}
