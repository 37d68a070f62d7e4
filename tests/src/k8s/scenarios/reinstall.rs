//! The chart's own test, and the volumes that outlive an installation.

use std::time::{Duration, Instant};

use crate::k8s::{
    Result,
    bounds::AFTER_READY,
    cluster::{BROKERS, RELEASE},
    finding::Finding,
    load::Load,
    scenario::World,
};

const TEST: Duration = Duration::from_mins(3);
const VERIFY: Duration = Duration::from_mins(5);
/// Length of the load before the chart is uninstalled.
const LOAD: [&str; 2] = ["--rate", "2000"];

pub(super) fn helm_test(world: &World, name: &'static str) -> Result<Finding> {
    world.cluster.settle(BROKERS)?;
    let output = world.bed.helm(&["test", RELEASE, "--logs", "--timeout", "150s"], TEST)?;
    std::fs::write(world.report.file(name, "output.txt")?, &output)?;
    let line = output.lines().rev().find(|line| line.starts_with("acked=")).unwrap_or_default();
    let account = crate::k8s::load::account_of(line, true);
    Ok(Finding { detail: "produces, consumes, audits".to_owned(), account, bound: AFTER_READY })
}

pub(super) fn reinstall(world: &World, name: &'static str) -> Result<Finding> {
    world.cluster.settle(BROKERS)?;
    let load = Load::start(world.bed, name, &LOAD, world.report.file(name, "audit.log")?)?;
    let account = load.stop()?;
    world.topics.borrow_mut().insert(name.to_owned(), account.acked);
    let start = Instant::now();
    world.cluster.uninstall()?;
    let gone = start.elapsed().as_secs_f64();
    let start = Instant::now();
    world.cluster.apply(&[])?;
    world.cluster.settle(BROKERS)?;
    let back = start.elapsed().as_secs_f64();
    verify(world, name, account.acked)?;
    let detail = format!("gone after {gone:.1} s, back after {back:.1} s, all records found");
    Ok(Finding { detail, account, bound: AFTER_READY })
}

/// Reads what every scenario wrote, by a process that knows of it from the records alone, and from the counts of the
/// accounts.
pub(super) fn everything(world: &World, _name: &'static str) -> Result<Finding> {
    let topics = world.topics.borrow().clone();
    let mut finding = Finding { bound: AFTER_READY, ..Finding::default() };
    for (topic, acked) in &topics {
        verify(world, topic, *acked)?;
        finding.account.acked += acked;
        finding.account.read += acked;
    }
    finding.account.clean = true;
    finding.detail = format!("{} topics, each key dense to its end marker", topics.len());
    Ok(finding)
}

fn verify(world: &World, topic: &str, acked: u64) -> Result {
    let expected = acked.to_string();
    let arguments = ["audit", "verify", "--topic", topic, "--expect", &expected];
    world.cluster.holdfast(&arguments, VERIFY)?.success().map(drop)
}
