//! An allocator that counts what is asked of it, once it is told to.
//!
//! Until then it costs a load of a flag that is never written to, so that the other rows don't pay for the one that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, Ordering};

#[derive(Debug)]
pub struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicIsize = AtomicIsize::new(0);

/// From now on.
pub fn count() {
    COUNTS.store(true, Ordering::Relaxed);
}

/// Asked for since then and not given back. Below zero if blocks from before are given back.
pub fn live() -> isize {
    LIVE.load(Ordering::Relaxed)
}

fn changed(more: usize, less: usize) {
    if COUNTS.load(Ordering::Relaxed) {
        LIVE.fetch_add(more as isize - less as isize, Ordering::Relaxed);
    }
}

// SAFETY: it hands everything on to `System` as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        changed(layout.size(), 0);
        // SAFETY: what the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        changed(0, layout.size());
        // SAFETY: what the caller promises.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        changed(layout.size(), 0);
        // SAFETY: what the caller promises.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        changed(size, layout.size());
        // SAFETY: what the caller promises.
        unsafe { System.realloc(block, layout, size) }
    }
}
