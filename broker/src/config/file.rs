//! Reads the file and the flags, and gathers every problem with its place.

use std::{collections::BTreeMap, fmt, path::Path};

use toml_edit::{Document, Item, Value};

use super::Config;

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file, at this line.
    Line(String, usize),
    /// In the file as a whole: something is missing.
    File(String),
    /// In a `--set` flag.
    Flag(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{file}:{line}"),
            Self::File(file) => f.write_str(file),
            Self::Flag(flag) => write!(f, "--set {flag}"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what was expected.
    pub message: String,
}

/// Everything that is wrong with a configuration; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{}: {}", problem.place, problem.message)?;
        }
        match self.0.len() {
            1 => write!(f, "1 problem in the configuration"),
            count => write!(f, "{count} problems in the configuration"),
        }
    }
}

impl std::error::Error for Problems {}

/// Reads the file at `path`, then the `key=value` overrides in order, and checks the whole.
pub fn load(path: &Path, overrides: &[String]) -> Result<Config, Problems> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&name, &text, overrides),
        Err(error) => {
            let message = format!("cannot be read: {error}");
            Err(Problems(vec![Problem { place: Place::File(name), message }]))
        }
    }
}

/// As [`load`], from text; `name` stands for the file in problems.
pub fn parse(name: &str, text: &str, overrides: &[String]) -> Result<Config, Problems> {
    let mut reading = Reading { config: Config::default(), places: BTreeMap::new(), problems: Vec::new() };
    match Document::parse(text) {
        Ok(document) => {
            for (key, item) in document.iter() {
                let span = document.key(key).and_then(toml_edit::Key::span);
                let start = span.map_or(0, |span| span.start);
                reading.take(key, Some(item), Place::Line(name.to_owned(), line_of(text, start)));
            }
        }
        Err(error) => {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            let message = error.message().trim().replace('\n', ", ");
            reading.problems.push(Problem { place: Place::Line(name.to_owned(), line), message });
        }
    }
    for flag in overrides {
        let place = Place::Flag(flag.clone());
        match flag.split_once('=') {
            Some((key, value)) => {
                // What is no TOML value is taken as a text, so that quotes need no quoting in a shell.
                let value = value.trim();
                let value = value.parse::<Value>().unwrap_or_else(|_| Value::from(value));
                reading.take(key.trim(), Some(&Item::Value(value)), place);
            }
            None => reading.problems.push(Problem { place, message: "expected key=value".to_owned() }),
        }
    }
    reading.finish(name)
}

/// A configuration in the making.
struct Reading {
    config: Config,
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

impl Reading {
    fn take(&mut self, key: &str, item: Option<&Item>, place: Place) {
        let taken = match item {
            Some(Item::Value(value)) => self.config.set(key, value).map_err(|message| format!("{key}: {message}")),
            _ => Ok(false),
        };
        match taken {
            Ok(true) => {}
            Ok(false) => self.problems.push(Problem { place: place.clone(), message: unknown(key) }),
            Err(message) => self.problems.push(Problem { place: place.clone(), message }),
        }
        self.places.insert(key.to_owned(), place);
    }

    fn finish(mut self, name: &str) -> Result<Config, Problems> {
        let places = &self.places;
        // A value that could not be read is already reported; its default would only be reported twice.
        let failed: Vec<_> = self.problems.iter().map(|problem| problem.place.clone()).collect();
        for (key, message) in self.config.validate() {
            let place = places.get(key).cloned().unwrap_or_else(|| Place::File(name.to_owned()));
            if !failed.contains(&place) {
                self.problems.push(Problem { place, message: format!("{key}: {message}") });
            }
        }
        if self.problems.is_empty() { Ok(self.config) } else { Err(Problems(self.problems)) }
    }
}

/// Line of the byte at `start`, counted from 1.
fn line_of(text: &str, start: usize) -> usize {
    text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1
}

/// Says that there is no such key, and which one may be meant.
fn unknown(key: &str) -> String {
    let near = Config::KEYS.iter().map(|known| (distance(key, known), *known)).min();
    match near {
        Some((distance, known)) if distance <= 3.max(key.len() / 4) => {
            format!("unknown key `{key}`: did you mean `{known}`?")
        }
        _ => format!("unknown key `{key}`"),
    }
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
