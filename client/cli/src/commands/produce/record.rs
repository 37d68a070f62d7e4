//! Key and value of a line.

use super::command::{Delimiter, ProduceArgs};

/// Key and value of a line, as the flags say.
pub(super) fn split<'a>(line: &'a [u8], args: &'a ProduceArgs) -> (Option<&'a [u8]>, Option<&'a [u8]>) {
    let (key, value) = match (&args.key, &args.key_separator) {
        (Some(key), _) => (Some(key.as_bytes()), line),
        (None, Some(Delimiter(separator))) => match find(line, separator) {
            Some(at) => (Some(&line[..at]), &line[at + separator.len()..]),
            None => (None, line),
        },
        (None, None) => (None, line),
    };
    (key, (!args.tombstones || !value.is_empty()).then_some(value))
}

fn find(line: &[u8], separator: &[u8]) -> Option<usize> {
    line.windows(separator.len()).position(|window| window == separator)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::produce::command;

    #[test]
    fn a_key_is_split_off_once() {
        let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
        let check = |flags: &[&str], line: &str, key: Option<&str>, value: Option<&str>| {
            let args = command::parse(flags).unwrap();
            let (k, v) = split(line.as_bytes(), &args);
            assert_eq!((text(k).as_deref(), text(v).as_deref()), (key, value), "{line} {flags:?}");
        };
        check(&["-K:"], "a:b:c", Some("a"), Some("b:c"));
        check(&["-K:"], "abc", None, Some("abc"));
        check(&["-K", "\\t"], "a\tb", Some("a"), Some("b"));
        check(&["-k", "x"], "a:b", Some("x"), Some("a:b"));
        check(&["-K:"], "a:", Some("a"), Some(""));
        check(&["-K:", "-Z"], "a:", Some("a"), None);
    }
}
