//! Pods deleted without grace, processes killed, memory run out.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::k8s::{
    Error, Result,
    bounds::{AFTER_READY, CONTROLLERS_ONLY, ONE_BROKER},
    cluster::Role,
    finding::Finding,
    load::Load,
    pods::Pod,
    scenario::{Done, World, spread_of},
    wait::until,
};

const LEADER_KILLS: usize = 20;
const CONTROLLER_KILLS: usize = 10;
const PARTITIONS: usize = 6;

pub(super) fn leader_pod(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let mut pauses = Vec::new();
        for kill in 0..LEADER_KILLS {
            let leader = world.cluster.leader(&load.topic, kill % PARTITIONS)?;
            pauses.push(kill_and_heal(world, load, Role::Broker, &leader)?);
        }
        Done::within(ONE_BROKER, format!("{} kills, {}", pauses.len(), spread_of(&pauses)))
    })
}

pub(super) fn controller_pod(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let mut pauses = Vec::new();
        for _ in 0..CONTROLLER_KILLS {
            let active = world.cluster.active_controller()?;
            pauses.push(kill_and_heal(world, load, Role::Controller, &active)?);
        }
        Done::within(CONTROLLERS_ONLY, format!("{} kills, {}", pauses.len(), spread_of(&pauses)))
    })
}

/// Deletes a pod without grace, waits until all is well again, and gives the longest pause in between, ms.
fn kill_and_heal(world: &World, load: &Load, role: Role, pod: &Pod) -> Result<u64> {
    let mark = load.mark();
    world.cluster.force_delete(&[&pod.name])?;
    world.cluster.wait_replaced(role, pod)?;
    world.pause_until_well(load, mark)
}

pub(super) fn all_brokers(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |_| kill_all(world, &[Role::Broker]))
}

pub(super) fn all_pods(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |_| kill_all(world, &[Role::Controller, Role::Broker]))
}

fn kill_all(world: &World, roles: &[Role]) -> Result<Done> {
    let mut old = Vec::new();
    for role in roles {
        old.extend(world.cluster.pods(*role)?.into_iter().map(|pod| (*role, pod)));
    }
    let names: Vec<_> = old.iter().map(|(_, pod)| pod.name.as_str()).collect();
    let start = Instant::now();
    world.cluster.force_delete(&names)?;
    for (role, pod) in &old {
        world.cluster.wait_replaced(*role, pod)?;
    }
    let ready = start.elapsed();
    Done::within(
        ready + AFTER_READY,
        format!("{} pods, all ready again after {:.1} s", names.len(), ready.as_secs_f64()),
    )
}

pub(super) fn sigkill(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let leader = world.cluster.leader(&load.topic, 0)?;
        let mark = load.mark();
        kill_process(world, Role::Broker, &leader)?;
        let broker = world.pause_until_well(load, mark)?;
        let active = world.cluster.active_controller()?;
        let mark = load.mark();
        kill_process(world, Role::Controller, &active)?;
        let controller = world.pause_until_well(load, mark)?;
        Done::within(ONE_BROKER, format!("pause: broker {broker} ms, controller {controller} ms"))
    })
}

/// Kills the process of a pod's container, and waits until Kubernetes has started it again in the same pod.
fn kill_process(world: &World, role: Role, pod: &Pod) -> Result {
    let (container, node) = place(pod)?;
    world.bed.ctr(node, &["tasks", "kill", "-s", "SIGKILL", container])?;
    wait_restarted(world, role, pod).map(drop)
}

fn place(pod: &Pod) -> Result<(&str, u32)> {
    match (&pod.container, pod.node) {
        (Some(container), Some(node)) => Ok((container, node)),
        _ => Err(Error::broken(format!("{} runs nowhere", pod.name))),
    }
}

fn wait_restarted(world: &World, role: Role, old: &Pod) -> Result<Pod> {
    until(&format!("a restart of {}", old.name), RESTART, || {
        let pod = world.cluster.pod(role, &old.name)?;
        Ok(if pod.uid == old.uid && pod.restarts > old.restarts {
            Ok(pod)
        } else {
            Err(format!("{} restarts, {:?}", pod.restarts, pod.ended))
        })
    })
}

const RESTART: Duration = Duration::from_mins(1);

pub(super) fn out_of_memory(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let leader = world.cluster.leader(&load.topic, 0)?;
        let mark = load.mark();
        let eater = Eater::start(place(&leader)?.0)?;
        let pod = wait_restarted(world, Role::Broker, &leader)?;
        drop(eater);
        let (reason, code) = pod.ended.unwrap_or_default();
        if code != 137 {
            return Err(Error::broken(format!("{} ended with {code} ({reason}), not by the memory limit", pod.name)));
        }
        let pause = world.pause_until_well(load, mark)?;
        Done::within(ONE_BROKER, format!("{reason} ({code}), pause {pause} ms"))
    })
}

/// A process that takes memory on a container's account until the limit is reached. The kernel then kills the
/// container's own process: Kubernetes marks it as the one to go.
struct Eater(Child);

impl Eater {
    fn start(container: &str) -> Result<Self> {
        let joins = "echo $$ >\"$1/cgroup.procs\" && exec tail /dev/zero";
        let mut command = Command::new("bash");
        command.args(["-c", joins, "eater"]).arg(memory_group(container)?).stdout(Stdio::null());
        let problem = |source| Error::Run { command: "tail /dev/zero".to_owned(), source };
        command.spawn().map(Self).map_err(problem)
    }
}

impl Drop for Eater {
    fn drop(&mut self) {
        // The kernel may have chosen it after all.
        let _reaped = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// The control group of a container's memory, on this machine.
fn memory_group(container: &str) -> Result<PathBuf> {
    let mut folders = vec![PathBuf::from("/sys/fs/cgroup/memory")];
    if !folders[0].exists() {
        folders = vec![PathBuf::from("/sys/fs/cgroup")];
    }
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().contains(container) {
                return Ok(path);
            }
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    Err(Error::broken(format!("no control group is named after container {container}")))
}
