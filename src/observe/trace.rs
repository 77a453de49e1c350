//! A recording of what a program does: turns, polls, jobs and waits, thread by thread, and what caused what.
//!
//! ```
//! use footbridge::{asyncify, run, trace};
//!
//! let recorder = trace::record(10_000);
//! run(async { asyncify(|n: u32| n + 1)(41).await });
//! let recording = recorder.stop();
//!
//! let mut file = Vec::new(); // or a `File`, to be opened in ui.perfetto.dev or chrome://tracing
//! recording.write_chrome(&mut file)?;
//! let mut drawing = Vec::new(); // or a file, to be opened in a browser
//! recording.write_svg(&mut drawing)?;
//! assert!(drawing.starts_with(b"<svg"));
//! # Ok::<(), std::io::Error>(())
//! ```

use crate::observe::chrome;
use crate::observe::log::{self, Logs};
use crate::observe::svg;
use crate::observe::timeline::Timeline;
use crate::sync::Arc;
use crate::sync::now;
use std::fmt;
use std::io::{self, Write};

/// Begins to record what this crate's loops and pools do, in the whole process. Each thread keeps its last `limit` events. A
/// slice has two, and an arrow two.
///
/// What had begun before isn't recorded. Several recordings may run at once. While one runs, a step of a loop costs some
/// hundred nanoseconds more. Under `--cfg footbridge_loom` a recording is empty. The [module](self) has an example.
#[must_use = "dropping a Recorder ends the recording, and it is lost"]
pub fn record(limit: usize) -> Recorder {
    Recorder {
        logs: log::start(limit),
    }
}

/// A recording that runs. Dropping it ends the recording, and what was recorded is lost.
pub struct Recorder {
    logs: Arc<Logs>,
}

impl Recorder {
    /// Ends the recording. The [module](self) has an example.
    pub fn stop(self) -> Recording {
        log::stop(&self.logs);
        Recording {
            timeline: Timeline::new(self.logs.start, now(), self.logs.take()),
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        log::stop(&self.logs);
        // Threads keep their logs until something is recorded again. What is in the logs goes now.
        drop(self.logs.take());
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

/// What was recorded. The [module](self) has an example.
pub struct Recording {
    timeline: Timeline,
}

impl Recording {
    /// Writes it in the Trace Event Format, for [Perfetto](https://ui.perfetto.dev) and `chrome://tracing`.
    ///
    /// A thread has slices: `turn`, a turn of its loop; `poll`, a poll, callback or drop of what was spawned at a line;
    /// `job`, with the microseconds that it was queued as `queued_us`; and waits, such as `syncify` and `join`. An arrow
    /// leads from a submit to its job, from the job's end to the poll that takes the result, from a post to its task, and
    /// from a task's end to the wait that takes its result. In that poll or wait, the moment when the result arrives is a
    /// slice without length, `result` or `answer`. A task has a track from its spawn to its end. How many events were lost
    /// is in `otherData`.
    ///
    /// (Perfetto draws the arrows of the slice that is selected, `chrome://tracing` those of the category `arrow` in its
    /// menu of flow events.)
    ///
    /// # Errors
    /// Those of `to`.
    pub fn write_chrome(&self, to: impl Write) -> io::Result<()> {
        chrome::write(&self.timeline, to)
    }

    /// Draws it: a lane for each thread, and a title for each slice, as a self-contained SVG without scripts.
    ///
    /// # Errors
    /// Those of `to`. If there are more than 2,000 slices, [`InvalidInput`](io::ErrorKind::InvalidInput): the drawing could
    /// not be read.
    pub fn write_svg(&self, to: impl Write) -> io::Result<()> {
        svg::write(&self.timeline, to)
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording")
            .field("threads", &self.timeline.threads.len())
            .field("slices", &self.timeline.slices.len())
            .field("lost", &self.timeline.lost)
            .finish()
    }
}

#[cfg(all(test, not(footbridge_loom)))]
mod tests {
    use super::*;
    use crate::observe::event::{self, Slice};
    use crate::sync::current_thread_name;

    #[test]
    fn a_log_keeps_the_last_events_up_to_the_limit_and_counts_the_others() {
        let recorder = record(3);
        for _ in 0..2 {
            drop(event::slice(|| Slice::Turn)); // two events
        }
        let logs = recorder.logs.take();
        let own = logs.iter().find(|log| log.thread == current_thread_name());
        assert_eq!(own.map(|log| (log.events.len(), log.lost)), Some((3, 1)));
    }

    #[test]
    fn a_recorder_that_is_dropped_keeps_no_events_in_the_logs_of_its_threads() {
        let recorder = record(10);
        drop(event::slice(|| Slice::Turn));
        let logs = recorder.logs.clone(); // as the thread-local of this thread has it
        drop(recorder);
        assert!(logs.take().is_empty());
    }
}
