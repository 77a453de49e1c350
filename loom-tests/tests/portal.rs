//! A portal: what its thread, those that call it and those that stop it see of one another.

use footbridge::{Portal, SyncifyError};
use loom_tests::{Arc, Data, Guard, explore_within, spawn};
use std::future::pending;
use std::time::Duration;

// Threads: one that calls, one that stops, the portal's.
// Decided by: the inbox's lock. `Inbox::refuse_calls` comes before the phase *stopping*, and the thread asks for that
// before its last turn: so a call is refused, or is in the inbox by that turn.
// Mutants: a portal's thread asks for a stop after its turn; a stop is told before calls are refused.
#[test]
fn a_call_against_a_stop_is_refused_or_done() {
    explore_within(3, || {
        let portal = Portal::start().unwrap();
        let (handle, data) = (portal.handle().clone(), Data::default());
        let done = data.clone();
        let calls = spawn(move || {
            let called = data.clone();
            (handle.call_soon(move || called.set(1)), data)
        });
        assert_eq!(portal.stop(Duration::MAX), Ok(()));
        let seen = done.get();
        let (accepted, data) = calls.join().unwrap();
        assert!(!accepted || seen == 1 && data.get() == 1);
    });
}

// Threads: one that waits for a task, one that drops the portal, the portal's.
// Decided by: the inbox's lock, as above; then the cell of the wait is answered by the task, or by the end of the loop.
// Mutant: a signal to a portal doesn't wake its loop.
#[test]
fn a_wait_against_the_drop_of_the_portal_is_answered() {
    explore_within(2, || {
        let portal = Portal::start().unwrap();
        let handle = portal.handle().clone();
        let waits = spawn(move || handle.block_on(pending::<()>));
        drop(portal);
        assert_eq!(waits.join().unwrap(), Err(SyncifyError::LoopClosed));
    });
}

// Threads: two that stop, the portal's.
// Decided by: the lock of `Life`: the end is seen, or the parker is among those that the end unparks.
// Mutant: a portal that has ended unparks one waiter.
#[test]
fn two_that_stop_a_portal_are_both_answered() {
    explore_within(2, || {
        let portal = Arc::new(Portal::start().unwrap());
        let other = portal.clone();
        let stops = spawn(move || other.stop(Duration::MAX));
        assert_eq!(portal.stop(Duration::MAX), Ok(()));
        assert_eq!(stops.join().unwrap(), Ok(()));
    });
}

// Threads: one that stops in its own time, one that stops at once, the portal's, which may sleep by then.
// Decided by: the lock of `Life`, and the parker's token: the thread sees the earlier deadline, or is woken for it.
// Mutants: a signal to a portal doesn't wake its loop; a later stop's deadline is not taken.
#[test]
fn a_stop_at_once_ends_a_stop_that_waits_for_a_task() {
    explore_within(2, || {
        let portal = Arc::new(Portal::start().unwrap());
        let (other, data) = (portal.clone(), Data::default());
        let guard = Guard(data.clone());
        drop(portal.handle().spawn(move || async move {
            let _guard = guard;
            pending::<()>().await
        }));
        let stops = spawn(move || other.stop(Duration::ZERO));
        assert_eq!(portal.stop(Duration::MAX).unwrap_err().tasks(), 1);
        assert_eq!(data.get(), 1);
        assert!(stops.join().unwrap().is_err());
    });
}
