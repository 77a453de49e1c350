//! The sandwich: async code that calls blocking code that calls async code, and so on. Every async
//! function runs on the one loop's thread, every blocking one off it.
#![cfg(not(footbridge_loom))]

mod common;

use common::{me, watched};
use footbridge::{Syncify, asyncify, run};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

type Reports = Arc<Mutex<Vec<(&'static str, ThreadId)>>>;

fn report(reports: &Reports, who: &'static str) {
    reports.lock().unwrap().push((who, me()));
}

async fn main(reports: Reports) {
    report(&reports, "main");
    asyncify(do_sync_work)(reports).await;
}

fn sync_main(reports: Reports) {
    report(&reports, "sync_main");
    do_sync_work(reports);
}

fn do_sync_work(reports: Reports) {
    report(&reports, "do_sync_work");
    let lenient = Syncify::new().raise_sync_error(false);
    lenient.wrap(do_async_work)(reports).unwrap();
}

async fn do_async_work(reports: Reports) {
    report(&reports, "do_async_work");
    asyncify(do_sub_sync_work)(reports).await;
}

fn do_sub_sync_work(reports: Reports) {
    report(&reports, "do_sub_sync_work");
    let lenient = Syncify::new().raise_sync_error(false);
    lenient.wrap(do_sub_async_work)(reports).unwrap();
}

async fn do_sub_async_work(reports: Reports) {
    report(&reports, "do_sub_async_work");
}

/// The five reports, in the order of the calls, each with whether it came from this thread.
fn on_this_thread(reports: Reports) -> Vec<(&'static str, bool)> {
    let reports = reports.lock().unwrap();
    reports
        .iter()
        .map(|(who, thread)| (*who, *thread == me()))
        .collect()
}

// S6, S1, S3, S5
#[test]
fn an_async_first_sandwich_keeps_async_code_on_the_loops_thread_and_blocking_code_off_it() {
    watched(|| {
        let reports = Reports::default();
        run(main(reports.clone()));
        let expected = [
            ("main", true),
            ("do_sync_work", false),
            ("do_async_work", true),
            ("do_sub_sync_work", false),
            ("do_sub_async_work", true),
        ];
        assert_eq!(on_this_thread(reports), expected);
    });
}

// S7, S4, S5
#[test]
fn in_a_sync_first_sandwich_the_temporary_loop_is_the_calling_thread() {
    watched(|| {
        let reports = Reports::default();
        sync_main(reports.clone());
        let expected = [
            ("sync_main", true),
            ("do_sync_work", true),
            ("do_async_work", true),
            ("do_sub_sync_work", false),
            ("do_sub_async_work", true),
        ];
        assert_eq!(on_this_thread(reports), expected);
    });
}
