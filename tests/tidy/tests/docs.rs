//! A doc line says unit, bound or meaning, or is not there.

use holdfast_tidy::{
    docs::{WORDS_MIN, too_short},
    sources::{self, assert_none},
};

#[test]
fn a_doc_line_says_something() {
    let mut found = Vec::new();
    for source in sources::all() {
        for (line, text) in too_short(&source.content) {
            found.push(format!(
                "{}:{line}: `{text}` has fewer than {WORDS_MIN} words: say more, or nothing",
                source.path
            ));
        }
    }
    assert_none(&found);
}
