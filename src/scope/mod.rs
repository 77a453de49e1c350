//! Many futures in one, of which only the woken ones are polled.

pub(crate) mod gather;
mod woken;
