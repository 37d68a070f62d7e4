//! What was started, kept in `DIR/cluster.json`.

use std::{
    fs::{File, TryLockError},
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use crate::{
    Error, NodeName, Role, Setting,
    ports::{NodePorts, Ports, address},
    process::ProcessIdentity,
};

/// Version of the file's layout.
const VERSION: u32 = 1;

/// The state of a cluster's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    version: u32,
    /// The nodes, controllers first.
    pub nodes: Vec<NodeState>,
    /// Further settings that the brokers were started with.
    pub broker_settings: Vec<Setting>,
    /// Further settings that the controllers were started with.
    pub controller_settings: Vec<Setting>,
}

/// A node as the folder knows it, running or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// Name, unique within the cluster.
    pub name: NodeName,
    /// Ports that it keeps over its restarts.
    pub ports: NodePorts,
    /// The process that was last started for it; absent before the first start and after an ordered end.
    pub process: Option<ProcessIdentity>,
    /// Length of its log when it was last started, in bytes.
    pub log_start: u64,
}

impl State {
    /// A cluster of which nothing was started yet.
    pub fn new(ports: &Ports, broker_settings: Vec<Setting>, controller_settings: Vec<Setting>) -> Self {
        let node = |(name, ports)| NodeState { name, ports, process: None, log_start: 0 };
        Self { version: VERSION, nodes: ports.iter().map(node).collect(), broker_settings, controller_settings }
    }

    /// The state in this folder.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let path = path(dir);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoCluster { dir: dir.to_path_buf() });
            }
            Err(error) => return Err(Error::io("read", path)(error)),
        };
        let damaged = |reason: String| Error::StateDamaged { path: path.clone(), reason };
        let state: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if state.version != VERSION {
            return Err(damaged(format!("its version is {}, not {VERSION}", state.version)));
        }
        Ok(state)
    }

    /// Writes the state; a reader sees the old or the new one, never half of it.
    pub fn save(&self, dir: &Path) -> Result<(), Error> {
        let path = path(dir);
        let draft = path.with_extension("json.new");
        let write = || {
            let mut file = File::create(&draft)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            std::fs::rename(&draft, &path)
        };
        write().map_err(Error::io("write", &path))
    }

    /// The node of this name.
    pub fn node(&self, name: NodeName) -> Result<&NodeState, Error> {
        self.nodes.iter().find(|node| node.name == name).ok_or_else(|| self.no_such_node(name))
    }

    /// The node of this name, to be changed.
    pub fn node_mut(&mut self, name: NodeName) -> Result<&mut NodeState, Error> {
        let error = self.no_such_node(name);
        self.nodes.iter_mut().find(|node| node.name == name).ok_or(error)
    }

    fn no_such_node(&self, name: NodeName) -> Error {
        let names: Vec<_> = self.nodes.iter().map(|node| node.name.to_string()).collect();
        Error::NoSuchNode { name: name.to_string(), names: names.join(", ") }
    }

    /// How many nodes of this role there are.
    pub fn count(&self, role: Role) -> u32 {
        self.nodes.iter().filter(|node| node.name.role == role).count() as u32
    }

    /// The ports of all nodes.
    pub fn ports(&self) -> Ports {
        self.nodes.iter().map(|node| (node.name, node.ports)).collect()
    }

    /// The addresses of the nodes of this role: brokers' for clients, controllers' own.
    pub fn addresses(&self, role: Role) -> Vec<String> {
        self.nodes.iter().filter(|node| node.name.role == role).map(|node| address(node.ports.main)).collect()
    }
}

/// The folder's lock, held while it is changed.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, waiting for this long at most.
    pub fn take(dir: &Path, patience: Duration) -> Result<Self, Error> {
        let path = dir.join("lock");
        let file = File::options().create(true).append(true).open(&path).map_err(Error::io("open", &path))?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", path)(error)),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(Error::Locked { dir: dir.to_path_buf() });
                }
                Err(TryLockError::WouldBlock) => std::thread::park_timeout(Duration::from_millis(20)),
            }
        }
    }
}

/// The state file of a folder.
pub fn path(dir: &Path) -> PathBuf {
    dir.join("cluster.json")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::spec;

    #[test]
    fn the_state_survives_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let spec = spec(9200);
        let mut state = State::new(&Ports::choose(&spec).unwrap(), spec.broker_settings, spec.controller_settings);
        let process = ProcessIdentity::of(std::process::id() as i32).unwrap();
        state.node_mut(NodeName::broker(1)).unwrap().process = process;
        state.save(dir.path()).unwrap();
        assert_eq!(State::load(dir.path()).unwrap(), state);
        assert_eq!(state.addresses(Role::Broker)[0], "127.0.0.1:9201");
        assert!(matches!(state.node(NodeName::broker(9)), Err(Error::NoSuchNode { .. })));
    }

    #[test]
    fn no_state_and_a_damaged_state_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(State::load(dir.path()), Err(Error::NoCluster { .. })));
        std::fs::write(path(dir.path()), "{\"version\":1").unwrap();
        assert!(matches!(State::load(dir.path()), Err(Error::StateDamaged { .. })));
    }

    #[test]
    fn one_command_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path(), Duration::ZERO).unwrap();
        assert!(matches!(Lock::take(dir.path(), Duration::ZERO), Err(Error::Locked { .. })));
        drop(lock);
        Lock::take(dir.path(), Duration::ZERO).unwrap();
    }
}
