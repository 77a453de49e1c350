//! One measurement: what a peer took for each item of its work, by the clock and in CPU time of the whole process.

use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// What one item took. The unit of `value` is the row's, mostly nanoseconds; `cpu` is always nanoseconds.
#[derive(Debug, Clone, Copy)]
pub struct Lap {
    pub value: f64,
    pub cpu: f64,
}

/// Started where the work begins, and stopped where it ends: what a peer does to set itself up stays outside.
#[derive(Debug)]
pub struct Clock {
    cpu: Duration,
    wall: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            cpu: cpu_time(),
            wall: Instant::now(),
        }
    }

    /// Nanoseconds for each of `items`.
    pub fn stop(self, items: usize) -> Lap {
        let wall = self.wall.elapsed();
        let cpu = cpu_time() - self.cpu;
        Lap {
            value: wall.as_nanos() as f64 / items as f64,
            cpu: cpu.as_nanos() as f64 / items as f64,
        }
    }
}

/// Of all threads of this process together.
fn cpu_time() -> Duration {
    time(ClockId::ProcessCPUTime)
}

/// Computes until this thread has had a processor for that long.
pub fn compute(for_so_long: Duration) {
    let begin = time(ClockId::ThreadCPUTime);
    while time(ClockId::ThreadCPUTime) - begin < for_so_long {
        for i in 0..1000 {
            black_box(i);
        }
    }
}

fn time(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// One that takes part in a row.
pub struct Peer {
    pub name: &'static str,
    pub lap: Box<dyn FnMut() -> Lap>,
    /// Why it can't take part on this machine, if it can't.
    pub lack: Option<String>,
}

impl Peer {
    pub fn new(name: &'static str, lap: impl FnMut() -> Lap + 'static) -> Self {
        Self {
            name,
            lap: Box::new(lap),
            lack: None,
        }
    }

    /// It isn't run, and the row says why.
    pub fn left_out(name: &'static str, lack: String) -> Self {
        Self {
            lack: Some(lack),
            ..Self::new(name, || unreachable!("it is left out"))
        }
    }

    /// What can't be beaten, as one more to be compared with: it takes `value` each time.
    pub fn ideal(value: f64) -> Self {
        Self::limit("ideal", value)
    }

    /// What must not be exceeded, as one more to be compared with.
    pub fn limit(name: &'static str, value: f64) -> Self {
        Self::new(name, move || Lap { value, cpu: value })
    }
}

/// Several laps as one, for work so small that the clock would be a part of it.
pub fn repeated(times: usize, mut lap: impl FnMut() -> Lap) -> impl FnMut() -> Lap {
    move || {
        let laps: Vec<Lap> = (0..times).map(|_| lap()).collect();
        let mean = |of: fn(&Lap) -> f64| laps.iter().map(of).sum::<f64>() / times as f64;
        Lap {
            value: mean(|lap| lap.value),
            cpu: mean(|lap| lap.cpu),
        }
    }
}
