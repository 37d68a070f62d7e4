//! The machine's Kubernetes: `tests/k8s/bed.sh`, kubectl, helm, and power and cables of nodes.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use serde_json::Value;

use super::{
    Error, Result,
    program::{Ended, run, run_to_end},
};

/// The namespace of everything that the tests install.
pub const NAMESPACE: &str = "holdfast";
/// The node that no scenario harms: loads and commands run there.
pub const SAFE_NODE: u32 = 1;
/// Nodes of the bed.
pub const NODES: u32 = 3;

/// How long one call of kubectl or of the bed may take, unless its own flags wait longer.
const CALL: Duration = Duration::from_secs(30);
const UP: Duration = Duration::from_mins(3);
const DOWN: Duration = Duration::from_mins(1);

/// A running bed; taken down when dropped.
#[derive(Debug)]
pub struct Bed {
    script: PathBuf,
    /// The command line `holdfast` of this build.
    holdfast: PathBuf,
    keep: bool,
}

/// The folder `tests/k8s` of the tree, in whose root make runs this program.
pub fn folder() -> PathBuf {
    std::path::absolute("tests/k8s").unwrap_or_else(|_| PathBuf::from("tests/k8s"))
}

impl Bed {
    /// Starts a bed. With `keep` it is left up at the end.
    pub fn up(holdfast: PathBuf, keep: bool) -> Result<Self> {
        let bed = Self { script: folder().join("bed.sh"), holdfast, keep };
        let mut command = Command::new(&bed.script);
        command.args(["up", &NODES.to_string()]);
        if !keep {
            command.env("HOLDFAST_K8S_OWNER", std::process::id().to_string());
        }
        match run(&mut command, "", UP).and_then(Ended::success) {
            Ok(_) => Ok(bed),
            Err(error) => {
                // It took down what it began by itself; another bed that is up is none of ours.
                std::mem::forget(bed);
                Err(error)
            }
        }
    }

    /// True if a bed is up, also one of another process.
    pub fn is_up() -> Result<bool> {
        let mut command = Command::new(folder().join("bed.sh"));
        Ok(run(command.args(["kubectl", "get", "nodes"]), "", CALL)?.status.success())
    }

    /// Imports an image on every node.
    pub fn load(&self, image: &Path) -> Result {
        self.call_within(&["load", &image.display().to_string()], UP).map(drop)
    }

    /// Takes a bed that is up already, and leaves it up.
    pub fn attach(holdfast: PathBuf) -> Self {
        Self { script: folder().join("bed.sh"), holdfast, keep: true }
    }

    /// A call of the bed's script.
    pub fn call(&self, arguments: &[&str]) -> Result<String> {
        self.call_within(arguments, CALL)
    }

    fn call_within(&self, arguments: &[&str], limit: Duration) -> Result<String> {
        run(&mut self.command(arguments), "", limit)?.success()
    }

    /// The command of a call, to be started by the caller.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command.args(arguments);
        command
    }

    /// kubectl in the tests' namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_within(arguments, "", CALL)
    }

    /// As [`Self::kubectl`], with standard input and a deadline.
    pub fn kubectl_within(&self, arguments: &[&str], input: &str, limit: Duration) -> Result<String> {
        let mut command = self.command(&["kubectl", "-n", NAMESPACE]);
        run(command.args(arguments), input, limit)?.success()
    }

    /// What kubectl prints as JSON.
    pub fn kubectl_json(&self, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["-o", "json"]].concat();
        parse("kubectl", &self.kubectl(&arguments)?)
    }

    /// helm in the tests' namespace.
    pub fn helm(&self, arguments: &[&str], limit: Duration) -> Result<String> {
        let mut command = self.command(&["helm", "-n", NAMESPACE]);
        run(command.args(arguments), "", limit)?.success()
    }

    /// The command line of this build.
    pub fn program(&self) -> &Path {
        &self.holdfast
    }

    /// containerd's client on a node.
    pub fn ctr(&self, node: u32, arguments: &[&str]) -> Result<String> {
        self.call(&[&["ctr", &node.to_string()], arguments].concat())
    }

    /// `off`, `on`, `unplug` or `plug` of a node.
    pub fn node(&self, verb: &str, node: u32) -> Result {
        assert!(node != SAFE_NODE, "node {node} is the one that no scenario harms");
        self.call(&[verb, &node.to_string()]).map(drop)
    }

    /// Runs the command line in a node's network, with the cluster's DNS. Gives its end, whatever it is.
    pub fn holdfast(&self, arguments: &[&str], limit: Duration) -> Result<Ended> {
        self.holdfast_in(SAFE_NODE, None, "", arguments, limit)
    }

    /// As [`Self::holdfast`], in another node's network, with names from a hosts file instead of DNS, and with input.
    pub fn holdfast_in(
        &self,
        node: u32,
        hosts: Option<&Path>,
        input: &str,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<Ended> {
        let mut command = self.command(&["inside", &node.to_string()]);
        command.arg(&self.holdfast).args(arguments);
        if let Some(hosts) = hosts {
            command.env("HOSTS_FILE", hosts);
        }
        run(&mut command, input, limit)
    }

    /// True if a TCP connection to this address succeeds from within a node.
    pub fn connects(&self, node: u32, host: &str, port: u16) -> Result<bool> {
        let script = format!("exec 3<>/dev/tcp/{host}/{port}");
        let node = node.to_string();
        let mut command = self.command(&["inside", &node, "timeout", "2", "bash", "-c", &script]);
        Ok(run(&mut command, "", CALL)?.status.success())
    }
}

/// Reads a program's JSON.
pub fn parse(command: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|error| Error::Failed {
        command: command.to_owned(),
        code: "JSON that cannot be read".to_owned(),
        output: format!("{error}: {text}"),
    })
}

impl Drop for Bed {
    fn drop(&mut self) {
        if self.keep {
            eprintln!("the bed is left up; end it with: tests/k8s/bed.sh down");
            return;
        }
        if let Err(error) = run_to_end(&mut self.command(&["down"]), DOWN).and_then(Ended::success) {
            eprintln!("the bed could not be taken down: {error}; try: tests/k8s/bed.sh down");
        }
    }
}
