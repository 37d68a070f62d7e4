//! What there is to tell of the cluster, by this controller's image of it.

use std::collections::BTreeMap;

use holdfast_metadata::{
    BrokerRegistration, Image, PartitionState,
    trust::{Distrust, DistrustReason},
};
use holdfast_node::metrics::Samples;

use super::table;

/// Replicas that are named, at most.
const NAMED: usize = 100;

/// Every reason for which a replica is not believed.
const REASONS: [DistrustReason; 5] = [
    DistrustReason::Folder,
    DistrustReason::Vanished,
    DistrustReason::Damaged,
    DistrustReason::Halted,
    DistrustReason::Short,
];

/// Looks at each partition once or twice.
pub(super) fn read(image: &Image, samples: &mut Samples) {
    let counts = image.counts();
    samples.put_by(&table::BROKERS, ["alive"], counts.brokers - counts.fenced_brokers);
    samples.put_by(&table::BROKERS, ["fenced"], counts.fenced_brokers);
    samples.put(&table::BROKERS_UNHEARD, image.unheard_brokers().count());
    samples.put(&table::PARTITIONS, counts.partitions);
    let unsettled = image.partitions().filter(|(_, _, state)| state.unsettled).count();
    for (reason, count) in [
        ("without_leader", counts.offline),
        ("under_min_isr", counts.under_min_isr),
        ("under_replicated", counts.under_replicated),
        ("unsettled", unsettled),
    ] {
        samples.put_by(&table::PARTITIONS_TROUBLED, [reason], count);
    }
    for (kind, count) in [
        ("partitions", image.recoveries().len()),
        ("controllers", image.controller_recoveries().len()),
        ("disks", image.lost_disks().len()),
    ] {
        samples.put_by(&table::RECOVERIES, [kind], count);
    }
    read_not_believed(image, samples);
}

fn read_not_believed(image: &Image, samples: &mut Samples) {
    let mut counts: BTreeMap<DistrustReason, usize> = REASONS.into_iter().map(|reason| (reason, 0)).collect();
    let all = image.partitions().flat_map(|(partition, topic, state)| {
        state.distrusted.iter().map(move |distrust| (partition.partition, topic, state, *distrust))
    });
    for (at, (partition, topic, state, distrust)) in all.enumerate() {
        *counts.entry(distrust.reason).or_default() += 1;
        if at < NAMED {
            let (partition, broker) = (partition.to_string(), distrust.broker_id.to_string());
            let (reason, next) = (distrust.reason.word(), next(image, state, distrust));
            samples.put_by(&table::NOT_BELIEVED_REPLICA, [topic.name(), &partition, &broker, reason, next], true);
        }
    }
    for (reason, count) in counts {
        samples.put_by(&table::NOT_BELIEVED, [reason.word()], count);
    }
}

/// What happens next with a replica that is not believed, as the metrics have it.
fn next(image: &Image, state: &PartitionState, distrust: Distrust) -> &'static str {
    if !image.broker(distrust.broker_id).is_some_and(BrokerRegistration::is_active) {
        "waits_for_broker"
    } else if state.leader.is_none_or(|leader| leader == distrust.broker_id) {
        "waits_for_leader"
    } else {
        "copied_again"
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use uuid::Uuid;

    use holdfast_metadata::Record;
    use holdfast_node::metrics::{Metric, Value};
    use holdfast_proto::ids::{BrokerId, MetadataIndex, PartitionIndex, TopicId};

    use super::*;

    /// A topic of so many partitions, of which each that `is_damaged` has a replica that is not believed.
    fn image(partitions: u32, is_damaged: impl Fn(u32) -> bool) -> Image {
        let topic_id = TopicId(Uuid::from_u128(1));
        let named = [
            Record::Topic { topic_id, name: "orders".to_owned() },
            Record::TopicConfig { topic_id, configs: BTreeMap::new() },
        ];
        let partition = |index| {
            let damaged = Distrust { broker_id: BrokerId(2), reason: DistrustReason::Damaged };
            let state = PartitionState {
                leader: (index % 2 == 0).then_some(BrokerId(1)),
                replicas: vec![BrokerId(1), BrokerId(2)],
                isr: vec![BrokerId(1)],
                distrusted: Some(damaged).filter(|_| is_damaged(index)).into_iter().collect(),
                ..PartitionState::default()
            };
            Record::Partition { topic_id, partition: PartitionIndex(index), state }
        };
        let records: Vec<Record> = named.into_iter().chain((0..partitions).map(partition)).collect();
        Image::from_records(MetadataIndex(1), &records).expect("an image")
    }

    fn samples(image: &Image) -> Samples {
        let mut samples = Samples::default();
        read(image, &mut samples);
        samples
    }

    #[test]
    fn what_is_not_believed_is_counted_in_full_and_named_up_to_a_bound() {
        let samples = samples(&image(150, |_| true));
        let get = |metric: &Metric, labels: &[&str]| samples.get(metric, labels);
        assert_eq!(get(&table::NOT_BELIEVED, &["damaged"]), Some(Value::Whole(150)));
        assert_eq!(get(&table::NOT_BELIEVED, &["short"]), Some(Value::Whole(0)));
        assert_eq!(get(&table::PARTITIONS_TROUBLED, &["without_leader"]), Some(Value::Whole(75)));
        let named = |index: u32| {
            let labels = ["orders", &index.to_string(), "2", "damaged", "waits_for_broker"];
            get(&table::NOT_BELIEVED_REPLICA, &labels)
        };
        assert_eq!((0..150).filter(|index| named(*index) == Some(Value::Whole(1))).count(), NAMED);
    }

    /// Loose, for the machine may be busy: a page must not take as long as Prometheus waits.
    #[test]
    fn many_partitions_are_looked_at_in_a_moment() {
        let image = image(10_000, |index| index % 100 == 0);
        let started = Instant::now();
        let samples = samples(&image);
        let elapsed = started.elapsed();
        println!("10,000 partitions: {elapsed:?}");
        assert_eq!(samples.get(&table::PARTITIONS, &[]), Some(Value::Whole(10_000)));
        assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    }
}
