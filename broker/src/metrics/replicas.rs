//! What there is to tell of the replicas.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_metadata::trust::Vouch;
use holdfast_node::metrics::Samples;
use holdfast_proto::ids::TopicPartition;

use super::{
    table,
    troubles::{Seen, State, Trouble, look},
};
use crate::{here::context::Context, partition::findings::Kind};

/// Replicas that are named, at most.
pub(super) const NAMED: usize = 100;

/// Looks at each replica once.
pub(super) fn read(context: &Context, samples: &mut Samples) {
    let (image, own) = (context.metadata.image(), context.identity.broker_id);
    let open = context.partitions.all();
    let mut seen: BTreeMap<TopicPartition, Seen> =
        image.partitions_of(own).map(|(partition, ..)| (partition, Seen::default())).collect();
    let mut led = 0_usize;
    for replica in &open {
        let seen = seen.entry(replica.id).or_default();
        (seen.is_open, seen.is_in_doubt) = (true, replica.is_in_doubt());
        led += usize::from(replica.view().leader == Some(own));
    }
    for (partition, cause) in context.logs.data_dir.all_distrusted() {
        seen.entry(partition).or_default().noted = Some(cause);
    }
    for (partition, why) in context.findings.all_kept() {
        seen.entry(partition).or_default().stays = Some(why);
    }
    for partition in unread(context) {
        if let Some(seen) = seen.get_mut(&partition) {
            seen.was_unread = true;
        }
    }
    let mut counts = [0_usize; State::ALL.len()];
    let mut troubles = Vec::new();
    for (partition, seen) in seen {
        let (state, trouble) = look(own, image.partition(partition), seen);
        counts[state as usize] += 1;
        troubles.extend(trouble.map(|trouble| (partition, trouble)));
    }
    for state in State::ALL {
        samples.put_by(&table::REPLICAS, [state.word()], counts[state as usize]);
    }
    samples.put(&table::LED, led);
    samples.put(&table::TROUBLED, troubles.len());
    for (partition, Trouble { reason, next }) in troubles.into_iter().take(NAMED) {
        let TopicPartition { topic_id, partition: index } = partition;
        // One that the metadata does not know has no name.
        let topic = image.topic(topic_id).map_or_else(|| topic_id.to_string(), |topic| topic.name().to_owned());
        samples.put_by(&table::TROUBLE, [&topic, &index.to_string(), reason, next], true);
    }
    for kind in Kind::ALL {
        samples.put_by(&table::FINDINGS, [word(kind)], context.findings.counted(kind));
    }
    let asides = context.state.asides();
    samples.put(&table::ASIDE_FOLDERS, asides.folders);
    samples.put(&table::ASIDE_BYTES, asides.bytes);
}

/// The replicas of which this start said that it could not look at them, and those that cannot be opened now.
fn unread(context: &Context) -> BTreeSet<TopicPartition> {
    let reports = context.reports.get().map_or(&[][..], Vec::as_slice);
    let unread = reports.iter().filter(|report| report.vouch == Vouch::Unread);
    let unread = unread.map(|report| TopicPartition { topic_id: report.topic_id, partition: report.partition });
    unread.chain(context.unopened.all()).collect()
}

/// As the metrics have it.
const fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Damaged => "damaged",
        Kind::Unreadable => "unreadable",
        Kind::Dead => "dead",
        Kind::Halted => "halted",
    }
}
