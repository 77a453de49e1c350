//! A program with a main loop of its own, over epoll, and ours inside it: one wait for its socket, for our
//! wake-up and for our next deadline.
//!
//!     cargo run -p polling_host
//!
//! A host does three things. It calls `tick` each time round, which runs what is ready and never waits. It waits
//! for its own events no longer than until `next_deadline`. And it has `on_wake`, which is called on whichever
//! thread brings the work, end that wait.

use footbridge::{EventLoop, JoinHandle, asyncify, time::sleep};
use polling::{Event, Poller};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// What the poller calls our only socket.
const SOCKET: usize = 0;

/// Answers each name that is sent to its socket.
struct Host {
    poller: Arc<Poller>,
    socket: Rc<UdpSocket>,
    event_loop: EventLoop,
    /// How often the wait has returned.
    returns: usize,
}

impl Host {
    fn new() -> io::Result<Self> {
        let poller = Arc::new(Poller::new()?);
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_nonblocking(true)?;
        poller.add(&socket, Event::readable(SOCKET))?;
        let wait = poller.clone();
        let wake = move || wait.notify().expect("a poller can be notified");
        Ok(Self {
            poller,
            socket: Rc::new(socket),
            event_loop: EventLoop::builder().on_wake(wake).build(),
            returns: 0,
        })
    }

    /// The main loop. It asks whether the task is finished straight after the tick that may have finished it:
    /// with nothing else to come, the next wait would be for ever.
    fn run<T: 'static>(&mut self, task: JoinHandle<T>) -> io::Result<T> {
        let mut events = Vec::new();
        while !task.is_finished() {
            let deadline = self.event_loop.next_deadline();
            let patience = deadline.map(|due| due.saturating_duration_since(Instant::now()));
            events.clear();
            self.poller.wait(&mut events, patience)?;
            self.returns += 1;
            if !events.is_empty() {
                self.serve()?;
            }
            self.event_loop.tick();
        }
        let result = self.event_loop.run_until(task); // It is there already.
        Ok(result.expect("it neither panicked nor was aborted"))
    }

    /// Reads what has arrived, and has a task answer each name.
    fn serve(&mut self) -> io::Result<()> {
        let mut datagram = [0; 512];
        loop {
            let (length, from) = match self.socket.recv_from(&mut datagram) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            let name = String::from_utf8_lossy(&datagram[..length]).into_owned();
            // The task stays on this thread, so it may share the socket by an `Rc`.
            let socket = self.socket.clone();
            drop(self.event_loop.spawn(async move {
                let answer = asyncify(greet)(name).await;
                socket.send_to(answer.as_bytes(), from)
            }));
        }
        // The poller tells of a socket once, and then wants to be asked again.
        self.poller.modify(&*self.socket, Event::readable(SOCKET))
    }
}

/// The blocking work for an answer.
fn greet(name: String) -> String {
    thread::sleep(Duration::from_millis(10));
    format!("Hello, {name}")
}

/// The client, blocking code as well: sends each name, and waits for its answer.
fn ask(server: SocketAddr, names: &[&str]) -> io::Result<Vec<String>> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let ask = |name: &&str| {
        let mut answer = [0; 512];
        socket.send_to(name.as_bytes(), server)?;
        let length = socket.recv(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    };
    names.iter().map(ask).collect()
}

fn main() -> io::Result<()> {
    let mut host = Host::new()?;
    let server = host.socket.local_addr()?;
    let timer = host.event_loop.spawn(async {
        for _ in 0..5 {
            sleep(Duration::from_millis(10)).await;
        }
        "and a timer beside them fired five times"
    });
    let client = asyncify(ask)(server, &["Ada", "Grace", "Edsger"]);
    let client = host.event_loop.spawn(client);
    for answer in host.run(client)?? {
        println!("{answer}");
    }
    println!("{}", host.run(timer)?);
    let busy = host.returns;

    let start = Instant::now();
    let nap = host.event_loop.spawn(sleep(Duration::from_millis(200)));
    host.run(nap)?;
    let (idle, took) = (host.returns - busy, start.elapsed().as_secs_f64());
    // Each run has its own numbers, since what comes together is one return. So the README shows the bound.
    eprintln!("the wait returned {busy} times, and {idle} times while idle");
    assert!(idle <= 5, "the host polls in a circle");
    println!("idle for {took:.2} s, in which the wait returned at most 5 times");
    Ok(())
}
