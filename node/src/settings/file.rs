//! Reads the file and the flags, and gathers every problem with its place.

use std::{collections::BTreeMap, path::Path};

use toml_edit::{Document, Item};

use holdfast_proto::near::nearest;

use super::{Place, Problem, Problems, Settings};

/// When the relations between options are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relations {
    /// Always. Where a value could not be read its default is compared, and nothing more is said of its place.
    Always,
    /// Only once every value could be read, so that no default is compared in the place of one that could not.
    OnceAllIsRead,
}

/// Reads the file at `path`, then the `key=value` overrides in order, and checks the whole.
pub fn load<C: Settings>(path: &Path, overrides: &[String], relations: Relations) -> Result<C, Problems> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&name, &text, overrides, relations),
        Err(error) => {
            let message = format!("cannot be read: {error}");
            Err(Problems(vec![Problem { place: Place::File(name), message }]))
        }
    }
}

/// As [`load`], from text; `name` stands for the file in problems.
pub fn parse<C: Settings>(name: &str, text: &str, overrides: &[String], relations: Relations) -> Result<C, Problems> {
    let mut reading = Reading { config: C::default(), places: BTreeMap::new(), problems: Vec::new() };
    match Document::parse(text) {
        Ok(document) => {
            for (key, item) in document.iter() {
                let span = document.key(key).and_then(toml_edit::Key::span);
                let start = span.map_or(0, |span| span.start);
                reading.take(key, item, Place::Line(name.to_owned(), line_of(text, start)));
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
                let key = key.trim();
                reading.take(key, &Item::Value(C::value_of(key, value.trim())), place);
            }
            None => reading.problems.push(Problem { place, message: "expected key=value".to_owned() }),
        }
    }
    reading.finish(name, relations)
}

/// A configuration in the making.
struct Reading<C> {
    config: C,
    places: BTreeMap<String, Place>,
    problems: Vec<Problem>,
}

impl<C: Settings> Reading<C> {
    fn take(&mut self, key: &str, item: &Item, place: Place) {
        let taken = match item {
            Item::Value(value) => self.config.set(key, value).map_err(|message| format!("{key}: {message}")),
            _ => Ok(false),
        };
        match taken {
            Ok(true) => {}
            Ok(false) => self.problems.push(Problem { place: place.clone(), message: unknown_key(key, C::KEYS) }),
            Err(message) => self.problems.push(Problem { place: place.clone(), message }),
        }
        self.places.insert(key.to_owned(), place);
    }

    fn finish(mut self, name: &str, relations: Relations) -> Result<C, Problems> {
        if relations == Relations::Always || self.problems.is_empty() {
            self.relate(name);
        }
        if self.problems.is_empty() { Ok(self.config) } else { Err(Problems(self.problems)) }
    }

    fn relate(&mut self, name: &str) {
        // A value that could not be read is already reported; its default would only be reported twice.
        let failed: Vec<_> = self.problems.iter().map(|problem| problem.place.clone()).collect();
        for (key, message) in self.config.missing().into_iter().chain(self.config.relations()) {
            let place = self.places.get(key).cloned().unwrap_or_else(|| Place::File(name.to_owned()));
            if !failed.contains(&place) {
                self.problems.push(Problem { place, message });
            }
        }
    }
}

/// Says that there is no such key, and which may be meant.
fn unknown_key(key: &str, known: &[&'static str]) -> String {
    match nearest(key, known) {
        Some(near) => format!("unknown key '{key}'; did you mean '{near}'?"),
        None => format!("unknown key '{key}'; known: see --print-options"),
    }
}

/// Line of the byte at `start`, counted from 1.
fn line_of(text: &str, start: usize) -> usize {
    text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
