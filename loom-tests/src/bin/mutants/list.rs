//! The lists: their form, and how an edit is made.

use std::collections::BTreeMap;

#[derive(Default)]
pub struct Mutant {
    pub name: String,
    pub file: String,
    /// Test files, each with the tests to run of it, all if none is named.
    pub by: Vec<Tests>,
    pub argued: bool,
    pub smoke: bool,
    find: Vec<String>,
    replace: Vec<String>,
}

/// A test file, and words of the names of tests. The file `lib` stands for the tests in `src`.
#[derive(Clone)]
pub struct Tests {
    pub file: String,
    pub words: Vec<String>,
}

pub fn parse(list: &str) -> Vec<Mutant> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for line in list.lines() {
        let Some(first) = line.chars().next() else {
            continue;
        };
        if first == '#' {
            continue;
        }
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        if key == "mutant" {
            mutants.push(Mutant::default());
        }
        let mutant = mutants.last_mut().expect("a line before the first mutant");
        let code = || line[1..].trim().to_owned();
        match (first, key, value.trim()) {
            (' ', ..) => {
                mutant.find.push(code());
                mutant.replace.push(code());
            }
            ('-', ..) => mutant.find.push(code()),
            ('+', ..) => mutant.replace.push(code()),
            (_, "mutant", name) => name.clone_into(&mut mutant.name),
            (_, "file", file) => file.clone_into(&mut mutant.file),
            (_, "by", tests) => {
                let mut words = tests.split(' ').map(str::to_owned);
                let file = words.next().unwrap_or_default();
                let words = words.collect();
                mutant.by.push(Tests { file, words });
            }
            (_, "argued", _) => mutant.argued = true,
            (_, "smoke", _) => mutant.smoke = true,
            _ => panic!("not understood: {line}"),
        }
    }
    mutants
}

impl Mutant {
    /// The text with the edit made. Lines are compared without their indentation.
    pub fn apply(&self, text: &str) -> Result<String, String> {
        let lines: Vec<&str> = text.lines().collect();
        let is_here = |at: &usize| {
            let here = lines[*at..].iter().zip(&self.find);
            here.clone().count() == self.find.len() && here.into_iter().all(|(a, b)| a.trim() == b)
        };
        let places: Vec<_> = (0..lines.len()).filter(is_here).collect();
        let [place] = places[..] else {
            let times = places.len();
            return Err(format!("its text is found {times} times, not once"));
        };
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

/// Every test file that is needed, once, with all the tests that are.
pub fn needed(mutants: &[Mutant]) -> Vec<Tests> {
    let mut files: BTreeMap<&str, Option<Vec<String>>> = BTreeMap::new();
    for tests in mutants.iter().flat_map(|mutant| &mutant.by) {
        let words = files.entry(&tests.file).or_insert_with(|| Some(vec![]));
        match tests.words.is_empty() {
            true => *words = None,
            false => words
                .iter_mut()
                .for_each(|all| all.extend(tests.words.clone())),
        }
    }
    let tests = |(file, words): (&str, Option<Vec<String>>)| Tests {
        file: file.to_owned(),
        words: words.unwrap_or_default(),
    };
    files.into_iter().map(tests).collect()
}
