//! More brokers and fewer.

use std::time::{Duration, Instant};

use crate::k8s::{
    Error, Result,
    bounds::IN_ORDER,
    cluster::{BROKERS, Role},
    finding::Finding,
    load::Load,
    scenario::{Done, World},
};

const MORE: usize = 5;
/// How long moves of all replicas may take.
const MOVES: Duration = Duration::from_mins(5);

pub(super) fn up_and_down(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let result = grow_and_shrink(world, load);
        if result.is_err() {
            // The next scenario starts from three, as far as that is possible.
            let _back = world.cluster.apply(&[]);
        }
        result
    })
}

fn grow_and_shrink(world: &World, load: &Load) -> Result<Done> {
    world.cluster.apply(&[&format!("broker.replicas={MORE}")])?;
    world.cluster.settle(MORE)?;
    let start = Instant::now();
    command(world, &["partition", "rebalance", "--yes"])?;
    let rebalanced = start.elapsed().as_secs_f64();
    let held = replicas_on(world, load, &[3, 4])?;
    if held == 0 {
        return Err(Error::broken("the new brokers hold no replica after the rebalance"));
    }
    let start = Instant::now();
    for broker in ["4", "3"] {
        command(world, &["broker", "drain", broker, "--yes"])?;
    }
    let drained = start.elapsed().as_secs_f64();
    let left = replicas_on(world, load, &[3, 4])?;
    if left > 0 {
        return Err(Error::broken(format!("{left} replicas are left on drained brokers")));
    }
    world.cluster.apply(&[])?;
    world.cluster.wait_rolled(Role::Broker)?;
    for broker in ["4", "3"] {
        command(world, &["broker", "remove", broker])?;
    }
    world.cluster.settle(BROKERS)?;
    for broker in ["4", "3"] {
        world.bed.kubectl(&["delete", "pvc", &format!("data-{}-{broker}", Role::Broker.set()), "--wait=false"])?;
    }
    Done::within(IN_ORDER, format!("{held} replicas moved in {rebalanced:.1} s, drained in {drained:.1} s"))
}

fn command(world: &World, arguments: &[&str]) -> Result<String> {
    world.cluster.holdfast(arguments, MOVES)?.success()
}

/// How many of the topic's replicas these brokers hold.
fn replicas_on(world: &World, load: &Load, brokers: &[u64]) -> Result<usize> {
    let partitions = world.cluster.partitions(&load.topic)?;
    let replicas =
        partitions.iter().flat_map(|partition| partition["replicas"].as_array().cloned().unwrap_or_default());
    Ok(replicas.filter(|id| id.as_u64().is_some_and(|id| brokers.contains(&id))).count())
}
