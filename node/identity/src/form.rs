//! The text of an identity file, written and read. Pure.

use std::{collections::BTreeMap, fmt::Display, str::FromStr};

/// Version of the format. A newer one is refused.
pub const VERSION: u32 = 1;

const VERSION_KEY: &str = "version";

/// How the file of one kind of node looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// Name of the file in the data folder.
    pub file: &'static str,
    /// Name of the lock file in the data folder.
    pub lock: &'static str,
    separator: &'static str,
    /// Key of the last line, the checksum of those before it, where there is one.
    checksum: Option<&'static str>,
}

/// A broker's file: its last line is the checksum of those before it.
pub const BROKER: Form =
    Form { file: "holdfast-data", lock: "holdfast.lock", separator: ": ", checksum: Some("crc32c") };

/// A controller's file: `key=value`, without a checksum.
pub const CONTROLLER: Form = Form { file: "meta.properties", lock: "lock", separator: "=", checksum: None };

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A later program wrote it.
    #[error("version {0}")]
    Newer(u32),
    /// The checksum is missing or wrong.
    #[error("the checksum")]
    Checksum,
    /// A line that is no field.
    #[error("the line '{0}'")]
    Line(String),
    /// A field that has to be there.
    #[error("'{0}' is missing")]
    Missing(&'static str),
    /// A field, as it stands in the file, whose value cannot be.
    #[error("'{0}'")]
    Value(String),
}

/// The fields of a file that is whole and of a known version.
#[derive(Clone, Debug)]
pub struct Fields<'t> {
    form: Form,
    values: BTreeMap<&'t str, &'t str>,
}

impl Form {
    /// The file with these fields, in this order, after the version.
    pub fn encode(&self, fields: &[(&str, String)]) -> String {
        let line = |key: &str, value: &dyn Display| format!("{key}{}{value}\n", self.separator);
        let mut text = line(VERSION_KEY, &VERSION);
        text.extend(fields.iter().map(|(key, value)| line(key, value)));
        if let Some(key) = self.checksum {
            text.push_str(&line(key, &checksum(&text)));
        }
        text
    }

    /// Reads what [`Self::encode`] made.
    pub fn decode<'t>(&self, text: &'t str) -> Result<Fields<'t>, Problem> {
        let mut values = BTreeMap::new();
        for line in self.whole(text)?.lines().filter(|line| !line.trim().is_empty()) {
            let (key, value) = line.split_once(self.separator).ok_or_else(|| Problem::Line(line.to_owned()))?;
            values.insert(key, value);
        }
        let fields = Fields { form: *self, values };
        match u32::try_from(fields.get::<u64>(VERSION_KEY)?).unwrap_or(u32::MAX) {
            VERSION => Ok(fields),
            newer if newer > VERSION => Err(Problem::Newer(newer)),
            _ => Err(fields.wrong(VERSION_KEY)),
        }
    }

    /// The text without its checksum, if that is right.
    fn whole<'t>(&self, text: &'t str) -> Result<&'t str, Problem> {
        let Some(key) = self.checksum else { return Ok(text) };
        let (content, last) = text.rsplit_once(key).ok_or(Problem::Checksum)?;
        let stored = last.strip_prefix(self.separator).and_then(|last| last.strip_suffix('\n'));
        if stored == Some(checksum(content).as_str()) { Ok(content) } else { Err(Problem::Checksum) }
    }
}

impl Fields<'_> {
    /// The value of a field that has to be there.
    pub fn get<T: FromStr>(&self, key: &'static str) -> Result<T, Problem> {
        self.find(key)?.ok_or(Problem::Missing(key))
    }

    /// The value of a field, if it is there.
    pub fn find<T: FromStr>(&self, key: &'static str) -> Result<Option<T>, Problem> {
        self.values.get(key).map(|value| value.parse().map_err(|_| self.wrong(key))).transpose()
    }

    /// The field is there, and its value cannot be.
    pub fn wrong(&self, key: &'static str) -> Problem {
        let value = self.values.get(key).copied().unwrap_or_default();
        Problem::Value(format!("{key}{}{value}", self.form.separator))
    }
}

fn checksum(text: &str) -> String {
    format!("{:08x}", crc32c::crc32c(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: Form) -> String {
        form.encode(&[("id", "5".to_owned()), ("name", "a b".to_owned())])
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(text(CONTROLLER), "version=1\nid=5\nname=a b\n");
        assert_eq!(text(BROKER), "version: 1\nid: 5\nname: a b\ncrc32c: a1c9aa8c\n");
        for form in [BROKER, CONTROLLER] {
            let text = text(form);
            let fields = form.decode(&text).unwrap();
            assert_eq!((fields.get::<u32>("id"), fields.find("name")), (Ok(5), Ok(Some("a b".to_owned()))));
            assert_eq!(fields.find::<u32>("other"), Ok(None));
            assert_eq!(fields.get::<u32>("other"), Err(Problem::Missing("other")));
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let text = text(CONTROLLER);
        let fields = CONTROLLER.decode(&text).unwrap();
        assert_eq!(fields.get::<u32>("name").unwrap_err().to_string(), "'name=a b'");
        let refused = |text: &str| CONTROLLER.decode(text).unwrap_err();
        assert_eq!(refused(""), Problem::Missing("version"));
        assert_eq!(refused("version=x\n"), Problem::Value("version=x".to_owned()));
        assert_eq!(refused("version=0\n"), Problem::Value("version=0".to_owned()));
        assert_eq!(refused("version=2\n"), Problem::Newer(2));
        assert_eq!(refused("version=99999999999\n"), Problem::Newer(u32::MAX));
        assert_eq!(refused("version=1\n\nx\n"), Problem::Line("x".to_owned()));
    }

    #[test]
    fn a_changed_byte_breaks_the_checksum() {
        let text = text(BROKER);
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert!(BROKER.decode(&changed).is_err(), "byte {at}");
            assert!(BROKER.decode(&text[..at]).is_err(), "cut at {at}");
        }
    }
}
