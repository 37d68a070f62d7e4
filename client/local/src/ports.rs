//! The ports of a cluster on loopback.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddrV4, TcpListener},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{ClusterSpec, Error, NodeName, Role};

/// Base port unless told otherwise: clients find broker 1 at 9201.
const DEFAULT_BASE_PORT: u16 = 9200;
/// Other brokers find broker n at the base port plus this plus n.
const PEER_STEP: u32 = 100;
/// Controller n listens at the base port plus this plus n.
const CONTROLLER_STEP: u32 = 200;
/// Broker n serves metrics at the base port plus this plus n.
const BROKER_METRICS_STEP: u32 = 300;
/// Controller n serves metrics at the base port plus this plus n.
const CONTROLLER_METRICS_STEP: u32 = 400;

/// Free ports are looked for here: below the range that Linux gives to outgoing connections, so that a node that was
/// killed finds its port free when it comes back.
const FREE_FROM: u16 = 12_000;
const FREE_TO: u16 = 32_000;

/// The ports of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePorts {
    /// A broker's port for clients, a controller's only port.
    pub main: u16,
    /// A broker's port for other nodes.
    pub peer: Option<u16>,
    /// The port for metrics; a folder of an earlier program has none.
    #[serde(default)]
    pub metrics: Option<u16>,
}

/// The ports of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports(BTreeMap<NodeName, NodePorts>);

impl Ports {
    /// The ports that the specification asks for: counted from its base port, or free ones if that is 0.
    pub fn choose(spec: &ClusterSpec) -> Result<Self, Error> {
        match spec.base_port.unwrap_or(DEFAULT_BASE_PORT) {
            0 => Self::free(spec),
            base_port => Self::from_base(spec, base_port),
        }
    }

    fn from_base(spec: &ClusterSpec, base_port: u16) -> Result<Self, Error> {
        let port = |step: u32, number: u32| {
            u16::try_from(u32::from(base_port) + step + number)
                .map_err(|_| Error::Spec(format!("base port {base_port} leaves no room below 65,536")))
        };
        let mut ports = BTreeMap::new();
        for node in spec.nodes() {
            let ports_of_node = match node.role {
                Role::Controller => NodePorts {
                    main: port(CONTROLLER_STEP, node.number)?,
                    peer: None,
                    metrics: Some(port(CONTROLLER_METRICS_STEP, node.number)?),
                },
                Role::Broker => NodePorts {
                    main: port(0, node.number)?,
                    peer: Some(port(PEER_STEP, node.number)?),
                    metrics: Some(port(BROKER_METRICS_STEP, node.number)?),
                },
            };
            ports.insert(node, ports_of_node);
        }
        Ok(Self(ports))
    }

    /// These ports, and those of one more broker: counted from the base port that the others have, or free ones.
    pub(super) fn with_broker(mut self, number: u32) -> Result<Self, Error> {
        let counted = self.0.get(&NodeName::broker(1)).map(|ports| {
            let next = |port: u16| u16::try_from(u32::from(port) + number - 1).ok();
            (
                next(ports.main),
                ports.peer.and_then(next),
                ports.metrics.and_then(next),
                ports.peer.map(|peer| u32::from(peer) - u32::from(ports.main)),
            )
        });
        let ports = match counted {
            Some((Some(main), Some(peer), metrics, Some(PEER_STEP))) => NodePorts { main, peer: Some(peer), metrics },
            _ => NodePorts { main: free_port()?, peer: Some(free_port()?), metrics: None },
        };
        self.0.insert(NodeName::broker(number), ports);
        self.with_metrics()
    }

    /// These ports, with a free one for the metrics of each node that has none: in a folder of an earlier program.
    pub(super) fn with_metrics(mut self) -> Result<Self, Error> {
        for ports in self.0.values_mut().filter(|ports| ports.metrics.is_none()) {
            ports.metrics = Some(free_port()?);
        }
        Ok(self)
    }

    fn free(spec: &ClusterSpec) -> Result<Self, Error> {
        let mut ports = BTreeMap::new();
        for node in spec.nodes() {
            let main = free_port()?;
            let peer = if node.role == Role::Broker { Some(free_port()?) } else { None };
            ports.insert(node, NodePorts { main, peer, metrics: Some(free_port()?) });
        }
        Ok(Self(ports))
    }

    /// The base port that they count from, if they were chosen so: broker 1 is at the next one.
    pub(super) fn base(&self) -> Option<u16> {
        self.0.get(&NodeName::broker(1)).and_then(|ports| ports.main.checked_sub(1))
    }

    /// The ports of a node of this cluster.
    pub fn of(&self, node: NodeName) -> NodePorts {
        self.0[&node]
    }

    /// All nodes with their ports.
    pub fn iter(&self) -> impl Iterator<Item = (NodeName, NodePorts)> + '_ {
        self.0.iter().map(|(node, ports)| (*node, *ports))
    }
}

impl FromIterator<(NodeName, NodePorts)> for Ports {
    fn from_iter<I: IntoIterator<Item = (NodeName, NodePorts)>>(iter: I) -> Self {
        Self(iter.into_iter().collect())
    }
}

/// Fails if something listens on a port that the node needs.
pub fn check_free(node: NodeName, ports: NodePorts) -> Result<(), Error> {
    let main = match node.role {
        Role::Broker => format!("{node}, clients"),
        Role::Controller => node.to_string(),
    };
    let peer = ports.peer.map(|port| (port, format!("{node}, peers")));
    let metrics = ports.metrics.map(|port| (port, format!("{node}, metrics")));
    for (port, purpose) in [(ports.main, main)].into_iter().chain(peer).chain(metrics) {
        if !is_free(port)? && !is_free_again(port)? {
            return Err(Error::PortInUse { port, purpose });
        }
    }
    Ok(())
}

/// True if the port was taken for a moment: another process looked whether it is free, as this one does.
fn is_free_again(port: u16) -> Result<bool, Error> {
    for _ in 0..3 {
        thread::sleep(Duration::from_millis(10));
        if is_free(port)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The address of a port on loopback.
pub fn address(port: u16) -> String {
    SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).to_string()
}

fn is_free(port: u16) -> Result<bool, Error> {
    is_bound(port, TcpListener::bind((Ipv4Addr::LOCALHOST, port)))
}

/// False if another has the port; an error if nobody could have it here.
fn is_bound(port: u16, bound: io::Result<TcpListener>) -> Result<bool, Error> {
    match bound {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(false),
        Err(source) => Err(Error::NoListen { address: address(port), source }),
    }
}

/// A port that nothing listens on, never the same twice in one process until all were tried. Where the search starts
/// depends on the process id, so that two processes seldom meet.
fn free_port() -> Result<u16, Error> {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    let range = u32::from(FREE_TO - FREE_FROM);
    let start = std::process::id().wrapping_mul(97);
    for _ in 0..range {
        let step = TRIED.fetch_add(1, Ordering::Relaxed);
        let port = FREE_FROM + (start.wrapping_add(step) % range) as u16;
        if is_free(port)? {
            return Ok(port);
        }
    }
    Err(Error::NoFreePorts { wanted: 1, from: FREE_FROM, to: FREE_TO })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::spec;

    #[test]
    fn fixed_ports_count_from_the_base() {
        let ports = Ports::choose(&spec(9200)).unwrap();
        assert_eq!(ports.of(NodeName::broker(1)), NodePorts { main: 9201, peer: Some(9301), metrics: Some(9501) });
        assert_eq!(ports.of(NodeName::broker(3)), NodePorts { main: 9203, peer: Some(9303), metrics: Some(9503) });
        assert_eq!(ports.of(NodeName::controller(2)), NodePorts { main: 9402, peer: None, metrics: Some(9602) });
        assert!(Ports::choose(&spec(65_400)).is_err());
    }

    #[test]
    fn one_more_broker_has_ports_like_the_others() {
        let fixed = Ports::choose(&spec(9200)).unwrap().with_broker(4).unwrap();
        assert_eq!(fixed.of(NodeName::broker(4)), NodePorts { main: 9204, peer: Some(9304), metrics: Some(9504) });
        let free = Ports::choose(&spec(0)).unwrap().with_broker(4).unwrap();
        assert_eq!(free.iter().count(), 7);
    }

    #[test]
    fn free_ports_are_free_and_different() {
        let ports = Ports::choose(&spec(0)).unwrap();
        let of_node = |ports: NodePorts| [Some(ports.main), ports.peer, ports.metrics];
        let mut all: Vec<_> = ports.iter().flat_map(|(_, ports)| of_node(ports)).flatten().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), count), (15, 15));
    }

    #[test]
    fn a_taken_port_is_named_with_its_purpose() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let ports = NodePorts { main: free_port().unwrap(), peer: Some(port), metrics: None };
        let error = check_free(NodeName::broker(2), ports).unwrap_err().to_string();
        assert!(error.contains(&port.to_string()) && error.contains("broker-2, peers"), "{error}");
    }

    #[test]
    fn nodes_of_an_earlier_program_get_a_port_for_metrics() {
        let old: NodePorts = serde_json::from_str("{\"main\":9201,\"peer\":9301}").unwrap();
        assert_eq!(old.metrics, None);
        let ports: Ports = [(NodeName::broker(1), old)].into_iter().collect();
        let grown = ports.with_broker(2).unwrap();
        assert!(grown.iter().all(|(_, ports)| ports.metrics.is_some()));
        assert_eq!(grown.of(NodeName::broker(1)), NodePorts { metrics: grown.of(NodeName::broker(1)).metrics, ..old });
    }

    #[test]
    fn a_machine_without_the_address_is_told_from_one_without_a_free_port() {
        let failed = |kind: io::ErrorKind| is_bound(9201, Err(kind.into()));
        assert!(matches!(failed(io::ErrorKind::AddrInUse), Ok(false)));
        for kind in [io::ErrorKind::AddrNotAvailable, io::ErrorKind::PermissionDenied] {
            let error = failed(kind).unwrap_err().to_string();
            assert!(error.starts_with("cannot listen on 127.0.0.1:9201: "), "{error}");
        }
    }
}
