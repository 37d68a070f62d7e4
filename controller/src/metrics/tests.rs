//! The table keeps to the conventions, and its printed reference is true.

use holdfast_node::metrics::{markdown, problems};

use super::TABLE;

#[test]
fn every_metric_keeps_to_the_conventions() {
    assert_eq!(problems(TABLE), [] as [String; 0]);
}

/// Written by this test when `HOLDFAST_WRITE_DOCS` is set, and compared otherwise.
#[test]
fn the_documented_metrics_are_these() {
    let text = markdown("holdfast-controller", TABLE);
    let path = "METRICS.md"; // tests run in the folder of their crate
    if std::env::var_os("HOLDFAST_WRITE_DOCS").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == text, "METRICS.md is stale: run `make config-docs`");
}
