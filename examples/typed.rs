//! The types go across: `asyncify(f)` takes what `f` takes, and awaiting it gives what `f` returns.
//!
//!     cargo run --example typed

use footbridge::{asyncify, run};

fn repeat(word: &str, times: usize) -> String {
    vec![word; times].join(" ")
}

fn main() {
    run(async {
        let repeat = asyncify(repeat);
        let words: String = repeat("hello", 3).await;
        println!("{words}");

        // The wrong form doesn't compile; these are the compiler's words:
        //
        //     repeat("hello", "3").await;
        //     ------          ^^^ expected `usize`, found `&str`
        //     |
        //     arguments to this function are incorrect
    });
}
