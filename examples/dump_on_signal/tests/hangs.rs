use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// Ends the program with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// The text of the next dump.
fn dumped(program: &mut Running, lines: &mut impl Iterator<Item = String>) -> Vec<String> {
    let pid = program.0.id().to_string();
    let sent = Command::new("kill").args(["-QUIT", &pid]).status();
    assert!(sent.unwrap().success());
    lines.take_while(|line| !line.is_empty()).collect()
}

#[test]
fn on_a_signal_it_says_which_waits_never_end() {
    let program = Command::new(env!("CARGO_BIN_EXE_dump_on_signal"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut program = Running(program.unwrap());
    let mut said = BufReader::new(program.0.stdout.take().unwrap());
    said.read_line(&mut String::new()).unwrap(); // From here on, the signal is heard.
    let stderr = BufReader::new(program.0.stderr.take().unwrap());
    let mut lines = stderr.lines().map(Result::unwrap);
    let text = loop {
        let text = dumped(&mut program, &mut lines);
        if text.iter().any(|line| line.starts_with("deadlock: ")) {
            break text.join("\n");
        }
    };
    println!("{text}");
    for part in [
        "loop on thread main: 2 tasks",
        "the main future, entered at",
        "waits for a job submitted at",
        "waits for a limiter of 1",
        "and is parked in join for",
        "held by a job submitted at",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}
