//! The words of a line: numbers, nodes, links.

use std::str::FromStr;

use holdfast_proto::ids::BrokerId;

use super::{cluster::Cluster, links::Link};

/// The number that a word says.
pub(super) fn number<T: FromStr>(word: &str) -> Result<T, String> {
    word.parse().map_err(|_| format!("{word} is not a number"))
}

/// A broker of the cluster.
pub(super) fn broker(cluster: &Cluster, word: &str) -> Result<BrokerId, String> {
    let id = BrokerId(number(word)?);
    if cluster.disks.contains_key(&id) { Ok(id) } else { Err(format!("there is no broker {id}")) }
}

/// What stands after `NAME=`.
pub(super) fn value<'a>(word: &'a str, name: &str) -> Result<&'a str, String> {
    word.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).ok_or_else(|| format!("{word} is not {name}=..."))
}

/// A link, as `A>B`.
pub(super) fn link(word: &str) -> Result<Link, String> {
    let (from, to) = word.split_once('>').ok_or_else(|| format!("{word} is not a link"))?;
    Ok((number(from)?, number(to)?))
}
