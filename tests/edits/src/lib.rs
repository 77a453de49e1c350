//! Edits of the crate's source, each in a list by exact text. A command makes them one at a time in a copy of the checkout,
//! and runs something there.
//!
//! Two commands use this: `mutants` in `loom-tests`, whose edits a test has to notice, and `ablations` in `benches`, whose
//! edits take an optimisation out.

mod copy;
mod list;

pub use copy::{CRATE, Copy, Suite, checkout};
pub use list::{Entry, Tests, needed, parse};
