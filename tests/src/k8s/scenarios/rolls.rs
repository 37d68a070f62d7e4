//! Upgrades: good ones, and ones whose pods cannot start.

use std::time::{Duration, Instant};

use crate::k8s::{
    Error, Result,
    bounds::IN_ORDER,
    cluster::{BROKERS, CONTROLLERS, Role},
    finding::Finding,
    load::Load,
    pods::Pod,
    scenario::{Done, World},
    wait::{stays, until},
};

/// A setting of the broker that changes nothing that the tests look at.
const SETTING: &str = "broker.config.log_read_threads=3";
/// A setting that the program refuses.
const BAD_SETTING: &str = "broker.config.log_read_threads=9999";
/// How long a roll that is stuck is watched.
const WATCH: Duration = Duration::from_secs(15);
const STUCK: Duration = Duration::from_mins(2);

pub(super) fn setting(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |_| {
        let start = Instant::now();
        world.cluster.apply(&[SETTING])?;
        world.cluster.wait_rolled(Role::Broker)?;
        Done::within(IN_ORDER, format!("3 brokers in {:.1} s", start.elapsed().as_secs_f64()))
    })
}

pub(super) fn image(world: &World, name: &'static str) -> Result<Finding> {
    let (old, new) =
        (format!("docker.io/library/holdfast:{}", world.cluster.tag), format!("{}-next", world.cluster.tag));
    world.bed.call(&["tag", &old, &format!("docker.io/library/holdfast:{new}")])?;
    world.under_load(name, |_| {
        let start = Instant::now();
        world.cluster.apply(&[SETTING, &format!("image.tag={new}")])?;
        world.cluster.wait_rolled(Role::Controller)?;
        world.cluster.wait_rolled(Role::Broker)?;
        let seconds = start.elapsed().as_secs_f64();
        // The next scenarios start from the image as it was: that rolls as well, under the same load.
        world.cluster.apply(&[])?;
        world.cluster.wait_rolled(Role::Controller)?;
        world.cluster.wait_rolled(Role::Broker)?;
        Done::within(IN_ORDER, format!("6 pods in {seconds:.1} s, and back"))
    })
}

pub(super) fn no_image(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        world.cluster.apply(&["image.tag=does-not-exist"])?;
        let stuck =
            stuck_after_the_first(world, load, &[(Role::Controller, CONTROLLERS), (Role::Broker, BROKERS)], "Image");
        repair(world, stuck)
    })
}

pub(super) fn bad_setting(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        world.cluster.apply(&[BAD_SETTING])?;
        let stuck = stuck_after_the_first(world, load, &[(Role::Broker, BROKERS)], "CrashLoopBackOff");
        repair(world, stuck)
    })
}

/// Checks that of each role one pod waits for this reason, and stays the only one, while records are acknowledged.
fn stuck_after_the_first(world: &World, load: &Load, roles: &[(Role, usize)], reason: &str) -> Result<String> {
    let mut names = Vec::new();
    for (role, count) in roles {
        let is_stuck = |pod: &Pod| pod.waiting.as_ref().is_some_and(|waiting| waiting.contains(reason));
        let stuck = until(&format!("a {} that cannot start", role.name()), STUCK, || {
            let pods = world.cluster.pods(*role)?;
            let found = pods.into_iter().find(is_stuck);
            Ok(found.ok_or_else(|| "none".to_owned()))
        })?;
        names.push((*role, *count, stuck.name));
    }
    stays("a roll that stopped after the first pod", WATCH, || {
        for (role, count, stuck) in &names {
            let pods = world.cluster.pods(*role)?;
            let ready = pods.iter().filter(|pod| pod.ready && pod.name != *stuck).count();
            if ready != count - 1 {
                return Ok(Err(format!("{ready} of the other {}s are ready", role.name())));
            }
        }
        Ok(Ok(()))
    })?;
    load.wait_flow()?;
    let names: Vec<_> = names.iter().map(|(_, _, name)| name.as_str()).collect();
    Ok(format!("stopped at {}", names.join(", ")))
}

/// Goes back to what runs, whatever was found.
fn repair(world: &World, found: Result<String>) -> Result<Done> {
    let start = Instant::now();
    world.cluster.apply(&[])?;
    world.cluster.wait_rolled(Role::Controller)?;
    world.cluster.wait_rolled(Role::Broker)?;
    let detail = found.map_err(|error| Error::broken(error.to_string()))?;
    Done::within(IN_ORDER, format!("{detail}; repaired in {:.1} s", start.elapsed().as_secs_f64()))
}
