//! What the controller accepts, and how it reports what it does not.

use std::fs;

use holdfast_node::settings::{LogFormat, markdown};

use super::{Config, load};

const GOOD: &str = r#"
data_dir = "/tmp/c1"
listen = "127.0.0.1:9001"
peers = ["127.0.0.1:9001", "127.0.0.1:9002", "127.0.0.1:9003"]
log_format = "json"
"#;

fn load_text(text: &str, overrides: &[&str]) -> Result<Config, Vec<String>> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("c.toml");
    fs::write(&path, text).expect("write");
    let overrides: Vec<String> = overrides.iter().map(|&s| s.to_owned()).collect();
    let shown = path.display().to_string();
    load(&path, &overrides).map_err(|error| error.0.iter().map(|p| p.to_string().replace(&shown, "c.toml")).collect())
}

#[test]
fn a_good_file_and_overrides() {
    let config = load_text(GOOD, &["heartbeat_interval_ms=100", "log_level=debug"]).expect("good");
    assert_eq!(config.log_format, LogFormat::Json);
    assert_eq!(config.heartbeat_interval_ms, 100);
    assert_eq!(config.log_level, "debug");
    assert_eq!(config.own_address(), "127.0.0.1:9001");
    assert_eq!(config.broker_session_timeout_ms, 3_000);
}

#[test]
fn every_problem_at_once_with_its_line() {
    let text = "data_dir = 5\nlisten = \"x\"\nbroker_session_timeout = 1\nheartbeat_interval_ms = 0\n[table]\na = 1\n";
    let problems = load_text(text, &["peers", "log_format=xml"]).expect_err("bad");
    assert_eq!(
        problems,
        [
            "c.toml:1: data_dir: expected a string, found 5",
            "c.toml:3: unknown key 'broker_session_timeout'; did you mean 'broker_session_timeout_ms'?",
            "c.toml:4: heartbeat_interval_ms: 0 is out of range: 10 to 60000",
            "c.toml:5: unknown key 'table'; known: see --print-options",
            "--set peers: expected key=value",
            "--set log_format=xml: log_format: expected \"text\" or \"json\", found \"xml\"",
        ]
    );
}

#[test]
fn an_address_of_ipv6_stands_in_brackets() {
    for wrong in ["[::1:9001", "::1:9001", "[::1]", "a:0"] {
        let problems = load_text(GOOD, &[&format!("advertised_address={wrong}")]).expect_err(wrong);
        let expected = format!("--set advertised_address={wrong}: advertised_address: '{wrong}' is not an address");
        assert!(problems[0].starts_with(&expected), "{problems:?}");
    }
    let right = ["advertised_address=[::1]:9001", "peers=[::1]:9001"];
    assert_eq!(load_text(GOOD, &right).expect("good").own_address(), "[::1]:9001");
}

#[test]
fn relations_are_checked_and_placed() {
    let problems = load_text(
        &format!("{GOOD}default_min_insync_replicas = 4\nadvertised_address = \"a:1\"\n"),
        &["election_timeout_max_ms=300", "election_timeout_min_ms=300"],
    )
    .expect_err("bad");
    assert_eq!(
        problems,
        [
            "c.toml:4: peers does not contain this controller's own address a:1",
            "c.toml:6: default_min_insync_replicas (4) is more than default_replication_factor (3)",
            "--set election_timeout_max_ms=300: election_timeout_max_ms (300) is not more than election_timeout_min_ms (300)",
        ]
    );
}

/// `CONFIG.md` is written by this test when `HOLDFAST_WRITE_DOCS` is set, and compared otherwise.
#[test]
fn the_documented_options_are_these() {
    let path = "CONFIG.md"; // tests run in the folder of their crate
    let text = markdown::<Config>("holdfast-controller");
    if std::env::var_os("HOLDFAST_WRITE_DOCS").is_some() {
        fs::write(path, &text).expect("write");
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "CONFIG.md is stale: run `make config-docs`");
}

#[test]
fn what_must_be_given_is_demanded() {
    assert_eq!(
        load_text("", &[]).expect_err("empty"),
        [
            "c.toml: data_dir: must be given: folder of this controller's identity, log and snapshots",
            "c.toml: peers: must be given: addresses of all controllers, itself included, the same list on each",
        ]
    );
}
