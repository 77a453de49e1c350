//! `trace`: what a recording holds, and that it is written as the viewers want it.
//!
//! The tests of a process record each other, too. So what has to hold of each recording is checked of all of it. The rest is
//! checked of what a test's own lines have done.
#![cfg(not(footbridge_loom))]

mod common;

use common::watched;
use footbridge::{
    EventLoop, Pool, Sink, asyncify, run, spawn, spawn_blocking, spawn_generator, syncify,
    syncify_iter, trace,
};
use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::mpsc;

/// A value of JSON.
#[derive(Debug, Clone, PartialEq)]
enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// Reads JSON, and nothing that isn't.
struct Parser<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
}

impl Parser<'_> {
    fn parse(text: &str) -> Json {
        let mut parser = Parser {
            rest: text.chars().peekable(),
        };
        let value = parser.value();
        parser.space();
        assert_eq!(parser.rest.next(), None, "something is behind the value");
        value
    }

    fn space(&mut self) {
        while self
            .rest
            .next_if(|letter| letter.is_ascii_whitespace())
            .is_some()
        {}
    }

    fn expect(&mut self, text: &str) {
        for letter in text.chars() {
            assert_eq!(self.rest.next(), Some(letter), "in {text}");
        }
    }

    fn value(&mut self) -> Json {
        self.space();
        match self.rest.peek().expect("a value") {
            '{' => Json::Object(self.items('{', '}', |parser| {
                parser.space();
                let name = parser.text();
                parser.space();
                parser.expect(":");
                (name, parser.value())
            })),
            '[' => Json::List(self.items('[', ']', Parser::value)),
            '"' => Json::Text(self.text()),
            't' => {
                self.expect("true");
                Json::Bool(true)
            }
            'f' => {
                self.expect("false");
                Json::Bool(false)
            }
            'n' => {
                self.expect("null");
                Json::Null
            }
            _ => {
                let mut number = String::new();
                while let Some(letter) = self
                    .rest
                    .next_if(|letter| "-0123456789.eE+".contains(*letter))
                {
                    number.push(letter);
                }
                assert!(number.parse::<f64>().is_ok(), "{number}");
                Json::Number(number)
            }
        }
    }

    fn items<T, C: FromIterator<T>>(
        &mut self,
        open: char,
        close: char,
        item: impl Fn(&mut Self) -> T,
    ) -> C {
        assert_eq!(self.rest.next(), Some(open));
        let mut items = Vec::new();
        self.space();
        if self.rest.next_if_eq(&close).is_some() {
            return items.into_iter().collect();
        }
        loop {
            items.push(item(self));
            self.space();
            match self.rest.next() {
                Some(',') => {}
                Some(letter) if letter == close => return items.into_iter().collect(),
                other => panic!("{other:?} between items"),
            }
        }
    }

    fn text(&mut self) -> String {
        self.expect("\"");
        let mut text = String::new();
        loop {
            match self.rest.next().expect("the end of a string") {
                '"' => return text,
                '\\' => match self.rest.next().unwrap() {
                    'u' => {
                        let digits: String = (0..4).map(|_| self.rest.next().unwrap()).collect();
                        let number = u32::from_str_radix(&digits, 16).unwrap();
                        text.push(char::from_u32(number).unwrap());
                    }
                    letter => {
                        assert!("\"\\/".contains(letter));
                        text.push(letter);
                    }
                },
                letter => {
                    assert!(letter >= ' ', "a control character in a string");
                    text.push(letter);
                }
            }
        }
    }
}

impl Json {
    fn get(&self, name: &str) -> Option<&Json> {
        match self {
            Json::Object(object) => object.get(name),
            other => panic!("{other:?} is no object"),
        }
    }

    fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some(Json::Text(text)) => text,
            other => panic!("{name} is {other:?}, in {self:?}"),
        }
    }

    /// A time in nanoseconds, or a whole number times a thousand. Exact: no floating point.
    fn thousandths(&self, name: &str) -> u64 {
        let Some(Json::Number(number)) = self.get(name) else {
            panic!("{name} is no number, in {self:?}")
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = format!("{whole}{fraction:0<3}");
        assert!(fraction.len() <= 3, "{number}");
        digits.parse().unwrap()
    }
}

/// What was written, after a check of all that the format asks for.
struct Trace {
    threads: BTreeMap<u64, String>,
    slices: Vec<Slice>,
    arrows: Vec<Arrow>,
    /// Names of the tasks whose lives are there.
    lives: Vec<String>,
    lost: u64,
}

#[derive(Debug, Clone)]
struct Slice {
    tid: u64,
    begin: u64,
    end: u64,
    name: String,
    kind: String,
    /// The slice around it.
    outer: Option<usize>,
    queued: Option<u64>,
}

#[derive(Debug)]
struct Arrow {
    name: String,
    /// The innermost slices at its ends. For a result, the one that takes it.
    from: Slice,
    to: Slice,
}

impl Trace {
    fn of(recording: &trace::Recording) -> Self {
        let mut written = Vec::new();
        recording.write_chrome(&mut written).unwrap();
        let json = Parser::parse(std::str::from_utf8(&written).unwrap());
        let Some(Json::List(events)) = json.get("traceEvents") else {
            panic!("there is no list of events")
        };
        let mut trace = Trace {
            threads: BTreeMap::new(),
            slices: Vec::new(),
            arrows: Vec::new(),
            lives: Vec::new(),
            lost: json
                .get("otherData")
                .unwrap()
                .text("lost_events")
                .parse()
                .unwrap(),
        };
        // As Perfetto reads them: in the order of the file, an arrow's end is in the innermost open slice.
        let mut open = BTreeMap::<u64, Vec<usize>>::new();
        let (mut leaving, mut arrows) = (BTreeMap::new(), Vec::new());
        let mut lives = BTreeMap::new();
        let mut last = 0;
        for event in events {
            let tid = event.thousandths("tid") / 1000;
            assert!(tid >= 1 && event.thousandths("pid") == 1000);
            let innermost = open.get(&tid).and_then(|open| open.last()).copied();
            let phase = event.text("ph");
            if phase == "M" {
                assert_eq!(event.get("ts"), None, "a record of a name has no time");
                if event.text("name") == "thread_name" {
                    let name = event.get("args").unwrap().text("name").to_owned();
                    assert_eq!(trace.threads.insert(tid, name), None);
                }
                continue;
            }
            let at = event.thousandths("ts");
            if !"be".contains(phase) {
                assert!(last <= at, "the file goes back in time");
                last = at;
            }
            match phase {
                "B" => {
                    assert!(trace.threads.contains_key(&tid), "a thread without a name");
                    open.entry(tid).or_default().push(trace.slices.len());
                    trace.slices.push(Slice {
                        tid,
                        begin: at,
                        end: u64::MAX,
                        name: event.text("name").to_owned(),
                        kind: event.text("cat").to_owned(),
                        outer: innermost,
                        queued: event.get("args").map(|args| args.thousandths("queued_us")),
                    });
                }
                "E" => {
                    let ended = open.get_mut(&tid).and_then(Vec::pop);
                    trace.slices[ended.expect("an end without a beginning")].end = at;
                }
                "s" => {
                    let start = (event.text("name"), event.text("cat"), innermost);
                    assert_eq!(leaving.insert(event.thousandths("id"), start), None);
                }
                "f" => {
                    assert_eq!(event.text("bp"), "e");
                    let start = leaving.remove(&event.thousandths("id"));
                    let (name, cat, from) = start.expect("the start is before the end");
                    assert_eq!((event.text("name"), event.text("cat")), (name, cat));
                    let (from, to) = (from.unwrap(), innermost.unwrap());
                    // Else Perfetto turns it round.
                    let begins = (trace.slices[from].begin, trace.slices[to].begin);
                    assert!(begins.0 <= begins.1, "{name} arrives in an earlier slice");
                    arrows.push((name.to_owned(), from, to));
                }
                "b" => {
                    let begin = (event.text("name"), event.text("cat"), at);
                    let id = event.get("id2").unwrap().text("local");
                    assert_eq!(lives.insert(id, begin), None);
                }
                "e" => {
                    let id = event.get("id2").unwrap().text("local");
                    let (name, cat, begin) = lives.remove(id).unwrap();
                    assert_eq!((event.text("name"), event.text("cat")), (name, cat));
                    assert!(begin <= at);
                    trace.lives.push(name.to_owned());
                }
                other => panic!("an event of the phase {other}"),
            }
        }
        assert!(
            leaving.is_empty() && lives.is_empty(),
            "{leaving:?}, {lives:?}"
        );
        assert!(open.values().all(Vec::is_empty), "a slice without an end");
        for (name, from, to) in arrows {
            let [from, mut to] = [from, to].map(|slice| trace.slices[slice].clone());
            assert_eq!(
                to.kind == "arrival",
                ["result", "answer"].contains(&&name[..])
            );
            if to.kind == "arrival" {
                assert_eq!((&to.name, to.begin), (&name, to.end));
                to = trace.slices[to.outer.expect("what takes the result")].clone();
            }
            trace.arrows.push(Arrow { name, from, to });
        }
        trace
    }

    fn named(&self, name: &str) -> Vec<&Slice> {
        self.slices
            .iter()
            .filter(|slice| slice.name == name)
            .collect()
    }

    /// The slices whose kind is this, and which belong to this line.
    fn of_line(&self, kind: &str, line: u32) -> Vec<&Slice> {
        let start = format!("{kind} {}:{line}:", file!());
        self.slices
            .iter()
            .filter(|slice| slice.name.starts_with(&start))
            .collect()
    }

    fn arrows_of(&self, name: &str, to: &str) -> Vec<&Arrow> {
        let is_it = |arrow: &&Arrow| arrow.name == name && arrow.to.name.contains(to);
        self.arrows.iter().filter(is_it).collect()
    }
}

#[track_caller]
fn line() -> u32 {
    Location::caller().line()
}

#[test]
fn a_call_of_each_bridge_is_there_with_its_slices_and_the_four_arrows_between_them() {
    watched(|| {
        let recorder = trace::record(100_000);
        let (call, main) = (line() + 3, line() + 5);
        let job = || {
            // One line for the call and one for its way back.
            syncify(async || footbridge::yield_now().await)().unwrap();
        };
        run(async { asyncify(job)().await });
        let trace = Trace::of(&recorder.stop());

        let [job] = trace.of_line("job", main)[..] else {
            panic!("one job, not {:?}", trace.slices)
        };
        assert!(job.queued.is_some() && trace.threads[&job.tid].starts_with("footbridge-"));
        let waits = trace.named("syncify");
        let wait = waits.iter().find(|wait| wait.tid == job.tid).unwrap();
        assert!(job.begin <= wait.begin && wait.end <= job.end && wait.kind == "wait");
        // It yields once: two polls, of the task that was posted.
        assert_eq!(trace.of_line("poll", call).len(), 2);
        assert!(!trace.of_line("poll", main).is_empty() && !trace.named("turn").is_empty());

        let submits = trace.arrows_of("submit", &format!("job {}:{main}:", file!()));
        assert_eq!(submits.len(), 1);
        assert_eq!(submits[0].from.kind, "submit");
        let posts = trace.arrows_of("post", &format!("poll {}:{call}:", file!()));
        assert_eq!((posts.len(), posts[0].from.tid), (1, job.tid));
        let answers = trace.arrows_of("answer", "syncify");
        let answer = answers.iter().find(|answer| answer.to.tid == job.tid);
        assert!(
            answer
                .unwrap()
                .from
                .name
                .starts_with(&format!("poll {}:{call}:", file!()))
        );
        let results = trace.arrows_of("result", &format!("poll {}:{main}:", file!()));
        assert_eq!((results.len(), results[0].from.tid), (1, job.tid));
        let life = format!("task {}:{call}:", file!());
        assert_eq!(
            trace
                .lives
                .iter()
                .filter(|name| name.starts_with(&life))
                .count(),
            1
        );
    });
}

#[test]
fn a_generator_that_waits_for_its_consumer_waits_in_a_slice() {
    watched(|| {
        let pool = Pool::builder().build();
        let mut event_loop = EventLoop::builder().pool(&pool).build();
        let recorder = trace::record(100_000);
        let at = line() + 2;
        let items = event_loop.run_until(async {
            let mut items = spawn_generator(|sink: &Sink<u32>| {
                for n in 0..10_000 {
                    sink.send(n).unwrap();
                }
            });
            while pool.stats().parked_in_syncify == 0 {
                footbridge::yield_now().await; // until there is no more room
            }
            let mut received = 0;
            while items.next().await.is_some() {
                received += 1;
            }
            received
        });
        assert_eq!(items, 10_000);
        let trace = Trace::of(&recorder.stop());
        let [job] = trace.of_line("job", at)[..] else {
            panic!("one job, not {:?}", trace.slices)
        };
        let waits = trace.named("send");
        let wait = waits.iter().find(|wait| wait.tid == job.tid).unwrap();
        assert!(wait.kind == "wait" && job.begin <= wait.begin && wait.end <= job.end);
    });
}

#[test]
fn a_job_that_waits_for_an_async_sequence_waits_in_a_slice() {
    watched(|| {
        let recorder = trace::record(100_000);
        let at = line() + 6;
        let job = || {
            let mut left = 0..3;
            let items = syncify_iter(|| async move || left.next());
            assert_eq!(items.map(Result::unwrap).sum::<u32>(), 3);
        };
        run(async { asyncify(job)().await });
        let trace = Trace::of(&recorder.stop());
        let [job] = trace.of_line("job", at)[..] else {
            panic!("one job, not {:?}", trace.slices)
        };
        let waits = trace.named("syncify_iter");
        let wait = waits.iter().find(|wait| wait.tid == job.tid).unwrap();
        assert!(wait.kind == "wait" && job.begin <= wait.begin && wait.end <= job.end);
    });
}

#[test]
fn a_recording_that_begins_and_stops_amid_a_poll_has_what_was_whole_and_what_had_not_ended() {
    watched(|| {
        let task = line() + 4;
        let (trace, job) = run(async {
            let recorder = trace::record(100_000);
            let ((begun, has_begun), (go, wait)) = (mpsc::channel(), mpsc::channel::<()>());
            let task = spawn(async {
                footbridge::yield_now().await;
            });
            let job = spawn_blocking(move || {
                begun.send(()).unwrap();
                wait.recv().unwrap();
            });
            task.await.unwrap();
            has_begun.recv().unwrap();
            let trace = Trace::of(&recorder.stop());
            go.send(()).unwrap();
            job.await;
            (trace, line() - 10)
        });
        assert!(!trace.of_line("poll", task).is_empty());
        let jobs: Vec<_> = (job - 4..job + 4)
            .flat_map(|line| trace.of_line("job", line))
            .collect();
        assert_eq!(jobs.len(), 1, "the job that still runs");
    });
}

#[test]
fn the_last_events_are_kept_the_lost_ones_counted_and_no_arrow_loses_an_end() {
    watched(|| {
        let recorder = trace::record(50);
        run(async {
            for n in 0..100 {
                assert_eq!(asyncify(move || n)().await, n);
            }
        });
        let trace = Trace::of(&recorder.stop());
        assert!(trace.lost > 0);
        let mut of_thread = BTreeMap::<u64, usize>::new();
        for slice in &trace.slices {
            *of_thread.entry(slice.tid).or_default() += 1;
        }
        assert!(
            of_thread.values().all(|slices| *slices <= 50),
            "{of_thread:?}"
        );
    });
}

#[test]
fn recordings_may_overlap_and_each_has_its_own_time() {
    watched(|| {
        let (outer, inner) = (trace::record(100_000), trace::record(100_000));
        let at = line() + 1;
        run(async { spawn(async {}).await.unwrap() });
        let inner = Trace::of(&inner.stop());
        let later = line() + 1;
        run(async { spawn(async {}).await.unwrap() });
        let outer = Trace::of(&outer.stop());
        assert!(!inner.of_line("poll", at).is_empty() && inner.of_line("poll", later).is_empty());
        assert!(!outer.of_line("poll", at).is_empty() && !outer.of_line("poll", later).is_empty());
    });
}

#[test]
fn a_recorder_that_is_dropped_records_no_more() {
    watched(|| {
        drop(trace::record(10));
        let recorder = trace::record(0);
        run(async { spawn(async {}).await.unwrap() });
        let trace = Trace::of(&recorder.stop());
        assert!(trace.slices.is_empty() && trace.arrows.is_empty() && trace.lost > 0);
    });
}

#[test]
fn a_panic_of_the_main_future_ends_its_slices() {
    watched(|| {
        let recorder = trace::record(100_000);
        let at = line() + 2;
        common::panic_of(|| {
            run(async {
                footbridge::yield_now().await;
                panic!("in the second poll");
            });
        });
        let next = line() + 1;
        run(async { footbridge::yield_now().await });
        let trace = Trace::of(&recorder.stop());
        let (first, second) = (trace.of_line("poll", at), trace.of_line("poll", next));
        assert_eq!((first.len(), second.len()), (2, 2));
        assert!(first.iter().all(|slice| slice.end <= second[0].begin));
    });
}

#[test]
fn a_drawing_has_a_rectangle_with_a_title_for_each_slice_and_is_well_formed() {
    watched(|| {
        let recorder = trace::record(100);
        run(async { asyncify(|| ())().await });
        let recording = recorder.stop();
        let mut slices = Trace::of(&recording).slices;
        slices.retain(|slice| slice.kind != "arrival");
        let mut written = Vec::new();
        recording.write_svg(&mut written).unwrap();
        let svg = String::from_utf8(written).unwrap();
        assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
        assert_eq!(svg.matches("<rect ").count(), slices.len());
        assert_eq!(svg.matches("</title></rect>").count(), slices.len());
        assert!(!svg.contains("<script") && svg.contains("prefers-color-scheme:dark"));
        // Each element is closed, in order.
        let mut open = Vec::new();
        for tag in svg
            .split('<')
            .skip(1)
            .map(|tag| tag.split_once('>').unwrap().0)
        {
            if let Some(name) = tag.strip_prefix('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(tag.split_whitespace().next().unwrap());
            }
        }
        assert!(open.is_empty());
    });
}

#[test]
fn a_drawing_of_thousands_of_slices_is_refused_with_an_error_that_says_so() {
    watched(|| {
        let recorder = trace::record(100_000);
        run(async {
            for _ in 0..1500 {
                footbridge::yield_now().await;
            }
        });
        let error = recorder.stop().write_svg(Vec::new()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("write_chrome"), "{error}");
    });
}
