//! One suite over two worlds: what the last stage of the ladder promises, the crate promises too.

mod real;
mod small;
