//! Who leads. Election is clean only: from the ISR, else from the eligible replicas, else nobody until one returns.
//! There is no switch for anything else.

use holdfast_proto::ids::BrokerId;

use crate::{image::Image, record::PartitionState};

/// How a broker stands in an election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// No live session, or not registered: leads nothing.
    Fenced,
    /// Alive, but about to stop: leads only what nobody else can.
    Leaving,
    /// Alive, and not about to stop: leads and is given leaderships.
    Active,
}

/// How the brokers stand once the command in hand is carried out.
pub(crate) struct Standings<'a> {
    image: &'a Image,
    changed: Option<(BrokerId, Standing)>,
}

impl<'a> Standings<'a> {
    /// As the image has them.
    pub(crate) fn of(image: &'a Image) -> Self {
        Self { image, changed: None }
    }

    /// As the image has them, but for one broker.
    pub(crate) fn with(image: &'a Image, broker: BrokerId, standing: Standing) -> Self {
        Self { image, changed: Some((broker, standing)) }
    }

    /// How this broker stands.
    pub(crate) fn get(&self, broker: BrokerId) -> Standing {
        match self.changed {
            Some((changed, standing)) if changed == broker => standing,
            _ => match self.image.broker(broker) {
                Some(registration) if registration.is_active() => Standing::Active,
                Some(registration) if !registration.fenced => Standing::Leaving,
                _ => Standing::Fenced,
            },
        }
    }

    /// True if this broker is alive and stays.
    pub(crate) fn is_active(&self, broker: BrokerId) -> bool {
        self.get(broker) == Standing::Active
    }
}

/// The replica that has to lead now: of the ISR before the ELR, of each those that stay before those that leave, of
/// these the first assigned. `None` if no replica that holds every acknowledged record is alive.
pub(crate) fn candidate(standings: &Standings<'_>, state: &PartitionState) -> Option<BrokerId> {
    let first = |members: &[BrokerId], wanted: Standing| {
        members.iter().copied().find(|member| standings.get(*member) == wanted)
    };
    [&state.isr, &state.elr]
        .into_iter()
        .find_map(|members| first(members, Standing::Active).or_else(|| first(members, Standing::Leaving)))
}
