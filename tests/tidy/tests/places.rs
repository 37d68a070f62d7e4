//! Each framework, each status and each connection has its place.

use holdfast_tidy::sources::{assert_none, code, ships, violations};

/// An outside framework, and the only places whose code may name it. Tests, examples and benches may name any.
const PLACES: [(&str, &[&str]); 7] = [
    ("actix", &["broker/src/actors/", "controller/src/actors/", "broker/src/main.rs", "controller/src/main.rs"]),
    ("rocksdb", &["controller/src/store/"]),
    ("openraft", &["controller/src/raft/"]),
    ("hyper", &["node/src/metrics/"]),
    ("prometheus_client", &["node/src/metrics/"]),
    (
        "tonic",
        &[
            "proto/src/status.rs",
            "proto/src/convert.rs",
            "proto/src/bounded/codec.rs",
            "proto/src/v1.rs",
            "proto/build.rs",
            "net/src/",
            "node/src/health.rs",
            "node/src/incoming/",
            "node/src/serving/",
            "broker/src/grpc/",
            // Calls to others, and the session.
            "broker/src/outward/",
            "controller/src/grpc/",
            // The consensus' own calls, and what voters are asked beside it.
            "controller/src/raft/",
            "controller/src/agreement/voters.rs",
            "client/src/",
            // Asks a node that may be half started, without the client's retries.
            "client/local/src/probe.rs",
            // A reader that leaves its answers where they are, as no library of ours does.
            "tests/src/process/burden.rs",
        ],
    ),
    // The watchdog tells errors of a disk apart by their numbers.
    (
        "rustix",
        &[
            "broker/log/",
            "controller/src/store/",
            "client/cli/",
            "client/local/",
            "node/src/watchdog.rs",
            "node/src/incoming/affordable.rs",
        ],
    ),
];

#[test]
fn each_framework_is_named_in_its_place_alone() {
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
