//! Code of a user's that may panic; and drops of what may hold another one of its kind: a call that has captured a
//! call, a result that is a handle with a result.
//!
//! The rule: such drops nest, as any others do, so what a value held is gone when its drop returns. But they nest
//! `DEEPEST` deep at the most. What comes up within the deepest one is put off until that one's own value is gone, so
//! a chain of any length needs no more stack than one of `DEEPEST` links.
//!
//! ```text
//!   drop of link 1
//!     drop of link 2
//!       ..
//!         drop of link 16:  its value goes, and puts link 17 off
//!                           link 17's goes, and puts link 18 off
//!                           ..
//!                           the end of link 18, of link 17, of link 16
//!   end of link 2
//! end of link 1
//! ```
//!
//! A link's end (the token that its call held) comes after all that its value held: in this order without limit.

use crate::sync::thread_local;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a panic threw.
pub(crate) type Payload = Box<dyn Any + Send>;

/// Runs code of a user's; what it throws is caught and given back.
pub(crate) fn contain<T>(code: impl FnOnce() -> T) -> Result<T, Payload> {
    catch_unwind(AssertUnwindSafe(code))
}

/// Drops something of a user's. A panic in there has been reported by the panic hook and ends here.
pub(crate) fn discard<T>(value: T) {
    if let Err(payload) = contain(|| drop(value)) {
        // A payload whose own drop panics too is leaked: there is nobody left to tell.
        if let Err(second) = contain(|| drop(payload)) {
            std::mem::forget(second);
        }
    }
}

/// How many drops may be under way on a thread, each within the one before it.
const DEEPEST: usize = 16;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

thread_local! {
    // A stack. Empty but within a deepest drop. Without a drop of its own it is there as long as its thread is, and
    // the drops of other thread-locals find it.
    static PUT_OFF: ManuallyDrop<RefCell<Vec<Box<dyn Link>>>> =
        const { ManuallyDrop::new(RefCell::new(Vec::new())) };
}

trait Link {
    /// Drops the value, or, if that is gone, does what comes after it. `true`: that is still to come.
    fn step(&mut self) -> bool;
}

struct Held<T, E> {
    value: Option<T>,
    end: Option<E>,
}

impl<T, E: FnOnce()> Link for Held<T, E> {
    fn step(&mut self) -> bool {
        if let Some(value) = self.value.take() {
            discard(value);
            return self.end.is_some();
        }
        if let Some(Err(payload)) = self.end.take().map(contain) {
            discard(payload);
        }
        false
    }
}

/// Drops `value`, and what that holds, and calls `end` after that. Panics in there end here.
pub(crate) fn discard_nested<T: 'static>(value: T, end: Option<impl FnOnce() + 'static>) {
    let value = Some(value);
    let mut link = Held { value, end };
    let depth = DEPTH.try_with(Cell::get).unwrap_or(0);
    if depth < DEEPEST {
        return drop_at(depth + 1, &mut link);
    }
    let mut link = Some(link);
    let _ = PUT_OFF.try_with(|put_off| {
        let link = link.take().map(|link| Box::new(link) as Box<dyn Link>);
        put_off.borrow_mut().extend(link);
    });
    // Only in a thread that ends, on a system where it keeps no list any more.
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

/// One step. What that has put off lies above the index that this gives, the first one uppermost.
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
            // Its end comes after what its value has put off, so it lies below that.
            let _ = PUT_OFF.try_with(|put_off| put_off.borrow_mut().insert(before, link));
        }
    }
}

fn next_put_off() -> Option<Box<dyn Link>> {
    let next = PUT_OFF.try_with(|put_off| {
        let mut put_off = put_off.borrow_mut();
        let next = put_off.pop();
        if next.is_none() {
            *put_off = Vec::new(); // Its room goes too.
        }
        next
    });
    next.ok().flatten()
}
