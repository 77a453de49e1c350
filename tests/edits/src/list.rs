//! The lists: their form, and how an edit is made.
//!
//! An entry begins with a line `KIND: its name`. Each further line `KEY: VALUE` is a field of it. A line `file: PATH` begins an
//! edit of that file in `src/`. Below it, lines that begin with a space stay, with `-` go, with `+` come. An entry may have
//! several edits. They are made in their order, and each has to find its text exactly once.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

#[derive(Default)]
pub struct Entry {
    pub name: String,
    fields: Vec<(String, String)>,
    edits: Vec<Edit>,
}

#[derive(Default)]
struct Edit {
    /// In `src/`.
    file: String,
    find: Vec<String>,
    replace: Vec<String>,
}

/// A test file, and words of the names of tests. The file `lib` stands for the tests in `src`. Without words, all tests of
/// the file are meant.
#[derive(Clone)]
pub struct Tests {
    pub file: String,
    pub words: Vec<String>,
}

/// The entries of a list.
///
/// # Panics
/// If a line is neither a comment, nor a line of an edit, nor one of `kind`, `file` and these `keys`.
pub fn parse(list: &str, kind: &str, keys: &[&str]) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in list.lines() {
        let Some(first) = line.chars().next() else {
            continue;
        };
        if first == '#' {
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.trim().to_owned();
        if key == kind {
            let name = value.clone();
            entries.push(Entry {
                name,
                ..Entry::default()
            });
        }
        let entry = entries.last_mut().expect("a line before the first entry");
        if " -+".contains(first) {
            let edit = entry.edits.last_mut().expect("an edit without its file");
            edit.line(first, line[1..].trim());
        } else if key == "file" {
            entry.edits.push(Edit {
                file: value,
                ..Edit::default()
            });
        } else if keys.contains(&key) {
            entry.fields.push((key.to_owned(), value));
        } else {
            assert_eq!(key, kind, "not understood: {line}");
        }
    }
    entries
}

impl Entry {
    /// The values of a field, in their order.
    pub fn all(&self, key: &'static str) -> impl Iterator<Item = &str> {
        let fields = self.fields.iter().filter(move |(name, _)| name == key);
        fields.map(|(_, value)| value.as_str())
    }

    /// The value of a field that is there once at most.
    pub fn one(&self, key: &'static str) -> Option<&str> {
        self.all(key).next()
    }

    /// The tests that the fields of this key name.
    pub fn tests(&self, key: &'static str) -> Vec<Tests> {
        self.all(key).map(Tests::of).collect()
    }

    /// The files that it edits, each once.
    pub fn files(&self) -> Vec<&str> {
        let mut files: Vec<_> = self.edits.iter().map(|edit| edit.file.as_str()).collect();
        files.dedup();
        files
    }

    /// Whether one of these words is in its name or in the name of a file that it edits.
    pub fn has_one_of(&self, words: &[String]) -> bool {
        let is_in = |word: &String| {
            self.name.contains(word) || self.edits.iter().any(|edit| edit.file.contains(word))
        };
        words.iter().any(is_in)
    }

    /// The edited files of the checkout in this folder, with their new text.
    ///
    /// # Errors
    /// If a text isn't found exactly once, or if nothing changes: the list is stale.
    pub fn apply(&self, checkout: &Path) -> Result<BTreeMap<&str, String>, String> {
        let mut files = BTreeMap::new();
        for edit in &self.edits {
            let path = checkout.join("src").join(&edit.file);
            let read = |error: io::Error| format!("{}: {error}", edit.file);
            let text = match files.remove(edit.file.as_str()) {
                Some(text) => text,
                None => fs::read_to_string(path).map_err(read)?,
            };
            files.insert(edit.file.as_str(), edit.apply(&text)?);
        }
        if files.is_empty() {
            return Err("it has no edit".to_owned());
        }
        Ok(files)
    }
}

impl Edit {
    fn line(&mut self, first: char, code: &str) {
        if first != '+' {
            self.find.push(code.to_owned());
        }
        if first != '-' {
            self.replace.push(code.to_owned());
        }
    }

    /// The text with the edit made. Lines are compared without their indentation.
    fn apply(&self, text: &str) -> Result<String, String> {
        let lines: Vec<&str> = text.lines().collect();
        let is_here = |at: &usize| {
            let here = lines[*at..].iter().zip(&self.find);
            here.clone().count() == self.find.len() && here.into_iter().all(|(a, b)| a.trim() == b)
        };
        let places: Vec<_> = (0..lines.len()).filter(is_here).collect();
        let [place] = places[..] else {
            let (file, times) = (&self.file, places.len());
            return Err(format!(
                "its text in {file} is found {times} times, not once"
            ));
        };
        if self.find == self.replace {
            return Err("it changes nothing".to_owned());
        }
        let replace = self.replace.iter().map(String::as_str);
        let after = &lines[place + self.find.len()..];
        let edited: Vec<_> = lines[..place]
            .iter()
            .copied()
            .chain(replace)
            .chain(after.iter().copied())
            .collect();
        Ok(edited.join("\n") + "\n")
    }
}

impl Tests {
    fn of(field: &str) -> Self {
        let mut words = field.split(' ').map(str::to_owned);
        let file = words.next().unwrap_or_default();
        let words = words.collect();
        Self { file, words }
    }

    /// Which of these tests isn't in the package of this folder. Of those in `src` only a run can tell.
    pub fn unknown(&self, package: &Path) -> Option<String> {
        if self.file == "lib" {
            return None;
        }
        let path = package.join("tests").join(&self.file);
        let Ok(text) = fs::read_to_string(path.with_extension("rs")) else {
            return Some(format!("there is no test file {}", self.file));
        };
        let names: Vec<_> = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("fn "))
            .collect();
        let is_nowhere = |word: &&String| !names.iter().any(|name| name.contains(*word));
        let word = self.words.iter().find(is_nowhere);
        word.map(|word| format!("no test of {} has {word} in its name", self.file))
    }
}

/// Every test file that is needed, once, with all the tests that are.
pub fn needed(tests: impl IntoIterator<Item = Tests>) -> Vec<Tests> {
    let mut files: BTreeMap<String, Option<Vec<String>>> = BTreeMap::new();
    for Tests { file, words } in tests {
        let all = files.entry(file).or_insert_with(|| Some(vec![]));
        if words.is_empty() {
            *all = None;
        } else if let Some(all) = all {
            all.extend(words);
        }
    }
    let tests = |(file, words): (String, Option<Vec<String>>)| Tests {
        file,
        words: words.unwrap_or_default(),
    };
    files.into_iter().map(tests).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "# a comment\nedit: one\nby: pool a_job\nfile: a.rs\n a\n-b\n+B\nfile: a.rs\n-d\nedit: two\nsmoke\n";

    fn edited(text: &str) -> Result<String, String> {
        let entries = parse(LIST, "edit", &["by", "smoke"]);
        entries[0]
            .edits
            .iter()
            .try_fold(text.to_owned(), |text, edit| edit.apply(&text))
    }

    #[test]
    fn an_entry_has_its_fields_and_its_edits_and_none_of_the_next_one() {
        let entries = parse(LIST, "edit", &["by", "smoke"]);
        let [one, two] = &entries[..] else {
            panic!("{} entries", entries.len());
        };
        assert_eq!(
            (one.one("by"), one.one("smoke")),
            (Some("pool a_job"), None)
        );
        assert_eq!((two.one("by"), two.one("smoke")), (None, Some("")));
        assert_eq!(one.tests("by")[0].words, ["a_job"]);
        assert_eq!(one.files(), ["a.rs"]);
        assert!(two.apply(Path::new("")).is_err());
    }

    #[test]
    fn the_edits_of_an_entry_are_made_one_after_the_other_whatever_the_indentation() {
        assert_eq!(edited("  a\n\tb\nc\nd\n"), Ok("a\nB\nc\n".to_owned()));
    }

    #[test]
    fn a_text_that_is_there_twice_or_not_at_all_is_an_error() {
        assert!(edited("a\nb\na\nb\nd\n").is_err());
        assert!(edited("a\nc\nb\nd\n").is_err());
        assert!(edited("a\nb\nc\n").is_err());
    }
}
