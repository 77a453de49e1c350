//! Footbridge beside its peers on the same work.
//!
//! A row (`rows`) is one kind of work and the peers that do it; a peer (`peers`) is one way to have it done, so that all
//! peers of a row run the same code around it. `measure` runs them in turn, round by round; `bars` says which ratios are
//! asked for; `report`, `results` and `svg` say how it went. `bytes` is the allocator that counts.

pub mod bars;
pub mod bytes;
pub mod lap;
pub mod measure;
pub mod peers;
pub mod place;
pub mod report;
pub mod results;
pub mod rows;
pub mod svg;
