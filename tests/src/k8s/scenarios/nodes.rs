//! Whole nodes: drain, eviction, power and cables.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::volumes::delete_with_volume;
use crate::k8s::{
    Error, Result,
    bed::{NAMESPACE, SAFE_NODE},
    bounds::{IN_ORDER, ONE_BROKER, SILENT_NODE},
    cluster::{BROKERS, RELEASE, Role, is_ready},
    finding::Finding,
    load::{Load, Mark},
    pods::Pod,
    scenario::{Done, World},
    wait::until,
};

/// How long Kubernetes may take to see a node go or come.
const NODE_SEEN: Duration = Duration::from_mins(1);
/// How long a drain may take: each of its pods has its whole grace.
const DRAIN: Duration = Duration::from_mins(3);
/// How long a produce that must not succeed is let try.
const TRY: Duration = Duration::from_mins(1);

/// A node that scenarios may harm, and what of the topic is led there.
struct Target {
    node: u32,
    broker: Pod,
    partition: usize,
}

/// A partition whose leader's pod is not on the node that no scenario harms.
fn target(world: &World, load: &Load) -> Result<Target> {
    let brokers = world.cluster.pods(Role::Broker)?;
    for (partition, state) in world.cluster.partitions(&load.topic)?.iter().enumerate() {
        let name = state["leader"].as_u64().map(|id| Role::Broker.pod(id));
        let leader = brokers.iter().find(|pod| Some(&pod.name) == name.as_ref());
        if let Some(broker) = leader
            && let Some(node) = broker.node.filter(|node| *node != SAFE_NODE)
        {
            return Ok(Target { node, broker: broker.clone(), partition });
        }
    }
    Err(Error::broken(format!("all leaders of {} are on node {SAFE_NODE}", load.topic)))
}

pub(super) fn drain(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let node = format!("node{}", target(world, load)?.node);
        let start = Instant::now();
        let flags = ["drain", &node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=170s"];
        let drained = world.bed.kubectl_within(&flags, "", DRAIN);
        let seconds = start.elapsed().as_secs_f64();
        world.bed.kubectl(&["uncordon", &node])?;
        drained?;
        Done::within(IN_ORDER, format!("{node} empty after {seconds:.1} s"))
    })
}

pub(super) fn eviction_refused(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let Target { broker, partition, node } = target(world, load)?;
        let container = broker.container.clone().unwrap_or_default();
        // A frozen broker falls out of the ISRs; with three replicas the two others are all that may be there.
        world.bed.ctr(node, &["tasks", "pause", &container])?;
        let refused = refused_while_frozen(world, &load.topic, partition, &broker);
        // Whatever was found: it must not stay frozen.
        world.bed.ctr(node, &["tasks", "resume", &container])?;
        Done::within(SILENT_NODE, refused?)
    })
}

fn refused_while_frozen(world: &World, topic: &str, partition: usize, frozen: &Pod) -> Result<String> {
    let isr = until("an ISR of two", NODE_SEEN, || {
        let partitions = world.cluster.partitions(topic)?;
        let isr = partitions[partition]["isr"].as_array().map_or(0, Vec::len);
        Ok(if isr == 2 { Ok(isr) } else { Err(format!("an ISR of {isr}")) })
    })?;
    let budget = format!("{}-{}", RELEASE, Role::Broker.name());
    until("a spent disruption budget", NODE_SEEN, || {
        let allowed = world.bed.kubectl(&["get", "pdb", &budget, "-o", "jsonpath={.status.disruptionsAllowed}"])?;
        Ok(if allowed == "0" { Ok(()) } else { Err(format!("{allowed} disruptions allowed")) })
    })?;
    let brokers = world.cluster.pods(Role::Broker)?;
    let mut answers = Vec::new();
    for other in brokers.iter().filter(|pod| pod.name != frozen.name) {
        match evict(world, &other.name) {
            Ok(_) => return Err(Error::broken(format!("{} was evicted at min ISR", other.name))),
            Err(Error::Failed { output, .. }) if output.contains("disruption budget") => answers.push(&other.name),
            Err(error) => return Err(error),
        }
    }
    Ok(format!("ISR of {isr}, {} evictions refused", answers.len()))
}

fn evict(world: &World, pod: &str) -> Result<String> {
    let eviction = json!({
        "apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}
    });
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction");
    world.bed.kubectl_within(&["create", "--raw", &path, "-f", "-"], &eviction.to_string(), NODE_SEEN)
}

fn wait_node(world: &World, node: u32, ready: bool) -> Result {
    let name = format!("node{node}");
    until(&format!("{name} {}", if ready { "ready" } else { "not ready" }), NODE_SEEN, || {
        let is_ready = is_ready(&world.bed.kubectl_json(&["get", "node", &name])?);
        Ok(if is_ready == ready { Ok(()) } else { Err(format!("ready: {is_ready}")) })
    })
}

pub(super) fn power_off(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let Target { node, .. } = target(world, load)?;
        let mark = load.mark();
        // The cable first, until the power is back: a machine without power closes no connection and refuses none.
        world.bed.node("unplug", node)?;
        world.bed.node("off", node)?;
        load.wait_flow()?;
        let pause = load.pause_since(mark);
        wait_node(world, node, false)?;
        let start = Instant::now();
        world.bed.node("plug", node)?;
        world.bed.node("on", node)?;
        wait_node(world, node, true)?;
        world.cluster.settle(BROKERS)?;
        let seconds = start.elapsed().as_secs_f64();
        Done::within(SILENT_NODE, format!("node{node}, pause {pause} ms, well {seconds:.1} s after power on"))
    })
}

pub(super) fn unplug(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let target = target(world, load)?;
        let mark = load.mark();
        world.bed.node("unplug", target.node)?;
        let cut_off = behind_the_cut(world, load, &target, mark);
        // Whatever was found: the cable goes in again.
        world.bed.node("plug", target.node)?;
        let pause = cut_off?;
        wait_node(world, target.node, true)?;
        Done::within(SILENT_NODE, format!("node{}, pause {pause} ms, cut off broker acknowledged nothing", target.node))
    })
}

pub(super) fn replaced(world: &World, name: &'static str) -> Result<Finding> {
    world.under_load(name, |load| {
        let target = target(world, load)?;
        let mark = load.mark();
        world.bed.node("unplug", target.node)?;
        let done = replace_behind_the_cut(world, load, &target, mark);
        // Whatever was found: the cable goes in again.
        world.bed.node("plug", target.node)?;
        let pause = done?;
        wait_node(world, target.node, true)?;
        let node = target.node.to_string();
        until("the end of the old process", NODE_SEEN, || {
            let container = target.broker.container.clone().unwrap_or_default();
            let running = world.bed.call(&["ctr", &node, "tasks", "list", "-q"])?;
            Ok(if running.contains(&container) { Err("it still runs".to_owned()) } else { Ok(()) })
        })?;
        Done::within(SILENT_NODE, format!("{} replaced, pause {pause} ms", target.broker.name))
    })
}

fn replace_behind_the_cut(world: &World, load: &Load, target: &Target, mark: Mark) -> Result<u64> {
    let pause = behind_the_cut(world, load, target, mark)?;
    delete_with_volume(world, Role::Broker, &target.broker.name)?;
    // Another pod has the identity now; the old process still runs, and still acknowledges nothing.
    acknowledges_nothing(world, load, target)?;
    Ok(pause)
}

/// Waits until the others serve on without the node, and checks that the broker on it serves nobody. Gives the pause, ms.
fn behind_the_cut(world: &World, load: &Load, target: &Target, mark: Mark) -> Result<u64> {
    until("another leader", NODE_SEEN, || {
        let partitions = world.cluster.partitions(&load.topic)?;
        let leader = partitions[target.partition]["leader"].as_u64().map(|id| Role::Broker.pod(id));
        let moved = leader.is_some_and(|leader| leader != target.broker.name);
        Ok(if moved { Ok(()) } else { Err("none".to_owned()) })
    })?;
    load.wait_flow()?;
    let pause = load.pause_since(mark);
    acknowledges_nothing(world, load, target)?;
    wait_node(world, target.node, false)?;
    Ok(pause)
}

/// Produces to the old leader from within its own node: the broker is reached, and acknowledges nothing, whichever acks
/// are asked for.
fn acknowledges_nothing(world: &World, load: &Load, target: &Target) -> Result {
    let Target { node, broker, partition } = target;
    if !world.bed.connects(*node, &broker.ip, 7070)? {
        return Err(Error::broken(format!("{} cannot be reached on its own node: this proves nothing", broker.name)));
    }
    let hosts = hosts_file(world, load, broker)?;
    let (address, partition) = (format!("{}:7070", broker.ip), partition.to_string());
    for acks in ["all", "leader"] {
        let arguments =
            ["produce", &load.topic, "-p", &partition, "--acks", acks, "--delivery-timeout", "5s", "-b", &address];
        let arguments = [&arguments[..], &["-o", "json"]].concat();
        let ended = world.bed.holdfast_in(*node, Some(&hosts), "cut off\n", &arguments, TRY)?;
        let delivered = serde_json::from_str::<Value>(&ended.stdout).ok().and_then(|it| it["delivered"].as_u64());
        if ended.status.success() || delivered.unwrap_or(0) > 0 {
            let all = format!("{} {}", ended.stdout.trim(), ended.stderr.trim());
            return Err(Error::broken(format!("{} acknowledged acks={acks} while cut off: {all}", broker.name)));
        }
    }
    Ok(())
}

/// Names of the brokers as the cut off node knew them; its name server is behind the cut.
fn hosts_file(world: &World, load: &Load, broker: &Pod) -> Result<PathBuf> {
    let path = world.report.file(&load.topic, "hosts")?;
    let domain = format!("{}.{NAMESPACE}.svc.cluster.local", Role::Broker.set());
    let mut pods = world.cluster.pods(Role::Broker)?;
    pods.retain(|pod| pod.name != broker.name);
    pods.push(broker.clone());
    let names = pods.iter().map(|pod| format!("{} {}.{domain}\n", pod.ip, pod.name));
    let lines: String = ["127.0.0.1 localhost\n".to_owned()].into_iter().chain(names).collect();
    std::fs::write(&path, lines)?;
    Ok(path)
}

const _: () =
    assert!(ONE_BROKER.as_secs() <= SILENT_NODE.as_secs(), "a silent node is noticed later than a closed connection");
