//! Kafka's failure stories as text, over what ships: `scenarios/*.txt`, one test each. The commands stand in
//! `src/sim/script/mod.rs`.

use std::{collections::BTreeSet, fs, path::Path};

use holdfast_tests::sim::script;

/// One test for each text.
macro_rules! scenarios {
    ($($name:ident)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                let text = include_str!(concat!("../scenarios/", stringify!($name), ".txt"));
                script::run(concat!("tests/scenarios/", stringify!($name), ".txt"), text).unwrap_or_else(|why| panic!("{why}"));
            }
        )*
    };
}

scenarios! {
    kip101_truncation_to_high_watermark
    kip101_divergence_after_power_loss
    kip279_fast_fail_overs
    kafka10706_empty_epochs
    kip497_pending_joiner_counts
    kip497_late_proposal
    kip841_fenced_replica
    kip903_stale_broker_epoch
    kip966_last_replica_standing
    kip320_fencing
    kip207_high_watermark_of_a_new_leader
    kafka14704_high_watermark_after_truncation
    acks_and_minimum
    idempotence
    retention_and_laggard
    lost_beginning
    log_start_of_a_new_leader
    restarted_leader
    divergence_below_log_start
    kip455_replica_given_back_empty
}

#[test]
fn every_text_is_run() {
    let folder = Path::new("scenarios");
    let files = fs::read_dir(folder).expect("the folder of the texts is there");
    let names: BTreeSet<String> = files
        .map(|file| file.expect("its entries are readable").path())
        .map(|path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    assert_eq!(names, NAMES.iter().map(|name| (*name).to_owned()).collect());
}

/// A story of a few lines, and why it fails.
fn failure(lines: &str) -> String {
    script::run("story.txt", &format!("cluster 3 min 2\n{lines}")).expect_err("the story is wrong")
}

#[test]
fn a_wrong_expectation_names_its_place_and_what_was_found() {
    assert_eq!(failure("settle\nexpect leader 2"), "story.txt:3: expect leader 2: found Some(BrokerId(1))");
    assert_eq!(failure("produce 1 a\n\nexpect ok a # too early"), "story.txt:4: expect ok a: found None");
    assert_eq!(failure("settle\nexpect log 1 a"), "story.txt:3: expect log 1 a: found []");
    assert_eq!(failure("dance 1"), "story.txt:2: dance 1: no such command");
    assert_eq!(failure("expect joy"), "story.txt:2: expect joy: no such expectation");
    assert_eq!(failure("kill 4"), "story.txt:2: kill 4: there is no broker 4");
}

#[test]
fn a_panic_within_a_step_has_its_place() {
    assert_eq!(failure("settle\nstart 1"), "story.txt:3: start 1: node 1 runs");
}
