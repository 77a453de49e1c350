//! A terminal program with a draw loop of its own, and ours inside it: twenty blocking jobs, four at a time, each
//! with a bar that it moves itself.
//!
//!     cargo run -p tui
//!
//! A host does three things. It calls `tick` each time round, which runs what is ready and never waits. It waits
//! for its own events no longer than until `next_deadline`. And it has `on_wake`, which is called on whichever
//! thread brings the work, end that wait.
//!
//! Nothing can end crossterm's own wait from outside. So a thread does nothing but read keys into a channel, into
//! which `on_wake` sends too, and the host waits for that channel.

mod jobs;
mod model;
mod screen;

use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use footbridge::{Cancelled, EventLoop, JoinHandle};
use model::{Model, update};
use ratatui::crossterm;
use screen::Screen;
use std::io;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

/// What ends the host's wait.
enum Input {
    Terminal(io::Result<Event>),
    Woken,
}

fn main() -> io::Result<()> {
    let (sender, inputs) = mpsc::channel();
    let waker = sender.clone();
    let wake = move || drop(waker.send(Input::Woken));
    let mut event_loop = EventLoop::builder().on_wake(wake).build();
    let tasks = jobs::start(&event_loop);
    drop(event_loop.spawn(jobs::clock()));

    let mut screen = Screen::open()?;
    model::redraw();
    thread::spawn(move || read_terminal(&sender));
    let (mut waits, mut frames) = (0, 0);
    'turns: loop {
        event_loop.tick();
        if model::take_changed() {
            model::look(|model| screen.draw(model))?;
            frames += 1;
        }
        let first = match event_loop.next_deadline() {
            Some(due) => inputs.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => inputs.recv().map_err(RecvTimeoutError::from),
        };
        waits += 1;
        // All that has come by now goes into one frame.
        for input in first.into_iter().chain(inputs.try_iter()) {
            if let Input::Terminal(event) = input {
                if handle(&event?, &tasks).is_break() {
                    break 'turns;
                }
            }
        }
    }
    drop(screen);
    println!("{}", model::look(Model::summary));
    println!("the wait returned {waits} times, for {frames} frames");
    Ok(())
}

/// Reads until the program ends, or the terminal does.
fn read_terminal(sender: &Sender<Input>) {
    loop {
        let event = event::read();
        let is_over = event.is_err();
        if sender.send(Input::Terminal(event)).is_err() || is_over {
            return;
        }
    }
}

/// Break: it is time to go.
fn handle(event: &Event, tasks: &[JoinHandle<Result<(), Cancelled>>]) -> ControlFlow<()> {
    let key = match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => key,
        // The frame takes the new size by itself; it only has to be drawn.
        Event::Resize(..) => {
            model::redraw();
            return Continue(());
        }
        _ => return Continue(()),
    };
    match key.code {
        KeyCode::Char('q') => return Break(()),
        KeyCode::Char('c') if key.modifiers == KeyModifiers::CONTROL => return Break(()),
        KeyCode::Down => update(Model::select_next),
        KeyCode::Up => update(Model::select_previous),
        KeyCode::Char(' ') => {
            jobs::PAUSED.fetch_not(Ordering::Relaxed);
            model::redraw();
        }
        // Drops the future of the call, at the next tick. The job finds out, and says so in its bar.
        KeyCode::Char('c') => tasks[model::look(|model| model.selected)].abort(),
        KeyCode::Char('!') => panic!("`!` was pressed, to see what becomes of the terminal"),
        _ => {}
    }
    Continue(())
}
