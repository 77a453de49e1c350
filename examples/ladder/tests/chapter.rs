//! The chapter `docs/ladder.md` and the stages say the same, and a stage is small.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A test runs in the folder of its package.
fn root() -> PathBuf {
    PathBuf::from("../..")
}

/// The stages' files, in order.
fn stages() -> Vec<String> {
    let files = fs::read_dir("src").unwrap();
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.retain(|path| {
        path.file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with(['0', '1'])
    });
    paths.sort();
    assert_eq!(paths.len(), 13);
    paths
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// The chapter's blocks in `language`, each with the number of its stage.
fn blocks(language: &str) -> Vec<(usize, Vec<String>)> {
    let chapter = fs::read_to_string(root().join("docs/ladder.md")).unwrap();
    let (mut blocks, mut stage, mut inside) = (Vec::new(), 0, false);
    for line in chapter.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            stage = heading.split('.').next().unwrap().parse().unwrap_or(stage);
        } else if line.starts_with("```") {
            inside = line.strip_prefix("```") == Some(language);
            if inside {
                blocks.push((stage, Vec::new()));
            }
        } else if inside {
            blocks.last_mut().unwrap().1.push(line.to_owned());
        }
    }
    blocks
}

/// How often stage 0 polls differs from run to run.
fn without_polls(line: &str) -> String {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        [.., _, "polls"] => words[..words.len() - 2].join(" "),
        _ => line.to_owned(),
    }
}

#[test]
fn each_stage_prints_what_the_chapter_shows() {
    let shown = blocks("console");
    assert_eq!(shown.len(), 13);
    for (stage, (heading, block)) in shown.iter().enumerate() {
        assert_eq!(*heading, stage);
        assert_eq!(block[0], format!("$ cargo run -p ladder {stage}"));
        let program = Command::new(env!("CARGO_BIN_EXE_ladder"))
            .arg(stage.to_string())
            .output();
        let output = program.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let said: Vec<_> = said.lines().map(without_polls).collect();
        let shown: Vec<_> = block[1..].iter().map(|line| without_polls(line)).collect();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(said, shown, "stage {stage}: {errors}");
        assert!(output.status.success(), "stage {stage}: {errors}");
    }
}

#[test]
fn each_line_of_a_diff_in_the_chapter_is_in_its_stage_or_was_in_one_before() {
    let stages = stages();
    let diffs = blocks("diff");
    let without: Vec<_> = (0..13)
        .filter(|stage| diffs.iter().all(|(of, _)| of != stage))
        .collect();
    assert!(without.is_empty(), "no diff for {without:?}");
    for (stage, lines) in diffs {
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            let (sign, code) = line.split_at(1);
            let is_in = |stage: &String| stage.lines().any(|line| line.trim() == code.trim());
            match sign {
                "-" => assert!(
                    stages[..=stage].iter().any(is_in),
                    "stage {stage}, gone: {code}"
                ),
                _ => assert!(is_in(&stages[stage]), "stage {stage}: {code}"),
            }
        }
    }
}

#[test]
fn each_exercise_in_the_chapter_is_a_program_that_the_stages_make_end() {
    let programs = fs::read_to_string("tests/exercises.rs").unwrap();
    let trimmed = |lines: &str| lines.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let exercises = blocks("rust,ignore");
    assert_eq!(exercises.len(), 12, "each stage but the last has one");
    for (number, (stage, lines)) in exercises.iter().enumerate() {
        assert_eq!(*stage, number);
        let (_, after) = programs
            .split_once(&format!("fn exercise_{number}_"))
            .unwrap();
        let program = after.split("#[test]").next().unwrap();
        let shown = trimmed(&lines.join("\n"));
        assert!(
            trimmed(program).contains(&shown),
            "exercise {number}:\n{shown}"
        );
    }
}

/// Lines with code, without imports, attributes and closing brackets.
fn lines_of_code(text: &str) -> usize {
    let mut importing = false;
    let mut is_code = |line: &&str| {
        importing |= line.starts_with("use ");
        let is_import = importing;
        importing &= !line.ends_with(';');
        let line = line.trim();
        let closes = line.chars().all(|char| ")]}>;,?".contains(char));
        !is_import && !closes && !line.starts_with("//") && !line.starts_with("#[")
    };
    text.lines().filter(|line| is_code(line)).count()
}

#[test]
fn each_stage_has_at_most_seventy_lines_of_code_and_then_a_demonstration() {
    for (number, stage) in stages().iter().enumerate() {
        let parts: Vec<_> = stage
            .split("\n// What fails without it, and no longer fails with it.\n")
            .collect();
        assert_eq!(parts.len(), 2, "stage {number}");
        let code = lines_of_code(parts[0]);
        assert!(code <= 70, "stage {number}: {code} lines of code");
        let all = code + lines_of_code(parts[1]);
        assert!(
            (20..=110).contains(&all),
            "stage {number}: {all} lines of code in all"
        );
    }
}

#[test]
fn each_stage_ends_with_the_files_that_do_it_for_real() {
    for (number, stage) in stages().iter().enumerate() {
        let (_, real) = stage
            .split_once("\n// For real: `")
            .expect("a last comment");
        let named = real.split('`').filter(|word| word.starts_with("src/"));
        let paths: Vec<_> = named.map(|path| root().join(path)).collect();
        assert!(!paths.is_empty(), "stage {number}");
        for path in paths {
            assert!(
                path.exists(),
                "stage {number}: {} isn't there",
                path.display()
            );
        }
    }
}
