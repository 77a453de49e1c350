//! The window on a screen that nobody sees: its tests press the button and look at the pixels.
//!
//! They need Xvfb and winit's X libraries: on Debian xvfb libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0.
#![cfg(target_os = "linux")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt, ImageFormat, MOTION_NOTIFY_EVENT,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

const GREEN: u32 = 0x002e_7d32;
const ORANGE: u32 = 0x00ef_6c00;
const BLUE: u32 = 0x0015_65c0;
const RED: u32 = 0x00c6_2828;

/// On the bar's left and right ends, and on the button.
const BEGIN: (i16, i16) = (21, 35);
const END: (i16, i16) = (378, 35);
const BUTTON: (i16, i16) = (70, 85);

/// A screen with the program on it.
struct Screen {
    server: Child,
    program: Child,
    connection: RustConnection,
    root: u32,
}

impl Screen {
    fn with_program(limit: u32) -> Self {
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "400x120x24",
                "-nolisten",
                "tcp",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut number)
            .unwrap();
        let display = format!(":{}", number.trim());
        let (connection, _) = x11rb::connect(Some(&display)).unwrap();
        let root = connection.setup().roots[0].root;
        let program = Command::new(env!("CARGO_BIN_EXE_desktop"))
            .arg(limit.to_string())
            .env("DISPLAY", display)
            .env_remove("WAYLAND_DISPLAY")
            .spawn()
            .unwrap();
        Self {
            server,
            program,
            connection,
            root,
        }
    }

    fn pixels(&self, (x, y): (i16, i16), width: u16, height: u16) -> Vec<u32> {
        let image = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, self.root, x, y, width, height, !0)
            .unwrap();
        let image = image.reply().unwrap().data;
        let pixels = image
            .chunks_exact(4)
            .map(|bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]));
        pixels.collect()
    }

    /// Waits until the pixel has this colour.
    fn shows(&self, at: (i16, i16), colour: u32) {
        let start = Instant::now();
        while self.pixels(at, 1, 1) != [colour] {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "at {at:?} there isn't {colour:06x}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn press(&self, (x, y): (i16, i16)) {
        let input = |kind, detail| {
            let sent = self
                .connection
                .xtest_fake_input(kind, detail, 0, self.root, x, y, 0)
                .unwrap();
            sent.check().unwrap();
        };
        input(MOTION_NOTIFY_EVENT, 0);
        input(BUTTON_PRESS_EVENT, 1);
        input(BUTTON_RELEASE_EVENT, 1);
    }

    /// Writes what is seen to a file, for one who wants to look.
    fn save(&self, name: &str) {
        let mut file = b"P6 400 120 255\n".to_vec();
        for pixel in self.pixels((0, 0), 400, 120) {
            file.extend_from_slice(&pixel.to_be_bytes()[1..]);
        }
        std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), file).unwrap();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        for process in [&mut self.program, &mut self.server] {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

#[test]
fn the_button_starts_the_computation_and_cancels_it_and_the_bar_shows_how_far_it_is() {
    let screen = Screen::with_program(u32::MAX); // It would run for an hour.
    screen.shows(BUTTON, BLUE);
    for _ in 0..2 {
        screen.press(BUTTON);
        screen.shows(BUTTON, RED);
        screen.press(BUTTON);
        screen.shows(BUTTON, BLUE);
        screen.shows(END, ORANGE);
    }
    screen.save("cancelled.ppm");
}

#[test]
fn the_bar_grows_while_the_window_is_alive_and_is_full_when_the_computation_is_done() {
    let screen = Screen::with_program(500_000);
    screen.shows(BUTTON, BLUE);
    screen.press(BUTTON);
    screen.shows(BEGIN, GREEN);
    screen.save("running.ppm");
    screen.shows(END, GREEN);
    screen.shows(BUTTON, BLUE);
    screen.save("done.ppm");
}
