//! The handle on a cluster of processes.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{
    ClusterSpec, Error, Lifetime, NodeName, Programs, Role, Setting, config,
    ports::{self, Ports, address},
    process::{Launch, ProcessIdentity, ProcessState, spawn},
    state::{Lock, NodeState, State},
};

/// How long the folder's lock is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(10);
/// How long a killed process may take to end.
const KILL_PATIENCE: Duration = Duration::from_secs(10);
/// How often a condition is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(20);

/// A cluster of processes in a folder. Dropping the handle ends the processes of a tied cluster, and leaves those of a
/// detached one.
#[derive(Debug)]
pub struct ProcessCluster {
    pub(super) dir: PathBuf,
    pub(super) programs: Programs,
    pub(super) lifetime: Lifetime,
    pub(super) state: State,
    /// Settings of brokers and of controllers that are tried and not kept yet.
    tried: Option<[Vec<Setting>; 2]>,
    /// Children of this process, kept to be reaped.
    children: Vec<Child>,
}

impl ProcessCluster {
    /// Lays the cluster out in its folder, or takes up the one that is there, and starts nothing.
    ///
    /// Fails if one runs there, if one of another size or on other ports is there, or if a port is taken.
    pub fn create(spec: &ClusterSpec) -> Result<Self, Error> {
        spec.validate()?;
        for folder in ["config", "data", "logs"] {
            let path = spec.dir.join(folder);
            std::fs::create_dir_all(&path).map_err(Error::io("make", path))?;
        }
        // Absolute, for the programs and later commands may run elsewhere.
        let dir = spec.dir.canonicalize().map_err(Error::io("find", &spec.dir))?;
        let spec = &ClusterSpec { dir: dir.clone(), ..spec.clone() };
        let _lock = Lock::take(&dir, LOCK_PATIENCE)?;
        let stored = match State::load(&dir) {
            Ok(state) => Some(state),
            Err(Error::NoCluster { .. }) => None,
            Err(error) => return Err(error),
        };
        if let Some(stored) = &stored {
            if stored.nodes.iter().any(|node| node.process.as_ref().is_some_and(ProcessIdentity::is_alive)) {
                return Err(Error::AlreadyRuns { dir });
            }
            let found = (stored.count(Role::Controller), stored.count(Role::Broker));
            if found != (spec.controllers, spec.brokers) {
                let say = |(controllers, brokers)| format!("{controllers} controllers and {brokers} brokers");
                return Err(Error::OtherSize { dir, found: say(found), wanted: say((spec.controllers, spec.brokers)) });
            }
        }
        let ports = match &stored {
            Some(stored) => kept_ports(stored, spec)?,
            None => Ports::choose(spec)?,
        };
        for (node, ports) in ports.iter() {
            ports::check_free(node, ports)?;
        }
        for (node, _) in ports.iter() {
            let path = config_path(&dir, node);
            std::fs::write(&path, config::render(spec, &ports, node)).map_err(Error::io("write", path))?;
        }
        // New settings are kept once the cluster ran with them, see `keep_settings`.
        let (broker_settings, controller_settings) =
            stored.map_or_else(Default::default, |state| (state.broker_settings, state.controller_settings));
        let state = State::new(&ports, broker_settings, controller_settings);
        state.save(&dir)?;
        Ok(Self {
            dir,
            programs: spec.programs.clone(),
            lifetime: spec.lifetime,
            state,
            tried: Some([spec.broker_settings.clone(), spec.controller_settings.clone()]),
            children: Vec::new(),
        })
    }

    /// The cluster in this folder, also one that another process started. What this handle starts is detached.
    pub fn open(dir: &Path, programs: Programs) -> Result<Self, Error> {
        let dir = dir.canonicalize().map_err(|_| Error::NoCluster { dir: dir.to_path_buf() })?;
        let state = State::load(&dir)?;
        Ok(Self { dir, programs, lifetime: Lifetime::Detached, state, tried: None, children: Vec::new() })
    }

    /// Lays the cluster out, starts it and waits until it is ready. What was started is ended again if that fails.
    pub async fn up(spec: &ClusterSpec, patience: Duration) -> Result<Self, Error> {
        let mut cluster = Self::create(spec)?;
        let started = match cluster.start_all() {
            Ok(()) => cluster.wait_ready(patience).await,
            Err(error) => Err(error),
        };
        if let Err(error) = started {
            cluster.kill_all();
            return Err(error);
        }
        cluster.keep_settings(spec)?;
        Ok(cluster)
    }

    /// Keeps the settings for the next start of this folder. To be called once the cluster is ready with them: a
    /// setting that keeps it from starting must not be there the next time.
    pub fn keep_settings(&mut self, spec: &ClusterSpec) -> Result<(), Error> {
        let _lock = self.reload()?;
        self.state.broker_settings.clone_from(&spec.broker_settings);
        self.state.controller_settings.clone_from(&spec.controller_settings);
        self.tried = None;
        self.state.save(&self.dir)
    }

    /// Folder of the cluster.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Names of the nodes, controllers first.
    pub fn nodes(&self) -> Vec<NodeName> {
        self.state.nodes.iter().map(|node| node.name).collect()
    }

    /// Addresses for clients, one a broker.
    pub fn bootstrap(&self) -> Vec<String> {
        self.state.addresses(Role::Broker)
    }

    /// Address of a node: for clients (of a broker) or for everyone (of a controller).
    pub fn address(&self, name: NodeName) -> Result<String, Error> {
        Ok(address(self.state.node(name)?.ports.main))
    }

    /// The node that has this address.
    pub fn node_at(&self, at: &str) -> Option<NodeName> {
        self.state.nodes.iter().find(|node| address(node.ports.main) == at).map(|node| node.name)
    }

    /// Where the node's output goes.
    pub fn log_path(&self, name: NodeName) -> PathBuf {
        self.dir.join("logs").join(format!("{name}.log"))
    }

    /// Where the node's configuration stands.
    pub(super) fn config_path(&self, name: NodeName) -> PathBuf {
        config_path(&self.dir, name)
    }

    /// Where the node keeps its data.
    pub fn data_dir(&self, name: NodeName) -> PathBuf {
        config::data_dir(&self.dir, name)
    }

    /// Starts every node that does not run.
    pub fn start_all(&mut self) -> Result<(), Error> {
        for name in self.nodes() {
            match self.start(name) {
                Ok(()) | Err(Error::AlreadyRunning { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Starts a node, and does not wait for it.
    pub fn start(&mut self, name: NodeName) -> Result<(), Error> {
        self.reap();
        let log_path = self.log_path(name);
        let config = config_path(&self.dir, name);
        let _lock = self.reload()?;
        let node = self.state.node(name)?;
        if let Some(process) = node.process.as_ref().filter(|process| process.is_alive()) {
            return Err(Error::AlreadyRunning { node: name.to_string(), pid: process.pid });
        }
        ports::check_free(name, node.ports)?;
        let [of_brokers, of_controllers] = match &self.tried {
            Some([brokers, controllers]) => [brokers, controllers],
            None => [&self.state.broker_settings, &self.state.controller_settings],
        };
        let settings = if name.role == Role::Broker { of_brokers } else { of_controllers }.clone();
        let node = self.state.node_mut(name)?;
        let log = File::options().create(true).append(true).open(&log_path).map_err(Error::io("open", &log_path))?;
        node.log_start = log.metadata().map_or(0, |metadata| metadata.len());
        let child = spawn(Launch {
            holdfast: self.programs.holdfast(),
            program: self.programs.of(name.role),
            config: &config,
            settings: &settings,
            log,
            lifetime: self.lifetime,
        })
        .map_err(Error::io("start", self.programs.holdfast()))?;
        // A child that has ended already is still there to be read, as a zombie without an identity.
        node.process = ProcessIdentity::of(child.id() as i32).map_err(Error::io("read", "/proc"))?;
        self.children.push(child);
        self.state.save(&self.dir)
    }

    /// Kills a node with SIGKILL and waits until it has ended: what `kill -9` does.
    pub fn kill(&mut self, name: NodeName) -> Result<(), Error> {
        self.signal_until(name, Signal::KILL, |state| state == ProcessState::Ended)?;
        self.reap();
        Ok(())
    }

    /// Suspends a node (SIGSTOP): it keeps its connections and answers nothing.
    pub fn suspend(&mut self, name: NodeName) -> Result<(), Error> {
        self.signal_until(name, Signal::STOP, |state| state != ProcessState::Running)
    }

    /// Lets a suspended node go on (SIGCONT).
    pub fn resume(&mut self, name: NodeName) -> Result<(), Error> {
        self.signal_until(name, Signal::CONT, |state| state != ProcessState::Suspended)
    }

    /// Sends a signal, and waits until it has worked.
    fn signal_until(&mut self, name: NodeName, which: Signal, worked: fn(ProcessState) -> bool) -> Result<(), Error> {
        let process = self.alive(name)?;
        let deadline = Instant::now() + KILL_PATIENCE;
        loop {
            // Again each time: a stop signal can be lost on a process that is just becoming another program.
            signal(name, &process, which)?;
            if worked(process.state()) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(will_not_end(name, &process));
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// Asks a node to end (SIGTERM), and kills it if it has not after `grace`. True if it ended by itself.
    pub async fn terminate(&mut self, name: NodeName, grace: Duration) -> Result<bool, Error> {
        let process = self.alive(name)?;
        let graceful = end(name, &process, grace).await?;
        self.reap();
        let _lock = self.reload()?;
        self.state.node_mut(name)?.process = None;
        self.state.save(&self.dir)?;
        Ok(graceful)
    }

    /// Ends the node if it runs, as [`Self::terminate`] does, and starts it.
    pub async fn restart(&mut self, name: NodeName, grace: Duration) -> Result<(), Error> {
        match self.terminate(name, grace).await {
            Ok(_) | Err(Error::NotRunning { .. }) => self.start(name),
            Err(error) => Err(error),
        }
    }

    /// Ends every node: the brokers together, then the controllers. Names those that had to be killed.
    pub async fn down(&mut self, grace: Duration) -> Result<Vec<NodeName>, Error> {
        let mut killed = self.terminate_all(Role::Broker, grace).await?;
        killed.extend(self.terminate_all(Role::Controller, grace).await?);
        Ok(killed)
    }

    /// Asks all nodes of a kind to end at once, as [`Self::terminate`] asks one. Names those that had to be killed.
    pub async fn terminate_all(&mut self, role: Role, grace: Duration) -> Result<Vec<NodeName>, Error> {
        drop(self.reload()?);
        let alive: Vec<_> = self.processes().filter(|(name, _)| name.role == role).collect();
        let ends = alive.iter().map(|(name, process)| end(*name, process, grace));
        let mut killed = Vec::new();
        for ((name, _), graceful) in alive.iter().zip(futures::future::join_all(ends).await) {
            if !graceful? {
                killed.push(*name);
            }
        }
        self.reap();
        let _lock = self.reload()?;
        for node in self.state.nodes.iter_mut().filter(|node| node.name.role == role) {
            node.process = None;
        }
        self.state.save(&self.dir)?;
        Ok(killed)
    }

    /// Kills every node at once, and ignores what goes wrong: for the way out.
    pub fn kill_all(&mut self) {
        if let Ok(lock) = self.reload() {
            drop(lock);
        }
        let alive: Vec<_> = self.processes().collect();
        for (name, process) in &alive {
            if let Err(error) = signal(*name, process, Signal::KILL) {
                eprintln!("{error}");
            }
        }
        let deadline = Instant::now() + KILL_PATIENCE;
        while alive.iter().any(|(_, process)| process.is_alive()) && Instant::now() < deadline {
            std::thread::park_timeout(Duration::from_millis(2));
        }
        self.reap();
    }

    /// Removes the cluster's data, logs, configuration and state; and its folder, if nothing else is in it.
    ///
    /// Fails if a node still runs.
    pub fn wipe(mut self) -> Result<(), Error> {
        let lock = self.reload()?;
        if self.processes().next().is_some() {
            return Err(Error::AlreadyRuns { dir: self.dir.clone() });
        }
        for folder in ["data", "config", "logs"] {
            remove(&self.dir.join(folder), |path| std::fs::remove_dir_all(path))?;
        }
        for file in ["cluster.json", "lock"] {
            remove(&self.dir.join(file), |path| std::fs::remove_file(path))?;
        }
        drop(lock);
        // Fails while something else is in it, which is then not ours to remove.
        let _kept = std::fs::remove_dir(&self.dir);
        Ok(())
    }

    /// The processes that run, as the state names them.
    fn processes(&self) -> impl Iterator<Item = (NodeName, ProcessIdentity)> + '_ {
        let alive = |node: &NodeState| Some((node.name, node.process.clone().filter(ProcessIdentity::is_alive)?));
        self.state.nodes.iter().filter_map(alive)
    }

    pub(super) fn alive(&mut self, name: NodeName) -> Result<ProcessIdentity, Error> {
        drop(self.reload()?);
        let process = self.state.node(name)?.process.clone().filter(ProcessIdentity::is_alive);
        process.ok_or_else(|| Error::NotRunning { node: name.to_string() })
    }

    /// Takes the lock and reads the state again, for another command may have changed it.
    pub(super) fn reload(&mut self) -> Result<Lock, Error> {
        let lock = Lock::take(&self.dir, LOCK_PATIENCE)?;
        self.state = State::load(&self.dir)?;
        Ok(lock)
    }

    /// Takes note of the children that have ended, so that no zombies stay.
    pub(super) fn reap(&mut self) {
        self.children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_)) | Err(_)));
    }
}

impl Drop for ProcessCluster {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::Tied {
            self.kill_all();
        }
    }
}

/// The ports of a folder's cluster, which it keeps: its controllers know each other by them. Fails if others are wanted;
/// 0, any that are free, are those that it has.
fn kept_ports(stored: &State, spec: &ClusterSpec) -> Result<Ports, Error> {
    let ports = stored.ports();
    match spec.base_port {
        Some(wanted) if wanted != 0 && Some(wanted) != ports.base() => {
            Err(Error::OtherPorts { dir: spec.dir.clone(), first: stored.addresses(Role::Broker).join(","), wanted })
        }
        _ => ports.with_metrics(),
    }
}

fn config_path(dir: &Path, node: NodeName) -> PathBuf {
    dir.join("config").join(format!("{node}.toml"))
}

fn remove(path: &Path, how: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<(), Error> {
    match how(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

fn signal(name: NodeName, process: &ProcessIdentity, signal: Signal) -> Result<(), Error> {
    match process.signal(signal) {
        Ok(_) => Ok(()),
        Err(source) => Err(Error::Signal { node: name.to_string(), pid: process.pid, source }),
    }
}

fn will_not_end(name: NodeName, process: &ProcessIdentity) -> Error {
    Error::WillNotEnd { node: name.to_string(), pid: process.pid, seconds: KILL_PATIENCE.as_secs() }
}

/// Ends a process, by SIGTERM and then by SIGKILL. True if the first sufficed.
async fn end(name: NodeName, process: &ProcessIdentity, grace: Duration) -> Result<bool, Error> {
    for (which, patience) in [(Signal::TERM, grace), (Signal::KILL, KILL_PATIENCE)] {
        signal(name, process, which)?;
        if which == Signal::TERM {
            // A stopped process would not see it.
            signal(name, process, Signal::CONT)?;
        }
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            if !process.is_alive() {
                return Ok(which == Signal::TERM);
            }
            tokio::time::sleep(POLL).await;
        }
    }
    Err(will_not_end(name, process))
}
