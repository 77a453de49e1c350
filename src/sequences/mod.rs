//! Sequences over the bridge: a blocking iterator for async code, and an async one for blocking code.

pub(crate) mod channel;
pub(crate) mod generator;
pub(crate) mod items;
pub(crate) mod syncify_iter;
