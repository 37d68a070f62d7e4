//! What is public is used elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_tidy::{
    sources::{self, assert_none, ships},
    uses, words,
};

/// Sources whose users stand outside of the tree as well: the client library and the protocol.
const FOR_OTHERS: [&str; 2] = ["client/src/", "proto/src/"];

/// By name, not by type: one that happens to stand elsewhere hides one that nobody uses, and none is found wrongly.
#[test]
fn no_public_function_or_constant_is_used_in_its_own_file_alone() {
    let all = sources::all();
    let mut places: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
    for (number, source) in all.iter().enumerate() {
        for word in words::identifiers(&source.content) {
            places.entry(word.to_owned()).or_default().insert(number);
        }
    }
    let mut found = Vec::new();
    for (number, source) in all.iter().enumerate() {
        if !source.path.contains("src/") || FOR_OTHERS.iter().any(|folder| source.path.starts_with(folder)) {
            continue;
        }
        for (line, code) in uses::blank(&source.content).lines().enumerate() {
            let Some(name) = words::public_name(code) else { continue };
            if places.get(name).is_some_and(|places| places.iter().all(|place| *place == number)) {
                let whom = if ships(&source.path) { "no other file" } else { "no other file of the tests" };
                found.push(format!("{}:{}: `{name}` is public, and {whom} names it", source.path, line + 1));
            }
        }
    }
    assert_none(&found);
}
