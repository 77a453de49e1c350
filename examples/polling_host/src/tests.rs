//! How often the host's wait returns, which has to follow from what happens and not from how long it takes.

use super::*;
use std::panic::resume_unwind;
use std::sync::mpsc;

/// Runs a test's body on a thread of its own, so that one that hangs fails.
fn watched(body: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let test = thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match finished.recv_timeout(Duration::from_secs(60)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
        _ => test.join().unwrap_or_else(|payload| resume_unwind(payload)),
    }
}

#[test]
fn an_idle_host_sleeps_until_its_deadline() {
    watched(|| {
        let mut host = Host::new().unwrap();
        let nap = host.event_loop.spawn(sleep(Duration::from_millis(200)));
        host.run(nap).unwrap();
        // It is told of the new task, and woken for the deadline.
        assert!(host.returns <= 5, "{} returns", host.returns);
    });
}

#[test]
fn an_idle_host_sleeps_until_a_job_ends_however_long_that_takes() {
    watched(|| {
        let mut host = Host::new().unwrap();
        let nap = asyncify(thread::sleep)(Duration::from_millis(200));
        let nap = host.event_loop.spawn(nap);
        host.run(nap).unwrap();
        assert!(host.returns <= 5, "{} returns", host.returns);
    });
}

#[test]
fn an_answer_costs_the_host_a_few_returns() {
    const NAMES: [&str; 20] = ["Ada"; 20];
    watched(|| {
        let mut host = Host::new().unwrap();
        let client = asyncify(ask)(host.socket.local_addr().unwrap(), &NAMES);
        let client = host.event_loop.spawn(client);
        let answers = host.run(client).unwrap().unwrap();
        assert_eq!(answers, ["Hello, Ada"; 20]);
        // One for the name, one of which the host is told that it has spawned a task, one for the end of the job.
        assert!(host.returns <= 5 * NAMES.len(), "{} returns", host.returns);
    });
}

#[test]
fn everything_is_answered_whatever_wakes_the_host_first() {
    watched(|| {
        let mut host = Host::new().unwrap();
        let server = host.socket.local_addr().unwrap();
        let timer = host.event_loop.spawn(async {
            for _ in 0..100 {
                sleep(Duration::from_millis(1)).await;
            }
        });
        let clients: Vec<_> = (0..5)
            .map(|_| asyncify(ask)(server, &["Ada", "Grace", "Edsger"]))
            .map(|client| host.event_loop.spawn(client))
            .collect();
        for client in clients {
            let answers = host.run(client).unwrap().unwrap();
            assert_eq!(answers, ["Hello, Ada", "Hello, Grace", "Hello, Edsger"]);
        }
        host.run(timer).unwrap();
    });
}
