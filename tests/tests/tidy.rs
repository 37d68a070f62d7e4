//! Rules of the source tree that the compiler does not keep. Each failure names the file, the line and the rule.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Crates without IO, clock, async, lock or randomness: a function of state, now and event.
const PURE: [&str; 14] = [
    "broker/replication/src",
    "metadata/src",
    "node/identity/src/form.rs",
    // Rules that shells execute.
    "broker/src/partition/roster.rs",
    "broker/src/partition/copying.rs",
    "broker/src/outward/heartbeats.rs",
    "broker/src/outward/retry.rs",
    "broker/src/outbox/latest.rs",
    "broker/src/outbox/move_budget.rs",
    "broker/src/here/image_follower.rs",
    "broker/src/life/safe_to_stop.rs",
    "controller/src/sessions.rs",
    "controller/src/formation/decide.rs",
    "controller/src/quorum/policy.rs",
];

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

/// An outside framework, and the only places whose code may name it. Tests, examples and benches may name any.
const PLACES: [(&str, &[&str]); 5] = [
    ("actix", &["broker/src/actors/", "controller/src/actors/", "broker/src/main.rs", "controller/src/main.rs"]),
    ("rocksdb", &["controller/src/store/"]),
    ("openraft", &["controller/src/raft/"]),
    (
        "tonic",
        &[
            "proto/src/status.rs",
            "proto/src/convert.rs",
            "proto/src/v1.rs",
            "proto/build.rs",
            "net/src/",
            "node/src/health.rs",
            "node/src/incoming.rs",
            "broker/src/grpc/",
            // Calls to others, and the session.
            "broker/src/outward/",
            "controller/src/grpc/",
            // The consensus' own calls.
            "controller/src/raft/",
            "client/src/",
            // Asks a node that may be half started, without the client's retries.
            "client/local/src/probe.rs",
        ],
    ),
    // The watchdog tells errors of a disk apart by their numbers.
    ("rustix", &["broker/log/", "controller/src/store/", "client/cli/", "client/local/", "node/src/watchdog.rs"]),
];

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

/// Longest file that reads as one thing.
const MAX_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the workspace").to_path_buf()
}

/// Every Rust file of the workspace as (path relative to the root, content).
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a source folder is readable") {
            let path = entry.expect("a folder entry is readable").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative =
                    path.strip_prefix(&root).expect("it was found below the root").to_string_lossy().into_owned();
                found.push((relative, fs::read_to_string(&path).expect("a source file is UTF-8")));
            }
        }
    }
    assert!(found.len() > 50, "only {} source files found: is the root wrong?", found.len());
    found
}

/// True for code of a program or library, false for what only tests and measures.
fn ships(path: &str) -> bool {
    path.contains("src/") && !path.starts_with("tests/") && !path.contains("/tests/") && !path.ends_with("tests.rs")
}

/// The line without its comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

fn violations(check: impl Fn(&str, &str) -> Option<String>) -> Vec<String> {
    let mut all = Vec::new();
    for (path, content) in sources() {
        if path.ends_with("tests/tidy.rs") {
            continue;
        }
        for (number, line) in content.lines().enumerate() {
            if let Some(problem) = check(&path, line) {
                all.push(format!("{path}:{}: {problem}", number + 1));
            }
        }
    }
    all
}

fn assert_none(all: &[String]) {
    assert!(all.is_empty(), "{} violations:\n{}", all.len(), all.join("\n"));
}

#[test]
fn pure_cores_have_no_io_clock_or_framework() {
    assert_none(&violations(|path, line| {
        PURE.iter().any(|folder| path.starts_with(folder)).then_some(())?;
        let word = IMPURE.iter().find(|word| code(line).contains(*word))?;
        Some(format!("`{word}` in a pure core"))
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
                ["holdfast-proto", "serde", "serde_json", "thiserror", "uuid"].contains(&name),
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

#[test]
fn each_framework_lives_in_its_place() {
    assert_none(&violations(|path, line| {
        let (framework, places) = PLACES.iter().find(|(framework, _)| {
            let code = code(line).trim_start();
            code.contains(&format!("{framework}::")) || code.starts_with(&format!("use {framework}"))
        })?;
        (ships(path) && !places.iter().any(|place| path.starts_with(place)))
            .then(|| format!("{framework} belongs in {}", places.join(", ")))
    }));
}

#[test]
fn only_one_place_builds_a_status() {
    const BUILDERS: [&str; 6] = [
        "Status::new(",
        "Status::internal(",
        "Status::unavailable(",
        "Status::invalid_argument(",
        "Status::with_",
        "Status::not_found(",
    ];
    assert_none(&violations(|path, line| {
        let outside = path != "proto/src/status.rs" && ships(path);
        let word = BUILDERS.iter().find(|word| code(line).contains(*word))?;
        outside.then(|| format!("`{word}..)`: errors become a status in proto/src/status.rs alone"))
    }));
}

#[test]
fn only_one_place_says_how_to_connect() {
    assert_none(&violations(|path, line| {
        let outside = !path.starts_with("net/src/") && ships(path);
        let word =
            ["Endpoint::", "Channel::from_", "Channel::balance"].into_iter().find(|word| code(line).contains(word))?;
        outside.then(|| format!("`{word}..`: connections are made as net/src/connector.rs says"))
    }));
}

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
    for (path, content) in sources() {
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
    let mut missing = Vec::new();
    for (path, _) in sources() {
        let Some((folder, _)) = path.rsplit_once('/') else { continue };
        if !architecture.contains(&format!("`{folder}/`")) && !missing.contains(&folder.to_owned()) {
            missing.push(folder.to_owned());
        }
    }
    assert!(missing.is_empty(), "ARCHITECTURE.md does not name: {}", missing.join(", "));
}
