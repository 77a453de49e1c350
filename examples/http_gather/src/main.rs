//! Ten requests at once with a blocking HTTP client, against a server that takes 100 ms for each.
//!
//!     cargo run -p http_gather

use footbridge::{asyncify, gather, run};
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};
use tiny_http::{Response, Server};
use ureq::Agent;

type Failure = Box<dyn Error + Send + Sync>;

/// Starts the server on a port that is free, with a thread for each request, and returns its address.
fn serve() -> Result<String, Failure> {
    let server = Server::http("127.0.0.1:0")?;
    let address = format!("http://{}", server.server_addr());
    thread::spawn(move || {
        for request in server.incoming_requests() {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                let body = format!("you asked for {}", request.url());
                request.respond(Response::from_string(body))
            });
        }
    });
    Ok(address)
}

/// The blocking function: the body, and how long it took.
fn get(agent: Agent, url: String) -> Result<(String, Duration), ureq::Error> {
    let start = Instant::now();
    // A connection that stays open would keep a thread of tiny_http's busy, and it has few.
    let request = agent.get(url).header("Connection", "close");
    let body = request.call()?.body_mut().read_to_string()?;
    Ok((body, start.elapsed()))
}

fn main() -> Result<(), Failure> {
    let address = serve()?;
    // No proxy, whatever the environment says.
    let agent = Agent::new_with_config(Agent::config_builder().proxy(None).build());
    let start = Instant::now();
    let answers = run(async {
        let get = asyncify(get);
        gather((0..10).map(|n| get(agent.clone(), format!("{address}/{n}")))).await
    });
    let wall_time = start.elapsed();

    let mut sum = Duration::ZERO;
    for answer in answers {
        let (body, took) = answer?;
        println!("{body}");
        sum += took;
    }
    let (wall_time, sum) = (wall_time.as_secs_f64(), sum.as_secs_f64());
    println!("{wall_time:.2} s in all; one after the other it would have been {sum:.2} s");
    Ok(())
}
