//! What can go wrong with a cluster of processes.

use std::{io, path::PathBuf};

/// An error of a cluster of processes. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb such as `read`.
        action: &'static str,
        /// The file or folder that it was tried with.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program is not where it is looked for.
    #[error(
        "the program {name} is not in {folders}; build it with `make build`, or set HOLDFAST_BIN_DIR to its folder"
    )]
    ProgramMissing {
        /// Name of the program.
        name: &'static str,
        /// Where it was looked for.
        folders: String,
    },
    /// A port that a node needs is taken.
    #[error(
        "port {port} ({purpose}) is in use; stop what holds it, or choose others with --base-port (0 picks free ones)"
    )]
    PortInUse {
        /// The port on loopback, which another process holds.
        port: u16,
        /// For which node and what.
        purpose: String,
    },
    /// A port of loopback cannot be listened on, though nobody else does.
    #[error(
        "cannot listen on {address}: {source}; a local cluster needs 127.0.0.1, the loopback address of IPv4, and ports that this user may take"
    )]
    NoListen {
        /// The address that was tried.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// There are not enough free ports.
    #[error("found no {wanted} free ports between {from} and {to}")]
    NoFreePorts {
        /// How many were wanted.
        wanted: usize,
        /// First port that was tried.
        from: u16,
        /// Last port that was tried.
        to: u16,
    },
    /// A node ended while it was waited for.
    #[error("{node} ended by itself; the end of {log}:\n{tail}")]
    NodeEnded {
        /// Name of the node.
        node: String,
        /// The node's log, whose end is in `tail`.
        log: PathBuf,
        /// The last lines since its start.
        tail: String,
    },
    /// The cluster did not become ready in time.
    #[error("the cluster was not ready after {seconds} s: {missing}; the logs are in {logs}")]
    NotReady {
        /// How long was waited.
        seconds: u64,
        /// What is still missing.
        missing: String,
        /// Folder of the logs.
        logs: PathBuf,
    },
    /// There is a running cluster in the folder.
    #[error("a cluster runs in {dir}; see it with `holdfast dev status`, end it with `holdfast dev down`")]
    AlreadyRuns {
        /// Folder of the running cluster.
        dir: PathBuf,
    },
    /// The folder holds a cluster of another size.
    #[error(
        "{dir} holds a cluster of {found}, not of {wanted}; remove it with `holdfast dev down --wipe`, or leave the numbers away to start it as it is"
    )]
    OtherSize {
        /// Folder of the cluster that is there.
        dir: PathBuf,
        /// Numbers of its brokers and controllers, in words.
        found: String,
        /// What was asked for.
        wanted: String,
    },
    /// The folder's cluster has other ports.
    #[error(
        "{dir} holds a cluster at {first}, which keeps its ports; leave --base-port {wanted} away, or remove the cluster with `holdfast dev down --wipe`"
    )]
    OtherPorts {
        /// Folder of the cluster that is there.
        dir: PathBuf,
        /// Addresses of its brokers.
        first: String,
        /// The base port that was asked for.
        wanted: u16,
    },
    /// There is no cluster in the folder.
    #[error("there is no cluster in {dir}; start one with `holdfast dev up`")]
    NoCluster {
        /// The folder in which there is none.
        dir: PathBuf,
    },
    /// No node has this name.
    #[error("unknown node '{name}'; known: {names}")]
    NoSuchNode {
        /// The name asked for.
        name: String,
        /// Those that there are.
        names: String,
    },
    /// The node does not run.
    #[error("{node} does not run; start it with `holdfast dev start {node}`")]
    NotRunning {
        /// Name of the node.
        node: String,
    },
    /// The node is to be started, but its process is alive.
    #[error("{node} runs already, as process {pid}")]
    AlreadyRunning {
        /// Name of the node.
        node: String,
        /// Id of its living process.
        pid: i32,
    },
    /// The node did not obey a signal that no process can refuse.
    #[error("{node} (process {pid}) did not obey its signal within {seconds} s; a disk may hang")]
    WillNotEnd {
        /// Name of the node.
        node: String,
        /// Id of the process that is still alive.
        pid: i32,
        /// How long was waited.
        seconds: u64,
    },
    /// The state file is not what it should be.
    #[error("{path} is damaged ({reason}); end its processes yourself, then remove the folder")]
    StateDamaged {
        /// `cluster.json` in the cluster's folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another command is changing the cluster.
    #[error("another `holdfast dev` command is changing the cluster in {dir}; try again when it has ended")]
    Locked {
        /// Folder whose lock the other command holds.
        dir: PathBuf,
    },
    /// A signal could not be sent.
    #[error("cannot signal {node} (process {pid}): {source}")]
    Signal {
        /// Name of the node.
        node: String,
        /// Id of the process that the signal was for.
        pid: i32,
        /// What the system said.
        source: io::Error,
    },
    /// The wanted cluster is out of range.
    #[error("{0}")]
    Spec(String),
    /// No node that was asked answered; holds what each of them gave.
    #[error("no node of the cluster answers ({0}); see `holdfast dev status`")]
    NoAnswer(String),
}

impl Error {
    /// An IO error with what was tried; for `map_err`.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
