//! One more broker for a cluster that is there.

use crate::{
    ClusterSpec, Error, NodeName, ProcessCluster, Role, config,
    ports::{Ports, check_free},
    state::NodeState,
};

impl ProcessCluster {
    /// Lays out one more broker, with the settings of the others, and starts nothing. Its number is the next one.
    ///
    /// Fails if its ports are taken, or if there are as many brokers as there can be.
    pub fn add_broker(&mut self) -> Result<NodeName, Error> {
        let _lock = self.reload()?;
        let last = self.state.nodes.iter().filter(|node| node.name.role == Role::Broker).map(|node| node.name.number);
        let node = NodeName::broker(last.max().unwrap_or(0) + 1);
        let count = |role| self.state.count(role);
        let spec = ClusterSpec {
            dir: self.dir.clone(),
            brokers: count(Role::Broker) + 1,
            controllers: count(Role::Controller),
            base_port: None,
            broker_settings: self.state.broker_settings.clone(),
            controller_settings: self.state.controller_settings.clone(),
            programs: self.programs.clone(),
            lifetime: self.lifetime,
        };
        spec.validate()?;
        let ports: Ports = self.state.ports().with_broker(node.number)?;
        check_free(node, ports.of(node))?;
        let path = self.config_path(node);
        std::fs::write(&path, config::render(&spec, &ports, node)).map_err(Error::io("write", path))?;
        self.state.nodes.push(NodeState { name: node, ports: ports.of(node), process: None, log_start: 0 });
        self.state.save(&self.dir)?;
        Ok(node)
    }
}
