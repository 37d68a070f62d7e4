//! The types that an option can have, and how each is read from TOML.

use std::{fmt, net::Ipv6Addr, path::PathBuf};

use toml_edit::Value;
use uuid::Uuid;

/// A type that an option can have.
pub trait FromToml: Sized {
    /// Reads it; the error says what was expected.
    fn from_toml(value: &Value) -> Result<Self, String>;
    /// Writes it as TOML, for the reference.
    fn to_toml(&self) -> String;
    /// What the text of a flag means for this type, quotes or none: they need no quoting in a shell.
    fn of_text(text: &str) -> Value {
        any_value(text)
    }
}

/// The TOML value that a text is; what is none is a text.
pub fn any_value(text: &str) -> Value {
    text.parse().unwrap_or_else(|_| Value::from(text))
}

/// As [`any_value`] where a text is wanted: `0` and `true` are texts then.
fn text_value(text: &str) -> Value {
    text.parse().ok().filter(Value::is_str).unwrap_or_else(|| Value::from(text))
}

/// Methods of a type that is written as a text.
macro_rules! of_text {
    () => {
        fn of_text(text: &str) -> Value {
            text_value(text)
        }
    };
}

/// Fails on a number that is not within `low <= number <= high`. What is not a number passes: its type refuses it.
pub fn in_range(value: &Value, low: u64, high: u64) -> Result<(), String> {
    match value.as_integer().map(u64::try_from) {
        Some(Ok(number)) if !(low..=high).contains(&number) => {
            Err(format!("{number} is out of range: {low} to {high}"))
        }
        _ => Ok(()),
    }
}

/// An address as `host:port`, an IPv6 address in brackets. The host is resolved at each connect, never stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Address {
    /// Name or IP address.
    pub host: String,
    /// Port; 0 where a free one may be taken.
    pub port: u16,
}

impl Address {
    /// True if it was never given.
    pub fn is_empty(&self) -> bool {
        self.host.is_empty()
    }

    /// True if nobody can connect to it: a wildcard.
    pub fn is_wildcard(&self) -> bool {
        ["0.0.0.0", "[::]", "::"].contains(&self.host.as_str())
    }
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            let how = if text.contains('[') || text.matches(':').count() > 1 {
                ", an IPv6 address as [::1]:9092"
            } else {
                ", as broker-1.example:9092"
            };
            format!("'{text}' is not an address; write host:port{how}")
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().map_err(|_| wrong())?;
        let is_host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').is_some_and(|inner| inner.parse::<Ipv6Addr>().is_ok()),
            None => !host.is_empty() && !host.contains(|c: char| "[]:/%@?#".contains(c) || c.is_whitespace()),
        };
        if is_host { Ok(Self { host: host.to_owned(), port }) } else { Err(wrong()) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// How the log of the program itself is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for each event, for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromToml for LogFormat {
    of_text!();

    fn from_toml(value: &Value) -> Result<Self, String> {
        match value.as_str() {
            Some("text") => Ok(Self::Text),
            Some("json") => Ok(Self::Json),
            _ => Err(format!("expected \"text\" or \"json\", found {}", shown(value))),
        }
    }

    fn to_toml(&self) -> String {
        match self {
            Self::Text => "\"text\"".to_owned(),
            Self::Json => "\"json\"".to_owned(),
        }
    }
}

/// The value as it stands in the file, without the blanks around it.
fn shown(value: &Value) -> String {
    value.to_string().trim().to_owned()
}

fn number(value: &Value) -> Result<u64, String> {
    let expected = || format!("expected a whole number from 0 on, found {}", shown(value));
    value.as_integer().and_then(|number| u64::try_from(number).ok()).ok_or_else(expected)
}

impl FromToml for u64 {
    fn from_toml(value: &Value) -> Result<Self, String> {
        number(value)
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl FromToml for u32 {
    fn from_toml(value: &Value) -> Result<Self, String> {
        let number = number(value)?;
        Self::try_from(number).map_err(|_| format!("{number} is out of range: 0 to {}", Self::MAX))
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl FromToml for bool {
    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| format!("expected true or false, found {}", shown(value)))
    }

    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl FromToml for String {
    of_text!();

    fn from_toml(value: &Value) -> Result<Self, String> {
        value.as_str().map(str::to_owned).ok_or_else(|| format!("expected a string, found {}", shown(value)))
    }

    fn to_toml(&self) -> String {
        Value::from(self.as_str()).to_string()
    }
}

impl FromToml for Uuid {
    of_text!();

    fn from_toml(value: &Value) -> Result<Self, String> {
        let text = String::from_toml(value)?;
        Self::parse_str(&text).map_err(|_| format!("'{text}' is not a UUID; write 8-4-4-4-12 hexadecimal digits"))
    }

    fn to_toml(&self) -> String {
        format!("\"{self}\"")
    }
}

impl FromToml for PathBuf {
    of_text!();

    fn from_toml(value: &Value) -> Result<Self, String> {
        String::from_toml(value).map(Self::from)
    }

    fn to_toml(&self) -> String {
        if self.as_os_str().is_empty() { String::new() } else { self.display().to_string().to_toml() }
    }
}

impl FromToml for Address {
    of_text!();

    fn from_toml(value: &Value) -> Result<Self, String> {
        String::from_toml(value)?.parse()
    }

    fn to_toml(&self) -> String {
        if self.is_empty() { String::new() } else { self.to_string().to_toml() }
    }
}

impl<T: FromToml> FromToml for Option<T> {
    fn of_text(text: &str) -> Value {
        T::of_text(text)
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        T::from_toml(value).map(Some)
    }

    fn to_toml(&self) -> String {
        self.as_ref().map(T::to_toml).unwrap_or_default()
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn of_text(text: &str) -> Value {
        text.parse().ok().filter(Value::is_array).unwrap_or_else(|| text_value(text))
    }

    fn from_toml(value: &Value) -> Result<Self, String> {
        match value {
            Value::Array(values) => values.iter().map(T::from_toml).collect(),
            // A flag may give a list as a,b,c without brackets and quotes.
            Value::String(text) => text.value().split(',').map(|part| T::from_toml(&T::of_text(part.trim()))).collect(),
            _ => Err(format!("expected a list, found {}", shown(value))),
        }
    }

    fn to_toml(&self) -> String {
        if self.is_empty() {
            String::new()
        } else {
            format!("[{}]", self.iter().map(T::to_toml).collect::<Vec<_>>().join(", "))
        }
    }
}
