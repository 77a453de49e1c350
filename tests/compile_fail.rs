//! What must not compile, and what the compiler says then.
//!
//! The crate is compiled once more, on std alone, and each case against that. Only our own words, the
//! error's code and the line it points at are compared: the rest is the compiler's, which may put it
//! better one day.
#![cfg(not(footbridge_loom))]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::{env, fs};

const NOT_BLOCKING: [&str; 4] = [
    "can't be run on a worker thread",
    "not a blocking function that can cross threads",
    "`asyncify` takes a function or closure of up to 8 arguments that is `Clone + Send + 'static`",
    "annotate the arguments of a closure: `asyncify(|n: u32| n + 1)`",
];
const NOT_ASYNC: [&str; 4] = [
    "can't be called on an event loop's thread",
    "not an async function that can be sent to its loop",
    "`syncify` takes an async function or closure of up to 8 arguments that is `Clone + Send + 'static`",
    "annotate the arguments of a closure: `syncify(async |n: u32| n + 1)`",
];

const PRELUDE: &str = "
use footbridge::*;
use std::rc::Rc;
fn shout(text: &'static str) -> String { text.to_uppercase() }
async fn whisper(text: &'static str) -> String { text.to_lowercase() }
";

/// Where the crate is compiled to, and the cases are.
static OUT: LazyLock<PathBuf> = LazyLock::new(|| {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("compile_fail");
    fs::create_dir_all(&out).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let output = rustc(&out, &root, "footbridge");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the crate itself: {said}");
    out
});

fn rustc(out: &Path, source: &Path, name: &str) -> Output {
    Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata"])
        .args(["--crate-name", name, "--out-dir"])
        .arg(out)
        .arg("--extern")
        .arg(format!(
            "footbridge={}",
            out.join("libfootbridge.rmeta").display()
        ))
        .arg(source)
        .output()
        .expect("the compiler can be run")
}

/// Each of `right` compiles; each of `wrong` is an error on its own line, in which the compiler says `words`.
fn check(name: &str, right: &[&str], wrong: &[&str], words: &[&str]) {
    let cases: Vec<_> = right.iter().chain(wrong).collect();
    let mut text = PRELUDE.to_owned();
    for (n, code) in cases.iter().enumerate() {
        text += &format!("pub fn case_{n}() {{ {code} }}\n");
    }
    let source = OUT.join(format!("{name}.rs"));
    fs::write(&source, text).unwrap();
    let output = rustc(&OUT, &source, name);
    let said = String::from_utf8_lossy(&output.stderr);
    for (n, code) in cases.iter().enumerate() {
        let place = format!("{name}.rs:{}:", PRELUDE.lines().count() + 1 + n);
        let errors: Vec<_> = said
            .split("\n\n")
            .filter(|said| said.starts_with("error") && place_of(said).contains(&place))
            .collect();
        if n < right.len() {
            assert!(
                errors.is_empty(),
                "{code}\nwas to compile:\n{}",
                errors.concat()
            );
            continue;
        }
        assert!(!errors.is_empty(), "{code}\nwas not to compile:\n{said}");
        for words in words {
            let so_called = errors.iter().any(|error| error.contains(words));
            assert!(
                so_called,
                "{code}\nwas to be called: {words}\nand was:\n{}",
                errors.concat()
            );
        }
    }
}

/// The line that says where an error is.
fn place_of(error: &str) -> &str {
    let place = error
        .lines()
        .find(|line| line.trim_start().starts_with("-->"));
    place.unwrap_or_default()
}

// A8
#[test]
fn a_wrong_argument_is_an_error_at_the_call() {
    check(
        "argument",
        &[
            "drop(asyncify(shout)(\"it\"));",
            "drop(syncify(whisper)(\"it\"));",
        ],
        &[
            "drop(asyncify(shout)(42));",
            "drop(syncify(whisper)(42));",
            "drop(asyncify(|n: u8| n)(\"it\"));",
            "drop(Asyncify::new().wrap(shout)(42));",
            "drop(Syncify::new().wrap(whisper)(42));",
        ],
        &["error[E0308]: mismatched types"],
    );
}

// A8
#[test]
fn a_wrong_number_of_arguments_is_an_error_at_the_call() {
    check(
        "arity",
        &["drop(asyncify(|| 1)());", "drop(syncify(async || 1)());"],
        &[
            "drop(asyncify(shout)());",
            "drop(asyncify(shout)(\"it\", \"more\"));",
            "drop(syncify(whisper)());",
            "drop(syncify(whisper)(\"it\", \"more\"));",
        ],
        &["error[E0057]: this function takes 1 argument but"],
    );
}

// A8
#[test]
fn a_wrong_use_of_the_result_is_an_error() {
    check(
        "result",
        &[
            "drop(async { let _: String = asyncify(shout)(\"it\").await; });",
            "let _: Result<String, SyncifyError> = syncify(whisper)(\"it\");",
        ],
        &[
            "drop(async { let _: usize = asyncify(shout)(\"it\").await; });",
            "let _: String = asyncify(shout)(\"it\"); /* not awaited */",
            "let _: String = syncify(whisper)(\"it\"); /* may fail */",
            "let _: Result<usize, SyncifyError> = syncify(whisper)(\"it\");",
        ],
        &["error[E0308]: mismatched types"],
    );
}

#[test]
fn a_function_that_captures_an_rc_cannot_be_asyncified() {
    check(
        "asyncify_captures",
        &["let rc = std::sync::Arc::new(1); drop(asyncify(move || *rc));"],
        &["let rc = Rc::new(1); drop(asyncify(move || *rc));"],
        &[
            "error[E0277]: `Rc<i32>` cannot be sent between threads safely",
            "BlockingFn<()>",
        ],
    );
    check(
        "spawn_blocking_captures",
        &["drop(spawn_blocking(move || 1));"],
        &["let rc = Rc::new(1); drop(spawn_blocking(move || *rc));"],
        &["error[E0277]: `Rc<i32>` cannot be sent between threads safely"],
    );
}

#[test]
fn a_function_that_captures_an_rc_cannot_be_syncified() {
    check(
        "syncify_captures",
        &["drop(syncify(async || { let rc = Rc::new(1); yield_now().await; *rc }));"],
        &[
            "let rc = Rc::new(1); drop(syncify(async move || *rc));",
            "let rc = Rc::new(1); drop(syncify(move || { let rc = rc.clone(); async move { *rc } }));",
        ],
        &[
            "error[E0277]: `Rc<i32>` cannot be sent between threads safely",
            "AsyncFunction<",
        ],
    );
}

#[test]
fn what_cannot_be_asyncified_is_explained_in_our_own_words() {
    check(
        "asyncify",
        &["drop(asyncify(|a: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8| a));"],
        &[
            "drop(asyncify(|| Rc::new(1))); /* a result that isn't Send */",
            "drop(asyncify(|_: Rc<u8>| 1)); /* an argument that isn't Send */",
            "drop(asyncify(42)); /* no function */",
            "drop(asyncify(|a: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8| a)); /* nine */",
        ],
        &NOT_BLOCKING,
    );
}

#[test]
fn what_cannot_be_syncified_is_explained_in_our_own_words() {
    check(
        "syncify",
        &["drop(syncify(async |a: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8, _: u8| a));"],
        &[
            "drop(syncify(async || Rc::new(1))); /* a result that isn't Send */",
            "drop(syncify(async |_: Rc<u8>| 1)); /* an argument that isn't Send */",
            "drop(syncify(shout)); /* not async */",
            "drop(syncify(42)); /* no function */",
        ],
        &NOT_ASYNC,
    );
}

#[test]
fn a_function_that_cannot_be_cloned_is_for_spawn_blocking() {
    check(
        "once",
        &["struct Once; let it = Once; drop(spawn_blocking(move || drop(it)));"],
        &["struct Once; let it = Once; drop(asyncify(move || drop(it)));"],
        &["error[E0277]", "Clone", "BlockingFn<()>"],
    );
}

#[test]
fn a_function_that_borrows_a_local_variable_is_refused() {
    check(
        "borrows",
        &["let n = 1; drop(asyncify(move || n));"],
        &["let n = 1; drop(asyncify(|| n));"],
        &["error[E0373]"],
    );
}

#[test]
fn a_loop_cannot_be_sent_to_another_thread() {
    check(
        "loop_is_local",
        &[
            "let it = EventLoop::new(); let it = it.handle(); drop(spawn_blocking(move || drop(it)));",
        ],
        &[
            "let it = EventLoop::new(); drop(spawn_blocking(move || drop(it)));",
            "let it = EventLoop::new().spawner(); drop(spawn_blocking(move || drop(it)));",
        ],
        &["error[E0277]", "cannot be sent between threads safely"],
    );
}

#[test]
fn a_call_that_is_neither_awaited_nor_detached_is_warned_of() {
    check(
        "must_use",
        &["spawn_blocking(|| 1).detach();"],
        &["#[deny(unused_must_use)] fn forgets() { spawn_blocking(|| 1); }"],
        &[
            "unused `BlockingTask` that must be used",
            "dropping a BlockingTask cancels the call",
        ],
    );
}

#[test]
fn a_child_may_not_borrow_what_lives_in_the_body() {
    check(
        "scope_local",
        &["let outside = 1; run(scope(async |s| { s.spawn(async { drop(&outside) }); }));"],
        &["run(scope(async |s| { let local = 1; s.spawn(async { drop(&local) }); }));"],
        &["error[E0373]", "may outlive borrowed value `local`"],
    );
}

#[test]
fn what_a_child_borrows_mutably_is_nobody_elses() {
    check(
        "scope_mutably",
        &["let mut n = 0; run(scope(async |s| { s.spawn(async { n += 1 }); })); n += 1; drop(n);"],
        &[
            "let mut n = 0; run(scope(async |s| { s.spawn(async { n += 1 }); s.spawn(async { n += 1 }); }));",
            "let mut n = 0; run(scope(async |s| { s.spawn(async { n += 1 }); n += 1; }));",
        ],
        &["error[E0", "cannot", "`n`", "for `'1`"],
    );
}

#[test]
fn what_a_scope_borrows_may_not_go_before_it() {
    check(
        "scope_outlived",
        &[
            "let it = vec![1]; let all = scope(async |s| { s.spawn(async { it.len() }); }); run(all); drop(it);",
        ],
        &[
            "let it = vec![1]; let all = scope(async |s| { s.spawn(async { it.len() }); }); drop(it); run(all);",
        ],
        &["error[E0505]"],
    );
}

#[test]
fn neither_a_scope_nor_a_child_leaves_its_scope() {
    check(
        "scope_escapes",
        &["run(scope(async |s| { let kept = Some(s.spawn(async {})); drop(kept); }));"],
        &["let mut kept = None; run(scope(async |s| { kept = Some(s.spawn(async {})); }));"],
        &["lifetime may not live long enough"],
    );
    check(
        "scope_spawned",
        &["run(scope(async |s| { s.spawn(async { s.finish(()) }); }));"],
        &["run(scope(async |s| { spawn(async { s.finish(()) }); }));"],
        &["error[E0521]: borrowed data escapes"],
    );
}

#[test]
fn a_blocking_child_borrows_nothing() {
    check(
        "scope_blocking",
        &["let n = 1; run(scope(async |s| { s.spawn_blocking(move || drop(n)); }));"],
        &["let n = 1; run(scope(async |s| { s.spawn_blocking(|| drop(&n)); }));"],
        &["error[E0597]", "`n` is borrowed for `'static`"],
    );
}

#[test]
fn a_scope_stays_on_its_thread() {
    check(
        "scope_send",
        &["drop(spawn_blocking(|| run(scope(async |_| ()))));"],
        &["let it = scope(async |_| ()); drop(spawn_blocking(move || run(it)));"],
        &["error[E0277]", "cannot be sent between threads safely"],
    );
}

#[test]
fn an_error_of_another_type_is_not_tried() {
    check(
        "scope_errors",
        &["drop(scope(async |s| { s.try_spawn(async { Err::<(), u8>(1) }); Ok::<(), u8>(()) }));"],
        &[
            "drop(scope(async |s| { s.try_spawn(async { Err::<(), u16>(1) }); Ok::<(), u8>(()) }));",
            "drop(scope(async |s| { s.try_spawn(async { Err::<(), u8>(1) }); }));",
        ],
        &["error[E0308]: mismatched types"],
    );
}
