//! Files are short, are named for what they do and say what they are; what has no place in any is refused.

use std::fs;

use holdfast_tidy::sources::{self, Source, assert_none, code, root, ships, violations};

/// A word that is refused everywhere, and why.
const REFUSED: [(&str, &str); 9] = [
    (".do_send(", "ignores the mailbox bound and drops silently on a closed mailbox: use try_send or send"),
    ("todo!(", "a stub is not done"),
    ("unimplemented!(", "a stub is not done"),
    ("dbg!(", "left over from debugging"),
    ("unbounded_channel", "every queue is bounded"),
    ("crossbeam_channel::unbounded", "every queue is bounded"),
    ("allow(dead_code)", "delete what nothing uses"),
    ("#[ignore", "a test that does not run proves nothing"),
    ("sleep(Duration::from_secs", "wait for a condition with a deadline"),
];

/// Longest file that reads as one thing, lines. The median is near 120.
const MAX_LINES: usize = 450;

#[test]
fn refused_words_stand_nowhere() {
    assert_none(&violations(|_, line| {
        let (word, why) = REFUSED.iter().find(|(word, _)| code(line).contains(word))?;
        Some(format!("`{word}`: {why}"))
    }));
}

#[test]
fn files_stay_short_and_are_named_for_what_they_do() {
    let mut all = Vec::new();
    for Source { path, content } in sources::all() {
        let lines = content.lines().count();
        if lines > MAX_LINES {
            all.push(format!("{path}: {lines} lines, more than {MAX_LINES}"));
        }
        if ["utils.rs", "util.rs", "helpers.rs", "misc.rs", "common.rs"]
            .iter()
            .any(|name| path.ends_with(&format!("/{name}")))
        {
            all.push(format!("{path}: named for nothing"));
        }
        if ships(&path) && !content.trim_start().starts_with("//!") {
            all.push(format!("{path}: does not begin by saying what it is (//!)"));
        }
    }
    assert_none(&all);
}

#[test]
fn the_architecture_names_every_folder_of_code() {
    let architecture = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    // Its map alone: prose may name a folder and not say what it is.
    let architecture: String = architecture.lines().filter(|line| line.starts_with('|')).collect();
    let mut missing = Vec::new();
    for Source { path, .. } in sources::all() {
        let Some((folder, _)) = path.rsplit_once('/') else { continue };
        if !architecture.contains(&format!("`{folder}/`")) && !missing.contains(&folder.to_owned()) {
            missing.push(folder.to_owned());
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md does not name: {}", missing.join(", "));
}
