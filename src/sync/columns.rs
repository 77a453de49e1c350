//! Prints what the threads of a failed model have done: a column for each thread, a row for each step.
//!
//! ```text
//!                 | main                             | thread 1
//! > canary.rs:106 | work.load(Relaxed) reads false
//!   parker.rs:134 | park: condvar.wait(state) sleeps
//! > canary.rs:99  |                                  | work.store(true, Relaxed) writes true
//! ```
//!
//! A row has the call in the words of the source, after the name of the function that makes it, and what it has read and
//! written. Steps on what no other thread touches are left out, because their order matters to no other thread.

use super::interleaving::{Access, Action, Log, Thread, Turn, Value};
use std::collections::HashMap;
use std::fmt::Write;
use std::panic::Location;
use std::path::Path;

/// The widest column. A longer cell goes on to the right, where its row is empty.
const WIDEST: usize = 40;

/// Longer arguments, and longer names of functions, are left out.
const LONG: usize = 24;

struct Row {
    place: String,
    /// The index of its column.
    thread: usize,
    cell: String,
}

pub(super) fn show(log: &Log) -> String {
    let rows = rows(log);
    let margin = rows.iter().map(|row| row.place.len()).max().unwrap_or(0);
    let names: Vec<String> = log.threads.iter().map(name).collect();
    let width_of = |thread: usize| {
        let cells = rows.iter().filter(|row| row.thread == thread);
        let widest = cells.map(|row| row.cell.chars().count().min(WIDEST)).max();
        names[thread].len().max(widest.unwrap_or(0))
    };
    let widths: Vec<usize> = (0..log.threads.len()).map(width_of).collect();
    let mut head = format!("{:margin$}", "");
    for (name, width) in names.iter().zip(&widths) {
        let _ = write!(head, " | {name:width$}");
    }
    let mut text = format!("\nThe iteration that failed:\n\n{}\n", head.trim_end());
    for row in &rows {
        let _ = write!(text, "{:margin$}", row.place);
        for width in &widths[..row.thread] {
            let _ = write!(text, " | {:width$}", "");
        }
        let _ = writeln!(text, " | {}", row.cell);
    }
    let left_out = log.left_out;
    if left_out > 0 {
        let _ = writeln!(text, "(without the first {left_out} steps)");
    }
    text
}

/// Of a thread without a name, its number. That of the model's own thread is 0.
fn name(thread: &Thread) -> String {
    let id = format!("{:?}", thread.handle.id());
    match (thread.handle.name(), id.as_str()) {
        (Some(name), _) => name.into(),
        (None, "ThreadId(0)") => "main".into(),
        (None, id) => id.replace("ThreadId(", "thread ").replace(')', ""),
    }
}

fn rows(log: &Log) -> Vec<Row> {
    let mut source = Source::default();
    let mut rows = Vec::new();
    let mut row = |place, thread, cell| {
        rows.push(Row {
            place,
            thread,
            cell,
        })
    };
    // What follows on the last panic is what threads do while they unwind.
    let is_panic = |turn: &Turn| matches!(turn.action, Action::Panic(..));
    let last = log.turns.iter().rposition(is_panic);
    let end = last.map_or(log.turns.len(), |last| last + 1);
    let is_private = private(log);
    let mut newest = HashMap::new();
    for turn in log.turns.range(..end) {
        let (thread, access) = (turn.thread, &turn.access);
        match &turn.action {
            Action::Step(..) if is_private(access.object) => {}
            Action::Step(read, written) => {
                let newest = newest.entry(access.object).or_insert(*read);
                let values = values(*read, *written, *newest);
                *newest = written.or(*newest);
                row(place(access), thread, source.text(access) + &values);
            }
            Action::Call(what) => row(place(access), thread, source.text(access) + what),
            Action::Start(name) => row(String::new(), thread, format!("starts {name}")),
            Action::End => row(String::new(), thread, "ends".into()),
            // No thread can go on, so none is about to take its turn: each waits in the call that it is in.
            Action::Panic(_, message) if message.starts_with("deadlock; threads") => {
                for (thread, access) in waiting(log) {
                    let cell = source.text(access) + " never returns: deadlock";
                    row(place(access), thread, cell);
                }
            }
            Action::Panic(at, message) => row(base(at), thread, format!("panics: {message}")),
        }
    }
    rows
}

/// The threads that are in a call, and the calls.
fn waiting(log: &Log) -> impl Iterator<Item = (usize, &Access)> {
    let accesses = log.threads.iter().map(|thread| thread.within.as_ref());
    accesses
        .enumerate()
        .filter_map(|(thread, access)| Some((thread, access?)))
}

/// Whether only one thread uses the object of that address.
fn private(log: &Log) -> impl Fn(usize) -> bool {
    let mut users: HashMap<usize, Option<usize>> = HashMap::new();
    let turns = log.turns.iter().map(|turn| (turn.thread, &turn.access));
    for (thread, access) in turns.chain(waiting(log)) {
        let user = users.entry(access.object).or_insert(Some(thread));
        *user = user.filter(|user| *user == thread);
    }
    move |object| users.get(&object).is_some_and(Option::is_some)
}

/// The name of the file, and the line, with a mark if it isn't of this crate.
fn base(at: &str) -> String {
    let source = Path::new(file!()).ancestors().nth(2);
    let is_ours = source.is_some_and(|source| Path::new(at).starts_with(source));
    let mark = if is_ours { ' ' } else { '>' };
    let name = at.rsplit(['/', '\\']).next().unwrap_or(at);
    let line = name.rsplit_once(':').map_or(name, |(line, _column)| line);
    format!("{mark} {line}")
}

fn place(access: &Access) -> String {
    base(&access.at.to_string())
}

/// What a step has read and written. What it reads is stale if another value has been written last.
fn values(read: Option<Value>, written: Option<Value>, newest: Option<Value>) -> String {
    let show = |value| match value {
        Value::Bool(value) => value.to_string(),
        Value::Unsigned(value) => value.to_string(),
        Value::Signed(value) => value.to_string(),
    };
    let stale = if read == newest { "" } else { ", stale" };
    match (read.map(show), written.map(show)) {
        (None, None) => String::new(),
        (Some(read), None) => format!(" reads {read}{stale}"),
        (None, Some(written)) => format!(" writes {written}"),
        (Some(read), Some(written)) => format!(": {read} -> {written}"),
    }
}

/// The source files, as far as they are found.
#[derive(Default)]
struct Source(HashMap<&'static str, Option<String>>);

impl Source {
    /// The call in the words of the source, after the name of the function that makes it.
    fn text(&mut self, access: &Access) -> String {
        let file = access.at.file();
        let text = self.0.entry(file).or_insert_with(|| find(file));
        let parts = text.as_deref().and_then(|text| parts(text, access.at));
        let Some((before, after)) = parts else {
            return "a step".into();
        };
        let call = receiver(before) + &without_long_arguments(after);
        let call = call.replace("self.", "");
        match function(before).filter(|name| name.len() <= LONG) {
            Some(name) => format!("{name}: {call}"),
            None => call,
        }
    }
}

/// The compiler names files from the root of the workspace, which is here or above.
fn find(file: &str) -> Option<String> {
    let here = std::env::current_dir().ok()?;
    let paths = here.ancestors().map(|folder| folder.join(file));
    paths.map(std::fs::read_to_string).find_map(Result::ok)
}

/// The text before the place, and from there on.
fn parts<'a>(text: &'a str, at: &Location<'_>) -> Option<(&'a str, &'a str)> {
    let lines = text.split_inclusive('\n');
    let start: usize = lines.take(at.line() as usize - 1).map(str::len).sum();
    let rest = text.get(start..)?;
    let column = rest.char_indices().nth(at.column() as usize - 1)?.0;
    text.split_at_checked(start + column)
}

/// The expression in front of the method's name.
fn receiver(before: &str) -> String {
    let mut depth = 0;
    let mut reversed = String::new();
    let mut after_dot = false;
    for letter in before.chars().rev() {
        match letter {
            ')' | ']' => depth += 1,
            '(' | '[' if depth > 0 => depth -= 1,
            '.' => after_dot = true,
            _ if depth > 0 => {}
            // A chain over several lines.
            _ if letter.is_whitespace() && after_dot => continue,
            _ if letter.is_alphanumeric() || "_:?".contains(letter) => {
                after_dot = false;
            }
            _ => break,
        }
        if !letter.is_whitespace() {
            reversed.push(letter);
        }
    }
    reversed.chars().rev().collect()
}

/// The call's name, and its arguments if they are short.
fn without_long_arguments(after: &str) -> String {
    let mut depth = 0;
    let ends = |(_, letter): &(usize, char)| {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        *letter == ')' && depth == 0
    };
    let end = after
        .char_indices()
        .find(ends)
        .map_or(0, |(end, _)| end + 1);
    let words: Vec<&str> = after[..end].split_whitespace().collect();
    let call = words.join(" ").replace("Ordering::", "");
    match call.split_once('(') {
        Some((name, arguments)) if arguments.len() > LONG => format!("{name}(..)"),
        _ => call,
    }
}

/// The name of the function that the text is in the midst of.
fn function(before: &str) -> Option<&str> {
    before.lines().rev().find_map(|line| {
        let (front, rest) = line.trim_start().split_once("fn ")?;
        let is_head = front.is_empty() || front.starts_with("pub") || front.starts_with("async");
        let name = rest
            .split(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .next();
        name.filter(|name| is_head && !name.is_empty())
    })
}
