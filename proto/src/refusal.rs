//! Why a controller is refused for good, so that it can judge by itself whether that is true of it.
//!
//! Place: it travels in an [`crate::detail::ErrorDetail`] of STALE_FOLDER or GIVEN_UP. Such an error comes from an address;
//! what is at that address may be of another cluster, or know less than who asked. So it tells all that it was judged by.

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::{ClusterId, ControllerId, IncarnationId, MetadataIndex};

/// The last recovery of the controllers that somebody's metadata has. Of two of the same cluster the higher counts, and who
/// has the lower was given up: by how often they were recovered, then by how much the one knew that was gone on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Recovered {
    /// How often they were; 0: never, and then all is 0.
    pub recoveries: u64,
    /// The last index that the controller knew which was gone on with.
    pub index: MetadataIndex,
    /// Node id of that controller.
    pub controller_id: ControllerId,
}

impl fmt::Display for Recovered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recoveries, index, controller_id } = self;
        match recoveries {
            0 => f.write_str("the controllers were never recovered"),
            1 => write!(f, "the controllers were recovered from controller {controller_id} at metadata index {index}"),
            _ => write!(
                f,
                "the controllers were recovered {recoveries} times, at last from controller {controller_id} at metadata \
                 index {index}"
            ),
        }
    }
}

/// The last start on a controller's data folder that somebody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownStart {
    /// Its number on that folder, from 1.
    pub boot_counter: u64,
    /// Random id of that start.
    pub incarnation_id: IncarnationId,
    /// Generation of what it told.
    pub generation: u64,
    /// By the metadata that it had.
    pub recovered: Recovered,
}

/// By what it is judged: see the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Cluster of the controller that refuses; `None`: it is bound to none yet.
    pub cluster_id: Option<ClusterId>,
    /// The controller that is refused.
    pub controller_id: ControllerId,
    /// By the metadata of who refuses.
    pub recovered: Recovered,
    /// What is known of the refused one, if it is refused for that.
    pub known: Option<KnownStart>,
}

const CLUSTER_ID: &str = "refused_by_cluster";
const CONTROLLER_ID: &str = "refused_controller_id";
const RECOVERED: &str = "refused_recovered";
const KNOWN: &str = "refused_known_start";

impl Refusal {
    /// As it travels: text by key. Numbers are decimal, with a colon between them.
    pub fn to_metadata(&self) -> Vec<(String, String)> {
        let Self { cluster_id, controller_id, recovered, known } = self;
        let known = known.map(|known| {
            let KnownStart { boot_counter, incarnation_id, generation, recovered } = known;
            format!("{boot_counter}:{incarnation_id}:{generation}:{}", joined(&recovered))
        });
        let told = [
            (CLUSTER_ID, cluster_id.map(|id| id.to_string())),
            (CONTROLLER_ID, Some(controller_id.to_string())),
            (RECOVERED, Some(joined(recovered))),
            (KNOWN, known),
        ];
        told.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect()
    }

    /// What such metadata tells; `None` if it tells no refusal, or one that cannot be read.
    pub fn from_metadata(metadata: &HashMap<String, String>) -> Option<Self> {
        let controller_id = ControllerId(metadata.get(CONTROLLER_ID)?.parse().ok()?);
        let recovered = split(metadata.get(RECOVERED)?)?;
        let cluster_id = match metadata.get(CLUSTER_ID) {
            Some(id) => Some(ClusterId(id.parse().ok()?)),
            None => None,
        };
        let known = match metadata.get(KNOWN) {
            Some(text) => Some(known(text)?),
            None => None,
        };
        Some(Self { cluster_id, controller_id, recovered, known })
    }
}

fn joined(recovered: &Recovered) -> String {
    format!("{}:{}:{}", recovered.recoveries, recovered.index, recovered.controller_id)
}

fn split(text: &str) -> Option<Recovered> {
    let mut parts = text.split(':');
    let recovered = Recovered {
        recoveries: next(&mut parts)?,
        index: MetadataIndex(next(&mut parts)?),
        controller_id: ControllerId(next(&mut parts)?),
    };
    parts.next().is_none().then_some(recovered)
}

fn known(text: &str) -> Option<KnownStart> {
    let mut parts = text.splitn(4, ':');
    let (boot_counter, incarnation_id, generation) = (next(&mut parts)?, next::<Uuid>(&mut parts)?, next(&mut parts)?);
    let recovered = split(parts.next()?)?;
    Some(KnownStart { boot_counter, incarnation_id: IncarnationId(incarnation_id), generation, recovered })
}

fn next<'a, T: FromStr>(parts: &mut impl Iterator<Item = &'a str>) -> Option<T> {
    parts.next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovered(recoveries: u64, index: u64, id: u64) -> Recovered {
        Recovered { recoveries, index: MetadataIndex(index), controller_id: ControllerId(id) }
    }

    #[test]
    fn what_travels_is_what_was_said() {
        let incarnation_id = IncarnationId(Uuid::from_u128(5));
        let known = KnownStart { boot_counter: 8, incarnation_id, generation: 90, recovered: recovered(1, 70, 4) };
        let cluster_id = Some(ClusterId(Uuid::from_u128(7)));
        let whole =
            Refusal { cluster_id, controller_id: ControllerId(3), recovered: recovered(2, 99, 4), known: Some(known) };
        for told in [whole, Refusal { known: None, ..whole }, Refusal { cluster_id: None, ..whole }] {
            assert_eq!(Refusal::from_metadata(&told.to_metadata().into_iter().collect()), Some(told));
        }
        for key in [CLUSTER_ID, CONTROLLER_ID, RECOVERED, KNOWN] {
            for bad in ["", "1:2", "1:2:3:4:5:6:7", "x"] {
                let mut metadata: HashMap<_, _> = whole.to_metadata().into_iter().collect();
                metadata.insert(key.to_owned(), bad.to_owned());
                assert_eq!(Refusal::from_metadata(&metadata), None, "{key}: {bad:?}");
            }
        }
    }

    #[test]
    fn of_two_the_later_recovery_counts_and_of_as_many_the_one_that_knew_more() {
        let order =
            [recovered(0, 0, 0), recovered(1, 9, 7), recovered(1, 10, 2), recovered(1, 10, 3), recovered(2, 1, 1)];
        assert!(order.is_sorted_by(|one, next| one < next));
    }
}
