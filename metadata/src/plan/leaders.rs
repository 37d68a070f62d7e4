//! Levels how often brokers are the preferred leader, by the order of replicas alone.
//!
//! A broker that leads too many gives a partition to another of its replicas; if all of those lead enough themselves,
//! they give one on. The shortest such chain from the broker with most to one with at least two fewer is taken, until
//! there is none: then no order of the replicas is more even.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use holdfast_proto::ids::BrokerId;

use super::table::Table;

/// From the preferred leader to another replica: the partitions that could change hands so.
type Edges = BTreeMap<BrokerId, BTreeMap<BrokerId, BTreeSet<usize>>>;

/// Changes the order of replicas until no other order levels the preferred leaders more.
pub(super) fn level(table: &mut Table<'_>) {
    let mut edges = Edges::new();
    for row in 0..table.len() {
        add(&mut edges, table, row);
    }
    while let Some(chain) = next_chain(&edges, table) {
        for (from, to) in chain {
            let rows = &edges[&from][&to];
            // One that changes anyway is one partition less to touch.
            let row = rows.iter().copied().find(|row| table.is_changed(*row)).or_else(|| rows.first().copied());
            let Some(row) = row else { panic!("no partition goes from {from} to {to}, though one was found") };
            remove(&mut edges, table, row);
            table.prefer(row, to);
            add(&mut edges, table, row);
        }
    }
}

fn add(edges: &mut Edges, table: &Table<'_>, row: usize) {
    for (from, to) in hands(table, row) {
        edges.entry(from).or_default().entry(to).or_default().insert(row);
    }
}

fn remove(edges: &mut Edges, table: &Table<'_>, row: usize) {
    for (from, to) in hands(table, row) {
        if let Some(rows) = edges.get_mut(&from).and_then(|others| others.get_mut(&to)) {
            rows.remove(&row);
        }
    }
}

fn hands(table: &Table<'_>, row: usize) -> Vec<(BrokerId, BrokerId)> {
    let target = table.target(row);
    let free = !table.is_fixed(row) && table.takes(target[0]);
    let others = target[1..].iter().copied().filter(|other| free && table.takes(*other));
    others.map(|other| (target[0], other)).collect()
}

/// The steps of the next chain, its first step last: each then finds the partitions that the search saw.
fn next_chain(edges: &Edges, table: &Table<'_>) -> Option<Vec<(BrokerId, BrokerId)>> {
    let mut by_count: Vec<(usize, BrokerId)> = table.takers().map(|broker| (table.preferred(broker), broker)).collect();
    by_count.sort_unstable();
    let fewest = by_count.first()?.0;
    let mut most = by_count.into_iter().rev().take_while(|(count, _)| *count >= fewest + 2);
    most.find_map(|(count, start)| chain(edges, table, start, count))
}

fn chain(edges: &Edges, table: &Table<'_>, start: BrokerId, count: usize) -> Option<Vec<(BrokerId, BrokerId)>> {
    let mut came_from: BTreeMap<BrokerId, BrokerId> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(from) = queue.pop_front() {
        let others = edges.get(&from).into_iter().flatten().filter(|(_, rows)| !rows.is_empty());
        for to in others.map(|(to, _)| *to) {
            if to == start || came_from.contains_key(&to) {
                continue;
            }
            came_from.insert(to, from);
            if table.preferred(to) + 2 <= count {
                let back = std::iter::successors(Some(to), |broker| came_from.get(broker).copied());
                let broker_pairs: Vec<BrokerId> = back.collect();
                return Some(broker_pairs.windows(2).map(|pair| (pair[1], pair[0])).collect());
            }
            queue.push_back(to);
        }
    }
    None
}
