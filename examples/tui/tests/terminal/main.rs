//! The program as one sees it: run in a terminal, typed to, and judged by its screen.
#![cfg(unix)]

mod session;

use session::{Bar, Session, bars, running};
use std::thread;
use std::time::Duration;

const DOWN: &str = "\x1b[B";
const FAILING: usize = 13;

fn is_paused(screen: &vt100::Screen) -> bool {
    screen.contents().contains("PAUSED")
}

/// What the clock says.
fn seconds(screen: &vt100::Screen) -> usize {
    let contents = screen.contents();
    let clock = contents.split(' ').next().unwrap();
    let (minutes, seconds) = clock.split_once(':').unwrap();
    60 * minutes.parse::<usize>().unwrap() + seconds.parse::<usize>().unwrap()
}

/// Takes the selection, which is above it, down to a job.
fn select(session: &mut Session, job: usize) {
    let selected = |screen: &vt100::Screen| bars(screen).iter().position(|bar| bar.is_selected);
    while session.look(selected) != Some(job - 1) {
        let before = session.look(selected);
        session.press(DOWN);
        session.until("the selection moves", |screen| selected(screen) != before);
    }
}

/// Presses a key that means nothing, now and then.
fn press_nothing(session: &mut Session, times: usize) {
    for _ in 0..times {
        session.press("x");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Ends it with `q`, and gives what it says of itself then: how often its wait returned, and for how many frames.
fn quit(session: &mut Session) -> (usize, usize) {
    session.press("q");
    assert!(session.exit(), "it ends well");
    session.until("it says what it did", |screen| {
        screen.contents().contains(" frames")
    });
    let said = session.look(vt100::Screen::contents);
    let numbers: Vec<_> = said
        .lines()
        .find_map(|line| line.strip_prefix("the wait returned "))
        .map(|line| {
            line.split(' ')
                .filter_map(|word| word.parse().ok())
                .collect()
        })
        .unwrap();
    (numbers[0], numbers[1])
}

#[test]
fn four_of_twenty_jobs_run_at_a_time_those_cancelled_stop_and_the_others_reach_their_end() {
    let mut session = Session::start();
    session.press(" ");
    session.until("it is paused, with four jobs running", |screen| {
        is_paused(screen) && bars(screen).len() == 20 && running(screen) == 4
    });

    let is_running = |bar: &&Bar| bar.state == "running" && bar.job != FAILING;
    let cancelled = session.look(|screen| bars(screen).iter().find(is_running).unwrap().job);
    select(&mut session, cancelled);
    session.press("c");
    session.until(
        "it is cancelled, and another one runs in its place",
        |screen| bars(screen)[cancelled - 1].state == "cancelled" && running(screen) == 4,
    );

    select(&mut session, 20);
    assert_eq!(
        session.look(|screen| bars(screen)[19].state.clone()),
        "waiting"
    );
    session.press("c");
    session.until("it is cancelled before it began", |screen| {
        bars(screen)[19].state == "cancelled"
    });

    session.press(" ");
    session.until("all have ended", |screen| {
        bars(screen)
            .iter()
            .all(|bar| !["waiting", "running"].contains(&&*bar.state))
    });
    for bar in session.look(bars) {
        match bar.job {
            job if job == cancelled => {
                assert!(bar.state == "cancelled" && bar.percent < 100, "{bar:?}")
            }
            20 => assert!(bar.state == "cancelled" && bar.percent == 0, "{bar:?}"),
            FAILING => assert!(bar.state == "failed" && bar.percent == 50, "{bar:?}"),
            _ => assert!(bar.state == "done" && bar.percent == 100, "{bar:?}"),
        }
    }
    assert_eq!(session.most_running(), 4, "of all frames");

    // The clock stops now, and nothing but a key can wake it. If it went in circles, it would do so many times.
    press_nothing(&mut session, 150);
    let (waits, frames) = quit(&mut session);
    assert_eq!(frames, session.frames());
    // Each job shows 50 steps, its beginning and its end; the rest is for keys and the clock.
    assert!(frames <= 20 * 52 + 200, "{frames} frames");
    assert!(
        waits <= frames + 150 + 200,
        "{waits} waits for {frames} frames"
    );
    let said = session.look(vt100::Screen::contents);
    assert!(said.contains("17 done, 2 cancelled, 1 failed"), "{said}");
    assert!(said.contains("job 13 fails half way"), "{said}");
}

#[test]
fn it_draws_and_wakes_for_nothing_but_its_clock_while_nothing_moves() {
    let mut session = Session::start();
    session.press(" ");
    session.until("it is paused", is_paused);
    let (start, frames_before) = (session.look(seconds), session.frames());
    // Keys that mean nothing wake it, and change nothing.
    let mut presses = 0;
    while session.look(seconds) < start + 3 {
        press_nothing(&mut session, 1);
        presses += 1;
    }
    let took = session.look(seconds) - start;
    let frames = session.frames() - frames_before;
    // Four jobs may have been about to show a step.
    assert!(frames <= took + 4, "{frames} frames in {took} s");

    let (waits, frames) = quit(&mut session);
    assert!(
        waits <= frames + presses + 50,
        "{waits} waits for {frames} frames and {presses} keys"
    );
}

#[test]
fn it_draws_all_anew_when_the_terminal_changes_its_size() {
    let mut session = Session::start();
    session.press(" ");
    session.until("it is paused", is_paused);
    let sizes = [(30, 110), (12, 60), (24, 80)];
    let (start, frames_before) = (session.look(seconds), session.frames());
    for (rows, columns) in sizes.repeat(5) {
        session.resize(rows, columns);
        session.until("the frame fills the terminal", |screen| {
            let lines: Vec<_> = screen.rows(0, columns).collect();
            let bars = bars(screen);
            lines[usize::from(rows) - 1].starts_with("up, down: select")
                && bars.len() == 20.min(usize::from(rows) - 2)
                && bars
                    .iter()
                    .all(|bar| bar.length == usize::from(columns) - 22)
        });
    }
    let took = session.look(seconds) - start;
    let frames = session.frames() - frames_before;
    // Not only when the clock is drawn. One or the other may have come together with it.
    assert!(frames >= took + 10, "{frames} frames in {took} s");
    quit(&mut session);
}

#[test]
fn q_gives_the_terminal_back_though_jobs_are_running() {
    let mut session = Session::start();
    session.until("four jobs are running", |screen| running(screen) == 4);
    assert!(session.is_taken_over());
    quit(&mut session);
    session.until_given_back();
}

#[test]
fn a_panic_gives_the_terminal_back_and_is_reported_there() {
    let mut session = Session::start();
    session.until("four jobs are running", |screen| running(screen) == 4);
    assert!(session.is_taken_over());
    session.press("!");
    assert!(!session.exit(), "it ends with an error");
    session.until("the panic is reported", |screen| {
        screen.contents().contains("`!` was pressed")
    });
    session.until_given_back();
}
