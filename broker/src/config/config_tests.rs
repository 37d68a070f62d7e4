//! What the broker accepts, and how it reports what it does not.

use holdfast_node::settings::{Problems, Settings, markdown};

use super::*;

const GOOD: &str = r#"
broker_id = 1
data_dir = "/var/lib/holdfast"
client_listen = "127.0.0.1:9092"
peer_listen = "127.0.0.1:9093"
controllers = ["127.0.0.1:9401", "controller-2:9401"]
"#;

fn problems(text: &str, flags: &[&str]) -> Vec<String> {
    let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    match parse("b.toml", text, &flags) {
        Ok(config) => panic!("no problem in {config:?}"),
        Err(Problems(all)) => all.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_small_file_is_enough() {
    let config = parse("b.toml", GOOD, &[]).unwrap();
    assert_eq!(config.broker_id, Some(1));
    assert_eq!(config.controllers[1].to_string(), "controller-2:9401");
    assert_eq!(config.log_writer_threads, Config::default().log_writer_threads);
}

#[test]
fn flags_win_over_the_file() {
    let flags = ["rack=a".to_owned(), "broker_id=7".to_owned(), "controllers=c:1,d:2".to_owned()];
    let config = parse("b.toml", GOOD, &flags).unwrap();
    assert_eq!((config.rack.as_str(), config.broker_id, config.controllers.len()), ("a", Some(7), 2));
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let text = "broker_id = \"one\"\nclient_listn = \"a:1\"\n\nlog_writer_threads = 0\npeer_listen = \"nowhere\"\n";
    let all = problems(text, &["log_format=xml", "nonsense"]);
    let expected = [
        "b.toml:1: broker_id: expected a whole number from 0 on, found \"one\"",
        "b.toml:2: unknown key 'client_listn'; did you mean 'client_listen'?",
        "b.toml:4: log_writer_threads: 0 is out of range: 1 to 256",
        "b.toml:5: peer_listen: 'nowhere' is not an address; write host:port, as broker-1.example:9092",
        "--set log_format=xml: log_format: expected \"text\" or \"json\", found \"xml\"",
        "--set nonsense: expected key=value",
        "b.toml: data_dir: must be given: folder of the logs",
        "b.toml: client_listen: must be given: where clients are served, `host:port`",
        "b.toml: controllers: must be given: addresses of all controllers, a list of `host:port`",
    ];
    assert_eq!(all, expected);
}

#[test]
fn relations_are_checked() {
    let all = problems(
        &GOOD.replace("127.0.0.1:9093", "127.0.0.1:9092"),
        &["max_in_flight_bytes=58720256", "max_in_flight_bytes_per_stream=67108864"],
    );
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].starts_with("b.toml:5: peer_listen: must differ"), "{all:?}");
    let all = problems(&GOOD.replace("127.0.0.1:9092", "0.0.0.0:9092"), &[]);
    assert!(all[0].contains("client_advertised_address"), "{all:?}");
}

#[test]
fn the_reference_names_every_option() {
    let reference = Config::reference();
    assert_eq!(reference.len(), Config::KEYS.len());
    assert!(reference.iter().all(|option| !option.doc.is_empty()));
}

/// Written by this test when `HOLDFAST_WRITE_DOCS` is set, and compared otherwise.
#[test]
fn the_documented_options_are_these() {
    let text = markdown::<Config>("holdfast-broker");
    let path = "CONFIG.md"; // tests run in the folder of their crate
    if std::env::var_os("HOLDFAST_WRITE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "CONFIG.md is stale: run `make config-docs`");
}

#[test]
fn a_key_of_earlier_builds_is_refused_with_what_became_of_it() {
    let all = problems(&format!("{GOOD}set_aside_damaged_logs = true\n"), &["set_aside_damaged_logs=false"]);
    for (problem, place) in all.iter().zip(["b.toml:7: ", "--set set_aside_damaged_logs=false: "]) {
        assert!(problem.starts_with(place) && problem.contains("Take the key out; set_aside_max_age_ms"), "{problem}");
    }
    assert_eq!(all.len(), 2);
}
