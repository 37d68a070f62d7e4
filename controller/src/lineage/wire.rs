//! Histories as they travel.

use std::collections::BTreeMap;

use holdfast_proto::{
    convert::required_id,
    detail::ErrorDetail,
    error::ErrorCode,
    ids::{ControllerId, MetadataIndex},
    refusal::Recovered,
    v1::{self, ControllerBoot},
};

use super::judge::{Boot, Known, MAX_BOOTS, Shown};

/// Controllers of which a message may tell.
pub const MAX_LINEAGES: usize = 64;

/// What one message tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The sender's own history; empty if its program shows none.
    pub sender: Shown,
    /// What the sender knows of others, by node id.
    pub others: BTreeMap<u64, Known>,
}

/// What a message says of its sender, as it travels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The sender's own history, and what it knows of others.
    pub boots: Vec<ControllerBoot>,
    /// The last recovery that its metadata has. `None`: its program does not say.
    pub recovered: Option<v1::Recovered>,
}

/// The last recovery that somebody's metadata has, as it travels; `None` for an empty store.
pub fn recovered_to_wire(recovered: Option<Recovered>) -> v1::Recovered {
    let Recovered { recoveries, index, controller_id } = recovered.unwrap_or_default();
    v1::Recovered { has_metadata: recovered.is_some(), recoveries, index: index.0, controller_id: controller_id.0 }
}

/// That of a message; `None` for an empty store. Where nothing is said of it, the sender's program knows no recoveries: it
/// counts as one that had none.
pub fn recovered_from_wire(message: Option<&v1::Recovered>) -> Option<Recovered> {
    let Some(v1::Recovered { has_metadata, recoveries, index, controller_id }) = message.copied() else {
        return Some(Recovered::default());
    };
    let (index, controller_id) = (MetadataIndex(index), ControllerId(controller_id));
    has_metadata.then_some(Recovered { recoveries, index, controller_id })
}

/// For a message from `node_id`: its own history, and what it knows of others.
pub fn to_wire<'a>(node_id: u64, shown: &Shown, others: impl Iterator<Item = (&'a u64, &'a Known)>) -> Said {
    let own = shown.boots.iter().map(|boot| ControllerBoot {
        node_id,
        boot_counter: boot.boot_counter,
        incarnation_id: boot.incarnation_id.to_bytes(),
        since: boot.since,
        generation: shown.generation,
        recovered: None,
    });
    let others = others.filter(|(id, _)| **id != node_id).take(MAX_LINEAGES).map(|(id, known)| ControllerBoot {
        node_id: *id,
        boot_counter: known.boot_counter,
        incarnation_id: known.incarnation_id.to_bytes(),
        since: 0,
        generation: known.generation,
        recovered: Some(recovered_to_wire(Some(known.recovered))),
    });
    Said { boots: own.chain(others).collect(), recovered: Some(recovered_to_wire(shown.recovered)) }
}

/// Of a message from `sender`. Refused with INVALID_REQUEST if it tells of more than [`MAX_LINEAGES`] other controllers, of
/// more than 64 starts of its own, or of those out of order.
pub fn from_wire(sender: u64, said: &Said) -> Result<Heard, ErrorDetail> {
    let invalid = |message: String| ErrorDetail::new(ErrorCode::InvalidRequest, message);
    let recovered = recovered_from_wire(said.recovered.as_ref());
    let mut heard = Heard { sender: Shown { boots: Vec::new(), generation: 0, recovered }, others: BTreeMap::new() };
    for ControllerBoot { node_id, boot_counter, incarnation_id, since, generation, recovered } in &said.boots {
        let (boot_counter, since, generation) = (*boot_counter, *since, *generation);
        let incarnation_id = required_id(incarnation_id, "incarnation_id")?;
        if *node_id == sender {
            heard.sender.boots.push(Boot { boot_counter, incarnation_id, since });
            heard.sender.generation = generation;
        } else {
            let recovered = recovered_from_wire(recovered.as_ref()).unwrap_or_default();
            heard.others.insert(*node_id, Known { boot_counter, incarnation_id, generation, recovered });
        }
    }
    let Heard { sender: own, others } = &heard;
    if own.boots.len() > MAX_BOOTS || others.len() > MAX_LINEAGES {
        let (own, others) = (own.boots.len(), others.len());
        let message = format!(
            "{own} starts of a controller and {others} others; at most {MAX_BOOTS} and {MAX_LINEAGES} are read"
        );
        return Err(invalid(message));
    }
    if !own.boots.is_sorted_by(|earlier, later| earlier.boot_counter < later.boot_counter) {
        return Err(invalid(format!("the starts of controller {sender} are not in order")));
    }
    Ok(heard)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use holdfast_proto::ids::IncarnationId;

    use super::*;

    fn boot(number: u64) -> Boot {
        Boot { boot_counter: number, incarnation_id: IncarnationId(Uuid::from_u128(number.into())), since: 10 * number }
    }

    #[test]
    fn what_is_sent_is_what_is_heard() {
        let recovered = |recoveries| Recovered { recoveries, index: MetadataIndex(5), controller_id: ControllerId(6) };
        let shown = Shown { boots: vec![boot(1), boot(3)], generation: 31, recovered: Some(recovered(2)) };
        let known = |n: u64| Known {
            boot_counter: n,
            incarnation_id: IncarnationId(Uuid::from_u128(n.into())),
            generation: n,
            recovered: recovered(n),
        };
        let others = BTreeMap::from([(2, known(8)), (5, known(9))]);
        let mut table = others.clone();
        table.insert(7, known(2));
        let sent = to_wire(7, &shown, table.iter());
        assert_eq!(from_wire(7, &sent), Ok(Heard { sender: shown.clone(), others }), "nothing is said of itself twice");
        let empty = Shown { recovered: None, ..shown };
        let sent = to_wire(7, &empty, BTreeMap::new().iter());
        assert_eq!(from_wire(7, &sent).map(|heard| heard.sender), Ok(empty), "an empty store is told from none said");
        let earlier = Shown { boots: Vec::new(), generation: 0, recovered: Some(Recovered::default()) };
        assert_eq!(from_wire(7, &Said::default()).map(|heard| heard.sender), Ok(earlier), "of an earlier program");
    }

    #[test]
    fn what_is_too_long_or_out_of_order_is_refused() {
        let code = |boots: &[ControllerBoot]| {
            let said = Said { boots: boots.to_vec(), recovered: None };
            from_wire(7, &said).map_err(|detail| detail.code)
        };
        let of = |boots: Vec<Boot>| {
            to_wire(7, &Shown { boots, generation: 0, recovered: None }, BTreeMap::new().iter()).boots
        };
        assert!(code(&of((0..64).map(boot).collect())).is_ok());
        let mut nameless = of(vec![boot(1)]);
        nameless[0].incarnation_id = vec![1].into();
        let other = |node_id| ControllerBoot { node_id, ..of(vec![boot(1)])[0].clone() };
        let many = |count| (100..100 + count).map(other).collect::<Vec<_>>();
        assert!(code(&many(MAX_LINEAGES as u64)).is_ok());
        let unsorted = [of(vec![boot(2), boot(2)]), of(vec![boot(2), boot(1)])];
        let bad = [of((0..65).map(boot).collect()), nameless, many(MAX_LINEAGES as u64 + 1)];
        for boots in bad.iter().chain(&unsorted) {
            assert_eq!(code(boots), Err(ErrorCode::InvalidRequest), "{boots:?}");
        }
    }
}
