//! Plain technical English, in code and in documents.

use holdfast_tidy::{
    sources::{self, assert_none},
    words::refused_in,
};

/// Words that tax every reader. The rule and the command line's own rule name them.
const REFUSED: [&str; 17] = [
    "anew",
    "whoever",
    "fate",
    "shall",
    "books",
    "wish",
    "wishes",
    "awaited",
    "thereof",
    "hence",
    "last word",
    "lives on",
    "come of age",
    "misfit",
    "whence",
    "lest",
    "befall",
];
/// Files that name the words.
const MAY_NAME_THEM: [&str; 2] = ["tests/tidy/", "client/cli/src/style_tests.rs"];

#[test]
fn words_are_plain() {
    let mut found = Vec::new();
    for source in sources::with(&["rs", "md", "proto", "yaml", "tpl", "sh", "txt", "toml", "py"]) {
        if MAY_NAME_THEM.iter().any(|place| source.path.starts_with(place)) {
            continue;
        }
        for (number, line) in source.content.lines().enumerate() {
            for word in refused_in(line, &REFUSED) {
                found.push(format!("{}:{}: `{word}`: say it plainly", source.path, number + 1));
            }
        }
    }
    assert_none(&found);
}
