//! The flags by which a command reaches its cluster.

use std::ffi::OsString;

use clap::{Arg, Args, Command};

use holdfast_client::{Client, ClientConfig, split_list};
use holdfast_local::{Role, state::State};

use crate::{
    exit::{Code, Failure, Result, code_of},
    folder::local_cluster,
};

/// Where the cluster is.
#[derive(Clone, Debug, Args)]
pub struct Connect {
    /// Brokers to ask first, as host:port,host:port [default: HOLDFAST_BOOTSTRAP, or the cluster of `holdfast dev`].
    #[arg(short, long, global = true, value_name = "LIST", help_heading = "Common options", display_order = 1)]
    bootstrap: Vec<String>,
    /// Speak to the first of these addresses alone; that broker passes on what is for others (for port-forward).
    /// HOLDFAST_ONE_ADDRESS=1 does the same.
    #[arg(long, global = true, help_heading = "Common options", display_order = 2)]
    one_address: bool,
}

/// Names the brokers if no flag does.
const BOOTSTRAP_ENV: &str = "HOLDFAST_BOOTSTRAP";

/// The environment variable that says the same as `--one-address`.
const ONE_ADDRESS_ENV: &str = "HOLDFAST_ONE_ADDRESS";

/// The same flags for a command that reaches no cluster by them: taken, as before every command, and not shown.
pub(crate) fn hidden() -> Vec<Arg> {
    Connect::augment_args(Command::new("")).get_arguments().map(|arg| arg.clone().hide(true)).collect()
}

impl Connect {
    /// The brokers to ask first.
    pub fn bootstrap(&self) -> Result<Vec<String>> {
        if !self.bootstrap.is_empty() {
            return addresses("--bootstrap", &self.bootstrap.join(","));
        }
        if let Some(list) = variable(BOOTSTRAP_ENV)? {
            return addresses(BOOTSTRAP_ENV, &list);
        }
        local_cluster().map(|state| state.addresses(Role::Broker)).map_err(|_| {
            Failure::usage(
                "no cluster was named: give --bootstrap host:port or set HOLDFAST_BOOTSTRAP, \
                 or start a local cluster with `holdfast dev up`",
            )
        })
    }

    /// A client of the cluster that has reached a broker.
    pub async fn client(&self) -> Result<Client> {
        self.client_at(self.bootstrap()?).await
    }

    /// A client that has reached a broker, or a controller of the local cluster: where no broker answers, a controller says
    /// what it knows.
    pub async fn any_node(&self) -> Result<Client> {
        let mut addresses = self.bootstrap()?;
        if let Some(state) = self.local() {
            addresses.extend(state.addresses(Role::Controller));
        }
        self.client_at(addresses).await
    }

    /// The cluster of `holdfast dev`, if that is the one which is meant.
    pub(crate) fn local(&self) -> Option<State> {
        let named = self.bootstrap().ok()?;
        local_cluster().ok().filter(|state| named == state.addresses(Role::Broker))
    }

    async fn client_at(&self, addresses: Vec<String>) -> Result<Client> {
        let mut config = ClientConfig::new(addresses);
        "holdfast-cli".clone_into(&mut config.client_id);
        config.one_address = self.one_address || is_set(ONE_ADDRESS_ENV)?;
        Client::connect(config).await.map_err(|error| {
            let Failure { code, message } = Failure::from(error);
            let is_env = self.bootstrap.is_empty() && matches!(variable(BOOTSTRAP_ENV), Ok(Some(_)));
            let origin = if is_env { "\nthe addresses are those of HOLDFAST_BOOTSTRAP" } else { "" };
            Failure::new(code, message + origin)
        })
    }
}

/// As people write it: with spaces behind the commas, or with a comma at the end. Who names nobody does not mean the local
/// cluster.
fn addresses(from: &str, list: &str) -> Result<Vec<String>> {
    let named = split_list(list);
    if named.is_empty() {
        return Err(Failure::usage(format!("{from}: '{list}' names no broker; write host:port,host:port")));
    }
    Ok(named)
}

/// The variable of this name; one that is set to nothing is not set, and one that nobody can read is refused.
pub fn variable(name: &str) -> Result<Option<String>> {
    text_of(name, std::env::var_os(name))
}

fn text_of(name: &str, value: Option<OsString>) -> Result<Option<String>> {
    let text = value.filter(|value| !value.is_empty()).map(OsString::into_string).transpose();
    text.map_err(|value| Failure::usage(format!("{name}: '{}' is not UTF-8", value.display())))
}

/// What the variable of this name says; false if it is not set.
fn is_set(name: &str) -> Result<bool> {
    variable(name)?.map_or(Ok(false), |text| is_yes(name, &text))
}

fn is_yes(name: &str, text: &str) -> Result<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Ok(true),
        "" | "0" | "false" | "no" | "off" => Ok(false),
        _ => Err(Failure::usage(format!(
            "{name}: '{text}' is not yes or no; write 1, yes, on, true or 0, no, off, false"
        ))),
    }
}

impl From<holdfast_client::Error> for Failure {
    fn from(error: holdfast_client::Error) -> Self {
        use holdfast_client::Error;
        let code = match &error {
            Error::InvalidConfig(_) => Code::Usage,
            Error::Rejected(detail) => code_of(detail.code, detail.outcome),
            _ if error.is_in_doubt() => Code::InDoubt,
            _ => Code::Error,
        };
        let advice = match &error {
            Error::UnknownTopic(name) => format!("\nsee `holdfast topic ls`, or `holdfast topic create {name}`"),
            Error::Unreachable { .. } | Error::NotConnected { .. } => {
                "\nis it running? `holdfast dev status` shows a local cluster".to_owned()
            }
            Error::Advertised { .. } => " (--one-address)".to_owned(),
            _ => String::new(),
        };
        Self::new(code, format!("{error}{advice}"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        let bootstrap = |parts: &[&str]| {
            let bootstrap = parts.iter().map(|part| (*part).to_owned()).collect();
            Connect { bootstrap, one_address: false }.bootstrap()
        };
        for parts in [&["a:1", " b:2"][..], &["a:1", "b:2", ""], &[" a:1 , b:2 "]] {
            assert_eq!(bootstrap(parts).unwrap(), ["a:1", "b:2"], "{parts:?}");
        }
        for nobody in ["", " ", ","] {
            let failure = bootstrap(&[nobody]).unwrap_err();
            assert!(failure.code == Code::Usage && failure.message.contains("names no broker"), "{failure}");
        }
    }

    #[test]
    fn a_variable_that_nobody_can_read_is_not_taken_for_one_that_is_not_set() {
        let check = |value: Option<&[u8]>| text_of("X", value.map(|value| OsString::from_vec(value.to_vec())));
        assert_eq!((check(None).unwrap(), check(Some(b"")).unwrap()), (None, None));
        assert_eq!(check(Some(b"a:1")).unwrap().as_deref(), Some("a:1"));
        let failure = check(Some(b"a\xff:1")).unwrap_err();
        assert!(failure.code == Code::Usage && failure.message.starts_with("X: 'a"), "{failure}");
    }

    #[test]
    fn the_environment_says_yes_and_no_as_people_write_it() {
        for (texts, expected) in [
            (&["1", "yes", "On", "TRUE"][..], Some(true)),
            (&["", "0", "no", "OFF", "false"], Some(false)),
            (&["maybe", "-"], None),
        ] {
            for text in texts {
                assert_eq!(is_yes("X", text).ok(), expected, "'{text}'");
            }
        }
        assert!(is_yes("X", "2").unwrap_err().message.starts_with("X: '2'"));
    }
}
