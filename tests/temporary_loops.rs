//! What temporary loops leave behind: nothing. Alone in its file, since it counts the whole process's
//! threads and files.
#![cfg(all(not(footbridge_loom), target_os = "linux"))]

mod common;

use common::watched;
use footbridge::{Syncify, asyncify};
use std::fs;

fn threads_and_files() -> (usize, usize) {
    let count = |directory| fs::read_dir(directory).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

// S8
#[test]
fn two_hundred_temporary_loops_leave_no_thread_and_no_file_behind() {
    watched(|| {
        async fn half(n: u32) -> u32 {
            asyncify(|n: u32| n / 2)(n).await
        }
        let half = Syncify::new().raise_sync_error(false).wrap(half);
        // The pool keeps the worker that the first one has started.
        half(0).unwrap();
        let before = threads_and_files();
        for n in 0..200 {
            assert_eq!(half(n), Ok(n / 2));
        }
        assert_eq!(threads_and_files(), before);
    });
}
