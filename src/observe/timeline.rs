//! The events of a recording, put together: slices with a beginning and an end, arrows with both ends.
//!
//! The rule: what is not whole is left out. A slice whose beginning was lost isn't there. A slice that had not ended ends
//! with the recording. An arrow is there if both of its ends lie in slices that are.

use crate::observe::event::{Arrow, Event, Slice, TaskAddress};
use crate::observe::log::TakenLog;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::time::{Duration, Instant};

pub(super) struct Timeline {
    /// The threads' names.
    pub(super) threads: Vec<String>,
    /// Of each thread, the outer ones before those in them.
    pub(super) slices: Vec<TimedSlice>,
    pub(super) arrows: Vec<TimedArrow>,
    pub(super) lives: Vec<TaskLife>,
    pub(super) length: Duration,
    pub(super) lost: u64,
}

/// All times are from the start of the recording.
pub(super) struct TimedSlice {
    pub(super) thread: usize,
    pub(super) slice: Slice,
    pub(super) begin: Duration,
    pub(super) end: Duration,
    /// Of its beginning and its end: how many events of the thread are before them.
    pub(super) positions: (usize, usize),
    /// In how many slices it is.
    pub(super) depth: usize,
    /// For a job: how long it was queued.
    pub(super) queued: Option<Duration>,
}

pub(super) struct TimedArrow {
    pub(super) arrow: Arrow,
    pub(super) from: ArrowEnd,
    pub(super) to: ArrowEnd,
}

#[derive(Clone, Copy)]
pub(super) struct ArrowEnd {
    pub(super) slice: usize,
    pub(super) at: Duration,
    /// As in a slice.
    pub(super) position: usize,
}

pub(super) struct TaskLife {
    pub(super) spawned_at: &'static Location<'static>,
    pub(super) begin: (usize, Duration),
    pub(super) end: (usize, Duration),
}

impl Slice {
    /// A word for its kind.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Turn => "turn",
            Self::Step(_) => "poll",
            Self::Submit(_) => "submit",
            Self::Job(_) => "job",
            Self::Post(_) => "post",
            Self::Wait(_) => "wait",
        }
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(at) | Self::Submit(at) | Self::Job(at) | Self::Post(at) => {
                write!(f, "{} {at}", self.kind())
            }
            Self::Turn => f.write_str(self.kind()),
            Self::Wait(call) => f.write_str(call),
        }
    }
}

impl Arrow {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Result => "result",
            Self::Post => "post",
            Self::Answer => "answer",
        }
    }
}

/// The moments of all threads, in the order of time. At one moment, what leaves comes before what arrives.
type Moments = Vec<(Duration, bool, Moment)>;

enum Moment {
    From(Arrow, usize, ArrowEnd),
    To(Arrow, usize, ArrowEnd),
    Spawned(TaskAddress, &'static Location<'static>, usize),
    Ended(TaskAddress, usize),
}

impl Timeline {
    pub(super) fn new(start: Instant, stop: Instant, logs: Vec<TakenLog>) -> Self {
        let mut timeline = Self {
            threads: Vec::new(),
            slices: Vec::new(),
            arrows: Vec::new(),
            lives: Vec::new(),
            length: stop.saturating_duration_since(start),
            lost: 0,
        };
        let mut moments = Vec::new();
        // Where events were lost, one end of an earlier arrow may be missing, and the other end would meet a stranger.
        let mut whole_from = Duration::ZERO;
        for log in logs {
            timeline.lost += log.lost;
            if let (Some((first, _)), true) = (log.events.first(), log.lost > 0) {
                whole_from = whole_from.max(first.saturating_duration_since(start));
            }
            timeline.add_thread(start, log, &mut moments);
        }
        moments.retain(|(at, ..)| *at >= whole_from);
        moments.sort_by_key(|(at, arrives, _)| (*at, *arrives));
        timeline.connect(moments);
        timeline
    }

    fn add_thread(&mut self, start: Instant, log: TakenLog, moments: &mut Moments) {
        let thread = self.threads.len();
        self.threads.push(log.thread);
        let mut open: Vec<usize> = Vec::new();
        for (position, (at, event)) in log.events.into_iter().enumerate() {
            let at = at.saturating_duration_since(start).min(self.length);
            let end = open.last().map(|&slice| ArrowEnd {
                slice,
                at,
                position,
            });
            match event {
                Event::Begin(slice) => {
                    open.push(self.slices.len());
                    self.slices.push(TimedSlice {
                        thread,
                        slice,
                        begin: at,
                        end: self.length,
                        // Those that haven't ended end after all else, the inner ones first.
                        positions: (position, usize::MAX - open.len()),
                        depth: open.len() - 1,
                        queued: None,
                    });
                }
                Event::End => {
                    if let Some(slice) = open.pop() {
                        self.slices[slice].end = at;
                        self.slices[slice].positions.1 = position;
                    }
                }
                Event::From(arrow, number) => {
                    moments.extend(end.map(|end| (at, false, Moment::From(arrow, number, end))))
                }
                Event::To(arrow, number) => {
                    moments.extend(end.map(|end| (at, true, Moment::To(arrow, number, end))))
                }
                Event::Spawned(task, place) => {
                    moments.push((at, false, Moment::Spawned(task, place, thread)));
                }
                Event::Ended(task) => moments.push((at, true, Moment::Ended(task, thread))),
            }
        }
    }

    /// Finds the other ends.
    fn connect(&mut self, moments: Moments) {
        let mut left: BTreeMap<(Arrow, usize), ArrowEnd> = BTreeMap::new();
        let mut living = BTreeMap::new();
        for (at, _, moment) in moments {
            match moment {
                Moment::From(arrow, number, from) => {
                    left.insert((arrow, number), from);
                }
                Moment::To(arrow, number, to) => {
                    let Some(from) = left.remove(&(arrow, number)) else {
                        continue;
                    };
                    if arrow == Arrow::Submit {
                        self.slices[to.slice].queued = Some(at - from.at);
                    }
                    self.arrows.push(TimedArrow { arrow, from, to });
                }
                Moment::Spawned(task, spawned_at, thread) => {
                    living.insert(task, (spawned_at, (thread, at)));
                }
                Moment::Ended(task, thread) => {
                    if let Some((spawned_at, begin)) = living.remove(&task) {
                        let end = (thread, at);
                        self.lives.push(TaskLife {
                            spawned_at,
                            begin,
                            end,
                        });
                    }
                }
            }
        }
        let unended = living.into_values().map(|(spawned_at, begin)| TaskLife {
            spawned_at,
            begin,
            end: (begin.0, self.length),
        });
        self.lives.extend(unended);
    }
}
