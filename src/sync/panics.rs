//! Calls user code that may panic: functions, wakers and drops. Also limits how deep such drops nest.
//!
//! The rule: what a value holds is dropped when the drop of that value returns. At most `DEEPEST` drops nest. A deeper one
//! waits until the value of the deepest is dropped, so a chain needs no more stack.
//!
//! ```text
//!   drop of link 1
//!     drop of link 2
//!       ..
//!         drop of link 16:  its value is dropped, and puts link 17 off
//!                           the value of link 17 is dropped, and puts link 18 off
//!                           ..
//!                           the ends of link 18, of link 17, of link 16
//!   end of link 2
//! end of link 1
//! ```
//!
//! After the drop of a value, and of all that it held, its end runs: the permit of its call is given back.

use crate::sync::thread_local;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// The payload of a panic.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The text of a panic, if it has one.
pub(crate) fn message(payload: &(dyn Any + Send)) -> Option<&str> {
    payload
        .downcast_ref::<&'static str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}

/// Runs user code, and catches its panic.
pub(crate) fn catch_panic<T>(code: impl FnOnce() -> T) -> Result<T, Payload> {
    catch_unwind(AssertUnwindSafe(code))
}

/// Drops a user's value. If the drop panics, the panic hook reports it, and the panic ends here.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(payload) = catch_panic(|| drop(value)) {
        // If the drop of the payload panics too, the second payload is leaked.
        if let Err(second) = catch_panic(|| drop(payload)) {
            std::mem::forget(second);
        }
    }
}

/// Calls a waker, which may be user code. A panic in it ends here, because the caller has other work to do.
pub(crate) fn wake(waker: Waker) {
    if let Err(payload) = catch_panic(|| waker.wake()) {
        drop_quietly(payload);
    }
}

/// Calls many wakers. If one of them calls this function again, the inner wakers are put off until it returns, so the stack
/// doesn't grow with the chain. (If a waker waits for one that was put off, it waits for ever.)
pub(crate) fn wake_all(wakers: Vec<Waker>) {
    thread_local! {
        static TO_WAKE: RefCell<Option<VecDeque<Waker>>> = const { RefCell::new(None) };
    }
    // If the thread ends, the thread-local may be gone. Then the wakers stay here.
    let mut wakers = VecDeque::from(wakers);
    let left_to_outer = TO_WAKE.try_with(|to_wake| match &mut *to_wake.borrow_mut() {
        Some(outer) => {
            outer.append(&mut wakers);
            true
        }
        none => {
            *none = Some(std::mem::take(&mut wakers));
            false
        }
    });
    if left_to_outer.unwrap_or(false) {
        return;
    }
    loop {
        let next = TO_WAKE.try_with(|to_wake| {
            let mut to_wake = to_wake.borrow_mut();
            let next = to_wake.as_mut().and_then(VecDeque::pop_front);
            if next.is_none() {
                *to_wake = None;
            }
            next
        });
        let Some(waker) = next.unwrap_or_else(|_| wakers.pop_front()) else {
            return;
        };
        wake(waker);
    }
}

/// How many drops may nest on a thread.
const DEEPEST: usize = 16;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

thread_local! {
    // A stack, empty except during a deepest drop. It is never dropped, so the drops of other thread-locals find it.
    static PUT_OFF: ManuallyDrop<RefCell<Vec<Box<dyn Link>>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

trait Link {
    /// Drops the value. If the value is dropped already, calls the end. `true`: the end hasn't run yet.
    fn step(&mut self) -> bool;
}

struct ChainLink<T, E> {
    value: Option<T>,
    end: Option<E>,
}

impl<T, E: FnOnce()> Link for ChainLink<T, E> {
    fn step(&mut self) -> bool {
        if let Some(value) = self.value.take() {
            drop_quietly(value);
            return self.end.is_some();
        }
        if let Some(Err(payload)) = self.end.take().map(catch_panic) {
            drop_quietly(payload);
        }
        false
    }
}

/// Drops `value` and what it holds, and then calls `end`. Their panics end here.
pub(crate) fn drop_nested<T: 'static>(value: T, end: Option<impl FnOnce() + 'static>) {
    let value = Some(value);
    let mut link = ChainLink { value, end };
    let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
    if depth < DEEPEST {
        return drop_at(depth + 1, &mut link);
    }
    let mut link = Some(link);
    let _ = PUT_OFF.try_with(|put_off| {
        let link = link.take().map(|link| Box::new(link) as Box<dyn Link>);
        put_off.borrow_mut().extend(link);
    });
    // Reached only if the thread ends, on a system that has dropped the list by then.
    if let Some(mut link) = link {
        while link.step() {}
    }
}

fn drop_at(depth: usize, link: &mut dyn Link) {
    let _ = DEPTH.try_with(|current| current.set(depth));
    if depth < DEEPEST {
        while link.step() {} // Nothing is put off.
    } else {
        while step(link).1 {
            drop_put_off();
        }
        drop_put_off(); // What the last step has put off.
    }
    let _ = DEPTH.try_with(|current| current.set(depth - 1));
}

/// One step. Returns the index above which the links lie that the step has put off, the first one uppermost.
fn step(link: &mut dyn Link) -> (usize, bool) {
    let before = PUT_OFF.try_with(|put_off| put_off.borrow().len());
    let before = before.unwrap_or(0);
    let more = link.step();
    let _ = PUT_OFF.try_with(|put_off| put_off.borrow_mut()[before..].reverse());
    (before, more)
}

fn drop_put_off() {
    while let Some(mut link) = next_put_off() {
        let (before, more) = step(&mut *link);
        if more {
            // The end of the link comes after what its value has put off, so the link lies below.
            let _ = PUT_OFF.try_with(|put_off| put_off.borrow_mut().insert(before, link));
        }
    }
}

fn next_put_off() -> Option<Box<dyn Link>> {
    let next = PUT_OFF.try_with(|put_off| {
        let mut put_off = put_off.borrow_mut();
        let next = put_off.pop();
        if next.is_none() {
            *put_off = Vec::new(); // Its memory goes too.
        }
        next
    });
    next.ok().flatten()
}
