//! What is pure stays pure.

use std::fs;

use holdfast_tidy::sources::{self, Source, assert_none, code, root, violations};

/// Crates without IO, clock, async, lock or randomness: functions of state, now and event. So is every other file whose
/// head says `Pure.`
const PURE: [&str; 2] = ["broker/replication/src/", "metadata/src/"];
/// How a head says it: at the end of a sentence of its own, or before what it means.
const MARKS: [&str; 6] = ["Pure.", "Pure:", "Pure;", "pure.", "pure:", "pure;"];
/// Pure cores of the client: `std`'s `Instant` is their time, which comes with each call.
const CLIENT: [&str; 3] =
    ["client/src/producer/batch_queue/", "client/src/consumer/buffers.rs", "client/src/consumer/partition.rs"];

/// Words that have no place in a pure core's code.
const IMPURE: [&str; 17] = [
    "tokio",
    "actix",
    "rocksdb",
    "tonic",
    "openraft",
    "Instant",
    "SystemTime",
    "rand::",
    "HashMap",
    "HashSet",
    "std::fs",
    "std::net",
    "std::io",
    "std::thread",
    "Mutex",
    "RwLock",
    "async fn",
];

#[test]
fn pure_files_have_no_io_clock_or_framework() {
    let is_marked = |source: &&Source| {
        let head = source.content.lines().take_while(|line| line.starts_with("//!"));
        let is_list = source.path.ends_with("mod.rs") || source.path.ends_with("lib.rs");
        !is_list && head.into_iter().any(|line| MARKS.iter().any(|mark| line.contains(mark)))
    };
    let all = sources::all();
    let marked: Vec<&str> = all.iter().filter(is_marked).map(|source| source.path.as_str()).collect();
    assert!(marked.len() > 15, "few files say that they are pure: {marked:?}");
    assert_none(&violations(|path, line| {
        let is_client = CLIENT.iter().any(|place| path.starts_with(place)) && !path.ends_with("tests.rs");
        (is_client || PURE.iter().any(|folder| path.starts_with(folder)) || marked.contains(&path)).then_some(())?;
        let code = code(line);
        let is_impure = |word: &str| match word {
            "Instant" if is_client => code.contains("Instant::now"),
            word => code.contains(word),
        };
        let word = IMPURE.iter().find(|word| is_impure(word))?;
        Some(format!("`{word}` in a pure file"))
    }));
}

#[test]
fn pure_cores_depend_on_the_vocabulary_alone() {
    for manifest in ["broker/replication/Cargo.toml", "metadata/Cargo.toml"] {
        let text = fs::read_to_string(root().join(manifest)).expect("the manifest is there");
        let dependencies =
            text.split("[dependencies]").nth(1).and_then(|rest| rest.split("\n[").next()).unwrap_or_default();
        for line in dependencies.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            assert!(
                ["holdfast-proto", "imbl", "serde", "serde_json", "sha2", "thiserror", "uuid"].contains(&name),
                "{manifest}: a pure core may not depend on {name}"
            );
            assert!(!line.contains("grpc"), "{manifest}: a pure core may not see the generated gRPC code");
        }
    }
}

#[test]
fn the_log_knows_no_network_and_no_async() {
    assert_none(&violations(|path, line| {
        path.starts_with("broker/log/src").then_some(())?;
        let word =
            ["tokio", "tonic", "actix", "std::net", "async fn"].into_iter().find(|word| code(line).contains(word))?;
        Some(format!("`{word}` in the log"))
    }));
}
