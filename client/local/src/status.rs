//! What the nodes of a cluster do, and what they wrote last.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::{
    Error, NodeName, ProcessCluster,
    ports::address,
    process::{ProcessIdentity, ProcessState},
    state::NodeState,
};

/// How much of a log is read at most, from its end, bytes.
const TAIL_BYTES: u64 = 16 << 10;

/// One node, as `holdfast dev status` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct NodeStatus {
    /// Name, as commands take it.
    pub name: NodeName,
    /// What its process does.
    pub state: ProcessState,
    /// Id of its process; absent if it has ended.
    pub pid: Option<i32>,
    /// Where clients (of a broker) or everyone (of a controller) find it.
    pub address: String,
    /// Where other nodes find a broker.
    pub peer_address: Option<String>,
    /// Where its metrics are, for Prometheus; absent where it was started by an earlier program.
    pub metrics_address: Option<String>,
    /// Resident memory in bytes; absent if the process has ended.
    pub resident_bytes: Option<u64>,
    /// File that its output goes to, over all of its starts.
    pub log: PathBuf,
}

impl ProcessCluster {
    /// Every node with what its process does.
    pub fn status(&mut self) -> Vec<NodeStatus> {
        self.reap();
        let status = |node: &NodeState| {
            let process = node.process.as_ref().filter(|process| process.is_alive());
            NodeStatus {
                name: node.name,
                state: process.map_or(ProcessState::Ended, ProcessIdentity::state),
                pid: process.map(|process| process.pid),
                address: address(node.ports.main),
                peer_address: node.ports.peer.map(address),
                metrics_address: node.ports.metrics.map(address),
                resident_bytes: process.and_then(ProcessIdentity::resident_bytes),
                log: self.log_path(node.name),
            }
        };
        self.state.nodes.iter().map(status).collect()
    }

    /// The last `count` lines that the node wrote since it was last started; no more than the last 16 KiB hold.
    pub fn tail(&self, name: NodeName, count: usize) -> Result<String, Error> {
        let log_start = self.state.node(name)?.log_start;
        let path = self.log_path(name);
        let bytes = end_of(&path, log_start).map_err(Error::io("read", &path))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(count)..];
        Ok(if last.is_empty() { "(it wrote nothing)".to_owned() } else { last.join("\n") })
    }
}

/// The last [`TAIL_BYTES`] of a file that may be very long, and nothing before `start`.
fn end_of(path: &Path, start: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let from = start.max(file.metadata()?.len().saturating_sub(TAIL_BYTES));
    file.seek(SeekFrom::Start(from))?;
    let mut end = Vec::new();
    // It may be written to meanwhile.
    file.take(TAIL_BYTES).read_to_end(&mut end)?;
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_log_the_end_alone_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        std::fs::write(&path, "before\nlast").unwrap();
        assert_eq!(end_of(&path, 7).unwrap(), b"last");
        assert_eq!(end_of(&path, 100).unwrap(), b"", "it was cut since");
        // Sparse: it takes no place, and more memory than there is.
        File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(end_of(&path, 0).unwrap().len() as u64, TAIL_BYTES);
    }
}
