//! How TOML values become the types of options.

use std::{ops::RangeInclusive, path::PathBuf};

use toml_edit::Value;
use uuid::Uuid;

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A type that an option can have. The error says what was expected.
pub(super) trait FromToml: Sized {
    /// The value, checked against the option's range.
    fn from_toml(value: &Value, range: Option<RangeInclusive<u64>>) -> Result<Self, String>;
}

impl FromToml for u64 {
    fn from_toml(value: &Value, range: Option<RangeInclusive<u64>>) -> Result<Self, String> {
        let number = value.as_integer().ok_or_else(|| wrong("a whole number", value))?;
        let range = range.unwrap_or(0..=Self::MAX);
        Self::try_from(number)
            .ok()
            .filter(|n| range.contains(n))
            .ok_or_else(|| format!("{number} is out of range: {} to {}", range.start(), range.end()))
    }
}

impl FromToml for u32 {
    fn from_toml(value: &Value, range: Option<RangeInclusive<u64>>) -> Result<Self, String> {
        let number = u64::from_toml(value, Some(range.unwrap_or(0..=u64::from(Self::MAX))))?;
        Self::try_from(number).map_err(|_| format!("{number} is out of range"))
    }
}

impl FromToml for String {
    fn from_toml(value: &Value, _: Option<RangeInclusive<u64>>) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| wrong("a string", value))
    }
}

impl FromToml for PathBuf {
    fn from_toml(value: &Value, range: Option<RangeInclusive<u64>>) -> Result<Self, String> {
        String::from_toml(value, range).map(Self::from)
    }
}

impl FromToml for Vec<String> {
    fn from_toml(value: &Value, range: Option<RangeInclusive<u64>>) -> Result<Self, String> {
        let array = value.as_array().ok_or_else(|| wrong("a list of strings", value))?;
        array.iter().map(|item| String::from_toml(item, range.clone())).collect()
    }
}

impl FromToml for Option<Uuid> {
    fn from_toml(value: &Value, range: Option<RangeInclusive<u64>>) -> Result<Self, String> {
        let text = String::from_toml(value, range)?;
        Uuid::parse_str(&text).map(Some).map_err(|_| format!("\"{text}\" is not a UUID"))
    }
}

impl FromToml for LogFormat {
    fn from_toml(value: &Value, _: Option<RangeInclusive<u64>>) -> Result<Self, String> {
        match value.as_str() {
            Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            _ => Err(wrong("\"text\" or \"json\"", value)),
        }
    }
}

fn wrong(expected: &str, value: &Value) -> String {
    format!("expected {expected}, found {}", value.to_string().trim())
}
