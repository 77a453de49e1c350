//! Builds the host, with a C compiler, and has it load the plugin, use it, and unload it.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

#[test]
fn a_host_loads_the_plugin_uses_it_after_a_fork_too_and_unloads_it() {
    let host = Path::new(env!("CARGO_TARGET_TMPDIR")).join("host");
    let compiled = Command::new("cc")
        .arg("-o")
        .arg(&host)
        .arg("tests/host.c")
        .args(["-pthread", "-ldl"])
        .status();
    assert!(compiled.expect("there is a C compiler").success());
    let test = std::env::current_exe().unwrap();
    let plugin = test.with_file_name("libplugin.so"); // Cargo puts it beside the tests.
    let run = Command::new(host).arg(plugin).output().unwrap();
    let printed = String::from_utf8_lossy(&run.stdout);
    print!("{printed}");
    assert!(
        run.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&run.stderr)
    );
    assert_eq!(printed.lines().last(), Some("it is unloaded"));
}
