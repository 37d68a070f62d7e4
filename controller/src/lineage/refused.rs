//! Whether it is true that this controller is refused for good.

use holdfast_proto::{
    ids::{ClusterId, ControllerId},
    refusal::{KnownStart, Refusal},
};

use super::judge::{Known, Shown, judge};

/// Who is refused, as it knows itself.
#[derive(Clone, Debug)]
pub struct Own {
    /// The node id of its folder.
    pub node_id: u64,
    /// The cluster that its folder is bound to.
    pub cluster_id: Option<ClusterId>,
    /// The history of its folder.
    pub shown: Shown,
}

/// Why a refusal is not true of who is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// It names somebody else.
    #[error("it is about controller {0}")]
    OtherController(ControllerId),
    /// It comes from elsewhere.
    #[error("it comes from cluster {0}")]
    OtherCluster(ClusterId),
    /// The folder has what it is said to lack.
    #[error("what is known there of this controller, its own folder has")]
    Has,
    /// There is nothing to be refused for.
    #[error("the metadata there is from no later recovery than that of this controller")]
    NotLater,
}

impl From<&KnownStart> for Known {
    fn from(known: &KnownStart) -> Self {
        let KnownStart { boot_counter, incarnation_id, generation, recovered } = *known;
        Self { boot_counter, incarnation_id, generation, recovered }
    }
}

impl From<&Known> for KnownStart {
    fn from(known: &Known) -> Self {
        let Known { boot_counter, incarnation_id, generation, recovered } = *known;
        Self { boot_counter, incarnation_id, generation, recovered }
    }
}

/// Checks a refusal against the folder of who is refused. A folder that is bound to no cluster yet compares none.
pub fn check_refusal(refusal: &Refusal, own: &Own) -> Result<(), Doubt> {
    if refusal.controller_id != ControllerId(own.node_id) {
        return Err(Doubt::OtherController(refusal.controller_id));
    }
    if let Some(theirs) = refusal.cluster_id
        && own.cluster_id.is_some_and(|ours| ours != theirs)
    {
        return Err(Doubt::OtherCluster(theirs));
    }
    let doubt = match &refusal.known {
        Some(known) => judge(Some(&known.into()), &own.shown).is_ok().then_some(Doubt::Has),
        // One with an empty store can have been given up by its node id alone.
        None => own.shown.recovered.is_some_and(|ours| ours >= refusal.recovered).then_some(Doubt::NotLater),
    };
    doubt.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::{
        ids::{IncarnationId, MetadataIndex},
        refusal::Recovered,
    };

    use super::*;
    use crate::lineage::Boot;

    const CLUSTER: ClusterId = ClusterId(Uuid::from_u128(7));

    fn recovered(recoveries: u64) -> Recovered {
        Recovered { recoveries, index: MetadataIndex(recoveries), controller_id: ControllerId(recoveries) }
    }

    fn own(recoveries: Option<u64>) -> Own {
        let incarnation_id = IncarnationId(Uuid::from_u128(8));
        let boots = vec![Boot { boot_counter: 8, incarnation_id, since: 50 }];
        let shown = Shown { boots, generation: 60, recovered: recoveries.map(recovered) };
        Own { node_id: 3, cluster_id: Some(CLUSTER), shown }
    }

    fn refusal(recoveries: u64) -> Refusal {
        Refusal {
            cluster_id: Some(CLUSTER),
            controller_id: ControllerId(3),
            recovered: recovered(recoveries),
            known: None,
        }
    }

    #[test]
    fn one_that_was_given_up_is_from_before_a_later_recovery() {
        assert_eq!(check_refusal(&refusal(2), &own(Some(1))), Ok(()));
        assert_eq!(check_refusal(&refusal(1), &own(Some(1))), Err(Doubt::NotLater));
        assert_eq!(check_refusal(&refusal(1), &own(Some(2))), Err(Doubt::NotLater));
        assert_eq!(check_refusal(&refusal(1), &own(None)), Ok(()), "an empty store");
    }

    #[test]
    fn one_that_is_an_older_copy_lacks_what_is_known_of_it() {
        let known = |boot_counter: u64, id, recoveries| {
            let incarnation_id = IncarnationId(Uuid::from_u128(id));
            let known = KnownStart { boot_counter, incarnation_id, generation: 55, recovered: recovered(recoveries) };
            Refusal { known: Some(known), ..refusal(1) }
        };
        assert_eq!(check_refusal(&known(9, 9, 1), &own(Some(1))), Ok(()));
        assert_eq!(check_refusal(&known(8, 8, 1), &own(Some(1))), Err(Doubt::Has));
        assert_eq!(check_refusal(&known(9, 9, 1), &own(Some(2))), Err(Doubt::Has), "it was recovered since");
        assert_eq!(check_refusal(&known(8, 8, 2), &own(Some(1))), Ok(()), "it is from before that recovery");
    }

    #[test]
    fn what_is_of_another_cluster_or_about_another_is_no_matter() {
        let (elsewhere, ours) = (ClusterId(Uuid::from_u128(9)), own(Some(1)));
        let foreign = Refusal { cluster_id: Some(elsewhere), ..refusal(2) };
        assert_eq!(check_refusal(&foreign, &ours), Err(Doubt::OtherCluster(elsewhere)));
        assert_eq!(check_refusal(&foreign, &Own { cluster_id: None, ..own(None) }), Ok(()));
        let other = Refusal { controller_id: ControllerId(4), ..refusal(2) };
        assert_eq!(check_refusal(&other, &ours), Err(Doubt::OtherController(ControllerId(4))));
    }
}
