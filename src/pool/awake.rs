//! The word that tells a submitter whether a thread will scan the queues, or has to be woken or started.
//!
//! The rule: *if a job is queued, the word isn't 0, or a thread is about to wake or start another one*. If only `WATCHED` is
//! set, the watcher decides, and idle threads may sleep meanwhile. The parts of the word:
//!
//! | part of the word | what it means | set and cleared by |
//! | --- | --- | --- |
//! | `SEARCHING`, a count | threads that scan all queues before sleeping | the thread; the one that wakes or starts it |
//! | `WATCHED` | one thread checks the queues after each pause of the watch | under the lock of [`Threads`] |
//! | `FULL` | `max_threads` are active; each of them checks the queues after its job | under that lock |
//! | `SURPLUS` | more than `max_threads` are active, because waiting jobs have resumed: one has to sleep | under that lock |
//!
//! # Why no job is missed
//! Two threads each store one thing and then read what the other has stored:
//!
//! ```text
//!   the submitter          push the job       fence   read this word     -> `fence_and_read`
//!   a thread that leaves   change this word   fence   scan the queues    -> `fence_before_scan`
//! ```
//!
//! A thread leaves when it falls asleep, ends its watch, begins a job, or its job begins to wait. A refused thread is taken
//! out in the same way, and a closing pool fences in the same way.
//! `SeqCst` fences have one order. If the submitter's fence is first, the leaving thread sees the job. If the leaving
//! thread's fence is first, the submitter sees the changed word: if no other thread will scan, it wakes or starts one.
//! Without the fences both may read the old value, and the job waits while a thread sleeps.
//!
//! # Jobs in a worker's own queue
//! A worker that runs a long job may have jobs in its own queue. The last searching thread doesn't find them in the shared
//! queues. The flag `local_jobs` says that they exist. Without it they would wait for the worker while other threads idle.
//!
//! | event | what happens |
//! | --- | --- |
//! | announce | a worker pushes into its own queue; fence A; reads the flag, and sets it if it is clear |
//! | clear | a thread that falls asleep clears the flag; fence B; scans every queue |
//! | rely | a thread stops searching; fence; if the word is 0 and the flag is set, it wakes or starts a thread |
//!
//! - *A comes before B*: the scan sees the pushed job.
//! - *B comes before A*: the announcing thread's load comes after the clear. If the flag is clear, it
//!   sets it. If the flag is set, another worker has set it after the clear. Either way the next thread that relies on the
//!   flag finds it set.
//!
//! [`Threads`]: crate::pool::threads::Threads

use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};

const WATCHED: usize = 1;
const FULL: usize = 2;
const SURPLUS: usize = 4;
const SEARCHING: usize = 8;

#[derive(Default)]
pub(crate) struct Awake {
    word: AtomicUsize,
    local_jobs: AtomicBool,
}

/// The value of the word when it was read.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct AwakeState(usize);

impl AwakeState {
    pub(crate) fn new(is_watched: bool, active: usize, max_threads: usize) -> Self {
        let mut word = 0;
        if is_watched {
            word |= WATCHED;
        }
        if active >= max_threads {
            word |= FULL;
        }
        if active > max_threads {
            word |= SURPLUS;
        }
        Self(word)
    }

    /// No thread will check the queues by itself.
    pub(crate) fn no_thread_looks(self) -> bool {
        self.0 == 0
    }

    /// Only the watcher will check the queues, after its pause.
    pub(crate) fn is_only_watched(self) -> bool {
        self.0 == WATCHED
    }

    pub(crate) fn has_surplus(self) -> bool {
        self.0 & SURPLUS != 0
    }

    pub(crate) fn searching(self) -> usize {
        self.0 / SEARCHING
    }
}

impl Awake {
    pub(crate) fn state(&self) -> AwakeState {
        AwakeState(self.word.load(Ordering::Relaxed))
    }

    /// Call it after the push of a job. The state tells whether a thread will find the job.
    #[must_use]
    pub(crate) fn fence_and_read(&self) -> AwakeState {
        fence(Ordering::SeqCst); // Pairs with `fence_before_scan`.
        self.state()
    }

    /// A fence. Call it after the word has lost a thread. The scan that follows finds each job that was left to that thread.
    pub(crate) fn fence_before_scan(&self) {
        fence(Ordering::SeqCst); // Pairs with `fence_and_read` and `announce_local_jobs`.
    }

    pub(crate) fn start_searching(&self) {
        self.word.fetch_add(SEARCHING, Ordering::SeqCst);
    }

    /// Call [`fence_before_scan`](Self::fence_before_scan) next.
    pub(crate) fn stop_searching(&self) {
        let before = self.word.fetch_sub(SEARCHING, Ordering::SeqCst);
        debug_assert!(before >= SEARCHING, "no thread was counted as searching");
    }

    /// Copies the flags of `state`. Called only under the lock of `Threads`.
    pub(crate) fn set_flags(&self, state: AwakeState) {
        // The count shares the word, so only the bits that differ are flipped.
        let changed = (self.word.load(Ordering::Relaxed) ^ state.0) % SEARCHING;
        self.word.fetch_xor(changed, Ordering::SeqCst);
    }

    /// Call it after a push to a worker's own queue. Most calls find the flag set and write nothing, so they take no cache
    /// line from other workers.
    pub(crate) fn announce_local_jobs(&self) {
        fence(Ordering::SeqCst); // Fence A: pairs with `fence_before_scan`.
        if !self.local_jobs.load(Ordering::Relaxed) {
            self.local_jobs.store(true, Ordering::Relaxed);
        }
    }

    /// If jobs remain after a scan, sets the flag again. The lock of `Threads` orders it against the next clear.
    pub(crate) fn keep_local_jobs(&self) {
        self.local_jobs.store(true, Ordering::Relaxed);
    }

    /// Call [`fence_before_scan`](Self::fence_before_scan) next, and then scan every queue.
    pub(crate) fn clear_local_jobs(&self) {
        self.local_jobs.store(false, Ordering::Relaxed);
    }

    pub(crate) fn has_local_jobs(&self) -> bool {
        self.local_jobs.load(Ordering::Relaxed)
    }
}
