//! The rule, and what it compares.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use holdfast_proto::{ids::IncarnationId, refusal::Recovered};

/// Starts that a history goes back to. A node that was away for more of another's counts it as unknown.
pub(super) const MAX_BOOTS: usize = 64;

/// One start on a data folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boot {
    /// Its number on that folder, from 1. A start that ended before it said anything is not in a history.
    pub boot_counter: u64,
    /// Random id of that start.
    pub incarnation_id: IncarnationId,
    /// Generation of the folder's mark as it began: nothing that was told before has a higher one.
    pub since: u64,
}

/// What a controller shows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its last starts, at most 64, in order; the last one speaks.
    pub boots: Vec<Boot>,
    /// Generation of its mark, as far as it is durable.
    pub generation: u64,
    /// By its metadata; `None` if it has none: its store is empty.
    pub recovered: Option<Recovered>,
}

/// What was shown last under a node id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Number of the start.
    pub boot_counter: u64,
    /// Random id of that start.
    pub incarnation_id: IncarnationId,
    /// The highest generation that it said.
    pub generation: u64,
    /// By the metadata that it had.
    #[serde(default)]
    pub recovered: Recovered,
}

/// What is kept of a controller: who speaks has to go on from both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The last that anybody said of it.
    #[serde(flatten)]
    pub told: Known,
    /// The last that it showed here itself; `None` if it never did. What others say of it, who may have met a copy, takes
    /// nothing away from that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown: Option<Known>,
}

/// Why who speaks is not the one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A later start spoke before.
    #[error("start {shown} of its data folder speaks, after start {known} did")]
    Superseded {
        /// The start that is known.
        known: u64,
        /// The one that speaks.
        shown: u64,
    },
    /// The start that is known is none of its own.
    #[error("its data folder knows nothing of its start {known}, which spoke before")]
    Other {
        /// The start that is known.
        known: u64,
    },
    /// It went on from before what the known start said.
    #[error("its data folder goes on from before what it told others in its start {known}")]
    Forgot {
        /// The start that is known.
        known: u64,
    },
    /// The controllers were recovered since.
    #[error("its data folder is from before {known}")]
    Recovered {
        /// The metadata that it had as it spoke before.
        known: Recovered,
    },
}

impl Known {
    /// True if this says more than the other of the same node.
    pub fn is_newer(&self, other: &Self) -> bool {
        let rank = |known: &Self| (known.recovered, known.boot_counter, known.generation);
        rank(self) > rank(other)
    }
}

impl Kept {
    /// The newest of two of the same node, each part by itself.
    pub(super) fn newest(self, other: Self) -> Self {
        let newer = |one: Known, other: Known| if other.is_newer(&one) { other } else { one };
        let shown =
            self.shown.zip(other.shown).map_or(self.shown.or(other.shown), |(one, other)| Some(newer(one, other)));
        Self { told: newer(self.told, other.told), shown }
    }

    /// True if this tells of another start.
    pub(super) fn is_of_another_start(&self, before: &Self) -> bool {
        let starts = |kept: &Self| (kept.told.incarnation_id, kept.shown.map(|shown| shown.incarnation_id));
        starts(self) != starts(before)
    }
}

/// Compares what a controller shows with all that is kept of it, and gives what it showed: `None` if it shows nothing. What
/// it does not go on from comes with the refusal.
pub fn judge_kept(kept: Option<&Kept>, shown: &Shown) -> Result<Option<Known>, (Refusal, Option<Known>)> {
    let by = |known: Option<Known>| judge(known.as_ref(), shown).map_err(|refusal| (refusal, known));
    let (own, told) = (by(kept.and_then(|kept| kept.shown))?, by(kept.map(|kept| kept.told))?);
    if shown.boots.is_empty() {
        return Ok(None);
    }
    Ok(own.zip(told).map(|(own, told)| if told.is_newer(&own) { told } else { own }))
}

/// Compares what a controller shows with what is known of it, and gives what is known of it from then on: `None` if it
/// shows nothing.
pub fn judge(known: Option<&Known>, shown: &Shown) -> Result<Option<Known>, Refusal> {
    let Some(speaks) = shown.boots.last() else { return Ok(known.copied()) };
    let Boot { boot_counter, incarnation_id, .. } = *speaks;
    let known_recovered = known.map_or_else(Recovered::default, |known| known.recovered);
    let recovered = shown.recovered.unwrap_or(known_recovered);
    let next = Known { boot_counter, incarnation_id, generation: shown.generation, recovered };
    let Some(known) = known else { return Ok(Some(next)) };
    match recovered.cmp(&known.recovered) {
        Ordering::Less => return Err(Refusal::Recovered { known: known.recovered }),
        // A recovery may go on from an older folder: a new history begins with it.
        Ordering::Greater => return Ok(Some(next)),
        Ordering::Equal => {}
    }
    if known.boot_counter > boot_counter {
        return Err(Refusal::Superseded { known: known.boot_counter, shown: boot_counter });
    }
    let oldest = shown.boots.first().map_or(boot_counter, |boot| boot.boot_counter);
    if known.boot_counter < oldest {
        return Ok(Some(next));
    }
    let place = shown.boots.iter().position(|boot| boot.incarnation_id == known.incarnation_id);
    let Some(place) = place else { return Err(Refusal::Other { known: known.boot_counter }) };
    match shown.boots.get(place + 1) {
        // Messages of one process overtake each other.
        None => Ok(Some(Known { generation: next.generation.max(known.generation), ..next })),
        Some(after) if after.since < known.generation => Err(Refusal::Forgot { known: known.boot_counter }),
        Some(_) => Ok(Some(next)),
    }
}
