//! Whether what bounds a broker's memory fits the limit of its pod, computed from what the chart writes by the program's
//! own reader.

use serde_json::Value;

use holdfast_broker::config::{Config, parse};

use crate::{
    cases::WORKING,
    helm::{Helm, object},
};

const MIB: u64 = 1 << 20;
/// Connections that may fill their windows at the same time, as streams that are not read do.
const STUCK_CONNECTIONS: u64 = 64;
/// What the program holds that no option names: code, threads, connections, indexes; several times what was measured.
const OWN_BYTES: u64 = 32 * MIB;

/// The broker's options of a rendered release, as broker 0 reads them.
fn options(objects: &[Value], name: &str) -> Config {
    let files = &object(objects, "ConfigMap", name)["data"];
    let file = files["broker.toml"].as_str().expect("a file");
    let pod = ["broker_id=0", "client_advertised_address=a:1", "peer_advertised_address=a:2"].map(str::to_owned);
    parse("broker.toml", file, &pod).unwrap_or_else(|problems| panic!("{problems}"))
}

/// Everything that is bounded by a number of bytes.
fn bounds(config: &Config) -> u64 {
    config.max_in_flight_bytes
        + config.log_writer_queue_bytes
        + config.log_writer_fetched_bytes
        + config.fetch_memory_bytes
        + config.replica_fetch_memory_bytes
        + config.metadata_memory_bytes
        + config.tail_cache_bytes
        // Requests that read, a quarter as much as their answers.
        + config.fetch_memory_bytes / 4
        + config.metadata_memory_bytes / 4
}

/// A quantity of Kubernetes, as the cases write it.
fn quantity(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.find(char::is_alphabetic).unwrap_or(text.len()));
    let factor = match unit {
        "Mi" => MIB,
        "Gi" => 1024 * MIB,
        unit => panic!("unit {unit}"),
    };
    number.parse::<u64>().expect("a whole number") * factor
}

#[test]
fn bounds_of_memory_fit_the_limit_of_the_pod() {
    let Some(helm) = Helm::find() else { return };
    let more = ["320Mi", "512Mi", "900Mi", "1Gi", "8Gi"].map(|limit| format!("broker.resources.limits.memory={limit}"));
    let more = more.iter().map(|limit| vec!["--set", limit.as_str()]);
    for values in WORKING.iter().map(|values| values.to_vec()).chain(more) {
        let objects = helm.render(&values).unwrap_or_else(|error| panic!("{values:?}: {error}"));
        let set = objects
            .iter()
            .find(|object| object["metadata"]["name"].to_string().contains("broker") && object["kind"] == "StatefulSet")
            .expect("a StatefulSet");
        let config = options(&objects, set["metadata"]["name"].as_str().expect("a name"));
        let limit = quantity(
            set["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
                .as_str()
                .expect("a limit"),
        );
        let windows = STUCK_CONNECTIONS * u64::from(config.http2_connection_window_bytes);
        let producers = 600 * u64::from(config.producers_max);
        let sum = bounds(&config) + producers + windows + OWN_BYTES;
        assert!(sum <= limit, "{values:?}: {} MiB of {} MiB", sum / MIB, limit / MIB);
    }
}

#[test]
fn with_enough_memory_the_bounds_are_the_programs_own() {
    let Some(helm) = Helm::find() else { return };
    let config = options(&helm.render(&[]).expect("the defaults are rendered"), "hf-holdfast-broker");
    assert_eq!(
        bounds(&config),
        bounds(&Config::default()),
        "one is missing in _memory.tpl, or its default has changed"
    );
    let unlimited = helm.render(&["--set-json", r#"broker.resources={"limits":null}"#]).expect("no limit is needed");
    let config = options(&unlimited, "hf-holdfast-broker");
    assert_eq!(config.http2_connection_window_bytes, Config::default().http2_connection_window_bytes);
    // What is set by hand wins, and what an option does not say is left alone.
    let own = helm.render(&["--set", "broker.config.tail_cache_bytes=67108864"]).expect("it still fits");
    assert_eq!(options(&own, "hf-holdfast-broker").tail_cache_bytes, 64 * MIB);
}
