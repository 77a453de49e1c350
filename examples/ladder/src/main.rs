//! `cargo run -p ladder 5` runs stage 5, and `cargo run -p ladder mine` what `mine.rs` has.

use ladder::*;

const STAGES: [(&str, fn()); 13] = [
    ("block_on, spinning", spin::main),
    ("a parker", parker::main),
    ("a line of ready tasks", line::main),
    ("a handle to join", join::main),
    ("timers", timers::main),
    ("an inbox", inbox::main),
    ("one worker, and asyncify", worker::main),
    ("a pool that grows", pool::main),
    ("syncify", syncify::main),
    ("cancelling", cancel::main),
    ("a limiter", limiter::main),
    ("stealing", stealing::main),
    ("a scope", scope::main),
];

fn main() {
    let argument = std::env::args().nth(1).unwrap_or_default();
    if argument == "mine" {
        return mine::main();
    }
    match argument
        .parse()
        .ok()
        .and_then(|number: usize| STAGES.get(number))
    {
        Some((_, stage)) => {
            stage();
        }
        None => {
            println!("cargo run -p ladder NUMBER, or mine");
            for (number, (name, _)) in STAGES.iter().enumerate() {
                println!("{number:2}  {name}");
            }
        }
    }
}
