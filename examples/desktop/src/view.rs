//! What the window shows: a bar, and below it a button.

use softbuffer::{Context, Surface};
use std::num::NonZeroU32;
use std::rc::Rc;
use winit::dpi::{PhysicalPosition, PhysicalSize};
use winit::window::Window;

pub const SIZE: PhysicalSize<u32> = PhysicalSize::new(400, 120);

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Bar {
    Idle,
    /// In per cent.
    Running(u32),
    Cancelled,
    Done,
}

const BACKGROUND: u32 = 0x00ff_ffff;
const EMPTY: u32 = 0x00dd_dddd;
const GREEN: u32 = 0x002e_7d32;
const ORANGE: u32 = 0x00ef_6c00;
const BLUE: u32 = 0x0015_65c0;
const RED: u32 = 0x00c6_2828;

/// Left, top, right, bottom.
type Rectangle = [u32; 4];

const BAR: Rectangle = [20, 20, 380, 50];
const BUTTON: Rectangle = [20, 70, 120, 100];

pub fn is_button(cursor: PhysicalPosition<f64>) -> bool {
    let [left, top, right, bottom] = BUTTON.map(f64::from);
    (left..right).contains(&cursor.x) && (top..bottom).contains(&cursor.y)
}

pub struct View(Surface<Rc<Window>, Rc<Window>>);

impl View {
    pub fn new(window: Rc<Window>) -> Self {
        let context = Context::new(window.clone()).expect("a display");
        Self(Surface::new(&context, window).expect("a surface"))
    }

    pub fn draw(&mut self, bar: Bar) {
        let size =
            [SIZE.width, SIZE.height].map(|length| NonZeroU32::new(length).expect("not zero"));
        self.0.resize(size[0], size[1]).expect("a buffer");
        let mut pixels = self.0.buffer_mut().expect("a buffer");
        let mut fill = |[left, top, right, bottom]: Rectangle, colour| {
            for line in top..bottom {
                let start = line * SIZE.width;
                pixels[(start + left) as usize..(start + right) as usize].fill(colour);
            }
        };
        fill([0, 0, SIZE.width, SIZE.height], BACKGROUND);
        fill(BAR, EMPTY);
        let (percent, colour, button) = match bar {
            Bar::Idle => (0, EMPTY, BLUE),
            Bar::Running(percent) => (percent, GREEN, RED),
            Bar::Cancelled => (100, ORANGE, BLUE),
            Bar::Done => (100, GREEN, BLUE),
        };
        let [left, top, right, bottom] = BAR;
        fill(
            [left, top, left + (right - left) * percent / 100, bottom],
            colour,
        );
        fill(BUTTON, button);
        pixels.present().expect("it is shown");
    }
}
