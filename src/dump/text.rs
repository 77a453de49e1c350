//! The lines of a dump. Things of one place that do the same share a line, so a hundred thousand tasks make a few lines.

use crate::dump::Party;
use crate::dump::ask::{LoopState, LoopStatus};
use crate::dump::picture::Picture;
use crate::event_loop::report::LoopReport;
use crate::event_loop::task_waker::MAIN_KEY;
use crate::observe::blocked::seconds;
use crate::pool::report::{PoolReport, WorkerReport};
use crate::sync::now;
use std::collections::BTreeMap;
use std::fmt::Display;

/// A list has at most so many lines.
const MOST: usize = 100;

pub(super) fn lines(picture: &Picture) -> Vec<String> {
    let mut lines = Vec::new();
    for of in &picture.reports.loops {
        loop_lines(picture, of, &mut lines);
    }
    for pool in &picture.reports.pools {
        pool_lines(pool, &mut lines);
    }
    limiter_lines(picture, &mut lines);
    lines
}

fn loop_lines(picture: &Picture, of: &LoopState, lines: &mut Vec<String>) {
    let thread = &of.thread;
    match &of.status {
        LoopStatus::Described(report) => {
            let count = report.tasks.len();
            let is_listed = |key| report.tasks.iter().any(|task| task.key == key);
            let here = match report.polling.map(is_listed) {
                Some(true) => ", one of which makes this dump",
                Some(false) => ", and a new one, which makes this dump",
                None => "",
            };
            lines.push(format!(
                "loop on thread {thread}: {}{here}",
                counted(count, "task")
            ));
            list(task_lines(picture, of, report), lines);
        }
        LoopStatus::NotRun => lines.push(format!("loop of thread {thread}: no thread runs it")),
        LoopStatus::Blocked(None) => lines.push(format!(
            "loop on thread {thread}: blocked: it runs, and doesn't answer"
        )),
        LoopStatus::Blocked(Some(step)) => {
            let doing = in_parentheses(step.doing.as_deref());
            lines.push(format!(
                "loop on thread {thread}: blocked by what was spawned at {}{doing}",
                step.spawned_at
            ));
        }
        LoopStatus::Busy => lines.push(format!(
            "loop on thread {thread}: it runs, and hasn't come to answer"
        )),
        LoopStatus::Ending(step) => {
            let drops = step.as_ref().map_or_else(String::new, |step| {
                let doing = in_parentheses(step.doing.as_deref());
                format!(", and drops what was spawned at {}{doing}", step.spawned_at)
            });
            lines.push(format!("loop on thread {thread}: it ends{drops}"));
        }
    }
}

fn task_lines(picture: &Picture, of: &LoopState, report: &LoopReport) -> Vec<String> {
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for task in &report.tasks {
        let mut waits: Vec<_> = picture.waits_of_task(of, task.key).collect();
        waits.sort_unstable();
        waits.dedup();
        let is_main = task.key == MAIN_KEY;
        *counts
            .entry((!is_main, task.spawned_at, waits))
            .or_default() += 1;
    }
    let counts = counts.into_iter();
    let line = |((is_task, at, waits), count): ((bool, _, Vec<&Party>), usize)| {
        let what = match (is_task, count) {
            (false, _) => format!("the main future, entered at {at},"),
            (true, 1) => format!("a task spawned at {at}"),
            (true, _) => format!("{count} tasks spawned at {at}"),
        };
        let verb = |one, many| if count == 1 { one } else { many };
        if waits.is_empty() {
            return format!("{what} {} ready", verb("is", "are"));
        }
        format!(
            "{what} {} for {}",
            verb("waits", "wait"),
            listed(&waits, " and ")
        )
    };
    counts.map(line).collect()
}

fn pool_lines(pool: &PoolReport, lines: &mut Vec<String>) {
    let threads = pool.workers.len() + pool.idle;
    lines.push(format!(
        "pool {}: {threads} of at most {} threads, {} idle, {} queued",
        pool.name,
        pool.max_threads,
        number(pool.idle),
        counted(pool.queued, "job"),
    ));
    list(pool.workers.iter().map(worker_line).collect(), lines);
}

fn worker_line(worker: &WorkerReport) -> String {
    let name = &worker.name;
    let Some(job) = &worker.job else {
        return format!("{name} is between two jobs");
    };
    let since = |since| seconds(now().saturating_duration_since(since));
    let what = match &worker.parked {
        Some(parked) => format!(
            ", and is parked in {} for {}",
            parked.what,
            since(parked.since)
        ),
        None => in_parentheses(worker.doing.as_deref()),
    };
    format!(
        "{name} has run a job submitted at {} for {}{what}",
        job.submitted_at,
        since(job.since)
    )
}

fn limiter_lines(picture: &Picture, lines: &mut Vec<String>) {
    for limiter in &picture.reports.limiters {
        if limiter.borrowed == 0 && limiter.line.is_empty() {
            continue;
        }
        lines.push(format!(
            "limiter of {}: {} taken, {} in line",
            counted(limiter.total, "token"),
            number(limiter.borrowed),
            number(limiter.line.len())
        ));
        let mut held: Vec<_> = picture.holders(limiter.address).collect();
        let unknown = limiter.borrowed.saturating_sub(held.len());
        held.sort_unstable();
        let mut inner = runs(held.into_iter(), |party| format!("held by {party}"));
        if unknown > 0 {
            let what = "held by permits, or by jobs that run or are queued";
            inner.push(format!("{what}: {unknown}"));
        }
        let line = limiter.line.iter();
        let line = line.map(|(_, waker)| picture.party_of(*waker));
        inner.extend(runs(line, |party| format!("in line: {party}")));
        list(inner, lines);
    }
}

/// A line for each run of equal parties.
fn runs<'a>(
    parties: impl Iterator<Item = &'a Party>,
    line: impl Fn(&Party) -> String,
) -> Vec<String> {
    let mut runs: Vec<(&Party, usize)> = Vec::new();
    for party in parties {
        match runs.last_mut() {
            Some((last, count)) if *last == party => *count += 1,
            _ => runs.push((party, 1)),
        }
    }
    let with_count = |(party, count): (&Party, usize)| match count {
        1 => line(party),
        _ => format!("{}, {count} times", line(party)),
    };
    runs.into_iter().map(with_count).collect()
}

/// Adds the lines, one level in.
fn list(inner: Vec<String>, lines: &mut Vec<String>) {
    let more = inner.len().saturating_sub(MOST);
    lines.extend(inner.into_iter().take(MOST).map(|line| format!("  {line}")));
    if more > 0 {
        lines.push(format!("  and {more} lines more"));
    }
}

fn listed(parties: &[&impl Display], between: &str) -> String {
    let parties: Vec<_> = parties.iter().map(ToString::to_string).collect();
    parties.join(between)
}

fn in_parentheses(doing: Option<&str>) -> String {
    doing.map_or_else(String::new, |doing| format!(" ({doing})"))
}

fn number(number: usize) -> String {
    match number {
        0 => "none".into(),
        _ => number.to_string(),
    }
}

fn counted(count: usize, what: &str) -> String {
    match count {
        0 => format!("no {what}"),
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}
