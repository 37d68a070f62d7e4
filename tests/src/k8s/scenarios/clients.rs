//! Clients that do not run in the cluster.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::k8s::{
    Result,
    bounds::AFTER_READY,
    cluster::{BROKERS, RELEASE},
    finding::Finding,
    load::account_of,
    program::{Ended, run},
    scenario::World,
    wait::until,
};

/// Where the client outside finds the forwarded port.
const ADDRESS: &str = "localhost:17070";
/// How long the forwarding may take to begin.
const BEGIN: Duration = Duration::from_secs(20);
/// How long the load with its audit may take.
const LOAD: Duration = Duration::from_mins(2);

/// Through one forwarded port, where no broker's name is known: the broker behind it passes on what is for the others.
pub(super) fn port_forward(world: &World, name: &'static str) -> Result<Finding> {
    world.cluster.settle(BROKERS)?;
    let service = format!("service/{RELEASE}");
    let namespace = crate::k8s::bed::NAMESPACE;
    let forward = ["kubectl", "-n", namespace, "port-forward", &service, "17070:7070"];
    let _forwarding = Forwarding::start(&mut world.bed.command(&forward))?;
    let outside = |arguments: &[&str], limit| {
        let mut command = world.bed.command(&["outside"]);
        let connect = ["--bootstrap", ADDRESS, "--one-address"];
        run(command.arg(world.bed.program()).args(arguments).args(connect), "", limit)
    };
    until("the forwarded port", BEGIN, || {
        let ended = outside(&["cluster", "status"], BEGIN)?;
        Ok(if ended.status.success() { Ok(()) } else { Err(ended.stderr) })
    })?;
    let arguments = ["audit", "--topic", name, "--create", "--partitions", "6", "--duration", "5s"];
    let ended = outside(&arguments, LOAD)?;
    std::fs::write(world.report.file(name, "audit.log")?, &ended.stderr)?;
    let line = Ended::success(ended)?;
    let account = account_of(line.lines().last().unwrap_or_default(), true);
    world.topics.borrow_mut().insert(name.to_owned(), account.acked);
    Ok(Finding { detail: "six partitions of three brokers through one port".to_owned(), account, bound: AFTER_READY })
}

/// `kubectl port-forward`, ended when dropped.
struct Forwarding(Child);

impl Forwarding {
    fn start(command: &mut Command) -> Result<Self> {
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let problem = |source| crate::k8s::Error::Run { command: "kubectl port-forward".to_owned(), source };
        Ok(Self(started.map_err(problem)?))
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
