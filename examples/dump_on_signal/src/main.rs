//! A program that hangs, and says why on `kill -QUIT`.
//!
//! A thread waits for the signal, and prints a dump then. The program goes on hanging, so a second dump shows whether anything
//! has moved.

use footbridge::{Asyncify, Handle, Limiter, dump, run};
use signal_hook::{consts::SIGQUIT, iterator::Signals};
use std::{io, process, thread, time::Duration};

fn dump_on_signal() -> io::Result<()> {
    let mut signals = Signals::new([SIGQUIT])?;
    thread::spawn(move || {
        for _ in signals.forever() {
            eprintln!("{}", dump(Duration::from_secs(1)));
        }
    });
    Ok(())
}

/// Holds a token while it waits for a task that asks for one, too.
fn update(limiter: Limiter) {
    let task = Handle::current().spawn(|| async move { drop(limiter.acquire().await) });
    task.join().unwrap();
}

fn main() -> io::Result<()> {
    dump_on_signal()?;
    println!("kill -QUIT {}", process::id());
    let limiter = Limiter::new(1);
    let update = Asyncify::new().limiter(&limiter).wrap(update);
    run(async { update(limiter.clone()).await });
    Ok(())
}
