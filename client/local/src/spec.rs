//! What cluster is wanted.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Error, Programs, Role};

/// Most brokers of a cluster on one machine.
pub(super) const BROKERS_MAX: u32 = 50;
/// Most controllers of a cluster.
pub(super) const CONTROLLERS_MAX: u32 = 9;

/// Name of a node, as `broker-1`. Numbers start at 1; a broker's number is its broker id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct NodeName {
    /// Whether it is a controller or a broker; numbers count within a role.
    pub role: Role,
    /// Its number among those of its role.
    pub number: u32,
}

impl NodeName {
    /// The broker with this id.
    pub const fn broker(number: u32) -> Self {
        Self { role: Role::Broker, number }
    }

    /// The controller with this number.
    pub const fn controller(number: u32) -> Self {
        Self { role: Role::Controller, number }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.role, self.number)
    }
}

impl FromStr for NodeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("'{text}' is not a node; write broker-1 or controller-2");
        let (role, number) = text.split_once('-').ok_or_else(wrong)?;
        let role = match role {
            "broker" => Role::Broker,
            "controller" => Role::Controller,
            _ => return Err(wrong()),
        };
        let number = number.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?;
        Ok(Self { role, number })
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.to_string()
    }
}

impl TryFrom<String> for NodeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A setting of a configuration file: its key, and its value in TOML or as bare text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Key of the configuration file, without blanks around it; not checked here.
    pub key: String,
    /// Value as it was given, without blanks around it.
    pub value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err(format!("'{text}' is not a setting; write key=value")),
        }
    }
}

/// How long the processes live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until they are ended; they outlive the process that started them.
    Detached,
    /// No longer than the process that started them, even if that is killed.
    Tied,
}

/// The cluster that is wanted.
#[derive(Clone, Debug)]
pub struct ClusterSpec {
    /// Folder of the cluster; made if it is not there.
    pub dir: PathBuf,
    /// Number of brokers, 1 to 50.
    pub brokers: u32,
    /// Number of controllers, 1 to 9; an odd number is wise.
    pub controllers: u32,
    /// Clients find broker n at this port plus n; 0 picks free ports. A folder's cluster keeps its ports: absent or 0
    /// means those, any other number is refused. Absent in a new folder: [`crate::ports::DEFAULT_BASE_PORT`].
    pub base_port: Option<u16>,
    /// Further settings of every broker.
    pub broker_settings: Vec<Setting>,
    /// Further settings of every controller.
    pub controller_settings: Vec<Setting>,
    /// Where the programs are.
    pub programs: Programs,
    /// How long the processes live.
    pub lifetime: Lifetime,
}

impl ClusterSpec {
    /// Three brokers and three controllers in this folder, on free ports, tied to this process.
    ///
    /// Fails if the programs are not found.
    pub fn tied(dir: impl Into<PathBuf>) -> Result<Self, Error> {
        Ok(Self {
            dir: dir.into(),
            brokers: 3,
            controllers: 3,
            base_port: Some(0),
            broker_settings: Vec::new(),
            controller_settings: Vec::new(),
            programs: Programs::find()?,
            lifetime: Lifetime::Tied,
        })
    }

    /// Refuses numbers of brokers or controllers that are out of range, all problems at once.
    pub fn validate(&self) -> Result<(), Error> {
        let mut problems = Vec::new();
        if !(1..=BROKERS_MAX).contains(&self.brokers) {
            problems.push(format!("{} brokers: 1 to {BROKERS_MAX} are possible", self.brokers));
        }
        if !(1..=CONTROLLERS_MAX).contains(&self.controllers) {
            problems.push(format!("{} controllers: 1 to {CONTROLLERS_MAX} are possible", self.controllers));
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::Spec(problems.join("; "))) }
    }

    /// The nodes, controllers first.
    pub fn nodes(&self) -> impl Iterator<Item = NodeName> + use<> {
        let controllers = (1..=self.controllers).map(NodeName::controller);
        controllers.chain((1..=self.brokers).map(NodeName::broker))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for text in ["broker-1", "controller-12"] {
            assert_eq!(text.parse::<NodeName>().unwrap().to_string(), text);
        }
        for text in ["", "broker", "broker-", "broker-0", "broker-x", "Broker-1", "proxy-1", "broker--1"] {
            assert!(text.parse::<NodeName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_setting_has_a_key_and_any_value() {
        let setting: Setting = "log_level = \"debug=1\"".parse().unwrap();
        assert_eq!((setting.key.as_str(), setting.value.as_str()), ("log_level", "\"debug=1\""));
        assert!("=x".parse::<Setting>().is_err());
        assert!("key".parse::<Setting>().is_err());
    }
}
