//! Histories as they travel.

use std::collections::BTreeMap;

use holdfast_proto::{convert::required_id, detail::ErrorDetail, error::ErrorCode, v1::ControllerBoot};

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

/// For a message from `node_id`: its own history, and what it knows of others.
pub fn to_wire<'a>(
    node_id: u64,
    shown: &Shown,
    others: impl Iterator<Item = (&'a u64, &'a Known)>,
) -> Vec<ControllerBoot> {
    let own = shown.boots.iter().map(|boot| ControllerBoot {
        node_id,
        boot_counter: boot.boot_counter,
        incarnation_id: boot.incarnation_id.to_bytes(),
        since: boot.since,
        generation: shown.generation,
    });
    let others = others.filter(|(id, _)| **id != node_id).take(MAX_LINEAGES).map(|(id, known)| ControllerBoot {
        node_id: *id,
        boot_counter: known.boot_counter,
        incarnation_id: known.incarnation_id.to_bytes(),
        since: 0,
        generation: known.generation,
    });
    own.chain(others).collect()
}

/// Of a message from `sender`. Refused with INVALID_REQUEST if it tells of more than [`MAX_LINEAGES`] other controllers, of
/// more than [`MAX_BOOTS`] starts of its own, or of those out of order.
pub fn from_wire(sender: u64, boots: &[ControllerBoot]) -> Result<Heard, ErrorDetail> {
    let invalid = |message: String| ErrorDetail::new(ErrorCode::InvalidRequest, message);
    let mut heard = Heard { sender: Shown { boots: Vec::new(), generation: 0 }, others: BTreeMap::new() };
    for ControllerBoot { node_id, boot_counter, incarnation_id, since, generation } in boots {
        let (boot_counter, since, generation) = (*boot_counter, *since, *generation);
        let incarnation_id = required_id(incarnation_id, "incarnation_id")?;
        if *node_id == sender {
            heard.sender.boots.push(Boot { boot_counter, incarnation_id, since });
            heard.sender.generation = generation;
        } else {
            heard.others.insert(*node_id, Known { boot_counter, incarnation_id, generation });
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
        let shown = Shown { boots: vec![boot(1), boot(3)], generation: 31 };
        let known =
            |n| Known { boot_counter: n, incarnation_id: IncarnationId(Uuid::from_u128(n.into())), generation: n };
        let others = BTreeMap::from([(2, known(8)), (5, known(9))]);
        let mut table = others.clone();
        table.insert(7, known(2));
        let sent = to_wire(7, &shown, table.iter());
        assert_eq!(from_wire(7, &sent), Ok(Heard { sender: shown, others }), "nothing is said of itself twice");
        let none = Heard { sender: Shown { boots: Vec::new(), generation: 0 }, others: BTreeMap::new() };
        assert_eq!(from_wire(7, &[]), Ok(none), "of an earlier program");
    }

    #[test]
    fn what_is_too_long_or_out_of_order_is_refused() {
        let code = |boots: &[ControllerBoot]| from_wire(7, boots).map_err(|detail| detail.code);
        let of = |boots: Vec<Boot>| to_wire(7, &Shown { boots, generation: 0 }, BTreeMap::new().iter());
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
