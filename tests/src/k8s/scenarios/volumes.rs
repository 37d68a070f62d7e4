//! Pods that lose their disk: the pod and its claim are deleted, and a new volume is bound.

use std::time::{Duration, Instant};

use crate::k8s::{
    Result,
    bounds::{CONTROLLERS_ONLY, ONE_BROKER},
    cluster::{BROKERS, CONTROLLERS, Role},
    finding::Finding,
    load::Load,
    scenario::{Done, World, spread_of},
    wait::until,
};

/// How long the new claim may take.
const CLAIM: Duration = Duration::from_mins(1);

pub(super) fn brokers(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let (seconds, pauses) = each(world, load, Role::Broker, BROKERS)?;
        Done::within(ONE_BROKER, format!("in sync again after at most {seconds:.1} s, {}", spread_of(&pauses)))
    })
}

pub(super) fn controllers(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let (seconds, pauses) = each(world, load, Role::Controller, CONTROLLERS)?;
        Done::within(CONTROLLERS_ONLY, format!("voters again after at most {seconds:.1} s, {}", spread_of(&pauses)))
    })
}

/// Deletes pod and volume of each, one at a time; gives the longest recovery in seconds, and the pauses.
fn each(world: &World, load: &Load, role: Role, count: usize) -> Result<(f64, Vec<u64>)> {
    let (mut longest, mut pauses) = (0_f64, Vec::new());
    for ordinal in 0..count as u64 {
        let (mark, start) = (load.mark(), Instant::now());
        delete_with_volume(world, role, &role.pod(ordinal))?;
        world.cluster.settle(BROKERS)?;
        longest = longest.max(start.elapsed().as_secs_f64());
        load.wait_flow()?;
        pauses.push(load.pause_since(mark));
    }
    Ok((longest, pauses))
}

/// Deletes a pod without grace and its claim, and waits until a pod of that name is ready on a new volume.
pub(super) fn delete_with_volume(world: &World, role: Role, name: &str) -> Result {
    let old = world.cluster.pod(role, name)?;
    let claim = format!("data-{name}");
    let uid =
        |claim: &str| -> Result<String> { world.bed.kubectl(&["get", "pvc", claim, "-o", "jsonpath={.metadata.uid}"]) };
    let old_claim = uid(&claim)?;
    world.bed.kubectl(&["delete", "pvc", &claim, "--wait=false"])?;
    world.cluster.force_delete(&[name])?;
    until(&format!("a new volume of {name}"), CLAIM, || {
        let now = uid(&claim)?;
        Ok(if now == old_claim { Err("the old claim is still there".to_owned()) } else { Ok(()) })
    })?;
    world.cluster.wait_replaced(role, &old).map(drop)
}
