//! Every way in which the eligible replicas of a partition can have spoken, held against what may be concluded from it.

use uuid::Uuid;

use holdfast_proto::ids::{BrokerEpoch, BrokerId, DirectoryId, IncarnationId, LeaderEpoch, Offset};

use super::{Standings, candidate};
use crate::{
    image::Image,
    record::{BrokerRegistration, PartitionState, Record},
    trust::{Distrust, DistrustReason, ReplicaClaim},
    version::SUPPORTED,
};

/// What an eligible replica said: nothing yet, or how far it reaches, and whether its end was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Whole(u64),
    Doubtful(u64),
}

/// All that one can have said.
const ALL: [Said; 5] = [Said::Nothing, Said::Whole(5), Said::Whole(7), Said::Doubtful(5), Said::Doubtful(7)];

impl Said {
    fn end(self) -> Option<u64> {
        match self {
            Self::Nothing => None,
            Self::Whole(end) | Self::Doubtful(end) => Some(end),
        }
    }
}

/// The image in which these brokers are alive, and the others fenced.
fn image(alive: &[bool]) -> Image {
    let mut image = Image::default();
    for (id, alive) in (1..).zip(alive) {
        let registration = BrokerRegistration {
            broker_id: BrokerId(id),
            broker_epoch: BrokerEpoch(id.into()),
            incarnation_id: IncarnationId(Uuid::from_u128(id.into())),
            directory_id: DirectoryId(Uuid::from_u128(id.into())),
            boot_counter: 1,
            client_address: "a:1".to_owned(),
            peer_address: "a:2".to_owned(),
            rack: None,
            versions: SUPPORTED,
            fenced: !alive,
            shutting_down: false,
            token: None,
        };
        image.apply(&Record::Broker(registration)).expect("it fits");
    }
    image
}

/// A partition without a leader: the first replicas are eligible and said this, the others are not believed.
fn state(said: &[Said], distrusted: u32) -> PartitionState {
    let eligible = said.len() as u32;
    let claim = |(id, said): (u32, &Said)| {
        let doubtful = matches!(said, Said::Doubtful(_));
        said.end().map(|end| ReplicaClaim {
            broker_id: BrokerId(id),
            leader_epoch: Some(LeaderEpoch(3)),
            end: Offset(end),
            doubtful,
            unread: false,
            not_held: false,
        })
    };
    PartitionState {
        replicas: (1..=eligible + distrusted).map(BrokerId).collect(),
        elr: (1..=eligible).map(BrokerId).collect(),
        claims: (1..).zip(said).filter_map(claim).collect(),
        distrusted: (eligible + 1..=eligible + distrusted)
            .map(|id| Distrust { broker_id: BrokerId(id), reason: DistrustReason::Damaged })
            .collect(),
        ..PartitionState::default()
    }
}

/// Who has to lead, in plain words: enough were heard, nobody reaches farther, and if replicas are missing for want of trust a
/// cut one has a whole one beside it.
fn expected(said: &[Said], distrusted: u32, min_isr: usize) -> Option<BrokerId> {
    let heard: Vec<u64> = said.iter().filter_map(|said| said.end()).collect();
    if heard.len() < min_isr.min(said.len()) {
        return None;
    }
    let farthest = *heard.iter().max()?;
    let is_short_of_claims = distrusted > 0 && said.len() < min_isr;
    let has_whole = said.iter().any(|said| matches!(said, Said::Whole(_)));
    let may_lead = |said: &Said| match said {
        Said::Nothing => false,
        Said::Whole(end) => *end == farthest,
        Said::Doubtful(end) => *end == farthest && (!is_short_of_claims || has_whole),
    };
    let at = said.iter().position(may_lead)?;
    Some(BrokerId(at as u32 + 1))
}

/// Calls `check` with everything that so many replicas can have said.
fn each(count: usize, said: &mut Vec<Said>, check: &mut impl FnMut(&[Said])) {
    if said.len() == count {
        return check(said);
    }
    for one in ALL {
        said.push(one);
        each(count, said, check);
        said.pop();
    }
}

#[test]
fn a_cut_replica_leads_only_where_others_speak_for_it() {
    let (mut elected, mut waiting) = (0, 0);
    for replicas in 1..=5_u32 {
        for min_isr in 1..=3.min(replicas as usize) {
            for distrusted in 0..=replicas {
                let eligible = (replicas - distrusted) as usize;
                each(eligible, &mut Vec::new(), &mut |said| {
                    let state = state(said, distrusted);
                    let alive: Vec<bool> = said.iter().map(|said| *said != Said::Nothing).collect();
                    let image = image(&alive);
                    let leader = candidate(&Standings::of(&image), &state, min_isr);
                    assert_eq!(leader, expected(said, distrusted, min_isr), "min ISR {min_isr}: {state:?}");
                    elected += usize::from(leader.is_some());
                    waiting += usize::from(leader.is_none());
                });
            }
        }
    }
    assert!(elected > 1_000 && waiting > 100, "{elected} elected, {waiting} waiting");
}

#[test]
fn torn_ends_of_all_after_a_power_loss_hold_nobody_up_unless_replicas_are_not_believed() {
    let check = |said: &[Said], distrusted, min_isr, leader: Option<u32>| {
        let image = image(&vec![true; said.len()]);
        let state = state(said, distrusted);
        assert_eq!(candidate(&Standings::of(&image), &state, min_isr), leader.map(BrokerId), "{state:?}");
    };
    check(&[Said::Doubtful(5)], 0, 1, Some(1));
    check(&[Said::Doubtful(5), Said::Doubtful(7), Said::Doubtful(6)], 0, 2, Some(2));
    check(&[Said::Doubtful(5), Said::Doubtful(7)], 1, 2, Some(2));
    check(&[Said::Doubtful(7)], 2, 2, None);
    check(&[Said::Whole(7)], 2, 2, Some(1));
    check(&[Said::Doubtful(7), Said::Doubtful(7)], 1, 3, None);
    check(&[Said::Doubtful(7), Said::Whole(5)], 1, 3, Some(1));
    check(&[Said::Doubtful(5), Said::Whole(7)], 1, 3, Some(2));
}

#[test]
fn where_the_high_watermark_is_known_a_cut_replica_that_reaches_it_leads_alone() {
    let mut state = state(&[Said::Doubtful(7)], 2);
    let image = image(&[true]);
    assert_eq!(candidate(&Standings::of(&image), &state, 2), None);
    state.frozen_high_watermark = Some(Offset(7));
    assert_eq!(candidate(&Standings::of(&image), &state, 2), Some(BrokerId(1)));
}
