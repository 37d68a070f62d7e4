//! How `holdfast consume` prints a record: kcat's format strings.

use std::io::{self, Write};

/// A record as it is printed.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// Index of the partition.
    pub partition: u32,
    /// Place in the partition.
    pub offset: u64,
    /// Its time, ms since 1970.
    pub timestamp_ms: i64,
    /// Its key, if it has one.
    pub key: Option<&'a [u8]>,
    /// Its value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Its headers, in order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
}

/// A format string, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Vec<Token>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Text(Vec<u8>),
    Topic,
    Partition,
    Offset,
    Timestamp,
    Key,
    KeySize,
    Value,
    ValueSize,
    Headers,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut tokens = Vec::new();
        let mut plain = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            let token = match byte {
                b'\\' => {
                    plain.push(escaped(&mut bytes)?);
                    continue;
                }
                b'%' => match bytes.next() {
                    Some(b'%') => {
                        plain.push(b'%');
                        continue;
                    }
                    Some(b't') => Token::Topic,
                    Some(b'p') => Token::Partition,
                    Some(b'o') => Token::Offset,
                    Some(b'T') => Token::Timestamp,
                    Some(b'k') => Token::Key,
                    Some(b'K') => Token::KeySize,
                    Some(b's') => Token::Value,
                    Some(b'S') => Token::ValueSize,
                    Some(b'h') => Token::Headers,
                    other => {
                        let other = other.map_or(String::new(), |byte| char::from(byte).to_string());
                        return Err(format!("unknown token '%{other}'; known: %t %p %o %T %k %K %s %S %h %%"));
                    }
                },
                _ => {
                    plain.push(byte);
                    continue;
                }
            };
            if !plain.is_empty() {
                tokens.push(Token::Text(std::mem::take(&mut plain)));
            }
            tokens.push(token);
        }
        if !plain.is_empty() {
            tokens.push(Token::Text(plain));
        }
        Ok(Self(tokens))
    }
}

/// The byte that an escape stands for; the backslash has been taken.
fn escaped(bytes: &mut impl Iterator<Item = u8>) -> Result<u8, String> {
    Ok(match bytes.next() {
        Some(b'n') => b'\n',
        Some(b't') => b'\t',
        Some(b'r') => b'\r',
        Some(b'0') => 0,
        Some(b'\\') => b'\\',
        Some(b'x') => {
            let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
            let (high, low) = (digit(), digit());
            match (high, low) {
                (Some(high), Some(low)) => (high * 16 + low) as u8,
                _ => return Err("'\\x' is not a byte; write two hexadecimal digits after it, as \\x1f".to_owned()),
            }
        }
        Some(other) => {
            return Err(format!("unknown escape '\\{}'; known: \\n \\t \\r \\0 \\\\ \\xNN", char::from(other)));
        }
        None => return Err("'\\' at the end is not an escape; write \\\\ for a backslash".to_owned()),
    })
}

/// A text with escapes, as a delimiter on the command line.
pub fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        plain.push(if byte == b'\\' { escaped(&mut bytes)? } else { byte });
    }
    Ok(plain)
}

impl Format {
    /// Writes one record. A key or value that is absent is left empty, and its size is -1.
    pub fn write(&self, out: &mut impl Write, view: &View<'_>) -> io::Result<()> {
        let size = |bytes: Option<&[u8]>| bytes.map_or(-1, |bytes| bytes.len() as i64);
        for token in &self.0 {
            match token {
                Token::Text(text) => out.write_all(text)?,
                Token::Topic => out.write_all(view.topic.as_bytes())?,
                Token::Partition => write!(out, "{}", view.partition)?,
                Token::Offset => write!(out, "{}", view.offset)?,
                Token::Timestamp => write!(out, "{}", view.timestamp_ms)?,
                Token::Key => out.write_all(view.key.unwrap_or_default())?,
                Token::KeySize => write!(out, "{}", size(view.key))?,
                Token::Value => out.write_all(view.value.unwrap_or_default())?,
                Token::ValueSize => write!(out, "{}", size(view.value))?,
                Token::Headers => {
                    for (at, (name, value)) in view.headers.iter().enumerate() {
                        let comma = if at == 0 { "" } else { "," };
                        write!(out, "{comma}{name}=")?;
                        out.write_all(value.unwrap_or_default())?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn base16(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |digit: u8| char::from(DIGITS[usize::from(digit)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Writes one record as a line of JSON. Bytes that are no UTF-8 stand as `{"base16": "…"}`.
pub fn write_json(out: &mut impl Write, view: &View<'_>) -> io::Result<()> {
    let text = |bytes: Option<&[u8]>| match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => serde_json::Value::Null,
        Some((_, Ok(text))) => text.into(),
        Some((bytes, Err(_))) => {
            serde_json::json!({ "base16": base16(bytes) })
        }
    };
    let headers: Vec<_> =
        view.headers.iter().map(|(key, value)| serde_json::json!({ "key": key, "value": text(*value) })).collect();
    let record = serde_json::json!({
        "topic": view.topic,
        "partition": view.partition,
        "offset": view.offset,
        "timestamp_ms": view.timestamp_ms,
        "key": text(view.key),
        "value": text(view.value),
        "headers": headers,
    });
    serde_json::to_writer(&mut *out, &record)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEW: View<'_> = View {
        topic: "orders",
        partition: 3,
        offset: 42,
        timestamp_ms: 1_700_000_000_000,
        key: Some(b"alice"),
        value: Some(b"2 apples"),
        headers: &[("trace", Some(b"7")), ("none", None)],
    };

    fn check(format: &str, view: &View<'_>, expected: &str) {
        let mut out = Vec::new();
        format.parse::<Format>().unwrap().write(&mut out, view).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn every_token_is_kcats() {
        check("%t[%p]@%o %T\\n", &VIEW, "orders[3]@42 1700000000000\n");
        check("%k(%K)=%s(%S)\\t%h", &VIEW, "alice(5)=2 apples(8)\ttrace=7,none=");
        check("100%% \\\\ \\x41\\0", &VIEW, "100% \\ A\0");
        check("ü%s", &VIEW, "ü2 apples");
        check("", &VIEW, "");
    }

    #[test]
    fn an_absent_key_and_a_tombstone_have_size_minus_one() {
        let view = View { key: None, value: None, headers: &[], ..VIEW };
        check("%k|%K|%s|%S|%h", &view, "|-1||-1|");
        check("%K", &View { key: Some(b""), ..VIEW }, "0");
    }

    #[test]
    fn a_wrong_format_says_what_there_is() {
        for (format, part) in [
            ("%x", "unknown token '%x'"),
            ("%", "%t %p"),
            ("\\q", "unknown escape '\\q'"),
            ("\\", "backslash"),
            ("\\x4", "two"),
        ] {
            let error = format.parse::<Format>().unwrap_err();
            assert!(error.contains(part), "{format}: {error}");
        }
    }

    #[test]
    fn json_is_one_line_and_keeps_any_bytes() {
        let mut out = Vec::new();
        write_json(&mut out, &View { value: Some(&[0xff, 0x0a]), ..VIEW }).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["value"]["base16"], "ff0a");
        assert_eq!(json["headers"][0]["key"], "trace");
    }

    #[test]
    fn a_delimiter_is_unescaped() {
        assert_eq!(unescape("\\t").unwrap(), b"\t");
        assert_eq!(unescape(":").unwrap(), b":");
    }
}
