//! What would move, as a table or JSON.

use std::collections::BTreeMap;

use serde_json::json;

use holdfast_checker::text::{counted, render_table};
use holdfast_client::admin::Move;
use holdfast_proto::ids::BrokerId;

use crate::output::ids;

/// The moves, with what they come to for each broker.
pub fn as_text(moves: &[Move]) -> String {
    let rows = moves.iter().map(|one| {
        let added: Vec<_> = one.added().collect();
        let removed: Vec<_> = one.removed().collect();
        [
            one.topic.clone(),
            one.partition.to_string(),
            ids(&one.old_replicas),
            ids(&one.new_replicas),
            ids(&added),
            ids(&removed),
        ]
    });
    let table = render_table(["TOPIC", "PARTITION", "REPLICAS", "WILL BE", "COPIED TO", "LEAVES"], rows);
    format!("{table}\n\n{}", summary(moves))
}

/// How many replicas are copied to and leave each broker.
fn summary(moves: &[Move]) -> String {
    let mut brokers: BTreeMap<BrokerId, (u64, u64)> = BTreeMap::new();
    for one in moves {
        one.added().for_each(|broker| brokers.entry(broker).or_default().0 += 1);
        one.removed().for_each(|broker| brokers.entry(broker).or_default().1 += 1);
    }
    let copies: u64 = brokers.values().map(|(added, _)| added).sum();
    let mut lines =
        vec![format!("{}, {} to copy", counted(moves.len() as u64, "partition"), counted(copies, "replica"))];
    lines.extend(brokers.iter().map(|(broker, (added, removed))| format!("  broker {broker}: +{added} -{removed}")));
    lines.join("\n")
}

/// The moves for scripts.
pub fn as_json(moves: &[Move]) -> serde_json::Value {
    let one = |one: &Move| {
        json!({
            "topic": one.topic,
            "partition": one.partition,
            "old_replicas": one.old_replicas,
            "new_replicas": one.new_replicas,
        })
    };
    moves.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use holdfast_proto::ids::PartitionIndex;

    use super::*;

    fn one(partition: u32, old: &[u32], new: &[u32]) -> Move {
        let ids = |ids: &[u32]| ids.iter().copied().map(BrokerId).collect::<Vec<_>>();
        Move { old_replicas: ids(old), ..Move::to("orders", PartitionIndex(partition), ids(new)) }
    }

    #[test]
    fn a_plan_says_what_goes_where_and_what_it_comes_to() {
        let moves = [one(0, &[1, 2, 3], &[4, 2, 3]), one(1, &[2, 3, 1], &[2, 4, 1]), one(2, &[1, 2, 3], &[2, 1, 3])];
        let text = as_text(&moves);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "orders          0     1,2,3    4,2,3          4       1", "{text}");
        assert_eq!(
            &lines[5..],
            ["3 partitions, 2 replicas to copy", "  broker 1: +0 -1", "  broker 3: +0 -1", "  broker 4: +2 -0"]
        );
        assert_eq!(as_json(&moves)[1]["new_replicas"], json!([2, 4, 1]));
    }
}
