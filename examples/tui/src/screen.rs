//! The terminal: taken over, drawn on, and given back however the program ends.

use crate::jobs::PAUSED;
use crate::model::{Bar, Model, State};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{List, ListState};
use ratatui::{DefaultTerminal, Frame};
use std::io::{self, stdout};
use std::panic;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

/// The terminal, which is as it was again when this is dropped: when `main` ends, or a panic leaves it.
pub struct Screen(DefaultTerminal);

/// What panics have said while the screen is in use: written on it, it would be drawn over, and then lost.
static REPORTS: Mutex<Option<Vec<String>>> = Mutex::new(None);

impl Screen {
    pub fn open() -> io::Result<Self> {
        let terminal = ratatui::try_init()?;
        *REPORTS.lock().unwrap() = Some(Vec::new());
        // In place of ratatui's hook, which would give the terminal back for any panic: a job's, after which
        // this program goes on, as well.
        panic::set_hook(Box::new(|info| match &mut *REPORTS.lock().unwrap() {
            Some(reports) => reports.push(info.to_string()),
            None => eprintln!("{info}"),
        }));
        Ok(Self(terminal))
    }

    /// Draws a frame, which the terminal shows at once and not bit by bit.
    pub fn draw(&mut self, model: &Model) -> io::Result<()> {
        execute!(stdout(), BeginSynchronizedUpdate)?;
        self.0.draw(|frame| show(model, frame))?;
        execute!(stdout(), EndSynchronizedUpdate)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
        for report in REPORTS.lock().unwrap().take().unwrap_or_default() {
            eprintln!("{report}");
        }
    }
}

fn show(model: &Model, frame: &mut Frame<'_>) {
    let rows = [
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ];
    let [head, bars, foot] = Layout::vertical(rows).areas(frame.area());

    let clock = format!("{}:{:02}  ", model.seconds / 60, model.seconds % 60);
    frame.render_widget(Line::from(vec![clock.into(), model.summary().into()]), head);

    let width = usize::from(bars.width);
    let rows = (1..)
        .zip(&model.bars)
        .map(|(job, bar)| row(job, *bar, width));
    let mut selected = ListState::default().with_selected(Some(model.selected));
    let list = List::new(rows).highlight_symbol("> ");
    frame.render_stateful_widget(list, bars, &mut selected);

    let pause = match PAUSED.load(Ordering::Relaxed) {
        false => "space: pause",
        true => "PAUSED, space: go on",
    };
    let keys = format!("up, down: select  c: cancel  {pause}  !: panic  q: quit");
    frame.render_widget(Line::from(keys).dim(), foot);
}

/// A job's line. The bar takes what the text leaves.
fn row(job: usize, bar: Bar, width: usize) -> Line<'static> {
    let length = width.saturating_sub("> 20   100% cancelled ".len());
    let filled = length * usize::from(bar.percent) / 100;
    let colour = match bar.state {
        State::Waiting => Color::DarkGray,
        State::Running => Color::Cyan,
        State::Done => Color::Green,
        State::Cancelled => Color::Yellow,
        State::Failed => Color::Red,
    };
    let said = format!(" {:3}% {}", bar.percent, bar.state.name());
    Line::from(vec![
        format!("{job:2} ").into(),
        Span::from("█".repeat(filled)).fg(colour),
        Span::from("░".repeat(length - filled)).dim(),
        Span::from(said).fg(colour),
    ])
}
