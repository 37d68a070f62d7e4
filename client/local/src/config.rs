//! Writes the nodes' configuration files: what the layout of the cluster says. Further settings stand on the nodes' command
//! lines, where the program takes each as the type that it wants, as with `--set` by hand.

use std::path::Path;

use toml_edit::{Array, DocumentMut, Item, value};

use crate::{
    ClusterSpec, NodeName, Role,
    ports::{Ports, address},
};

/// The configuration file of a node, as text.
pub(super) fn render(spec: &ClusterSpec, ports: &Ports, node: NodeName) -> String {
    let controllers: Array =
        ports.iter().filter(|(node, _)| node.role == Role::Controller).map(|(_, ports)| address(ports.main)).collect();
    let own = ports.of(node);
    let mut toml = DocumentMut::new();
    if let Some(metrics) = own.metrics {
        toml["metrics_listen"] = value(address(metrics));
    }
    let data_dir = data_dir(&spec.dir, node);
    match node.role {
        Role::Controller => {
            toml["data_dir"] = text(&data_dir.to_string_lossy());
            toml["listen"] = value(address(own.main));
            toml["advertised_address"] = value(address(own.main));
            toml["peers"] = value(controllers);
            // A small cluster cannot hold three replicas.
            toml["default_replication_factor"] = value(i64::from(spec.brokers.min(3)));
            toml["default_min_insync_replicas"] = value(i64::from(spec.brokers.min(2)));
        }
        Role::Broker => {
            toml["broker_id"] = value(i64::from(node.number));
            toml["data_dir"] = text(&data_dir.to_string_lossy());
            toml["client_listen"] = value(address(own.main));
            toml["client_advertised_address"] = value(address(own.main));
            let peer = address(own.peer.unwrap_or_default());
            toml["peer_listen"] = value(peer.clone());
            toml["peer_advertised_address"] = value(peer);
            toml["controllers"] = value(controllers);
        }
    }
    format!("# Written by `holdfast dev up` at each start; other settings are given there with --set.\n{toml}")
}

/// The data folder of a node.
pub(super) fn data_dir(dir: &Path, node: NodeName) -> std::path::PathBuf {
    dir.join("data").join(node.to_string())
}

fn text(text: &str) -> Item {
    value(text.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use toml_edit::Value;

    use super::*;
    use crate::{Lifetime, Programs, Setting};

    /// Three and three in a folder whose name needs quoting.
    pub(crate) fn spec(base_port: u16) -> ClusterSpec {
        let bin = tempfile::tempdir().unwrap();
        for name in ["holdfast-controller", "holdfast-broker", "holdfast"] {
            std::fs::write(bin.path().join(name), "").unwrap();
        }
        ClusterSpec {
            dir: "/tmp/a \"quoted\" name".into(),
            brokers: 3,
            controllers: 3,
            base_port: Some(base_port),
            broker_settings: vec![
                Setting { key: "log_level".into(), value: "debug".into() },
                Setting { key: "partition_threads".into(), value: "2".into() },
            ],
            controller_settings: vec![Setting { key: "broker_session_timeout_ms".into(), value: "1_500".into() }],
            programs: Programs::find_in(&[bin.path().to_path_buf()]).unwrap(),
            lifetime: Lifetime::Tied,
        }
    }

    fn parsed(node: NodeName) -> DocumentMut {
        let spec = spec(9200);
        let ports = Ports::choose(&spec).unwrap();
        render(&spec, &ports, node).parse().unwrap()
    }

    #[test]
    fn a_brokers_file_has_every_address_and_setting() {
        let toml = parsed(NodeName::broker(2));
        assert_eq!(toml["broker_id"].as_integer(), Some(2));
        assert_eq!(toml["data_dir"].as_str(), Some("/tmp/a \"quoted\" name/data/broker-2"));
        assert_eq!(toml["client_listen"].as_str(), Some("127.0.0.1:9202"));
        assert_eq!(toml["client_advertised_address"].as_str(), Some("127.0.0.1:9202"));
        assert_eq!(toml["peer_listen"].as_str(), Some("127.0.0.1:9302"));
        assert_eq!(toml["metrics_listen"].as_str(), Some("127.0.0.1:9502"));
        assert_eq!(toml["peer_advertised_address"].as_str(), Some("127.0.0.1:9302"));
        let controllers: Vec<_> = toml["controllers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(controllers, ["127.0.0.1:9401", "127.0.0.1:9402", "127.0.0.1:9403"]);
        assert!(toml.get("log_level").is_none(), "settings stand on the command line");
    }

    #[test]
    fn a_controllers_file_lists_all_controllers() {
        let toml = parsed(NodeName::controller(3));
        assert_eq!(toml["listen"].as_str(), Some("127.0.0.1:9403"));
        assert_eq!(toml["metrics_listen"].as_str(), Some("127.0.0.1:9603"));
        assert_eq!(toml["advertised_address"].as_str(), Some("127.0.0.1:9403"));
        assert_eq!(toml["peers"].as_array().unwrap().len(), 3);
        assert_eq!(toml["default_replication_factor"].as_integer(), Some(3));
    }

    #[test]
    fn one_broker_gets_defaults_that_it_can_keep() {
        let mut spec = spec(9200);
        spec.brokers = 1;
        let ports = Ports::choose(&spec).unwrap();
        let toml: DocumentMut = render(&spec, &ports, NodeName::controller(1)).parse().unwrap();
        assert_eq!(toml["default_replication_factor"].as_integer(), Some(1));
        assert_eq!(toml["default_min_insync_replicas"].as_integer(), Some(1));
    }
}
