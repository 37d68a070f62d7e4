//! Steps that several cases take.

use holdfast_eventually::until;
use holdfast_local::NodeName;
use holdfast_tests::process::{
    fixture::TOPIC,
    folders::{Copy, Folder, Restore},
    said::Said,
    stand::{BROKERS, Stand},
};

/// The controllers of a stand.
pub(crate) const CONTROLLERS: [NodeName; 3] =
    [NodeName::controller(1), NodeName::controller(2), NodeName::controller(3)];

/// True if the case is to run: `TRUST_CASE=part of its name` chooses.
pub(crate) fn is_chosen(case: &str) -> bool {
    std::env::var("TRUST_CASE").map_or(true, |part| case.contains(&part))
}

/// Copies of the folders of all brokers, of one moment each.
pub(crate) struct Copies([Copy; 3]);

impl Copies {
    /// Copies them under load, and waits until the controllers know more of each broker than its copy has.
    pub(crate) async fn of_all(stand: &mut Stand) -> Self {
        stand.write(500).await;
        let copies = Self(BROKERS.map(|broker| stand.copy_running(broker)));
        let load = stand.load();
        for broker in BROKERS {
            until_older(stand, broker, copies.of(broker)).await;
        }
        stand.take(load).await;
        copies
    }

    /// The copy of this broker's folder.
    pub(crate) fn of(&self, broker: NodeName) -> &Copy {
        &self.0[broker.number as usize - 1]
    }
}

/// What the active controller says of a broker whose folder is not the one that it knows.
const OTHER_FOLDER: &str = "the broker came with another data folder";

/// Waits until the controllers say that this broker's folder is not the one that they know.
pub(crate) async fn until_recognised(said: &Said, broker: NodeName) {
    println!("{}", said.until(&[OTHER_FOLDER, &format!("broker_id={}", broker.number)]).await);
}

/// Waits, while something is written, until the controllers know a token that the copy lacks.
pub(crate) async fn until_older(stand: &Stand, broker: NodeName, copy: &Copy) {
    let folder = Folder::of(&stand.fixture.cluster, broker);
    until(&format!("{broker} proves itself by more than its copy has"), async || copy.is_older_than(&folder)).await;
}

/// Puts the copy in the place of the folder of a broker that does not run.
pub(crate) fn restore(stand: &Stand, broker: NodeName, copy: &Copy, how: Restore) {
    Folder::of(&stand.fixture.cluster, broker).restore(copy, how);
}

/// Waits until these are the ISR of every partition.
pub(crate) async fn until_isr(stand: &Stand, isr: &[NodeName]) {
    let isr: Vec<u32> = isr.iter().map(|broker| broker.number).collect();
    until(&format!("{isr:?} are in sync, and nobody else"), async || {
        let topic = stand.fixture.cluster.topic(TOPIC).await?;
        let is_isr = |found: &[u32]| found.len() == isr.len() && found.iter().all(|broker| isr.contains(broker));
        topic.partitions.iter().all(|info| is_isr(&info.isr)).then_some(())
    })
    .await;
}

/// Waits until the broker is registered and not fenced. It must have been fenced before.
pub(crate) async fn until_registered(stand: &Stand, broker: NodeName) {
    until(&format!("{broker} is registered and alive"), async || {
        let view = stand.fixture.cluster.describe().await.ok()?;
        let found = view.brokers.into_iter().find(|info| info.broker_id == broker.number)?;
        (!found.fenced).then_some(())
    })
    .await;
}
