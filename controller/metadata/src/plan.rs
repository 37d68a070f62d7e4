//! Which replicas should move: first off the brokers that are drained or gone, then so that all carry equal loads.
//!
//! Pure and repeatable: the same image and wish give the same plan, and a plan made of its own result is empty. It
//! changes nothing; an operator reads it and sends it as [`crate::Command::AlterReplicas`].
//!
//! 1. **Drain.** Replicas on brokers that are marked or named for it, or that are not registered any more, go to the
//!    least loaded active broker, into a rack of their own where there is one. They keep their place in the order.
//! 2. **Racks** (not with `only_drain`). A partition with two replicas in one rack gives one to a rack without any.
//! 3. **Replicas** (not with `only_drain`). From the most to the least loaded broker, until no two differ by more than
//!    one; each transfer is one that some plan has to make, so there are no more than needed. No partition comes to
//!    stand in fewer racks. Of a broker's replicas one of the topic goes that is most unlike spread.
//! 4. **Preferred leaders** (not with `only_drain`). Replicas change their order, which copies nothing.
//!
//! Racks count only if every active broker names one, as in `placement`. A fenced broker that is not drained keeps
//! what it has: it may be restarting. Partitions under way count as moved, and are changed again only by a drain.

use std::collections::BTreeSet;

use holdfast_proto::ids::{BrokerId, TopicPartition};

use crate::{image::Image, plan::table::Table};

mod leaders;
mod table;

/// What a plan is to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Brokers to empty, besides those that are marked for it.
    pub drain: BTreeSet<BrokerId>,
    /// True: move only what has to leave a drained or removed broker.
    pub only_drain: bool,
}

/// Moves that would be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The moves, by topic name and partition.
    pub moves: Vec<PlannedMove>,
    /// Partitions that should move but cannot, each with the reason in words.
    pub problems: Vec<String>,
}

/// The replicas that one partition shall have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedMove {
    /// The partition.
    pub partition: TopicPartition,
    /// Name of its topic.
    pub topic: String,
    /// Replicas that it has now.
    pub old_replicas: Vec<BrokerId>,
    /// Replicas that it shall have, the preferred leader first.
    pub new_replicas: Vec<BrokerId>,
}

/// Plans. Looks at every partition.
pub fn plan(image: &Image, wish: &Wish) -> Plan {
    let mut table = Table::of(image, &wish.drain);
    let problems = drain(image, wish, &mut table);
    if !wish.only_drain {
        spread_over_racks(&mut table);
        level_replicas(&mut table);
        leaders::level(&mut table);
    }
    Plan { moves: table.moves(), problems }
}

/// Empties the brokers that have to be empty; says what stays.
fn drain(image: &Image, wish: &Wish, table: &mut Table<'_>) -> Vec<String> {
    let goes = |broker| image.broker(broker).is_none() || image.is_draining(broker) || wish.drain.contains(&broker);
    let mut problems = Vec::new();
    for row in 0..table.len() {
        let leaving: Vec<BrokerId> = table.target(row).iter().copied().filter(|broker| goes(*broker)).collect();
        if leaving.is_empty() {
            continue;
        }
        if table.is_leaderless(row) {
            problems.push(format!(
                "{} has no leader that its replicas could be copied from; it stays on {} until one returns",
                table.name(row),
                list(&leaving)
            ));
            continue;
        }
        let mut stuck = Vec::new();
        for from in leaving {
            match table.best_taker(row, from) {
                Some(to) => table.replace(row, from, to),
                None => stuck.push(from),
            }
        }
        if !stuck.is_empty() {
            problems.push(format!(
                "{} has {} replicas, and there are {} active brokers that are not being drained; it stays on {}",
                table.name(row),
                table.target(row).len(),
                table.takers().count(),
                list(&stuck)
            ));
        }
    }
    problems
}

fn list(brokers: &[BrokerId]) -> String {
    let brokers: Vec<String> = brokers.iter().map(ToString::to_string).collect();
    format!("broker{} {}", if brokers.len() == 1 { "" } else { "s" }, brokers.join(", "))
}

/// Takes a replica out of each rack that has two, for a rack that has none.
fn spread_over_racks(table: &mut Table<'_>) {
    for row in 0..table.len() {
        while !table.is_fixed(row)
            && let Some((from, to)) = table.rack_repair(row)
        {
            table.replace(row, from, to);
        }
    }
}

/// Moves single replicas from those that have more to those that have less, as long as that makes loads more equal.
fn level_replicas(table: &mut Table<'_>) {
    while let Some((row, from, to)) = transfer(table) {
        table.replace(row, from, to);
    }
}

fn transfer(table: &Table<'_>) -> Option<(usize, BrokerId, BrokerId)> {
    let mut by_load: Vec<(usize, BrokerId)> = table.takers().map(|broker| (table.load(broker), broker)).collect();
    by_load.sort_unstable();
    by_load.iter().rev().find_map(|(most, from)| {
        let fewer = by_load.iter().take_while(|(least, _)| least + 2 <= *most);
        fewer.into_iter().find_map(|(_, to)| Some((table.transferable(*from, *to)?, *from, *to)))
    })
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
