//! A topic `orders` of two partitions: how tests fill it and look at it.

use std::{
    io::Write as _,
    path::Path,
    process::{Output, Stdio},
};

use serde_json::Value;

use crate::support::{ends_with, holdfast};

/// Records of one call of [`produce`] in each partition.
pub(crate) const ROUND: u64 = 200;

pub(crate) fn partitions(dir: &Path) -> Vec<Value> {
    json(dir, &["partition", "ls", "-t", "orders", "-o", "json"]).as_array().unwrap().clone()
}

pub(crate) fn produce(dir: &Path) {
    let records = "record\n".repeat(ROUND as usize);
    for partition in ["0", "1"] {
        let output = with_input(dir, &["produce", "orders", "-p", partition], &records);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

pub(crate) fn with_input(dir: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = holdfast(dir, arguments).stdin(Stdio::piped()).spawn().unwrap();
    // A command that does not read it ends the pipe.
    let _ended = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
pub(crate) fn json(dir: &Path, arguments: &[&str]) -> Value {
    let (out, _) = ends_with(dir, 0, arguments);
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
}

/// The text with its lines joined.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
