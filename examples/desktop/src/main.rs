//! A window with a long computation behind it, its progress, and a button that starts and cancels it. The main loop is
//! winit's, and ours runs inside it.
//!
//! ```text
//! cd examples/desktop && cargo run
//! ```
//!
//! Three lines tie the two loops together: `on_wake` sends winit an event, `about_to_wait` calls `tick`, and winit waits no
//! longer than until `next_deadline`.

mod primes;
mod view;

use footbridge::{Cancelled, EventLoop, JoinHandle, asyncify};
use std::error::Error;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use view::{Bar, SIZE, View};
use winit::application::ApplicationHandler;
use winit::dpi::PhysicalPosition;
use winit::event::{ElementState, WindowEvent};
use winit::event_loop::{ActiveEventLoop, ControlFlow};
use winit::window::{Window, WindowId};

/// There is something to do for our loop.
struct Woken;

struct App {
    event_loop: EventLoop,
    limit: u32,
    /// The computation that runs. Aborting it drops the call, and so cancels the blocking function.
    task: Option<JoinHandle<Result<u32, Cancelled>>>,
    /// In per cent, set by the blocking function.
    progress: Arc<AtomicU32>,
    bar: Bar,
    cursor: PhysicalPosition<f64>,
    window: Option<(Rc<Window>, View)>,
    shown: Option<Bar>,
}

impl App {
    fn start(&mut self) {
        self.progress = Arc::default();
        let (progress, handle) = (self.progress.clone(), self.event_loop.handle());
        let tell = move |percent| {
            progress.store(percent, Relaxed); // The post orders it.
            handle.call_soon(|| ()); // wakes the host, which draws
        };
        self.task = Some(
            self.event_loop
                .spawn(asyncify(primes::count)(self.limit, tell)),
        );
    }

    fn press(&mut self) {
        match self.task.take() {
            None => self.start(),
            Some(task) => {
                task.abort();
                self.bar = Bar::Cancelled;
            }
        }
    }

    /// What the window is to show now.
    fn look(&mut self) {
        let percent = self.progress.load(Relaxed);
        match &self.task {
            Some(task) if task.is_finished() => {
                self.task = None;
                self.bar = Bar::Done;
            }
            Some(_) => self.bar = Bar::Running(percent),
            None => {}
        }
        if let Some((window, _)) = &self.window {
            if self.shown != Some(self.bar) {
                window.request_redraw();
            }
        }
    }
}

impl ApplicationHandler<Woken> for App {
    fn resumed(&mut self, host: &ActiveEventLoop) {
        let attributes = Window::default_attributes()
            .with_title("primes")
            .with_inner_size(SIZE)
            .with_resizable(false);
        let window = Rc::new(host.create_window(attributes).expect("a window"));
        let view = View::new(window.clone());
        self.window = Some((window, view));
    }

    /// Ends winit's wait. The work is done in `about_to_wait`.
    fn user_event(&mut self, _: &ActiveEventLoop, _: Woken) {}

    fn window_event(&mut self, host: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested => host.exit(),
            WindowEvent::CursorMoved { position, .. } => self.cursor = position,
            WindowEvent::MouseInput {
                state: ElementState::Pressed,
                ..
            } if view::is_button(self.cursor) => self.press(),
            WindowEvent::RedrawRequested => {
                if let Some((_, view)) = &mut self.window {
                    view.draw(self.bar);
                    self.shown = Some(self.bar);
                }
            }
            _ => {}
        }
    }

    fn about_to_wait(&mut self, host: &ActiveEventLoop) {
        self.event_loop.tick();
        self.look();
        host.set_control_flow(match self.event_loop.next_deadline() {
            Some(deadline) => ControlFlow::WaitUntil(deadline),
            None => ControlFlow::Wait,
        });
    }
}

/// `desktop LIMIT` counts the primes below that.
fn main() -> Result<(), Box<dyn Error>> {
    let limit = std::env::args()
        .nth(1)
        .map_or(Ok(20_000_000), |limit| limit.parse())?;
    let host = winit::event_loop::EventLoop::<Woken>::with_user_event().build()?;
    let proxy = host.create_proxy();
    let on_wake = move || drop(proxy.send_event(Woken)); // an error: winit's loop has ended
    let mut app = App {
        event_loop: EventLoop::builder().on_wake(on_wake).build(),
        limit,
        task: None,
        progress: Arc::default(),
        bar: Bar::Idle,
        cursor: PhysicalPosition::default(),
        window: None,
        shown: None,
    };
    host.run_app(&mut app)?;
    Ok(())
}
