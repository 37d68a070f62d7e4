//! Reads the file and the overrides, and gathers every problem.

use std::{fmt, fs, ops::Range, path::Path};

use toml_edit::{Document, Value};

use super::Config;

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `file:line`, or the `--set` option.
    pub place: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Why there is no configuration: all problems, in order of place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Error(pub Vec<Problem>);

/// Loads `file` (if one is named), applies the overrides (`key=value`) and validates the whole.
pub fn load(file: Option<&Path>, overrides: &[String]) -> Result<Config, Error> {
    let mut config = Config::default();
    let mut problems = Vec::new();
    let mut places = Vec::new();
    if let Some(path) = file {
        match fs::read_to_string(path) {
            Ok(text) => read_file(&mut config, path, &text, &mut places, &mut problems),
            Err(error) => problems.push(Problem { place: path.display().to_string(), message: error.to_string() }),
        }
    }
    for text in overrides {
        read_override(&mut config, text, &mut places, &mut problems);
    }
    // Relations between options that could not be read would only repeat the first problem.
    if problems.is_empty() {
        let origin = file.map_or_else(|| "configuration".to_owned(), |path| path.display().to_string());
        for (key, message) in config.validate() {
            let place =
                places.iter().rev().find(|(set, _)| set == key).map(|(_, place): &(String, String)| place.clone());
            problems.push(Problem { place: place.unwrap_or_else(|| origin.clone()), message });
        }
    }
    if problems.is_empty() { Ok(config) } else { Err(Error(problems)) }
}

fn read_file(
    config: &mut Config,
    path: &Path,
    text: &str,
    places: &mut Vec<(String, String)>,
    problems: &mut Vec<Problem>,
) {
    let place = |span: Option<Range<usize>>| {
        let line = span.map_or(1, |s| text[..s.start.min(text.len())].matches('\n').count() + 1);
        format!("{}:{line}", path.display())
    };
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            problems.push(Problem { place: place(error.span()), message: error.message().trim().to_owned() });
            return;
        }
    };
    for (key, item) in document.iter() {
        let span = document.as_table().key(key).and_then(toml_edit::Key::span).or_else(|| item.span());
        let place = place(span);
        let Some(value) = item.as_value() else {
            problems.push(Problem { place, message: unknown(key) });
            continue;
        };
        apply(config, key, value, place, places, problems);
    }
}

fn read_override(config: &mut Config, text: &str, places: &mut Vec<(String, String)>, problems: &mut Vec<Problem>) {
    let place = format!("--set {text}");
    let Some((key, raw)) = text.split_once('=') else {
        problems.push(Problem { place, message: "expected key=value".to_owned() });
        return;
    };
    // A value that is not TOML by itself is a string: `--set log_level=debug` needs no quotes.
    let value = raw.trim().parse::<Value>().unwrap_or_else(|_| Value::from(raw.trim()));
    apply(config, key.trim(), &value, place, places, problems);
}

fn apply(
    config: &mut Config,
    key: &str,
    value: &Value,
    place: String,
    places: &mut Vec<(String, String)>,
    problems: &mut Vec<Problem>,
) {
    match config.set(key, value) {
        Ok(true) => places.push((key.to_owned(), place)),
        Ok(false) => problems.push(Problem { place, message: unknown(key) }),
        Err(message) => problems.push(Problem { place, message: format!("{key}: {message}") }),
    }
}

/// Names the key that was probably meant: the one with the longest common beginning, or that contains it.
fn unknown(key: &str) -> String {
    let common = |known: &str| known.bytes().zip(key.bytes()).take_while(|(a, b)| a == b).count();
    let near = Config::KEYS.iter().max_by_key(|known| common(known)).filter(|known| common(known) >= 4);
    match near {
        Some(near) => format!("unknown key `{key}`; did you mean `{near}`?"),
        None => format!("unknown key `{key}`"),
    }
}
