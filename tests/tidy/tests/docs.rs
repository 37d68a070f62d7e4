//! A doc line says unit, bound or meaning, or is not there.

use holdfast_tidy::{
    docs::{WORDS_MIN, too_short},
    sources::{self, assert_none},
};

/// Where short lines are still left; nowhere else are they allowed.
const NOT_YET: [&str; 2] = ["tests/src/sim/", "broker/src/actors/replicas.rs"];

#[test]
fn a_doc_line_says_something() {
    let mut found = Vec::new();
    let is_left = |path: &str| NOT_YET.iter().any(|place| path.starts_with(place));
    for source in sources::all().into_iter().filter(|source| !is_left(&source.path)) {
        for (line, text) in too_short(&source.content) {
            found.push(format!(
                "{}:{line}: `{text}` has fewer than {WORDS_MIN} words: say more, or nothing",
                source.path
            ));
        }
    }
    assert_none(&found);
}
